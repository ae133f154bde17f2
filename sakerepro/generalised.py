"""Generalised zero-shot retrieval, beyond the paper: photos of the seen classes stand in the gallery, too.

Zero-shot retrieval searches among unseen classes alone, where a network that pulls everything towards the classes it
was trained on pays nothing for it. Here it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .data.dataset import PHOTO, SKETCH
from .errors import DataError
from .evaluation import KS, coders, entries
from .experiment import Experiment
from .metrics import retrieval_metrics

TASK = "GZS-SBIR"
_NEEDED = ("query", "query_labels", "gallery", "gallery_labels", "train_photo", "train_photo_labels", "train_sketch")


def generalised_metrics(arrays: Mapping[str, np.ndarray], e: Experiment, method: Any = None) -> list[dict[str, Any]]:
    """Let sketches of unseen classes search among photos of unseen and of seen classes.

    The photos of seen classes are those of the training. Where a paper holds some of them out of the training for this
    task (Dutta and Akata 2019: a fifth), its numbers are of another gallery.

    Args:
        arrays: embeddings (N, dim) and labels (N,) as of :meth:`Run.embeddings`: ``query``, ``gallery``,
            ``train_photo``, ``train_sketch`` and ``*_labels``.
        e: says the lengths of the binary codes; their rotation is learned on the training features alone.
        method: says the distance of its embeddings (cosine without one) and may have codes of its own.

    Returns:
        One dict a measurement, as of :meth:`Run.metrics`, of the task ``GZS-SBIR`` in the standard convention. Beside
        mAP and P@k there is ``seen@k``: the share of photos of seen classes, all of them wrong, among the first k.

    Raises:
        DataError: if an array is missing.
    """
    if missing := [name for name in _NEEDED if name not in arrays]:
        raise DataError(f"arrays lack {', '.join(missing)}. Give what Run.embeddings() gives.")
    rows = _measured(arrays, arrays, getattr(method, "distance", "cosine"), f"{arrays['query'].shape[1]}-d")
    domains = {"query": SKETCH, "gallery": PHOTO, "train_photo": PHOTO}
    for bits, code in coders(arrays, e, method).items():
        codes = {name: code(arrays[name], domain) for name, domain in domains.items()}
        rows += _measured(arrays, codes, "hamming", f"{bits}-bit")
    return rows


def _measured(
    arrays: Mapping[str, np.ndarray], features: Mapping[str, np.ndarray], distance: str, name: str
) -> list[dict[str, Any]]:
    query, gallery = features["query"], np.concatenate([features["gallery"], features["train_photo"]])
    wanted, unseen = arrays["query_labels"], arrays["gallery_labels"]
    behind = max(wanted.max(), unseen.max()) + 1  # unseen and seen classes are both numbered from 0
    labels = np.concatenate([unseen, arrays["train_photo_labels"] + behind])
    m = retrieval_metrics(query, gallery, wanted, labels, ks=KS, distance=distance)
    is_seen = (labels >= behind).astype(np.int64)  # P@k where photos of seen classes are what is looked for
    seen = retrieval_metrics(query, gallery, np.ones_like(wanted), is_seen, ks=KS, distance=distance)
    rows = entries(m, TASK, name)
    common = {key: rows[0][key] for key in ("task", "representation", "convention", "ties")}
    rows += [{**common, "metric": f"seen@{k}", "value": float(share)} for k, share in seen.p_at.items()]
    return [{key: value for key, value in row.items() if key != "ap"} for row in rows]
