"""REPRODUCING.md from ``results/``: what each item is made from, every claim with its verdicts, what was not run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sized
from pathlib import Path

import pandas as pd

from .. import paths
from ..files import read_json, write_text
from . import report_spec as spec
from .items import ITEMS, TITLES
from .paper_claims import all_claims
from .rows import records, rows_frame
from .status import MISSING, PRESETS, record_file, status
from .tables_text import escape, markdown
from .verdicts import NOT_RUN, RULE
from .verdicts import claims as judged

VERDICTS = ("holds", "does not hold", "too close to call", NOT_RUN)


def write_report(path: Path | None = None) -> Path:
    """Write the report to ``path``, by default ``REPRODUCING.md`` of the checkout; return where it is."""
    path = path or paths.root() / "REPRODUCING.md"
    write_text(path, report())
    return path


def report() -> str:
    """The report as Markdown; the same results give the same text."""
    found = {(item, preset): _claims(item, preset) for item in ITEMS for preset in PRESETS}
    return "\n".join(
        [
            spec.INTRO,
            "## What each item is made from",
            "",
            _items(),
            "",
            "## Verdicts",
            "",
            _counts(found),
            "",
            RULE,
            "",
            *(_item_claims(item, found) for item in ITEMS),
            *(_notes(file) for preset in PRESETS for file in sorted(paths.results(preset).glob("*.md"))),
            "## Known deviations",
            "",
            spec.DEVIATIONS,
            "## What was not run",
            "",
            _not_run(found),
        ]
    )


def _items() -> str:
    rows = [[f"`{i}`", TITLES[i], f"`make {i}`", *(_made_from(i, p) for p in PRESETS)] for i in ITEMS]
    note = "What each took, and on which machine: `sakerepro status --json`, from the JSON beside the results."
    return f"{markdown(['item', 'shows', 'command', *PRESETS], rows, '|<')}\n\n{note}"


def _made_from(item: str, preset: str) -> str:
    if status(item, preset).state == MISSING:
        return NOT_RUN
    record = read_json(record_file(item, preset))
    return f"{_count(record['runs'], 'run')}, {_count(record['seeds'], 'seed')}"


def _claims(item: str, preset: str) -> pd.DataFrame:
    """The verdicts of an item by claim; empty if it was not run."""
    file = paths.results(preset) / f"{item}-claims.csv"
    if not file.is_file():
        return pd.DataFrame(columns=["ours", "n", "verdict", "reason"])
    return pd.read_csv(file, comment="#", keep_default_na=False).set_index("claim")


def _counts(found: Mapping[tuple[str, str], pd.DataFrame]) -> str:
    rows = []
    for preset in PRESETS:
        count, several = Counter[str](), Counter[str]()
        for c in all_claims().values():
            verdict = _verdict(found[c.item, preset], c.id)
            count[verdict] += 1
            several[verdict] += int(found[c.item, preset]["n"].get(c.id, 0)) > 1
        rows.append(
            [
                f"`{preset}`",
                *(f"{count[v]}, {several[v]} of them with n > 1" if several[v] else str(count[v]) for v in VERDICTS),
            ]
        )
    return markdown(["claims", *VERDICTS], rows, "|<")


def _verdict(claims: pd.DataFrame, claim: str) -> str:
    return str(claims["verdict"].get(claim, NOT_RUN))


def _item_claims(item: str, found: Mapping[tuple[str, str], pd.DataFrame]) -> str:
    presets = [p for p in PRESETS if len(found[item, p])]
    rows = [
        [
            f"`{row['claim']}`",
            f"{row['the paper says']} ({row['section']})",
            row["its numbers"],
            *([_shown(found[item, p], row["claim"]) for p in presets] or [NOT_RUN]),
        ]
        for row in records(judged(item, rows_frame([])).frame())
    ]
    heads = [f"`{p}`" for p in presets] or ["ours"]
    notebooks = {p: paths.results(p) / f"{item}.ipynb" for p in presets}
    links = [f"[{p}]({_relative(file)})" for p, file in notebooks.items() if file.is_file() and _relative(file)]
    where = f"Executed notebooks: {', '.join(links)}.\n\n" if links else ""
    return f"### {TITLES[item]}\n\n{where}{markdown(['claim', 'the paper says', 'its numbers', *heads], rows, '|<')}\n"


def _relative(folder: Path) -> str | None:
    return folder.relative_to(paths.root()).as_posix() if folder.is_relative_to(paths.root()) else None


def _shown(claims: pd.DataFrame, claim: str) -> str:
    if claim not in claims.index:
        return NOT_RUN
    verdict, ours, n, reason = (str(claims[column][claim]) for column in ("verdict", "ours", "n", "reason"))
    interval = re.search(r"90 % [^;,]*interval[^;,]*", reason)
    return f"**{verdict}** {ours} ({interval.group() + ', ' if interval else ''}n = {n})" if n != "0" else verdict


def _notes(file: Path) -> str:
    """Notes written by hand beside the results, under their own title; what items write is shown above."""
    if file.name.partition(".")[0].removesuffix("-claims") in ITEMS:
        return ""
    title, _, text = file.read_text(encoding="utf-8").strip().partition("\n")
    return f"## {title.lstrip('# ')}\n{text}\n"


def _not_run(found: Mapping[tuple[str, str], pd.DataFrame]) -> str:
    parts = []
    for preset in PRESETS:
        absent = [item for item in ITEMS if not len(found[item, preset])]
        lines = [f"- `{item}`: the whole item." for item in absent]
        for (_, of), claims in found.items():
            if of == preset and len(claims):
                partly = claims[claims["reason"].str.contains("not run:") | (claims["verdict"] == NOT_RUN)]
                lines += [f"- `{name}`: {escape(row['reason'], '|<')}" for name, row in partly.iterrows()]
        everything = len(absent) == len(ITEMS)
        text = "Nothing was run." if everything else "\n".join(lines) or "Everything was run."
        parts.append(f"### `{preset}`\n\n{text}\n")
    return "\n".join(parts)


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"
