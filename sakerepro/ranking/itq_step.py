"""One ITQ step (compiled), cheap when few signs turn: only these change the product of codes and embeddings."""

from __future__ import annotations

import numpy as np
from numba import njit

from .kernels import STEP, TILE, _fast, keys


@njit(**_fast)
def add_row(row, step, sums):
    """sums += step * row."""
    for k in range(len(row)):
        sums[k] += step * row[k]


@njit(**_fast)
def any_turned(row, positive):
    """Whether the sign of one of 64 values has changed; the fixed number lets LLVM compare many at once."""
    turned = False
    for j in range(64):
        turned |= (row[j] > 0) != positive[j]
    return turned


@njit(**_fast)
def turn_signs(rotation, tile, v, positive, change):
    """Update `positive` = (R^T V^T > 0) for one tile, and add the resulting change of B^T V (bits, d) to `change`.

    `rotation` is R^T; `v` holds the photos of the tile as rows.
    """
    buffer, turned = np.empty((STEP, TILE), tile.dtype), np.empty(65, np.int64)
    for i in range(0, len(rotation), STEP):
        keys(rotation[i : i + STEP], tile, buffer)
        for s in range(STEP):
            for start in range(0, len(v), 64):
                row, old = buffer[s, start : start + 64], positive[i + s, start : start + 64]
                if not any_turned(row, old):
                    continue
                count = np.uint64(0)
                for j in range(64):  # without a branch, which could not be predicted
                    turned[count] = j
                    count += np.uint64((row[j] > 0) != old[j])
                for j in turned[: np.int64(count)]:
                    old[j] = not old[j]
                    add_row(v[start + j], 2.0 if old[j] else -2.0, change[i + s])
