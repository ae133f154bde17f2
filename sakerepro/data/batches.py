"""Which images form which batch: a pure function of the seed and the epoch, so that a resumed run sees the same."""

from __future__ import annotations

import numpy as np

from ..errors import ConfigError


def generator(*seed: int) -> np.random.Generator:
    """Independent random numbers for a tuple of seeds such as (seed, epoch, step)."""
    return np.random.default_rng(np.random.SeedSequence(seed))


def epoch_batches(n_sketch: int, n_photo: int, batch_sketch: int, batch_photo: int, seed: int, epoch: int,
                  steps: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """Two shuffled loaders, zipped as in the official code: the epoch ends with the shorter of the two.

    The last batch of a loader may be smaller, and a set smaller than a batch is a batch of its own. With a batch size
    of 0, that domain is left out: its index is empty in every step.

    Args:
        n_sketch, n_photo: images in each training set.
        batch_sketch, batch_photo: images of each domain in a step (4 and 36 on TU-Berlin, 13 and 26 on Sketchy).
        seed, epoch: every pair has its own order.
        steps: exactly this many; a loader that runs out earlier starts again in a new order. ``None``: as zipped.

    Returns:
        (sketch index, photo index) of each step, int64.

    Raises:
        ConfigError: if a batch size is negative, both are 0, ``steps`` is below 1, or there is nothing to draw from.
    """
    if batch_sketch < 0 or batch_photo < 0 or batch_sketch + batch_photo == 0:
        raise ConfigError(f"batches of {batch_sketch} sketches and {batch_photo} photos cannot be. Give one or more.")
    if steps is not None and steps < 1:
        raise ConfigError(f"steps = {steps}: an epoch needs at least 1. Leave it out for the whole epoch.")
    for what, count, size in (("sketches", n_sketch, batch_sketch), ("photos", n_photo, batch_photo)):
        if size and not count:
            raise ConfigError(f"no {what} to train on, and batches of {size} asked for. Set that batch size to 0.")
    if steps is None:
        steps = min(-(-n // b) for n, b in ((n_sketch, batch_sketch), (n_photo, batch_photo)) if b)
    streams = np.random.default_rng([seed, epoch]).spawn(2)
    sketches = _loader(n_sketch, batch_sketch, steps, streams[0])
    photos = _loader(n_photo, batch_photo, steps, streams[1])
    return list(zip(sketches, photos, strict=True))


def _loader(count: int, size: int, steps: int, rng: np.random.Generator) -> list[np.ndarray]:
    batches: list[np.ndarray] = []
    while size and len(batches) < steps:
        order = rng.permutation(count)
        batches += [order[i : i + size] for i in range(0, count, size)]
    return batches[:steps] if size else [np.zeros(0, np.int64)] * steps
