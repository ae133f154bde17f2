"""Search the photos of a run with a sketch."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np

from .. import inputs
from ..data.dataset import PHOTO, SKETCH, ImageSet
from ..errors import ConfigError, SakeError
from ..evaluation import Coder, coders
from ..plots.labels import is_generated, run_data
from ..retrieval import search
from ..runs import require_images
from .drawing import SKETCHY_PEN, pen_of
from .embedder import load
from .photos import Collection, picture, require_run, require_width

if TYPE_CHECKING:
    import pandas as pd

    from ..runs import Run

REAL = "real"  # the embedding itself, compared by the method's distance
BITS = (32, 64, 128)  # lengths of ITQ codes, up to that of the embedding


class _Files:
    """The photos of an index as (N, 160, 160, 3) pixels; a file is read when its pixels are needed."""

    def __init__(self, index: Collection) -> None:
        self.index = index

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([picture(self.index.root / self.index.names[row], 160) for row in rows])


class Retriever:
    """Searches the photos of a run; network, embeddings and codes are kept in memory.

    Args:
        run: a finished run.
        index: an index that this run made, to search its photos; ``None`` for the run's gallery.

    Attributes:
        photos, classes: the searched photos, and the names of their labels. In an index, the label of a photo is its
            folder, or its name if it lies in no folder.
        about: a description of the photos.
        generated: whether the photos are drawn by the package, so that anyone may publish them.
        size: side of the network's input.
        pen: the pen of the run's training sketches (:func:`sakerepro.apps.drawing.pen_of`); that of Sketchy if they
            are not available.
        representations: ``"real"``, then ``"32-bit"`` and so on as far as the embedding is long enough.

    Raises:
        DataError: if the data of the run is missing, and no index is given.
        RunError: if this data has changed since the run was measured, or another run made the index.
    """

    def __init__(self, run: Run, index: Collection | None = None) -> None:
        arrays, e = run.embeddings(), run.experiment
        self.run, self.size, self.pen = run, e.size, SKETCHY_PEN
        self._embedder = load(run)
        by_length = coders(arrays, e.but(bits=BITS), self._embedder.network)
        self._coders: dict[str, Coder] = {f"{bits}-bit": coder for bits, coder in by_length.items()}
        self.representations = (REAL, *self._coders)
        try:
            data = run.dataset()
            require_images(run, data.fingerprint)
            self.pen = pen_of(data.train_sketch)
        except SakeError:
            if index is None:
                raise
        self.photos: ImageSet
        if index is None:
            features, self.photos, self.classes = arrays["gallery"], data.gallery, data.unseen
            self.about, self.generated = run_data(run), is_generated(data)
        else:
            require_run(index, run)
            require_width(index, arrays["gallery"].shape[1])
            features = np.asarray(index.embeddings, np.float32)
            folders = [name.rpartition("/")[0] or name for name in index.names]
            classes, labels = np.unique(folders, return_inverse=True)
            self.photos = ImageSet(_Files(index), np.arange(len(index)), labels, index.names, PHOTO)  # type: ignore[arg-type]
            self.classes, self.about, self.generated = tuple(classes.tolist()), index.root.name, False
        self._galleries: dict[str, np.ndarray] = {REAL: features}
        self._thumbnails: dict[int, bytes] = {}

    def embed(self, sketch: np.ndarray) -> np.ndarray:
        """(1, dim) embedding of a (H, W) uint8 sketch, dark on white; stretched to the network's input.

        Raises:
            ConfigError: if the sketch is of another shape or type.
        """
        sketch = np.asarray(sketch)
        if sketch.ndim != 2 or sketch.dtype != np.uint8:
            raise ConfigError(f"a sketch has shape {sketch.shape} and type {sketch.dtype}; give (H, W) uint8 greys.")
        return self._embedder.embed_sketch(sketch)[None]

    def search(self, sketch: np.ndarray, k: int = 10, representation: str = REAL) -> pd.DataFrame:
        """The ``k`` photos nearest to a sketch.

        Args:
            sketch: as for :meth:`embed`.
            k: at least 1; cut to the number of photos.
            representation: one of ``representations``. Codes are those of the run's metrics: ITQ, fitted to its
                training embeddings.

        Returns:
            A row for each photo, nearest first, with ``rank`` from 1, ``class``, ``distance`` (1 - cosine, Euclidean,
            or differing bits), ``image`` (its name), ``photo`` (its position).

        Raises:
            ConfigError: for an unknown representation, ``k`` below 1, or a sketch that is not a (H, W) uint8 array.
        """
        import pandas as pd

        inputs.one_of(representation, self.representations, "representation")
        query, distance = self.embed(sketch), self._embedder.distance
        if coder := self._coders.get(representation):
            query, distance = coder(query, SKETCH), "hamming"
            if representation not in self._galleries:  # codes are made when they are first needed
                self._galleries[representation] = coder(self._galleries[REAL], PHOTO)
        gallery = self._galleries[representation]
        index, distances = (a[0] for a in search(query, gallery, min(k, len(gallery)), distance))
        return pd.DataFrame(
            {
                "rank": np.arange(1, len(index) + 1),
                "class": [self.classes[self.photos.labels[p]] for p in index],
                "distance": distances,
                "image": [self.photos.names[p] for p in index],
                "photo": index,
            }
        )

    def thumbnail(self, photo: int) -> bytes:
        """The photo at position ``photo`` as bytes of a JPEG, at its size in ``photos``."""
        from PIL import Image

        if photo not in self._thumbnails:
            buffer = io.BytesIO()
            image = self.photos.take([photo])[0]
            picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image)
            picture.save(buffer, "JPEG", quality=90, subsampling=0)
            self._thumbnails[photo] = buffer.getvalue()
        return self._thumbnails[photo]
