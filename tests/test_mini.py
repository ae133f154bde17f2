"""The main job on the generated world, end to end, with the runs that ``make table1`` makes (or finds)."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sakerepro as sr
from sakerepro.embedding import place
from sakerepro.evaluation import evaluate
from sakerepro.methods import label
from sakerepro.results.items import experiments
from sakerepro.runs import Run, find, start

PLACES = {name: os.environ.get(name) for name in ("SAKEREPRO_RUNS", "SAKEREPRO_CACHE")}  # before tests get their own
REFERENCE = Path(__file__).parent / "reference" / "mini_table1.csv"
TOLERANCE = 0.06  # mAP; another processor rounds differently, and training makes that visible


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in PLACES.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)


@pytest.fixture
def runs(places: None) -> list[Run]:
    return sr.item_runs("table1", "mini", [0])


def test_the_numbers_are_those_of_the_reference_within_the_tolerance(runs: list[Run]) -> None:
    key = ["method", "representation", "variant", "task", "metric", "convention"]
    want = pd.read_csv(REFERENCE, keep_default_na=False).set_index(key)["value"]
    got = sr.run_rows(runs).set_index(key)["value"]
    assert set(want.index) <= set(got.index)
    far = (got[want.index] - want).abs()
    assert far.max() <= TOLERANCE, far.nlargest(5)


def test_training_helps_and_random_features_do_not(runs: list[Run]) -> None:
    rows = sr.run_rows(runs).query("metric == 'mAP@all' and convention == 'standard' and task == 'ZS-SBIR'")
    value = rows[rows["representation"] == "64-d"].set_index("method")["value"]
    data = next(r for r in runs if r.experiment.dim == 64).dataset()
    rng = np.random.default_rng(0)
    chance = sr.retrieval_metrics(
        rng.normal(size=(len(data.query), 64)),
        rng.normal(size=(len(data.gallery), 64)),
        data.query.labels,
        data.gallery.labels,
    ).map_all
    assert chance == pytest.approx(1 / len(data.unseen), abs=0.03)
    assert value["SAKE"] > 1.5 * chance and value["L_B"] > 1.5 * chance


def test_every_system_beats_its_own_start(places: None) -> None:
    """Of the runs of ``make systems``; the start is the method before its first step, frozen features included."""
    if missing := [e.id for e in experiments("systems", "mini") if find(e) is None]:
        pytest.skip(f"`make systems` makes {len(missing)} runs that are not here")
    for run in sr.item_runs("systems", "mini"):
        e, data = run.experiment, run.dataset()
        if e.epochs and label(e) not in ("SAE", "ZSH"):  # closed forms have no start
            method, _ = start(e, data)
            before, after = evaluate(place(method).eval(), data, e)[0], run.metrics()
            value = [next(m["value"] for m in metrics if m["metric"] == "mAP@all") for metrics in (before, after)]
            assert value[0] < value[1], (label(e), value)
