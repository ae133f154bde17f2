"""From ranks to sums of precisions, exact for tied ranks (compiled).

Relevant photos form groups of equal distance: `before` photos precede a group of `size` photos, of which `good` are
relevant. One query fills one row: the sum of precisions, the same interpolated, then for each cut-off the sum of
precisions, the interpolated one, the relevant photos, and sum / relevant photos (see `columns`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .counting import BEYOND, counted
from .kernels import CODES, distance_histogram, others_before

EXPECTED, WORST, BEST, INDEX = range(4)  # in the order of metrics.TIES

_exact = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_exact)
def from_ranks(ranks, precision, ks, row):
    """Fill `row` from the sorted ranks (from 1) of the relevant photos."""
    count, cuts = len(ranks), len(ks)
    for j in range(count):
        precision[j] = (j + 1) / ranks[j]
    for c in range(cuts + 1):
        hits = count
        if c < cuts:
            hits = np.searchsorted(ranks, ks[c] + 1)
        plain, interpolated, best = 0.0, 0.0, 0.0
        for j in range(hits - 1, -1, -1):  # backwards: `best` is the precision envelope, cut at k
            best = max(best, precision[j])
            interpolated += best
            plain += precision[j]
        if c == cuts:
            row[0], row[1] = plain, interpolated
        else:
            row[2 + c], row[2 + cuts + c], row[2 + 2 * cuts + c] = plain, interpolated, hits
            row[2 + 3 * cuts + c] = plain / hits if hits else 0.0


@njit(**_exact)
def harmonic(n, count):
    """Sums over t = 1 ... count of 1 / (n + t) and of (t - 1) / (n + t), to about 1e-14 of their size."""
    total, weighted = 0.0, 0.0
    if count <= 24 or n < 32:
        stop = count if count <= 24 else min(count, 32)
        for t in range(1, stop + 1):
            total += 1 / (n + t)
            weighted += (t - 1) / (n + t)
        if stop == count:
            return total, weighted
        tail, tail_weighted = harmonic_tail(n + stop, count - stop)
        return total + tail, weighted + tail_weighted + stop * tail
    return harmonic_tail(n, count)


@njit(**_exact)
def harmonic_tail(n, count):
    """`harmonic` by the asymptotic series of the harmonic numbers at n + 1/2, for n of at least 32."""
    a, b = n + 0.5, n + count + 0.5
    total = np.log1p(count / a)
    for power, factor in ((2, 1 / 24), (4, -7 / 960), (6, 31 / 8064)):
        total += factor * (b**-power - a**-power)
    return total, count - (n + 1) * total


@njit(**_exact)
def expected_part(first, relevant, size, sums):
    """Expected sum of precisions over the first `count` places of a group; `sums` are `harmonic(.., count)`.

    `relevant` (r) of `size` (m) places are relevant, and `first` relevant photos precede the group. Place t is relevant
    with probability r / m; then (t - 1) (r - 1) / (m - 1) of the places before it are relevant, in expectation
    (McSherry and Najork, 2008).
    """
    slope = (relevant - 1) / (size - 1) if size > 1 else 0.0
    return relevant / size * ((first + 1) * sums[0] + slope * sums[1])


@njit(**_exact)
def expected_per_hit(before_sum, first, n, size, good, cut):
    """Expected (sum of precisions / relevant photos) up to `cut` places into a tied group.

    The number x of relevant photos among these places is hypergeometric; given x, their places are uniform.
    """
    least, most = max(0, good - (size - cut)), min(good, cut)
    mode = min(max((good + 1) * (cut + 1) // (size + 2), least), most)
    sums = harmonic(n, cut)
    weights, total = 0.0, 0.0
    for side in range(2):  # up from the mode, then down, until the weights are negligible
        x, weight = mode, 1.0
        while least <= x <= most and weight > 1e-20:
            if side == 0 or x != mode:
                weights += weight
                if first + x:
                    total += weight * (before_sum + expected_part(first, x, cut, sums)) / (first + x)
            if side == 0:
                weight *= (good - x) / (x + 1) * (cut - x) / (size - cut - good + x + 1)
                x += 1
            else:
                weight *= x / (good - x + 1) * (size - cut - good + x) / (cut - x + 1)
                x -= 1
    return total / weights


@njit(**_exact)
def from_groups(groups, before, size, good, ks, row):
    """Fill `row` with expected values over uniformly random orders within each group; interpolated ones are NaN."""
    cuts = len(ks)
    for c in range(cuts + 1):
        k = ks[c] if c < cuts else np.int64(1) << 62
        plain, hits, per_hit = 0.0, 0.0, -1.0
        for g in range(groups):
            n, m, r = before[g], size[g], good[g]
            if n >= k:
                break
            if m == 1:  # most groups; equals the lines below
                plain += (hits + 1) * (1 / (n + 1))
                hits += 1
                continue
            cut, first = min(m, k - n), hits
            if cut < m:
                per_hit = expected_per_hit(plain, int(first), n, m, r, cut)
            plain += expected_part(first, r, m, harmonic(n, cut))
            hits += r * cut / m
        if c == cuts:
            row[0], row[1] = plain, np.nan
        else:
            row[2 + c], row[2 + 2 * cuts + c] = plain, hits
            row[2 + cuts + c] = np.nan
            row[2 + 3 * cuts + c] = per_hit if per_hit >= 0 else (plain / hits if hits else 0.0)


@njit(**_exact)
def fill_row(groups, before, size, good, others, rule, ranks, precision, ks, row):
    """Fill `row` from groups under a rule.

    For INDEX, `others` holds, for each relevant photo, the number of other photos that precede it in its group.
    """
    mixed, count = False, 0
    for g in range(groups):
        mixed |= good[g] < size[g]
        for j in range(good[g]):
            if rule == INDEX:
                ranks[count] = before[g] + j + 1 + others[count]
            elif rule == WORST:
                ranks[count] = before[g] + size[g] - good[g] + j + 1
            else:
                ranks[count] = before[g] + j + 1
            count += 1
    if rule == EXPECTED and mixed:
        from_groups(groups, before, size, good, ks, row)
    else:
        from_ranks(ranks[:count], precision, ks, row)


@njit(**_exact)
def rows_of_counts(at, thresholds, counts, wraps, notes, rule, ks, rows):
    """`fill_row` for the counts of `counting`."""
    most = (at[1:] - at[:-1]).max()
    before, size, good = np.empty(most, np.int64), np.empty(most, np.int64), np.empty(most, np.int64)
    ranks, precision = np.empty(most, np.int64), np.empty(most)
    behind, others = np.empty(most, np.int64), np.empty(most, np.int64)
    for i in range(len(rows)):
        start, count = at[i], at[i + 1] - at[i] - BEYOND
        groups, passed, p, counters = 0, 0, 0, counts[2 * start : 2 * at[i + 1]]
        while p < count:
            equal = 1
            while p + equal < count and thresholds[start + p + equal] == thresholds[start + p]:
                equal += 1
            passed += counted(counters, wraps[i], 2 * p)
            before[groups], size[groups], good[groups] = passed, counted(counters, wraps[i], 2 * p + 1) + equal, equal
            passed += size[groups]
            behind[p] = p + equal
            groups, p = groups + 1, behind[p]
        if rule == INDEX:  # the photos without a note come first in their groups
            others[:count] = 0
            last = start
            while notes[last]:
                last += 1
            for note in notes[start:last][::-1]:
                group = np.int64(note >> np.uint64(32))
                behind[group] -= 1
                others[behind[group]] = note & np.uint64(0xFFFFFFFF)
        fill_row(groups, before, size, good, others, rule, ranks, precision, ks, rows[i])


@njit(**_exact)
def rows_of_codes(query, words, in_order, classes, wanted, first, last, rule, ks, rows):
    """`fill_row` for binary codes: histograms of distances, no sort.

    `words` holds the gallery class by class; first[i] ... last[i] is the class of query i. `in_order` and `classes`
    have the original order and are only read for INDEX.
    """
    bits = 64 * len(words)
    everything, relevant = np.empty(bits + 1, np.int64), np.empty(bits + 1, np.int64)
    before, size, good = np.empty(bits + 1, np.int64), np.empty(bits + 1, np.int64), np.empty(bits + 1, np.int64)
    four, buffer = np.empty((4, bits + 1), np.uint32), np.empty(CODES, np.int32)
    most = (last - first).max()
    ranks, precision, others = np.empty(most, np.int64), np.empty(most), np.empty(most, np.int64)
    for i in range(len(rows)):
        distance_histogram(query[i], words, 0, words.shape[1], buffer, four, everything)
        distance_histogram(query[i], words, first[i], last[i], buffer, four, relevant)
        if rule == INDEX:
            starts = np.zeros(bits + 1, np.int64)
            for d in range(bits):
                starts[d + 1] = starts[d] + relevant[d]
            others_before(query[i], in_order, classes, wanted[i], starts, buffer, others)
        groups, passed = 0, 0
        for d in range(bits + 1):
            if relevant[d]:
                before[groups], size[groups], good[groups] = passed, everything[d], relevant[d]
                groups += 1
            passed += everything[d]
        fill_row(groups, before, size, good, others, rule, ranks, precision, ks, rows[i])
