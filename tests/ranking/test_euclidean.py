"""Ranking and search by Euclidean distance against a naive loop."""

from __future__ import annotations

import numpy as np
import pytest

from sakerepro.metrics import retrieval_metrics
from sakerepro.retrieval import search


def features(whole: bool, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Whole numbers, where many distances are equal, or floats far from the origin."""
    return (rng.integers(-3, 4, shape) if whole else rng.normal(50, 20, shape)).astype(np.float32)


def squared(query: np.ndarray, gallery: np.ndarray) -> np.ndarray:
    return np.array(
        [[sum((float(a) - float(b)) ** 2 for a, b in zip(q, g, strict=True)) for g in gallery] for q in query]
    )


CASES = [(True, 5, 333, 4), (True, 3, 1100, 9), (False, 6, 257, 17), (False, 1, 1, 1)]


@pytest.mark.parametrize(("whole", "q", "g", "d"), CASES)
def test_search_equals_a_stable_sort_of_all_distances(
    whole: bool, q: int, g: int, d: int, rng: np.random.Generator
) -> None:
    query, gallery = features(whole, (q, d), rng), features(whole, (g, d), rng)
    away, k = squared(query, gallery), min(20, g)
    order = np.argsort(away, axis=1, kind="stable")[:, :k]
    index, distances = search(query, gallery, k, "euclidean")
    assert np.array_equal(index, order)
    np.testing.assert_allclose(distances, np.sqrt(np.take_along_axis(away, order, 1)), rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("ties", ["index", "best", "worst"])
@pytest.mark.parametrize(("whole", "q", "g", "d"), CASES[:3])
def test_metrics_equal_a_sort_with_the_same_rule_for_ties(
    whole: bool, q: int, g: int, d: int, ties: str, rng: np.random.Generator
) -> None:
    query, gallery = features(whole, (q, d), rng), features(whole, (g, d), rng)
    ql, gl = rng.integers(0, 3, q), rng.integers(0, 3, g)
    want = []
    for away, label in zip(squared(query, gallery), ql, strict=True):
        second = {"index": np.arange(g), "best": gl != label, "worst": gl == label}[ties]
        hit = (gl == label)[np.lexsort((second, away))]
        want.append((np.cumsum(hit) / np.arange(1, g + 1))[hit].mean())
    found = retrieval_metrics(query, gallery, ql, gl, distance="euclidean", ties=ties)
    np.testing.assert_allclose(found.ap, want, rtol=1e-12)


def test_the_length_of_a_feature_counts_as_it_does_not_for_cosine() -> None:
    query, gallery = np.array([[1.0, 0.0]]), np.array([[9.0, 0.0], [1.0, 0.5]])
    assert search(query, gallery, 1, "cosine")[0].item() == 0
    assert search(query, gallery, 1, "euclidean")[0].item() == 1
