"""A plain folder as a data set: ``photo/<class>/*`` and ``sketch/<class>/*``, and perhaps ``unseen.txt``.

Sketches may also be drawings of Quick, Draw!: ``sketch/<class>.ndjson`` or ``sketch/<class>/*.ndjson``.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from ..errors import ConfigError, DataError, near_misses
from ..files import lines, printable
from .images import READABLE, is_image_name
from .known import class_key, read_classes
from .listing import Listing, Problem, listed
from .quickdraw import class_of, is_drawings, place_of
from .splits import MIN_PHOTOS, held_out, random_unseen

LAYOUT = "A plain data set is photo/<class>/* and sketch/<class>/*."
SPLITS = ("unseen.txt", "random")
SYSTEM = frozenset("@eadir #recycle $recycle.bin lost+found __macosx".split()) | {"system volume information"}
LINKED = "linked folder"
LeftOut = defaultdict[str, list[str]]  # kind, such as ".heic" or "linked folder" -> paths


@dataclass(frozen=True)
class Walk:
    """The files below a folder; paths are relative to this folder or to a higher one."""

    images: list[str] = field(default_factory=list)  # sorted; told by their names, not opened
    left_out: LeftOut = field(default_factory=lambda: defaultdict(list))
    refused: dict[str, str] = field(default_factory=dict)  # unreadable folder or file of drawings -> reason


def is_plain(root: Path) -> bool:
    """Whether a folder has a ``photo`` or a ``sketch`` folder in it."""
    return (root / "photo").is_dir() or (root / "sketch").is_dir()


def read_folder(root: Path, split: str | None = None, *, seed: int = 0, min_photos: int = MIN_PHOTOS) -> Listing:
    """List a plain folder and divide its classes into seen and unseen ones.

    Images may lie in sub-folders of a class; :func:`walk` says what is left out. A file ``sketch/<class>.ndjson`` is
    the sketches of a class, one a line (:mod:`.quickdraw`). Class names are compared as Unicode NFC. An eighth of each
    seen class's sketches (as on TU-Berlin) is held out for validation.

    Args:
        split: ``"unseen.txt"``: this file names the unseen classes, one a line; it names all classes where a finished
            run is measured on the folder. ``"random"``: a fifth of the classes is drawn. ``None``: ``"unseen.txt"`` if
            the file exists, else ``"random"``.
        seed: seed for drawing the classes and the validation sketches.
        min_photos: fewest photos of a drawn class.

    Raises:
        ConfigError: if there are not enough classes to draw, or for an unknown split.
        DataError: for a missing domain, a class without images in one of them, a loose image, a folder that cannot be
            read, or a bad ``unseen.txt``.
    """
    if split is not None and split not in SPLITS:
        raise ConfigError(f"{root} has no split {split!r}. {near_misses(split, SPLITS)}")
    photos, sketches, problems, notes = examine_folder(root)
    if problems:
        rest = f"\n  And {len(problems) - 1:,} more. Run `sakerepro check {root}` for the full list."
        raise DataError(str(problems[0]) + (rest if len(problems) > 1 else ""))
    classes = sorted(photos)
    if split == "unseen.txt" or (split is None and os.path.lexists(root / "unseen.txt")):
        unseen, split = _named(root / "unseen.txt", classes), "unseen.txt"
    else:
        n_unseen = max(1, round(len(classes) / 5))
        unseen = random_unseen({c: len(photos[c]) for c in classes}, n_unseen, seed, min_photos)
        split = f"random{n_unseen}-{seed}"
    seen = tuple(c for c in classes if c not in set(unseen))
    training = listed(sketches, seen)
    mask = held_out(training.labels, np.array([len(sketches[c]) // 8 for c in seen]), seed)
    return Listing(
        root.resolve().name,
        split,
        root,
        seen,
        unseen,
        train_sketch=training.keep(~mask),
        val_sketch=training.keep(mask),
        train_photo=listed(photos, seen),
        query=listed(sketches, unseen),
        gallery=listed(photos, unseen),
        note=" ".join(notes),
    )


def examine_folder(root: Path) -> tuple[dict[str, list[str]], dict[str, list[str]], list[Problem], list[str]]:
    """Photos and sketches by class (paths relative to ``root``), problems, and notes on other files."""
    problems: list[Problem] = []
    left_out: LeftOut = defaultdict(list)
    photos, sketches = (class_folders(root, domain, problems, left_out, LAYOUT) for domain in ("photo", "sketch"))
    for classes, others, one, other in ((photos, sketches, "photo", "sketch"), (sketches, photos, "sketch", "photo")):
        for name in sorted(classes.keys() - others) if others else ():
            text = f"this class has no folder {other}/{name}. Each needs photos and sketches: add them, or remove it."
            problems.append(Problem(f"{root}/{one}/{name}", 0, text))
    if len(photos) < 2 and not problems:
        text = f"has {len(photos)} class. Zero-shot retrieval trains on some classes and tests on others: add some."
        problems.append(Problem(str(root), 0, text))
    notes = [left_out_text(left_out)] if left_out else []
    try:
        rows = read_classes(root / "synsets.csv") if (root / "synsets.csv").is_file() else []
    except DataError:  # the same error is raised when synsets are looked up
        rows = []
    class_keys = {class_key(name) for name in (*photos, *sketches)}
    unset = class_keys - {class_key(name) for _, name, _, _ in rows}
    for place, name, _, _ in rows:
        if class_key(name) in class_keys:
            continue
        if get_close_matches(class_key(name), unset, cutoff=0.6):  # a typing error
            problems.append(Problem(place, 0, f"class {name!r} is not there. {near_misses(name, sorted(photos))}"))
        else:
            notes.append(f"{place}: there is no class {name!r}; the line does nothing.")
    return photos, sketches, problems, notes


def walk(root: Path, below: str = "", left_out: LeftOut | None = None, drawings: bool = False) -> Walk:
    """List ``root/below``, a folder with its sub-folders or one file; paths are relative to ``root``.

    Images are not opened. Linked folders are not entered, since a link may lead back.

    Args:
        left_out: is extended.
        drawings: also list each drawing in a file of drawings (:mod:`.quickdraw`).
    """
    listing = Walk() if left_out is None else Walk(left_out=left_out)

    def refuse(error: OSError) -> None:
        place = Path(error.filename).relative_to(root).as_posix()
        listing.refused[place] = f"is a folder that cannot be read ({error.strerror}). Change its rights, or remove it."

    def take(name: str) -> None:
        if drawings and is_drawings(name):
            try:
                listing.images.extend([f"{name}:{number}" for number, _ in lines(root / name)])
            except DataError as error:
                listing.refused[name] = str(error).removeprefix(f"{root / name}: ")
        elif kind := left_out_as(Path(name), False):
            listing.left_out[kind].append(name)
        else:
            listing.images.append(name)

    if (root / below).is_file():
        take(below)
        return listing
    for place, folders, names in os.walk(root / below, onerror=refuse):
        within, entered = Path(place).relative_to(root), []
        for name in sorted(folders):
            if kind := left_out_as(Path(place, name), True):
                listing.left_out[kind].append((within / name).as_posix())
            else:
                entered.append(name)
        for name in sorted(names):
            take((within / name).as_posix())
        folders[:] = entered
    listing.images.sort(key=place_of)
    return listing


def left_out_as(path: Path, folder: bool) -> str:
    """The reason to leave out an entry, such as ``"hidden file"``; empty for an image, and for a folder to enter."""
    if path.name.startswith("."):
        return "hidden folder" if folder else "hidden file"
    if folder:
        return "system folder" if path.name.lower() in SYSTEM else LINKED if path.is_symlink() else ""
    return "" if is_image_name(path.name) else path.suffix.lower() or "other file"


def left_out_text(left_out: Mapping[str, Sequence[str]]) -> str:
    """``"Left out: 2 .heic (such as IMG_1.HEIC), ..."``; empty if nothing was left out."""
    kinds = []
    for kind, names in left_out.items():
        plural = "s" if len(names) > 1 and not kind.startswith(".") else ""
        kinds.append(f"{len(names):,} {kind}{plural} ({'such as ' * (len(names) > 1)}{names[0]})")
    text = f"Left out: {', '.join(kinds)}. Images are {READABLE}; hidden, system and linked folders are not entered."
    return printable(text) if kinds else ""


def class_folders(
    root: Path, domain: str, problems: list[Problem], left_out: LeftOut, layout: str
) -> dict[str, list[str]]:
    """Class name -> paths of the images in ``root/domain/<class>/**``, relative to ``root``; both sorted.

    ``problems`` and ``left_out`` are extended; ``layout`` says what the folder should hold.
    """
    folder, entries, trouble = root / domain, [], "is not there"
    by_class: dict[str, list[str]] = {}
    if folder.is_dir():
        try:
            entries, trouble = sorted(folder.iterdir()), "holds no class folder"
        except PermissionError:
            trouble = "cannot be read; change its rights"
    for entry in entries:
        drawings = domain == "sketch" and entry.is_file() and is_drawings(entry.name)
        name = unicodedata.normalize("NFC", class_of(entry.name) if drawings else entry.name)
        kind = "" if drawings else left_out_as(entry, entry.is_dir())
        if kind and kind != LINKED:  # a class folder may be a link
            left_out[kind].append(f"{domain}/{entry.name}")
        elif not entry.is_dir() and not drawings:
            problems.append(Problem(str(entry), 0, f"lies in no class folder. Move it to {domain}/<class>/."))
        elif name in by_class:
            how = "as a folder or file" if drawings else "in different Unicode"
            problems.append(Problem(str(entry), 0, f"is class {name!r}, which is there {how} too. Merge the two."))
        else:
            inside = walk(root, f"{domain}/{entry.name}", left_out, drawings=domain == "sketch")
            by_class[name] = [n for n in inside.images if printable(n) == n]
            wrong = {n: "its name is not valid UTF-8; rename it." for n in inside.images if printable(n) != n}
            problems += [Problem(f"{root}/{printable(n)}", 0, why) for n, why in (wrong | inside.refused).items()]
            if not inside.images and not inside.refused:
                lack = "drawing. Add some, or remove the file" if drawings else "image. Add some, or remove the folder"
                problems.append(Problem(str(entry), 0, f"holds no {lack}."))
    if not by_class:
        problems.append(Problem(str(folder), 0, f"{trouble}. {layout}"))
    return by_class


def _named(file: Path, classes: list[str]) -> tuple[str, ...]:
    """The classes that ``unseen.txt`` names, in its order."""
    names: list[str] = []
    place = f"{file}"
    try:
        for number, line in enumerate(file.read_bytes().split(b"\n"), 1):
            place = f"{file}, line {number}"
            name = unicodedata.normalize("NFC", line.decode("utf-8-sig").strip())
            if name and name not in classes:
                raise DataError(f"{place}: class {name!r} is not there. {near_misses(name, classes)}")
            if name in names:
                raise DataError(f"{place}: class {name!r} is named twice. Remove one of the lines.")
            names += [name] if name else []
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", error)
        raise DataError(f"{place}: cannot be read ({why}). Write one class name a line, in UTF-8.") from error
    if not names:
        raise DataError(f"{file}: names 0 of {len(classes)} classes. Name those that stay unseen, one a line.")
    return tuple(names)
