"""A trained network in use: files, arrays and PIL images to embeddings and binary codes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..data.dataset import PHOTO, SKETCH, ImageSet
from ..data.images import pixels
from ..embedding import embed
from ..errors import ConfigError
from ..evaluation import Coder, coders
from ..model import Student
from ..runs import Run, named_run

CHUNK = 256  # images in memory at a time


class Embedder:
    """A network ready to embed sketches and photos; :func:`load` makes one.

    ``images`` is one image, or a list or iterator of images. An image is a path, a PIL image, or an array or tensor
    (H, W), (H, W, 3) or (H, W, 4), uint8 or floats in [0, 1]. It is stretched to the network's input as in training.

    Args:
        network: with ``embed(images, domain)`` and a ``backbone`` that has ``mean`` and ``std``.
        size: side of its square input, in pixels.
        run: the run of the network, for binary codes.

    Attributes:
        distance: of its embeddings, ``"cosine"`` or ``"euclidean"``, as :func:`sakerepro.search` takes it.
    """

    def __init__(self, network: Any, size: int, run: Run | None = None) -> None:
        self.network, self.size, self.run = network, size, run
        self.distance: str = getattr(network, "distance", "cosine")
        self._coders: dict[int, Coder] = {}

    def embed_sketch(self, images: Any) -> np.ndarray:
        """(d,) float32 embedding of a sketch, or (N, d) of a list.

        Raises:
            DataError: if an image is not valid, cannot be read, or is blank; it is named.
        """
        return self._embed(images, SKETCH)

    def embed_photo(self, images: Any) -> np.ndarray:
        """(d,) float32 embedding of a photo, or (N, d) of a list.

        Raises:
            DataError: if an image is not valid or cannot be read; it is named.
        """
        return self._embed(images, PHOTO)

    def code_sketch(self, images: Any, bits: int = 0) -> np.ndarray:
        """(bits / 8,) packed uint8 code of a sketch, or (N, bits / 8) of a list, for ``search(distance="hamming")``.

        Args:
            bits: a multiple of 8; 0 for the longest codes that the run was measured with, or else for the longest
                possible ones.

        Raises:
            ConfigError: if the run has no codes of this length.
            DataError: as in :meth:`embed_sketch`.
        """
        return self.coder(bits)(self._embed(images, SKETCH), SKETCH)

    def code_photo(self, images: Any, bits: int = 0) -> np.ndarray:
        """Like :meth:`code_sketch`, for photos."""
        return self.coder(bits)(self._embed(images, PHOTO), PHOTO)

    def coder(self, bits: int = 0) -> Coder:
        """The function from embeddings to the codes of the run's metrics: by its method, or by ITQ of training data.

        Raises:
            ConfigError: if the run has no codes of this length.
        """
        if self.run is None:
            raise ConfigError("binary codes need the training embeddings of a run: load a run.")
        if bits not in self._coders:
            e, arrays = self.run.experiment, self.run.embeddings()
            dim = arrays["train_photo"].shape[1]
            lengths = (bits,) if bits else tuple(b for b in e.bits if b <= dim) or (dim // 8 * 8,)
            by_length = coders(arrays, e.but(bits=lengths), self.network)
            if bits not in (0, *by_length):
                has = ", ".join(map(str, by_length)) or f"multiples of 8 up to {dim}"
                raise ConfigError(f"bits = {bits}: {self.run.id} has no codes of this length, but {has}.")
            code = by_length[bits or max(by_length)]
            self._coders[bits] = lambda x, domain: code(x, domain) if x.ndim == 2 else code(x[None], domain)[0]
        return self._coders[bits]

    def _embed(self, images: Any, domain: int) -> np.ndarray:
        many = isinstance(images, list | tuple | Iterator) or getattr(images, "ndim", 0) == 4
        numbered = enumerate(images if many else [images])
        named = ((image, f"images[{i}]" if many else "the image") for i, image in numbered)
        parts: list[np.ndarray] = []
        while (chunk := list(itertools.islice(named, CHUNK))) or not parts:
            decoded = [pixels(image, self.size, name, drawn=domain == SKETCH) for image, name in chunk]
            parts.append(embed_images(self.network, decoded, domain, self.size))
        return np.concatenate(parts) if many else parts[0][0]


def load(source: Run | Student | Path | str = "") -> Embedder:
    """A trained network, ready to embed new images.

    Args:
        source: a finished run, its id or a part of it, or its folder; or a student for images of 224 px, such as that
            of :func:`sakerepro.load_official_checkpoint`. By default the network that ships with the package.

    Raises:
        ConfigError: if ``source`` fits no run, or several.
        RunError: if the files of the run are damaged.
    """
    if isinstance(source, Student):
        return Embedder(source, 224)
    run = source if isinstance(source, Run) else named_run(str(source))
    return Embedder(run.network(), run.experiment.size, run)


def embed_images(network: Any, images: Sequence[np.ndarray], domain: int, size: int) -> np.ndarray:
    """(N, d) float32 embeddings of (size, size, 1 or 3) uint8 images; (0, d) of none."""
    if not images:
        return embed_images(network, [np.zeros((size, size, 1), np.uint8)], domain, size)[:0]
    stacked, rows = np.stack([np.broadcast_to(i, (size, size, 3)) for i in images]), np.arange(len(images))
    return embed(network, ImageSet(stacked, rows, np.zeros(len(rows), np.int64), ("",) * len(rows), domain), size)
