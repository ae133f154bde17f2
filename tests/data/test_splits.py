"""Other splits of the classes, on made-up data: no image is lost or leaked, and pixels are shared."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet, concatenate
from sakerepro.data.splits import fewer, held_out, photo_queries, pseudo_unseen, random_split, random_unseen
from sakerepro.errors import ConfigError, DataError

SEEN = tuple(f"seen{i}" for i in range(7))
UNSEEN = tuple(f"new{i}" for i in range(3))


def image_set(pack: np.ndarray, start: int, classes: tuple[str, ...], per_class: list[int], domain: int) -> ImageSet:
    """Images in shuffled order, named ``class-row``; the value of every pixel is the row."""
    labels = np.repeat(np.arange(len(classes)), per_class)
    labels = np.random.default_rng(start).permutation(labels)
    rows = np.arange(start, start + len(labels))
    names = tuple(f"{classes[c]}-{r}" for c, r in zip(labels, rows, strict=True))
    return ImageSet(pack, rows, labels, names, domain)


@pytest.fixture
def data() -> Dataset:
    row = np.arange(200, dtype=np.uint8)[:, None, None, None]
    photos, sketches = (row * np.ones((1, 2, 2, c), np.uint8) for c in (3, 1))
    return Dataset(
        "made-up",
        "zeroshot",
        SEEN,
        UNSEEN,
        train_sketch=image_set(sketches, 0, SEEN, [5] * 7, SKETCH),
        val_sketch=image_set(sketches, 40, SEEN, [2] * 7, SKETCH),
        train_photo=image_set(photos, 0, SEEN, [3, 4, 5, 6, 7, 8, 9], PHOTO),
        query=image_set(sketches, 60, UNSEEN, [4] * 3, SKETCH),
        gallery=image_set(photos, 60, UNSEEN, [12, 13, 14], PHOTO),
        fingerprint="f",
    )


def contents(images: ImageSet, classes: tuple[str, ...]) -> Counter[str]:
    """Class and row of each image, read from its label and its pixels; its name has to say the same."""
    pixels = images.take(range(len(images)))[:, 0, 0, 0]
    names = [f"{classes[c]}-{p}" for c, p in zip(images.labels, pixels, strict=True)]
    assert names == list(images.names)
    return Counter(names)


def everything(d: Dataset) -> tuple[Counter[str], Counter[str]]:
    sketches = contents(d.train_sketch, d.seen) + contents(d.val_sketch, d.seen) + contents(d.query, d.unseen)
    return sketches, contents(d.train_photo, d.seen) + contents(d.gallery, d.unseen)


def of(classes: tuple[str, ...], counted: Counter[str]) -> Counter[str]:
    return Counter({k: v for k, v in counted.items() if k.split("-")[0] in classes})


@pytest.mark.parametrize(("n", "seed"), [(1, 0), (3, 1), (6, 2)])
def test_pseudo_unseen_holds_out_seen_classes_and_shows_no_unseen_one(data: Dataset, n: int, seed: int) -> None:
    held = pseudo_unseen(data, n, seed)
    assert len(held.unseen) == n and set(held.seen) | set(held.unseen) == set(SEEN)
    assert not set(held.seen) & set(held.unseen)
    sketches, photos = everything(data)
    assert everything(held) == (of(SEEN, sketches), of(SEEN, photos))
    assert contents(held.query, held.unseen) == of(held.unseen, sketches)
    assert contents(held.val_sketch, held.seen) == of(held.seen, contents(data.val_sketch, SEEN))
    for s in ("train_sketch", "val_sketch", "query"):
        assert getattr(held, s).pixels is data.query.pixels
    assert held.gallery.pixels is data.gallery.pixels


def test_pseudo_unseen_is_seeded_and_has_its_own_fingerprint(data: Dataset) -> None:
    assert pseudo_unseen(data, 3, 1).unseen == pseudo_unseen(data, 3, 1).unseen
    assert len({pseudo_unseen(data, 3, s).unseen for s in range(8)}) > 1
    assert len({pseudo_unseen(data, n, s).fingerprint for n in (2, 3) for s in (0, 1)} | {"f"}) == 5
    for n in (0, 7):
        with pytest.raises(ConfigError, match="Ask for 1 ... 6"):
            pseudo_unseen(data, n, 0)


def test_pseudo_unseen_without_validation_sketches(data: Dataset) -> None:
    held = pseudo_unseen(replace(data, val_sketch=data.val_sketch.select(np.zeros(0, np.int64))), 3, 0)
    assert (len(held.query), len(held.val_sketch)) == (15, 0)


@pytest.mark.parametrize("seed", range(4))
def test_random_split_loses_and_doubles_nothing(data: Dataset, seed: int) -> None:
    other = random_split(data, 4, seed, min_photos=5)
    assert set(other.seen) | set(other.unseen) == {*SEEN, *UNSEEN} and len(other.unseen) == 4
    assert everything(other) == everything(data)
    assert np.bincount(other.val_sketch.labels).tolist() == [2] * 6
    assert np.bincount(other.gallery.labels).min() >= 5
    assert other.gallery.pixels is data.gallery.pixels


def test_random_split_differs_by_seed_and_names_the_largest_feasible(data: Dataset) -> None:
    assert len({random_split(data, 3, s, min_photos=1).unseen for s in range(6)}) > 1
    with pytest.raises(ConfigError, match=r"400 photos each .* only 0 of 10 .* Set min_photos \(--min-photos\) to 9\."):
        random_split(data, 4, 0)
    with pytest.raises(ConfigError, match=r"Ask for at most 3, or set min_photos \(--min-photos\) to 8\."):
        random_split(data, 5, 0, min_photos=10)


@given(st.lists(st.integers(0, 900), min_size=2, max_size=40), st.data())
def test_random_unseen_keeps_to_the_least_number_of_photos_or_says_so(photos: list[int], draw: st.DataObject) -> None:
    named = {f"c{i}": n for i, n in enumerate(photos)}
    n = draw.draw(st.integers(1, len(photos) - 1))
    if sum(p >= 400 for p in photos) < n:
        with pytest.raises(ConfigError):
            random_unseen(named, n, seed=0)
    else:
        drawn = random_unseen(named, n, seed=0)
        assert len(set(drawn)) == n and all(named[c] >= 400 for c in drawn)
    for wrong in (0, len(photos)):
        with pytest.raises(ConfigError, match="to leave some seen"):
            random_unseen(named, wrong, seed=0, min_photos=0)


def test_each_class_is_drawn_about_equally_often() -> None:
    drawn = Counter(c for s in range(3000) for c in random_unseen({c: 500 for c in "abcdef"}, 2, s))
    assert all(abs(count - 1000) < 5 * np.sqrt(3000 * 2 / 9) for count in drawn.values())


def test_held_out_leaves_one_of_each_class() -> None:
    labels = np.array([0] * 10 + [2] * 3 + [1])
    mask = held_out(labels, 5, seed=0)
    assert [int(mask[labels == c].sum()) for c in range(3)] == [5, 0, 2]
    assert held_out(labels, np.array([1, 1, 0]), seed=0).sum() == 1


def test_photo_queries_are_the_first_of_each_class(data: Dataset) -> None:
    queries, gallery = photo_queries(data, per_class=10)
    assert np.bincount(queries.labels).tolist() == [10] * 3 and np.bincount(gallery.labels).tolist() == [2, 3, 4]
    for c in range(3):
        order = [n for n, label in zip(data.gallery.names, data.gallery.labels, strict=True) if label == c]
        assert [n for n, label in zip(queries.names, queries.labels, strict=True) if label == c] == order[:10]
        assert [n for n, label in zip(gallery.names, gallery.labels, strict=True) if label == c] == order[10:]
    with pytest.raises(DataError, match=r"class 'new0' has 12 gallery photos.*--photo-queries\) to at most 11"):
        photo_queries(data, per_class=12)


def test_classes_both_seen_and_unseen_are_an_error(data: Dataset) -> None:
    with pytest.raises(DataError, match=r"1 classes are both seen and unseen \(seen2\)"):
        replace(data, unseen=("new0", "seen2", "new1"))


def test_selected_and_relabelled_images_keep_their_pixels(data: Dataset) -> None:
    chosen = data.train_photo.of_classes([4, 1])
    assert contents(chosen, (SEEN[4], SEEN[1])) == of((SEEN[4], SEEN[1]), contents(data.train_photo, SEEN))
    assert len(data.train_photo.of_classes([])) == 0 and len(data.query.of_classes([99, 1], empty=True)) == 4


def test_concatenate_of_two_packs_copies_the_pixels(data: Dataset) -> None:
    a = data.query
    b = replace(a, pixels=a.pixels.copy())
    for both in (concatenate(a, b), concatenate(a, a)):
        assert np.array_equal(both.take(range(24))[12:], a.take(range(12))) and both.names == a.names * 2
    empty = a.select(np.zeros(0, np.int64))
    assert len(concatenate(empty, empty)) == 0 and concatenate(empty, a).names == a.names


@pytest.mark.parametrize("share", [0.2, 0.5, 1e-9])
def test_a_share_of_the_training_images_is_part_of_a_larger_one(data: Dataset, share: float) -> None:
    some, more = fewer(data, share), fewer(data, 0.6)
    for kind, sizes in (("train_sketch", [5] * 7), ("train_photo", [3, 4, 5, 6, 7, 8, 9])):
        few, many, all_ = (contents(getattr(d, kind), SEEN) for d in (some, more, data))
        assert few <= many <= all_
        of_class = np.bincount(getattr(some, kind).labels, minlength=7)
        assert all(abs(n - share * size) <= 0.5 or n == 1 for n, size in zip(of_class, sizes, strict=True))
    assert some.query is data.query and some.val_sketch is data.val_sketch and some.seen == data.seen
    assert len({some.fingerprint, more.fingerprint, data.fingerprint}) == 3
    assert fewer(data, share).fingerprint == some.fingerprint
    nothing = data.train_photo.select([])
    assert len(fewer(replace(data, train_photo=nothing), share).train_photo) == 0
