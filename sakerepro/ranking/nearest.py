"""The k smallest keys of a stream, for search (compiled)."""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import CODES, STEP, TILE, _fast, bit_distances, keys


@njit(**_fast)
def smallest(x, k):
    """The k-th smallest of x (from 1), by quickselect; x is left in another order."""
    low, high = 0, len(x) - 1
    while low < high:
        pivot, i, j = x[(low + high) >> 1], low, high
        while i <= j:
            while x[i] < pivot:
                i += 1
            while pivot < x[j]:
                j -= 1
            if i <= j:
                x[i], x[j] = x[j], x[i]
                i, j = i + 1, j - 1
        if k - 1 <= j:
            high = j
        elif k - 1 >= i:
            low = i
        else:
            break
    return x[k - 1]


@njit(**_fast)
def shrink(keys_kept, index_kept, count, k):
    """Keep the k smallest of `count` candidates, the earlier of equal ones, in their order; return the k-th key."""
    bound = smallest(keys_kept[:count].copy(), k)
    equal = k
    for j in range(count):
        equal -= keys_kept[j] < bound
    kept = 0
    for j in range(count):
        key = keys_kept[j]
        if key < bound or (key == bound and equal > 0):
            equal -= key == bound
            keys_kept[kept], index_kept[kept] = key, index_kept[j]
            kept += 1
    return bound


@njit(**_fast)
def any_below(row, bound):
    """Whether one of 128 keys is below the bound; the fixed number lets LLVM compare many at once."""
    found = False
    for j in range(128):
        found |= row[j] < bound
    return found


@njit(**_fast)
def collect(row, width, offset, k, keys_kept, index_kept, count, bound):
    """Add the photos of one tile that are nearer than the bound to the candidates; return their number and the bound.

    A later photo at the bound itself loses to the k earlier ones, so "nearer" is strict.
    """
    for start in range(0, width, 128):
        stop = min(start + 128, width)
        if stop - start == 128 and not any_below(row[start:stop], bound):
            continue
        for j in range(start, stop):
            if row[j] < bound:
                keys_kept[count], index_kept[count] = row[j], offset + j
                count += 1
                if count == len(keys_kept):
                    bound = shrink(keys_kept, index_kept, count, k)
                    count = k
    return count, bound


@njit(**_fast)
def nearest_features(query, tiles, width, offset, k, keys_kept, index_kept, counts, bounds):
    """`collect` for a block of queries and a super-block of `width` photos that starts at photo `offset`."""
    buffer = np.empty((STEP, TILE), query.dtype)
    for t in range(len(tiles)):
        inside = min(TILE, width - t * TILE)
        for i in range(0, len(counts), STEP):
            keys(query[i : i + STEP], tiles[t], buffer)
            for s in range(i, min(i + STEP, len(counts))):
                counts[s], bounds[s] = collect(
                    buffer[s - i], inside, offset + t * TILE, k, keys_kept[s], index_kept[s], counts[s], bounds[s]
                )


@njit(**_fast)
def nearest_codes(query, words, k, keys_kept, index_kept, counts, bounds):
    """`collect` for a block of queries of W words and a (W, G) gallery."""
    buffer = np.empty(CODES, np.int32)
    for start in range(0, words.shape[1], CODES):
        stop = min(start + CODES, words.shape[1])
        for s in range(len(query)):
            bit_distances(query[s], words, start, stop, buffer)
            counts[s], bounds[s] = collect(
                buffer, stop - start, start, k, keys_kept[s], index_kept[s], counts[s], bounds[s]
            )


@njit(**_fast)
def finish(k, keys_kept, index_kept, counts):
    """Leave exactly the k nearest of each query in the first k columns, in the order of the gallery."""
    for s in range(len(counts)):
        if counts[s] > k:
            shrink(keys_kept[s], index_kept[s], counts[s], k)
