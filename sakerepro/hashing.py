"""Binary codes by iterative quantisation (ITQ).

Gong, Lazebnik, Gordo and Perronnin, "Iterative quantization", TPAMI 35(12), 2013.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from threadpoolctl import threadpool_limits

from . import inputs
from .errors import ConfigError, DataError
from .ranking.codes import pack, whole_bytes
from .threads import each

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .inputs import Array

# `each` already spreads rows over threads, and spinning BLAS threads would slow them
_one_blas_thread = threadpool_limits.wrap(limits=1, user_api="blas")


class NotFitted(ConfigError, NotFittedError):
    """An :class:`ITQ` was used before ``fit``."""


class ITQ(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Iterative quantisation: PCA to ``bits`` dimensions, then a rotation that lowers the quantisation error.

    Fit it on embeddings of training images, whose classes are seen; a rotation fitted on queries or gallery would use
    the test set. ITQ is a scikit-learn transformer: it can be cloned and be part of a pipeline or a grid search.

    Args:
        bits: length of a code, a multiple of 8 and at most d.
        seed: seed for the rotation before the first iteration.
        iterations: number of updates of signs and rotation in turn (50 in the paper).

    Attributes:
        mean_: (d,) mean of the training embeddings.
        components_: (bits, d) principal directions, in order of decreasing variance.
        rotation_: (bits, bits) orthogonal.
        quantization_errors_: (iterations + 1,) mean of ``|sign(v) - v|^2`` over the images, v the rotated projection of
            an embedding; at the start and after each iteration. It never rises.
        n_features_in_: d, the dimension of the embeddings, under scikit-learn's name.
    """

    mean_: np.ndarray
    components_: np.ndarray
    rotation_: np.ndarray
    quantization_errors_: np.ndarray
    n_features_in_: int

    def __init__(self, bits: int = 64, seed: int = 0, iterations: int = 50) -> None:
        self.bits = bits
        self.seed = seed
        self.iterations = iterations

    @_one_blas_thread
    def fit(self, features: Array, y: None = None) -> ITQ:
        """Learn mean, directions and rotation from (N, d) embeddings, N >= 2.

        Raises:
            ConfigError: if ``bits`` is no multiple of 8 or exceeds d, or a setting is no whole number from 0 on.
            DataError: if the embeddings are not finite, or there is only one.
        """
        from .ranking import on_device

        x = inputs.features(features, "features")
        whole_bytes(inputs.whole(self.bits, "bits", 8))
        inputs.whole(self.seed, "seed", 0)
        inputs.whole(self.iterations, "iterations", 0)
        if self.bits > x.shape[1]:
            raise ConfigError(
                f"bits={self.bits} is more than the {x.shape[1]} dimensions of the embeddings. ITQ cannot add any."
            )
        if len(x) < 2:
            raise DataError("features holds one image. ITQ needs at least two to find a direction.")
        # squares of very large or small values would overflow or vanish; scaling by a power of two is exact
        exponent = int(np.frexp(max(x.max(), -x.min()))[1])
        exponent = exponent if abs(exponent) > _EXPONENT else 0
        x = np.ldexp(x, -exponent) if exponent else x
        device = on_device.worthwhile(x.size, on_device.FEATURE * x.size)
        mean, components = _principal(x, self.bits, on_device.scatter if device else _scatter)
        v = _apply(x, mean, components.T, x.dtype)
        rotation, _ = np.linalg.qr(np.random.default_rng(self.seed).standard_normal((self.bits, self.bits)))
        square = float(_total(lambda share: np.square(share, dtype=np.float64).sum(), v)) / len(v)  # mean of |z|^2
        signs, errors = on_device.Signs(v) if device else _Signs(v), []
        for step in range(self.iterations + 1):
            correlation = signs.of(rotation)
            # |sign(z) - z|^2 = bits - 2 |z|_1 + |z|^2, and the sum of |z|_1 is sum(rotation * correlation)
            absolute = float((rotation * correlation).sum()) / len(v)
            errors.append(self.bits - 2 * np.ldexp(absolute, exponent) + np.ldexp(square, 2 * exponent))
            if step < self.iterations:  # orthogonal Procrustes: the rotation nearest to the signs
                u, _, vt = np.linalg.svd(correlation)
                rotation = u @ vt
        self.mean_, self.components_, self.rotation_ = np.ldexp(mean, exponent), components, rotation
        self.quantization_errors_ = np.asarray(errors)
        self.n_features_in_ = x.shape[1]
        return self

    @_one_blas_thread
    def project(self, features: Array) -> np.ndarray:
        """Project (N, d) embeddings to (N, bits) real values; their signs are the code.

        Raises:
            DataError: if the embeddings are not finite, or of another dimension than those of ``fit``.
            NotFitted: before ``fit`` (a ConfigError, and scikit-learn's NotFittedError).
        """
        if not hasattr(self, "rotation_"):
            raise NotFitted("this ITQ is not fitted. Call fit with the embeddings of training images first.")
        x = inputs.features(features, "features")
        if x.shape[1] != self.n_features_in_:
            raise DataError(f"features has {x.shape[1]} columns; ITQ was fitted on {self.n_features_in_}.")
        return _apply(x, self.mean_, self.components_.T @ self.rotation_, np.dtype(np.float64))

    def transform(self, features: Array) -> np.ndarray:
        """(N, d) embeddings to (N, bits / 8) packed uint8 codes; raises what :meth:`project` raises."""
        return pack(self.project(features))

    @property
    def _n_features_out(self) -> int:
        """Number of names that ``get_feature_names_out`` gives: one for each byte of the code."""
        return self.rotation_.shape[1] // 8


_EXPONENT = 32  # embeddings are rescaled if their largest value is below 2^-32 or above 2^32
_ROWS = 4096  # images in a block, which fits into the processor's cache
_SHARES = 16  # parts of a sum over all images, added in fixed order: the number of threads changes no bit


def _chunks(x: np.ndarray, rows: int = _ROWS) -> Iterator[np.ndarray]:
    return (x[s : s + rows] for s in range(0, len(x), rows))


def _total(of_share: Callable[[np.ndarray], np.ndarray], x: np.ndarray) -> np.ndarray:
    """Sum ``of_share(part)`` over up to ``_SHARES`` parts of the images."""
    return sum(each(of_share, _chunks(x, -(-len(x) // _SHARES))), start=np.zeros(()))


def _scatter(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(d, d) sum of the products of centred features in float64."""

    def of_share(share: np.ndarray) -> np.ndarray:
        total = np.zeros((x.shape[1], x.shape[1]))
        for part in _chunks(share):
            centred = part - mean.astype(x.dtype)
            total += centred.T @ centred
        return total

    return _total(of_share, x)


def _principal(
    x: np.ndarray, bits: int, scatter: Callable[[np.ndarray, np.ndarray], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """(d,) mean and the first (bits, d) principal directions in float64, each with its largest entry positive."""
    mean = _total(lambda share: share.sum(axis=0, dtype=np.float64), x) / len(x)
    _, vectors = np.linalg.eigh(scatter(x, mean))
    components = vectors[:, ::-1][:, :bits].T
    largest = np.take_along_axis(components, np.abs(components).argmax(axis=1)[:, None], 1)
    return mean, components * np.where(largest < 0, -1, 1)


def _apply(x: np.ndarray, mean: np.ndarray, matrix: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """(x - mean) @ matrix in the type of x; the product is computed in ``dtype``."""
    out, mean, matrix = np.empty((len(x), matrix.shape[1]), x.dtype), mean.astype(dtype), matrix.astype(dtype)

    def fill(part_and_rows: tuple[np.ndarray, np.ndarray]) -> None:
        part, rows = part_and_rows
        rows[:] = (part.astype(dtype, copy=False) - mean) @ matrix

    each(fill, zip(_chunks(x), _chunks(out), strict=True))
    return out


class _Signs:
    """B = sign(V R) and V^T B, updated as R changes: few signs flip between rotations, so only these are added."""

    def __init__(self, v: np.ndarray) -> None:
        from .ranking.kernels import TILE, fill_tile

        self.v, count = v, -(-len(v) // TILE)
        self.tiles = np.empty((count, v.shape[1], TILE), v.dtype)
        for part, tile in zip(_chunks(v, TILE), self.tiles, strict=True):
            fill_tile(part, np.arange(len(part)), np.ones(len(part)), tile)
        self.positive = np.zeros(self.tiles.shape, np.bool_)  # B = -1 at first
        total = _total(lambda share: share.sum(axis=0, dtype=np.float64), v)
        self.correlation = -np.repeat(total[None], v.shape[1], axis=0)  # (bits, d): B^T V

    def of(self, rotation: np.ndarray) -> np.ndarray:
        """V^T sign(V R) in float64."""
        from .ranking.itq_step import turn_signs
        from .ranking.kernels import TILE

        transposed = np.ascontiguousarray(rotation.T, dtype=self.v.dtype)

        def gain_of(first: int) -> np.ndarray:
            gain = np.zeros(rotation.shape)
            for t in range(first, min(first + 8, len(self.tiles))):
                turn_signs(transposed, self.tiles[t], self.v[t * TILE : (t + 1) * TILE], self.positive[t], gain)
            return gain

        for gain in each(
            gain_of, range(0, len(self.tiles), 8)
        ):  # added in fixed order: the number of threads changes no bit
            self.correlation += gain
        return self.correlation.T
