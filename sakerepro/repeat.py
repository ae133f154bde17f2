"""A finished run made a second time from its settings: are its weights, embeddings and numbers found again?"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from . import paths, runs
from .files import lock, short_hash, write_json
from .provenance import brief, code_parts, edited
from .remeasure import furthest, rewritten
from .runs import Run, _lock_file, _same_data
from .weights import read_weights

# What the second run reads as the first one left it, in the cache: finding the same numbers says nothing about these.
_KEPT = ("data.images", "data.packing", "data.world")


@dataclass(frozen=True)
class Repeat:
    """How far the second run is from the first; 0 in all three is the same to the last bit."""

    run: str
    weights: float  # largest difference of a weight; infinite where names, shapes or NaN differ
    embeddings: float  # of a component, a label or a query's average precision
    metrics: float
    changed: tuple[str, ...]  # what was not as it was the first time: modules, versions, machine, teacher
    seconds: float
    kept: str  # folder of a second run that differs, to look at; else ""

    @property
    def same(self) -> bool:
        """Whether everything was found again to the last bit."""
        return self.weights == self.embeddings == self.metrics == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "same": self.same}


def repeat(run: Run) -> Repeat:
    """Train and measure a run's experiment again and compare; a teacher that was trained here is trained again too.

    On one machine, with the same lock and as many threads, the two are the same to the last bit. Then the run's
    provenance gains ``repeated`` (commit, code, versions and time of the second; ``before``: the modules of earlier
    code that gave the same numbers) and names the modules of now, whose code was shown to give them; not those that
    draw or decode images, which come from the cache. Else the run stays untouched and the second one beside it.

    An interrupted repeat goes on from its last checkpoint, if the code is still the same.

    Raises:
        RunError: if the images changed since the run was made, or its folder is damaged; nothing is written then.
        DataError: if images or weights are not at hand.
    """
    _same_data(run)
    code, started = code_parts(), time.time()
    with _place(code) as place, lock(place / f".repeat-{run.id}.lock", f"Another process repeats {run.id}; waiting."):
        shutil.rmtree(place / run.experiment.id, ignore_errors=True)  # of an earlier repeat that differed
        second = runs.run(run.experiment)
        with lock(_lock_file(run.folder)):  # nobody measures the first one anew meanwhile
            found = Repeat(
                run.id, _distance(_weights(run), _weights(second)), _distance(run.embeddings(), second.embeddings()),
                furthest(run.metrics(), second.metrics()), _changed(run.provenance(), second.provenance()),
                round(time.time() - started, 1), str(second.folder),
            )  # fmt: skip
            if found.same:
                _note(run, second, code, found)
        if found.same:
            shutil.rmtree(second.folder)
    return replace(found, kept="") if found.same else found


def differed(name: str) -> bool:
    """Whether a run was made again by the code of now and came out otherwise: what it left is there to look at."""
    return (_folder(code_parts()) / name / "provenance.json").is_file()


def _folder(code: Mapping[str, str]) -> Path:
    return paths.runs() / ".repeat" / short_hash(dict(code))


@contextlib.contextmanager
def _place(code: Mapping[str, str]) -> Iterator[Path]:
    """Hidden beside the runs, one for each state of the code: what is found there was made by the code of now."""
    place = _folder(code)
    with paths.variable("SAKEREPRO_RUNS", str(place)):
        yield place


def _weights(run: Run) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in read_weights(run.folder / "weights.safetensors").items()}


def _distance(first: Mapping[str, np.ndarray], second: Mapping[str, np.ndarray]) -> float:
    """The largest difference of any number in two sets of arrays."""
    if {n: (a.shape, a.dtype) for n, a in first.items()} != {n: (a.shape, a.dtype) for n, a in second.items()}:
        return float("inf")
    return max((_furthest(a, second[n]) for n, a in first.items()), default=0.0)


def _furthest(a: np.ndarray, b: np.ndarray) -> float:
    same = (a == b) | ((a != a) & (b != b))  # NaN in the same place is no difference
    apart = np.abs(a.astype(np.float64) - b)[~same]
    return float(np.nan_to_num(apart, nan=np.inf, posinf=np.inf).max(initial=0.0))


def _changed(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, ...]:
    """What could make two runs of one experiment differ, for people."""
    old, new = then.get("parts", {}), now["parts"]
    modules = [f"{m.rpartition('.')[2]}.py" for m in sorted(old.keys() | new.keys()) if old.get(m) != new.get(m)]
    versions = [f"{p} {then['packages'].get(p)} -> {v}" for p, v in now["packages"].items()
                if then["packages"].get(p) != v]  # fmt: skip
    machine = [f"{what} {then.get(what)} -> {now[what]}" for what in ("processor", "accelerator", "threads", "python")
               if then.get(what) != now[what]]  # fmt: skip
    teacher = ["another teacher"] * (then["teacher"]["sha256"] != now["teacher"]["sha256"])
    return (*modules, *versions, *machine, *teacher)


def _note(run: Run, second: Run, code: Mapping[str, str], found: Repeat) -> None:
    """Write into the run that its numbers were found again, and by which code."""
    now, then = second.provenance(), run.provenance()
    shown = {} if edited() else {m: digest for m, digest in code.items() if not m.startswith(_KEPT)}
    parts = {m: digest for m, digest in (then.get("parts", {}) | shown).items() if m in code or not shown}
    before = [p for p in (*then.get("repeated", {}).get("before", ()), then.get("parts", {})) if p != parts]
    with rewritten(run) as new:
        write_json(new / "provenance.json", then | {
            "parts": parts, "dirty": then["dirty"] or now["dirty"],
            "repeated": brief(now) | {"seconds": found.seconds, "changed": found.changed, "finished": time.time(),
                                      "before": before},
        })  # fmt: skip
