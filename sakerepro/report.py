"""REPRODUCING.md, made from ``results/``: what each item takes, every claim with its verdicts, what was not run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from . import paths
from . import report_spec as spec
from .claims import claims as judged
from .claims_spec import all_claims
from .experiment import Experiment
from .files import read_json, write_text
from .items import ITEMS, TITLES, experiments
from .judging import NOT_RUN, RULE
from .rows import records, rows_frame
from .status import MISSING, PRESETS, all_status, record_file, status

VERDICTS = ("holds", "does not hold", "too close to call", NOT_RUN)


def write_report(path: Path | None = None) -> Path:
    """Write the report to ``path``, by default ``REPRODUCING.md`` of the checkout; return where it is."""
    path = path or paths.root() / "REPRODUCING.md"
    write_text(path, report())
    return path


def report() -> str:
    """The report as Markdown; the same results give the same text."""
    found = {(item, preset): _claims(item, preset) for item in ITEMS for preset in PRESETS}
    return "\n".join([
        spec.INTRO, "## What each item takes", "", _items(), "", "## Verdicts", "", _counts(found), "", RULE, "",
        *(_item_claims(item, found) for item in ITEMS),
        *(_notes(file) for preset in PRESETS for file in sorted(paths.results(preset).glob("*.md"))),
        "## Known deviations", "", spec.DEVIATIONS, "## What was not run", "", _not_run(found),
    ])  # fmt: skip


def _items() -> str:
    head = ["item", "shows", "command", "mini", "small", "paper"]
    rows = [[f"`{i}`", TITLES[i], f"`make {i}`", *(_took(i, p) for p in PRESETS)] for i in ITEMS]
    rows.append(["all", "shared runs once", "`make all`", *(_all_took(p) for p in PRESETS)])
    return _table(head, rows) + (
        "\n\nTime is that of all runs of an item, trained one after the other from nothing, and of its notebook. "
        "Estimates are for one H100-class card and one seed; nothing of them was measured: "
        f"{spec.IMAGES_PER_SECOND} images a second in training, {_gib(sum(spec.PACKED_GIB.values()))} of disk for "
        f"decoded images, {_gib(spec.PROBE_GIB)} more for `forgetting`, {_gib(spec.MAIN_MEMORY_GIB)} of main memory, "
        f"{_gib(spec.GPU_MEMORY_GIB)} on the card."
    ) + _repeated()


def _repeated() -> str:
    """Where numbers rest on runs that were made again after code had changed (`sakerepro repeat`)."""
    notes = [f"- `{s.item}`, `{s.preset}`: {s.note}" for s in all_status() if s.note]
    head = "Runs of earlier code, and what shows that the code of now gives the same numbers (`sakerepro repeat`):"
    return "\n\n".join(["", head, "\n".join(notes)]) if notes else ""


def _record(item: str, preset: str) -> dict[str, Any] | None:
    return read_json(record_file(item, preset)) if status(item, preset).state != MISSING else None


def _took(item: str, preset: str) -> str:
    if (record := _record(item, preset)) is None:
        return _estimate([item]) if preset == "paper" else "not run"
    seconds = sum(r["seconds"] for r in record["runs"].values()) + record["seconds_teachers"]
    card = f" + {_gib(record['accelerator_memory_gib'])} on the card" if record["accelerator_memory_gib"] else ""
    return (
        f"{_time(seconds + record['seconds_notebook'])}, {_gib(record['memory_gib'])} of memory{card}, "
        f"{_gib(record['disk_gib'])} of disk; {len(record['runs'])} runs, {_count(record['seeds'], 'seed')}, "
        f"on {', '.join(record['machines'])}"
    )


def _all_took(preset: str) -> str:
    records = [r for item in ITEMS if (r := _record(item, preset))]
    if not records:
        return _estimate(ITEMS) if preset == "paper" else "not run"
    runs = {name: run["seconds"] for record in records for name, run in record["runs"].items()}
    seconds = sum(runs.values()) + max(r["seconds_teachers"] for r in records)
    seconds += sum(r["seconds_notebook"] for r in records)
    return f"{_time(seconds)}; {len(runs)} runs ({len(records)} of {len(ITEMS)} items)"


def _estimate(items: Iterable[str]) -> str:
    wanted = {e for item in items for e in experiments(item, "paper")}
    seconds = sum(spec.EVALUATION_SECONDS + e.epochs * _epoch_seconds(e) for e in wanted)
    seconds += spec.PROBE_SECONDS * len(experiments("forgetting", "paper")) * ("forgetting" in items)
    disk = sum(spec.WEIGHTS_GIB + spec.EMBEDDED[e.dataset] * e.dim * 4 / 2**30 for e in wanted)
    return f"not run; estimate: {_time(seconds)}, {_gib(disk)} of disk for {len(wanted)} runs"


def _epoch_seconds(e: Experiment) -> float:
    return spec.IMAGES_PER_EPOCH[e.dataset] / spec.IMAGES_PER_SECOND


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
        rows.append([f"`{preset}`", *(f"{count[v]}, {several[v]} of them with n > 1" if several[v] else str(count[v])
                                      for v in VERDICTS)])  # fmt: skip
    return _table(["claims", *VERDICTS], rows)


def _verdict(claims: pd.DataFrame, claim: str) -> str:
    return str(claims["verdict"].get(claim, NOT_RUN))


def _item_claims(item: str, found: Mapping[tuple[str, str], pd.DataFrame]) -> str:
    presets = [p for p in PRESETS if len(found[item, p])]
    rows = [
        [f"`{row['claim']}`", f"{row['the paper says']} ({row['section']})", row["its numbers"],
         *([_shown(found[item, p], row["claim"]) for p in presets] or [NOT_RUN])]
        for row in records(judged(item, rows_frame([])).frame())
    ]  # fmt: skip
    heads = [f"`{p}`" for p in presets] or ["ours"]
    links = [
        f"[{p}]({base}/{item}.ipynb)" for p in presets if (base := _relative(paths.results(p))) is not None
    ]  # fmt: skip
    where = f"Executed notebooks: {', '.join(links)}.\n\n" if links else ""
    return f"### {TITLES[item]}\n\n{where}{_table(['claim', 'the paper says', 'its numbers', *heads], rows)}\n"


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
                lines += [f"- `{name}`: {_escape(row['reason'])}" for name, row in partly.iterrows()]
        everything = len(absent) == len(ITEMS)
        text = "Nothing was run." if everything else "\n".join(lines) or "Everything was run."
        parts.append(f"### `{preset}`\n\n{text}\n")
    return "\n".join(parts)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_escape(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _escape(text: str) -> str:
    return str(text).replace("|", "\\|").replace("<", "\\<").replace("\n", " ")


def _time(seconds: float) -> str:
    for unit, length in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.{0 if seconds >= 10 * length else 1}f} {unit}"
    return f"{seconds:.0f} s"


def _gib(amount: float) -> str:
    return f"{amount:.0f} GiB" if amount >= 10 else f"{amount:.1f} GiB" if amount >= 0.1 else f"{amount * 1024:.0f} MiB"


def _count(things: list[Any], noun: str) -> str:
    return f"{len(things)} {noun}{'s' * (len(things) != 1)}"
