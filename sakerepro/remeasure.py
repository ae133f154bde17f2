"""Finished runs measured anew by the code of now, from the embeddings that they kept: nothing is trained."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .evaluation import measure
from .files import lock, sha256, write_folder_whole, write_json
from .provenance import brief, code_parts, provenance
from .runs import FILES, Run, _lock_file, _same_data, open_run


def measuring_parts() -> dict[str, str]:
    """The modules that make a run's numbers out of its embeddings, and had no part in the embeddings."""
    of_runs = code_parts("runs")
    earlier = {m for start in ("training", "teachers", "original", "semantics", "embedding") for m in code_parts(start)}
    return {name: digest for name, digest in of_runs.items() if name not in {*earlier, "runs"}}


def outdated(run: Run) -> list[str]:
    """The measuring modules that are not those that the run was measured by."""
    then: Mapping[str, str] = run.provenance().get("parts", {})
    return [name for name, digest in measuring_parts().items() if then.get(name) != digest]


def remeasure(run: Run) -> Run:
    """Hash, rank and measure a run's embeddings again, and put the numbers in the place of the old ones.

    What the training left (weights, history, embeddings) stays, and so does what the provenance says of it; the
    provenance gains ``measured``: commit, code and time of this measurement.

    Raises:
        RunError: if the images changed since the run was made, or its folder is damaged; nothing is written then.
        DataError: if the images are not at hand.
    """
    data = run.dataset()
    _same_data(run)
    arrays = {name: array for name, array in run.embeddings().items() if not name.startswith("ap/")}
    started = time.time()
    metrics, aps = measure(arrays, data, run.experiment)
    with lock(_lock_file(run.folder)), rewritten(run) as new:
        write_json(new / "metrics.json", metrics)
        np.savez(new / "embeddings.npz", **arrays, **aps)  # type: ignore[arg-type]
        write_json(new / "provenance.json", run.provenance() | _origin(run, started) | {
            "files": {n: {"bytes": (new / n).stat().st_size, "sha256": sha256(new / n)} for n in FILES},
        })  # fmt: skip
    return open_run(run.folder)


@contextlib.contextmanager
def rewritten(run: Run) -> Iterator[Path]:
    """A copy of a finished run's files to change; with a provenance written to it, it takes the run's place, whole.

    Only for who holds the run's lock.
    """
    with write_folder_whole(run.folder) as new:
        for name in FILES:
            shutil.copy2(run.folder / name, new / name)
        yield new


def _origin(run: Run, started: float) -> dict[str, Any]:
    now, then = provenance(), run.provenance()
    return {
        "parts": then.get("parts", {}) | measuring_parts(),
        "dirty": then["dirty"] or now["dirty"],
        "measured": brief(now) | {"seconds": round(time.time() - started, 1), "finished": time.time()},
    }


def furthest(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> float:
    """The largest change of a number; infinite where the two do not measure the same things."""
    keys = [[{**m, "value": 0.0} for m in side] for side in (before, after)]
    if keys[0] != keys[1]:
        return float("inf")
    return max((abs(a["value"] - b["value"]) for a, b in zip(before, after, strict=True)), default=0.0)
