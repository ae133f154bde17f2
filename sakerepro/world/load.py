"""The miniature world: a generated zero-shot retrieval task with its original domain, for preset ``mini`` and tests.

Every image is a function of (seed, class, domain, index, size) alone. Classes are real WordNet nouns
(:mod:`world_classes`), drawn from plans of parts (:mod:`world_plans`) as photos or sketches (:mod:`world_render`).
The pictures are made up: numbers on them show that the pipeline works, they are no evidence for the paper.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .. import files, paths
from ..data.dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from ..data.listing import fingerprint_of
from ..display import bar
from ..errors import ConfigError, RunError, near_misses
from .classes import ORIGINAL_WNIDS, Role, WorldClass, of_role
from .draw import HELD_OUT, VERSION, check_size, draw
from .files import write_world

__all__ = [
    "Counts", "World", "draw", "load_world", "load_world_original", "make_world", "original_key", "write_world",
]

_PARTS = {"dataset": ("photos", "sketches"), "original": ("original",)}  # what is drawn and kept together


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


class World(NamedTuple):
    """What a mini run needs."""

    dataset: Dataset
    original: OriginalDomain


def make_world(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> World:
    """Draw the world, without a look at the cache.

    Args:
        size: side of the images.
        seed: of all pictures.
        progress: show a bar with the time left on stderr.
        counts: images a class where they differ from :class:`Counts`, such as ``query=5``.

    Raises:
        ConfigError: for an unknown count, or a value that cannot be.
    """
    amount = _counts(counts)
    check_size(size, seed)
    made: dict[str, Any] = {}
    for part, names in _PARTS.items():
        packs = {name: _drawn(_plan(amount)[name], size, seed, name, progress) for name in names}
        made[part] = _assemble(part, amount, packs, _fingerprint(part, amount, size, packs))
    return World(**made)


def load_world(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> Dataset:
    """The task of :func:`make_world`, drawn once and memory-mapped from the cache ever after.

    Raises:
        ConfigError: as :func:`make_world`.
        RunError: if the cache cannot be written.
    """
    return _load("dataset", size, seed, progress, counts)


def load_world_original(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> OriginalDomain:
    """The original domain of :func:`make_world` in the same way: most of the world's images, which few need."""
    return _load("original", size, seed, progress, counts)


def original_key(size: int = 48, seed: int = 0) -> str:
    """12 digits that stand for the images of the original domain, without drawing one."""
    n = Counts()
    classes = [(c.name, c.wnid) for c in of_role("original")]
    return files.short_hash([VERSION, size, seed, n.original_train, n.original_val, classes])


def _load(part: str, size: int, seed: int, progress: bool, counts: dict[str, int]) -> Any:
    amount = _counts(counts)
    check_size(size, seed)
    key = files.short_hash([VERSION, size, seed, asdict(amount), [c.name for c in _classes()]])
    folder = paths.cache() / f"world-{part}-{key}"

    def make(new: Path) -> None:
        packs = {name: _drawn(_plan(amount)[name], size, seed, name, progress) for name in _PARTS[part]}
        fingerprint = _fingerprint(part, amount, size, packs)
        for name, pack in packs.items():
            np.save(new / f"{name}.npy", pack, allow_pickle=False)
        marks = {"size": size, "seed": seed, "version": VERSION, "fingerprint": fingerprint}
        files.write_json(new / "index.json", marks)

    waiting = "Another process draws the miniature world; waiting for it."
    return files.find_or_make(folder, lambda: _open(folder, part, amount, size), make, waiting)


def _counts(counts: dict[str, Any]) -> Counts:
    known = tuple(asdict(Counts()))
    for name, value in counts.items():
        if name not in known:
            raise ConfigError(f"the generated world has no count {name!r}. {near_misses(name, known)}")
        if not isinstance(value, int) or not 0 <= value <= HELD_OUT or (value == 0 and name != "val_sketch"):
            raise ConfigError(f"{name} = {value!r} images a class: has to be a whole number from 1 to {HELD_OUT}.")
    return replace(Counts(), **counts)


def _classes() -> tuple[WorldClass, ...]:
    return (*of_role("original"), *of_role("seen"), *of_role("unseen"))


Wanted = tuple[str, int, int]  # class name, domain, index


def _plan(n: Counts) -> dict[str, list[Wanted]]:
    """All images of each pack, in the order of its rows."""
    original, seen, unseen = of_role("original"), of_role("seen"), of_role("unseen")
    return {
        "original": [
            *_several(original, PHOTO, n.original_train),
            *_several(original, PHOTO, n.original_val, HELD_OUT),
        ],
        "photos": [*_several(seen, PHOTO, n.train_photo), *_several(unseen, PHOTO, n.gallery)],
        "sketches": [
            *_several(seen, SKETCH, n.train_sketch),
            *_several(seen, SKETCH, n.val_sketch, HELD_OUT),
            *_several(unseen, SKETCH, n.query),
        ],
    }


def _several(classes: Sequence[WorldClass], domain: int, n: int, start: int = 0) -> Iterable[Wanted]:
    return ((c.name, domain, start + i) for c in classes for i in range(n))


def _drawn(wanted: list[Wanted], size: int, seed: int, what: str, progress: bool) -> np.ndarray:
    channels = 1 if what == "sketches" else 3
    pack = np.empty((len(wanted), size, size, channels), np.uint8)
    for i, (name, domain, index) in enumerate(bar(wanted, f"drawing the miniature world: {what}", progress=progress)):
        pack[i] = draw(name, domain, size, seed, index)
    return pack


def _digests(pack: np.ndarray) -> np.ndarray:
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in pack)
    return np.frombuffer(digests, np.uint8).reshape(len(pack), 32)


def _sets(part: str, n: Counts, packs: dict[str, np.ndarray]) -> dict[str, ImageSet]:
    """The image sets over the packs of a part, each a run of rows."""
    original, seen, unseen = of_role("original"), of_role("seen"), of_role("unseen")
    place = {
        "train": ("original", original, n.original_train), "val": ("original", original, n.original_val),
        "train_photo": ("photos", seen, n.train_photo), "gallery": ("photos", unseen, n.gallery),
        "train_sketch": ("sketches", seen, n.train_sketch), "val_sketch": ("sketches", seen, n.val_sketch),
        "query": ("sketches", unseen, n.query),
    }
    plan, begin = _plan(n), dict.fromkeys(packs, 0)
    sets: dict[str, ImageSet] = {}
    for key, (pack, classes, per_class) in place.items():
        if pack in _PARTS[part]:
            rows = begin[pack] + np.arange(len(classes) * per_class)
            begin[pack] += len(rows)
            labels = np.repeat(np.arange(len(classes)), per_class)
            names = tuple(_file_name(*plan[pack][row]) for row in rows)
            sets[key] = ImageSet(packs[pack], rows, labels, names, SKETCH if pack == "sketches" else PHOTO)
    return sets


def _names(role: Role) -> tuple[str, ...]:
    return tuple(c.name for c in of_role(role))


def _fingerprint(part: str, n: Counts, size: int, packs: dict[str, np.ndarray]) -> str:
    sets = _sets(part, n, packs)
    keys = ("train", "val") if part == "original" else ("train_sketch", "val_sketch", "train_photo", "query", "gallery")
    classes = (ORIGINAL_WNIDS,) if part == "original" else (_names("seen"), _names("unseen"))
    digests = {id(pack): _digests(pack) for pack in packs.values()}
    contents = [digests[id(sets[key].pixels)][sets[key].rows] for key in keys]
    return fingerprint_of(size, classes, [sets[key] for key in keys], contents)


def _assemble(part: str, n: Counts, packs: dict[str, np.ndarray], fingerprint: str) -> Dataset | OriginalDomain:
    sets = _sets(part, n, packs)
    if part == "original":
        return OriginalDomain("mini", ORIGINAL_WNIDS, **sets, fingerprint=fingerprint)
    return Dataset("mini", "zeroshot", _names("seen"), _names("unseen"), **sets, fingerprint=fingerprint)


def _file_name(name: str, domain: int, index: int) -> str:
    return f"{'photo' if domain == PHOTO else 'sketch'}/{name}/{index:04d}.png"


def _open(folder: Path, part: str, amount: Counts, size: int) -> Dataset | OriginalDomain | None:
    """A part of the world in the cache, or ``None`` if it is not there or damaged."""
    if not (folder / "index.json").is_file():
        return None
    try:
        fingerprint = files.read_json(folder / "index.json")["fingerprint"]
        packs = {n: np.load(folder / f"{n}.npy", mmap_mode="r", allow_pickle=False) for n in _PARTS[part]}
        for name, pack in packs.items():
            shape = (len(_plan(amount)[name]), size, size, 1 if name == "sketches" else 3)
            if pack.shape != shape or pack.dtype != np.uint8:
                raise ValueError(f"{name}.npy is not of shape {shape}")
        return _assemble(part, amount, packs, fingerprint)
    except (OSError, ValueError, KeyError, TypeError, RunError) as error:
        print(f"{paths.shown(folder)}: is damaged ({error}); drawn again.", file=sys.stderr)
        return None
