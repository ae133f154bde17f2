"""Grids: axes are looked up and checked; a new ablation is a grid and a notebook from the skeleton."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import tiny

import sakerepro as sr
from sakerepro import experiment, paths, plots, results
from sakerepro.errors import ConfigError
from sakerepro.methods import Setting, label, preset, setting
from sakerepro.methods.sake import SAKE
from sakerepro.results.grids import Grid, identity, rising, with_names
from sakerepro.results.notebook import notebook_path
from sakerepro.results.paper import TABLE1, TABLE3, TABLE4
from sakerepro.results.rows import read_rows, write_rows
from sakerepro.results.status import all_status, write_record

BATCH = """
from sakerepro.results import Grid

BATCH = Grid("Batch size (not in the paper)", batch_photo=(3, 5), method=("L_B", "SAKE"), metrics=["mAP@all", "P@100"])
"""


def test_axes_are_fields_settings_or_what_is_looked_at() -> None:
    grid = Grid("x", batch_photo=(9, 18), lambda2=(0.1, 3), task=("ZS-SBIR", "ZS-PBIR"))
    cells = list(grid.cells("mini", (0, 1)))
    assert len(cells) == 2 * 2 * 2 * 2 and len({e for _, e in cells}) == 8  # tasks make no runs
    assert {(e.batch_photo, setting(e, "lambda2"), e.seed) for _, e in cells} == {
        (b, v, s) for b in (9, 18) for v in (0.1, 3) for s in (0, 1)
    }
    assert grid.varies == ("batch_photo", "lambda2", "task") and grid.settings == ("batch_photo", "lambda2")
    assert preset("mini", batch_photo=9, lambda2=0.1) in {e for _, e in cells}


@pytest.mark.parametrize(
    "axes, said",
    [
        ({"batch_foto": 3}, "no axis 'batch_foto'. Did you mean 'batch_photo'"),
        ({"lambda3": 3}, "no axis 'lambda3'. Did you mean 'lambda"),
        ({"margin": 3}, "no axis 'margin'"),
        ({"seed": (0, 1)}, "no axis 'seed'"),
        ({"method": "SAKEE"}, "Unknown method 'SAKEE'. Did you mean 'SAKE'"),
    ],
)
def test_unknown_axes_and_methods_are_named(axes: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        Grid("x", **axes)


def test_an_axis_that_could_be_two_things_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SAKE, "settings", {**SAKE.settings, "task": Setting(1, "of two meanings")})
    with pytest.raises(ConfigError, match="'task' is a setting of the method and something else"):
        Grid("x", task="ZS-SBIR")


def test_what_stands_for_the_papers_words_comes_from_the_preset() -> None:
    cells = {name: {(k["dataset"], e.dataset, e.split) for k, e in TABLE1.cells(name)} for name in experiment.PRESETS}
    assert cells["mini"] == {("tuberlin", "mini", "zeroshot")}
    assert cells["small"] == {("sketchy", "sketchy-125x25", s) for s in ("zeroshot1", "zeroshot2")}
    assert len(cells["paper"]) == 3
    nets = {name: {e.backbone for _, e in TABLE4.cells(name)} for name in experiment.PRESETS}
    assert nets["paper"] == {"alexnet", "resnet50", "cse_resnet50"}
    assert len(nets["mini"]) == 3
    assert nets["small"] == {"squeezenet1_0", "efficientnet_lite0", "cse_efficientnet_lite0"}
    own = Grid("x", backbone=("resnet18", "cse_resnet50"))  # a network that the paper does not name
    assert {e.backbone for _, e in own.cells("mini")} == {"resnet18", "cse_resnet_mini"}


def test_cells_that_stand_in_several_tables_are_one() -> None:
    where = dict(method="SAKE", data="tuberlin/zeroshot", representation="64-d", metric="mAP@all")
    (one,) = TABLE1.points(where)
    (other,) = TABLE3.points({"lambda1": 1.0, "lambda2": 0.3})
    (third,) = TABLE4.points({"task": "ZS-SBIR", "backbone": "cse_resnet50", "method": "SAKE"})
    assert identity(one) == identity(other) == identity(third)


def test_what_is_looked_at_tells_cells_apart() -> None:
    """Two conventions of one run are two cells."""
    grid = Grid("x", convention=("standard", "sake"), variant=("", "other"), metrics=("mAP@all", "P@100"))
    assert len({identity(point) for point in grid.points()}) == 8


def test_an_axis_may_have_values_that_the_papers_preset_refuses() -> None:
    """The paper's preset allows lr_end up to 1e-4."""
    rates = (1e-4, 2e-4, 5e-4)
    grid = Grid("x", lr_end=rates, method=("L_B", "SAKE"), backbone=("resnet18", "resnet34"))
    cells = [(key["lr_end"], e.lr_end, key["method"]) for key, e in grid.cells("mini")]
    assert set(cells) == {(rate, rate, method) for rate in rates for method in ("L_B", "SAKE")}
    assert len({identity(point) for point in grid.points()}) == 12
    with pytest.raises(ConfigError, match="lambda1"):
        [*Grid("x", lambda1=(-1.0,)).cells("mini")]


def test_algebra_of_cells() -> None:
    contrast = 2 * TABLE3[1, 0.3] - TABLE3[1, 0] > 0.25
    assert [w for w, _ in contrast.sum.terms] == [2, -1] and contrast.sum.minus == 0.25
    (small,) = with_names([1.5 > TABLE3[0, 0.1]])
    assert small.sum.terms[0][0] == -1 and small.sum.minus == -1.5
    assert (TABLE3[1, 0] - TABLE3[0, 0]).within(0.01).bound == 0.01
    names = [c.name for c in with_names(rising(*(TABLE3[1, b] for b in (0, 0.1, 0.3))))]
    assert names == ["lambda2 = 0.1 > 0", "lambda2 = 0.3 > 0.1"]
    with pytest.raises(TypeError, match="two contrasts"):
        assert TABLE3[1, 0] > TABLE3[1, 0.1] > TABLE3[1, 0.3]
    with pytest.raises(ConfigError, match="no lambda2 = 0.2"):
        TABLE3[1, 0.2]


@pytest.fixture
def ablation(tmp_path: Path, tiny_place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with a grid in the current folder, and a preset on the tiny task."""
    (tmp_path / "batch_grids.py").write_text(BATCH)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = tiny.settings(tiny_place / "data", tiny_place / "se_resnet_mini.safetensors", epochs=1, steps=1)
    monkeypatch.setitem(experiment.PRESETS, "tiny", settings)
    return "batch_grids:BATCH"


def test_an_ablation_is_a_grid_and_a_notebook_from_the_skeleton(ablation: str) -> None:
    runs = sr.item_runs(ablation, "tiny", [0], jobs=1)
    cells = list(itertools.product((3, 5), ("L_B", "SAKE")))
    assert [(r.experiment.batch_photo, label(r.experiment)) for r in runs] == cells
    rows = sr.item_rows(ablation, runs)
    sr.save_rows(ablation, runs, rows)
    saved = read_rows(paths.results("tiny") / "batch-rows.csv")
    assert set(saved["settings"]) == {"batch_photo=3", "batch_photo=5"}
    table, verdicts = results.render(ablation, "tiny")
    shown = table.cells.set_index(["batch_photo", "method", "metric"])
    assert len(shown) == 8 and (shown["status"] == "measured").all()
    wanted = {"task": "ZS-SBIR", "representation": "16-d", "metric": "P@100", "convention": "standard"}
    for cell, run in zip(cells, runs, strict=True):
        (value,) = (m["value"] for m in run.metrics() if wanted.items() <= m.items())
        assert shown.loc[(*cell, "P@100"), "ours"] == value
    assert next(iter(table.blocks().values()))["batch_photo"].tolist() == ["3", "3", "5", "5"]
    assert "batch_photo" in str(table) and "Batch size (not in the paper)" in table.to_markdown()
    left, right = plots.table_curves(table).axes
    lines = {name: line.get_xdata().tolist() for line in left.lines if (name := line.get_label())[0] != "_"}
    assert lines == {"L_B": [3, 5], "SAKE": [3, 5]} and right.get_ylabel() == "P@100"

    verdicts.save(paths.results("tiny"))
    assert notebook_path(ablation).stem == "skeleton"
    (paths.results("tiny") / "batch.ipynb").write_text("{}")
    write_record(ablation, "tiny", [0], {}, runs, 1.0)
    (state,) = (s for s in all_status(["tiny"]) if s.item == ablation)
    assert (state.state, state.why) == ("done", "")


def test_tables_are_made_without_the_module_of_an_own_grid(ablation, tmp_path, monkeypatch, cli):
    """The grid was made from another folder."""
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path))
    write_rows((folder := paths.results("mini")) / "batch-rows.csv", [])
    (folder / "batch-runs.json").write_text("{}")
    (folder / "batch.json").write_text('{"item": "somewhere_else:BATCH"}')
    assert "mini: somewhere_else:BATCH stays as it is." in cli("tables").err
    assert (tmp_path / "REPRODUCING.md").is_file()


def test_an_own_item_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for item, said in (
        ("no_such_module:X", "no_such_module"),
        ("json:dumps", "is no sakerepro.results.Grid"),
        ("mine:LENGTH", "its files would be those of 'length'"),
        ("mine:TUNING", "its files would be those of 'tuning'"),
    ):
        with pytest.raises(ConfigError, match=said):
            sr.experiments(item)
