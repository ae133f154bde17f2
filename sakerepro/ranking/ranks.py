"""Ranking without a sort of the gallery: metrics only need the ranks of relevant photos, which are counted.

For embeddings the keys of the relevant photos (a small share of the gallery) are sorted, and the keys of all photos are
counted between them, tile by tile, so that no score matrix exists. For codes a histogram of distances is enough. Memory
does not grow with queries x photos: chunks of queries limit it to about `BUDGET`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from .. import inputs
from ..threads import each
from . import counting, kernels, ties
from .counting import BEYOND
from .kernels import STEP, TILE

BUDGET = 92 << 20  # bytes for the queries ranked together, the tiles, the threads' buffers and `PHOTO`
PHOTO = 16  # bytes for each photo: its class, its place in `by_class`, its norm
BLOCK = 16  # most queries of a task
_FAR = 400  # Euclidean embeddings are rescaled if their largest value is below 2^-400 or above 2^400
SUPER = 16 << 20  # bytes of a super-block of at most 64 tiles; all tables are read once for each super-block


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of a ranking, which a convention divides later. Q queries, K cut-offs; NaN if the class is absent."""

    relevant: np.ndarray  # (Q,) int64, gallery images of the query's class
    plain: np.ndarray  # (Q,) sum of the precisions at the relevant ranks
    interpolated: np.ndarray  # (Q,) the same with the precision envelope; not meant for expected ties
    plain_at: np.ndarray  # (Q, K) sum of the precisions at relevant ranks up to k
    interpolated_at: np.ndarray  # (Q, K) the same, list and envelope cut at k
    hits_at: np.ndarray  # (Q, K) relevant images among the top k
    per_hit_at: np.ndarray  # (Q, K) plain_at / hits_at, or 0; its expected value if ties are averaged


def rank(
    query: np.ndarray,
    gallery: np.ndarray,
    class_q: np.ndarray,
    class_g: np.ndarray,
    ks: tuple[int, ...],
    distance: str,
    rule: int,
) -> Sums:
    """Rank a checked gallery of fewer than 2^31 photos for checked queries. Classes count from 0; -1: not in it."""
    if distance == "euclidean":
        query, gallery, _ = euclidean(query, gallery)
    sizes = np.bincount(class_g)
    relevant = np.where(class_q >= 0, sizes[class_q], 0)
    chosen = np.flatnonzero(class_q >= 0)
    chosen = chosen[np.argsort(class_q[chosen], kind="stable")]  # class by class
    rows = np.full((len(query), 2 + 4 * len(ks)), np.nan)
    cuts = np.asarray(ks, dtype=np.int64)
    few = len(sizes) <= 1 << 16  # 16 bits are sorted digit by digit
    by_class = np.argsort(class_g.astype(np.uint16) if few else class_g, kind="stable").astype(np.int32)
    ends = np.cumsum(sizes)
    unit = distance != "euclidean"
    task = Task(query[chosen], gallery, class_q[chosen], class_g, by_class, ends - sizes, ends, cuts, rule, unit)
    if distance == "hamming":
        rows[chosen] = _rank_codes(task)
    else:
        from . import on_device  # here, because it imports this module

        rows[chosen] = on_device.rank_features(task) if on_device.takes(task) else _rank_features(task)
    at = np.split(rows[:, 2:], 4, axis=1)
    return Sums(relevant, rows[:, 0], rows[:, 1], *at)


@dataclass(frozen=True, eq=False)
class Task:
    query: np.ndarray  # (Q, d), class by class
    gallery: np.ndarray  # (G, d), in its own order
    wanted: np.ndarray  # (Q,) the class of each query
    classes: np.ndarray  # (G,) int32
    by_class: np.ndarray  # (G,) int32, gallery indices, class by class
    first: np.ndarray  # (C,) where each class begins and
    last: np.ndarray  # (C,) ends in `by_class`
    ks: np.ndarray  # (K,) int64
    rule: int  # position in metrics.TIES
    unit: bool  # whether embeddings are scaled to norm 1


def euclidean(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Float64 embeddings whose keys are |g|^2 - 2 q.g = |q - g|^2 - |q|^2: in the order of the distance.

    They are not scaled, so that equal distances of whole numbers tie exactly. If squares would overflow or vanish, both
    are divided by a power of two, which is exact; its exponent is the third value.
    """
    exponent = int(np.frexp(max(np.abs(query).max(), np.abs(gallery).max()))[1])
    exponent = exponent if abs(exponent) > _FAR else 0
    query, gallery = (np.ldexp(x.astype(np.float64), -exponent) for x in (query, gallery))
    lengths = np.einsum("nd,nd->n", gallery, gallery)[:, None]
    return np.hstack([2 * query, np.full((len(query), 1), -1.0)]), np.hstack([gallery, lengths]), exponent


def as_words(codes: np.ndarray) -> np.ndarray:
    """(N, bytes) packed codes to (N, W) uint64 words, filled up with zeros."""
    whole = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    whole[:, : codes.shape[1]] = codes
    return whole.view(np.uint64)


def _rank_codes(task: Task) -> np.ndarray:
    query, gallery = as_words(task.query), as_words(task.gallery)
    words = np.ascontiguousarray(gallery[task.by_class].T)
    in_order = np.ascontiguousarray(gallery.T) if task.rule == ties.INDEX else words
    rows = np.empty((len(query), 2 + 4 * len(task.ks)))

    def block(start: int) -> None:
        part = slice(start, start + BLOCK)
        wanted = task.wanted[part]
        first, last = task.first[wanted], task.last[wanted]
        ties.rows_of_codes(
            query[part], words, in_order, task.classes, wanted, first, last, task.rule, task.ks, rows[part]
        )

    each(block, range(0, len(query), BLOCK))
    return rows


@dataclass(frozen=True, eq=False)
class Tiles:
    """A float gallery in tiles, of unit vectors or unchanged; only one super-block is in memory."""

    gallery: np.ndarray  # (G, d)
    factor: np.ndarray  # (G,) float64, 1 / norm, or 1

    @classmethod
    def of(cls, gallery: np.ndarray, unit: bool = True) -> Tiles:
        if not unit:
            return cls(gallery, np.ones(len(gallery)))
        if gallery.dtype == np.float64 and _extreme(gallery):  # squares would overflow or vanish
            gallery = inputs.unit(gallery)
        factor = np.empty(len(gallery))
        parts = range(0, len(gallery), 1 << 14)
        each(lambda s: kernels.inverse_lengths(gallery[s : s + (1 << 14)], factor[s : s + (1 << 14)]), parts)
        return cls(gallery, factor)

    def one(self, rows: np.ndarray) -> np.ndarray:
        """(d padded, TILE) of up to TILE photos."""
        tile = np.empty((padded(self.gallery.shape[1]), TILE), self.gallery.dtype)
        kernels.fill_tile(self.gallery, rows, self.factor, tile)
        return tile

    def _most(self) -> int:
        each_one = TILE * padded(self.gallery.shape[1]) * self.gallery.itemsize
        return max(1, min(64, SUPER // each_one, -(-len(self.gallery) // TILE)))

    def shared(self, threads: int) -> int:
        """Bytes of a super-block and of the keys that each thread keeps for it (`counting.count_block`)."""
        lines = padded(self.gallery.shape[1]) + threads * (BLOCK + STEP)
        return self._most() * lines * TILE * self.gallery.itemsize

    def blocks(self) -> Iterator[tuple[int, int, np.ndarray]]:
        """First photo, number of photos and (tiles, d padded, TILE) of each super-block; all share their memory."""
        count, most = len(self.gallery), self._most()
        tiles = np.empty((most, padded(self.gallery.shape[1]), TILE), self.gallery.dtype)

        def fill(start: int, stop: int, here: np.ndarray, t: int) -> None:
            kernels.fill_tiles(self.gallery, start + t * TILE, stop, self.factor, here[t : t + 8])

        for start in range(0, count, most * TILE):
            stop = min(start + most * TILE, count)
            here = tiles[: -(-(stop - start) // TILE)]
            each(partial(fill, start, stop, here), range(0, len(here), 8))
            yield start, stop - start, here


def _extreme(x: np.ndarray) -> bool:
    size = np.abs(x)
    return bool(size.max() > 1e140 or size.max(axis=1)[size.any(axis=1)].min(initial=1) < 1e-140)


def padded(width: int) -> int:
    """The width filled up to whole steps of the compiled product."""
    return -(-width // STEP) * STEP


def query_keys(query: np.ndarray, unit: bool = True) -> np.ndarray:
    """Minus the queries, scaled to norm 1 if ``unit``, with zeros up to whole steps, for `kernels.keys`."""
    out = np.zeros((len(query) + STEP, padded(query.shape[1])), query.dtype)
    np.negative(inputs.unit(query) if unit else query, out=out[: len(query), : query.shape[1]])
    return out


def _rank_features(task: Task) -> np.ndarray:
    tiles, query = Tiles.of(task.gallery, task.unit), query_keys(task.query, task.unit)
    counts = task.last[task.wanted] - task.first[task.wanted]
    size = query.itemsize + 4 + (8 if task.rule == ties.INDEX else 0)  # a threshold and its counters
    cost = np.cumsum((counts + BEYOND) * size + (_buckets(counts) + BEYOND) * 2 + 4 * _wraps(task))
    rows = np.empty((len(counts), 2 + 4 * len(task.ks)))
    room = max(BUDGET - tiles.shared(torch.get_num_threads()) - PHOTO * len(task.gallery), BUDGET // 4, 1)
    chunks = -(-int(cost[-1]) // room) if len(cost) else 0  # of equal cost, so that the last one is not small
    ends = np.searchsorted(cost, cost[-1:] * (np.arange(1, chunks) / max(chunks, 1))) + 1
    for start, stop in itertools.pairwise(np.unique([0, *ends, len(counts)])):
        rows[start:stop] = _rank_chunk(task, tiles, query[start : stop + STEP], slice(start, stop))
    return rows


def _buckets(counts: np.ndarray) -> np.ndarray:
    """Buckets of each query's table: two to four per threshold, limited so that the table stays in the cache."""
    return 2 ** np.ceil(np.log2(np.clip(2 * counts, 64, 1 << 16))).astype(np.int64)


def _wraps(task: Task) -> int:
    """Room for the overflows of a query's counters (`counting.count_one`) and their number."""
    return 1 + (len(task.gallery) >> 16)


def _blocks(queries: int) -> list[tuple[int, int]]:
    """First query and end of each task: whole steps, and tasks for all threads."""
    steps, threads = -(-queries // STEP), torch.get_num_threads()
    tasks = min(steps, threads * -(-queries // (BLOCK * threads)))
    edges = np.minimum(np.arange(tasks + 1) * steps // tasks * STEP, queries).tolist()
    return list(itertools.pairwise(edges))


def _rank_chunk(task: Task, tiles: Tiles, query: np.ndarray, part: slice) -> np.ndarray:
    """Rows of one chunk of queries."""
    wanted, rule = task.wanted[part], task.rule
    counts = task.last[wanted] - task.first[wanted]
    at = np.concatenate([[0], np.cumsum(counts + BEYOND)])
    thresholds = np.full(at[-1], np.inf, query.dtype)
    _sorted_thresholds(task, tiles, query, wanted, at, thresholds)
    bits = thresholds.view(f"i{query.itemsize}")  # `build_tables` makes them integers of the same order
    table_at = np.concatenate([[0], np.cumsum(_buckets(counts) + BEYOND)])
    tables, counters = np.empty(table_at[-1], np.uint16), np.zeros(2 * at[-1], np.uint16)
    wraps = np.zeros((len(wanted), _wraps(task)), np.uint32)
    notes, noted = np.zeros(at[-1] if rule == ties.INDEX else 0, np.uint64), np.zeros(len(wanted), np.int64)
    scales, dropped = np.empty((2, len(wanted)), query.dtype), np.empty(len(wanted), np.uint64)
    lookup, blocks = (at, bits, table_at, tables, scales, dropped), _blocks(len(wanted))
    each(lambda some: counting.build_tables(some, thresholds, *lookup), blocks)

    def count(first: int, width: int, block: np.ndarray, some: tuple[int, int]) -> None:
        classes = task.classes[first : first + width]
        counting.count_block(some, query, block, *lookup, counters, wraps, classes, wanted, notes, noted)

    for first, width, block in tiles.blocks():
        each(partial(count, first, width, block), blocks)
    return rows_of(task, at, bits, counters, wraps, notes)


def rows_of(
    task: Task, at: np.ndarray, thresholds: np.ndarray, counters: np.ndarray, wraps: np.ndarray, notes: np.ndarray
) -> np.ndarray:
    """Rows of some queries from their counts (`ties.rows_of_counts`)."""
    rows = np.empty((len(wraps), 2 + 4 * len(task.ks)))

    def fill(part: tuple[int, int]) -> None:
        s, e = part
        ties.rows_of_counts(at[s : e + 1], thresholds, counters, wraps[s:e], notes, task.rule, task.ks, rows[s:e])

    each(fill, _blocks(len(rows)))
    return rows


def _sorted_thresholds(
    task: Task, tiles: Tiles, query: np.ndarray, wanted: np.ndarray, at: np.ndarray, thresholds: np.ndarray
) -> None:
    """Fill in the sorted keys of the photos of each query's class; the places behind them stay infinite."""

    def one_class(c: int) -> None:
        a, b = np.searchsorted(wanted, [c, c + 1])
        rows = task.by_class[task.first[c] : task.last[c]].astype(np.int64)
        out = thresholds[at[a] : at[b]].reshape(b - a, len(rows) + BEYOND)
        for s in range(0, len(rows), TILE):
            photos = rows[s : s + TILE]
            kernels.relevant_keys(query[a : b + STEP], tiles.one(photos), len(photos), out[:, s : s + len(photos)])
        out.sort(axis=1)

    each(one_class, np.unique(wanted))
