"""The folders that are searched for data sets and weights."""

from __future__ import annotations

import os
from pathlib import Path

from .. import paths
from ..files import find_or_make, short_hash, short_name
from .unpack import unpack

INSIDE = "data"  # top folder in a file of `sakerepro data pack --to`


def data_places() -> list[Path]:
    """Folders that are searched for data sets and weights, in this order.

    ``SAKEREPRO_REAL_DATA`` (a folder, or a file of ``sakerepro data pack --to``), then
    :func:`sakerepro.paths.data`, then ``shared/data`` beside the checkout.
    """
    first = [paths.expanded(named).resolve()] if (named := os.environ.get("SAKEREPRO_REAL_DATA")) else []
    if first and first[0].is_file():
        first = [opened(first[0])]
    return [*first, paths.data(), paths.root().parent / "shared" / "data"]


def find_data(*names: str) -> Path | None:
    """The first of ``place/name`` that exists, over all places and then all names; ``None`` if there is none."""
    return next((p / n for p in data_places() for n in names if (p / n).exists()), None)


def opened(file: Path) -> Path:
    """Unpack a file of ``sakerepro data pack --to`` into the cache, once; return the folder.

    Raises:
        DataError: if the file is damaged or another archive.
    """
    stat = file.stat()
    mark = short_hash([str(file), stat.st_size, stat.st_mtime_ns])
    folder = paths.cache() / "carried" / f"{short_name(file.stem)}-{mark}"
    return find_or_make(
        folder,
        find=lambda: folder if folder.is_dir() else None,
        make=lambda new: unpack(file, new, {INSIDE: ""}),
    )
