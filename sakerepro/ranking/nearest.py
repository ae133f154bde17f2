"""The k smallest keys of a stream, for search (compiled)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numba import njit

from ..threads import each
from . import ranks
from .kernels import CODES, STEP, TILE, _fast, bit_distances, keys


@njit(**_fast)
def smallest(x, k):
    """The k-th smallest of x (from 1), by quickselect; x is reordered."""
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
    """Keep the k smallest of `count` candidates in their order, of equal ones the earlier; return the k-th key."""
    bound = smallest(keys_kept[:count].copy(), k)
    equal = k
    for j in range(count):
        equal -= keys_kept[j] < bound
    place = 0
    for j in range(count):
        key = keys_kept[j]
        if key < bound or (key == bound and equal > 0):
            equal -= key == bound
            keys_kept[place], index_kept[place] = key, index_kept[j]
            place += 1
    return bound


@njit(**_fast)
def any_below(row, bound):
    """Whether one of 128 keys is below the bound; the fixed number lets LLVM compare many at once."""
    below = False
    for j in range(128):
        below |= row[j] < bound
    return below


@njit(**_fast)
def collect(row, width, offset, k, keys_kept, index_kept, count, bound):
    """Add the photos of one tile below the bound to the candidates; return the number of candidates and the bound.

    Photos at the bound are left out, since the k earlier ones win the tie.
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
    """Move the k nearest of each query to the first k columns, in gallery order."""
    for s in range(len(counts)):
        if counts[s] > k:
            shrink(keys_kept[s], index_kept[s], counts[s], k)


def of_features(query: np.ndarray, gallery: np.ndarray, k: int, unit: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """(Q, k) keys and gallery indices of the nearest, in gallery order; ``unit`` scales to norm 1 first."""
    tiles, padded = ranks.Tiles.of(gallery, unit), ranks.query_keys(query, unit)

    def search_block(first: int, width: int, block: np.ndarray, part: Part) -> None:
        rows, candidates = part
        nearest_features(padded[rows.start : rows.stop + STEP], block, width, first, k, *candidates)

    def search(parts: list[Part]) -> None:
        for of_block in tiles.blocks():
            each(partial(search_block, *of_block), parts)

    return _chunks(len(query), k, query.dtype, search)


def of_codes(query: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`of_features`, for packed codes."""
    rows, words = ranks.as_words(query), np.ascontiguousarray(ranks.as_words(gallery).T)

    def search(parts: list[Part]) -> None:
        each(lambda part: nearest_codes(rows[part[0]], words, k, *part[1]), parts)

    return _chunks(len(query), k, np.dtype(np.int32), search)


Part = tuple[slice, list[Any]]  # some queries, and their keys_kept, index_kept, counts and bounds


def _chunks(
    queries: int, k: int, kind: np.dtype, search: Callable[[list[Part]], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Keys and indices of all queries, in chunks that fit the budget; ``search`` collects candidates."""
    room = 2 * k + 64  # places for candidates; more than k, so that `shrink` is rare
    limit = np.inf if kind.kind == "f" else np.iinfo(kind).max
    keys_found, index_found = np.empty((queries, k), kind), np.empty((queries, k), np.int64)
    step = max(1, ranks.BUDGET // (16 * room))
    for start in range(0, queries, step):
        stop = min(start + step, queries)
        count = stop - start
        candidates: list[Any] = [np.empty((count, room), kind), np.empty((count, room), np.int64)]
        candidates += [np.zeros(count, np.int64), np.full(count, limit, kind)]
        firsts = range(start, stop, ranks.BLOCK)
        parts = [
            (slice(s, min(s + ranks.BLOCK, stop)), [x[s - start :][: ranks.BLOCK] for x in candidates]) for s in firsts
        ]
        search(parts)
        each(lambda part: finish(k, *part[1][:3]), parts)
        keys_found[start:stop], index_found[start:stop] = candidates[0][:, :k], candidates[1][:, :k]
    return keys_found, index_found
