"""Compiled loops for ranking, search and ITQ: tiles of scores, histograms of distances.

A *tile* holds :data:`TILE` photos, dimension by dimension. So a score stays in the cache until it is counted, and each
score is the same sum in the same order at every place of a tile: equal features tie exactly. A *key* grows with the
distance, such as minus the cosine: the smaller the key, the nearer the photo.

Compiled code is cached on disk for each file. After a change of a function that another file calls (`counting`, `ties`,
`nearest`, `itq_step`), remove ``__pycache__``, or the other file uses the old function.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

TILE = 1024
CODES = 4096  # photos in a tile of codes, which are smaller
STEP = 4  # queries and dimensions in one pass of `keys`; both are padded to a multiple

_fast = {"nogil": True, "cache": True, "error_model": "numpy", "fastmath": {"contract"}}


@intrinsic
def popcount(typingctx, word):
    """Number of ones of a uint64, as one instruction that LLVM can vectorise."""

    def build(context, builder, signature, arguments):
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), build


@intrinsic
def prefetch(typingctx, values, index):
    """Load the cache line of values[index] in the background."""

    def build(context, builder, signature, arguments):
        kind = signature.args[0]
        data = context.make_array(kind)(context, builder, arguments[0]).data
        line = builder.bitcast(builder.gep(data, [arguments[1]]), ir.PointerType(ir.IntType(8)))
        word = ir.IntType(32)
        shape = ir.FunctionType(ir.VoidType(), [line.type, word, word, word])
        instruction = builder.module.declare_intrinsic("llvm.prefetch", [line.type], shape)
        builder.call(instruction, [line, word(0), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(values, types.int64), build


@njit(**_fast)
def inverse_lengths(x, out):
    """out[n] = 1 / |x[n]|, or 0 for a row of zeros."""
    for n in range(len(x)):
        total = 0.0
        for k in range(x.shape[1]):
            total += np.float64(x[n, k]) * np.float64(x[n, k])
        out[n] = 1 / np.sqrt(total) if total > 0 else 0.0


@njit(**_fast)
def fetch(values):
    """Read one value per cache line in sequence, so that the prefetcher loads the array before the random accesses.

    The sum is returned so that the compiler does not remove the reads.
    """
    total = values.dtype.type(0)
    for i in range(0, len(values), 64 // values.itemsize):
        total += values[i]
    return total


@njit(**_fast)
def fill_tile(x, rows, factor, tile):
    """tile[k, j] = x[rows[j], k] * factor[rows[j]]; the rest of the (d padded, TILE) tile stays zero."""
    count, d = len(rows), x.shape[1]
    lines = np.empty((16, d), x.dtype)
    for start in range(0, count, 16):  # 16 photos at a time fill whole cache lines of the tile
        photos = min(16, count - start)
        for j in range(photos):
            photo, later = rows[start + j], x[rows[min(start + j + 16, count - 1)]]
            for k in range(0, d, 64 // x.itemsize):
                prefetch(later, np.int64(k))
            for k in range(d):
                lines[j, k] = x[photo, k] * factor[photo]
        for k in range(d):
            if photos == 16:  # a fixed length is transposed by vector instructions
                out = tile[k, start : start + 16]
                for j in range(16):
                    out[j] = lines[j, k]
            else:
                for j in range(photos):
                    tile[k, start + j] = lines[j, k]
    tile[:d, count:] = 0
    tile[d:] = 0


@njit(**_fast)
def fill_tiles(x, start, stop, factor, tiles):
    """`fill_tile` for photos start ... stop in gallery order, as far as the tiles have room."""
    for t in range(len(tiles)):
        first = start + t * TILE
        fill_tile(x, np.arange(first, min(first + TILE, stop)), factor, tiles[t])


@njit(**_fast)
def keys(query, tile, out):
    """out = query @ tile for STEP queries and all TILE columns."""
    out[:] = 0
    q0, q1, q2, q3 = query[0], query[1], query[2], query[3]
    o0, o1, o2, o3 = out[0], out[1], out[2], out[3]
    for k in range(0, len(tile), 4):
        a0, a1, a2, a3 = q0[k], q0[k + 1], q0[k + 2], q0[k + 3]
        b0, b1, b2, b3 = q1[k], q1[k + 1], q1[k + 2], q1[k + 3]
        c0, c1, c2, c3 = q2[k], q2[k + 1], q2[k + 2], q2[k + 3]
        d0, d1, d2, d3 = q3[k], q3[k + 1], q3[k + 2], q3[k + 3]
        t0, t1, t2, t3 = tile[k], tile[k + 1], tile[k + 2], tile[k + 3]
        for j in range(TILE):
            g0, g1, g2, g3 = t0[j], t1[j], t2[j], t3[j]
            o0[j] = o0[j] + a0 * g0 + a1 * g1 + a2 * g2 + a3 * g3
            o1[j] = o1[j] + b0 * g0 + b1 * g1 + b2 * g2 + b3 * g3
            o2[j] = o2[j] + c0 * g0 + c1 * g1 + c2 * g2 + c3 * g3
            o3[j] = o3[j] + d0 * g0 + d1 * g1 + d2 * g2 + d3 * g3


@njit(**_fast)
def relevant_keys(query, tile, count, out):
    """out[i, j] = key of query i and photo j of one tile, for the len(out) queries of one class."""
    buffer = np.empty((STEP, TILE), query.dtype)
    for i in range(0, len(out), STEP):
        keys(query[i : i + STEP], tile, buffer)
        for s in range(min(STEP, len(out) - i)):
            out[i + s] = buffer[s, :count]


@njit(**_fast)
def bit_distances(query, words, start, stop, out):
    """out[j] = differing bits between a query of W words and column start + j of the (W, G) gallery."""
    q, row = query[0], words[0, start:stop]
    for j in range(stop - start):
        out[j] = np.int32(popcount(q ^ row[j]))
    for w in range(1, len(words)):
        q, row = query[w], words[w, start:stop]
        for j in range(stop - start):
            out[j] += np.int32(popcount(q ^ row[j]))


@njit(**_fast)
def distance_histogram(query, words, start, stop, buffer, four, out):
    """out[d] = number of photos start ... stop at distance d; `four` counters take turns, so that none has to wait."""
    four[:] = 0
    for begin in range(start, stop, CODES):
        end = min(begin + CODES, stop)
        bit_distances(query, words, begin, end, buffer)
        whole = (end - begin) & ~3
        for j in range(0, whole, 4):
            four[0, np.uint32(buffer[j])] += 1
            four[1, np.uint32(buffer[j + 1])] += 1
            four[2, np.uint32(buffer[j + 2])] += 1
            four[3, np.uint32(buffer[j + 3])] += 1
        for j in range(whole, end - begin):
            four[0, buffer[j]] += 1
    for d in range(len(out)):
        out[d] = four[0, d] + four[1, d] + four[2, d] + four[3, d]


@njit(**_fast)
def others_before(query, words, classes, wanted, first, buffer, others):
    """others[p] = photos of other classes before a relevant photo at its distance d; those of d begin at first[d]."""
    passed, place = np.zeros(len(first), np.int64), first.copy()
    for begin in range(0, words.shape[1], CODES):
        end = min(begin + CODES, words.shape[1])
        bit_distances(query, words, begin, end, buffer)
        for j in range(end - begin):
            d = buffer[j]
            if classes[begin + j] == wanted:
                others[place[d]] = passed[d]
                place[d] += 1
            else:
                passed[d] += 1
