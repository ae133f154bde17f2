"""Exact search against a full stable sort."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from sakerepro.errors import ConfigError, DataError
from sakerepro.ranking import ranks
from sakerepro.retrieval import search


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 2), (5, 1025, 64), (18, 4097, 3), (2, 20_000, 9)])
@pytest.mark.parametrize("kind, accuracy", [(np.float64, 1e-12), (np.float32, 1e-6)])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_equals_a_full_sort(distance, shape, kind, accuracy, rng):
    queries, photos, d = shape
    query, gallery = rng.standard_normal((queries, d)).astype(kind), rng.standard_normal((photos, d)).astype(kind)
    distances = cdist(query.astype(float), gallery.astype(float), distance)
    for k in {1, min(10, photos), min(1000, photos), photos}:
        index, nearest = search(query, gallery, k, distance)
        assert index.dtype == np.int64 and index.shape == nearest.shape == (queries, k)
        assert nearest.dtype == (kind if distance == "cosine" else np.float64)
        assert (np.diff(nearest, axis=1) >= 0).all()
        assert nearest == pytest.approx(np.sort(distances, axis=1)[:, :k], abs=accuracy)
        assert nearest == pytest.approx(np.take_along_axis(distances, index, 1), abs=accuracy)
        assert all(len(set(row)) == k for row in index.tolist())


@pytest.mark.parametrize("bits", [8, 64, 72, 128])
@pytest.mark.parametrize("photos", [1, 100, 4097, 9000])
def test_hamming_equals_a_stable_sort(bits, photos, rng):
    query = rng.integers(0, 256, (5, bits // 8)).astype(np.uint8)
    gallery = rng.integers(0, 256, (photos, bits // 8)).astype(np.uint8)
    distances = np.stack([np.unpackbits(row ^ gallery, axis=1).sum(1) for row in query])
    order = np.argsort(distances, axis=1, kind="stable")
    for k in {1, min(37, photos), photos}:
        index, nearest = search(query, gallery, k, "hamming")
        assert np.array_equal(index, order[:, :k])
        assert np.array_equal(nearest, np.take_along_axis(distances, order, 1)[:, :k])


@settings(max_examples=40)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=700), st.data())
def test_equal_photos_come_in_the_order_of_the_gallery(levels, data):
    angles = np.linspace(0, 3, 6)[levels]
    gallery = np.stack([np.cos(angles), np.sin(angles)], 1)
    k = data.draw(st.integers(1, len(levels)))
    by_length = np.array(levels)[:, None] * [3.0, 4.0]
    for index, _ in (search(np.eye(2)[:1], gallery, k), search(np.zeros((1, 2)), by_length, k, "euclidean")):
        assert np.array_equal(index[0], np.argsort(levels, kind="stable")[:k])


def test_nearest_first_when_photos_come_farthest_first():
    angles = np.linspace(3, 0.01, 5000)  # each photo is nearer than all before it: every one is a candidate once
    gallery = np.stack([np.cos(angles), np.sin(angles)], 1)
    index, _ = search(np.array([[2.0, 0.0]]), gallery, 7)
    assert index[0].tolist() == list(range(4999, 4992, -1))


def test_chunks_of_queries_change_nothing(rng, monkeypatch):
    query, gallery = rng.standard_normal((70, 8)), rng.standard_normal((500, 8))
    codes = np.packbits(query > 0, axis=1), np.packbits(gallery > 0, axis=1)
    whole, whole_codes = search(query, gallery, 9), search(*codes, 9, "hamming")
    monkeypatch.setattr(ranks, "BUDGET", 1)
    for one, other in ((whole, search(query, gallery, 9)), (whole_codes, search(*codes, 9, "hamming"))):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_length_of_a_feature_counts_as_it_does_not_for_cosine():
    query, gallery = np.array([[1.0, 0.0]]), np.array([[9.0, 0.0], [1.0, 0.5]])
    assert search(query, gallery, 1, "cosine")[0].item() == 0
    assert search(query, gallery, 1, "euclidean")[0].item() == 1


def test_zero_features_are_at_distance_one():
    index, distances = search(np.array([[1.0, 0]]), np.array([[0.0, 0], [1, 0], [-1, 0]]), 3)
    assert index.tolist() == [[1, 0, 2]] and distances.tolist() == [[0, 1, 2]]
    assert search(np.array([[0.0, 0]]), np.eye(2), 2)[0].tolist() == [[0, 1]]


def test_inputs_are_left_alone(rng):
    query, gallery = rng.standard_normal((4, 6)), rng.standard_normal((50, 6))
    before = query.copy(), gallery.copy()
    search(query, gallery)
    assert np.array_equal(query, before[0]) and np.array_equal(gallery, before[1])


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint64])
def test_k_of_a_narrow_type_does_not_overflow(kind, rng):
    x, codes = rng.standard_normal((302, 6)), rng.integers(0, 256, (302, 2), dtype=np.uint8)
    for features, distance in ((x, "cosine"), (codes, "hamming")):
        narrow, wanted = (search(features[:2], features[2:], k=k, distance=distance) for k in (kind(100), 100))
        assert np.array_equal(narrow[0], wanted[0]) and np.array_equal(narrow[1], wanted[1])


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"k": 0}, ConfigError, "k=0 is not possible with a gallery of 3 images"),
        ({"k": 4}, ConfigError, "Use 1 to 3"),
        ({"distance": "l2"}, ConfigError, "Known: cosine, euclidean, hamming"),
        ({"gallery": np.eye(4)}, DataError, "query has 3 columns and gallery 4"),
        ({"query": np.full((1, 3), np.nan)}, DataError, "query, row 0, column 0"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        search(**{"query": np.eye(3), "gallery": np.eye(3), "k": 1, **arguments})


def test_very_long_and_short_embeddings_have_their_euclidean_distance(rng):
    query, gallery = rng.normal(size=(3, 5)), rng.normal(size=(40, 5))
    index, distance = search(query, gallery, 7, "euclidean")
    for factor in (2.0**-900, 2.0**900):
        scaled_index, scaled_distance = search(query * factor, gallery * factor, 7, "euclidean")
        assert np.array_equal(scaled_index, index) and np.array_equal(scaled_distance, distance * factor)
