"""Ranking and ITQ of an accelerator, run on the CPU: naive loops, and the usual path, say the same."""

from __future__ import annotations

import elsewhere
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity
from test_hashing import naive_itq
from test_metrics import CASES, RULES, check, on_circle, on_line, random_retrieval

from sakerepro import devices
from sakerepro.hashing import ITQ
from sakerepro.metrics import TIES, retrieval_metrics
from sakerepro.ranking import on_device


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A second device ranks whatever is asked for; the loops of the CPU are not at hand."""
    elsewhere.use(monkeypatch)
    monkeypatch.setattr(on_device, "FROM", 0)
    monkeypatch.setattr("sakerepro.ranking.ranks._rank_features", None)
    monkeypatch.setattr("sakerepro.hashing._Signs", None)
    return monkeypatch


@pytest.mark.parametrize("levels, good", CASES)
@pytest.mark.parametrize("make", [on_circle, on_line])
@pytest.mark.parametrize("convention, ties", RULES)
def test_equals_naive_loops_and_brute_force_ties(levels, good, make, ties, convention, device):
    check(levels, good, make, (1, 3, 50), ties, convention)


@pytest.mark.parametrize("chunk", [1, 5 * 333, 1 << 24])
@pytest.mark.parametrize("kind, accuracy", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_map_equals_scikit_learn(chunk, kind, accuracy, rng, device):
    device.setattr(on_device, "CHUNK", chunk)
    query, gallery, ql, gl = random_retrieval(40, 333, rng)
    query[3], gallery[5] = 0, 0  # cosine 0 with everything
    gallery.flags.writeable = False
    scores = cosine_similarity(query, gallery)
    wanted = [average_precision_score(gl == c, s) for c, s in zip(ql, scores, strict=True)]
    m = retrieval_metrics(query.astype(kind), gallery.astype(kind, copy=False), ql, gl, ties="index")
    ranks = np.flatnonzero(gl == ql[3]) + 1  # all photos are equally near to this query
    wanted[3] = np.mean(np.arange(1, len(ranks) + 1) / ranks)
    assert m.ap == pytest.approx(np.array(wanted), abs=accuracy)


@pytest.mark.parametrize("ties", TIES)
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_exact_ties_are_those_of_the_cpu(ties, distance, kind, rng, device):
    """Whole numbers, most photos several times; four entries of 1 or -1 make cosines of quarters, which are exact."""
    gallery: np.ndarray = rng.integers(-3, 4, (700, 6)).astype(kind)
    if distance == "cosine":
        gallery = np.zeros((700, 12), kind)
        block = rng.integers(0, 3, (700, 1)) * 4 + np.arange(4)
        np.put_along_axis(gallery, block, rng.choice([-1.0, 1.0], (700, 4)), axis=1)
    gl = rng.integers(0, 9, 700)
    gl[gl == 4] = 3  # a query's class is absent
    query, ql = gallery[:23] * kind(3 if distance == "euclidean" else 1), np.arange(23) % 9
    device.setattr(on_device, "CHUNK", 5 * 700)

    def rank() -> np.ndarray:
        with pytest.warns(UserWarning, match="classes \\[4\\]"):
            m = retrieval_metrics(query, gallery, ql, gl, ks=(1, 100, 10_000), ties=ties, distance=distance)
        return np.stack([m.ap, *m.ap_at.values(), *m.precision_at.values()])

    on_the_device = rank()
    device.undo()
    wanted = rank()
    assert np.isnan(on_the_device).any(axis=0).sum() == 3
    np.testing.assert_allclose(on_the_device, wanted, rtol=1e-12)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_equal_photos_tie_wherever_they_stand(distance, rng, device):
    """1,000 photos of 40 features: the expected AP over ties is that of any order of the gallery."""
    query, gallery, ql, _ = random_retrieval(9, 40, rng, d=65)
    gallery = gallery.astype(np.float32)[np.arange(1000) % 40]
    gl, order = rng.integers(0, 3, 1000), rng.permutation(1000)
    query = query.astype(np.float32)
    first = retrieval_metrics(query, gallery, ql, gl, distance=distance)
    second = retrieval_metrics(query, gallery[order], ql, gl[order], distance=distance)
    np.testing.assert_allclose(first.ap, second.ap, rtol=1e-12)
    device.undo()
    np.testing.assert_allclose(first.ap, retrieval_metrics(query, gallery, ql, gl, distance=distance).ap, rtol=1e-12)


@pytest.mark.parametrize("kind, scale", [(np.float32, 1e-30), (np.float32, 1e30), (np.float64, 1e-200)])
def test_lengths_of_features_do_not_matter(kind, scale, rng, device):
    query, gallery, ql, gl = random_retrieval(8, 200, rng)
    factor = rng.choice([0.25, 1, 8], (200, 1)) * scale
    ap = retrieval_metrics((query * scale).astype(kind), (gallery * factor).astype(kind), ql, gl).ap
    assert ap == pytest.approx(retrieval_metrics(query, gallery, ql, gl).ap, abs=1e-5 if kind is np.float32 else 1e-12)


@pytest.mark.parametrize("bits, iterations", [(8, 0), (16, 20)])
@pytest.mark.parametrize("kind, accuracy", [(np.float64, 1e-9), (np.float32, 1e-5)])
def test_itq_is_that_of_the_cpu_and_the_naive_one(bits, iterations, kind, accuracy, rng, device):
    device.setattr(on_device, "CHUNK", 20 * 1000)
    features: np.ndarray = (rng.standard_normal((4501, 20)) @ rng.standard_normal((20, 20)) + 100).astype(kind)
    itq = ITQ(bits=bits, seed=3, iterations=iterations).fit(features)
    device.undo()
    usual = ITQ(bits=bits, seed=3, iterations=iterations).fit(features)
    wanted = [(usual.project(features), usual.quantization_errors_)]
    if kind is np.float64:  # in float32 the naive one takes another way: it centres and rounds elsewhere
        wanted += [naive_itq(features, bits, 3, iterations)]
    for projected, errors in wanted:
        assert itq.quantization_errors_ == pytest.approx(np.array(errors), rel=accuracy)
        assert itq.project(features) == pytest.approx(projected, abs=1e3 * accuracy)
        certain = np.abs(projected) > 1e3 * accuracy
        assert np.array_equal((itq.project(features) > 0)[certain], (projected > 0)[certain])


@pytest.mark.parametrize(
    "change, taken",
    [
        ({}, True),
        ({"accelerated": False}, False),
        ({"free_memory": 2**20}, False),
        ({"device": torch.device("mps")}, False),
    ],
)
def test_the_device_takes_what_is_large_and_fits(change, taken, monkeypatch):
    for name, value in {"accelerated": True, "free_memory": 2**40, "device": torch.device("cuda"), **change}.items():
        monkeypatch.setattr(devices, name, lambda value=value: value)
    assert on_device.worthwhile(on_device.FROM, 2**20) == taken
    assert not on_device.worthwhile(on_device.FROM - 1, 2**20)
