"""The rule behind a verdict: what a difference between measured numbers has to show to count, and what it showed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .claims_spec import Cell, Contrast
from .measured import Measured
from .rows import OURS, UNIT
from .tables_spec import BACKBONES

HOLDS, FAILS, CLOSE, NOT_RUN = "holds", "does not hold", "too close to call", "not run"
MARGIN = 0.005  # of one seed without per-query values, and of the paper's own single numbers
ROUNDING = 0.0005  # half of the last digit that the paper prints: no smaller difference counts
CONFIDENCE = 0.90
RULE = (
    "Rule: every difference is paired by split and seed. With n >= 2 its 90 % t-interval has to lie above 0 (within "
    "the bound, where one is named) to hold, below 0 (outside) to fail; with n = 1 the same of a 90 % bootstrap "
    "interval over the queries, or, where there is none, of a margin of 0.005. Anything else, and any difference below "
    "0.0005, is too close to call. A claim of several differences holds if all that were run hold, and fails if one "
    "fails. Networks that were never trained and other systems have one number, which stands beside every seed."
)
PerQuery = Mapping[tuple[str, str, str], np.ndarray]  # (run, task, representation) -> (Q,) average precision


@dataclass(frozen=True)
class Judged:
    """One contrast: its verdict, mean, interval and the number of pairs behind it."""

    name: str
    verdict: str
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    std: float = math.nan
    n: int = 0
    sides: str = ""  # the means of its cells, "0.434 > 0.426"
    how: str = ""  # the kind of interval, or why there is none
    runs: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # the cells that were not run


def judge_contrast(
    contrast: Contrast, bound: float | None, ask: Measured, paper: Measured, varies: tuple[str, ...],
    per_query: PerQuery,
) -> Judged:  # fmt: skip
    """Apply the rule to one contrast.

    Args:
        contrast: what is compared, in the paper's terms.
        bound: ``None`` if it has to be above 0, else how far from 0 it may be.
        ask: the rows that answer. On the paper's own data, ``paper`` answers for the other systems.
        paper: the paper's numbers as rows.
        varies: the lambdas that the cells vary themselves.
        per_query: average precision per query, for one seed.
    """
    rows, missing = [], []
    for _, cell in contrast.terms:
        found = ask.rows(cell, varies)
        if found.empty and cell["method"] not in OURS and ask.preset == "paper":
            found = paper.rows(cell, varies)  # the other systems' printed numbers, on the same data
        rows.append(found)
        if found.empty:
            missing.append(_name(cell))
    if missing:
        return Judged(contrast.name, NOT_RUN, missing=tuple(missing))
    values = _paired(contrast, rows)
    if not len(values):
        return Judged(contrast.name, NOT_RUN, how="no split and seed in common")
    total = values @ [weight for weight, _ in contrast.terms] - contrast.minus
    mean, n, std = float(total.mean()), len(total), float(total.std(ddof=1)) if len(total) > 1 else math.nan
    low, high, how = _interval(contrast, rows, total, per_query)
    return Judged(
        contrast.name, _verdict(low, high, bound), mean, low, high, std, n, _sides(values), how,
        tuple(run for r in rows for run in r["run"]),
    )  # fmt: skip


def _paired(contrast: Contrast, rows: list[pd.DataFrame]) -> np.ndarray:
    """(pairs, terms): the value of each term for each (dataset, split, seed) that all terms have.

    Other systems, and networks that were never trained, have one number, which stands beside every seed.
    """
    values = [dict(zip(zip(*(r[c] for c in UNIT), strict=True), r["value"], strict=True)) for r in rows]
    once = [cell["method"] == "pretrained" or cell["method"] not in OURS for _, cell in contrast.terms]
    fixed = [len(v) == 1 and o for v, o in zip(values, once, strict=True)]
    free = [v for v, f in zip(values, fixed, strict=True) if not f] or values[:1]
    units = [u for u in free[0] if all(u in v for v in free)]
    return np.array([
        [next(iter(v.values())) if f else v[u] for v, f in zip(values, fixed, strict=True)] for u in units
    ]).reshape(len(units), len(rows))  # fmt: skip


def _interval(
    contrast: Contrast, rows: list[pd.DataFrame], total: np.ndarray, per_query: PerQuery
) -> tuple[float, float, str]:  # fmt: skip
    """Lower end, upper end and kind of the interval around the mean of ``total``."""
    from scipy.stats import t

    mean, n = float(total.mean()), len(total)
    if n > 1:
        half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * total.std(ddof=1) / math.sqrt(n))
        half = max(half, ROUNDING)
        return mean - half, mean + half, f"90 % t-interval {mean - half:+.3f} ... {mean + half:+.3f}, n = {n}"
    queries = [
        per_query.get((str(r["run"].iloc[0]), str(r["task"].iloc[0]), str(r["representation"].iloc[0])))
        if cell["metric"] == "mAP@all" and cell["classes"] == "all" else None
        for (_, cell), r in zip(contrast.terms, rows, strict=True)
    ]  # fmt: skip
    given = [q for q in queries if q is not None]
    if len(given) == len(queries) and len({len(q) for q in given}) == 1:
        weighted = sum((w * q for (w, _), q in zip(contrast.terms, given, strict=True)), np.zeros(len(given[0])))
        low, high = bootstrap(weighted - contrast.minus)
        low, high = min(low, mean - ROUNDING), max(high, mean + ROUNDING)
        return low, high, f"90 % bootstrap interval over queries {low:+.3f} ... {high:+.3f}, one seed"
    return mean - MARGIN, mean + MARGIN, f"margin {MARGIN}, one seed"


def bootstrap(values: np.ndarray, draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """90 % percentile interval of the mean of ``values`` (Q,), NaN left out: queries drawn with replacement."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    drawn = np.random.default_rng(seed)
    means = [values[drawn.integers(len(values), size=len(values))].mean() for _ in range(draws)]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _verdict(low: float, high: float, bound: float | None) -> str:
    tiny = 1e-9  # 0.365 - 0.360 is not quite 0.005 in binary: on the margin is not beyond it
    if bound is None:
        return HOLDS if low > tiny else FAILS if high < -tiny else CLOSE
    outside = low > bound + tiny or high < -bound - tiny
    return FAILS if outside else HOLDS if low >= -bound - tiny and high <= bound + tiny else CLOSE


def _sides(values: np.ndarray) -> str:
    means = [f"{m:.3f}" for m in values.mean(axis=0)]
    if len(means) == 2:
        return f"{means[0]} against {means[1]}"
    return f"{means[0]}" if len(means) == 1 else f"({means[0]} - {means[1]}) against ({means[2]} - {means[3]})"


def _name(cell: Cell) -> str:
    where = [BACKBONES.get(cell["backbone"], cell["backbone"]), cell["method"], cell["representation"], cell["task"]]
    return " ".join(text for text in where if text)
