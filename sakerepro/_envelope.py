"""Expected interpolated precision over the orders of tied photos, exactly (compiled).

Interpolation takes the best precision at this or any later rank, which is not linear in the ranks: no closed form is
known, so the orders of each tied group are gone through. Groups are independent, so their orders do not multiply.
"""

from __future__ import annotations

import numpy as np
from numba import njit

ORDERS = 100  # of one tied group, up to which it is gone through

_exact = {"nogil": True, "cache": True, "error_model": "numpy"}


@njit(**_exact)
def orders(size, good):
    """Number of orders of `good` relevant among `size` tied photos, or `ORDERS` + 1 for any larger number."""
    count = 1.0
    for i in range(min(good, size - good)):
        count = count * (size - i) / (i + 1)
        if count > ORDERS:
            return ORDERS + 1
    return round(count)


@njit(**_exact)
def mean_above(values, chances, x):
    """E[max(W, x)] of a random W."""
    total = 0.0
    for i in range(len(values)):
        total += chances[i] * max(values[i], x)
    return total


@njit(**_exact)
def maximum_of(values, chances, others):
    """Values (rising) and chances of max(W, M), M being each of the sorted `others` with the same chance."""
    room = len(values) + len(others)
    new_values, new_chances = np.empty(room), np.empty(room)
    i, j, count, below, last = 0, 0, 0, 0.0, 0.0
    while i < len(values) or j < len(others):
        x = min(values[i] if i < len(values) else np.inf, others[j] if j < len(others) else np.inf)
        while i < len(values) and values[i] == x:
            below += chances[i]
            i += 1
        while j < len(others) and others[j] == x:
            j += 1
        chance = below * j / len(others)
        if chance > last:
            new_values[count], new_chances[count] = x, chance - last
            count, last = count + 1, chance
    return new_values[:count], new_chances[:count]


@njit(**_exact)
def in_order(x):
    """Sort a few values, in place."""
    for i in range(1, len(x)):
        value, j = x[i], i
        while j > 0 and x[j - 1] > value:
            x[j] = x[j - 1]
            j -= 1
        x[j] = value
    return x


@njit(**_exact)
def raise_to(values, chances, start, x):
    """Make max(W, x) of W, whose rising values begin at `start`, in place; return where they begin now."""
    chance = 0.0
    while start < len(values) and values[start] <= x:
        chance += chances[start]
        start += 1
    if chance > 0:
        start -= 1
        values[start], chances[start] = x, chance
    return start


@njit(**_exact)
def next_places(places, size):
    """The next choice of places 1 ... size in the order of the dictionary, in place."""
    good = len(places)
    j = good - 1
    while j >= 0 and places[j] == size - good + j + 1:
        j -= 1
    if j >= 0:
        places[j] += 1
        for i in range(j + 1, good):
            places[i] = places[i - 1] + 1


@njit(**_exact)
def expected_envelope(groups, before, size, good, k):
    """Expected interpolated sum of precisions up to k; NaN where a tied group has more than `ORDERS` orders.

    From the last group to the first, the best precision so far is a random value W, independent of the order within
    the next group; all orders of that group are gone through.
    """
    end, hits = 0, 0
    while end < groups and before[end] < k:
        if good[end] < size[end] and orders(size[end], good[end]) > ORDERS:
            return np.nan
        hits += good[end]
        end += 1
    values, chances, start, total, mean = np.zeros(1), np.ones(1), 0, 0.0, 0.0  # `mean` of W
    for g in range(end - 1, -1, -1):
        n, m, r = before[g], size[g], good[g]
        hits -= r
        cut = min(m, k - n)
        if r == m:  # nothing is random here
            for t in range(cut, 0, -1):
                precision = (hits + t) / (n + t)
                if values[start] <= precision:  # else W stays as it is
                    start = raise_to(values, chances, start, precision)
                    mean = mean_above(values[start:], chances[start:], 0.0)
                total += mean
            continue
        ways = orders(m, r)
        places, best = np.empty(r, np.int64), np.zeros(ways)
        for j in range(r):
            places[j] = j + 1
        for way in range(ways):
            for j in range(r - 1, -1, -1):
                if places[j] <= cut:
                    best[way] = max(best[way], (hits + j + 1) / (n + places[j]))
                    total += mean_above(values[start:], chances[start:], best[way]) / ways
            next_places(places, m)
        values, chances = maximum_of(values[start:], chances[start:], in_order(best))
        start = 0
        mean = mean_above(values, chances, 0.0)
    return total
