"""Measurements of a trained network: ZS-SBIR, ZS-PBIR, generalised; real-valued and binary (section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from . import inputs
from .data.dataset import PHOTO, SKETCH, Dataset
from .data.splits import photo_queries
from .devices import device
from .display import bar
from .embedding import embed, place
from .errors import DataError
from .experiment import Experiment
from .metrics import RetrievalMetrics, retrieval_metrics
from .ranking.codes import pack

KS = (25, 100, 200)
GENERALISED = "GZS-SBIR"
_LABELS = ("query_labels", "gallery_labels", "train_photo_labels")
_ARRAYS = ("query", "query_labels", "gallery", "gallery_labels", "train_photo", "train_photo_labels", "train_sketch")
Coder = Callable[[np.ndarray, int], np.ndarray]  # (N, d) embeddings and their domain -> (N, bits / 8) packed codes


def evaluate(
    method: Any, data: Dataset, e: Experiment, training: Mapping[str, np.ndarray] | None = None
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Embed, hash, rank and measure.

    Args:
        training: arrays of :meth:`Run.embeddings`. ITQ is then fitted on the training images of that run instead of
            those of ``data``; ``data`` needs none.

    Returns:
        Measurements as in :func:`measure`, and arrays: embeddings, labels and per-query average precision.
    """
    sets = {"query": data.query, "gallery": data.gallery}
    if training is None:
        sets |= {"train_photo": data.train_photo, "train_sketch": data.train_sketch}
    with bar(None, "Embedding", log=True, total=sum(map(len, sets.values())), unit=" images", delay=2) as progress:
        arrays = {n: embed(method, images, e.size, progress=progress.update, keep=True) for n, images in sets.items()}
    arrays |= {f"{name}_labels": images.labels for name, images in sets.items()}
    arrays |= {name: x for name, x in (training or {}).items() if name.startswith("train_")}
    rows, aps = measure(arrays, data, e, method)
    return rows, arrays | aps


def measure(
    arrays: dict[str, np.ndarray], data: Dataset, e: Experiment, method: Any = None
) -> tuple[list[dict[str, Any]], dict[str, np.ndarray]]:
    """Hash (see :func:`coders`), rank and measure embeddings.

    Args:
        arrays: ``query``, ``gallery``, ``train_photo``, ``train_sketch``: (N, dim) embeddings of ``data``.
        method: gives the distance (cosine without a method), and binary codes if it has codes of its own.

    Returns:
        Measurements, one dict each (task, representation, metric, convention, ties, value), and the (Q,) average
        precisions of the queries by ``ap/task/representation``.
    """
    width, distance = arrays["gallery"].shape[1], getattr(method, "distance", "cosine")
    with bar(None, "Measuring", log=True, total=1 + len(e.bits), unit=" steps", delay=2) as progress:
        rows = _tasks(arrays, data, lambda x, domain: x, distance, f"{width}-d", e.photo_queries)
        progress.update()
        for bits, code in coders(arrays, e, method).items():
            rows += _tasks(arrays, data, code, "hamming", f"{bits}-bit", e.photo_queries)
            progress.update()
    return rows, {f"ap/{row['task']}/{row['representation']}": row.pop("ap") for row in rows if "ap" in row}


def coders(arrays: Mapping[str, np.ndarray], e: Experiment, method: Any = None) -> dict[int, Coder]:
    """For each code length in bits, a function from (N, d) embeddings and their domain to packed codes.

    A method may have binary codes of its own. Otherwise ITQ is fitted for each length in ``e.bits``, on the training
    embeddings alone (section 4.1); lengths above d are left out.

    Args:
        arrays: ``train_photo`` and ``train_sketch``, (N, d) embeddings.
    """
    example = method and place(method).code(torch.from_numpy(arrays["train_photo"][:1]).to(device()), 0)
    if example is not None:

        def code(x: np.ndarray, domain: int) -> np.ndarray:
            with torch.inference_mode():
                return pack(method.code(torch.from_numpy(x).to(device()), domain).cpu().numpy())

        return {example.shape[1]: code}
    train = np.concatenate([arrays["train_photo"], arrays["train_sketch"]])
    from .hashing import ITQ  # here, because scikit-learn takes a second to import

    fitted = {bits: ITQ(bits=bits, seed=e.seed).fit(train) for bits in e.bits if bits <= train.shape[1]}
    return {bits: lambda x, domain, itq=itq: itq.transform(x) for bits, itq in fitted.items()}  # type: ignore[misc]


def traced(method: Any, data: Dataset, e: Experiment) -> dict[str, float]:
    """mAP@all of each task, to be called after an epoch."""
    sets = {"query": data.query, "gallery": data.gallery}
    arrays = {name: embed(method, images, e.size, keep=True) for name, images in sets.items()}
    rows = _tasks(arrays, data, lambda x, domain: x, method.distance, "", e.photo_queries)
    return {r["task"]: r["value"] for r in rows if (r["metric"], r["convention"]) == ("mAP@all", "standard")}


def _tasks(
    arrays: dict[str, np.ndarray], data: Dataset, code: Coder, distance: str, name: str, per_class: int
) -> list[dict[str, Any]]:
    """ZS-SBIR, and ZS-PBIR with the first ``per_class`` photos of each class as queries."""
    gallery, labels = code(arrays["gallery"], PHOTO), data.gallery.labels
    tasks = {"ZS-SBIR": (code(arrays["query"], SKETCH), gallery, data.query.labels, labels)}
    if per_class:
        is_query = np.isin(data.gallery.rows, photo_queries(data, per_class)[0].rows)
        tasks["ZS-PBIR"] = (gallery[is_query], gallery[~is_query], labels[is_query], labels[~is_query])
    rows = []
    for task, sides in tasks.items():
        for convention in ("standard", "sake"):
            m = retrieval_metrics(*sides, ks=KS, distance=distance, convention=convention)
            rows += entries(m, task, name)
    return rows


def entries(m: RetrievalMetrics, task: str, name: str) -> list[dict[str, Any]]:
    """One dict for each number in ``m``, as in :meth:`Run.metrics`; in ``standard`` the first also holds all APs."""
    common = {"task": task, "representation": name, "convention": m.convention, "ties": m.ties}
    rows: list[dict[str, Any]] = [{**common, "metric": k, "value": float(v)} for k, v in m.summary().items()]
    if m.convention == "standard":
        rows[0]["ap"] = m.ap
    return rows


def generalised_metrics(arrays: Mapping[str, np.ndarray], e: Experiment, method: Any = None) -> list[dict[str, Any]]:
    """Generalised ZS-SBIR (not in the paper): the gallery holds photos of unseen and of seen classes.

    In ZS-SBIR the gallery holds unseen classes only: a bias towards seen classes costs nothing. Here it costs accuracy.
    The photos of seen classes are the training photos. Papers that hold some of them out of the training for this task
    (Dutta and Akata 2019: a fifth) use another gallery.

    Args:
        arrays: embeddings (N, dim) and labels (N,) as in :meth:`Run.embeddings`: ``query``, ``gallery``,
            ``train_photo``, ``train_sketch`` and ``*_labels``.
        e: gives the lengths of the codes in bits; ITQ is fitted on the training embeddings alone.
        method: gives the distance (cosine without a method), and binary codes if it has codes of its own.

    Returns:
        One dict for each measurement, as in :meth:`Run.metrics`, of the task ``GZS-SBIR`` in the standard convention.
        Besides mAP and P@k there is ``seen@k``: the share of the first k photos that are of seen classes, thus wrong.

    Raises:
        DataError: if an array is missing.
    """
    return [{k: v for k, v in row.items() if k != "ap"} for row in _all_generalised(arrays, e, method)]


def generalised_precision(arrays: Mapping[str, np.ndarray], e: Experiment, method: Any = None) -> dict[str, np.ndarray]:
    """(Q,) average precisions by ``task/representation``, with the arguments of :func:`generalised_metrics`."""
    rows = _all_generalised(arrays, e, method)
    return {f"{row['task']}/{row['representation']}": row["ap"] for row in rows if "ap" in row}


def _all_generalised(arrays: Mapping[str, np.ndarray], e: Experiment, method: Any) -> list[dict[str, Any]]:
    inputs.kind(arrays, Mapping, "arrays", "Run.embeddings() gives them.")
    if missing := [name for name in _ARRAYS if name not in arrays]:
        raise DataError(f"arrays lack {', '.join(missing)}. Give what Run.embeddings() gives.")
    for name in _LABELS:
        if (labels := np.asarray(arrays[name])).dtype.kind not in "iu" or (labels < 0).any():
            raise DataError(f"{name} have to be whole numbers from 0 on, the ids of classes.")
    rows = _generalised(arrays, arrays, getattr(method, "distance", "cosine"), f"{arrays['query'].shape[1]}-d")
    domains = {"query": SKETCH, "gallery": PHOTO, "train_photo": PHOTO}
    for bits, code in coders(arrays, e, method).items():
        codes = {name: code(arrays[name], domain) for name, domain in domains.items()}
        rows += _generalised(arrays, codes, "hamming", f"{bits}-bit")
    return rows


def _generalised(
    arrays: Mapping[str, np.ndarray], features: Mapping[str, np.ndarray], distance: str, name: str
) -> list[dict[str, Any]]:
    query, gallery = features["query"], np.concatenate([features["gallery"], features["train_photo"]])
    of_query, unseen, seen = (np.asarray(arrays[name]).astype(np.int64) for name in _LABELS)  # narrow types overflow
    first_seen = max(of_query.max(), unseen.max()) + 1  # unseen and seen classes are both numbered from 0
    labels = np.concatenate([unseen, seen + first_seen])
    m = retrieval_metrics(query, gallery, of_query, labels, ks=KS, distance=distance)
    is_seen = (labels >= first_seen).astype(np.int64)  # count photos of seen classes as relevant: P@k is their share
    shares = retrieval_metrics(query, gallery, np.ones_like(of_query), is_seen, ks=KS, distance=distance).p_at
    rows = entries(m, GENERALISED, name)
    common = {key: rows[0][key] for key in ("task", "representation", "convention", "ties")}
    return rows + [{**common, "metric": f"seen@{k}", "value": float(share)} for k, share in shares.items()]
