"""From finished runs to tidy result rows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .experiment import Experiment
from .methods import label, setting
from .rows import LAMBDAS, Queries, Row, code_variant, rows_frame
from .runs import Run


def split_name(e: Experiment) -> str:
    """The split of an experiment as rows name it: its own, ``random0``, ``outside0`` or ``zeroshot1-pseudo0``."""
    if e.random_unseen:
        return f"{'outside' if e.outside_original else 'random'}{e.class_seed}"
    return f"{e.split}-pseudo{e.class_seed}" if e.pseudo_unseen else e.split


def _lambdas(e: Experiment) -> dict[str, float]:
    return {name: setting(e, name) if e.method == "SAKE" and e.epochs else math.nan for name in LAMBDAS}


def run_row(run: Run, metric: str, value: float, **fields: Any) -> Row:
    """One number of a run as a row; ``fields`` are the other columns where they are not those of the run."""
    e, origin = run.experiment, run.provenance()
    of_run: dict[str, Any] = dict(
        dataset=Path(e.dataset).name, split=split_name(e), method=label(e), preset=e.preset,
        representation=f"{e.dim}-d", backbone=e.backbone, **_lambdas(e), seed=e.seed,
        run=run.id, commit=origin["commit"], dirty=origin["dirty"],
    )  # fmt: skip
    return Row(metric=metric, value=float(value), **{**of_run, **fields})


def run_rows(runs: Iterable[Run]) -> pd.DataFrame:
    """The measurements of runs as tidy result rows (see :class:`sakerepro.results.Row`)."""
    return rows_frame(
        run_row(
            r, m["metric"], m["value"], representation=m["representation"], task=m["task"],
            classes=m.get("classes", "all"), variant=code_variant(m["representation"], r.experiment.dim),
            convention=m["convention"],
        )
        for r in runs for m in r.metrics()
    )  # fmt: skip


def query_precision(runs: Iterable[Run]) -> dict[tuple[str, str, str], Queries]:
    """(run id, task, representation) to the queries' average precision and class: what verdicts on one seed rest on.

    Args:
        runs: finished runs; nothing is measured again.
    """
    found = {}
    for r in runs:
        arrays = r.embeddings()
        for name in (n for n in arrays if n.startswith("ap/")):
            _, task, representation = name.split("/")
            labels = arrays["query_labels"] if task == "ZS-SBIR" else _asking(arrays, r.experiment.photo_queries)
            found[r.id, task, representation] = Queries(arrays[name], labels)
    return found


def _asking(arrays: dict[str, np.ndarray], per_class: int) -> np.ndarray:
    """The classes of the photos that ask in ZS-PBIR: the first of each class, in the gallery's order."""
    labels = arrays["gallery_labels"]
    first = [np.flatnonzero(labels == c)[:per_class] for c in np.unique(labels)]
    return labels[np.sort(np.concatenate(first))]
