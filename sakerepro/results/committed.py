"""Rows outlive runs: an item stores the numbers of its runs, and uses them in place of runs that are gone.

Items that measure only retrieval also use each other's rows; a user's grids use the rows of these items.

``results/<preset>/<item>-rows.csv`` holds the rows. ``<item>-runs.json`` holds one line a run for figures and
verdicts: losses by epoch, mean average precision and number of queries by class, checksums of the inputs, the
network that was imitated in place of the run's own teacher, and the accelerator if there was one.
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
        others = {k: self.known[k] for k in self.known.keys() & {"data", "imitated", "accelerator"}}
        return {"versions": versions(), "teacher": {"sha256": self.known["teacher"]}, **others}

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
    rows: dict[str, pd.DataFrame] = {}
    lines: dict[str, Any] = {}
    shares_rows = item in RETRIEVAL or item not in GRIDS
    for source in (*RETRIEVAL, item) if shares_rows else (item,):  # the item's own files replace those of others
        runs = saved_runs(source, preset)
        for id_, part in saved_rows(source, preset).groupby("run", sort=False):
            if id_ in runs:
                rows[str(id_)], lines[str(id_)] = part, runs[str(id_)]
    with_rows = (e for e in experiments if e.id in rows)
    committed = (CommittedRun(paths.runs() / e.id, e, rows[e.id], lines[e.id], e in traced) for e in with_rows)
    return {r.experiment: r for r in committed if _same_images(r)}


def saved_rows(item: str, preset: str) -> pd.DataFrame:
    """The rows of ``<item>-rows.csv`` that are of the current versions; none without the file."""
    file = rows_file(item, preset)
    frame = read_rows(file) if file.is_file() else rows_frame([])
    return frame[(frame[list(versions())] == list(versions().values())).all(axis=1)]


def saved_runs(item: str, preset: str) -> dict[str, Any]:
    """The content of ``<item>-runs.json``, a line by run id; empty without the file."""
    return _read(runs_file(item, preset))


def saved_record(item: str, preset: str) -> dict[str, Any]:
    """An item's record (:func:`sakerepro.results.status.write_record`); empty if the item was not made."""
    return _read(record_file(item, preset))


def saved_claims(item: str, preset: str) -> pd.DataFrame:
    """The verdicts of an item by claim, as :meth:`sakerepro.results.Verdicts.frame` has them; none without the file."""
    file = claims_file(item, preset)
    frame = pd.read_csv(file, comment="#", keep_default_na=False) if file.is_file() else pd.DataFrame(columns=COLUMNS)
    return frame.set_index("claim")


def _read(file: Path) -> dict[str, Any]:
    return read_json(file) if file.is_file() else {}


def _same_images(one: CommittedRun) -> bool:
    """Whether the run was measured on the images that are here; true if they are not here."""
    try:
        return bool(one.dataset().fingerprint == one.known["data"])
    except DataError:
        return True


def precision_of(by_run: dict[str, dict[str, dict[str, list[float]]]]) -> dict[tuple[str, str, str], Queries]:
    """Queries by (run id, task, representation), from lists by class of every run and ``task/representation``."""
    queries = {}
    for id_, precision in by_run.items():
        for name, by_class in precision.items():
            task, representation = name.split("/")
            count = np.asarray(by_class["queries"], dtype=int)
            labels = np.repeat(np.arange(len(count)), count)
            queries[id_, task, representation] = Queries(np.asarray(by_class["mean"])[labels], labels)
    return queries


def render(item: str, preset: str) -> tuple[Table | None, Verdicts]:
    """The table (figures have none) and the verdicts of an item from its rows in ``results/<preset>``, in seconds.

    Raises:
        DataError: if the rows of the item are not there.
    """
    for file in (rows_file(item, preset), runs_file(item, preset)):
        if not file.is_file():
            raise DataError(f"{paths.shown(file)}: is missing. `make {item} PRESET={preset}` makes it.")
    rows = read_rows(rows_file(item, preset))
    precision = precision_of({id_: line["precision"] for id_, line in saved_runs(item, preset).items()})
    return comparison(item, rows) if has_table(item) else None, claims(item, rows, per_query=precision)
