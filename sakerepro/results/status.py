"""Which items are done, stale or missing, by the record that an item leaves beside its results.

An item is stale if its grid needs other runs now, if it was made by other versions (``versions.py``), or if the code
cells of its notebook changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .. import paths
from ..errors import SakeError
from ..experiment import PRECISION, PRESETS
from ..files import read_json, short_hash, write_json
from ..provenance import memory_gib, provenance, versions
from ..runs import Run
from .committed import CommittedRun, claims_file, record_file, saved_record
from .items import ITEMS, experiments
from .notebook import source
from .paper import file_name

DONE, STALE, MISSING = "done", "stale", "missing"


@dataclass(frozen=True)
class Status:
    """One item in one preset."""

    item: str
    preset: str
    state: str  # done, stale or missing
    why: str  # what changed since, for a stale one
    commit: str  # of the checkout that made it
    dirty: bool  # whether that had changes that were not committed
    finished: float  # seconds since 1970; 0 for a missing one

    @property
    def age(self) -> str:
        """How long ago, in words."""
        seconds = time.time() - self.finished
        for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
            if seconds >= 2 * length:
                return f"{seconds / length:.0f} {unit}"
        return f"{max(seconds, 0):.0f} s"


def number_files(item: str, preset: str) -> dict[str, bytes]:
    """The files of an item's rows, table and claims, to tell whether making it again changed a number."""
    name, folder = file_name(item), paths.results(preset)
    found = [*folder.glob(f"{name}*.csv"), *folder.glob(f"{name}-runs.json")]
    return {file.name: file.read_bytes() for file in sorted(found)}


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

    ``seconds`` are those of the notebook itself. Of a run that is known by its committed rows, what the earlier record
    says stays.
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
    """What changed since the item was made, in few words."""
    try:
        with paths.variable(PRECISION, record["precision"]):
            now = {e.id for e in experiments(record["item"], record["preset"], record["seeds"])}
    except SakeError:
        return ["settings are refused now"]
    found, then = [f"{other} other runs"] if (other := len(now ^ set(record["runs"]))) else [], record["versions"]
    found += [f"{n} version {then[n]}, now {v}" for n, v in versions().items() if then[n] != v]
    return found + (["notebook changed"] if record["notebook"] != _notebook_digest(record["item"]) else [])


def _notebook_digest(item: str) -> str:
    """12 digits over the notebook's code cells."""
    file = source(item)
    cells = read_json(file)["cells"] if file.is_file() else []
    return short_hash(["".join(c["source"]) for c in cells if c["cell_type"] == "code"])


def _took(run: Run) -> dict[str, Any]:
    """How and on which machine a run was made. An interrupted run has times of its last sitting and of every epoch."""
    made, history = run.provenance(), run.history()
    epochs = float(history["seconds"].sum()) if "seconds" in history else 0.0
    return {
        "commit": made["commit"],
        "dirty": made["dirty"],
        "seconds": round(made["seconds"] + max(0.0, epochs - made.get("seconds_training", epochs)), 1),
        "machine": made["accelerator"] or f"{made['processor']}, {made['threads']} threads",
        "memory_gib": made.get("memory_gib", 0.0),
        "accelerator_memory_gib": made.get("accelerator_memory_gib", 0.0),
        "disk_gib": round(sum(f["bytes"] for f in made["files"].values()) / 2**30, 3),
    }


def to_json(found: Iterable[Status]) -> list[dict[str, Any]]:
    """For scripts, with the whole record: what each run took, on which machine."""

    def record(s: Status) -> dict[str, Any]:
        return {} if s.state == MISSING else read_json(record_file(s.item, s.preset))

    return [{**asdict(s), "age": s.age if s.finished else None, "record": record(s)} for s in found]
