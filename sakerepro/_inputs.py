"""Features, codes and labels as they come from users, checked once: what is wrong is said with its name and row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConfigError, DataError, near_misses

if TYPE_CHECKING:
    from torch import Tensor

    Array = np.ndarray | Tensor

DISTANCES = ("cosine", "euclidean", "hamming")
_ROWS = 1 << 16  # rows that are looked at together, so that a check needs no second copy of the features


def one_of(value: str, known: tuple[str, ...], name: str) -> str:
    """``value`` itself if it is known; a :class:`ConfigError` with the near miss if not."""
    if value not in known:
        raise ConfigError(f"{name}={value!r} is not known. {near_misses(str(value), known)}")
    return value


def as_numpy(x: Any, name: str) -> np.ndarray:
    """A numpy view of ``x`` where that is possible; a tensor comes to the CPU, bfloat16 becomes float32."""
    if type(x).__module__.partition(".")[0] == "torch":
        x = x.detach().cpu()
        return (x.float() if str(x.dtype) == "torch.bfloat16" else x).numpy()
    x = np.asarray(x)
    if x.dtype == object:
        raise DataError(f"{name} is ragged or not numeric. Give one array or tensor with a row for each image.")
    return x


def matrix(x: Any, name: str) -> np.ndarray:
    """(N, d) with N, d >= 1."""
    x = as_numpy(x, name)
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(f"{name} has shape {x.shape}. Give (images, dimensions), both at least 1.")
    return x


def features(x: Any, name: str) -> np.ndarray:
    """(N, d) C-contiguous float32 or float64 features, all finite. Half precision becomes float32.

    Raises:
        DataError: if the shape or type is wrong, or a value is NaN or infinite; the row is named.
    """
    x = matrix(x, name)
    if x.dtype.kind != "f" or x.dtype.itemsize > 8:
        hint = " Packed binary codes are compared with distance='hamming'." if x.dtype == np.uint8 else ""
        raise DataError(f"{name} has type {x.dtype}. Give float16, float32 or float64 features.{hint}")
    x = np.ascontiguousarray(x, dtype=np.float64 if x.dtype.itemsize == 8 else np.float32)
    for start in range(0, len(x), _ROWS):
        finite = np.isfinite(x[start : start + _ROWS])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = x[start + row, column]
            raise DataError(
                f"{name}, row {start + row}, column {column}: the feature is {value}. "
                f"Look at this image and at the network's training; a ranking by such values would mean nothing."
            )
    return x


def codes(x: Any, name: str) -> np.ndarray:
    """(N, bits / 8) C-contiguous packed uint8 codes."""
    x = matrix(x, name)
    if x.dtype != np.uint8:
        raise DataError(
            f"{name} has type {x.dtype}. distance='hamming' compares packed uint8 codes, as ITQ.transform gives them; "
            f"pack signs with sakerepro.hashing.pack."
        )
    return np.ascontiguousarray(x)


def pair(query: Any, gallery: Any, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Query and gallery, checked, of one type and one width.

    Raises:
        ConfigError: if the distance is not known.
        DataError: if either is not what the distance needs, or their widths differ.
    """
    check = codes if one_of(distance, DISTANCES, "distance") == "hamming" else features
    query, gallery = check(query, "query"), check(gallery, "gallery")
    if query.shape[1] != gallery.shape[1]:
        raise DataError(
            f"query has {query.shape[1]} columns and gallery {gallery.shape[1]}. Both must come from one model."
        )
    kind = np.result_type(query, gallery)
    return query.astype(kind, copy=False), gallery.astype(kind, copy=False)


def labels(x: Any, count: int, name: str) -> np.ndarray:
    """(count,) labels: integers, booleans or strings."""
    x = as_numpy(x, name)
    if x.shape != (count,):
        raise DataError(f"{name} has shape {x.shape}. Give one label for each of the {count} images.")
    if x.dtype.kind not in "iubU":
        raise DataError(f"{name} has type {x.dtype}. Give class ids (integers) or class names (strings).")
    return x


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1, as a new array of the same type; rows of zeros stay zero.

    A row is divided by its largest entry first, so that its squares neither overflow nor vanish.
    """
    largest = np.maximum(x.max(axis=1, keepdims=True), -x.min(axis=1, keepdims=True))
    y = x / np.where(largest > 0, largest, 1)
    y /= np.sqrt(np.where(largest > 0, np.einsum("nd,nd->n", y, y)[:, None], 1))
    return y
