"""From runs to tidy result rows, and the files in which rows outlive their runs."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from .. import inputs
from ..errors import DataError
from ..evaluation import generalised_precision
from ..experiment import PRESETS, Experiment, split_name
from ..files import write_text
from ..methods import ALIASES, flat, label, preset
from ..runs import Run
from .committed import CommittedRun, precision_of, rows_file, runs_file
from .doodles import measured_doodles
from .rows import Queries, Row, class_means, code_variant, one_preset, rows_frame, write_rows

_SHOWN = {  # fields that a row has in a column or in the name of its split
    *("preset", "method", "method_version", "dataset", "split", "backbone", "dim", "bits", "seed", "teacher_data"),
    *("random_unseen", "pseudo_unseen", "class_seed", "min_photos", "outside_original"),
}


@lru_cache(maxsize=256)  # a run has a hundred rows
def settings_text(e: Experiment) -> str:
    """The settings that differ from the preset and have no column of their own, such as ``"lambda_sake=0.3"``."""
    name = e.preset if e.preset in PRESETS else Experiment.preset
    kind, precision = label(e), PRESETS[name].get("precision", Experiment.precision)
    method = kind if kind in ALIASES else e.method
    defaults = flat(preset(name, method=method, dataset=e.dataset, backbone=e.backbone, precision=precision))
    changed = {k: v for k, v in flat(e).items() if k not in _SHOWN and defaults[k] != v}
    return ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in changed.items())


def run_row(run: Run, metric: str, value: float, **fields: Any) -> Row:
    """One number of a run as a row; ``fields`` replace columns that the run would fill."""
    e = run.experiment
    of_run: dict[str, Any] = dict(
        dataset=Path(e.dataset).name,
        split=split_name(e),
        method=label(e),
        preset=e.preset,
        representation=f"{e.dim}-d",
        backbone=e.backbone,
        settings=settings_text(e),
        seed=e.seed,
        run=run.id,
        **run.provenance()["versions"],
    )
    return Row(metric=metric, value=float(value), **{**of_run, **fields})


def metric_row(run: Run, m: dict[str, Any]) -> Row:
    """A measurement of ``evaluation.py`` or of a committed row, as a row."""
    where = {name: m[name] for name in ("representation", "task", "convention")}
    variant = m.get("variant", code_variant(m["representation"], run.experiment.dim))
    return run_row(run, m["metric"], m["value"], classes=m.get("classes", "all"), variant=variant, **where)


def run_rows(runs: Iterable[Run]) -> pd.DataFrame:
    """The measurements of runs as tidy result rows (see :class:`sakerepro.results.Row`)."""
    return rows_frame(metric_row(r, m) for r in inputs.names(runs, "runs", object) for m in r.metrics())


def class_precision(run: Run, item: str = "") -> dict[str, dict[str, list[float]]]:
    """By ``task/representation``, lists by class: ``mean`` average precision and number of ``queries``."""
    if isinstance(run, CommittedRun):
        return run.known["precision"]
    arrays, e, precision = run.embeddings(), run.experiment, {}
    photos = arrays["gallery_labels"]
    photo_queries = photos[pd.Series(photos).groupby(photos).cumcount() < e.photo_queries]  # the first of each class
    for name in (n for n in arrays if n.startswith("ap/")):
        labels = arrays["query_labels"] if name.startswith("ap/ZS-SBIR/") else photo_queries
        precision[name.removeprefix("ap/")] = class_means(Queries(arrays[name], labels))
    if item == "generalised":
        larger = generalised_precision(arrays, e, run.network())
        precision |= {name: class_means(Queries(ap, arrays["query_labels"])) for name, ap in larger.items()}
    if item == "quickdraw":
        precision |= {f"{task}/{e.dim}-d": values["by class"] for task, values in measured_doodles(run).items()}
    return precision


def query_precision(runs: Iterable[Run], item: str = "") -> dict[tuple[str, str, str], Queries]:
    """By (run id, task, representation), average precision and class of queries, for verdicts on one seed.

    Every query has the mean of its class, which suffices for an interval over classes. The item ``"quickdraw"`` adds
    the queries of its doodles, ``"generalised"`` those of its larger gallery.
    """
    return precision_of({r.id: class_precision(r, item) for r in inputs.names(runs, "runs", object)})


def save_rows(item: str, runs: Iterable[Run], rows: pd.DataFrame) -> list[Path]:
    """Write an item's rows (of :func:`sakerepro.item_rows`), and the lines of its runs for figures and verdicts.

    Returns:
        The two files.

    Raises:
        ConfigError: if rows of several presets are mixed.
        RunError: if the folder cannot be written.
    """
    files = [kind(item, one_preset(rows)) for kind in (rows_file, runs_file)]
    write_rows(files[0], rows)
    lines = [f"{json.dumps(r.id)}: {json.dumps(_line(r, item))}" for r in runs]
    write_text(files[1], "{\n" + ",\n".join(lines) + "\n}\n")
    return files


def _line(run: Run, item: str) -> dict[str, Any]:
    """The line of a run in ``<item>-runs.json``; a run that is not here keeps its earlier line."""
    if isinstance(run, CommittedRun):
        return run.known
    origin, history = run.provenance(), run.history().drop(columns="seconds", errors="ignore")
    try:
        classes = [*run.dataset().unseen]
    except DataError:  # the run is here, its images are not
        classes = []
    return {
        "data": origin["data"],
        "teacher": origin["teacher"]["sha256"],
        "classes": classes,  # of the lists in "precision"
        "history": history.to_dict("list"),
        "precision": class_precision(run, item),
        **{name: origin[name] for name in ("imitated", "accelerator") if origin.get(name)},
    }
