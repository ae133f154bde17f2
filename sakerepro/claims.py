"""Verdicts: what the paper says, what was measured here, and whether it holds, by a rule that is stated with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape

import numpy as np
import pandas as pd

from .claims_spec import Cell, Claim, Contrast, all_claims
from .errors import ConfigError, near_misses
from .measured import Measured, measured
from .rows import COLUMNS, OURS, UNIT, paper_values, rows_frame
from .tables_spec import BACKBONES, TABLES

HOLDS, FAILS, CLOSE, NOT_RUN = "holds", "does not hold", "too close to call", "not run"
MARGIN = 0.005  # of one seed without per-query values, and of the paper's own single numbers
ROUNDING = 0.0005  # half of the last digit that the paper prints: no smaller difference counts
CONFIDENCE = 0.90
RULE = (
    "Rule: every difference is paired by split and seed. With n >= 2 its 90 % t-interval has to lie above 0 (within "
    "the bound, where one is named) to hold, below 0 (outside) to fail; with n = 1 the same of a 90 % bootstrap "
    "interval over the queries, or, where there is none, of a margin of 0.005. Anything else is too close to call. A "
    "claim of several differences holds if all that were run hold, and fails if one fails."
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


@dataclass(frozen=True)
class Verdict:
    """A claim, what decides it here, and what the same rule says of the paper's own numbers."""

    claim: Claim
    verdict: str
    decides: Judged  # the weakest contrast that was run
    judged: tuple[Judged, ...]
    paper: Judged
    paper_verdict: str
    reason: str

    @property
    def line(self) -> str:
        """``table4.cse: holds``; the same text on every machine that finds the same verdict."""
        return f"{self.claim.id}: {self.verdict}"

    @property
    def row(self) -> tuple[str, str, str, str, str, int, str, str]:
        """The columns of :meth:`Verdicts.frame`."""
        c, several = self.claim, len(self.judged) > 1
        theirs = _shown(self.paper, several)
        theirs += f"; by the same rule: {self.paper_verdict}" if theirs else ""
        ours = _shown(self.decides, several)
        return c.id, c.section, c.says, theirs, ours, self.decides.n, self.verdict, self.reason


@dataclass(frozen=True)
class Verdicts:
    """The claims of one item with their verdicts, as text, Markdown, HTML and data frame."""

    item: str
    verdicts: tuple[Verdict, ...]
    label: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        """One line a claim, exact text for comparison."""
        return [v.line for v in self.verdicts]

    def frame(self) -> pd.DataFrame:
        """One row a claim: id, section, what the paper says, its numbers, ours, n, verdict, reason."""
        columns = ["claim", "section", "the paper says", "its numbers", "ours", "n", "verdict", "reason"]
        return pd.DataFrame([v.row for v in self.verdicts], columns=columns)

    def to_text(self) -> str:
        """A short paragraph per claim, for a terminal."""
        parts = [f"Claims of {self.item}", *self.label]
        for row in self.frame().itertuples(index=False):
            _, section, says, theirs, ours, _, _, reason = row
            parts += ["", f"{row.claim}: {str(row.verdict).upper()}", f"  paper ({section}): {says}"]
            parts += [f"  its numbers: {theirs}"] if theirs else []
            parts += [f"  ours: {ours} ({reason})" if ours else f"  {reason}"]
        return "\n".join([*parts, "", RULE])

    def to_markdown(self) -> str:
        """A table in GitHub's Markdown."""
        frame = self.frame()
        rows = [list(frame.columns), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
        lines = ["| " + " | ".join(text.replace("|", "\\|").replace("<", "\\<") for text in row) + " |" for row in rows]
        return "\n\n".join([*self.label, "\n".join(lines), RULE]) + "\n"

    def to_html(self) -> str:
        """An HTML table without ids, the same on every machine."""
        label = "".join(f"<p><em>{escape(line)}</em></p>\n" for line in self.label)
        return f"{label}{self.frame().to_html(index=False, border=0)}\n<p>{escape(RULE)}</p>"

    __str__ = to_text
    __repr__ = to_text
    _repr_html_ = to_html


def claims(
    item: str, frame: pd.DataFrame, *, per_query: PerQuery | None = None,
    setting: Mapping[str, float] | None = None, convention: str = "standard",
) -> Verdicts:
    """Judge every claim of an item by the rows of one preset.

    Args:
        item: ``"table1"`` ... ``"table5"``, ``"splits"``, ``"forgetting"``, ``"figure3"`` ... ``"figure5"``.
        frame: rows, as from :func:`~sakerepro.rows.read_rows`.
        per_query: average precision per query of runs, for the case of one seed; see ``RULE``.
        setting, convention: as in :func:`~sakerepro.comparison.comparison`.

    Raises:
        ConfigError: for an unknown item, mixed presets or ambiguous rows.
    """  # fmt: skip
    chosen = [c for c in _all().values() if c.item == item]
    if not chosen:
        items = tuple(dict.fromkeys(c.item for c in _all().values()))
        raise ConfigError(f"There are no claims of {item!r}. {near_misses(item, items)}")
    varies = TABLES[item].varies if item in TABLES else ()
    cells = pd.DataFrame([cell for claim in chosen for contrast in claim.contrasts for _, cell in contrast.terms])
    ask = measured(frame, cells, varies=varies, setting=setting, convention=convention)
    paper = measured(_paper_rows(), cells, varies=varies)
    verdicts = tuple(judge(claim, ask, paper, varies, per_query or {}) for claim in chosen)
    used = {run for v in verdicts for j in v.judged for run in j.runs}
    return Verdicts(item, verdicts, ask.label(ask.frame[ask.frame["run"].isin(used)], convention))


def verdict_lines(item: str, frame: pd.DataFrame) -> list[str]:
    """``["table4.cse: holds", ...]``."""
    return claims(item, frame).lines


@cache
def _all() -> dict[str, Claim]:
    return all_claims()


@cache
def _paper_rows() -> pd.DataFrame:
    """The paper's own numbers as if they were one seed of ours."""
    numbers = paper_values().dropna(subset=["value"])
    numbers = numbers.assign(preset="paper", variant="", convention="standard", seed=0, run="", commit="", dirty=False)
    return pd.concat([rows_frame([]), numbers[list(COLUMNS)].drop_duplicates()])


def judge(claim: Claim, ask: Measured, paper: Measured, varies: tuple[str, ...], per_query: PerQuery) -> Verdict:
    """Apply the rule to one claim, on our numbers and on the paper's own."""
    if claim.absolute and ask.preset != "paper":
        judged = tuple(Judged(c.name, NOT_RUN, how="the paper's figures are of other data") for c in claim.contrasts)
    else:
        judged = tuple(_judge(c, claim.bound, ask, paper, varies, per_query) for c in claim.contrasts)
    theirs = () if claim.absolute else tuple(_judge(c, claim.bound, paper, paper, varies, {}) for c in claim.contrasts)
    run, verdict = [j for j in judged if j.n], _together(judged)
    decides = _weakest(run, claim.bound) if run else judged[0]
    reasons = [decides.how] if run else list(dict.fromkeys(j.how for j in judged if j.how))
    if len(run) > 1:
        reasons.insert(0, f"the weakest of {len(run)}")
    if missing := list(dict.fromkeys(name for j in judged for name in j.missing)):
        reasons.append(f"not run: {_few(missing)}")
    known = [j for j in theirs if j.n]
    shown = _weakest(known, claim.bound) if known else Judged("", NOT_RUN)
    return Verdict(claim, verdict, decides, judged, shown, _together(theirs), "; ".join(reasons))


def _few(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _together(judged: tuple[Judged, ...]) -> str:
    found = {j.verdict for j in judged if j.n}
    return next((v for v in (FAILS, CLOSE, HOLDS) if v in found), NOT_RUN)


def _weakest(judged: list[Judged], bound: float | None) -> Judged:
    """The contrast that speaks least for the claim, of the worst verdict."""
    worst = [j for j in judged if j.verdict == _together(tuple(judged))]
    return min(worst, key=lambda j: j.low if bound is None else -abs(j.mean))


def _judge(
    contrast: Contrast, bound: float | None, ask: Measured, paper: Measured, varies: tuple[str, ...],
    per_query: PerQuery,
) -> Judged:  # fmt: skip
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


def _shown(judged: Judged, named: bool) -> str:
    if not judged.n:
        return ""
    spread = f" ± {judged.std:.3f}" if judged.n > 1 else ""
    return f"{judged.name + ': ' if named else ''}{judged.sides}, {judged.mean:+.3f}{spread}"
