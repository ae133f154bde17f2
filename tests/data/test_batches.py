"""Batches: the official code's zipped loaders, as a pure function of seed and epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakerepro.data.batches import epoch_batches
from sakerepro.errors import ConfigError

SIZES = st.integers(1, 60)


@pytest.mark.parametrize(
    ("sketches", "photos", "batch", "steps", "used"),
    [
        (15_400, 176_500, (4, 36), 3_850, (15_400, 138_600)),  # TU-Berlin: all sketches, 78% of the photos
        (55_252, 68_401, (13, 26), 2_631, (34_203, 68_401)),  # Sketchy: 62% of the sketches, all photos
    ],
)
def test_the_paper_s_epochs(sketches, photos, batch, steps, used):
    batches = epoch_batches(sketches, photos, *batch, seed=0, epoch=0)
    assert len(batches) == steps
    assert (sum(len(s) for s, _ in batches), sum(len(p) for _, p in batches)) == used


@given(SIZES, SIZES, SIZES, SIZES, st.integers(0, 5))
def test_an_epoch_repeats_nothing_and_ends_with_the_shorter_loader(n: int, m: int, a: int, b: int, seed: int) -> None:
    batches = epoch_batches(n, m, a, b, seed, epoch=1)
    sketches = np.concatenate([s for s, _ in batches])
    photos = np.concatenate([p for _, p in batches])
    for index, count in ((sketches, n), (photos, m)):
        assert len(set(index.tolist())) == len(index) and set(index.tolist()) <= set(range(count))
    assert len(sketches) == n or len(photos) == m
    assert all(len(s) == a and len(p) == b for s, p in batches[:-1])
    assert all(0 < len(s) <= a and 0 < len(p) <= b for s, p in batches)


@given(SIZES, SIZES, SIZES, SIZES, st.integers(1, 100))
def test_asked_for_steps_come_in_whole_rounds(n: int, m: int, a: int, b: int, steps: int) -> None:
    batches = epoch_batches(n, m, a, b, seed=3, epoch=0, steps=steps)
    assert len(batches) == steps
    rounds = -(-n // a)
    for start in range(0, steps - rounds + 1, rounds):  # each round of a loader is a permutation
        shown = np.concatenate([s for s, _ in batches[start : start + rounds]])
        assert sorted(shown.tolist()) == list(range(n))
    natural = epoch_batches(n, m, a, b, seed=3, epoch=0)
    for (s, p), (t, q) in zip(natural, batches, strict=False):  # fewer steps are a prefix of the epoch
        assert np.array_equal(s, t) and np.array_equal(p, q)


def test_seed_and_epoch_decide_the_order() -> None:
    def order(seed: int, epoch: int) -> list[int]:
        return np.concatenate([s for s, _ in epoch_batches(50, 50, 7, 7, seed, epoch)]).tolist()

    assert order(1, 2) == order(1, 2)
    assert len({tuple(order(s, e)) for s, e in ((1, 2), (2, 1), (1, 1), (2, 2))}) == 4


@pytest.mark.parametrize("empty", ["n_sketch", "n_photo"])
def test_nothing_to_draw_from_is_refused(empty: str) -> None:
    settings = dict(n_sketch=5, n_photo=5, batch_sketch=2, batch_photo=2, seed=0, epoch=0)
    with pytest.raises(ConfigError, match="to train on"):
        epoch_batches(**{**settings, empty: 0})
