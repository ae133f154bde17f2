"""Write generated images as files: a plain folder, like a user's own data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import files
from ..data.dataset import PHOTO, SKETCH
from ..errors import ConfigError, DataError
from .draw import draw


def write_world(
    folder: Path | str, seen: Sequence[str], unseen: Sequence[str], per_class: int = 4, size: int = 64
) -> Path:
    """Write ``photo/<class>/0000.jpg``, ``sketch/<class>/0000.png`` and ``unseen.txt``.

    Args:
        folder: a new or empty folder.
        seen, unseen: class names. Any name can be drawn.
        per_class: number of photos of a class, and of sketches.
        size: side in pixels.

    Returns:
        The folder.

    Raises:
        ConfigError: for class names that are doubled or cannot be folders.
        DataError: if the folder already holds something.
    """
    folder = Path(folder)
    _check(folder, (*seen, *unseen), per_class)
    with files.write_folder_whole(folder) as new:
        for name in (*seen, *unseen):
            for i in range(per_class):
                write_image(new / f"photo/{name}/{i:04d}.jpg", name, PHOTO, i, size)
                write_image(new / f"sketch/{name}/{i:04d}.png", name, SKETCH, i, size)
        files.write_text(new / "unseen.txt", "".join(f"{name}\n" for name in unseen))
    return folder


def write_image(to: Path, name: str, domain: int, index: int, size: int) -> None:
    """Draw one image and write it."""
    from PIL import Image

    to.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.squeeze(draw(name, domain, size, index=index))).save(to, quality=92)


def _check(folder: Path, names: Sequence[str], per_class: int) -> None:
    if per_class < 1:
        raise ConfigError(f"per_class = {per_class} images a class: has to be at least 1.")
    for name in names:
        if not name or name != name.strip() or name.startswith(".") or set(name) & set("/\\\0\n"):
            raise ConfigError(f"class name {name!r} cannot be a folder's name. Leave out slashes and leading dots.")
        if names.count(name) > 1:
            raise ConfigError(f"class name {name!r} is there {names.count(name)} times. Name every class once.")
    if files.taken(folder):
        raise DataError(f"{folder}: already holds something. Name a new or an empty folder for the generated files.")
