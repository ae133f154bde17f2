"""Retrieval metrics against naive loops, brute-force permutations and scikit-learn."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score
from sklearn.metrics.pairwise import cosine_similarity

from sakerepro.errors import ConfigError, DataError
from sakerepro.metrics import CONVENTIONS, TIES, retrieval_metrics
from sakerepro.ranking import kernels, ranks
from sakerepro.ranking.ties import harmonic

# ---- oracles: plain loops over a ranked list of booleans, written from the table of conventions ----


def naive(ranked: list[bool], k: int | None, convention: str) -> tuple[float, float]:
    """AP@k (or AP over everything) and P@k of one ranked list."""
    relevant = sum(ranked)
    top = ranked if k is None else ranked[:k]
    precisions = [sum(top[: i + 1]) / (i + 1) for i in range(len(top))]
    hits = [i for i in range(len(top)) if top[i]]
    if convention == "sake":
        total = sum(max(precisions[i:]) for i in hits)
    else:
        total = sum(precisions[i] for i in hits)
    if k is None:
        return total / relevant, math.nan
    divisor = len(hits) if convention == "sem-pcyc" else min(k, relevant)
    depth = min(k, len(ranked)) if convention == "sake" else k
    return (total / divisor if divisor else 0.0), len(hits) / depth


def orders(levels: list[int], good: list[bool]) -> list[list[bool]]:
    """Every distinct order of relevance that the ties of `levels` allow; all are equally likely."""
    groups = [[g for lv, g in zip(levels, good, strict=True) if lv == level] for level in sorted(set(levels))]
    ways = []
    for group in groups:
        places = itertools.combinations(range(len(group)), sum(group))
        ways.append([[i in chosen for i in range(len(group))] for chosen in places])
    return [list(itertools.chain(*way)) for way in itertools.product(*ways)]


def one_order(levels: list[int], good: list[bool], ties: str) -> list[bool]:
    second = {"worst": good, "best": [not g for g in good], "index": range(len(good))}[ties]
    return [g for _, _, _, g in sorted(zip(levels, second, range(len(good)), good, strict=True))]


def want(levels: list[int], good: list[bool], k: int | None, convention: str, ties: str) -> tuple[float, float]:
    lists = orders(levels, good) if ties == "expected" else [one_order(levels, good, ties)]
    both = [naive(ranked, k, convention) for ranked in lists]
    return float(np.mean([a for a, _ in both])), float(np.mean([p for _, p in both]))


# ---- rankings whose ties are known: photos on the unit circle, or codes with so many ones ----


def on_circle(levels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A query at angle 0 and photos whose angle grows with their level; equal levels are equal features."""
    angles = np.linspace(0.1, 3.0, 60)[np.asarray(levels)]
    return np.array([[1.0, 0.0]], np.float32), np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def as_codes(levels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A query of zeros and 64-bit photos with `level` ones."""
    bits = np.arange(64) < np.asarray(levels)[:, None]
    return np.zeros((1, 8), np.uint8), np.packbits(bits, axis=1)


def on_line(levels: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A query at the origin and photos at 5 times their level from it, in whole numbers."""
    return np.zeros((1, 2), np.float32), np.asarray(levels, np.float32)[:, None] * np.array([3, 4], np.float32)


def measure(levels, good, make, **settings):
    query, gallery = make(levels)
    distance = {on_circle: "cosine", on_line: "euclidean", as_codes: "hamming"}[make]
    return retrieval_metrics(query, gallery, [1], np.asarray(good, int), distance=distance, **settings)


CASES = [
    ([0, 1, 2, 3, 4], [True, False, True, False, True]),
    ([0, 0, 0], [True, False, False]),
    ([3, 1, 1, 1, 7, 7, 2], [True, False, True, False, True, False, False]),
    ([5, 5, 5, 5, 5, 5, 5], [False, True, True, False, False, True, False]),
    ([2, 2, 1, 1, 3, 3, 3, 9, 9], [True, False, True, True, False, True, False, True, False]),
    ([4], [True]),
    (
        [0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6],
        [False, True, True, False, True] + [True, False] * 3 + [True] * 2 + [False],
    ),
    ([1, 1, 1, 1, 2, 2, 2, 2, 5, 5, 5], [False, True, True, False, False, False, False, True, True, True, False]),
]


def check(levels, good, make, ks, ties, convention):
    """What is measured equals what the oracles want."""
    m = measure(levels, good, make, ks=ks, convention=convention, ties=ties)
    assert m.map_all == pytest.approx(want(levels, good, None, convention, ties)[0], abs=1e-12)
    for k in ks:
        assert (m.map_at[k], m.p_at[k]) == pytest.approx(want(levels, good, k, convention, ties), abs=1e-12), k


RULES = [p for p in itertools.product(CONVENTIONS, TIES) if p != ("sake", "expected")]  # which is refused


@pytest.mark.parametrize("levels, good", CASES)
@pytest.mark.parametrize("make", [on_circle, on_line, as_codes])
@pytest.mark.parametrize("convention, ties", RULES)
def test_equals_naive_loops_and_brute_force_ties(levels, good, make, ties, convention):
    check(levels, good, make, (1, 2, 3, 5, 50), ties, convention)


def test_hand_computed_case():
    # ranks 1, 3 and 5 of 5 are relevant: precisions 1, 2/3, 3/5
    levels, good = CASES[0]
    m = measure(levels, good, on_circle, ks=(2, 4))
    assert m.map_all == pytest.approx((1 + 2 / 3 + 3 / 5) / 3)
    assert m.map_at == pytest.approx({2: 1 / 2, 4: (1 + 2 / 3) / 3})
    assert m.under("sem-pcyc").map_at == pytest.approx({2: 1.0, 4: (1 + 2 / 3) / 2})
    assert m.p_at == pytest.approx({2: 1 / 2, 4: 2 / 4})
    assert m.summary()["P@4"] == m.p_at[4]
    # relevant at ranks 2 and 3 only: the envelope lifts 1/2 to 2/3
    m = measure([0, 1, 2], [False, True, True], on_circle, ks=(2,), convention="sake")
    assert m.map_all == pytest.approx(2 / 3)
    assert m.map_at[2] == pytest.approx((1 / 2) / 2)


def random_retrieval(queries: int, photos: int, rng: np.random.Generator, classes: int = 3, d: int = 5):
    query, gallery = rng.standard_normal((queries, d)), rng.standard_normal((photos, d))
    gl = np.concatenate([np.arange(classes), rng.integers(0, classes, photos)])[:photos]
    return query, gallery, rng.choice(gl, queries), gl


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (5, 1024), (18, 1025), (7, 2049), (40, 333), (2, 250_001)])
@pytest.mark.parametrize("kind, accuracy", [(np.float64, 1e-12), (np.float32, 1e-5)])
def test_map_equals_scikit_learn(shape, kind, accuracy, rng):
    query, gallery, ql, gl = random_retrieval(*shape, rng)
    scores = cosine_similarity(query, gallery)
    wanted = [average_precision_score(gl == c, s) for c, s in zip(ql, scores, strict=True)]
    m = retrieval_metrics(query.astype(kind), gallery.astype(kind), ql, gl)
    assert m.ap == pytest.approx(np.array(wanted), abs=accuracy)
    assert m.map_all == pytest.approx(np.mean(wanted), abs=accuracy)


@pytest.mark.parametrize("bits", [8, 16, 64, 72, 128])
@pytest.mark.parametrize("ties", ["worst", "best", "index"])
def test_codes_of_every_width_equal_naive_loops(bits, ties, rng):
    query = rng.integers(0, 256, (5, bits // 8)).astype(np.uint8)
    gallery = rng.integers(0, 256, (4099, bits // 8)).astype(np.uint8)
    gl, ql = rng.integers(0, 4, 4099), np.arange(5) % 4
    levels = [np.unpackbits(row ^ gallery, axis=1).sum(1).tolist() for row in query]
    m = retrieval_metrics(query, gallery, ql, gl, ks=(7, 300), distance="hamming", ties=ties)
    for i in range(5):
        ranked = np.array(one_order(levels[i], (gl == ql[i]).tolist(), ties))
        precision = np.cumsum(ranked) / np.arange(1, 4100)
        assert m.ap[i] == pytest.approx(precision[ranked].mean(), abs=1e-12)
        assert m.precision_at[300][i] == pytest.approx(ranked[:300].mean(), abs=1e-12)


def exact_expected(sizes: list[int], good: list[int], k: int) -> tuple[Fraction, Fraction, Fraction]:
    """E[sum of precisions up to k], E[relevant up to k], E[sum / relevant], term by term in fractions."""
    n = h = 0
    plain = Fraction(0)
    for m, r in zip(sizes, good, strict=True):
        cut = min(m, k - n)

        def part(x: int, places: int, cut: int = cut, n: int = n, h: int = h) -> Fraction:
            slope = Fraction(x - 1, places - 1) if places > 1 else Fraction(0)
            terms = ((h + 1 + (t - 1) * slope) / (n + t) for t in range(1, cut + 1))
            return Fraction(x, places) * sum(terms, Fraction())

        if n + m >= k:
            per_hit = Fraction(0)
            for x in range(max(0, r - (m - cut)), min(r, cut) + 1):
                chance = Fraction(math.comb(cut, x) * math.comb(m - cut, r - x), math.comb(m, r))
                per_hit += chance * (plain + part(x, cut)) / (h + x) if h + x else 0
            return plain + part(r, m), h + Fraction(r * cut, m), per_hit
        plain, n, h = plain + part(r, m), n + m, h + r
    return plain, Fraction(h), plain / h


@pytest.mark.parametrize("sizes, good", [([100, 50, 150], [30, 10, 5]), ([3, 200], [0, 90]), ([260], [41])])
@pytest.mark.parametrize("k", [40, 125, 260])
def test_large_tied_groups_equal_exact_fractions(sizes, good, k):
    levels = np.repeat(np.arange(len(sizes)), sizes).tolist()
    flags = np.concatenate([np.arange(m) < r for m, r in zip(sizes, good, strict=True)]).tolist()
    plain, hits, per_hit = exact_expected(sizes, good, k)
    everything = exact_expected(sizes, good, 10**9)[0]
    for make in (on_circle, as_codes):
        m = measure(levels, flags, make, ks=(k,))
        assert m.map_all == pytest.approx(float(everything / sum(good)), rel=1e-12)
        assert m.map_at[k] == pytest.approx(float(plain / min(k, sum(good))), rel=1e-12)
        assert m.p_at[k] == pytest.approx(float(hits / k), rel=1e-12)
        assert m.under("sem-pcyc").map_at[k] == pytest.approx(float(per_hit), rel=1e-11)


def test_interpolated_precision_takes_ties_in_the_order_of_the_gallery(rng):
    levels, good = rng.integers(0, 3, 200).tolist(), (rng.random(200) < 0.3).tolist()
    m = measure(levels, good, as_codes, convention="sake")
    assert m.ties == "index" and measure(levels, good, as_codes).ties == "expected"
    check(levels, good, as_codes, (7,), "index", "sake")
    low, high = (measure(levels, good, as_codes, ties=t, convention="sake").map_all for t in ("worst", "best"))
    assert 0 < low < m.map_all < high < 1


def test_the_expected_value_of_interpolated_precision_is_refused():
    levels, good = CASES[0]
    with pytest.raises(ConfigError, match="ties='expected' is refused. Use ties='index'"):
        measure(levels, good, on_circle, convention="sake", ties="expected")
    with pytest.raises(ConfigError, match="ties='expected' is refused. Use ties='index'"):
        measure(levels, good, on_circle).under("sake")
    assert measure(levels, good, on_circle, ties="worst").under("sake").convention == "sake"


@pytest.mark.parametrize("n", [0, 1, 31, 32, 1000, 999_983])
@pytest.mark.parametrize("count", [1, 2, 24, 25, 33, 5000])
def test_harmonic_sums_equal_exact_summation(n, count):
    plain, weighted = harmonic(n, count)
    assert plain == pytest.approx(math.fsum(1 / (n + t) for t in range(1, count + 1)), rel=1e-12)
    assert weighted == pytest.approx(math.fsum((t - 1) / (n + t) for t in range(1, count + 1)), rel=1e-9)


# ---- properties ----

ranking = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40).filter(
    lambda pairs: any(good for _, good in pairs)
)


@settings(max_examples=60)
@given(ranking, st.sampled_from(TIES[1:]), st.sampled_from(CONVENTIONS))
def test_random_rankings_equal_naive_loops(pairs, ties, convention):
    levels, good = zip(*pairs, strict=True)
    for make in (on_circle, on_line, as_codes):
        check(levels, good, make, (3, 10), ties, convention)


@settings(max_examples=40)
@given(ranking, st.randoms(use_true_random=False))
def test_expected_values_do_not_depend_on_the_order_and_lie_between_worst_and_best(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    for make in (on_circle, as_codes):
        low, middle, other, high = (
            measure(*zip(*p, strict=True), make, ks=(2, 9), ties=t).summary()
            for p, t in ((pairs, "worst"), (pairs, "expected"), (shuffled, "expected"), (pairs, "best"))
        )
        assert middle == pytest.approx(other, abs=1e-12)
        assert all(low[name] - 1e-12 <= value <= high[name] + 1e-12 for name, value in middle.items())


def test_result_does_not_depend_on_the_place_in_memory(rng):
    query, gallery, ql, gl = random_retrieval(21, 1500, rng, d=64)
    query, gallery = query.astype(np.float32), gallery.astype(np.float32)
    gallery[700:] = gallery[:800]  # exact duplicates, most of another class
    order = rng.permutation(1500)
    first = retrieval_metrics(query, gallery, ql, gl)
    second = retrieval_metrics(query, gallery[order], ql, gl[order])
    assert np.array_equal(first.ap, second.ap)


def test_chunks_of_queries_change_nothing(rng, monkeypatch):
    query, gallery, ql, gl = random_retrieval(50, 3000, rng)
    whole = retrieval_metrics(query, gallery, ql, gl)
    monkeypatch.setattr(ranks, "BUDGET", 1)
    assert np.array_equal(whole.ap, retrieval_metrics(query, gallery, ql, gl).ap)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_counters_that_overflow_are_read_right(kind: type, rng) -> None:
    """Counters have 16 bits, and half of the 200,000 photos share one of the 40 features."""
    features = rng.standard_normal((40, 6)).astype(kind)
    features[7] = 0
    which = np.where(rng.random(200_000) < 0.5, 3, rng.integers(0, 40, 200_000))
    labels = (rng.random(200_000) < 0.01).astype(int)
    query, wanted = rng.standard_normal((2, 6)).astype(kind), np.array([0, 1])  # of 198,000 photos, and of 2,000
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-30)
    for ties in ("worst", "best", "index"):
        m = retrieval_metrics(query, features[which], wanted, labels, ks=(100, 150_000), ties=ties)
        for i in range(2):
            distance, relevant = -(unit.astype(float) @ query[i])[which], labels == wanted[i]
            second = {"worst": relevant, "best": ~relevant, "index": np.zeros(len(which), bool)}[ties]
            order = np.lexsort((np.arange(len(which)), second, distance))
            ranks = np.flatnonzero(relevant[order]) + 1
            assert m.ap[i] == pytest.approx(np.mean(np.arange(1, len(ranks) + 1) / ranks), rel=1e-12)
            for k in (100, 150_000):
                assert m.precision_at[k][i] == (ranks <= k).sum() / k


@pytest.mark.parametrize("ties", ["expected", "index"])
@pytest.mark.parametrize("tiles", [1, 2, 3, 64])
def test_blocks_of_photos_change_nothing(tiles, ties, rng, monkeypatch):
    query, gallery, ql, gl = random_retrieval(21, 5 * kernels.TILE + 3, rng)
    gallery[2000:3000] = gallery[4000:5000]  # ties across tiles
    whole = retrieval_metrics(query, gallery, ql, gl, ties=ties)
    monkeypatch.setattr(ranks, "SUPER", tiles * kernels.TILE * 8 * gallery.itemsize)
    parted = retrieval_metrics(query, gallery, ql, gl, ties=ties)
    assert np.array_equal(whole.ap, parted.ap) and np.array_equal(whole.ap_at[200], parted.ap_at[200])


def test_only_some_queries_find_relevant_photos_tied_with_others(rng):
    """Class 0 shares its features with class 1, and class 2 with nobody: one query in three needs no order."""
    shared, alone = rng.integers(-3, 4, (30, 4)), np.eye(4)[[3]] * np.arange(50, 80)[:, None]
    gallery = np.concatenate([shared, shared, alone])[order := rng.permutation(90)].astype(float)
    labels = np.repeat([0, 1, 2], 30)[order]
    query, wanted = rng.integers(-3, 4, (12, 4)).astype(float), np.arange(12) % 3
    m = retrieval_metrics(query, gallery, wanted, labels, ks=(7,), distance="euclidean", ties="index")
    for i in range(12):
        levels = np.square(gallery - query[i]).sum(axis=1).astype(int).tolist()
        assert m.ap[i] == pytest.approx(want(levels, (labels == wanted[i]).tolist(), None, m.convention, "index")[0])


# ---- inputs as they come ----


def test_tensors_halves_and_views_are_taken(rng):
    query, gallery, ql, gl = random_retrieval(6, 90, rng, d=8)
    half_q, half_g = query.astype(np.float16), gallery.astype(np.float16)
    wanted = retrieval_metrics(half_q.astype(np.float32), half_g.astype(np.float32), ql, gl).ap
    wide = np.zeros((6, 16), np.float16)
    wide[:, ::2] = half_q
    assert np.array_equal(retrieval_metrics(wide[:, ::2], np.asfortranarray(half_g), ql, gl).ap, wanted)
    tensors = [torch.from_numpy(x) for x in (half_q, half_g, ql, gl)]
    assert np.array_equal(retrieval_metrics(tensors[0].requires_grad_(), *tensors[1:]).ap, wanted)
    brain = torch.from_numpy(half_g).bfloat16()
    expected = retrieval_metrics(half_q, brain.float().numpy(), ql, gl).ap
    assert np.array_equal(retrieval_metrics(half_q, brain, ql, gl).ap, expected)


def test_lengths_of_features_do_not_matter(rng):
    query, gallery, ql, gl = random_retrieval(6, 90, rng, d=8)
    wanted = retrieval_metrics(query, gallery, ql, gl).ap
    for factor in (1e-300, 1e-160, 1e160, 1e290):
        assert retrieval_metrics(query * factor, gallery * factor, ql, gl).ap == pytest.approx(wanted, abs=1e-12)
    for factor in (1e-30, 1e30):
        small_q, small_g = (query * factor).astype(np.float32), (gallery * factor).astype(np.float32)
        assert retrieval_metrics(small_q, small_g, ql, gl).ap == pytest.approx(wanted, abs=1e-6)
    wanted = retrieval_metrics(query, gallery, ql, gl, distance="euclidean").ap
    for factor in (2.0**-900, 2.0**-500, 2.0**500, 2.0**900):  # exact
        scaled = retrieval_metrics(query * factor, gallery * factor, ql, gl, distance="euclidean").ap
        assert np.array_equal(scaled, wanted)


def test_query_without_its_class_is_left_out_and_counted():
    gallery, gl = np.eye(3), [0, 1, 2]
    with pytest.warns(UserWarning, match=r"1 of 2 queries .*\(classes \[7\]\)"):
        m = retrieval_metrics(np.eye(3)[:2], gallery, [0, 7], gl, ks=(1,))
    assert (m.map_all, m.p_at[1], m.n_without_relevant, m.n_queries) == (1.0, 1.0, 1, 2)
    for values in (m.ap, m.ap_at[1], m.precision_at[1], m.under("sem-pcyc").ap_at[1]):
        assert np.isnan(values).tolist() == [False, True]


def test_zero_feature_has_cosine_zero_with_everything():
    gallery = np.array([[1.0, 0], [-1, 0], [0, 0]])  # cosines to (1, 0): 1, -1 and 0
    m = retrieval_metrics(np.array([[1.0, 0]]), gallery, [2], [0, 1, 2])
    assert m.map_all == pytest.approx(1 / 2)
    m = retrieval_metrics(np.array([[0.0, 0]]), gallery, [2], [0, 1, 2])  # all tied: rank 1, 2 or 3
    assert m.map_all == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_display_is_a_few_lines(rng):
    query, gallery, ql, gl = random_retrieval(400, 900, rng)
    m = retrieval_metrics(query, gallery, ql, gl, ks=tuple(range(1, 50)))
    shown = repr(m)
    assert len(shown.splitlines()) <= 8 and max(map(len, shown.splitlines())) <= 120
    for part in (f"map_all={m.map_all:.6g}", "ap=(400,) float64", "ties='expected'", "n_gallery=900", "49 in all"):
        assert part in shown, part


def test_result_cannot_be_changed_and_knows_its_settings(rng):
    m = retrieval_metrics(*random_retrieval(4, 50, rng), ks=(5, 5, 2), ties="worst", convention="sem-pcyc")
    assert (m.ks, m.ties, m.convention, m.distance, m.n_gallery) == ((5, 2), "worst", "sem-pcyc", "cosine", 50)
    assert m.under("standard").ap_at[5].shape == (4,)
    with pytest.raises(AttributeError):
        m.map_all = 1.0


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"query": np.ones((2, 3), int)}, DataError, "query has type int64"),
        ({"query": np.ones((2, 3), np.uint8)}, DataError, "distance='hamming'"),
        ({"query": np.ones(3)}, DataError, r"query has shape \(3,\)"),
        ({"query": np.ones((0, 3))}, DataError, r"query has shape \(0, 3\)"),
        ({"query": np.ones((2, 4))}, DataError, "query has 4 columns and gallery 3"),
        ({"gallery": np.array([[0, 0, 1], [0, math.nan, 0.0]])}, DataError, "gallery, row 1, column 1: .* nan"),
        ({"query": np.array([[0, 0, math.inf], [0, 0, 1]])}, DataError, "query, row 0, column 2: .* inf"),
        ({"query_labels": [0]}, DataError, "query_labels has shape"),
        ({"gallery_labels": [[0, 1]]}, DataError, "gallery_labels has shape"),
        ({"gallery_labels": [0.5, 1]}, DataError, "gallery_labels has type float64"),
        ({"gallery_labels": ["a", "b"]}, DataError, "ids or names in both"),
        ({"query_labels": [8, 9]}, DataError, "no query has its class"),
        ({"ks": (0,)}, ConfigError, r"ks\[0\]=0 is not possible"),
        ({"ks": (2.5,)}, ConfigError, r"ks\[0\]=2.5 is not possible"),
        ({"distance": "cosin"}, ConfigError, "Did you mean 'cosine'"),
        ({"convention": "voc"}, ConfigError, "Known: standard, sake, sem-pcyc"),
        ({"ties": "first"}, ConfigError, "ties='first' is not known"),
        ({"distance": "hamming"}, DataError, "packed uint8"),
    ],
)
def test_bad_input_is_named(change, error, message):
    given = {"query": np.eye(3)[:2], "gallery": np.eye(3)[1:], "query_labels": [0, 1], "gallery_labels": [0, 1]}
    with pytest.raises(error, match=message):
        retrieval_metrics(**{**given, **change})
