"""A run that was never trained: an experiment with arrays of your own, for what is measured on finished runs."""

from __future__ import annotations

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


@dataclass
class FakeRun:
    """Answers as a :class:`sakerepro.Run` does."""

    experiment: Experiment
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    data: Dataset | None = None
    more: dict[str, Any] = field(default_factory=dict)  # of the provenance
    epochs: pd.DataFrame = field(default_factory=pd.DataFrame)  # what was measured after each epoch

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

    def dataset(self) -> Dataset:
        assert self.data is not None
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


def images(labels: np.ndarray, domain: int) -> ImageSet:
    """Black images with these labels."""
    n = len(labels)
    pixels = np.zeros((n, 8, 8, 3), np.uint8)
    return ImageSet(pixels, np.arange(n), np.asarray(labels), tuple(f"{i}.png" for i in range(n)), domain)


def task(unseen: tuple[str, ...], query_labels: np.ndarray, gallery_labels: np.ndarray) -> Dataset:
    """A task whose unseen part is given; one seen class."""
    one = np.zeros(1, np.int64)
    return Dataset(
        "mini",
        "zeroshot",
        ("dog",),
        unseen,
        images(one, SKETCH),
        images(one[:0], SKETCH),
        images(one, PHOTO),
        images(query_labels, SKETCH),
        images(gallery_labels, PHOTO),
        "0" * 64,
    )


def number(value: float, preset: str = "paper", seed: int = 0, convention: str = "standard", **where: Any) -> Row:
    """A row as the run of a cell would leave it; ``where`` are axes of a grid, in the paper's words."""
    point = {**WORDS, **MEASURING, **where}
    e = experiment_of(point, preset, seed)
    assert e is not None
    features = f"{e.dim}-d" if point["representation"] in (None, "real") else point["representation"]
    looked = {k: point[k] for k in ("task", "classes", "variant")}
    return run_row(FakeRun(e), point["metric"], value, representation=features, convention=convention, **looked)  # type: ignore[arg-type]


def numbers(*values: float, **where: Any) -> list[Row]:
    """One such row for each seed."""
    return [number(value, seed=seed, **where) for seed, value in enumerate(values)]
