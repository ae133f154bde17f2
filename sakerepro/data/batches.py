"""The plan of batches: a function of seed and epoch alone, so that a resumed run sees the same batches."""

from __future__ import annotations

from pathlib import PurePosixPath

import numpy as np

from ..errors import ConfigError, DataError
from .dataset import Dataset


def generator(*seed: int) -> np.random.Generator:
    """Independent random numbers for a tuple of seeds such as (seed, epoch, step)."""
    return np.random.default_rng(seed)


def epoch_batches(
    n_sketch: int, n_photo: int, batch_sketch: int, batch_photo: int, seed: int, epoch: int, steps: int | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Two shuffled loaders, zipped as in the official code: the epoch ends with the shorter of the two.

    The last batch of a loader may be smaller, and a set smaller than a batch is a batch of its own.

    Args:
        n_sketch, n_photo: images in each training set.
        batch_sketch, batch_photo: images of each domain in a step (4 and 36 on TU-Berlin, 13 and 26 on Sketchy).
        seed, epoch: together they give the order.
        steps: number of steps; a loader that ends earlier starts again in a new order. ``None``: as zipped.

    Returns:
        (sketch index, photo index) of each step, int64.

    Raises:
        ConfigError: if a training set is empty.
    """
    for kind, count in (("sketches", n_sketch), ("photos", n_photo)):
        if not count:
            raise ConfigError(f"no {kind} to train on.")
    if steps is None:
        steps = zipped_steps(n_sketch, n_photo, batch_sketch, batch_photo)
    sketch_rng, photo_rng = np.random.default_rng([seed, epoch]).spawn(2)
    sketches, photos = (
        _loader(n_sketch, batch_sketch, steps, sketch_rng),
        _loader(n_photo, batch_photo, steps, photo_rng),
    )
    return list(zip(sketches, photos, strict=True))


def zipped_steps(n_sketch: int, n_photo: int, batch_sketch: int, batch_photo: int) -> int:
    """Steps until the shorter of two loaders ends."""
    return min(-(-n_sketch // batch_sketch), -(-n_photo // batch_photo))


def pair_batches(
    data: Dataset, pairs: int, steps: int, seed: int, epoch: int, *, aligned: bool = False, balanced: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of a sketch and a photo of its class.

    Sketches are shuffled, and each is shown before any is shown again. Photos are drawn with replacement.

    Args:
        pairs: number of pairs in every step.
        steps: number of steps in the epoch.
        seed, epoch: together they give the order.
        aligned: take the photo that the sketch was drawn from; sketches without such a photo are left out.
        balanced: draw the class of each sketch uniformly, with replacement (as SEM-PCYC does).

    Returns:
        (sketch rows, photo rows) of each step, int64 of one length; row i of both is a pair.

    Raises:
        ConfigError: if ``pairs`` or ``steps`` is below 1.
        DataError: if no sketch is ``aligned`` with a photo, or a class with sketches has no photo.
    """
    if pairs < 1 or steps < 1:
        raise ConfigError(f"{steps} steps of {pairs} pairs do not work. Give 1 or more of both.")
    labels = data.train_sketch.labels
    partner = require_aligned(data) if aligned else np.zeros(len(labels), np.int64)
    sketches = np.flatnonzero(partner >= 0)
    streams = np.random.default_rng([seed, epoch, 2]).spawn(2)
    draw = _balanced if balanced else _shuffled
    chosen = sketches[draw(labels[sketches], pairs * steps, streams[0])].reshape(steps, pairs)
    if aligned:
        return [(rows, partner[rows]) for rows in chosen]
    photos = _photos(data)
    return [(rows, photos.same(labels[rows], streams[1])) for rows in chosen]


def triplet_batches(
    data: Dataset, triplets: int, steps: int, seed: int, epoch: int, *, aligned: bool = False
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Triplets of a sketch, a photo of its class and a photo of another class.

    Args:
        data, steps, seed, epoch, aligned: as in :func:`pair_batches`; the positives are its photos.
        triplets: number of triplets in every step.

    Returns:
        (n sketch rows, 2 n photo rows) of each step: n positives, then n negatives, uniform over the photos of all
        other classes.

    Raises:
        ConfigError, DataError: as :func:`pair_batches`; also if all photos are of one class.
    """
    photos = _photos(data)
    rng = np.random.default_rng([seed, epoch, 3])
    plan = pair_batches(data, triplets, steps, seed, epoch, aligned=aligned)
    return [(s, np.concatenate([p, photos.other(data.train_sketch.labels[s], rng)])) for s, p in plan]


class _ByClass:
    """Positions of labels, class by class."""

    def __init__(self, labels: np.ndarray, classes: int) -> None:
        self.counts = np.bincount(labels, minlength=classes)
        self.order, self.first = np.argsort(labels, kind="stable"), np.cumsum(self.counts) - self.counts

    def same(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A position of each class."""
        return self.order[self.first[classes] + rng.integers(self.counts[classes])]

    def other(self, classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A position outside each class."""
        others = len(self.order) - self.counts[classes]
        if not others.all():
            raise DataError("all training photos are of one class, so a triplet has no negative. Use more classes.")
        place = rng.integers(others)
        return self.order[place + np.where(place >= self.first[classes], self.counts[classes], 0)]


def _photos(data: Dataset) -> _ByClass:
    """The training photos by class; a DataError if a class with sketches has none."""
    labels = data.train_photo.labels
    if (bare := np.setdiff1d(data.train_sketch.labels, labels)).size:
        raise DataError(
            f"{data.name}/{data.split}: class {data.seen[bare[0]]!r} has training sketches and no "
            f"training photo ({bare.size} such classes). Pairs need both; add photos."
        )
    return _ByClass(labels, len(data.seen))


def _shuffled(labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) positions: one permutation after the other, so that every batch is full."""
    rounds = -(-n // len(labels))
    return np.concatenate([rng.permutation(len(labels)) for _ in range(rounds)])[:n]


def _balanced(labels: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    """(n,) positions: a class uniformly, then one of its members."""
    present = np.unique(labels)
    return _ByClass(labels, 0).same(present[rng.integers(len(present), size=n)], rng)


def require_aligned(data: Dataset) -> np.ndarray:
    """(M,) int64: the row of the training photo that each training sketch was drawn from, -1 if unknown.

    File names tell: in Sketchy the sketches ``n02691156_58-1.png``, ``n02691156_58-2.png`` ... of a class are drawn
    from its photo ``n02691156_58.jpg``.

    Raises:
        DataError: if no sketch names the photo it was drawn from.
    """
    photos: dict[tuple[int, str], int] = {}
    for row, (label, name) in enumerate(zip(data.train_photo.labels.tolist(), data.train_photo.names, strict=True)):
        photos.setdefault((label, PurePosixPath(name).stem), row)
    sketches = zip(data.train_sketch.labels.tolist(), data.train_sketch.names, strict=True)
    rows = (photos.get((label, PurePosixPath(name).stem.rpartition("-")[0]), -1) for label, name in sketches)
    aligned = np.fromiter(rows, np.int64, len(data.train_sketch))
    if not (aligned >= 0).any():
        raise DataError(
            f"{data.name}/{data.split}: aligned pairs need the photo that each sketch was drawn from, and "
            "no sketch here names one (Sketchy does: photo n02691156_58.jpg, sketch n02691156_58-1.png). "
            "Use Sketchy, or pairs=class where the method has that setting."
        )
    return aligned


def _loader(count: int, size: int, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    batches: list[np.ndarray] = []
    while len(batches) < steps:
        order = rng.permutation(count)
        batches += [order[i : i + size] for i in range(0, count, size)]
    return batches[:steps]
