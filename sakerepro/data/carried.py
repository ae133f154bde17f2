"""One file that holds a data set and the weights it is trained from, for a machine without network."""

from __future__ import annotations

import shutil
import sys
import zipfile
from pathlib import Path

from .. import paths
from ..errors import DataError
from ..files import beside, lock, short_hash, write_folder_whole, write_whole
from .known import datasets
from .registry import find_folder
from .subset import write_subset
from .unpack import unpack

LIMIT = 36_000_000  # bytes
_INSIDE = "data"  # the folder in the file


def carry(name: str, to: Path, size: int, limit: int = LIMIT) -> Path:
    """Write a data set, and the weights of the networks that presets train on it, into one zip file.

    Images are JPEG and PNG of ``size`` pixels, as :func:`~sakerepro.data.subset.write_subset` makes them, so results
    differ a little from those of the original files. Kernels of the networks are float16, the rest float32.

    Args:
        name: of a data set in the official list format, or its folder.
        to: the file.
        size: side of the images, in pixels.
        limit: bytes that the file may have.

    Raises:
        ConfigError, DataError: if the data or the weights are not here, or the file would be too large.
    """
    from safetensors.torch import save_file

    from ..architectures import teacher_architecture
    from ..experiment import PRESETS
    from ..weights import read_pretrained, weights_file

    root, record = find_folder(name), datasets().get(name)
    networks = {teacher_architecture(p["backbone"]) for p in PRESETS.values() if p["dataset"] == name}
    to.parent.mkdir(parents=True, exist_ok=True)
    room = beside(to)
    try:
        write_subset(root, room / (record.folders[0] if record else root.resolve().name), sys.maxsize, size)
        for network in sorted(networks):
            state = read_pretrained(network, weights_file(network))
            (room / "weights").mkdir(exist_ok=True)
            save_file({k: (v.half() if v.ndim > 1 else v).contiguous() for k, v in state.items()},
                      room / "weights" / f"{network}.safetensors")  # fmt: skip
        with write_whole(to) as temporary:
            with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
                for path in sorted(p for p in room.rglob("*") if p.is_file()):
                    archive.write(path, f"{_INSIDE}/{path.relative_to(room).as_posix()}")
            if (length := temporary.stat().st_size) > limit:
                raise DataError(f"{to}: would have {length / 1e6:.1f} MB, and {limit / 1e6:.0f} MB are the most that "
                                "is carried. Take a smaller --size.")  # fmt: skip
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return to


def opened(file: Path) -> Path:
    """The folder in the cache with what such a file holds, unpacked once.

    Raises:
        DataError: if the file is damaged or another archive.
    """
    stat = file.stat()
    mark = short_hash([str(file), stat.st_size, stat.st_mtime_ns])
    folder = paths.cache() / "carried" / f"{file.stem}-{mark}"
    if not folder.is_dir():
        with lock(folder.parent / f"{folder.name}.lock"):
            if not folder.is_dir():
                with write_folder_whole(folder) as new:
                    unpack(file, new, _INSIDE, progress=False)
    return folder
