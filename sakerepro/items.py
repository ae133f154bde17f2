"""Which runs each item of the paper needs. Items name experiments; equal experiments are one run, trained once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from .errors import ConfigError, near_misses
from .experiment import Experiment, preset
from .rows import Row, code_variant, rows_frame
from .runs import Run, find, run

METHODS: dict[str, dict[str, Any]] = {  # what sets the compared methods apart; all else is equal
    "pretrained": {"epochs": 0},
    "L_B": {"lambda_sake": 0.0},
    "L_B + L_T": {"lambda1": 1.0, "lambda2": 0.0},
    "SAKE": {},
}
TASKS: dict[str, list[dict[str, str]]] = {  # the data sets and splits of a preset, in the order of Table 1
    "mini": [{"dataset": "mini", "split": "zeroshot"}],
    "small": [{"split": "zeroshot1"}, {"split": "zeroshot2"}],
    "paper": [
        {"dataset": "tuberlin", "split": "zeroshot"},
        {"dataset": "sketchy", "split": "zeroshot1"},
        {"dataset": "sketchy", "split": "zeroshot2"},
    ],
}


def _table1(name: str, seeds: Sequence[int]) -> list[Experiment]:
    dims = (64,) if name == "small" else (512, 64)
    return [
        preset(name, **task, **METHODS[method], dim=dim, seed=seed)
        for task in TASKS[name]
        for method in ("pretrained", "L_B", "SAKE")
        for dim in dims
        for seed in (seeds[:1] if method == "pretrained" else seeds)
    ]


ITEMS: dict[str, Callable[[str, Sequence[int]], list[Experiment]]] = {"table1": _table1}


def experiments(item: str, preset_name: str = "mini", seeds: Iterable[int] = (0,)) -> list[Experiment]:
    """The experiments behind a table or figure, each once.

    Raises:
        ConfigError: for an unknown item or preset, or seeds that are not distinct numbers from 0 on.
    """
    if item not in ITEMS:
        raise ConfigError(f"Unknown item {item!r}. {near_misses(item, list(ITEMS))}")
    if preset_name not in TASKS:
        raise ConfigError(f"Unknown preset {preset_name!r}. {near_misses(preset_name, list(TASKS))}")
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds) or any(not isinstance(s, int) or s < 0 for s in seeds):
        raise ConfigError(f"seeds = {seeds} have to be distinct whole numbers from 0 on, at least one.")
    return list(dict.fromkeys(ITEMS[item](preset_name, seeds)))


def item_runs(item: str, preset_name: str = "mini", seeds: Iterable[int] = (0,)) -> list[Run]:
    """Find or make all runs of an item, saying which is which of how many."""
    wanted = experiments(item, preset_name, seeds)
    missing = [e for e in wanted if find(e) is None]
    if missing:
        print(f"{item}, {preset_name}: {len(wanted) - len(missing)} of {len(wanted)} runs are there.", flush=True)
    for number, experiment in enumerate(missing, start=1):
        print(f"  run {number} of {len(missing)}: {experiment.id}", flush=True)
        run(experiment)
    return [run(experiment) for experiment in wanted]


def run_rows(runs: Iterable[Run]) -> pd.DataFrame:
    """The measurements of runs as tidy result rows (see :class:`sakerepro.results.Row`)."""
    rows: list[Row] = []
    for r in runs:
        e, origin = r.experiment, r.provenance()
        for m in r.metrics():
            rows.append(Row(
                dataset=e.dataset, split=_split_name(e), method=e.method, metric=m["metric"], value=m["value"],
                preset=e.preset, representation=m["representation"], task=m["task"], classes=m.get("classes", "all"),
                backbone=e.backbone, lambda_sake=e.lambda_sake if e.epochs else math.nan,
                lambda1=e.lambda1 if e.epochs else math.nan, lambda2=e.lambda2 if e.epochs else math.nan,
                variant=code_variant(m["representation"], e.dim), convention=m["convention"], seed=e.seed, run=r.id,
                commit=origin["commit"], dirty=origin["dirty"],
            ))  # fmt: skip
    return rows_frame(rows)


def query_precision(runs: Iterable[Run]) -> dict[tuple[str, str, str], np.ndarray]:
    """(run id, task, representation) to the average precision of every query: what verdicts on one seed rest on."""
    found = {}
    for r in runs:
        for name, values in r.embeddings().items():
            if name.startswith("ap/"):
                _, task, representation = name.split("/")
                found[r.id, task, representation] = values
    return found


def _split_name(e: Experiment) -> str:
    if e.random_unseen:
        return f"random{e.class_seed}"
    return f"{e.split}-pseudo{e.class_seed}" if e.pseudo_unseen else e.split
