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
from ..errors import ConfigError, RunError, near_misses
from .dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from .listing import fingerprint_of
from .world_classes import WorldClass, of_role
from .world_draw import HELD_OUT, VERSION, check_size, draw
from .world_files import write_world

__all__ = ["Counts", "World", "draw", "load_world", "make_world", "write_world"]

_PACKS = ("original", "photos", "sketches")


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
    plan = _plan(amount)
    packs = {name: _drawn(plan[name], size, seed, name, progress) for name in _PACKS}
    digests = {name: _digests(pack) for name, pack in packs.items()}
    return _assemble(amount, size, packs, digests, None)


def load_world(size: int = 48, seed: int = 0, *, progress: bool = True, **counts: int) -> World:
    """The world of :func:`make_world`, drawn once and memory-mapped from the cache ever after.

    Raises:
        ConfigError: as :func:`make_world`.
        RunError: if the cache cannot be written.
    """
    amount = _counts(counts)
    check_size(size, seed)
    key = files.short_hash([VERSION, size, seed, asdict(amount), [c.name for c in _classes()]])
    folder = paths.cache() / f"world-{key}"
    if (world := _open(folder, amount, size)) is not None:
        return world
    waiting = "Another process draws the miniature world; waiting for it."
    with files.lock(folder.parent / f"{folder.name}.lock", waiting):
        if (world := _open(folder, amount, size)) is not None:
            return world
        made = make_world(size, seed, progress=progress, **counts)
        with files.write_folder_whole(folder) as temporary:
            for name, pack in zip(_PACKS, _pixels(made), strict=True):
                np.save(temporary / f"{name}.npy", pack, allow_pickle=False)
            marks = {"dataset": made.dataset.fingerprint, "original": made.original.fingerprint}
            files.write_json(temporary / "index.json", {"size": size, "seed": seed, "version": VERSION} | marks)
    world = _open(folder, amount, size)
    if world is None:
        raise RunError(f"{folder}: cannot be read back after writing. Check the disk, or set SAKEREPRO_CACHE.")
    return world


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
    from tqdm import tqdm

    channels = 1 if what == "sketches" else 3
    pack = np.empty((len(wanted), size, size, channels), np.uint8)
    bar = tqdm(wanted, f"drawing the miniature world: {what}", file=sys.stderr, disable=None if progress else True)
    for i, (name, domain, index) in enumerate(bar):
        pack[i] = draw(name, domain, size, seed, index)
    return pack


def _digests(pack: np.ndarray) -> np.ndarray:
    digests = b"".join(hashlib.sha256(image.tobytes()).digest() for image in pack)
    return np.frombuffer(digests, np.uint8).reshape(len(pack), 32)


def _assemble(n: Counts, size: int, packs: dict[str, np.ndarray], digests: dict[str, np.ndarray] | None,
              marks: dict[str, str] | None) -> World:  # fmt: skip
    """The image sets over three packs; fingerprints from the digests of the images, or as they were kept."""
    original, seen, unseen = of_role("original"), of_role("seen"), of_role("unseen")
    plan = _plan(n)
    place = {
        "train": ("original", original, n.original_train), "val": ("original", original, n.original_val),
        "train_photo": ("photos", seen, n.train_photo), "gallery": ("photos", unseen, n.gallery),
        "train_sketch": ("sketches", seen, n.train_sketch), "val_sketch": ("sketches", seen, n.val_sketch),
        "query": ("sketches", unseen, n.query),
    }  # fmt: skip
    begin = dict.fromkeys(_PACKS, 0)
    sets: dict[str, ImageSet] = {}
    for key, (pack, classes, per_class) in place.items():
        rows = begin[pack] + np.arange(len(classes) * per_class)
        begin[pack] += len(rows)
        labels = np.repeat(np.arange(len(classes)), per_class)
        names = tuple(_file_name(*plan[pack][row]) for row in rows)
        sets[key] = ImageSet(packs[pack], rows, labels, names, SKETCH if pack == "sketches" else PHOTO)

    def mark(of: str, classes: Sequence[Sequence[str]], keys: list[str]) -> str:
        if marks is not None:
            return marks[of]
        assert digests is not None
        contents = [digests[place[k][0]][sets[k].rows] for k in keys]
        return fingerprint_of(size, classes, [sets[k] for k in keys], contents)

    keys = ["train_sketch", "val_sketch", "train_photo", "query", "gallery"]
    seen_names, unseen_names = tuple(c.name for c in seen), tuple(c.name for c in unseen)
    wnids = tuple(c.wnid for c in original)
    dataset = Dataset(
        "mini", "zeroshot", seen_names, unseen_names, sets["train_sketch"], sets["val_sketch"], sets["train_photo"],
        sets["query"], sets["gallery"], mark("dataset", (seen_names, unseen_names), keys),
    )  # fmt: skip
    mine = mark("original", (wnids,), ["train", "val"])
    return World(dataset, OriginalDomain("mini", wnids, sets["train"], sets["val"], mine))


def _file_name(name: str, domain: int, index: int) -> str:
    return f"{'photo' if domain == PHOTO else 'sketch'}/{name}/{index:04d}.png"


def _pixels(world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return world.original.train.pixels, world.dataset.gallery.pixels, world.dataset.query.pixels


def _open(folder: Path, amount: Counts, size: int) -> World | None:
    """The world in the cache, or ``None`` if it is not there or damaged."""
    if not (folder / "index.json").is_file():
        return None
    try:
        marks = files.read_json(folder / "index.json")
        packs = {n: np.load(folder / f"{n}.npy", mmap_mode="r", allow_pickle=False) for n in _PACKS}
        for name, wanted in _plan(amount).items():
            shape = (len(wanted), size, size, 1 if name == "sketches" else 3)
            if packs[name].shape != shape or packs[name].dtype != np.uint8:
                raise ValueError(f"{name}.npy is not of shape {shape}")
        return _assemble(amount, size, packs, None, {k: marks[k] for k in ("dataset", "original")})
    except (OSError, ValueError, KeyError, TypeError, RunError) as error:
        print(f"{paths.shown(folder)}: is damaged ({error}); drawn again.", file=sys.stderr)
        return None


def read_dataset(size: int, seed: int, progress: bool = True) -> Dataset:
    """The world's task, as the record ``mini`` is read."""
    return load_world(size, seed, progress=progress).dataset


def read_original(size: int, seed: int, progress: bool = True) -> OriginalDomain:
    """The world's original domain."""
    return load_world(size, seed, progress=progress).original
