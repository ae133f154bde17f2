"""Verdicts: the paper's claim, the numbers measured here, and whether the claim holds by a stated rule."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..experiment import stand_ins
from ..paths import package_data
from .grids import OTHER_SYSTEMS, Contrast, Point, Selection, Unit, identity, shown
from .paper import all_printed, grids_of
from .paper_claims import Claim, all_claims
from .rows import Queries
from .tables import Measured, Number
from .tables_text import Saved, csv, markdown

COLUMNS = ["claim", "section", "the paper says", "its numbers", "ours", "n", "verdict", "reason"]
VERDICTS = HOLDS, FAILS, CLOSE, NOT_RUN = "holds", "does not hold", "too close to call", "not run"
MARGIN = 0.02  # for one seed: over the seeds of ``small``, the median s.d. of a difference is 0.011
PRINTED = 0.005  # for the paper's own numbers, which are single
ROUNDING = 0.0005  # half of the last digit that the paper prints: no smaller difference counts
CONFIDENCE = 0.90
RULE = " ".join(package_data("verdict_rule.txt").read_text(encoding="utf-8").split())
PerQuery = Mapping[tuple[str, str, str], Queries]  # by run, task and representation


class Cells(NamedTuple):
    """The values of one term of a contrast."""

    weight: float
    selection: Selection
    values: dict[Unit, float]  # by the axes that the selection leaves open, and the seed
    numbers: dict[Unit, Number]  # those of the values that are ours, with their experiments
    once: bool  # a single number that no training seed changes, paired with every seed


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
    how: str = ""  # the kind of interval, or the reason for its absence
    cells: tuple[Cells, ...] = ()
    missing: tuple[str, ...] = ()  # the cells that were not run

    def shown(self, named: bool) -> str:
        """Its numbers, after its name if wanted; empty if it was not run."""
        spread = f" ± {self.std:.3f}" if self.n > 1 else ""
        return f"{self.name + ': ' if named else ''}{self.sides}, {self.mean:+.3f}{spread}" if self.n else ""


@dataclass(frozen=True)
class Verdict:
    """A claim, its contrasts judged on our numbers, and the verdict of the same rule on the paper's own numbers."""

    claim: Claim
    decides: Judged  # the weakest contrast that was run
    judged: tuple[Judged, ...]
    paper: Judged
    reason: str

    @property
    def verdict(self) -> str:
        """One of ``VERDICTS``."""
        return self.decides.verdict

    @property
    def row(self) -> dict[str, Any]:
        """The row of :meth:`Verdicts.frame`."""
        printed, ours = (j.shown(named=len(self.judged) > 1) for j in (self.paper, self.decides))
        printed += f"; by the same rule: {self.paper.verdict}" if printed else ""
        says = (self.claim.id, self.claim.section, self.claim.says, printed)
        return dict(zip(COLUMNS, (*says, ours, self.decides.n, self.verdict, self.reason), strict=True))


@dataclass(frozen=True, repr=False)
class Verdicts(Saved):
    """The claims of one item with their verdicts, as text, Markdown, HTML and data frame."""

    item: str
    verdicts: tuple[Verdict, ...]
    label: tuple[str, ...]
    ending = "-claims"

    def frame(self) -> pd.DataFrame:
        """One row a claim: id, section, what the paper says, its numbers, ours, n, verdict, reason."""
        return pd.DataFrame([v.row for v in self.verdicts], columns=COLUMNS)

    def __repr__(self) -> str:
        """A short paragraph per claim, for a terminal."""
        parts = [f"Claims of {self.item}", *self.label]
        for v in self.verdicts:
            row = v.row
            parts += ["", f"{row['claim']}: {v.verdict.upper()}", f"  paper ({row['section']}): {v.claim.says}"]
            parts += [f"  its numbers: {row['its numbers']}"] if row["its numbers"] else []
            parts += [f"  ours: {row['ours']} ({v.reason})" if row["ours"] else f"  {v.reason}"]
        return "\n".join([*parts, "", RULE])

    def _repr_html_(self) -> str:
        """An HTML table without ids, the same on every machine."""
        label = "".join(f"<p><em>{escape(line)}</em></p>\n" for line in self.label)
        table = self.frame().to_html(index=False, border=0, justify="left")
        table = table.replace("<td>", '<td style="text-align: left">')  # prose; notebooks set cells to the right
        return f"{label}{table}\n<p>{escape(RULE)}</p>"

    def texts(self) -> dict[str, str]:
        """The content of ``<item>-claims.csv`` and ``.md``."""
        table = markdown(COLUMNS, (v.row.values() for v in self.verdicts))
        return {"csv": csv(self.label, self.frame()), "md": "\n\n".join([*self.label, table, RULE]) + "\n"}


def claims(item: str, frame: pd.DataFrame, *, per_query: PerQuery | None = None) -> Verdicts:
    """Judge every claim of an item by the rows of one preset; a grid of one's own has none.

    Args:
        per_query: average precision per query of runs, for the case of one seed; see ``RULE``.

    Raises:
        ConfigError: for an unknown item, mixed presets, or two values for one cell.
    """
    grids_of(item)  # refuses an unknown one
    measured, as_printed = Measured(frame), Measured(frame, "sake", "standard")
    verdicts = tuple(
        judge(c, as_printed if c.judged == "as printed" else measured, per_query or {})
        for c in all_claims().values()
        if c.item == item
    )
    terms = (c for v in verdicts for j in v.judged for c in j.cells)
    used = ((c.selection.point, c.selection.key, [*c.numbers.values()]) for c in terms)
    return Verdicts(item, verdicts, measured.label(used))


def _cells(weight: float, selection: Selection, measured: Measured | None) -> Cells:
    """The values of a term: ours; without ``measured``, or if the method has only the paper's, those of the paper."""
    numbers: dict[Unit, Number] = {}
    printed: dict[Unit, float] = {}
    for unit, point in selection.points():
        ours = measured.numbers(point) if measured else []
        numbers |= {(*unit, n.experiment.seed): n for n in ours}
        paper_counts = measured is None or (stand_ins(measured.preset).papers and point["method"] in OTHER_SYSTEMS)
        if paper_counts and not ours and identity(point) in all_printed():
            printed[(*unit, 0)] = all_printed()[identity(point)]
    values = printed | {unit: n.value for unit, n in numbers.items()}
    once = len(values) == 1 and all(n.experiment.epochs == 0 for n in numbers.values())
    return Cells(weight, selection, values, numbers, once)


def judge_contrast(contrast: Contrast, measured: Measured | None, per_query: PerQuery, by_set: bool = False) -> Judged:
    """Apply the rule to one contrast, on our rows, or on the paper's own numbers if ``measured`` is None.

    On the paper's data, its numbers replace those of methods that were not run. With ``by_set`` the pairs are the data
    sets, each with its mean over the seeds.
    """
    cells = [_cells(weight, selection, measured) for weight, selection in contrast.sum.terms]
    if missing := tuple(_name(c.selection.key) for c in cells if not c.values):
        return Judged(contrast.name, NOT_RUN, missing=missing)
    values = _paired(cells, by_set)
    if not len(values):
        return Judged(contrast.name, NOT_RUN, how="no split and seed in common")
    total = values @ [c.weight for c in cells] - contrast.sum.minus
    std = float(total.std(ddof=1)) if len(total) > 1 else math.nan
    low, high, how = _interval(contrast, cells, total, per_query)
    verdict, sides = _verdict(low, high, contrast.bound), _sides(values, contrast)
    return Judged(contrast.name, verdict, float(total.mean()), low, high, std, len(total), sides, how, tuple(cells))


def _paired(cells: list[Cells], by_set: bool) -> np.ndarray:
    """(pairs, terms): the value of each term for each unit that all terms have."""
    by_seed = [c.values for c in cells if not c.once] or [cells[0].values]
    units = [u for u in by_seed[0] if all(u in v for v in by_seed)]
    rows = [[next(iter(c.values.values())) if c.once else c.values[u] for c in cells] for u in units]
    paired = pd.DataFrame(rows, columns=range(len(cells)), dtype=float)
    return (paired.groupby([str(u[:-1]) for u in units], sort=False).mean() if by_set and units else paired).to_numpy()


def t_interval(differences: np.ndarray) -> tuple[float, float]:
    """Ends of the 90 % t-interval around the mean of at least two differences, at least ``ROUNDING`` from the mean."""
    from scipy.stats import t

    mean, n = float(differences.mean()), len(differences)
    half = max(ROUNDING, float(t.ppf((1 + CONFIDENCE) / 2, n - 1) * differences.std(ddof=1) / math.sqrt(n)))
    return mean - half, mean + half


def _interval(
    contrast: Contrast, cells: list[Cells], total: np.ndarray, per_query: PerQuery
) -> tuple[float, float, str]:
    """Lower end, upper end and kind of the interval around the mean of ``total``."""
    mean, n, minus = float(total.mean()), len(total), contrast.sum.minus
    if n > 1:
        low, high = t_interval(total)
        return low, high, f"90 % t-interval {low:+.3f} ... {high:+.3f}, n = {n}"
    margin = MARGIN if any(c.numbers for c in cells) else PRINTED
    low, high = mean - margin, mean + margin
    if drawn := _by_query(cells, per_query):
        ends = [end - minus for end in bootstrap(*drawn)]
        low, high = min(low, ends[0]), max(high, ends[1])
        return low, high, f"{low:+.3f} ... {high:+.3f}: 90 % bootstrap interval over classes and ± {margin}, one seed"
    return low, high, f"margin {margin}, one seed"


def _by_query(cells: list[Cells], per_query: PerQuery) -> list[Queries]:
    """The weighted sum of average precisions for every query, one set of queries a task; none if a term has none."""
    sums: dict[str, Queries] = {}
    for c in cells:
        number, point = next(iter(c.numbers.values()), None), c.selection.point
        if number is None or point["metric"] != "mAP@all" or point["classes"] != "all":
            return []
        task = point["task"]
        queries = per_query.get((number.experiment.id, task, number.representation))
        before = sums.get(task, queries)
        if queries is None or before is None or not np.array_equal(before.labels, queries.labels):
            return []
        ap = c.weight * queries.ap
        sums[task] = Queries(before.ap + ap if task in sums else ap, queries.labels)
    return list(sums.values())


def bootstrap(*tasks: Queries, level: float = CONFIDENCE) -> tuple[float, float]:
    """Percentile bootstrap interval of the sum of some tasks' means over queries: classes are drawn with replacement.

    A drawn class brings all its queries of all tasks, because queries of one class succeed and fail together. NaN is
    left out. A single class gives its mean as both ends.
    """
    from scipy import stats

    classes = np.unique(np.concatenate([t.labels for t in tasks]))
    columns = []  # for each task, (C,) sums over the queries of a class and (C,) their numbers
    for ap, labels in tasks:
        finite = ~np.isnan(ap)
        positions = np.searchsorted(classes, labels[finite])
        columns += [np.bincount(positions, w, minlength=len(classes)) for w in (ap[finite], None)]

    def mean(*drawn: np.ndarray, axis: int = -1) -> np.ndarray:
        sums = [d.sum(axis=axis) for d in drawn]
        return np.sum([s / np.maximum(n, 1) for s, n in zip(sums[::2], sums[1::2], strict=True)], axis=0)

    if len(classes) == 1:  # scipy asks for two
        return float(mean(*columns)), float(mean(*columns))
    how: dict[str, Any] = {"paired": True, "vectorized": True, "method": "percentile", "confidence_level": level}
    batch, rng = max(1, 1_000_000 // len(classes)), np.random.default_rng(0)
    interval = stats.bootstrap(columns, mean, batch=batch, rng=rng, **how).confidence_interval
    return float(interval.low), float(interval.high)


def _verdict(low: float, high: float, bound: float | None) -> str:
    tiny = 1e-9  # 0.365 - 0.360 is not quite 0.005 in binary; a value on the margin is not beyond it
    if bound is None:
        return HOLDS if low > tiny else FAILS if high < -tiny else CLOSE
    outside = low > bound + tiny or high < -bound - tiny
    return FAILS if outside else HOLDS if low >= -bound - tiny and high <= bound + tiny else CLOSE


def _sides(values: np.ndarray, contrast: Contrast) -> str:
    """The means of the terms in words: the side that should be larger against the other."""
    means, weights = [f"{m:.3f}" for m in values.mean(axis=0)], [weight for weight, _ in contrast.sum.terms]
    if len(means) == 1:
        sides = [means[0], f"{contrast.sum.minus * weights[0]:g}"]
        return " against ".join(sides if weights[0] > 0 else sides[::-1])
    factor = "" if weights[len(means) // 2] == -1 else f"{-weights[len(means) // 2]:g} x "
    if len(means) == 2:
        return f"{means[0]} against {factor}{means[1]}"
    return f"({means[0]} - {means[1]}) against {factor}({means[2]} - {means[3]})"


def _name(words: Point) -> str:
    return " ".join(filter(None, (shown(k, words[k]) for k in ("backbone", "method", "representation", "task"))))


def judge(claim: Claim, measured: Measured, per_query: PerQuery) -> Verdict:
    """Apply the rule to one claim, on our numbers and on the paper's own."""
    as_printed, by_set, bound = claim.judged == "as printed", claim.judged == "by set", claim.contrasts[0].bound
    if as_printed and not stand_ins(measured.preset).papers:
        judged = tuple(Judged(c.name, NOT_RUN, how="the paper's figures are of other data") for c in claim.contrasts)
    else:
        judged = tuple(judge_contrast(c, measured, per_query, by_set) for c in claim.contrasts)
    printed = () if as_printed else tuple(judge_contrast(c, None, {}, by_set) for c in claim.contrasts)
    decides = _weakest(judged, bound)
    run = [j for j in judged if j.n]
    reasons = [f"the weakest of {len(run)}"] if len(run) > 1 else []
    reasons += [decides.how] if run else dict.fromkeys(j.how for j in judged if j.how)
    reasons += [f"bound {bound:g}"] if run and bound is not None else []
    if missing := list(dict.fromkeys(name for j in judged for name in j.missing)):
        more = f" and {len(missing) - 6} more" if len(missing) > 6 else ""
        reasons.append(f"not run: {', '.join(missing[:6])}{more}")
    paper = _weakest(printed, bound)
    return Verdict(claim, decides, judged, paper, "; ".join(reasons))


def _weakest(judged: tuple[Judged, ...], bound: float | None) -> Judged:
    """The weakest contrast among those with the worst verdict; its verdict is the claim's."""
    worst = next((w for v in (FAILS, CLOSE, HOLDS) if (w := [j for j in judged if j.verdict == v])), [])
    return min(worst, key=lambda j: j.low if bound is None else -abs(j.mean), default=Judged("", NOT_RUN))
