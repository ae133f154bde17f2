"""From distances to sums of precisions, under each rule for ties."""

from __future__ import annotations

from dataclasses import dataclass
from math import comb

import numpy as np

from . import _inputs


@dataclass(frozen=True, eq=False)
class Sums:
    """What a ranking says before any convention divides it. Q queries, K cut-offs."""

    relevant: np.ndarray  # (Q,) int64, gallery images of the query's class
    plain: np.ndarray  # (Q,) sum of the precisions at the relevant ranks
    plain_at: np.ndarray  # (Q, K) the same over relevant ranks up to k
    interpolated: np.ndarray  # (Q,) the same with the precision envelope; NaN where ties leave it undefined
    interpolated_at: np.ndarray  # (Q, K) the same, list and envelope cut at k
    hits_at: np.ndarray  # (Q, K) relevant images among the top k
    per_hit_at: np.ndarray  # (Q, K) plain_at / hits_at, or 0; its expected value if ties are averaged


def rank(query, gallery, class_q, class_g, ks, distance, ties) -> Sums:
    sums = Sums(
        np.zeros(len(query), np.int64),
        np.zeros(len(query)),
        np.zeros((len(query), len(ks))),
        np.zeros(len(query)),
        np.zeros((len(query), len(ks))),
        np.zeros((len(query), len(ks))),
        np.zeros((len(query), len(ks))),
    )
    if distance == "cosine":
        query, gallery = _inputs.unit(query), _inputs.unit(gallery)
    for i in range(len(query)):
        if class_q[i] < 0:
            continue
        if distance == "cosine":
            key = -(gallery @ query[i])
        else:
            key = np.bitwise_count(query[i] ^ gallery).sum(1, dtype=np.int32)
        _one(sums, i, key, class_g == class_q[i], ks, ties)
    return sums


def _one(sums, i, key, good, ks, ties):
    sums.relevant[i] = good.sum()
    _, group = np.unique(key, return_inverse=True)
    second = {"best": ~good, "worst": good}.get(ties, np.zeros(len(key), bool))
    order = np.lexsort((second, group))
    good, group = good[order], group[order]
    size = np.bincount(group)
    rel = np.bincount(group, weights=good).astype(int)
    mixed = ties == "expected" and ((rel > 0) & (rel < size)).any()
    ranks = np.flatnonzero(good) + 1
    precision = np.arange(1, len(ranks) + 1) / ranks
    if not mixed:
        sums.plain[i] = precision.sum()
        sums.interpolated[i] = np.maximum.accumulate(precision[::-1]).sum()
        for c, k in enumerate(ks):
            top = precision[ranks <= k]
            sums.plain_at[i, c] = top.sum()
            sums.hits_at[i, c] = len(top)
            sums.per_hit_at[i, c] = top.mean() if len(top) else 0
            sums.interpolated_at[i, c] = np.maximum.accumulate(top[::-1]).sum()
        return
    sums.interpolated[i] = sums.interpolated_at[i] = np.nan
    sums.plain[i] = _expected(size, rel, len(key))[0]
    for c, k in enumerate(ks):
        sums.plain_at[i, c], sums.hits_at[i, c], sums.per_hit_at[i, c] = _expected(size, rel, k)


def _expected(size, rel, k):
    n = h = 0
    plain = 0.0
    for m, r in zip(size, rel, strict=True):
        m, r = int(m), int(r)
        t = np.arange(1, min(m, k - n) + 1)
        if r:
            step = (r - 1) / (m - 1) if m > 1 else 0
            part = (r / m * (h + 1 + (t - 1) * step) / (n + t)).sum()
        else:
            part = 0.0
        if n + m >= k:
            cut = len(t)
            per_hit = 0.0
            for x in range(max(0, r - (m - cut)), min(r, cut) + 1):
                p = comb(cut, x) * comb(m - cut, r - x) / comb(m, r)
                if h + x:
                    step = (x - 1) / (cut - 1) if cut > 1 else 0
                    s = plain + (x / cut * (h + 1 + (t - 1) * step) / (n + t)).sum()
                    per_hit += p * s / (h + x)
            return plain + part, h + r * cut / m, per_hit
        plain += part
        n, h = n + m, h + r
    return plain, float(h), plain / h
