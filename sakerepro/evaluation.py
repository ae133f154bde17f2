"""What is measured on a trained network: ZS-SBIR, ZS-PBIR, real-valued and binary (section 4.1)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from .data import photo_queries
from .data.dataset import Dataset
from .embedding import embed
from .experiment import Experiment
from .hashing import ITQ
from .metrics import RetrievalMetrics, retrieval_metrics
from .model import Student

if TYPE_CHECKING:
    from tqdm import tqdm

KS = (25, 100, 200)


def evaluate(student: Student, data: Dataset, e: Experiment) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Embed, hash, rank and measure.

    Returns:
        Measurements as of :func:`measure`, and arrays: embeddings, labels and per-query average precision.
    """
    sets = {"query": data.query, "gallery": data.gallery, "train_photo": data.train_photo,
            "train_sketch": data.train_sketch}  # fmt: skip
    with _bar("Embedding", sum(map(len, sets.values())), " images") as bar:
        arrays = {name: embed(student, images, e.size, progress=bar.update) for name, images in sets.items()}
    arrays |= {f"{name}_labels": images.labels for name, images in sets.items()}
    measured, aps = measure(arrays, data, e)
    return measured, arrays | aps


def measure(
    arrays: dict[str, np.ndarray], data: Dataset, e: Experiment
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Hash, rank and measure embeddings.

    Binary codes come from an ITQ rotation learned on the training features alone (section 4.1).

    Args:
        arrays: ``query``, ``gallery``, ``train_photo``, ``train_sketch``: (N, dim) embeddings of
            the images of ``data``.

    Returns:
        Measurements, one dict each (task, representation, metric, convention, ties, value), and the (Q,) average
        precisions of the queries by ``ap/task/representation``.
    """
    lengths = [bits for bits in e.bits if bits <= e.dim]
    with _bar("Measuring", 1 + 2 * len(lengths), " steps") as bar:  # rank features; learn each code, rank by it
        measured = _tasks(arrays, data, lambda x: x, "cosine", f"{e.dim}-d", e.photo_queries)
        bar.update()
        for bits in lengths:
            itq = ITQ(bits=bits, seed=e.seed).fit(np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))
            bar.update()
            measured += _tasks(arrays, data, itq.transform, "hamming", f"{bits}-bit", e.photo_queries)
            bar.update()
    return measured, {f"ap/{m['task']}/{m['representation']}": m.pop("ap") for m in measured if "ap" in m}


def _bar(what: str, total: int, unit: str) -> tqdm[NoReturn]:
    """A bar on stderr, with the time left, for what takes more than two seconds; ``TQDM_DISABLE`` turns it off."""
    from tqdm import tqdm

    return tqdm(total=total, desc=what, unit=unit, delay=2, mininterval=0.5 if sys.stderr.isatty() else 10)


def trace_function(data: Dataset, e: Experiment) -> Callable[[Student], dict[str, float]]:
    """What :func:`sakerepro.run` measures after each epoch when it is asked to: mAP@all of both tasks."""

    def trace(student: Student) -> dict[str, float]:
        arrays = {"query": embed(student, data.query, e.size), "gallery": embed(student, data.gallery, e.size)}
        rows = _tasks(arrays, data, lambda x: x, "cosine", "", e.photo_queries)
        return {r["task"]: r["value"] for r in rows if (r["metric"], r["convention"]) == ("mAP@all", "standard")}

    return trace


def _tasks(
    arrays: dict[str, np.ndarray], data: Dataset, code: Callable[[np.ndarray], np.ndarray], distance: str, name: str,
    asking: int,
) -> list[dict[str, Any]]:  # fmt: skip
    """ZS-SBIR, and ZS-PBIR with the first ``asking`` photos of each class as queries."""
    gallery, labels = code(arrays["gallery"]), data.gallery.labels
    tasks = {"ZS-SBIR": (code(arrays["query"]), gallery, data.query.labels, labels)}
    if asking:
        asks = np.isin(data.gallery.rows, photo_queries(data, asking)[0].rows)
        tasks["ZS-PBIR"] = (gallery[asks], gallery[~asks], labels[asks], labels[~asks])
    rows = []
    for task, inputs in tasks.items():
        for convention in ("standard", "sake"):
            m = retrieval_metrics(*inputs, ks=KS, distance=distance, convention=convention)
            rows += entries(m, task, name)
    return rows


def entries(m: RetrievalMetrics, task: str, name: str) -> list[dict[str, Any]]:
    """One dict a number of ``m``, as of :meth:`Run.metrics`; in ``standard`` the first carries the queries' AP."""
    common = {"task": task, "representation": name, "convention": m.convention, "ties": m.ties}
    values = {"mAP@all": m.map_all}
    values |= {f"mAP@{k}": v for k, v in m.map_at.items()} | {f"P@{k}": v for k, v in m.p_at.items()}
    rows: list[dict[str, Any]] = [{**common, "metric": k, "value": float(v)} for k, v in values.items()]
    if m.convention == "standard":
        rows[0]["ap"] = m.ap
    return rows
