"""The compiled inner loop of :mod:`.augmentation`; a separate module, since importing numba takes a second."""

from __future__ import annotations

import numba
import numpy as np

Array = np.ndarray
Line = tuple[float, float, float, float]  # start of an output row in the input, and its step: x, y, dx, dy


@numba.njit(nogil=True, cache=True)
def warp(pixels: Array, matrices: Array, gain: Array, bias: Array, fill: np.float32, out: Array) -> None:
    """Fill ``out`` (N, S, S, 3) float32 from ``pixels`` (N, H, W, C) uint8, C = 1 or 3, contiguous.

    ``matrices`` (N, 2, 3) float64 map output pixel indices to input pixel indices. Each value is ``v * gain + bias``.
    """
    count, height, width, channels = pixels.shape
    side = out.shape[1]
    for n in range(count):
        image, m = pixels[n], matrices[n]
        if height == side and width == side and _is_identity(m):
            _copy(image, gain, bias, out[n])
            continue
        for y in range(side):
            xs, ys = m[0, 1] * y + m[0, 2], m[1, 1] * y + m[1, 2]
            first_x, last_x = _span(xs, m[0, 0], width - 1, side)
            first_y, last_y = _span(ys, m[1, 0], height - 1, side)
            first, last = max(first_x, first_y), min(last_x, last_y)
            if first >= last:
                first, last = side, side
            line = (xs, ys, m[0, 0], m[1, 0])
            if channels == 3:
                _inner_rgb(image, out[n, y], first, last, line, gain, bias)
            else:
                _inner_grey(image, out[n, y], first, last, line, gain, bias)
            _edge(image, out[n, y], 0, first, line, gain, bias, fill)
            _edge(image, out[n, y], last, side, line, gain, bias, fill)


@numba.njit(nogil=True, cache=True)
def _is_identity(m: Array) -> bool:
    return (
        abs(m[0, 0] - 1) + abs(m[0, 1]) + abs(m[1, 0]) + abs(m[1, 1] - 1) < 1e-9 and abs(m[0, 2]) + abs(m[1, 2]) < 1e-6
    )


@numba.njit(nogil=True, cache=True, fastmath=True)
def _copy(image: Array, gain: Array, bias: Array, out: Array) -> None:
    height, width, channels = image.shape
    step = 1 if channels == 3 else 0
    for y in range(height):
        for x in range(width):
            for c in range(3):
                out[y, x, c] = np.float32(image[y, x, c * step]) * gain[c] + bias[c]


@numba.njit(nogil=True, cache=True)
def _span(start: float, step: float, limit: int, length: int) -> tuple[int, int]:
    """The half-open range of x in [0, length) with 0 <= start + step * x < limit, a little narrowed, never widened."""
    if abs(step) < 1e-9:
        return (0, length) if 1e-4 <= start < limit - 1e-3 else (0, 0)
    a, b = (1e-4 - start) / step, (limit - 1e-3 - start) / step
    low, high = min(a, b), max(a, b)
    first = int(min(max(np.ceil(low), 0.0), float(length)))
    last = int(min(max(np.floor(high) + 1, 0.0), float(length)))
    return (first, last) if first < last else (0, 0)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _inner_rgb(image: Array, row: Array, first: int, last: int, line: Line, gain: Array, bias: Array) -> None:
    """The pixels of a row whose four neighbours all lie inside the image, without bounds checks."""
    xs, ys, step_x, step_y = line
    flat, width = image.reshape(-1), image.shape[1]
    r_gain, g_gain, b_gain, r_bias, g_bias, b_bias = gain[0], gain[1], gain[2], bias[0], bias[1], bias[2]
    for x in range(first, last):
        ix, iy = np.float32(xs + step_x * x), np.float32(ys + step_y * x)
        x0, y0 = np.int32(ix), np.int32(iy)
        fx, fy = ix - np.float32(x0), iy - np.float32(y0)
        d = fx * fy
        b, c = fx - d, fy - d
        a = np.float32(1) - fx - c
        p = 3 * (y0 * width + x0)
        q = p + 3 * width
        row[x, 0] = (a * flat[p] + b * flat[p + 3] + c * flat[q] + d * flat[q + 3]) * r_gain + r_bias
        row[x, 1] = (a * flat[p + 1] + b * flat[p + 4] + c * flat[q + 1] + d * flat[q + 4]) * g_gain + g_bias
        row[x, 2] = (a * flat[p + 2] + b * flat[p + 5] + c * flat[q + 2] + d * flat[q + 5]) * b_gain + b_bias


@numba.njit(nogil=True, cache=True, fastmath=True)
def _inner_grey(image: Array, row: Array, first: int, last: int, line: Line, gain: Array, bias: Array) -> None:
    """The same for one channel, widened to three."""
    xs, ys, step_x, step_y = line
    flat, width = image.reshape(-1), image.shape[1]
    for x in range(first, last):
        ix, iy = np.float32(xs + step_x * x), np.float32(ys + step_y * x)
        x0, y0 = np.int32(ix), np.int32(iy)
        fx, fy = ix - np.float32(x0), iy - np.float32(y0)
        p = y0 * width + x0
        top = flat[p] + fx * (np.float32(flat[p + 1]) - np.float32(flat[p]))
        low = flat[p + width] + fx * (np.float32(flat[p + width + 1]) - np.float32(flat[p + width]))
        value = top + fy * (low - top)
        row[x, 0] = value * gain[0] + bias[0]
        row[x, 1] = value * gain[1] + bias[1]
        row[x, 2] = value * gain[2] + bias[2]


@numba.njit(nogil=True, cache=True)
def _edge(
    image: Array, row: Array, first: int, last: int, line: Line, gain: Array, bias: Array, fill: np.float32
) -> None:
    """The pixels of a row that are partly or wholly outside of the image, where every value is ``fill``."""
    xs, ys, step_x, step_y = line
    height, width, channels = image.shape
    for x in range(first, last):
        ix, iy = xs + step_x * x, ys + step_y * x
        outside = ix <= -1 or iy <= -1 or ix >= width or iy >= height
        for c in range(3):
            value = fill if outside else _mixed(image, min(c, channels - 1), ix, iy, fill)
            row[x, c] = value * gain[c] + bias[c]


@numba.njit(nogil=True, cache=True)
def _mixed(image: Array, c: int, ix: float, iy: float, fill: np.float32) -> np.float32:
    """Bilinear value at (ix, iy), near the edge."""
    height, width, _ = image.shape
    x0, y0 = int(np.floor(ix)), int(np.floor(iy))
    total = np.float32(0)
    for dy in range(2):
        for dx in range(2):
            x, y = x0 + dx, y0 + dy
            weight = np.float32((ix - x0 if dx else 1 - (ix - x0)) * (iy - y0 if dy else 1 - (iy - y0)))
            inside = 0 <= x < width and 0 <= y < height
            total += weight * (np.float32(image[y, x, c]) if inside else fill)
    return np.float32(total)
