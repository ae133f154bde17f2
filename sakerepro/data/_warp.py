"""The compiled inner loop of :mod:`.augmentation`: in a module of its own, since importing numba takes a second."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(nogil=True, cache=True)
def _mixed(image: np.ndarray, c: int, ix: float, iy: float, fill: np.float32) -> np.float32:
    """Bilinear value at (ix, iy), where what lies outside of the image has the value ``fill``."""
    height, width, _ = image.shape
    x0, y0 = int(np.floor(ix)), int(np.floor(iy))
    total = np.float32(0)
    for dy in range(2):
        for dx in range(2):
            x, y = x0 + dx, y0 + dy
            weight = (ix - x0 if dx else 1 - (ix - x0)) * (iy - y0 if dy else 1 - (iy - y0))
            inside = 0 <= x < width and 0 <= y < height
            total += np.float32(weight) * (np.float32(image[y, x, c]) if inside else fill)
    return total


@numba.njit(nogil=True, cache=True)
def _span(start: float, step: float, limit: int, length: int) -> tuple[int, int]:
    """The half-open range of x in [0, length) with 0 <= start + step * x < limit, a little narrowed, never widened."""
    if abs(step) < 1e-9:
        return (0, length) if 0 <= start < limit - 1e-3 else (0, 0)
    a, b = (1e-4 - start) / step, (limit - 1e-3 - start) / step
    low, high = min(a, b), max(a, b)
    first = int(min(max(np.ceil(low), 0.0), float(length)))
    last = int(min(max(np.floor(high) + 1, 0.0), float(length)))
    return (first, last) if first < last else (0, 0)


@numba.njit(nogil=True, cache=True)
def warp(pixels: np.ndarray, matrices: np.ndarray, gain: np.ndarray, bias: np.ndarray, fill: np.float32,
         out: np.ndarray) -> None:  # fmt: skip
    """Fill ``out`` (N, S, S, 3) float32 from ``pixels`` (N, H, W, C) uint8, C = 1 or 3.

    ``matrices`` (N, 2, 3) float64 map output pixel indices to input pixel indices. Each value is ``v * gain + bias``.
    """
    count, height, width, channels = pixels.shape
    side = out.shape[1]
    for n in range(count):
        image, m = pixels[n], matrices[n]
        for y in range(side):
            xs, ys = m[0, 1] * y + m[0, 2], m[1, 1] * y + m[1, 2]
            first_x, last_x = _span(xs, m[0, 0], width - 1, side)
            first_y, last_y = _span(ys, m[1, 0], height - 1, side)
            first, last = max(first_x, first_y), min(last_x, last_y)
            if first >= last:
                first, last = side, side
            row = out[n, y]
            _inner_row(image, row, first, last, xs, ys, m[0, 0], m[1, 0], gain, bias)
            for x in range(side):
                if first <= x < last:
                    continue
                for c in range(3):
                    value = _mixed(image, min(c, channels - 1), xs + m[0, 0] * x, ys + m[1, 0] * x, fill)
                    row[x, c] = value * gain[c] + bias[c]


@numba.njit(nogil=True, cache=True)
def _inner_row(image: np.ndarray, row: np.ndarray, first: int, last: int, xs: float, ys: float,
               step_x: float, step_y: float, gain: np.ndarray, bias: np.ndarray) -> None:  # fmt: skip
    """The part of a row whose four neighbours all lie inside: no bounds to check."""
    channels = image.shape[2]
    for x in range(first, last):
        ix, iy = np.float32(xs + step_x * x), np.float32(ys + step_y * x)
        x0, y0 = np.int32(ix), np.int32(iy)
        fx, fy = ix - np.float32(x0), iy - np.float32(y0)
        for c in range(channels):
            top = np.float32(image[y0, x0, c])
            top += fx * (np.float32(image[y0, x0 + 1, c]) - top)
            low = np.float32(image[y0 + 1, x0, c])
            low += fx * (np.float32(image[y0 + 1, x0 + 1, c]) - low)
            value = top + fy * (low - top)
            if channels == 1:
                for k in range(3):
                    row[x, k] = value * gain[k] + bias[k]
            else:
                row[x, c] = value * gain[c] + bias[c]
