"""Pack a data set and its pretrained weights into one file, for a machine without network."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from safetensors.torch import save_file

from ..data.known import datasets
from ..data.places import INSIDE
from ..data.registry import find_folder
from ..data.subset import write_subset
from ..experiment import PRESETS
from ..files import beside, write_whole
from ..networks.architectures import teacher_architecture
from ..networks.weights import read_pretrained, weights_file


def carry(name: str, to: Path, size: int) -> Path:
    """Write a data set, and the weights of the networks that its presets start from, into one zip file.

    Images are JPEG and PNG of ``size`` pixels, as :func:`~sakerepro.data.subset.write_subset` makes them, so results
    differ a little from those of the original files. Kernels of the networks are float16, the rest float32.

    Args:
        name: of a data set in the official list format, or its folder.
        to: the zip file.
        size: side of the images, in pixels.

    Raises:
        ConfigError, DataError: if the data or the weights are missing.
    """
    root, record = find_folder(name), datasets().get(name)
    networks = {teacher_architecture(p["backbone"]) for p in PRESETS.values() if p["dataset"] == name}
    to.parent.mkdir(parents=True, exist_ok=True)
    room = beside(to)
    try:
        write_subset(root, room / (record.folders[0] if record else root.resolve().name), None, size)
        for network in sorted(networks):
            state = read_pretrained(network, weights_file(network))
            (room / "weights").mkdir(exist_ok=True)
            save_file(
                {k: (v.half() if v.ndim > 1 else v).contiguous() for k, v in state.items()},
                room / "weights" / f"{network}.safetensors",
            )
        with write_whole(to) as temporary:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(p for p in room.rglob("*") if p.is_file()):
                    archive.write(path, f"{INSIDE}/{path.relative_to(room).as_posix()}")
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return to
