"""Counting the keys of photos between the sorted thresholds of a query (compiled).

Counting waits for the cache, not for the arithmetic: counters have 16 bits, thresholds are asked for before they are
needed, and they are compared as integers. `kernels` says what a key and a tile are.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import STEP, TILE, _fast, fetch, keys, prefetch

AHEAD = 64  # keys whose thresholds are asked for before the first of them is compared
BEYOND = 8  # counters for keys beyond all thresholds, in turn: one alone would wait for itself


@njit(**_fast)
def build_table(thresholds, table):
    """Make ``table[b] << dropped`` the number of thresholds in buckets before b, or up to 2^dropped - 1 less.

    `thresholds` are sorted and end with infinity, which is in no bucket. The bucket of a key never falls as the key
    rises, so whatever lies in an earlier bucket is smaller. The last buckets lie beyond all thresholds. Two bytes a
    bucket keep the table in the cache; `dropped` is 0 as long as they can number all thresholds. Returns the first
    key, buckets per unit, and `dropped`.
    """
    one, buckets, count = thresholds.dtype.type, len(table) - BEYOND, len(thresholds) - BEYOND
    low, high = thresholds[0], thresholds[count - 1]
    scale = (buckets - 1) / (np.float64(high) - np.float64(low)) if high > low else 0.0
    scale = one(scale) if scale < 1e30 else one(0.0)
    dropped, empty = np.uint64(0), np.uint16(65535)
    while np.uint64(count + BEYOND) >> dropped >= np.uint64(empty):
        dropped += np.uint64(1)
    table[:] = empty
    for p in range(count - 1, -1, -1):  # the first threshold of a bucket stays
        table[min(int((thresholds[p] - low) * scale), buckets - 1)] = np.uint64(p) >> dropped
    after = np.uint16(np.uint64(count) >> dropped)
    for b in range(buckets - 1, -1, -1):
        after = after if table[b] == empty else table[b]
        table[b] = after
    for b in range(BEYOND):
        table[buckets + b] = np.uint64(count + b) >> dropped
    return low, scale, dropped


@njit(**_fast)
def count_one(counts, wraps, place):
    """Count one more in 16 bits, which keep the counters in the cache, and note in `wraps` where they overflow.

    Each overflow takes 65,536 photos, so there are few: wraps[0] of them, at wraps[1], wraps[2], ...
    """
    now = np.uint16(counts[place] + np.uint16(1))
    counts[place] = now
    if now == np.uint16(0):
        wraps[0] += np.uint32(1)
        wraps[wraps[0]] = place


@njit(**_fast)
def counted(counts, wraps, place):
    """What `count_one` has counted at a place."""
    total = np.int64(counts[place])
    for w in range(1, wraps[0] + 1):
        total += np.int64(wraps[w] == place) << 16
    return total


@njit(**_fast)
def as_integers(bits):
    """Turn the bits of floats, in place, into integers of the same order: these are compared faster. -0 becomes 0."""
    least = bits.dtype.type(-1) << (8 * bits.itemsize - 1)
    for j in range(len(bits)):
        bits[j] = bits[j] if bits[j] >= 0 else bits.dtype.type(least - bits[j])


@njit(**_fast)
def buckets_of(row, buckets, low, scale, found):
    """The bucket of each key in a table of so many (see `build_table`)."""
    last, zero = row.dtype.type(buckets), row.dtype.type(0)
    for j in range(TILE):
        bucket = (row[j] - low) * scale
        bucket = bucket if bucket > zero else zero
        found[j] = np.uint32(bucket) if bucket < last else np.uint32(last) + np.uint32(j % BEYOND)


@njit(**_fast)
def count_tile(row, found, width, thresholds, table, dropped, counts, wraps, classes, wanted, notes, noted):
    """Count the keys of one query and tile, found in these buckets, between and on its sorted thresholds.

    counts[2 p] counts keys between thresholds p - 1 and p, counts[2 p + 1] keys of other classes equal to p (the first
    of equal thresholds). Relevant photos need no count: their keys are the thresholds. If `notes` has room, each one
    that photos of other classes and equal key precede leaves the note ``p << 32 | how many``; zeros follow the last.
    Returns the number of notes, of which `noted` were there before.
    Thresholds are asked for some keys before they are compared: the first cache has no room for all of them.
    """
    in_order = len(notes) > 0
    for start in range(0, width, AHEAD):  # unsigned indices: numba then tests for no negative ones
        stop = min(start + AHEAD, width)
        for j in range(start, stop):
            p = np.uint64(table[found[np.uint64(j)]]) << dropped
            found[np.uint64(j)] = p
            prefetch(thresholds, np.int64(p))
        for j in range(start, stop):
            key, p = row[np.uint64(j)], np.uint64(found[np.uint64(j)])
            p += np.uint64(thresholds[p] < key)  # a bucket holds few: two steps without a branch, rarely more
            p += np.uint64(thresholds[p] < key)
            while thresholds[p] < key:
                p += np.uint64(1)
            equal = thresholds[p] == key
            if not equal or classes[np.uint64(j)] != wanted:
                count_one(counts, wraps, p + p + np.uint64(equal))
            elif in_order:
                others = counted(counts, wraps, p + p + np.uint64(1))
                if others > 0:
                    notes[noted] = p << np.uint64(32) | np.uint64(others)
                    noted += 1
    return noted


@njit(**_fast)
def build_tables(some, thresholds, at, bits, table_at, tables, scales, dropped):
    """`build_table` for queries some[0] ... some[1]; thresholds become integers, as which `bits` has their memory."""
    for i in range(*some):
        own = thresholds[at[i] : at[i + 1]]
        scales[0, i], scales[1, i], dropped[i] = build_table(own, tables[table_at[i] : table_at[i + 1]])
        as_integers(bits[at[i] : at[i + 1]])


@njit(**_fast)
def count_block(
    some, query, tiles, at, bits, table_at, tables, scales, dropped, counts, wraps, classes, wanted, notes, noted
):
    """Count queries some[0] ... some[1] against a super-block of photos; in order if `notes` has room for it.

    Query i owns thresholds, counters and notes from at[i] to at[i + 1], and the table from table_at[i] to
    table_at[i + 1].
    Thresholds are integers (`as_integers`). A query meets all tiles in turn, so that what it owns, which may outgrow
    the cache, is fetched once for them.
    """
    first, stop = some
    buffer = np.empty((len(tiles), stop - first + STEP, TILE), query.dtype)
    row, found = np.empty(TILE, query.dtype), np.empty(TILE, np.uint32)
    as_bits = row.view(bits.dtype)
    for t in range(len(tiles)):
        for i in range(first, stop, STEP):
            keys(query[i : i + STEP], tiles[t], buffer[t, i - first : i - first + STEP])
    for i in range(first, stop):
        own, counters = bits[at[i] : at[i + 1]], counts[2 * at[i] : 2 * at[i + 1]]
        table = tables[table_at[i] : table_at[i + 1]]
        own_notes = notes[at[i] : at[i + 1]]
        found[0] = np.uint32(fetch(own) > 0) + fetch(table) + fetch(counters)
        for t in range(len(tiles)):
            inside, row[:] = min(TILE, len(classes) - t * TILE), buffer[t, i - first]
            buckets_of(row, len(table) - BEYOND, scales[0, i], scales[1, i], found)
            as_integers(as_bits)
            here = classes[t * TILE : t * TILE + inside]
            noted[i] = count_tile(
                as_bits, found, inside, own, table, dropped[i], counters, wraps[i], here, wanted[i], own_notes, noted[i]
            )
