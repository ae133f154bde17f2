"""ITQ of 200,000 x 512 features to 64 bits in 50 iterations, beside faiss's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from sakerepro.hashing import ITQ

from .common import OURS, Case, Contender, Row, run_cases

ALL, PART = "faiss, all rows", "faiss, its default sample"


def features(share: float) -> np.ndarray:
    """Features around 100 class centres, centred and of unit length, because that is what faiss makes of its input."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((max(300, int(200_000 * share)), 512), dtype=np.float32)
    x += rng.standard_normal((100, 512), dtype=np.float32)[rng.integers(0, 100, len(x))]
    x -= x.mean(axis=0)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def ours(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return ITQ(bits=64, seed=0, iterations=50).fit(x).project


def with_faiss(all_rows: bool) -> Callable[[np.ndarray], Any]:
    def run(x: np.ndarray) -> Any:
        import faiss
        import torch

        faiss.omp_set_num_threads(torch.get_num_threads())
        itq = faiss.ITQTransform(512, 64, True)
        if all_rows:
            itq.max_train_per_dim = len(x)  # by default it trains on 10 rows a dimension
        itq.train(x)
        return itq.apply

    return run


def loss(who: str, x: np.ndarray, project: Callable[[np.ndarray], np.ndarray]) -> str:
    """Share of the projected energy that the signs lose, at the best scale: comparable whatever the scale."""
    v = project(x)
    return f"quantisation loss {1 - np.abs(v).mean() ** 2 / np.square(v).mean():.5f}"


def twice_as_fast(rows: dict[str, Row]) -> tuple[str, bool]:
    if rows[ALL].seconds is None:
        return "at least 2 x faster than faiss: not measured, faiss is missing", False
    ratio = rows[ALL].seconds / rows[OURS].seconds  # type: ignore[operator]
    our, peer = (float(rows[who].note.split()[-1]) for who in (OURS, ALL))
    good = ratio >= 2 and our <= peer
    return f"at least 2 x faster than faiss on all rows, at no higher loss: {ratio:.1f} x, {our - peer:+.5f}", good


CONTENDERS = {
    OURS: Contender(ours),
    ALL: Contender(with_faiss(True), "faiss"),
    PART: Contender(with_faiss(False), "faiss", "trains on 5,120 rows"),
}
CASES = [Case("ITQ, 200,000 x 512 to 64 bits, 50 iterations", features, CONTENDERS, twice_as_fast, loss)]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
