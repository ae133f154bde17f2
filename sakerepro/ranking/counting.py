"""Counting the keys of photos between the sorted thresholds of a query (compiled).

The cache limits the speed, not the arithmetic: counters have 16 bits, thresholds are prefetched, and they are compared
as integers. `kernels` defines keys and tiles.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import STEP, TILE, _fast, fetch, keys, prefetch

AHEAD = 64  # keys whose thresholds are prefetched together
BEYOND = 8  # counters for keys beyond all thresholds, used in turn: each increment of a single one waits for the last


@njit(**_fast)
def build_table(thresholds, table):
    """Make ``table[b] << dropped`` the number of thresholds in buckets before b, or up to 2^dropped - 1 less.

    `thresholds` are sorted and end with infinity, which has no bucket. Buckets are monotonic: keys of an earlier bucket
    are smaller. The last `BEYOND` buckets lie beyond all thresholds. Two bytes a bucket keep the table in the cache;
    `dropped` is 0 if 16 bits can number all thresholds. Returns the first key, buckets per unit, and `dropped`.
    """
    one, buckets, count = thresholds.dtype.type, len(table) - BEYOND, len(thresholds) - BEYOND
    low, high = thresholds[0], thresholds[count - 1]
    scale = (buckets - 1) / (np.float64(high) - np.float64(low)) if high > low else 0.0
    scale = one(scale) if scale < 1e30 else one(0.0)
    dropped, empty = np.uint64(0), np.uint16(65535)
    while np.uint64(count + BEYOND) >> dropped >= np.uint64(empty):
        dropped += np.uint64(1)
    table[:] = empty
    for p in range(count - 1, -1, -1):  # backwards: the first threshold of a bucket is written last
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
    """Add one to a 16-bit counter; `wraps` notes its overflows. 16 bits keep the counters in the cache.

    An overflow takes 65,536 photos, so they are few: wraps[0] of them, at wraps[1], wraps[2], ...
    """
    now = np.uint16(counts[place] + np.uint16(1))
    counts[place] = now
    if now == np.uint16(0):
        wraps[0] += np.uint32(1)
        wraps[wraps[0]] = place


@njit(**_fast)
def counted(counts, wraps, place):
    """The total of `count_one` at a place."""
    total = np.int64(counts[place])
    for w in range(1, wraps[0] + 1):
        total += np.int64(wraps[w] == place) << 16
    return total


@njit(**_fast)
def as_integers(bits):
    """Turn bits of floats, in place, into integers of the same order, which compare faster; -0 becomes 0."""
    least = bits.dtype.type(-1) << (8 * bits.itemsize - 1)
    for j in range(len(bits)):
        bits[j] = bits[j] if bits[j] >= 0 else bits.dtype.type(least - bits[j])


@njit(**_fast)
def buckets_of(row, buckets, low, scale, out):
    """out[j] = bucket of key row[j] in a table of `buckets` buckets (see `build_table`)."""
    last, zero = row.dtype.type(buckets), row.dtype.type(0)
    for j in range(TILE):
        bucket = (row[j] - low) * scale
        bucket = bucket if bucket > zero else zero
        out[j] = np.uint32(bucket) if bucket < last else np.uint32(last) + np.uint32(j % BEYOND)


@njit(**_fast)
def count_tile(row, bucket, width, thresholds, table, dropped, counts, wraps, classes, wanted, notes, noted):
    """Count the keys of one query and tile between and on its sorted thresholds; `bucket` holds their buckets.

    counts[2 p] counts keys between thresholds p - 1 and p, counts[2 p + 1] keys of other classes equal to p (the first
    of equal thresholds). Relevant photos need no count: their keys are the thresholds. If `notes` has room, a relevant
    photo after photos of other classes with an equal key leaves the note ``p << 32 | number of those``; zeros follow
    the last note. Returns the number of notes, which was `noted` before.
    Thresholds are prefetched for `AHEAD` keys at a time: the first cache has no room for all of them.
    """
    in_order = len(notes) > 0
    for start in range(0, width, AHEAD):  # unsigned indices spare the test for negative ones
        stop = min(start + AHEAD, width)
        for j in range(start, stop):
            p = np.uint64(table[bucket[np.uint64(j)]]) << dropped
            bucket[np.uint64(j)] = p
            prefetch(thresholds, np.int64(p))
        for j in range(start, stop):
            key, p = row[np.uint64(j)], np.uint64(bucket[np.uint64(j)])
            p += np.uint64(thresholds[p] < key)  # most buckets need at most two steps, which take no branch
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
def build_tables(part, thresholds, at, bits, table_at, tables, scales, dropped):
    """`build_table` for queries part[0] ... part[1]; `bits`, a view of the thresholds, becomes integers."""
    for i in range(*part):
        sorted_keys = thresholds[at[i] : at[i + 1]]
        scales[0, i], scales[1, i], dropped[i] = build_table(sorted_keys, tables[table_at[i] : table_at[i + 1]])
        as_integers(bits[at[i] : at[i + 1]])


@njit(**_fast)
def count_block(
    part, query, tiles, at, bits, table_at, tables, scales, dropped, counts, wraps, classes, wanted, notes, noted
):
    """Count queries part[0] ... part[1] against a super-block of photos; in order if `notes` has room for it.

    Query i owns thresholds, counters and notes from at[i] to at[i + 1], and the table from table_at[i] to
    table_at[i + 1].
    Thresholds are integers (`as_integers`). A query is counted against all tiles in turn, so that its tables, which may
    not fit into the cache, are loaded once.
    """
    first, stop = part
    buffer = np.empty((len(tiles), stop - first + STEP, TILE), query.dtype)
    row, bucket = np.empty(TILE, query.dtype), np.empty(TILE, np.uint32)
    as_bits = row.view(bits.dtype)
    for t in range(len(tiles)):
        for i in range(first, stop, STEP):
            keys(query[i : i + STEP], tiles[t], buffer[t, i - first : i - first + STEP])
    for i in range(first, stop):
        sorted_keys, counters = bits[at[i] : at[i + 1]], counts[2 * at[i] : 2 * at[i + 1]]
        table = tables[table_at[i] : table_at[i + 1]]
        own_notes = notes[at[i] : at[i + 1]]
        bucket[0] = np.uint32(fetch(sorted_keys) > 0) + fetch(table) + fetch(counters)
        for t in range(len(tiles)):
            photos, row[:] = min(TILE, len(classes) - t * TILE), buffer[t, i - first]
            buckets_of(row, len(table) - BEYOND, scales[0, i], scales[1, i], bucket)
            as_integers(as_bits)
            own_classes = classes[t * TILE : t * TILE + photos]
            noted[i] = count_tile(
                as_bits,
                bucket,
                photos,
                sorted_keys,
                table,
                dropped[i],
                counters,
                wraps[i],
                own_classes,
                wanted[i],
                own_notes,
                noted[i],
            )
