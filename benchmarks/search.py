"""The 100 nearest of a million photos, beside faiss's flat indexes on the same threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sakerepro.retrieval import search

from .common import OURS, Case, Contender, Row, run_cases

QUERIES, PHOTOS, K = 1000, 1_000_000, 100
FAISS = "faiss flat"


@dataclass(frozen=True)
class Task:
    query: np.ndarray
    gallery: np.ndarray


def features(share: float) -> Task:
    """Random unit features, 64-d."""
    rng = np.random.default_rng(0)
    query = rng.standard_normal((max(20, int(QUERIES * share)), 64), dtype=np.float32)
    gallery = rng.standard_normal((max(200, int(PHOTOS * share)), 64), dtype=np.float32)
    for x in (query, gallery):
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    return Task(query, gallery)


def codes(share: float) -> Task:
    """Random 64-bit codes."""
    task = features(share)
    return Task(np.packbits(task.query > 0, axis=1), np.packbits(task.gallery > 0, axis=1))


def ours(task: Task) -> Any:
    return search(task.query, task.gallery, K)


def ours_codes(task: Task) -> Any:
    return search(task.query, task.gallery, K, "hamming")


def with_faiss(kind: str) -> Callable[[Task], Any]:
    def run(task: Task) -> Any:
        import faiss
        import torch

        faiss.omp_set_num_threads(torch.get_num_threads())
        if kind == "cosine":
            index = faiss.IndexFlatIP(64)
            index.add(task.gallery)
            scores, nearest = index.search(task.query, K)
            return nearest, 1 - scores
        binary = faiss.IndexBinaryFlat(64)
        binary.add(task.gallery)
        distances, nearest = binary.search(task.query, K)
        return nearest, distances

    return run


def accuracy(who: str, task: Task, answer: Any) -> str:
    """Of the first 20 queries: how far the distances are from those of a full sort in float64."""
    nearest, distances = answer
    if task.query.dtype == np.uint8:
        true = np.stack([np.bitwise_count(q ^ task.gallery).sum(1) for q in task.query[:20]])
    else:
        true = 1 - task.query[:20].astype(np.float64) @ task.gallery.T.astype(np.float64)
    best = np.sort(true, axis=1)[:, :K]
    off = max(np.abs(np.take_along_axis(true, nearest[:20], 1) - best).max(), np.abs(distances[:20] - best).max())
    return f"distances within {off:.1e} of a full sort"


def at_least_as_fast(rows: dict[str, Row]) -> tuple[str, bool]:
    peer = rows[FAISS].seconds
    if peer is None:
        return "at least as fast as faiss: not measured, faiss is missing", False
    ratio = peer / rows[OURS].seconds  # type: ignore[operator]
    return f"at least as fast as faiss: {ratio:.1f} x as fast", ratio >= 1


def _case(name: str, make: Callable[[float], Task], run: Callable[[Task], Any], kind: str) -> Case:
    contenders = {OURS: Contender(run), FAISS: Contender(with_faiss(kind), "faiss", "index made within the time")}
    return Case(f"top 100 of 10^6, {name}, 1,000 queries", make, contenders, at_least_as_fast, accuracy)


CASES = [_case("cosine 64-d", features, ours, "cosine"), _case("Hamming 64 bits", codes, ours_codes, "hamming")]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
