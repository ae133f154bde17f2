"""Doodles of another data set: measured by a naive loop too, kept, in rows and in verdicts."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fakes import numbers
from sklearn.metrics import average_precision_score

import sakerepro as sr
from sakerepro import plots, results
from sakerepro.data import registry
from sakerepro.errors import ConfigError
from sakerepro.results import kept, rows_frame
from sakerepro.results.doodles import ENDS, doodle_queries, measured_doodles
from sakerepro.results.measures import doodle_rows
from sakerepro.results.paper import DOODLE_METRICS, DOODLE_TASKS
from sakerepro.results.rows import Queries
from sakerepro.results.runrows import class_precision
from sakerepro.results.verdicts import HOLDS
from sakerepro.runs import Run


@pytest.fixture
def quickdraw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Doodles of both unseen classes of the tiny task, of two of its four seen ones, and of one that it lacks."""
    folder = tmp_path / "data" / "quickdraw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for word, count in {"bear": 4, "airplane": 3, "cat": 5, "cup": 2, "owl": 2}.items():
        drawings = ([rng.integers(0, 255, (2, 6)).tolist() for _ in range(3)] for _ in range(count))
        lines = (json.dumps({"word": word, "drawing": drawing}) for drawing in drawings)
        (folder / f"{word}.ndjson").write_text("\n".join(lines))
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(folder.parent))
    return folder


def test_doodles_are_measured_as_scikit_learn_does(tiny_run: Run, quickdraw: Path) -> None:
    measured, data, arrays = measured_doodles(tiny_run), tiny_run.dataset(), tiny_run.embeddings()
    assert tuple(measured) == DOODLE_TASKS
    network = sr.load(tiny_run)
    for side, classes, photos in (("unseen", data.unseen, "gallery"), ("seen", data.seen, "train_photo")):
        aps: dict[int, list[float]] = {}
        top = []
        for label, name in enumerate(classes):
            file = quickdraw / f"{name}.ndjson"
            relevant = arrays[f"{photos}_labels"] == label
            for n in range(1, len(file.read_text().splitlines()) + 1 if file.is_file() else 0):
                query = network.embed_sketch(f"{file}:{n}")
                cosine = arrays[photos] @ query / np.linalg.norm(arrays[photos], axis=1)
                aps.setdefault(label, []).append(average_precision_score(relevant, cosine))
                top.append(relevant.sum() / 100)  # a gallery of fewer than 100 photos is found whole
        task = measured[f"doodles, {side}"]
        every = [ap for many in aps.values() for ap in many]
        value, low, high = task["mAP@all"]
        assert value == pytest.approx(np.mean(every), abs=1e-4) and low <= value <= high
        assert task["P@100"][0] == pytest.approx(np.mean(top))
        assert {c: n for c, n in enumerate(task["by class"]["queries"]) if n} == {c: len(a) for c, a in aps.items()}
        assert [task["by class"]["mean"][c] for c in aps] == pytest.approx([np.mean(a) for a in aps.values()], abs=1e-4)
        own = doodle_queries(tiny_run, side)["sketches"]
        assert set(own.labels) == set(aps)  # the same classes beside them
        assert set(own.names) <= set((data.query if side == "unseen" else data.val_sketch).names)


def test_doodles_go_into_rows_and_into_what_outlives_the_runs(tiny_run: Run, quickdraw: Path) -> None:
    rows = list(doodle_rows([tiny_run]))
    assert len(rows) == len(DOODLE_TASKS) * len(DOODLE_METRICS) * 3 and {r.run for r in rows} == {tiny_run.id}
    assert len(list(kept.folder().rglob("output.pkl"))) == 1  # measured once
    precision = class_precision(tiny_run, "quickdraw")
    assert {f"{task}/{tiny_run.experiment.dim}-d" for task in DOODLE_TASKS} < set(precision)
    assert set(class_precision(tiny_run)) == {k for k in precision if k.partition("/")[0] not in DOODLE_TASKS}
    text = (quickdraw / "cat.ndjson").read_text()
    (quickdraw / "cat.ndjson").write_text(text.partition("\n")[2])
    registry._drawings.cache_clear()  # a process reads them once
    assert measured_doodles(tiny_run)["doodles, seen"]["by class"]["queries"] == [0, 4, 2]  # of car, cat, cup
    grid = plots.retrieval_grid(results.with_doodles(tiny_run), n_queries=2, k=3, claim="Doodles")
    assert [a.get_gid() for a in grid.axes if str(a.get_gid()).count(" ") == 1] and "Doodles" in grid.get_suptitle()


def made_up(**more: float) -> list:
    """Rows of two methods in small: doodles of unseen classes are found at 0.3 by L_B and at 0.4 by SAKE."""
    where = {"preset": "small", "data": "sketchy/zeroshot1"}
    rows = []
    for method, base in (("L_B", 0.3), ("SAKE", 0.4)):
        for task in DOODLE_TASKS:
            value = more.get(task.replace(", ", "_"), base)
            for metric, (end, shift) in product(DOODLE_METRICS, zip(("", *ENDS), (0.0, -0.05, 0.1), strict=True)):
                name = f"{metric}, {end}" if end else metric
                rows += numbers(value + shift, **where, method=method, task=task, metric=name)
    return rows


def test_the_table_and_the_bars_show_value_and_interval() -> None:
    other = numbers(0.1, preset="small", data="sketchy/zeroshot1")  # of sketches alone
    frame = rows_frame([*made_up(sketches_seen=0.7), *other])
    assert len(results.doodle_frame(frame)) == 2 * 2 * 4
    table = results.doodle_table(frame[frame["task"].isin(DOODLE_TASKS)])
    assert table.loc[("sketchy-125x25", "zeroshot1", "unseen", "mAP@all", "doodles")].to_dict() == {
        "L_B": "0.300 (0.250 ... 0.400)",
        "SAKE": "0.400 (0.350 ... 0.500)",
    }
    figure = plots.doodle_bars(frame)
    with pytest.raises(ConfigError, match="metric"):
        plots.doodle_bars(frame, "mAP@200")
    unseen, seen = figure.axes
    assert unseen.get_title(loc="left") == "unseen classes"
    bars = {round(b.get_y() + b.get_height() / 2, 2): b.get_width() for b in seen.patches if b.get_width()}
    wanted = {-0.19: 0.3, 0.19: 0.7, 0.81: 0.4, 1.19: 0.7}  # L_B above SAKE, doodles above sketches
    assert bars == pytest.approx(wanted)
    with pytest.raises(ConfigError, match="None of the rows is of doodles"):
        results.doodle_frame(rows_frame(numbers(0.1)))
    two = pd.concat([frame, frame.assign(settings="lambda2=0.1")])
    with pytest.raises(ConfigError, match="64-d and of .* 64-d lambda2=0.1 are mixed"):
        results.doodle_frame(two)


def test_one_seed_is_judged_by_classes_of_doodles() -> None:
    """SAKE finds every class of doodles by 0.1 better and every class of sketches no better: its lead is 0.1."""
    frame = rows_frame(made_up(sketches_unseen=0.5))
    labels = np.repeat(np.arange(3), 2)
    queries = {
        (run, task, "64-d"): Queries(np.full(6, value), labels)
        for run, method in frame[["run", "method"]].drop_duplicates().to_numpy()
        for task, value in (("doodles, unseen", 0.3 + 0.1 * (method == "SAKE")), ("sketches, unseen", 0.5))
    }
    verdicts = {v.claim.id: v for v in results.claims("quickdraw", frame, per_query=queries).verdicts}
    for name in ("lead-grows", "sake-beats-lb"):
        judged = verdicts[f"quickdraw.{name}.sketchy"]
        assert judged.verdict == HOLDS and judged.decides.mean == pytest.approx(0.1)
        assert "bootstrap interval over classes" in judged.reason


def test_drawings_that_are_not_here_are_said_before_anything_is_trained(tmp_path, monkeypatch, cli):
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path))
    monkeypatch.setattr("sakerepro.data.places.data_places", lambda: [tmp_path])
    monkeypatch.setattr("sakerepro.commands.warm.warm_up", lambda: None)
    said = cli("item", "quickdraw", "--preset", "small", code=3)
    assert "data set 'quickdraw' is not here" in said.err and "run 1 of" not in said.out
    assert not sr.all_runs()
