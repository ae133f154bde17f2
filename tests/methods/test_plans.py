"""Pairs and triplets, and which photo a sketch was drawn from."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import frozen
import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from sakerepro import methods
from sakerepro.data.batches import pair_batches, require_aligned, triplet_batches
from sakerepro.data.dataset import Dataset
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import Experiment
from sakerepro.methods import Method
from sakerepro.runs import check_settings

TINY = tiny.dataset()
COUNTS = st.integers(1, 40)


def named(data: Dataset) -> Dataset:
    """Sketch i of a class drawn from its photo i // 2, but for the last of each class, whose photo is unknown."""
    names = [n for n in data.train_sketch.names]
    for row, name in enumerate(names):
        place, number = name.removesuffix(".png").rsplit("/", 1)
        last = int(number) == tiny.SKETCHES - 1
        names[row] = f"{place}/{'gone' if last else int(number) // 2}-{int(number) % 2 + 1}.png"
    return replace(data, train_sketch=replace(data.train_sketch, names=tuple(names)))


@given(COUNTS, COUNTS, st.integers(0, 3), st.integers(0, 3), st.booleans())
def test_pairs_are_of_one_class_in_full_batches(n: int, steps: int, seed: int, epoch: int, balanced: bool) -> None:
    plan = pair_batches(TINY, n, steps, seed, epoch, balanced=balanced)
    assert [(len(s), len(p)) for s, p in plan] == [(n, n)] * steps
    for s, p in plan:
        assert np.array_equal(TINY.train_sketch.labels[s], TINY.train_photo.labels[p])
    again = pair_batches(TINY, n, steps, seed, epoch, balanced=balanced)
    assert all(np.array_equal(one, two) for one, two in zip(plan, again, strict=True))


def test_every_sketch_is_shown_before_one_is_shown_again_and_photos_are_uniform() -> None:
    plan = pair_batches(TINY, 5, 2000, seed=0, epoch=0)
    sketches, photos = (np.concatenate(rows) for rows in zip(*plan, strict=True))
    total = len(TINY.train_sketch)
    for start_at in range(0, 280, total):
        assert sorted(sketches[start_at : start_at + total]) == list(range(total))
    counts = np.bincount(photos, minlength=len(TINY.train_photo))
    assert abs(counts - counts.mean()).max() < 5 * np.sqrt(counts.mean())


def test_balanced_pairs_show_a_rare_class_as_often() -> None:
    rows_left = np.r_[0, 7 : len(TINY.train_sketch)]  # one sketch of the first class
    data = replace(TINY, train_sketch=TINY.train_sketch.select(rows_left))
    for balanced, low, high in ((False, 0.02, 0.08), (True, 0.2, 0.3)):
        rows = np.concatenate([s for s, _ in pair_batches(data, 10, 300, 0, 0, balanced=balanced)])
        assert low < (data.train_sketch.labels[rows] == 0).mean() < high


@given(COUNTS, COUNTS, st.integers(0, 3))
def test_triplets_hold_positives_then_negatives(n: int, steps: int, epoch: int) -> None:
    plan = triplet_batches(TINY, n, steps, 1, epoch)
    assert len(plan) == steps
    for s, p in plan:
        anchor, photos = TINY.train_sketch.labels[s], TINY.train_photo.labels[p]
        assert len(p) == 2 * n and (photos[:n] == anchor).all() and (photos[n:] != anchor).all()


def test_negatives_are_uniform_over_the_other_classes() -> None:
    keep = TINY.train_photo.labels != 2
    keep[np.flatnonzero(~keep)[:3]] = True  # 12, 12, 3 and 12 photos
    data = replace(TINY, train_photo=TINY.train_photo.select(keep))
    seen: Counter[int] = Counter()
    for s, p in triplet_batches(data, 20, 400, 0, 0):
        seen.update(p[20:][data.train_sketch.labels[s] == 0].tolist())
    assert set(seen) == set(np.flatnonzero(data.train_photo.labels != 0))
    mean = sum(seen.values()) / len(seen)
    assert max(abs(v - mean) for v in seen.values()) < 5 * mean**0.5


def test_epochs_differ() -> None:
    plans = [
        np.concatenate([p for _, p in make(TINY, 7, 4, seed, epoch)]).tolist()
        for make in (pair_batches, triplet_batches)
        for seed, epoch in ((0, 1), (1, 0), (0, 0))
    ]
    assert len({tuple(p) for p in plans}) == 6


def test_aligned_pairs_follow_the_names() -> None:
    data = named(TINY)
    photo_rows = require_aligned(data)
    for row, name in enumerate(data.train_sketch.names):
        place, stem = name.removesuffix(".png").rsplit("/", 1)
        photo = stem.split("-")[0]
        want = f"{place.replace('sketch', 'photo')}/{photo}.png"
        assert photo_rows[row] == (-1 if photo == "gone" else data.train_photo.names.index(want))
    for s, p in pair_batches(data, 6, 20, 0, 0, aligned=True):
        assert (p == photo_rows[s]).all() and (p >= 0).all()
    for s, p in triplet_batches(data, 6, 20, 0, 0, aligned=True):
        assert (p[:6] == photo_rows[s]).all()


def test_data_without_aligned_pairs_is_refused(tiny_experiment: Experiment) -> None:
    with pytest.raises(DataError, match="aligned pairs need the photo that each sketch was drawn from"):
        require_aligned(TINY)
    e = methods.change(tiny_experiment, method="GN-Triplet", pairs="aligned")
    with pytest.raises(DataError, match="pairs=class"):
        check_settings(e)


@pytest.mark.parametrize("steps", [0, 3])
def test_pairs_and_triplets_cost_as_many_images_as_sake_s_plan(steps: int) -> None:
    method = frozen.make("L_B", steps=steps, batch_sketch=5, batch_photo=7)

    def images(plan: object) -> int:
        return sum(len(s) + len(p) for s, p in plan)

    sake = images(Method.plan(method, TINY, 0))
    assert abs(images(method.pairs(TINY, 0)) - sake) < 12
    assert abs(images(method.triplets(TINY, 0)) - sake) < 12
    assert [(len(s), len(p)) for s, p in method.pairs(TINY, 0, size=9)] == [(9, 9)] * 4  # once through 28 sketches


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError):
        pair_batches(TINY, 0, 3, 0, 0)
    bare = replace(TINY, train_photo=TINY.train_photo.select(TINY.train_photo.labels != 1))
    with pytest.raises(DataError, match="'cup' has training sketches and no training photo"):
        pair_batches(bare, 4, 3, 0, 0)
    one = replace(
        TINY,
        train_photo=TINY.train_photo.select(TINY.train_photo.labels == 0),
        train_sketch=TINY.train_sketch.select(TINY.train_sketch.labels == 0),
    )
    with pytest.raises(DataError, match="one class"):
        triplet_batches(one, 4, 3, 0, 0)


class NeedsAligned(Method):
    needs = frozenset({"aligned"})


def test_a_method_that_needs_aligned_pairs_gets_them_without_a_setting(tiny_experiment: Experiment) -> None:
    method = NeedsAligned.__new__(NeedsAligned)
    nn.Module.__init__(method)
    method.e, method.s, data = tiny_experiment, SimpleNamespace(), named(TINY)
    photo_rows = require_aligned(data)
    for s, p in [*method.pairs(data, 0), *method.triplets(data, 0)]:
        assert (p[: len(s)] == photo_rows[s]).all()
