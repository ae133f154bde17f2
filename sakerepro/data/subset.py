"""A small part of a big data set by one rule for all classes, so that others can cut the same part from the whole."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from pathlib import Path, PurePosixPath

import numpy as np

from .. import files
from ..display import bar
from ..errors import ConfigError, DataError
from . import lists
from .dataset import PHOTO, SKETCH
from .images import read_image
from .known import ClassRow, datasets, read_classes
from .packing import on_all_cores


def first_of_each(names: set[str], per_class: int) -> set[str]:
    """The first ``per_class`` files of each class folder, by name, without photos of an extension.

    ``names`` has the files of all splits, since a single split may lack some.
    """
    folders: dict[str, list[str]] = defaultdict(list)
    extensions = tuple(extension for _, extension in lists.doubles())
    for name in sorted(names):
        if not name.startswith(extensions):
            folders[str(PurePosixPath(name).parent)].append(name)
    return {name for members in folders.values() for name in members[:per_class]}


def filtered_lists(root: Path, keep: set[str]) -> dict[str, str]:
    """All lists of all splits, cut to the lines of ``keep``: ``zeroshot1/<list>.txt`` -> text."""
    texts = {}
    for split in lists.split_names(root):
        for file in sorted((root / split).glob("*.txt*")):
            lines = [line for _, line in lists.lines_of(file)]
            if "filelist" in file.name:
                lines = [line for line in lines if line.rpartition(" ")[0].strip() in keep]
            texts[f"{split}/{file.name.removesuffix('.gz')}"] = "".join(f"{line}\n" for line in lines)
    return texts


def write_subset(root: Path, to: Path, per_class: int | None, size: int = 224) -> Path:
    """Write the first ``per_class`` photos and sketches of every class, resized, with the lists filtered to them.

    The synsets of the classes go into ``synsets.csv``. Images become squares of ``size`` pixels and keep their names:
    JPEG at quality 90, but PNG sketches stay PNG, with 16 levels of grey.

    Args:
        root: a data set in the official list format.
        to: a new folder.
        per_class: ``None`` takes all files that the lists name, also those of an extension.
        size: side in pixels.

    Raises:
        ConfigError: if ``to`` exists already, or ``per_class`` or ``size`` is below 1.
        DataError: if the lists name too few files, or one of them is missing or damaged.
    """
    if (per_class is not None and per_class < 1) or size < 1:
        raise ConfigError(f"per_class = {per_class} and size = {size} have to be at least 1.")
    if to.exists():
        raise ConfigError(f"{to}: is there already. Remove it, or name another folder with --to.")
    names = lists.listed_names(root)
    keep = {k: listed if per_class is None else first_of_each(listed, per_class) for k, listed in names.items()}
    if not keep[PHOTO] or not keep[SKETCH]:
        raise DataError(
            f"{root}: has no lists that name photos and sketches. Only a data set in the official list format is cut "
            "or packed into one file; a plain folder is carried as it is."
        )
    with files.write_folder_whole(to) as new:
        for path, text in filtered_lists(root, keep[PHOTO] | keep[SKETCH]).items():
            (new / path).parent.mkdir(exist_ok=True)
            files.write_text(new / path, text)
        if rows := _class_rows(root):
            table = io.StringIO()
            csv.writer(table, lineterminator="\n").writerows([("class", "wnid"), *(row[1:3] for row in rows)])
            files.write_text(new / "synsets.csv", table.getvalue())
        jobs = [(name, domain) for domain in keep for name in sorted(keep[domain])]
        resized = on_all_cores(lambda job: _resized(root, new, *job, size), jobs)
        for _ in bar(resized, "Resizing", total=len(jobs), unit=" images"):
            pass
    return to


def _class_rows(root: Path) -> list[ClassRow]:
    """The synsets in a data folder's ``synsets.csv``, else those in the class table of the known data set."""
    by_hand = root / "synsets.csv"
    records = (record for record in datasets().values() if root.name in record.folders)
    return read_classes(by_hand) if by_hand.is_file() else [row for r in records for row in r.class_rows()]


def _resized(root: Path, to: Path, name: str, domain: int, size: int) -> None:
    from PIL import Image

    picture = Image.fromarray(read_image(root / name, size))
    (to / name).parent.mkdir(parents=True, exist_ok=True)
    if domain == SKETCH:
        picture = picture.convert("L")
    if domain == PHOTO or PurePosixPath(name).suffix.lower() != ".png":  # JPEG has no palette
        picture.save(to / name, quality=90)
        return
    grey = np.asarray(picture)
    indexed = Image.fromarray(((grey.astype(np.uint16) * 15 + 127) // 255).astype(np.uint8), "P")
    indexed.putpalette([17 * level for level in range(16) for _ in range(3)])
    indexed.save(to / name, bits=4, optimize=True)
