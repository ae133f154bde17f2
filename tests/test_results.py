"""Rows, means, tables: against numbers worked out by hand."""

import math
from dataclasses import replace
from io import StringIO

import numpy as np
import pandas as pd
import pytest

from sakerepro import results
from sakerepro.errors import ConfigError, DataError
from sakerepro.methods import preset
from sakerepro.results import Row, read_rows, rows_frame, write_rows

SAKE = Row(
    "sketchy-125x25", "zeroshot1", "SAKE", "mAP@all", 0.5, "small", "64-d", backbone="cse_mobilenetv2_100",
    lambda_sake=0.3, lambda1=1.0, lambda2=0.3, run="r0", training=1, measuring=1,
)  # fmt: skip
TUBERLIN = replace(SAKE, dataset="tuberlin", split="zeroshot", preset="paper", backbone="cse_resnet50", lambda_sake=1.0)


def seeds(row, *values):
    return [replace(row, seed=i, value=v, run=f"{row.run}-{i}") for i, v in enumerate(values)]


def cell(table, **where):
    cells = table.cells
    for column, wanted in where.items():
        cells = cells[cells[column] == wanted]
    assert len(cells) == 1
    return cells.iloc[0]


def test_csv_round_trip_keeps_every_digit(tmp_path):
    rows = [replace(SAKE, value=1 / 3, training=2), replace(SAKE, method="pretrained", seed=7, variant='512-d, "ITQ"')]
    write_rows(tmp_path / "rows.csv", rows)
    back = read_rows(tmp_path / "rows.csv")
    pd.testing.assert_frame_equal(back, rows_frame(rows))
    assert back["value"].tolist() == [1 / 3, 0.5]
    assert back["variant"].tolist() == ["", '512-d, "ITQ"']
    assert back["training"].tolist() == [2, 1]


def test_no_rows_round_trip(tmp_path):
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


@pytest.mark.parametrize(
    "given, method",
    [((0, 1, 0.3), "L_B"), ((1, 1, 0), "L_B + L_T"), ((1, 0, 0), "SAKE"), ((0.3, 1, 0.1), "SAKE")],
)
def test_settings_have_one_name(given, method):
    names = ("lambda_sake", "lambda1", "lambda2")
    frame = rows_frame([replace(SAKE, **dict(zip(names, given, strict=True)))])
    assert frame["method"].tolist() == [method]


def test_presets_are_not_mixed():
    frame = rows_frame([SAKE, replace(SAKE, preset="mini", seed=1)])
    with pytest.raises(ConfigError, match="presets mini, small are mixed"):
        results.table1(frame)


def test_two_runs_for_one_seed_are_refused():
    frame = rows_frame([TUBERLIN, replace(TUBERLIN, run="other", value=0.6)])
    with pytest.raises(ConfigError, match="differ in run"):
        results.table4(frame)


def test_difference_to_the_paper_by_hand():
    rows = seeds(replace(TUBERLIN, representation="64-bit"), 0.34, 0.36)
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
    assert table.cells["lost"].sum() == 3
    text = str(table)
    assert "SEM-PCYC    64-d        0.297  paper only" in text
    assert "lost" in text


def test_what_only_we_measure_stands_below_with_p25():
    rows = [SAKE, replace(SAKE, metric="P@25", value=0.9)]
    rows += [replace(SAKE, method="L_B"), replace(SAKE, method="pretrained")]
    block = results.table1(rows_frame(rows)).blocks()["Sketchy Ext. (ours: sketchy-125x25/zeroshot1)"]
    assert block["method"].tolist()[-5:] == ["SAKE", "SAKE", "pretrained", "L_B", "SAKE"]
    assert "P@25 ours" in block and "P@25 paper" not in block
    assert block["P@25 ours"].tolist()[-1] == "0.900"


def test_spread_and_number_of_seeds_are_shown():
    text = str(results.table1(rows_frame(seeds(SAKE, 0.4, 0.5, 0.6))))
    assert "0.500 ± 0.100 (3)" in text
    assert "Seeds 0, 1, 2; runs r0-0, r0-1, r0-2; metrics: standard convention" in text
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
    table = results.table3(rows_frame([replace(TUBERLIN, preset=preset)]))
    plain = {"html": table.to_html().replace("&#x27;", "'"), "text": str(table), "csv": table.to_csv()}
    for rendering in (*plain.values(), table.to_markdown(), table.to_latex()):
        assert words in rendering
        assert ("diff*" in rendering.replace("\\*", "*")) == (preset != "paper")


def test_stand_ins_are_named():
    table = results.table4(rows_frame([replace(SAKE, task="ZS-PBIR")]))
    got = cell(table, task="ZS-PBIR", backbone="cse_resnet50", method="SAKE")
    assert (got["paper"], got["ours"]) == (0.683, 0.5)
    assert table.label[-1] == (
        "In place of the paper's: sketchy-125x25/zeroshot1 for TU-Berlin Ext.; cse_mobilenetv2_100 for CSE-ResNet-50; "
        "lambda_sake = 0.3 (paper: 1)"
    )


def test_codes_of_longer_features_are_a_named_deviation():
    variants = [results.code_variant(r, 512) for r in ("512-d", "512-bit", "64-bit", "")]
    assert variants == ["", "", "512-d to bits", ""]
    rows = [replace(TUBERLIN, representation="64-bit", run=str(d), value=v, variant=results.code_variant("64-bit", d))
            for d, v in ((64, 0.3), (512, 0.4))]  # fmt: skip
    got = cell(results.table2(rows_frame(rows)), dataset="tuberlin", method="SAKE", representation="64-bit")
    assert got["ours"] == 0.3


def test_the_small_subset_does_not_stand_in_for_tuberlin_in_table1():
    cells = results.table1(rows_frame([SAKE])).cells
    assert cells[cells["dataset"] == "tuberlin"]["ours"].isna().all()


def test_lambda_grids_find_their_cells():
    grid = [(0.0, 0.1), (1.0, 0.0), (1.0, 3.0)]
    rows = [replace(TUBERLIN, lambda1=a, lambda2=b, value=a + b, run=f"{a}{b}") for a, b in grid]
    table = results.table3(rows_frame(rows))
    for a, b in grid:
        assert cell(table, lambda1=a, lambda2=b)["ours"] == pytest.approx(a + b)
    assert (table.cells["status"] == "measured").sum() == 3

    sweep = [replace(TUBERLIN, lambda_sake=v, value=v / 10, run=str(v)) for v in (0.0, 0.1, 1.0)]
    table = results.table5(rows_frame(sweep))
    for v in (0.0, 0.1, 1.0):
        assert cell(table, task="ZS-SBIR", lambda_sake=v)["ours"] == pytest.approx(v / 10)
    assert (table.cells["status"] == "measured").sum() == 3


def test_main_setting_is_asked_for_when_it_cannot_be_told():
    frame = rows_frame([replace(SAKE, lambda_sake=v, run=str(v), value=v / 10) for v in (0.1, 3.0)])
    with pytest.raises(ConfigError, match=r"lambda_sake = 0.1, 3.*setting="):
        results.table1(frame)
    table = results.table1(frame, setting={"lambda_sake": 3})
    got = cell(table, representation="64-d", method="SAKE", dataset="sketchy")
    assert got["ours"] == pytest.approx(0.3)
    with pytest.raises(ConfigError, match="'lambda'"):
        results.table1(frame, setting={"lambda": 0.3})


def test_named_deviations_and_other_conventions_stay_out():
    rows = [TUBERLIN, replace(TUBERLIN, variant="dedupe", value=0.9), replace(TUBERLIN, convention="sake", value=0.8)]
    frame = rows_frame(rows)
    where = {"task": "ZS-SBIR", "backbone": "cse_resnet50", "method": "SAKE"}
    assert cell(results.table4(frame), **where)["ours"] == 0.5
    assert cell(results.table4(frame, convention="sake"), **where)["ours"] == 0.8


def test_other_systems_that_were_run_here_fill_their_rows():
    row = replace(TUBERLIN, method="ZSIH", representation="64-bit", backbone="", value=0.2, lambda_sake=math.nan)
    got = cell(results.table1(rows_frame([row])), method="ZSIH", dataset="tuberlin", metric="mAP@all")
    assert got["difference"] == pytest.approx(-0.02)


def test_csv_reads_back(tmp_path):
    table = results.forgetting(rows_frame([replace(TUBERLIN, task="probe", metric="top-1", backbone="alexnet")]))
    back = pd.read_csv(StringIO(table.to_csv()), comment="#")
    assert back["paper"].tolist() == table.cells["paper"].tolist()
    assert np.nansum(back["ours"]) == pytest.approx(0.5)
    assert "0.5139" in str(table)
    written = table.save(tmp_path)
    assert [p.name for p in written] == ["forgetting.csv", "forgetting.md", "forgetting.tex"]
    assert written[1].read_text(encoding="utf-8") == table.to_markdown()


def test_latex_escapes_what_latex_would_read():
    rows = [replace(TUBERLIN, backbone=r"net_50% & {x}#1\~^$"), *seeds(TUBERLIN, 0.4, 0.5)]
    latex = results.table4(rows_frame(rows)).to_latex()
    assert r"net\_50\% \& \{x\}\#1\textbackslash{}\textasciitilde{}\textasciicircum{}\$" in latex
    assert r"0.450 $\pm$ 0.071 (2)" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert all(line.replace(r"\&", "").count("&") == 4 for line in body)
    for pair in ("table", "tabular"):
        assert latex.count(rf"\begin{{{pair}}}") == latex.count(rf"\end{{{pair}}}")


def test_markdown_escapes_pipes():
    markdown = results.table4(rows_frame([replace(TUBERLIN, backbone="a|b")])).to_markdown()
    assert r"| a\|b | SAKE |" in markdown


def test_html_is_the_same_every_time_and_escaped():
    frame = rows_frame([replace(TUBERLIN, backbone="<b>net</b>")])
    assert results.table4(frame).to_html() == results.table4(frame)._repr_html_()
    assert "<b>net" not in results.table4(frame).to_html()
    assert 'id="T_table4-0"' in results.table4(frame).to_html()


def test_unknown_table_is_named():
    with pytest.raises(ConfigError, match="'table9'"):
        results.comparison("table9", rows_frame([]))


def test_a_sweep_beside_the_main_runs_leaves_them_the_main_runs():
    rows = [replace(SAKE, lambda_sake=v, run=str(v), value=v / 10) for v in (0.1, 0.3, 1.0)]
    got = cell(results.table1(rows_frame(rows)), representation="64-d", method="SAKE", dataset="sketchy")
    main = preset("small").lambda_sake
    assert got["ours"] == pytest.approx(main / 10)  # the sweep holds the main runs too
