"""Exact nearest neighbours: cosine for real-valued features, Hamming for packed binary codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _inputs
from .errors import ConfigError

if TYPE_CHECKING:
    from ._inputs import Array


def search(
    query: Array, gallery: Array, k: int = 10, distance: str = "cosine"
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` nearest gallery images of every query, nearest first.

    Exact and deterministic: equal distances come in the order of the gallery. A feature of length zero has cosine 0
    with everything.

    Args:
        query: (Q, d) float features, or (Q, bits / 8) packed uint8 codes for ``distance="hamming"``.
        gallery: (G, d) or (G, bits / 8).
        k: from 1 to G.
        distance: ``"cosine"`` (1 - cosine similarity, in [0, 2]) or ``"hamming"`` (number of differing bits).

    Returns:
        (Q, k) int64 indices into the gallery, and (Q, k) distances: float32 (float64 for float64 input) or int32.

    Raises:
        ConfigError: if ``k`` is not in 1 ... G or the distance is not known.
        DataError: if an array has a wrong shape or type, or holds NaN or infinity.
    """
    query, gallery = _inputs.pair(query, gallery, distance)
    if not 1 <= k <= len(gallery):
        raise ConfigError(f"k={k} is not possible with a gallery of {len(gallery)} images. Use 1 to {len(gallery)}.")
    if distance == "cosine":
        away = 1 - _inputs.unit(query) @ _inputs.unit(gallery).T
    else:
        away = np.stack([np.bitwise_count(row ^ gallery).sum(1, dtype=np.int32) for row in query])
    index = np.argsort(away, axis=1, kind="stable")[:, :k]
    return index, np.take_along_axis(away, index, 1)
