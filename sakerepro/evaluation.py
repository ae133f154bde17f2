"""What is measured on a trained network: ZS-SBIR, ZS-PBIR, real-valued and binary (section 4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .data import photo_queries
from .data.dataset import Dataset
from .embedding import embed
from .experiment import Experiment
from .hashing import ITQ
from .metrics import RetrievalMetrics, retrieval_metrics
from .model import Student

KS = (25, 100, 200)


def evaluate(student: Student, data: Dataset, e: Experiment) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Embed, hash, rank and measure.

    Returns:
        Measurements as of :func:`measure`, and arrays: embeddings, labels and per-query average precision.
    """
    sets = {"query": data.query, "gallery": data.gallery, "train_photo": data.train_photo,
            "train_sketch": data.train_sketch}  # fmt: skip
    arrays = {name: embed(student, images, e.size) for name, images in sets.items()}
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
    measured = _tasks(arrays, data, lambda x: x, "cosine", f"{e.dim}-d", e.photo_queries)
    for bits in e.bits:
        if bits <= e.dim:
            itq = ITQ(bits=bits, seed=e.seed).fit(np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))
            measured += _tasks(arrays, data, itq.transform, "hamming", f"{bits}-bit", e.photo_queries)
    return measured, {f"ap/{m['task']}/{m['representation']}": m.pop("ap") for m in measured if "ap" in m}


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
            # interpolated precision has no exact expectation over tied orders: the official order of the files stands
            ties = "expected" if convention == "standard" else "index"
            m = retrieval_metrics(*inputs, ks=KS, distance=distance, convention=convention, ties=ties)
            rows += _entries(m, task, name, convention, ties)
    return rows


def _entries(m: RetrievalMetrics, task: str, name: str, convention: str, ties: str) -> list[dict[str, Any]]:
    common = {"task": task, "representation": name, "convention": convention, "ties": ties}
    values = {"mAP@all": m.map_all}
    values |= {f"mAP@{k}": v for k, v in m.map_at.items()} | {f"P@{k}": v for k, v in m.p_at.items()}
    rows: list[dict[str, Any]] = [{**common, "metric": k, "value": float(v)} for k, v in values.items()]
    if convention == "standard":
        rows[0]["ap"] = m.ap
    return rows
