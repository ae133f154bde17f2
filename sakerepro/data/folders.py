"""A plain folder as a data set: ``photo/<class>/*`` and ``sketch/<class>/*``, and perhaps ``unseen.txt``."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, near_misses
from ..files import printable
from .images import is_image_name
from .known import ClassRow, class_key, read_classes
from .listing import Listed, Listing, Problem
from .splits import MIN_PHOTOS, held_out, random_unseen

SPLITS = ("unseen.txt", "random")


def is_plain(root: Path) -> bool:
    """Whether a folder has a ``photo`` or a ``sketch`` folder in it."""
    return (root / "photo").is_dir() or (root / "sketch").is_dir()


def read_folder(
    root: Path, split: str | None = None, *, seed: int = 0, n_unseen: int | None = None, min_photos: int = MIN_PHOTOS
) -> Listing:
    """List a plain folder and part its classes.

    Images may lie in sub-folders of a class; files whose name does not end like an image's are left out. Class names
    are compared as Unicode NFC. An eighth of each seen class's sketches (as on TU-Berlin) is held out for validation.

    Args:
        split: ``"unseen.txt"``: the test classes are named there, one a line (all of them, for a folder that finished
            runs are measured on); ``"random"``: they are drawn;
            ``None``: as the file says if it is there, else drawn.
        seed: of the drawn classes and of the validation sketches.
        n_unseen: how many classes to draw; by default a fifth of them.
        min_photos: how many photos each drawn class has at least.

    Raises:
        ConfigError: if so many classes cannot be drawn, or for an unknown split.
        DataError: for a missing domain, a class without images in one of them, a loose image, or a bad ``unseen.txt``.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(f"{root} has no split {split!r}. {near_misses(split, SPLITS)}")
    photos, sketches, problems = examine_folder(root)
    if problems:
        more = f"\n  And {len(problems) - 1:,} more. Run `sakerepro check {root}` for the full list."
        raise DataError(str(problems[0]) + (more if len(problems) > 1 else ""))
    classes = sorted(photos)
    if split == "unseen.txt" or (split is None and (root / "unseen.txt").is_file()):
        unseen, split = _named(root / "unseen.txt", classes), "unseen.txt"
    else:
        n_unseen = max(1, round(len(classes) / 5)) if n_unseen is None else n_unseen
        unseen = random_unseen({c: len(photos[c]) for c in classes}, n_unseen, seed, min_photos)
        split = f"random{n_unseen}-{seed}"
    seen = tuple(c for c in classes if c not in set(unseen))
    training = _listed(seen, sketches)
    mask = held_out(training.labels, np.array([len(sketches[c]) // 8 for c in seen]), seed)
    return Listing(
        root.resolve().name,
        split,
        root,
        seen,
        unseen,
        train_sketch=training.keep(~mask),
        val_sketch=training.keep(mask),
        train_photo=_listed(seen, photos),
        query=_listed(unseen, sketches),
        gallery=_listed(unseen, photos),
    )


def examine_folder(root: Path) -> tuple[dict[str, list[str]], dict[str, list[str]], list[Problem]]:
    """Photos and sketches of each class (paths relative to ``root``), and everything that is wrong with them."""
    problems: list[Problem] = []
    photos, sketches = _classes(root, "photo", problems), _classes(root, "sketch", problems)
    for here, there, one, other in ((photos, sketches, "photo", "sketch"), (sketches, photos, "sketch", "photo")):
        for name in sorted(here.keys() - there) if there else ():
            text = f"this class has no folder {other}/{name}. Each needs photos and sketches: add them, or remove it."
            problems.append(Problem(f"{root}/{one}/{name}", 0, text))
    if len(photos) < 2 and not problems:
        text = f"has {len(photos)} class. Zero-shot retrieval trains on some classes and tests on others: add some."
        problems.append(Problem(str(root), 0, text))
    known = {class_key(name) for name in photos.keys() | sketches.keys()}
    for where, name, _, _ in _by_hand(root / "synsets.csv"):
        if class_key(name) not in known:
            problems.append(Problem(where, 0, f"class {name!r} is not there. {near_misses(name, sorted(photos))}"))
    return photos, sketches, problems


def _by_hand(file: Path) -> list[ClassRow]:
    try:
        return read_classes(file) if file.is_file() else []
    except DataError:  # told where synsets are looked for, if they are
        return []


def files_below(folder: Path) -> list[str]:
    """All files below a folder, sub-folders included, as sorted relative paths; hidden ones are left out."""
    return walk(folder)[0]


def walk(folder: Path) -> tuple[list[str], list[str]]:
    """The files of :func:`files_below`, and linked folders: a link may lead anywhere, also back: none is followed."""
    found, links = [], []
    for place, inner, names in os.walk(folder):
        inner[:] = [d for d in inner if not d.startswith(".")]
        within = Path(place).relative_to(folder)
        found += [(within / n).as_posix() for n in names if not n.startswith(".")]
        links += [(within / d).as_posix() for d in inner if os.path.islink(os.path.join(place, d))]
    return sorted(found), sorted(links)


def _classes(root: Path, domain: str, problems: list[Problem]) -> dict[str, list[str]]:
    """Class name -> paths of its images relative to ``root``."""
    folder, layout = root / domain, "A plain data set is photo/<class>/* and sketch/<class>/*."
    found: dict[str, list[str]] = {}
    for entry in sorted(folder.iterdir()) if folder.is_dir() else ():
        if entry.name.startswith("."):
            continue
        name = unicodedata.normalize("NFC", entry.name)
        if not entry.is_dir():
            if is_image_name(entry.name):
                problems.append(Problem(str(entry), 0, f"lies in no class folder. Move it to {domain}/<class>/."))
        elif name in found:
            problems.append(Problem(str(entry), 0, "is there twice, in different Unicode. Merge the two folders."))
        else:
            inside = [f"{domain}/{entry.name}/{n}" for n in files_below(entry) if is_image_name(n)]
            found[name] = [n for n in inside if printable(n) == n]
            problems += [
                Problem(f"{root}/{printable(n)}", 0, "its name is not valid UTF-8; rename it.")
                for n in inside
                if printable(n) != n
            ]
            if not inside:
                problems.append(Problem(str(entry), 0, "holds no image. Add some, or remove the folder."))
    if not found:
        what = "holds no class folder" if folder.is_dir() else "is not there"
        problems.append(Problem(str(folder), 0, f"{what}. {layout}"))
    return found


def _listed(classes: tuple[str, ...], files: dict[str, list[str]]) -> Listed:
    names = tuple(n for c in classes for n in files[c])
    return Listed(names, np.repeat(np.arange(len(classes)), np.array([len(files[c]) for c in classes], np.int64)))


def _named(file: Path, classes: list[str]) -> tuple[str, ...]:
    """The classes that ``unseen.txt`` names, in its order."""
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as UTF-8 ({error}). Write one class name a line.") from error
    names: list[str] = []
    for number, line in enumerate(lines, 1):
        name = unicodedata.normalize("NFC", line.strip())
        if not name:
            continue
        if name not in classes:
            raise DataError(f"{file}, line {number}: class {name!r} is not there. {near_misses(name, classes)}")
        if name in names:
            raise DataError(f"{file}, line {number}: class {name!r} is named twice. Remove one of the lines.")
        names.append(name)
    if not names:
        raise DataError(f"{file}: names 0 of {len(classes)} classes. Name those that stay unseen, one a line.")
    return tuple(names)
