"""Which items are done, stale or missing, by the record beside the results of an item; the board of the index.

An item is stale if its grid needs other runs now, if it is of other versions (``versions.py``), or if its rows or the
code cells of its notebook changed since.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from .. import paths
from ..errors import SakeError
from ..experiment import PRECISION, PRESETS, Experiment
from ..files import read_json, sha256, short_hash, write_json
from ..provenance import memory_gib, provenance, versions
from ..runs import Run
from .committed import CommittedRun, claims_file, record_file, rows_file, saved_claims, saved_record
from .items import ITEMS, experiments
from .notebook import source
from .paper import file_name
from .verdicts import VERDICTS

DONE, STALE, MISSING = "done", "stale", "missing"


@dataclass(frozen=True)
class Status:
    """One item in one preset."""

    item: str
    preset: str
    state: str  # done, stale or missing
    why: str  # the changes since, if stale
    commit: str  # of the checkout that made it
    dirty: bool  # whether that checkout had uncommitted changes
    finished: float  # seconds since 1970; 0 if missing

    @property
    def age(self) -> str:
        """How long ago, in words."""
        seconds = time.time() - self.finished
        for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
            if seconds >= 2 * length:
                return f"{seconds / length:.0f} {unit}"
        return f"{max(seconds, 0):.0f} s"


def number_files(item: str, preset: str) -> dict[str, bytes]:
    """The files of an item's rows, table and claims: a change in them is a changed number."""
    name, folder = file_name(item), paths.results(preset)
    files = [*folder.glob(f"{name}*.csv"), *folder.glob(f"{name}-runs.json")]
    return {file.name: file.read_bytes() for file in sorted(files)}


def write_record(
    item: str,
    preset: str,
    seeds: Sequence[int],
    parameters: Mapping[str, Any],
    runs: Iterable[Run],
    seconds: float,
    **more: Any,
) -> None:
    """Record what an item was made from and what it cost: all that may differ while the numbers are equal.

    ``seconds`` are those of the notebook itself. For a run that is known only by its committed rows, the entry of the
    earlier record is kept.
    """
    earlier = saved_record(item, preset).get("runs", {})
    took = {r.id: earlier.get(r.id, {}) if isinstance(r, CommittedRun) else _took(r) for r in runs}
    record = {
        "item": item,
        "preset": preset,
        "seeds": list(seeds),
        "parameters": dict(parameters),
        "precision": os.environ.get(PRECISION, ""),
        "versions": versions(),
        "notebook": _notebook_digest(item),
        "rows": _rows_digest(item, preset),
        "runs": took,
        "seconds_notebook": round(seconds, 1),
        "memory_gib": memory_gib(),
        "made": provenance(finished=time.time()),
    }
    write_json(record_file(item, preset), record | more)


def status(item: str, preset: str) -> Status:
    """Whether an item is done, and if it is stale why."""
    file = record_file(item, preset)
    if not all(f.is_file() for f in (file, file.with_suffix(".ipynb"), claims_file(item, preset))):
        return Status(item, preset, MISSING, "", "", False, 0.0)
    record = read_json(file)
    try:
        why, made = "; ".join(_changes(record)), record["made"]
        return Status(item, preset, STALE if why else DONE, why, made["commit"], made["dirty"], made["finished"])
    except (KeyError, TypeError, AttributeError):
        return Status(item, preset, STALE, f"{file.name} is of another version", "", False, file.stat().st_mtime)


def all_status(presets: Iterable[str] = PRESETS) -> list[Status]:
    """Every item in every preset, in the order of the paper's tables; then grids of one's own that were made."""
    return [status(item, preset) for preset in presets for item in (*ITEMS, *own_items(preset))]


def own_items(preset: str) -> list[str]:
    """The grids of one's own, as ``module:NAME``, that have left a record."""
    records = (read_json(file) for file in sorted(paths.results(preset).glob("*.json")) if "-" not in file.stem)
    return [r["item"] for r in records if isinstance(r, dict) and ":" in str(r.get("item", ""))]


def _changes(record: Mapping[str, Any]) -> list[str]:
    """The changes since the item was made, in few words."""
    try:
        with paths.variable(PRECISION, record["precision"]):
            now = {e.id for e in experiments(record["item"], record["preset"], record["seeds"])}
    except SakeError:
        return ["settings are refused now"]
    changes = [f"{count} other runs"] if (count := len(now ^ set(record["runs"]))) else []
    then = record["versions"]
    changes += [f"{n} version {then[n]}, now {v}" for n, v in versions().items() if then[n] != v]
    if record["rows"] != _rows_digest(record["item"], record["preset"]):  # such as by a killed `make`
        changes.append("rows changed")
    return changes + (["notebook changed"] if record["notebook"] != _notebook_digest(record["item"]) else [])


def _rows_digest(item: str, preset: str) -> str:
    """12 digits over the file of an item's rows; empty without it."""
    file = rows_file(item, preset)
    return sha256(file)[:12] if file.is_file() else ""


def _notebook_digest(item: str) -> str:
    """12 digits over the notebook's code cells."""
    file = source(item)
    cells = read_json(file)["cells"] if file.is_file() else []
    return short_hash(["".join(c["source"]) for c in cells if c["cell_type"] == "code"])


def _took(run: Run) -> dict[str, Any]:
    """How and on which machine a run was made; the seconds of an interrupted run count all its epochs."""
    origin, history = run.provenance(), run.history()
    epochs = float(history["seconds"].sum()) if "seconds" in history else 0.0
    return {
        "commit": origin["commit"],
        "dirty": origin["dirty"],
        "seconds": round(origin["seconds"] + max(0.0, epochs - origin.get("seconds_training", epochs)), 1),
        "machine": origin["accelerator"] or f"{origin['processor']}, {origin['threads']} threads",
        "memory_gib": origin.get("memory_gib", 0.0),
        "accelerator_memory_gib": origin.get("accelerator_memory_gib", 0.0),
        "disk_gib": round(sum(f["bytes"] for f in origin["files"].values()) / 2**30, 3),
    }


def to_json(statuses: Sequence[Status]) -> list[dict[str, Any]]:
    """For scripts, with the whole record: what each run took, on which machine."""
    records = [{} if s.state == MISSING else saved_record(s.item, s.preset) for s in statuses]
    ages = [s.age if s.finished else None for s in statuses]
    return [{**asdict(s), "age": age, "record": one} for s, age, one in zip(statuses, ages, records, strict=True)]


def status_board(presets: Iterable[str] = PRESETS) -> Styler:
    """Every notebook with its state in each preset and how many of the paper's claims hold there, with links.

    Reads ``results/`` and ``notebooks/``; trains and measures nothing.
    """
    items = list(ITEMS)
    names = sorted(file.stem for file in paths.notebooks().glob("*.ipynb") if file.stem != "00_index")
    names.sort(key=lambda name: items.index(name) if name in items else len(items))
    rows = [{"notebook": _link(f"{n}.ipynb", _title(n)), **{p: _cell(n, p) for p in presets}} for n in names]
    align: list[Any] = [{"selector": "th, td", "props": "text-align: left; vertical-align: top"}]
    return pd.DataFrame(rows, index=names).style.hide(axis="index").set_table_styles(align).set_uuid("board")


def _link(target: str, text: str) -> str:
    return f"<a href='{target}'>{escape(text)}</a>"


def _title(name: str) -> str:
    """The first line of a notebook, its heading; of one without any, its name."""
    cells = read_json(paths.notebooks() / f"{name}.ipynb")["cells"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).split("\n")
    return next((title for line in lines if (title := line.lstrip("# ").strip())), name)


def _cell(name: str, preset: str) -> str:
    if name not in ITEMS:
        return "to use"
    state = status(name, preset)
    if state.state == MISSING:
        return f"not made: make {name}{'' if preset == Experiment.preset else f' PRESET={preset}'}"
    stale = f" (stale: {state.why})" if state.state == STALE else ""
    count = Counter(saved_claims(name, preset)["verdict"])
    verdicts = ", ".join(f"{verdict}: {count[verdict]}" for verdict in VERDICTS if count[verdict])
    return f"{_link(f'../results/{preset}/{name}.ipynb', 'executed')}: {escape(verdicts + stale)}"
