"""A run that was never trained, an experiment with arrays of your own; and a disk that is full."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet
from sakerepro.experiment import Experiment
from sakerepro.provenance import versions
from sakerepro.results.grids import MEASURING, WORDS, experiment_of
from sakerepro.results.rows import Row
from sakerepro.results.runrows import run_row


@contextlib.contextmanager
def full_disk(most: int = 50_000) -> Iterator[None]:
    """No file of this process can become longer than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@dataclass
class FakeRun:
    """Answers as a :class:`sakerepro.Run` does."""

    experiment: Experiment
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    data: Dataset | None = None
    more: dict[str, Any] = field(default_factory=dict)  # of the provenance
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)  # what was measured after each epoch
    measured: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.experiment.id

    @property
    def distance(self) -> str:
        return "cosine"

    def embeddings(self) -> dict[str, np.ndarray]:
        return self.arrays

    def history(self) -> pd.DataFrame:
        return self.epochs

    def metrics(self) -> list[dict[str, Any]]:
        return self.measured

    def dataset(self) -> Dataset:
        return self.data

    def provenance(self) -> dict[str, Any]:
        names = ("embeddings.npz", "weights.safetensors")
        files = {name: {"bytes": 2**20, "sha256": f"{name} of {self.id}"} for name in names}
        common = {
            "commit": "c" * 40,
            "dirty": False,
            "versions": versions(),
            "files": files,
            "seconds": 100.0,
            "data": "0",
            "accelerator": None,
            "threads": 2,
            "processor": "CPU",
            "teacher": {"teacher": "none", "sha256": "0"},
        }
        return {**common, **self.more}


def images(labels: np.ndarray, domain: int, rng: np.random.Generator | None = None) -> ImageSet:
    """Images of 8 px with these labels, black or at random; sketches have one channel."""
    shape = (len(labels), 8, 8, 1 if domain == SKETCH else 3)
    pixels = np.zeros(shape, np.uint8) if rng is None else rng.integers(0, 256, shape, dtype=np.uint8)
    names = tuple(f"{i}.png" for i in range(len(labels)))
    return ImageSet(pixels, np.arange(len(labels)), np.asarray(labels, dtype=np.int64), names, domain)


def task(
    unseen: tuple[str, ...],
    query_labels: np.ndarray,
    gallery_labels: np.ndarray,
    seen: tuple[str, ...] = ("dog",),
    name: str = "mini",
    rng: np.random.Generator | None = None,
) -> Dataset:
    """A task whose unseen part is given; of seen classes it has one image each."""
    one = np.arange(len(seen))
    sets = ((one, SKETCH), (one[:0], SKETCH), (one, PHOTO), (query_labels, SKETCH), (gallery_labels, PHOTO))
    return Dataset(name, "zeroshot", seen, unseen, *(images(*s, rng) for s in sets), "0" * 64)


def embedded(e: Experiment, data: Dataset, rng: np.random.Generator, level: float = 0.0) -> FakeRun:
    """A run whose features, (N, 6), are noise around the centres of their classes, which lie ``level`` apart."""
    centre, arrays = level * rng.normal(size=(len(data.unseen), 6)), {}
    for key, images in (("query", data.query), ("gallery", data.gallery)):
        noise = rng.normal(size=(len(images), 6))
        arrays |= {key: (centre[images.labels] + noise).astype(np.float32), f"{key}_labels": images.labels}
    return FakeRun(e, arrays, data)


def number(value: float, preset: str = "paper", seed: int = 0, convention: str = "standard", **where: Any) -> Row:
    """A row as the run of a cell would leave it; ``where`` are axes of a grid, in the paper's words."""
    point = {**WORDS, **MEASURING, **where}
    e = experiment_of(point, preset, seed)
    features = f"{e.dim}-d" if point["representation"] in (None, "real") else point["representation"]
    looked = {k: point[k] for k in ("task", "classes", "variant")}
    return run_row(FakeRun(e), point["metric"], value, representation=features, convention=convention, **looked)


def numbers(*values: float, **where: Any) -> list[Row]:
    """One such row for each seed."""
    return [number(value, seed=seed, **where) for seed, value in enumerate(values)]
