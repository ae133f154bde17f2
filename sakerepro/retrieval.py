"""Exact nearest neighbours: cosine or Euclidean distance for embeddings, Hamming for packed binary codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import inputs
from .errors import ConfigError

if TYPE_CHECKING:
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
    from .ranking import nearest, ranks  # here: they load the compiled loops

    query, gallery = inputs.pair(query, gallery, distance)
    if isinstance(k, bool) or not isinstance(k, int | np.integer) or not 1 <= k <= len(gallery):
        raise ConfigError(f"k={k} is not possible with a gallery of {len(gallery)} images. Use 1 to {len(gallery)}.")
    k = int(k)  # a narrow type overflows
    if distance == "hamming":
        keys, index = nearest.of_codes(query, gallery, k)
    elif distance == "euclidean":
        doubled, extended, exponent = ranks.euclidean(query, gallery)
        keys, index = nearest.of_features(doubled, extended, k, unit=False)
    else:
        keys, index = nearest.of_features(query, gallery, k)
    order = np.argsort(keys, axis=1, kind="stable")
    keys, index = np.take_along_axis(keys, order, 1), np.take_along_axis(index, order, 1)
    if distance == "euclidean":
        lengths = np.square(doubled[:, :-1] / 2).sum(axis=1, keepdims=True)
        return index, np.ldexp(np.sqrt(np.maximum(keys + lengths, 0)), exponent)
    return index, 1 + keys if distance == "cosine" else keys  # a key is minus the cosine
