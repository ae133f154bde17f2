"""The rule behind a verdict: what a difference between measured numbers has to show to count, and what it showed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .contrasts import Cell, Contrast
from .measured import Measured
from .rows import OURS, UNIT, Queries
from .tables_spec import BACKBONES

HOLDS, FAILS, CLOSE, NOT_RUN = "holds", "does not hold", "too close to call", "not run"
MARGIN = 0.02  # of one seed without per-query values: what another seed or another rounding may well move
PRINTED = 0.005  # of the paper's own single numbers, which are all there is
ROUNDING = 0.0005  # half of the last digit that the paper prints: no smaller difference counts
CONFIDENCE = 0.90
RULE = (
    "Rule: every difference is paired by split and seed. With n >= 2 its 90 % t-interval has to lie above 0 (within "
    "the bound, where one is named) to hold, below 0 (outside) to fail; with n = 1 the same of a 90 % bootstrap "
    "interval over the classes of the queries, or, where there is none, of a margin of 0.02 (0.005 for the paper's own "
    "numbers). Anything else, and any difference below 0.0005, is too close to call. A claim of several differences "
    "holds if all that were run hold, and fails if one fails. Networks that were never trained and other systems have "
    "one number, which stands beside every seed. A verdict with n = 1 speaks of this one training: another seed may "
    "say otherwise. ± is the standard deviation over the pairs."
)
PerQuery = Mapping[tuple[str, str, str], Queries]  # by run, task and representation


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
        contrast.name, _verdict(low, high, bound), mean, low, high, std, n, _sides(values, contrast), how,
        tuple(run for r in rows for run in r["run"]),
    )  # fmt: skip


def _paired(contrast: Contrast, rows: list[pd.DataFrame]) -> np.ndarray:
    """(pairs, terms): the value of each term for each (dataset, split, seed) that all terms have, or each split.

    Other systems, and networks that were never trained, have one number, which stands beside every seed.
    """
    values = [dict(zip(zip(*(r[c] for c in UNIT), strict=True), r["value"], strict=True)) for r in rows]
    once = [cell["method"] == "pretrained" or cell["method"] not in OURS for _, cell in contrast.terms]
    fixed = [len(v) == 1 and o for v, o in zip(values, once, strict=True)]
    free = [v for v, f in zip(values, fixed, strict=True) if not f] or values[:1]
    units = [u for u in free[0] if all(u in v for v in free)]
    paired = pd.DataFrame([
        [next(iter(v.values())) if f else v[u] for v, f in zip(values, fixed, strict=True)] for u in units
    ], columns=range(len(rows)))  # fmt: skip
    if contrast.over_seeds and units:
        paired = paired.groupby(pd.Series([f"{dataset}/{split}" for dataset, split, _ in units]), sort=False).mean()
    return paired.to_numpy(dtype=float)


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
    if drawn := _by_query(contrast, rows, per_query):
        low, high = bootstrap(*drawn)
        low, high = min(low - contrast.minus, mean - ROUNDING), max(high - contrast.minus, mean + ROUNDING)
        return low, high, f"90 % bootstrap interval over classes {low:+.3f} ... {high:+.3f}, one seed"
    margin = MARGIN if any(run for r in rows for run in r["run"]) else PRINTED
    return mean - margin, mean + margin, f"margin {margin}, one seed"


def _by_query(contrast: Contrast, rows: list[pd.DataFrame], per_query: PerQuery) -> list[Queries]:
    """The weighted sum of average precisions for every query, one set of queries a task; none if a term has none."""
    sums: dict[str, Queries] = {}
    for (weight, cell), r in zip(contrast.terms, rows, strict=True):
        task = str(r["task"].iloc[0])
        found = per_query.get((str(r["run"].iloc[0]), task, str(r["representation"].iloc[0])))
        if found is None or cell["metric"] != "mAP@all" or cell["classes"] != "all":
            return []
        before = sums.setdefault(task, Queries(np.zeros(len(found.ap)), found.labels))
        if not np.array_equal(before.labels, found.labels):
            return []
        sums[task] = Queries(before.ap + weight * found.ap, found.labels)
    return list(sums.values())


def bootstrap(*tasks: Queries, level: float = CONFIDENCE) -> tuple[float, float]:
    """Percentile interval of the sum of some tasks' means over queries: classes drawn with replacement.

    A class brings all its queries of all tasks, because queries of one class succeed and fail together; NaN is left
    out. One class alone gives its mean twice.
    """
    from scipy import stats

    classes = np.unique(np.concatenate([t.labels for t in tasks]))
    columns = []  # of each task (C,) the sum over a class's queries and their number
    for ap, labels in tasks:
        there = ~np.isnan(ap)
        of = np.searchsorted(classes, labels[there])
        columns += [np.bincount(of, w, minlength=len(classes)) for w in (ap[there], None)]

    def mean(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        sums = [d.sum(axis=axis) for d in drawn]
        return np.sum([s / np.maximum(n, 1) for s, n in zip(sums[::2], sums[1::2], strict=True)], axis=0)

    if len(classes) == 1:  # scipy asks for two
        return float(mean(*columns)), float(mean(*columns))
    drawn = stats.bootstrap(
        columns, mean, paired=True, vectorized=True, confidence_level=level, method="percentile",
        batch=max(1, 1_000_000 // len(classes)), rng=np.random.default_rng(0),
    )  # fmt: skip
    return float(drawn.confidence_interval.low), float(drawn.confidence_interval.high)


def _verdict(low: float, high: float, bound: float | None) -> str:
    tiny = 1e-9  # 0.365 - 0.360 is not quite 0.005 in binary: on the margin is not beyond it
    if bound is None:
        return HOLDS if low > tiny else FAILS if high < -tiny else CLOSE
    outside = low > bound + tiny or high < -bound - tiny
    return FAILS if outside else HOLDS if low >= -bound - tiny and high <= bound + tiny else CLOSE


def _sides(values: np.ndarray, contrast: Contrast) -> str:
    """The means of the terms as a reader would put them: what should be more, against what should be less."""
    means, weights = [f"{m:.3f}" for m in values.mean(axis=0)], [weight for weight, _ in contrast.terms]
    if len(means) == 1:
        sides = [means[0], f"{contrast.minus * weights[0]:g}"]
        return " against ".join(sides if weights[0] > 0 else sides[::-1])
    factor = "" if weights[len(means) // 2] == -1 else f"{-weights[len(means) // 2]:g} x "
    if len(means) == 2:
        return f"{means[0]} against {factor}{means[1]}"
    return f"({means[0]} - {means[1]}) against {factor}({means[2]} - {means[3]})"


def _name(cell: Cell) -> str:
    where = [BACKBONES.get(cell["backbone"], cell["backbone"]), cell["method"], cell["representation"], cell["task"]]
    return " ".join(text for text in where if text)
