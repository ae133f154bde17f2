"""The file lists of the official SAKE code: one line a file, ``relative/path label``, and ``cname_cid.txt``.

A data set is a folder with one folder of lists per split (``zeroshot1``, ...) beside the images. The lists may be
gzipped (``.txt.gz``). Seen and unseen labels both start at 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from .. import paths
from ..errors import ConfigError, DataError, near_misses
from ..files import lines
from .dataset import PHOTO, SKETCH
from .known import datasets
from .listing import DOMAIN_OF, Listed, Listing, Problem
from .packing import stat_files

PLAIN = {"sketch": "sketch", "photo": "photo"}  # names of the lists in the user's own data
ENDINGS = {"train_sketch": "train", "val_sketch": "test", "train_photo": "train", "query": "zero", "gallery": "zero"}


def split_names(root: Path) -> list[str]:
    """The splits of a data set: the sub-folders of ``root`` that hold a ``cname_cid.txt``."""
    if not root.is_dir():
        return []
    return sorted(f.name for f in root.iterdir() if f.is_dir() and _find(f, "cname_cid.txt"))


def read_split(root: Path, split: str | None = None, *, name: str = "", dedupe: bool = False) -> Listing:
    """Read one split and check it, including that every listed file is there.

    Args:
        split: its name; ``None`` for the default of a known data set (``zeroshot``, ``zeroshot1``), or the first
            one. ``zeroshot0`` and ``zeroshot2`` name the same split.
        name: of the data set, for messages; by default the folder's.
        dedupe: drop the second copy of photos that Sketchy's lists hold twice.

    Raises:
        ConfigError: if there is no such split.
        DataError: names file, line and value of the first problem, and the number of all problems.
    """
    listing, problems = examine_split(root, split, name=name)
    if problems:
        raise DataError(_report(problems, listing))
    if not dedupe:
        return listing
    return replace(listing, train_photo=drop_doubles(listing.train_photo), gallery=drop_doubles(listing.gallery))


def examine_split(root: Path, split: str | None = None, *, name: str = "") -> tuple[Listing, list[Problem]]:
    """The classes and files of a split, and all its problems; a bad line is a problem, not an error."""
    root = Path(root)
    split = _choose(root, split)
    problems: list[Problem] = []
    seen = _read_classes(root / split, "cname_cid.txt", problems)
    unseen = _read_classes(root / split, "cname_cid_zero.txt", problems)
    if both := [c for c in unseen if c in seen]:
        text = f"{both[0]!r} is a seen class too ({len(both)} such). Remove one of the two: they have to be disjoint."
        problems.append(Problem(f"{split}/cname_cid_zero.txt", 0, text))
    origin: dict[str, tuple[str, int]] = {}  # listed file -> the list and line that names it
    sets: dict[str, Any] = {}
    for key in DOMAIN_OF:
        classes = unseen if ENDINGS[key] == "zero" else seen
        sets[key] = _read_set(root / split, key, classes, origin, problems)
    listing = Listing(name or root.resolve().name, split, root, seen, unseen, **sets, also=_all_splits(root))
    for path, (file, line) in origin.items():
        if path not in listing.also[PHOTO] and path not in listing.also[SKETCH]:
            problems.append(Problem(file, line, f"{path!r} is listed but not there.", missing=True))
    return listing, problems


def drop_doubles(photos: Listed) -> Listed:
    """Drop the second copy of photos that are listed below two folders, if a record names the folders.

    Both copies have the same class folder and file name: 12,499 photos of Sketchy and of its extension.
    """
    for folder, copies in doubles():
        originals = {PurePosixPath(n).parts[-2:] for n in photos.names if n.startswith(folder)}
        double = [n.startswith(copies) and PurePosixPath(n).parts[-2:] in originals for n in photos.names]
        photos = photos.keep(~np.array(double, dtype=bool))
    return photos


def doubles() -> list[tuple[str, ...]]:
    """(folder, folder with copies of its photos) of each data set that has such copies."""
    return [record.doubles for record in datasets().values() if record.doubles]


def _choose(root: Path, split: str | None) -> str:
    available = split_names(root)
    if not available:
        raise DataError(f"{root}: has no split: no folder with a cname_cid.txt in it, such as zeroshot1.")
    records = datasets().values()
    if split is None:
        return next((r.splits[0] for r in records if r.splits and r.splits[0] in available), available[0])
    same = {pair for r in records for pair in r.same_splits.items()}
    for name in (split, *(a for a, b in same if b == split), *(b for a, b in same if a == split)):
        if name in available:
            return name
    raise ConfigError(f"{root} has no split {split!r}. {near_misses(split, available)}")


def _find(folder: Path, name: str) -> Path | None:
    return next((folder / n for n in (name, f"{name}.gz") if (folder / n).is_file()), None)


def lines_of(path: Path) -> list[tuple[int, str]]:
    """(line number, text) of the lines that are not blank."""
    try:
        decoded = [(number, line.decode("utf-8-sig")) for number, line in lines(path)]
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not a list in UTF-8 ({error}). Get a fresh copy.") from error
    return [(number, text) for number, text in decoded if text.strip()]


def _parse(path: Path, shown: str, what: str, problems: list[Problem]) -> list[tuple[int, str, int]]:
    """(line number, name, number) of each line; a line that is not ``name number`` becomes a problem."""
    parsed = []
    for line, text in lines_of(path):
        name, _, number = text.rstrip().rpartition(" ")
        if name.strip() and number.isascii() and number.isdecimal() and len(number) < 19:
            parsed.append((line, name.strip(), int(number)))
        else:
            problems.append(Problem(shown, line, f"{text!r} has no label. Each line is '{what} label'."))
    return parsed


def _read_classes(folder: Path, file: str, problems: list[Problem]) -> tuple[str, ...]:
    """The class names in the order of their ids, which have to be 0 ... K - 1, each once."""
    shown = f"{folder.name}/{file}"
    path = _find(folder, file)
    if path is None:
        problems.append(Problem(shown, 0, "is not there. It names the classes: one line 'name id' each."))
        return ()
    parsed = _parse(path, shown, "name", problems)
    by_id: dict[int, str] = {}
    for line, name, number in parsed:
        if number in by_id:
            problems.append(Problem(shown, line, f"label {number} is given to {by_id[number]!r} and to {name!r}."))
        elif name in by_id.values():
            problems.append(Problem(shown, line, f"class {name!r} is named twice. Remove one of the lines."))
        by_id.setdefault(number, name)
    if gaps := max(by_id, default=-1) + 1 - len(by_id):
        first = next(i for i in range(len(by_id)) if i not in by_id)
        text = f"labels run to {max(by_id)} and {first} is not among them ({gaps} missing). Leave no gap."
        problems.append(Problem(shown, 0, text))
    if not by_id:
        problems.append(Problem(shown, 0, "names no class. Add one line 'name id' each."))
    return tuple(by_id[i] for i in sorted(by_id))


def _read_set(
    folder: Path, key: str, classes: Sequence[str], origin: dict[str, tuple[str, int]], problems: list[Problem]
) -> Listed:
    """One image set; its files are added to ``origin``."""
    file = _list_names(folder)[key]
    shown, path = f"{folder.name}/{file}", _find(folder, file)
    if path is None:
        if key != "val_sketch":  # zeroshot2 comes without validation sketches
            problems.append(Problem(shown, 0, f"is not there: the list of {key}."))
        return Listed()
    names, labels = [], []
    for line, name, label in _parse(path, shown, "path", problems):
        if label >= len(classes):
            text = f"label {label} of {name!r} is beyond the split's {len(classes)} classes (0 ... {len(classes) - 1})."
        elif name.startswith("/") or ".." in name.split("/"):
            text = f"{name!r} leaves the data set's folder. Paths have to be relative to it."
        elif name in origin:
            text = f"{name!r} is listed before, in {origin[name][0]}, line {origin[name][1]}. Remove one of the two."
        else:
            origin[name] = (shown, line)
            names.append(name)
            labels.append(label)
            continue
        problems.append(Problem(shown, line, text))
    if key != "val_sketch" and (empty := sorted(set(range(len(classes))) - set(labels))):
        text = f"lists no file of {classes[empty[0]]!r} (label {empty[0]}), the first of {len(empty)} such classes."
        problems.append(Problem(shown, 0, f"{text} Add files, or remove the class and close the gap in the labels."))
    return Listed(tuple(names), np.array(labels, np.int64))


def _list_names(folder: Path) -> dict[str, str]:
    """The list of each image set, by the naming of a known data set, or of plain data, that has most lists here."""
    kinds = [*(r.lists for r in datasets().values() if r.lists), PLAIN]
    names = [
        {key: f"{kind[('photo', 'sketch')[domain]]}_filelist_{ENDINGS[key]}.txt" for key, domain in DOMAIN_OF.items()}
        for kind in kinds
    ]
    return max(names, key=lambda files: sum(_find(folder, file) is not None for file in files.values()))


def _report(problems: list[Problem], listing: Listing) -> str:
    """The first problem, the number of problems, and the command that lists all."""
    missing, lines = sum(p.missing for p in problems), [str(problems[0])]
    if missing:
        total = sum(len(getattr(listing, s)) for s in DOMAIN_OF)
        lines.append(f"{missing:,} of {total:,} listed files are missing below {paths.shown(listing.root)}.")
    if bad := Counter(p.file for p in problems if not p.missing):
        by_file = ", ".join(f"{count:,} in {file}" for file, count in bad.items())
        lines.append(f"{sum(bad.values()):,} lines or files are not right: {by_file}.")
    lines[-1] += f" Run `sakerepro check {listing.name}` for the full list."
    return "\n  ".join(lines)


def listed_names(root: Path) -> dict[int, set[str]]:
    """All photos and sketches that the lists of any split below ``root`` name, existing or not."""
    names: dict[int, set[str]] = {PHOTO: set(), SKETCH: set()}
    for split in split_names(root):
        for key, file in _list_names(root / split).items():
            if path := _find(root / split, file):
                entries = {name for _, name, _ in _parse(path, "", "", [])}
                names[DOMAIN_OF[key]] |= {n for n in entries if not n.startswith("/") and ".." not in n.split("/")}
    return names


def _all_splits(root: Path) -> tuple[frozenset[str], frozenset[str]]:
    """The existing photos and sketches that any split lists, since one pack serves all splits."""
    names = {domain: sorted(listed) for domain, listed in listed_names(root).items()}
    existing = {d: np.array(n, object)[stat_files(root, n)[:, 0] >= 0] for d, n in names.items()}
    return frozenset(existing[PHOTO]), frozenset(existing[SKETCH])
