"""Rows, means, tables: against numbers worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from fakes import number, numbers

from sakerepro import methods, paths, results
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import stand_ins
from sakerepro.methods import preset, setting
from sakerepro.results import read_rows, rows_frame, write_rows
from sakerepro.results.paper import GRIDS

SAKE = number(0.5, "small", data="sketchy/zeroshot1")
SPLIT = {"data": "sketchy/zeroshot1"}


def cell(table, **where):
    (record,) = table.cells.query(" and ".join(f"{k} == {v!r}" for k, v in where.items())).to_dict("records")
    return record


def test_csv_round_trip_keeps_every_digit(tmp_path):
    rows = [replace(SAKE, value=1 / 3, training=2), replace(SAKE, method="pretrained", seed=7, variant='512-d, "ITQ"')]
    write_rows(tmp_path / "rows.csv", rows)
    back = read_rows(tmp_path / "rows.csv")
    pd.testing.assert_frame_equal(back, rows_frame(rows))
    assert back["value"].tolist() == [1 / 3, 0.5]
    assert back["variant"].tolist() == ["", '512-d, "ITQ"']
    assert back["training"].tolist() == [2, 1]
    write_rows(tmp_path / "rows.csv", [])
    assert len(read_rows(tmp_path / "rows.csv")) == 0


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\x00\x01"])
def test_a_file_without_rows_is_named(tmp_path, text):
    (tmp_path / "rows.csv").write_text(text)
    with pytest.raises(DataError, match="rows.csv: these are not result rows"):
        read_rows(tmp_path / "rows.csv")


def test_a_value_that_is_no_number_is_named_with_its_line(tmp_path):
    write_rows(tmp_path / "rows.csv", [SAKE, replace(SAKE, seed=1, value=math.nan)])
    with pytest.raises(DataError, match="rows.csv, line 3"):
        read_rows(tmp_path / "rows.csv")


def test_two_values_of_one_run_are_refused():
    frame = rows_frame([number(0.5), number(0.6)])
    with pytest.raises(ConfigError, match="paper-zs-cse_resnet50-sake-64d-s0-.* has two values for mAP@all, ZS-SBIR"):
        results.table4(frame)


def test_rows_of_two_precisions_are_not_mixed_and_either_stands_in_its_cell(monkeypatch):
    plain = number(0.5)
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    single = number(0.6, seed=1)
    assert (plain.settings, single.settings) == ("", "precision=float32")
    with pytest.raises(ConfigError, match="bfloat16 and float32 are mixed"):
        results.table4(rows_frame([plain, single]))
    where = {"task": "ZS-SBIR", "backbone": "cse_resnet50", "method": "SAKE"}
    assert cell(results.table4(rows_frame([plain])), **where)["ours"] == 0.5  # though float32 is wanted now
    monkeypatch.delenv("SAKEREPRO_PRECISION")
    assert cell(results.table4(rows_frame([single])), **where)["ours"] == 0.6


def test_rows_of_two_devices_are_not_mixed():
    """``make gpu`` writes rows with a column more; committed ones have none."""
    usual, on_gpu = rows_frame([number(0.5)]), rows_frame([number(0.6, seed=1)]).assign(device="NVIDIA H200")
    with pytest.raises(ConfigError, match=r"NVIDIA H200 and cpu are mixed. Select one: frame\[frame\['device'\]"):
        results.table4(pd.concat([usual, on_gpu]))
    where = {"task": "ZS-SBIR", "backbone": "cse_resnet50", "method": "SAKE"}
    assert cell(results.table4(on_gpu), **where)["ours"] == 0.6


def test_difference_to_the_paper_by_hand():
    rows = numbers(0.34, 0.36, representation="64-bit")
    where = {"dataset": "tuberlin", "method": "SAKE", "representation": "64-bit", "metric": "mAP@all"}
    got = cell(results.table1(rows_frame(rows)), **where)
    assert got["paper"] == 0.359
    assert got["ours"] == pytest.approx(0.35)
    assert got["difference"] == pytest.approx(-0.009)
    assert got["n"] == 2
    assert got["status"] == "measured"


def test_table1_without_runs_is_the_paper_alone():
    table = results.table1(rows_frame([]))
    assert table.label == ("No runs: the paper's numbers alone",)
    assert table.cells["status"].value_counts().to_dict() == {"paper only": 44, "not run": 12}
    assert table.cells["quoted"].sum() == 3
    text = str(table)
    assert "SEM-PCYC    64-d        0.297  paper only" in text
    assert "0.487 (quoted)" in text


def test_what_only_we_measure_stands_below_with_p25():
    rows = [SAKE, replace(SAKE, metric="P@25", value=0.9)]
    rows += [number(0.5, "small", **SPLIT, method=m) for m in ("L_B", "pretrained")]
    block = results.table1(rows_frame(rows)).blocks()["Sketchy Ext. (ours: sketchy-125x25/zeroshot1)"]
    assert block["method"].tolist()[-5:] == ["SAKE", "SAKE", "pretrained", "L_B", "SAKE"]
    assert "P@25 ours" in block and "P@25 paper" not in block
    assert block["P@25 ours"].tolist()[-1] == "0.900"


def test_spread_and_number_of_seeds_are_shown():
    rows = numbers(0.4, 0.5, 0.6, preset="small", **SPLIT)
    text = str(results.table1(rows_frame(rows)))
    assert "0.500 ± 0.100 (3)" in text
    assert f"Seeds 0, 1, 2; runs {', '.join(r.run for r in rows)}; metrics: standard convention" in text
    assert "± standard deviation" in text
    assert "± standard deviation" not in str(results.table1(rows_frame([SAKE])))


@pytest.mark.parametrize(
    "preset, words",
    [
        ("mini", "generated miniature world: shows that the pipeline works, not evidence for the paper"),
        ("small", "25 + 25 images a class of Sketchy; not comparable with the paper's absolute figures"),
        ("paper", "the paper's data sets at full size"),
    ],
)
def test_every_rendering_says_what_the_data_is(preset, words):
    table = results.table3(rows_frame([number(0.5, preset)]))
    for rendering in (table._repr_html_().replace("&#x27;", "'"), str(table), *table.texts().values()):
        assert words in rendering
        assert ("diff*" in rendering.replace("\\*", "*")) == (preset != "paper")


def test_stand_ins_are_named():
    table = results.table4(rows_frame([number(0.5, "small", task="ZS-PBIR", backbone="cse_resnet50")]))
    got = cell(table, task="ZS-PBIR", backbone="cse_resnet50", method="SAKE")
    assert (got["paper"], got["ours"]) == (0.683, 0.5)
    ours = stand_ins("small").backbones["cse_resnet50"]
    wanted = f"sketchy-125x25/zeroshot1 for TU-Berlin Ext.; {ours} for CSE-ResNet-50"
    assert table.label[-1] == f"In place of the paper's: {wanted}"


def test_codes_of_longer_features_are_a_named_deviation():
    variants = [results.code_variant(r, 512) for r in ("512-d", "512-bit", "64-bit", "")]
    assert variants == ["", "", "512-d to bits", ""]
    rows = [number(0.3, representation="64-bit")]
    rows += [number(0.4, dim=512, representation="64-bit", variant="512-d to bits")]
    got = cell(results.table2(rows_frame(rows)), dataset="tuberlin", method="SAKE", representation="64-bit")
    assert got["ours"] == 0.3


def test_lambda_grids_find_their_cells():
    grid = [(0.0, 0.1), (1.0, 0.0), (1.0, 3.0)]
    table = results.table3(rows_frame([number(a + b, lambda1=a, lambda2=b) for a, b in grid]))
    for a, b in grid:
        assert cell(table, lambda1=a, lambda2=b)["ours"] == pytest.approx(a + b)
    assert (table.cells["status"] == "measured").sum() == 3

    table = results.table5(rows_frame([number(v / 10, lambda_sake=v) for v in (0.0, 0.1, 1.0)]))
    for v in (0.0, 0.1, 1.0):
        assert cell(table, task="ZS-SBIR", lambda_sake=v)["ours"] == pytest.approx(v / 10)
    assert (table.cells["status"] == "measured").sum() == 3


def test_a_sweep_beside_the_main_runs_leaves_them_the_main_runs():
    rows = [number(v / 10, "small", **SPLIT, lambda_sake=v) for v in (0.1, 0.3, 1.0)]
    table = results.table1(rows_frame(rows))
    assert table.cells.query("dataset == 'tuberlin'")["ours"].isna().all()  # for which the subset does not stand
    got = cell(table, representation="64-d", method="SAKE", dataset="sketchy")
    assert got["ours"] == pytest.approx(setting(preset("small"), "lambda_sake") / 10)


def test_named_deviations_and_other_conventions_stay_out():
    rows = [number(0.5), number(0.9, variant="dedupe"), number(0.8, convention="sake")]
    frame = rows_frame(rows)
    where = {"task": "ZS-SBIR", "backbone": "cse_resnet50", "method": "SAKE"}
    assert cell(results.table4(frame), **where)["ours"] == 0.5
    assert cell(results.table4(frame, convention="sake"), **where)["ours"] == 0.8
    assert cell(results.table4(rows_frame(rows[:1]), convention="sake"), **where)["status"] == "not run"


def test_other_systems_that_were_run_here_fill_their_rows(monkeypatch):
    monkeypatch.setitem(methods.METHODS, "ZSIH", "sake:SAKE")  # registered, as another class would be
    got = results.table1(rows_frame([number(0.2, method="ZSIH", representation="64-bit")]))
    assert cell(got, method="ZSIH", dataset="tuberlin", metric="mAP@all")["difference"] == pytest.approx(-0.02)


def test_csv_reads_back(tmp_path):
    row = number(0.5, task="probe", metric="top-1", backbone="alexnet", representation="")
    table = results.forgetting(rows_frame([row]))
    written = table.save(tmp_path)
    assert [p.name for p in written] == ["forgetting.csv", "forgetting.md", "forgetting.tex"]
    back = pd.read_csv(written[0], comment="#")
    assert back["paper"].tolist() == table.cells["paper"].tolist()
    assert np.nansum(back["ours"]) == pytest.approx(0.5)
    assert "0.5139" in str(table)
    assert written[1].read_text(encoding="utf-8") == table.to_markdown()


def own_table(network: str, monkeypatch, *values: float):
    """A table of a grid of one's own over two networks, the one of which has an odd name."""
    grid = results.Grid("Networks", backbone=("cse_resnet50", network))
    monkeypatch.setitem(GRIDS, "own:NETS", (grid,))
    return results.comparison("own:NETS", rows_frame(numbers(*values, backbone=network)))


def test_latex_escapes_what_latex_would_read(monkeypatch):
    latex = own_table(r"net_50% & {x}#1\~^$", monkeypatch, 0.4, 0.5).to_latex()
    assert r"net\_50\% \& \{x\}\#1\textbackslash{}\textasciitilde{}\textasciicircum{}\$" in latex
    assert r"0.450 $\pm$ 0.071 (2)" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert body and all(line.replace(r"\&", "").count("&") == 1 for line in body)
    for pair in ("table", "tabular"):
        assert latex.count(rf"\begin{{{pair}}}") == latex.count(rf"\end{{{pair}}}")


def test_markdown_escapes_pipes(monkeypatch):
    assert r"| a\|b | 0.500 |" in own_table("a|b", monkeypatch, 0.5).to_markdown()


def test_html_is_the_same_every_time_and_escaped(monkeypatch):
    table = own_table("<b>net</b>", monkeypatch, 0.5)
    html = table._repr_html_()
    assert html == table._repr_html_()
    assert "<b>net" not in html and "&lt;b&gt;net" in html and 'id="T_nets-0"' in html


def test_unknown_table_is_named():
    with pytest.raises(ConfigError, match="'table9'"):
        results.comparison("table9", rows_frame([]))


@pytest.mark.parametrize("item", ["table1", "table3", "forgetting"])
def test_rows_that_pandas_read_give_the_same_table(item: str) -> None:
    """``pd.read_csv`` makes NaN of an empty cell."""
    file = paths.root() / "results" / "small" / f"{item}-rows.csv"
    ours, theirs = results.read_rows(file), pd.read_csv(file)
    assert str(results.comparison(item, theirs)) == str(results.comparison(item, ours))
    assert str(results.claims(item, theirs)) == str(results.claims(item, ours))
