"""Which items are done, stale or missing, and what each took, by the record that an item leaves beside its results.

The record names the runs with the code that made them, so that a checkout with results and no runs can tell as well.
Where training code has changed since, a run that `sakerepro repeat` made again by the code of now, to the last bit,
speaks for the runs of its kind (preset, backbone, objective) that the same earlier code had trained and the code of now
has measured: the item stays done, and says so. A kind does not tell splits, lengths of embedding or schedules apart:
whoever changes what only some of them use repeats one of those. Where measuring code has changed since, and was shown
to change no number (:mod:`.alike`), the runs count as measured by that of now.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import alike, paths
from .errors import SakeError
from .experiment import PRECISION
from .files import read_json, short_hash, write_json
from .items import ITEMS, experiments
from .provenance import code_parts, memory_gib, provenance
from .remeasure import measuring_parts
from .repeat import differed
from .runs import Run

PRESETS = ("mini", "small", "paper")
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
    note: str = ""  # on what repeats a done one rests

    @property
    def age(self) -> str:
        """How long ago, in words."""
        seconds = time.time() - self.finished
        for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
            if seconds >= 2 * length:
                return f"{seconds / length:.0f} {unit}"
        return f"{max(seconds, 0):.0f} s"


def record_file(item: str, preset: str) -> Path:
    """``results/<preset>/<item>.json``."""
    return paths.results(preset) / f"{item}.json"


def write_record(
    item: str, preset: str, seeds: Sequence[int], parameters: Mapping[str, Any], runs: Iterable[Run], seconds: float
) -> None:
    """Note what an item was made from and what it took.

    Args:
        parameters: of the notebook, beside preset and seeds.
        seconds: of the notebook itself; those of the runs are in the runs.
    """
    runs = list(runs)
    made, seconds_of = {run.id: run.provenance() for run in runs}, {run.id: _seconds(run) for run in runs}
    kinds = {run.id: f"{run.experiment.backbone} {run.experiment.method}" for run in runs}
    earlier = {name: p.get("repeated", {}).get("before", []) for name, p in made.items()}
    states = [p.get("parts", {}) for p in made.values()] + [parts for before in earlier.values() for parts in before]
    code = {_digest(parts): parts for parts in states}
    now = provenance(parts=_item_parts(), finished=time.time())
    write_json(record_file(item, preset), {
        "item": item, "preset": preset, "seeds": list(seeds), "parameters": dict(parameters),
        "precision": os.environ.get(PRECISION, ""),
        "runs": {name: {"commit": p["commit"], "dirty": p["dirty"], "code": _digest(p.get("parts", {})),
                        "kind": kinds[name], "before": [_digest(parts) for parts in earlier[name]],
                        "differed": differed(name), "seconds": seconds_of[name]} for name, p in made.items()},
        "code": code, "notebook": _notebook_digest(item),
        "seconds_teachers": round(_teacher_seconds(made.values()), 1),
        "seconds_notebook": round(seconds, 1),
        "memory_gib": max([memory_gib(), *(p.get("memory_gib", 0.0) for p in made.values())]),
        "accelerator_memory_gib": max([0.0, *(p.get("accelerator_memory_gib", 0.0) for p in made.values())]),
        "disk_gib": round(sum(f["bytes"] for p in made.values() for f in p["files"].values()) / 2**30, 3),
        "machines": sorted({p["accelerator"] or f"{p['processor']}, {p['threads']} threads" for p in made.values()}),
        "made": now,
    })  # fmt: skip


def status(item: str, preset: str) -> Status:
    """Whether an item is done, and if it is stale why."""
    file = record_file(item, preset)
    wanted = [file, file.with_suffix(".ipynb"), file.with_name(f"{item}-claims.csv")]
    if not all(f.is_file() for f in wanted):
        return Status(item, preset, MISSING, "", "", False, 0.0)
    record = read_json(file)
    try:
        changes, note = _changes(record)
        why, made = "; ".join(changes), record["made"]
        state = STALE if why else DONE
        return Status(item, preset, state, why, made["commit"], made["dirty"], made["finished"], "" if why else note)
    except (KeyError, TypeError, AttributeError):
        return Status(item, preset, STALE, f"{file.name} is of another version", "", False, file.stat().st_mtime)


def all_status(presets: Iterable[str] = PRESETS) -> list[Status]:
    """Every item in every preset, in the order of the paper's tables."""
    return [status(item, preset) for preset in presets for item in ITEMS]


def _changes(record: Mapping[str, Any]) -> tuple[list[str], str]:
    """What is not as it was when the item was made, and a note on what is, as repeats have shown."""
    item, preset, found = record["item"], record["preset"], []
    try:
        with paths.variable(PRECISION, record.get("precision", "")):
            now = {e.id for e in experiments(item, preset, record["seeds"])}
    except SakeError as error:
        return [f"its settings are refused now ({error})"], ""
    if other := len(now ^ set(record["runs"])):
        found.append(f"{other} runs are of other settings now")
    if unknown := sum(not record["code"][run["code"]] for run in record["runs"].values()):
        found.append(f"{unknown} runs do not say which code made them")
    record, measured = _as_now(record)
    codes, note = _other_codes(record)
    if changed := _modules(code_parts("runs"), *codes):
        only_measured = not _modules(_less(code_parts("runs")), *map(_less, codes))
        mended = " (sakerepro remeasure mends that without training; where the runs are gone, see sakerepro alike)"
        hint = mended if only_measured else ""
        found.append(f"runs made with other {changed}{hint}")
    if changed := _modules(_item_parts(), record["made"]["parts"]):
        found.append(f"shown by other {changed}")
    if record["notebook"] != _notebook_digest(item):
        found.append("the notebook changed")
    return found, "; ".join(filter(None, [note, measured]))


def _as_now(record: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The record with runs as if measured by the code of now, where that was shown to change no number; a note."""
    codes = {digest: alike.as_now(parts) for digest, parts in record["code"].items()}
    moved = {run["code"] for run in record["runs"].values() if codes[run["code"]][1]}
    now = dict(record) | {"code": {digest: parts for digest, (parts, _) in codes.items()}}
    if not moved:
        return now, ""
    count = sum(run["code"] in moved for run in record["runs"].values())
    changed = _names({m for digest in moved for m in _differing(now["code"][digest], record["code"][digest])})
    return now, (
        f"{count} of {len(record['runs'])} runs were measured before {changed} changed, which changes no number of the "
        f"{min(codes[digest][1] for digest in moved)} cases that both codes have measured"
    )


def _other_codes(record: Mapping[str, Any]) -> tuple[list[Mapping[str, str]], str]:
    """The codes that made runs and are neither the code of now nor shown to give the same numbers; the latter noted."""
    runs, now = record["runs"], code_parts("runs")
    made_by = {name: record["code"][run["code"]] for name, run in runs.items()}
    other = {name: modules for name, parts in made_by.items() if parts and (modules := _differing(now, parts))}
    shown = _shown(record["preset"], now) if other else {}
    rests_on = {name: by for name in other if (by := _speak_for(runs[name], made_by[name], shown))}
    left = [made_by[name] for name in other if name not in rests_on]
    changed = _names({m for name in rests_on for m in other[name]})
    return left, (
        f"{len(rests_on)} of {len(runs)} runs were trained before {changed} changed; of their kinds (backbone and "
        f"objective), {len(set().union(*rests_on.values()))} were trained again since, the same to the last bit"
    ) if rests_on else ""


def _speak_for(
    run: Mapping[str, Any], made_by: Mapping[str, str], shown: Mapping[str, list[tuple[str, Mapping[str, str]]]]
) -> set[str]:
    """The repeated runs of its kind that the same code had trained; none for a run that was measured by other code."""
    if run.get("differed") or not measuring_parts().items() <= made_by.items():
        return set()
    return {name for name, before in shown.get(run.get("kind", ""), ()) if _less(before) == _less(made_by)}


def _shown(preset: str, now: Mapping[str, str]) -> dict[str, list[tuple[str, Mapping[str, str]]]]:
    """By kind, the runs that were made again by the code of now, each with every earlier code that gave its numbers.

    A kind of which a run was made again with another outcome is not there.
    """
    found: dict[str, list[tuple[str, Mapping[str, str]]]] = {}
    unlike = set()
    for item in ITEMS:
        try:
            record, _ = _as_now(read_json(record_file(item, preset)))
            for name, run in record["runs"].items():
                if run.get("before") and record["code"][run["code"]] == now:
                    codes = [(name, record["code"][digest]) for digest in run["before"]]
                    found.setdefault(run["kind"], []).extend(codes)
                if run.get("differed"):
                    unlike.add(run["kind"])
        except (SakeError, KeyError, TypeError, AttributeError):
            continue  # missing, or of another version: `status` of that item says so
    return {kind: codes for kind, codes in found.items() if kind not in unlike}


def _differing(now: Mapping[str, str], then: Mapping[str, str]) -> set[str]:
    """The modules whose code is not the same."""
    return {m for m in now.keys() | then.keys() if now.get(m) != then.get(m)}


def _modules(now: Mapping[str, str], *then: Mapping[str, str]) -> str:
    """The modules that differ from any of ``then``, for people."""
    return _names({m for old in then for m in _differing(now, old)})


def _names(modules: Iterable[str]) -> str:
    """Up to four, for people."""
    files = [f"{m.rpartition('.')[2]}.py" for m in sorted(modules)]
    return f"{', '.join(files[:4])} and {len(files) - 4} more" if len(files) > 4 else ", ".join(files)


def _less(parts: Mapping[str, str]) -> dict[str, str]:
    """The modules that a run's embeddings depend on."""
    measuring = measuring_parts()
    return {name: digest for name, digest in parts.items() if name not in measuring}


def _item_parts() -> dict[str, str]:
    """The code behind tables, figures and claims that is not behind the runs."""
    of_runs = code_parts("runs")
    parts = {name: digest for start in ("items", "results", "plots") for name, digest in code_parts(start).items()}
    return {name: digest for name, digest in parts.items() if name not in of_runs}


def _notebook_digest(item: str) -> str:
    """12 digits over the sources of the notebook's cells."""
    file = paths.notebooks() / f"{item}.ipynb"
    if not file.is_file():
        return ""
    cells = read_json(file)["cells"]
    text = json.dumps([[c["cell_type"], "".join(c["source"])] for c in cells])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _seconds(run: Run) -> float:
    """Of all sittings: a run that went on after an interruption timed its last sitting, and every epoch."""
    made, history = run.provenance(), run.history()
    epochs = float(history["seconds"].sum()) if "seconds" in history else 0.0
    return round(made["seconds"] + max(0.0, epochs - made.get("seconds_training", epochs)), 1)


def _teacher_seconds(provenances: Iterable[Mapping[str, Any]]) -> float:
    """Training time of the teachers that were trained here, each once."""
    specs = {short_hash(p["teacher"]): {k: v for k, v in p["teacher"].items() if k != "sha256"} for p in provenances}
    files = {paths.runs() / f"teacher-{s['teacher']}-{short_hash(s)}" / "teacher.json" for s in specs.values()}
    return float(sum(row["seconds"] for file in files if file.is_file() for row in read_json(file)["history"]))


def _digest(parts: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:8]


def to_json(found: Iterable[Status]) -> list[dict[str, Any]]:
    """For scripts."""
    return [{**asdict(s), "age": s.age if s.finished else None} for s in found]
