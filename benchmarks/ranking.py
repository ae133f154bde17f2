"""All four metrics, both kinds of AP (mAP@all, mAP@200, P@100, P@200), beside peers and the bare score product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sakerepro.metrics import RetrievalMetrics, retrieval_metrics

from .common import OURS, Case, Clock, Contender, Row, run_cases

QUERIES = 500  # that stand for all with peers that would take minutes
STAND = f"{QUERIES} queries stand for all"
BARE = "bare score product (numpy)"


@dataclass(frozen=True)
class Task:
    """Unit features (or packed codes) and labels of a retrieval task."""

    query: np.ndarray
    gallery: np.ndarray
    query_labels: np.ndarray
    gallery_labels: np.ndarray


def features(queries: int, photos: int, classes: int) -> Callable[[float], Task]:
    """Maker of a share of a task: 64-d unit features around class centres, mAP about 0.3."""

    def make(share: float) -> Task:
        rng = np.random.default_rng(0)
        q, g = max(classes, int(queries * share)), max(classes * 4, int(photos * share))
        centres = rng.standard_normal((classes, 64), dtype=np.float32) / 2
        ql, gl = np.arange(q) % classes, np.arange(g) % classes
        rng.shuffle(gl)
        query = centres[ql] + rng.standard_normal((q, 64), dtype=np.float32)
        gallery = centres[gl] + rng.standard_normal((g, 64), dtype=np.float32)
        query /= np.linalg.norm(query, axis=1, keepdims=True)
        gallery /= np.linalg.norm(gallery, axis=1, keepdims=True)
        return Task(query, gallery, ql, gl)

    return make


def codes(queries: int, photos: int, classes: int) -> Callable[[float], Task]:
    """The same as 64-bit codes: the signs of the features."""

    def make(share: float) -> Task:
        task = features(queries, photos, classes)(share)
        query, gallery = (np.packbits(x > 0, axis=1) for x in (task.query, task.gallery))
        return Task(query, gallery, task.query_labels, task.gallery_labels)

    return make


def ours(task: Task) -> tuple[RetrievalMetrics, RetrievalMetrics]:
    m = retrieval_metrics(task.query, task.gallery, task.query_labels, task.gallery_labels, ties="index")
    return m, m.under("sake")  # interpolated AP has no exact expectation over ties


def ours_codes(task: Task) -> RetrievalMetrics:
    return retrieval_metrics(task.query, task.gallery, task.query_labels, task.gallery_labels, distance="hamming")


def bare(task: Task) -> np.ndarray:
    """256 queries at a time into the same memory: fresh pages can take three times as long as the product."""
    scores = np.empty((256, len(task.gallery)), np.float32)
    for s in range(0, len(task.query), 256):
        some = task.query[s : s + 256]
        np.matmul(some, task.gallery.T, out=scores[: len(some)])
    return scores


def share(run: Callable[[Task], Any]) -> Callable[[Task], Any]:
    """``run`` on the first queries only, its time counted for all: it takes the queries one after the other."""

    def first(task: Task) -> Any:
        some = replace(task, query=task.query[:QUERIES], query_labels=task.query_labels[:QUERIES])
        clock = Clock()
        return clock.lap(run(some), len(task.query) / len(some.query))

    return first


def argsort(task: Task) -> dict[str, float]:
    """Plain numpy, 256 queries at a time: sort, cumulate, both kinds of AP."""
    parts = []
    for s in range(0, len(task.query), 256):
        scores = task.query[s : s + 256] @ task.gallery.T
        parts.append(of_order(np.argsort(-scores, axis=1), task.query_labels[s : s + 256], task.gallery_labels))
    return {name: float(np.concatenate([p[name] for p in parts]).mean()) for name in parts[0]}


def argsort_codes(task: Task) -> dict[str, float]:
    """The same for codes, ties as the sort leaves them."""
    parts = []
    query, gallery = task.query.view(np.uint64), task.gallery.view(np.uint64)[:, 0]
    for s in range(0, len(query), 256):
        order = np.argsort(np.bitwise_count(query[s : s + 256] ^ gallery), axis=1, kind="stable")
        parts.append(of_order(order, task.query_labels[s : s + 256], task.gallery_labels))
    return {name: float(np.concatenate([p[name] for p in parts]).mean()) for name in parts[0]}


def of_order(order: np.ndarray, ql: np.ndarray, gl: np.ndarray) -> dict[str, np.ndarray]:
    good = gl[order] == ql[:, None]
    precision = np.cumsum(good, axis=1) / np.arange(1, good.shape[1] + 1)
    found = {}
    for name, k in (("all", good.shape[1]), ("200", 200)):
        p, g = precision[:, :k], good[:, :k]
        divisor = np.minimum(k, good.sum(1))
        found[f"mAP@{name}"] = (p * g).sum(1) / divisor
        envelope = np.maximum.accumulate(p[:, ::-1], axis=1)[:, ::-1]
        found[f"interpolated mAP@{name}"] = (envelope * g).sum(1) / divisor
    return found | {f"P@{k}": good[:, :k].mean(1) for k in (100, 200)}


def scikit_learn(task: Task) -> dict[str, float]:
    from sklearn.metrics import average_precision_score

    pairs = zip(task.query, task.query_labels, strict=True)
    aps = [float(average_precision_score(task.gallery_labels == c, task.gallery @ q)) for q, c in pairs]
    return {"mAP@all": float(np.mean(aps))}


def torchmetrics(task: Task) -> dict[str, float]:
    """Its functions, query by query; scores are shifted, because one at or below 0 would count as not retrieved."""
    import torch
    from torchmetrics.functional.retrieval import retrieval_average_precision as ap
    from torchmetrics.functional.retrieval import retrieval_precision as precision

    gallery, labels = torch.from_numpy(task.gallery), torch.from_numpy(task.gallery_labels)
    rows = []
    for q, c in zip(torch.from_numpy(task.query), task.query_labels, strict=True):
        scores, target = gallery @ q + 2, labels == int(c)
        both = (precision(scores, target, top_k=k) for k in (100, 200))
        rows.append([float(v) for v in (ap(scores, target), ap(scores, target, top_k=200), *both)])
    return dict(zip(("mAP@all", "mAP@200", "P@100", "P@200"), np.mean(rows, axis=0), strict=True))


def metric_learning(task: Task) -> dict[str, float]:
    import torch
    from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator

    arrays = (task.query, task.query_labels, task.gallery, task.gallery_labels)
    name, cpu = "mean_average_precision", torch.device("cpu")
    calculator = AccuracyCalculator(include=(name,), k=len(task.gallery), device=cpu)
    return {"mAP@all": calculator.get_accuracy(*map(torch.from_numpy, arrays))[name]}


def value(who: str, task: Task, answer: Any) -> str:
    """mAP@all of each side, so that a wrong answer shows; ours also of the queries that stand for all."""
    if who == BARE:
        return ""
    if isinstance(answer, tuple):
        answer = answer[0]
    if isinstance(answer, RetrievalMetrics):
        return f"mAP {answer.map_all:.6f}, of {QUERIES} queries {answer.ap[:QUERIES].mean():.6f}"
    return f"mAP {answer['mAP@all']:.6f}"


def at_most_four_products(rows: dict[str, Row]) -> tuple[str, bool]:
    ratio, memory = rows[OURS].seconds / rows[BARE].seconds, rows[OURS].peak_mib or 0  # type: ignore[operator]
    return f"at most 4 x the product and 128 MiB: {ratio:.2f} x, {memory:.0f} MiB", ratio <= 4 and memory <= 128


def faster_than_floats(rows: dict[str, Row]) -> tuple[str, bool]:
    ratio = rows["sakerepro, floats"].seconds / rows[OURS].seconds  # type: ignore[operator]
    return f"faster than with floats: {ratio:.1f} x", ratio > 1


SIZES = {"TU-Berlin, 2,400 x 27,989 x 64": (2400, 27_989, 30), "Sketchy, 15,229 x 17,101 x 64": (15_229, 17_101, 25)}
FLOATS = {
    OURS: Contender(ours, note="exact ties, both kinds of AP"),
    BARE: Contender(bare, note="the limit: scores only"),
    "numpy argsort, chunked": Contender(share(argsort), note=f"both kinds of AP; {STAND}"),
    "scikit-learn": Contender(share(scikit_learn), "sklearn", f"mAP@all only; {STAND}"),
    "torchmetrics": Contender(share(torchmetrics), "torchmetrics", f"plain AP only; {STAND}"),
    "pytorch-metric-learning": Contender(share(metric_learning), "pytorch_metric_learning", f"mAP@all only; {STAND}"),
}


def _codes_case(name: str, size: tuple[int, int, int]) -> Case:
    contenders = {
        OURS: Contender(ours_codes, note="exact expected value over ties"),
        "sakerepro, floats": Contender(ours_of_floats(*size), note="the float case of the same size"),
        "numpy argsort, chunked": Contender(share(argsort_codes), note=f"ties by index; {STAND}"),
    }
    return Case(f"metrics, 64-bit Hamming, {name}", codes(*size), contenders, faster_than_floats, value)


def ours_of_floats(queries: int, photos: int, classes: int) -> Callable[[Task], Any]:
    """The float case as a contender of the binary one; the features are made once."""
    made: dict[int, Task] = {}

    def run(task: Task) -> Any:
        if len(task.query) not in made:
            made[len(task.query)] = features(queries, photos, classes)(len(task.query) / queries)
        return ours(made[len(task.query)])

    return run


CASES = [Case(f"metrics, cosine, {n}", features(*s), FLOATS, at_most_four_products, value) for n, s in SIZES.items()]
CASES += [_codes_case(n, s) for n, s in SIZES.items()]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
