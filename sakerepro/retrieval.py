"""Exact nearest neighbours: cosine or Euclidean distance for embeddings, Hamming for packed binary codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from . import inputs
from .errors import ConfigError
from .ranking import ranks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .inputs import Array


def search(query: Array, gallery: Array, k: int = 10, distance: str = "cosine") -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest gallery images of every query, nearest first.

    The search is exact and deterministic: images at equal distance keep the order of the gallery. An embedding of
    norm 0 has cosine 0 with all others.

    Args:
        query: (Q, d) float embeddings, or (Q, bits / 8) packed uint8 codes for ``distance="hamming"``.
        gallery: (G, d) or (G, bits / 8).
        k: from 1 to G.
        distance: ``"cosine"`` (1 - cosine similarity, in [0, 2]), ``"euclidean"`` or ``"hamming"`` (number of differing
            bits).

    Returns:
        (Q, k) int64 indices into the gallery, and (Q, k) distances in float32 for cosine (float64 for embeddings in
        float64), float64 for Euclidean, int32 for Hamming.

    Raises:
        ConfigError: if ``k`` is not in 1 ... G or the distance is not known.
        DataError: if an array has a wrong shape or type, or holds NaN or infinity.
    """
    query, gallery = inputs.pair(query, gallery, distance)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(gallery):
        raise ConfigError(f"k={k} is not possible with a gallery of {len(gallery)} images. Use 1 to {len(gallery)}.")
    if distance == "hamming":
        keys, index = _nearest_codes(query, gallery, k)
    elif distance == "euclidean":
        doubled, extended, exponent = ranks.euclidean(query, gallery)
        keys, index = _nearest_features(doubled, extended, k, unit=False)
    else:
        keys, index = _nearest_features(query, gallery, k)
    order = np.argsort(keys, axis=1, kind="stable")
    keys, index = np.take_along_axis(keys, order, 1), np.take_along_axis(index, order, 1)
    if distance == "euclidean":
        lengths = np.square(doubled[:, :-1] / 2).sum(axis=1, keepdims=True)
        return index, np.ldexp(np.sqrt(np.maximum(keys + lengths, 0)), exponent)
    return index, 1 + keys if distance == "cosine" else keys  # a key is minus the cosine


@dataclass(frozen=True, eq=False)
class _Kept:
    """The candidates of a chunk of queries, in the order of the gallery."""

    keys: np.ndarray  # (q, room)
    index: np.ndarray  # (q, room) int64
    counts: np.ndarray  # (q,) candidates so far
    bounds: np.ndarray  # (q,) a further image becomes a candidate only with a key below this

    @classmethod
    def of(cls, queries: int, k: int, kind: np.dtype) -> _Kept:
        shape, limit = (queries, _room(k)), np.inf if kind.kind == "f" else np.iinfo(kind).max
        counts, bounds = np.zeros(queries, np.int64), np.full(queries, limit, kind)
        return cls(np.empty(shape, kind), np.empty(shape, np.int64), counts, bounds)

    def part(self, start: int) -> tuple[np.ndarray, ...]:
        rows = slice(start, start + ranks.BLOCK)
        return self.keys[rows], self.index[rows], self.counts[rows], self.bounds[rows]


def _room(k: int) -> int:
    """Number of places for candidates; more than k, so that cutting back to k is rare."""
    return 2 * k + 64


def _chunks(queries: int, k: int) -> Iterator[slice]:
    step = max(1, ranks.BUDGET // (16 * _room(k)))
    return (slice(s, min(s + step, queries)) for s in range(0, queries, step))


def _nearest_features(
    query: np.ndarray, gallery: np.ndarray, k: int, unit: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    from .ranking import kernels, nearest

    keys, index = np.empty((len(query), k), query.dtype), np.empty((len(query), k), np.int64)
    tiles, padded = ranks.Tiles.of(gallery, unit), ranks.query_keys(query, unit)
    for part in _chunks(len(query), k):
        kept = _Kept.of(part.stop - part.start, k, query.dtype)
        starts = range(0, len(kept.counts), ranks.BLOCK)
        for first, width, block in tiles.blocks():

            def search_block(
                s: int,
                part: slice = part,
                kept: _Kept = kept,
                first: int = first,
                width: int = width,
                block: np.ndarray = block,
            ) -> None:
                rows = padded[part.start + s : min(part.start + s + ranks.BLOCK, part.stop) + kernels.STEP]
                nearest.nearest_features(rows, block, width, first, k, *kept.part(s))

            ranks.each(search_block, starts)
        ranks.each(lambda s, kept=kept: nearest.finish(k, *kept.part(s)[:3]), starts)  # type: ignore[misc]
        keys[part], index[part] = kept.keys[:, :k], kept.index[:, :k]
    return keys, index


def _nearest_codes(query: np.ndarray, gallery: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    from .ranking import nearest

    keys, index = np.empty((len(query), k), np.int32), np.empty((len(query), k), np.int64)
    rows, words = ranks.as_words(query), np.ascontiguousarray(ranks.as_words(gallery).T)
    for part in _chunks(len(query), k):
        kept = _Kept.of(part.stop - part.start, k, keys.dtype)

        def search_block(s: int, part: slice = part, kept: _Kept = kept) -> None:
            block = rows[part.start + s : min(part.start + s + ranks.BLOCK, part.stop)]
            nearest.nearest_codes(block, words, k, *kept.part(s))
            nearest.finish(k, *kept.part(s)[:3])

        ranks.each(search_block, range(0, len(kept.counts), ranks.BLOCK))
        keys[part], index[part] = kept.keys[:, :k], kept.index[:, :k]
    return keys, index
