"""The generated world: a zero-shot retrieval task with its original domain, for preset ``mini`` and tests.

Every image is a function of (seed, class, domain, index, size) alone. Classes are real WordNet nouns
(:mod:`classes`), drawn from plans of parts (:mod:`plans`) as photos or sketches (:mod:`render`).
The pictures are synthetic: numbers on them show that the pipeline works, but are no evidence for the paper.
"""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import files, paths
from ..data.dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from ..data.listing import fingerprint_of
from ..display import bar
from ..errors import ConfigError, RunError, near_misses
from .classes import CLASSES, ORIGINAL_WNIDS, Role, of_role
from .draw import HELD_OUT, PHOTOS, SKETCHES, check_size, draw


@dataclass(frozen=True)
class Counts:
    """Images a class."""

    original_train: int = 120
    original_val: int = 10
    train_photo: int = 40
    train_sketch: int = 30
    val_sketch: int = 5
    gallery: int = 40
    query: int = 15


class _Set(NamedTuple):
    """An image set: some images of each class of one role."""

    pack: str  # its array, which the sets share in this order
    role: Role
    per_class: str  # the field of Counts with the number of images of a class
    first: int = 0  # index of the first image


_SETS = {  # parts, each drawn and cached as a whole
    "dataset": {
        "train_sketch": _Set("sketches", "seen", "train_sketch"),
        "val_sketch": _Set("sketches", "seen", "val_sketch", HELD_OUT),
        "train_photo": _Set("photos", "seen", "train_photo"),
        "query": _Set("sketches", "unseen", "query"),
        "gallery": _Set("photos", "unseen", "gallery"),
    },
    "original": {
        "train": _Set("original", "original", "original_train"),
        "val": _Set("original", "original", "original_val", HELD_OUT),
    },
}


def load_world(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> Dataset:
    """The task of the generated world, drawn once and then memory-mapped from the cache.

    Args:
        size: side of the images.
        seed: for all pictures.
        progress: show a bar with the remaining time on stderr.
        counts: images of a class that differ from :class:`Counts`, such as ``query=5``.

    Raises:
        ConfigError: for an unknown count, or a value out of range.
        RunError: if the cache cannot be written.
    """
    return _load("dataset", size, seed, progress, counts)


def load_world_original(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> OriginalDomain:
    """The original domain of the same world, cached apart: it has most of the images, and few callers need it."""
    return _load("original", size, seed, progress, counts)


def original_key(size: int = 48, seed: int = 0) -> str:
    """12 hexadecimal digits that identify the images of the original domain; none is drawn."""
    n = Counts()
    classes = [(c.name, c.wnid) for c in of_role("original")]
    return files.short_hash([PHOTOS, size, seed, n.original_train, n.original_val, classes])


def _load(part: str, size: int, seed: int, progress: bool, counts: dict[str, int]) -> Any:
    amount = _checked(size, seed, counts)
    version = [PHOTOS, SKETCHES] if part == "dataset" else PHOTOS
    key = files.short_hash([version, size, seed, asdict(amount), [c.name for c in CLASSES]])
    folder = paths.cache() / f"world-{part}-{key}"

    def make(new: Path) -> None:
        packs = _drawn(part, amount, size, seed, progress)
        fingerprint = _assemble(part, amount, size, packs).fingerprint
        for name, pack in packs.items():
            np.save(new / f"{name}.npy", pack, allow_pickle=False)
        marks = {"size": size, "seed": seed, "version": version, "fingerprint": fingerprint}
        files.write_json(new / "index.json", marks)

    waiting = "Another process draws the generated world; waiting for it."
    return files.find_or_make(folder, lambda: _open(folder, part, amount, size), make, waiting)


def _checked(size: int, seed: int, counts: dict[str, Any]) -> Counts:
    check_size(size, seed)
    names = tuple(asdict(Counts()))
    for name, value in counts.items():
        if name not in names:
            raise ConfigError(f"the generated world has no count {name!r}. {near_misses(name, names)}")
        if not isinstance(value, int) or not 0 <= value <= HELD_OUT or (value == 0 and name != "val_sketch"):
            raise ConfigError(f"{name} = {value!r} images a class: has to be a whole number from 1 to {HELD_OUT}.")
    return replace(Counts(), **counts)


def _images(part: str, amount: Counts) -> dict[str, list[tuple[str, int, int]]]:
    """Class, domain and index of every image of each pack, in the order of its rows."""
    packs: dict[str, list[tuple[str, int, int]]] = {}
    for pack, role, per_class, first in _SETS[part].values():
        domain, indices = SKETCH if pack == "sketches" else PHOTO, range(first, first + getattr(amount, per_class))
        packs.setdefault(pack, []).extend((c.name, domain, i) for c in of_role(role) for i in indices)
    return packs


def _drawn(part: str, amount: Counts, size: int, seed: int, progress: bool) -> dict[str, np.ndarray]:
    packs = {}
    for pack, images in _images(part, amount).items():
        packs[pack] = np.empty((len(images), size, size, 1 if pack == "sketches" else 3), np.uint8)
        shown = bar(images, f"drawing the generated world: {pack}", progress=progress)
        for row, (name, domain, index) in enumerate(shown):
            packs[pack][row] = draw(name, domain, size, seed, index)
    return packs


def _assemble(part: str, amount: Counts, size: int, packs: dict[str, np.ndarray], fingerprint: str = "") -> Any:
    """The image sets of a part, each with its rows of a pack; the fingerprint is computed if it is not given."""
    images, end = _images(part, amount), dict.fromkeys(packs, 0)
    sets: dict[str, ImageSet] = {}
    for key, (pack, role, per_class, _) in _SETS[part].items():
        labels = np.repeat(np.arange(len(of_role(role))), getattr(amount, per_class))
        rows = end[pack] + np.arange(len(labels))
        end[pack] += len(rows)
        domain = SKETCH if pack == "sketches" else PHOTO
        sets[key] = ImageSet(packs[pack], rows, labels, tuple(_file_name(*images[pack][row]) for row in rows), domain)
    roles: tuple[Role, ...] = ("seen", "unseen")
    seen, unseen = (tuple(c.name for c in of_role(role)) for role in roles)
    classes = (ORIGINAL_WNIDS,) if part == "original" else (seen, unseen)
    if not fingerprint:
        contents = [b"".join(files.digest(s.pixels[row].tobytes()) for row in s.rows) for s in sets.values()]
        digests = [np.frombuffer(content, np.uint8) for content in contents]
        fingerprint = fingerprint_of(size, classes, list(sets.values()), digests)
    if part == "original":
        return OriginalDomain("mini", ORIGINAL_WNIDS, **sets, fingerprint=fingerprint)
    return Dataset("mini", "zeroshot", seen, unseen, **sets, fingerprint=fingerprint)


def _file_name(name: str, domain: int, index: int) -> str:
    return f"{'photo' if domain == PHOTO else 'sketch'}/{name}/{index:04d}.png"


def _open(folder: Path, part: str, amount: Counts, size: int) -> Any:
    """A part of the world from the cache, or ``None`` if it is missing or damaged."""
    if not (folder / "index.json").is_file():
        return None
    try:
        fingerprint = files.read_json(folder / "index.json")["fingerprint"]
        packs = {}
        for name, images in _images(part, amount).items():
            packs[name] = np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            shape = (len(images), size, size, 1 if name == "sketches" else 3)
            if packs[name].shape != shape or packs[name].dtype != np.uint8:
                raise ValueError(f"{name}.npy is not of shape {shape}")
        return _assemble(part, amount, size, packs, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, RunError) as error:
        print(f"{paths.shown(folder)}: is damaged ({error}); drawn again.", file=sys.stderr)
        return None
