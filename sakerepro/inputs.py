"""Checks of arguments: embeddings, codes, labels, names, numbers. An error names the argument and the row."""

from __future__ import annotations

import os
import reprlib
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import paths
from .errors import ConfigError, DataError, near_misses

if TYPE_CHECKING:
    from torch import Tensor

    Array = np.ndarray | Tensor

DISTANCES = ("cosine", "euclidean", "hamming")
_ROWS = 1 << 16  # rows checked at a time, so that a check needs no second copy of the embeddings


def one_of(value: Any, known: tuple[str, ...], name: str) -> str:
    """Return ``value`` if it is known; else raise a :class:`ConfigError` with near misses."""
    if value not in known:
        raise ConfigError(f"{name}={value!r} is not known. {near_misses(value, known)}")
    return value


def kind(value: Any, wanted: type, name: str, get: str) -> Any:
    """Return ``value`` if it has the wanted class, else raise ConfigError; the sentence ``get`` says how to get one."""
    if not isinstance(value, wanted):
        raise ConfigError(f"{name}={reprlib.repr(value)} is no {wanted.__name__}. {get}")
    return value


def path(value: Any, name: str) -> Path:
    """A path; ``~`` is the home folder."""
    if not isinstance(value, str | os.PathLike):
        raise ConfigError(f"{name}={value!r} is no path. Give a string or a pathlib.Path.")
    return paths.expanded(value)


def whole(value: Any, name: str, low: int) -> int:
    """A whole number from ``low`` on; booleans, strings and floats such as 8.0 are refused."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= low:
        return int(value)
    raise ConfigError(f"{name}={value!r} is not possible. Give a whole number from {low} on.")


def wholes(values: Any, name: str, low: int) -> tuple[int, ...]:
    """Several whole numbers from ``low`` on; one number in place of a list is refused."""
    if isinstance(values, str | bytes) or not hasattr(values, "__iter__"):
        raise ConfigError(f"{name}={values!r} has to be a list of whole numbers from {low} on, such as {name}=[{low}].")
    return tuple(whole(value, f"{name}[{i}]", low) for i, value in enumerate(values))


def positions(index: Any, count: int, name: str) -> np.ndarray:
    """(n,) int64 positions in a set of ``count``, from 0; a mask of ``count`` booleans is read as well.

    Raises:
        ConfigError: if they are neither, or one is out of range.
    """
    array = as_numpy(index, name)
    if array.dtype == bool:
        if array.shape != (count,):
            raise ConfigError(f"{name} is a mask of the shape {array.shape}. Give one boolean for each of {count:,}.")
        return np.flatnonzero(array)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ConfigError(f"{name}={index!r} is not possible. Give a list of positions, or a mask of booleans.")
    if count > 2 and array.size == count and set(np.unique(array)) == {0, 1}:
        raise ConfigError(f"{name} holds {count:,} zeros and ones. For a mask of booleans, give {name} == 1.")
    if (outside := np.flatnonzero((array < 0) | (array >= count))).size:
        row = outside[0]
        raise ConfigError(f"{name}[{row}]={array[row]} is out of range. Positions go from 0 to {count - 1}.")
    return array.astype(np.int64)


def names(values: Any, name: str, kind: type | tuple[type, ...] = str) -> list[Any]:
    """A list of names (with another ``kind``, of paths); one name in place of a list is refused.

    Raises:
        DataError: says which entry is wrong.
    """
    if isinstance(values, str | bytes | os.PathLike) or not hasattr(values, "__iter__"):
        example = f", such as {name}=[{values!r}]" if isinstance(values, str) else ""
        raise DataError(f"{name} is {values!r}. Give a list{example}.")
    for row, value in enumerate(listed := list(values)):
        if not isinstance(value, kind):
            wanted = "name. Give strings" if kind is str else "path. Give strings or paths"
            raise DataError(f"{name}, row {row}: {value!r} is no {wanted}.")
    return listed


def as_numpy(x: Any, name: str) -> np.ndarray:
    """A numpy view of ``x`` if possible; a tensor is moved to the CPU, types that numpy lacks become float32."""
    try:
        if isinstance(x, list | tuple):
            x = [as_numpy(row, name) if _is_tensor(row) else row for row in x]
        if _is_tensor(x):
            x = x.detach().cpu()
            torch_only = x.is_floating_point() and (x.itemsize == 1 or str(x.dtype) == "torch.bfloat16")
            return (x.float() if torch_only else x).numpy()
        if isinstance(x, np.ma.MaskedArray) and x.mask.any():
            raise DataError(f"{name} is a masked array, and its masked values would be taken, too. Fill it first.")
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as error:  # from numpy and torch: ragged rows, meta tensors
        why = str(error).partition(". ")[0]
        raise DataError(
            f"{name} does not form one array: its rows differ in length, or are no numbers ({why}). Give "
            "an array or tensor with a row for each image."
        ) from error


def _is_tensor(x: Any) -> bool:
    return type(x).__module__.partition(".")[0] == "torch"


def matrix(x: Any, name: str) -> np.ndarray:
    """(N, d) with N, d >= 1."""
    x = as_numpy(x, name)
    if x.dtype == object:
        raise DataError(f"{name} is not numeric. Give one array or tensor with a row for each image.")
    if x.ndim != 2 or 0 in x.shape:
        raise DataError(f"{name} has shape {x.shape}. Give (images, dimensions), both at least 1.")
    return x


def features(x: Any, name: str) -> np.ndarray:
    """(N, d) C-contiguous float32 or float64 embeddings, all finite. Half precision becomes float32.

    Raises:
        DataError: if the shape or type is wrong, or a value is NaN or infinite; the row is named.
    """
    x = matrix(x, name)
    if x.dtype.kind != "f" or x.dtype.itemsize > 8:
        hint = " Packed binary codes are compared with distance='hamming'." if x.dtype == np.uint8 else ""
        raise DataError(f"{name} has type {x.dtype}. Give float16, float32 or float64 embeddings.{hint}")
    x = np.ascontiguousarray(x, dtype=np.float64 if x.dtype.itemsize == 8 else np.float32)
    for start in range(0, len(x), _ROWS):
        finite = np.isfinite(x[start : start + _ROWS])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            value = x[start + row, column]
            raise DataError(
                f"{name}, row {start + row}, column {column}: the value is {value}. "
                f"Look at this image and at the network's training; a ranking by such values would mean nothing."
            )
    return x


def codes(x: Any, name: str) -> np.ndarray:
    """(N, bits / 8) C-contiguous packed uint8 codes."""
    x = matrix(x, name)
    if x.dtype != np.uint8:
        raise DataError(
            f"{name} has type {x.dtype}. distance='hamming' compares packed uint8 codes, as ITQ.transform gives them; "
            f"pack signs with sakerepro.ranking.codes.pack."
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
    """(count,) labels: integers, booleans or strings; bytes are read as UTF-8.

    Raises:
        DataError: if their number or type is wrong, or one is missing, with its row.
    """
    given, x = x, as_numpy(x, name)
    if x.shape != (count,):
        raise DataError(f"{name} has shape {x.shape}. Give one label for each of the {count} images.")
    if x.dtype.kind in "OST":  # object, bytes and StringDType: pandas, h5py and numpy keep names in these types
        x = _plain(x.tolist(), name)
    elif x.dtype.kind == "U" and isinstance(given, list | tuple):  # numpy turns numbers beside a string into strings
        x = _plain([*given], name)
    if x.dtype.kind not in "iubU":
        raise DataError(f"{name} has type {x.dtype}. Give class ids (integers) or class names (strings).")
    return x


def _plain(values: list[Any], name: str) -> np.ndarray:
    """Labels that are Python objects as an array of strings or of integers."""
    try:
        values = [v.decode() if isinstance(v, bytes) else v for v in values]
    except UnicodeDecodeError as error:
        raise DataError(f"{name}: {error.object!r} is not UTF-8. Give class names as strings.") from error
    kind = str if isinstance(values[0], str) else Integral
    for row, value in enumerate(values):
        if not isinstance(value, kind):
            raise DataError(
                f"{name}, row {row}: the label is {value!r}. Give class ids (integers) or class names "
                "(strings) for all images."
            )
    return np.array(values)


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1, as a new array of the same type; rows of zeros stay zero.

    A row is divided by its largest entry first, so that its squares neither overflow nor vanish.
    """
    largest = np.maximum(x.max(axis=1, keepdims=True), -x.min(axis=1, keepdims=True))
    y = x / np.where(largest > 0, largest, 1)
    y /= np.sqrt(np.where(largest > 0, np.einsum("nd,nd->n", y, y)[:, None], 1))
    return y
