"""Rows outlive runs: an item stores what its runs measured, and uses it in place of runs that are gone.

Items that measure only retrieval also use each other's rows; a user's grids use the rows of these items.

``results/<preset>/<item>-rows.csv`` holds the rows. ``<item>-runs.json`` holds what figures and verdicts need besides,
one line a run: losses by epoch, mean average precision and number of queries by class, checksums of the inputs,
the network that was imitated in place of the run's own teacher, and the accelerator if there was one.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import paths
from ..errors import DataError
from ..experiment import Experiment, stand_ins
from ..files import read_json
from ..provenance import versions
from ..runs import Run, find, run
from .paper import GRIDS, RETRIEVAL, file_name
from .rows import Queries, read_rows, records, rows_frame
from .tables import Table, comparison, has_table
from .verdicts import COLUMNS, Verdicts, claims

RERUN = "SAKEREPRO_RERUN"  # set to anything: train runs that are not here although their rows are committed


def item_file(item: str, preset: str, ending: str) -> Path:
    """``results/<preset>/<item><ending>``."""
    return paths.results(preset) / f"{file_name(item)}{ending}"


rows_file, runs_file = partial(item_file, ending="-rows.csv"), partial(item_file, ending="-runs.json")
claims_file, record_file = partial(item_file, ending="-claims.csv"), partial(item_file, ending=".json")


@dataclass(frozen=True)
class CommittedRun(Run):
    """A run that is not here, known by its committed rows. Using its embeddings or its network trains it."""

    rows: pd.DataFrame = field(compare=False, repr=False)  # all rows of the run in one item
    known: dict[str, Any] = field(compare=False, repr=False)  # its line in that item's ``<item>-runs.json``
    trace: bool = False

    def metrics(self) -> list[dict[str, Any]]:
        return records(self.rows[self.rows["classes"] == "all"])

    def history(self) -> pd.DataFrame:
        """One row an epoch: losses, rate, validation accuracy; without seconds."""
        return pd.DataFrame(self.known["history"])

    def provenance(self) -> dict[str, Any]:
        """Versions, checksums of the inputs and the accelerator; everything once the run is here."""
        if find(self.experiment):
            return super().provenance()
        known = {k: self.known[k] for k in self.known.keys() & {"data", "imitated", "accelerator"}}
        return {"versions": versions(), "teacher": {"sha256": self.known["teacher"]}, **known}

    def file(self, name: str) -> Path:
        if find(self.experiment) is None:
            print(f"{self.id} is known by its rows alone: training it for its {name}.", file=sys.stderr, flush=True)
            run(self.experiment, trace=self.trace)
        return super().file(name)


def committed_runs(item: str, experiments: list[Experiment], traced: set[Experiment]) -> dict[Experiment, CommittedRun]:
    """The experiments of a preset that have committed rows of the current versions and images.

    There are none for ``mini``, which is always made from runs, and none if ``RERUN`` is set. If experiments in
    ``traced`` are trained after all, their retrieval is measured after every epoch.
    """
    preset = experiments[0].preset if experiments else ""
    if not experiments or os.environ.get(RERUN) or not stand_ins(preset).from_rows:
        return {}
    if saved_record(item, preset).get("parameters", {}).get("original"):
        return {}  # measured on an original domain of the reader's own
    known: dict[str, Any] = {}
    rows: dict[str, pd.DataFrame] = {}
    for source in (*RETRIEVAL, item) if item in RETRIEVAL or item not in GRIDS else (item,):  # its own files count most
        lines, of_runs = saved_runs(source, preset), saved_rows(source, preset).groupby("run", sort=False)
        rows |= (here := {str(id_): part for id_, part in of_runs if id_ in lines})
        known |= {id_: lines[id_] for id_ in here}
    there = (e for e in experiments if e.id in rows)
    found = (CommittedRun(paths.runs() / e.id, e, rows[e.id], known[e.id], e in traced) for e in there)
    return {r.experiment: r for r in found if _same_images(r)}


def saved_rows(item: str, preset: str) -> pd.DataFrame:
    """The rows of ``<item>-rows.csv`` that the current versions made; none without the file."""
    file = rows_file(item, preset)
    frame = read_rows(file) if file.is_file() else rows_frame([])
    return frame[(frame[list(versions())] == list(versions().values())).all(axis=1)]


def saved_runs(item: str, preset: str) -> dict[str, Any]:
    """The content of ``<item>-runs.json``: run id to its line; empty without the file."""
    return _read(runs_file(item, preset))


def saved_record(item: str, preset: str) -> dict[str, Any]:
    """What an item was made from (:func:`sakerepro.results.status.write_record`); empty if it was not made."""
    return _read(record_file(item, preset))


def saved_claims(item: str, preset: str) -> pd.DataFrame:
    """The verdicts of an item by claim, as :meth:`sakerepro.results.Verdicts.frame` has them; none without the file."""
    file = claims_file(item, preset)
    found = pd.read_csv(file, comment="#", keep_default_na=False) if file.is_file() else pd.DataFrame(columns=COLUMNS)
    return found.set_index("claim")


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _same_images(one: CommittedRun) -> bool:
    """Whether the run was measured on the images that are here; images that are not here cannot differ."""
    try:
        return bool(one.dataset().fingerprint == one.known["data"])
    except DataError:
        return True


def precision_of(by_run: dict[str, dict[str, dict[str, list[float]]]]) -> dict[tuple[str, str, str], Queries]:
    """(run id, task, representation) to queries, from ``task/representation`` to lists by class of every run."""
    found = {}
    for id_, precision in by_run.items():
        for name, by_class in precision.items():
            task, representation = name.split("/")
            count = np.asarray(by_class["queries"], dtype=int)
            labels = np.repeat(np.arange(len(count)), count)
            found[id_, task, representation] = Queries(np.asarray(by_class["mean"])[labels], labels)
    return found


def render(item: str, preset: str) -> tuple[Table | None, Verdicts]:
    """The table (figures have none) and the verdicts of an item from its rows in ``results/<preset>``, in seconds.

    Raises:
        DataError: if the rows of the item are not there.
    """
    for file in (rows_file(item, preset), runs_file(item, preset)):
        if not file.is_file():
            raise DataError(f"{paths.shown(file)}: is missing. `make {item} PRESET={preset}` makes it.")
    rows = read_rows(rows_file(item, preset))
    precision = precision_of({id_: known["precision"] for id_, known in saved_runs(item, preset).items()})
    return comparison(item, rows) if has_table(item) else None, claims(item, rows, per_query=precision)
