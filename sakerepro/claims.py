"""Verdicts: what the paper says, what was measured here, and whether it holds, by a rule that is stated with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

import pandas as pd

from . import files
from .claims_spec import all_claims
from .contrasts import Claim
from .errors import ConfigError, near_misses
from .judging import CLOSE, FAILS, HOLDS, NOT_RUN, RULE, Judged, PerQuery, judge_contrast
from .measured import Measured, measured
from .rows import COLUMNS, paper_values, rows_frame
from .tables_spec import TABLES
from .tables_text import markdown


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
        table = markdown(list(self.frame().columns), self.frame().to_numpy().tolist(), "|<")
        return "\n\n".join([*self.label, table, RULE]) + "\n"

    def to_html(self) -> str:
        """An HTML table without ids, the same on every machine."""
        label = "".join(f"<p><em>{escape(line)}</em></p>\n" for line in self.label)
        return f"{label}{self.frame().to_html(index=False, border=0)}\n<p>{escape(RULE)}</p>"

    def save(self, folder: Path) -> list[Path]:
        """Write ``<item>-claims.csv`` and ``.md`` into ``folder``; return their paths."""
        label = "".join(f"# {line}\n" for line in self.label)
        texts = {"csv": label + self.frame().to_csv(index=False, lineterminator="\n"), "md": self.to_markdown()}
        for suffix, text in texts.items():
            files.write_text(Path(folder) / f"{self.item}-claims.{suffix}", text)
        return [Path(folder) / f"{self.item}-claims.{suffix}" for suffix in texts]

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
    printed = measured(_as_printed(frame), cells, varies=varies, setting=setting)
    paper = measured(_paper_rows(), cells, varies=varies)
    verdicts = tuple(
        judge(claim, printed if claim.absolute else ask, paper, varies, per_query or {}) for claim in chosen
    )
    used = {run for v in verdicts for j in v.judged for run in j.runs}
    return Verdicts(item, verdicts, ask.label(ask.frame[ask.frame["run"].isin(used)], convention))


def _as_printed(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows by the official code's convention, as the paper's figures are; what has no such twin stays."""
    same = frame[[c for c in COLUMNS if c not in ("value", "convention")]]
    keys = pd.Series([str(tuple(row)) for row in same.itertuples(index=False)], index=frame.index, dtype=str)
    official = frame["convention"] == "sake"
    kept = frame[official | ~keys.isin(set(keys[official]))]
    return kept.assign(convention="standard")


@cache
def _all() -> dict[str, Claim]:
    return all_claims()


@cache
def _paper_rows() -> pd.DataFrame:
    """The paper's own numbers as if they were one seed of ours."""
    numbers = paper_values().dropna(subset=["value"])
    numbers = numbers.assign(preset="paper", variant="", convention="standard", seed=0, run="", training=0, measuring=0)
    return pd.concat([rows_frame([]), numbers[list(COLUMNS)].drop_duplicates()])


def judge(claim: Claim, ask: Measured, paper: Measured, varies: tuple[str, ...], per_query: PerQuery) -> Verdict:
    """Apply the rule to one claim, on our numbers and on the paper's own."""
    if claim.absolute and ask.preset != "paper":
        judged = tuple(Judged(c.name, NOT_RUN, how="the paper's figures are of other data") for c in claim.contrasts)
    else:
        judged = tuple(judge_contrast(c, claim.bound, ask, paper, varies, per_query) for c in claim.contrasts)
    known_to_paper = () if claim.absolute else claim.contrasts
    theirs = tuple(judge_contrast(c, claim.bound, paper, paper, varies, {}) for c in known_to_paper)
    run, verdict = [j for j in judged if j.n], _together(judged)
    decides = _weakest(run, claim.bound) if run else judged[0]
    reasons = [decides.how] if run else list(dict.fromkeys(j.how for j in judged if j.how))
    if len(run) > 1:
        reasons.insert(0, f"the weakest of {len(run)}")
    if run and claim.bound is not None:
        reasons.append(f"bound {claim.bound:g}")
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


def _shown(judged: Judged, named: bool) -> str:
    if not judged.n:
        return ""
    spread = f" ± {judged.std:.3f}" if judged.n > 1 else ""
    return f"{judged.name + ': ' if named else ''}{judged.sides}, {judged.mean:+.3f}{spread}"
