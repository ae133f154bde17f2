"""The replay of notebooks has teeth: a number, a row or a verdict that is not the committed one is named."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from replay import ELSEWHERE, TIMES, differences, of_the_machine, replay, verdict_changes

from sakerepro import paths
from sakerepro.results import Row, write_rows
from sakerepro.results.paper_claims import all_claims


@pytest.mark.parametrize(
    ("committed", "replayed", "metric", "tolerance", "says"),
    [
        ((0.5, 0.25), (0.5, 0.25), "mAP@all", 0.0, None),
        ((0.5, 0.25), (0.5, 0.26), "mAP@all", 0.0, "0.25 committed, 0.26 now: .*run-1"),
        ((0.5, 0.25), (0.5, 0.26), "mAP@all", ELSEWHERE, None),
        ((0.5, 0.25), (0.5, 0.25 + 1.1 * ELSEWHERE), "mAP@all", ELSEWHERE, "0.25 committed"),
        ((0.5,), (0.5 + 1.1 * ELSEWHERE,), "seen@25", 0.0, "0.5 committed"),
        ((0.5,), (0.5 + 1.1 * ELSEWHERE,), "seen@25", ELSEWHERE, None),  # shares of seen classes may differ more
        ((0.5,), (0.5 + (TIMES + 0.1) * ELSEWHERE,), "seen@25", ELSEWHERE, "0.5 committed"),
        ((0.5, 0.25), (0.5,), "mAP@all", ELSEWHERE, "1 rows committed only.*run-1"),
        ((0.5,), (0.5, 0.25), "mAP@all", ELSEWHERE, "1 rows new"),
        ((1.0,), (2.0,), "seconds a step", 0.0, None),  # what a machine needs is not compared
    ],
)
def test_rows_that_are_others_are_named(tmp_path, committed, replayed, metric, tolerance, says):
    for name, values in (("committed", committed), ("replayed", replayed)):
        made = [Row("mini", "zeroshot", "SAKE", metric, v, "mini", run=f"run-{i}") for i, v in enumerate(values)]
        write_rows(tmp_path / name, made)
    said = differences(tmp_path / "committed", tmp_path / "replayed", tolerance)
    assert len(said) == bool(says) and all(re.search(says, line) for line in said)
    assert differences(tmp_path / "committed", tmp_path / "none", 0.0) == ["committed: the replay wrote none"]


def test_verdicts_that_differ_are_listed(tmp_path: Path) -> None:
    for name, verdicts in (("a", ["holds", "fails"]), ("b", ["holds", "holds"])):
        frame = pd.DataFrame({"claim": ["one", "two"], "verdict": verdicts})
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    assert verdict_changes(tmp_path / "a.csv", tmp_path / "a.csv") == []
    assert verdict_changes(tmp_path / "a.csv", tmp_path / "b.csv") == ["a.csv: two: fails committed, holds now"]


def test_verdicts_on_times_are_those_of_the_machine_and_no_others() -> None:
    assert [claim for claim in all_claims() if of_the_machine(claim)] == ["cost.training-time", "cost.test-time"]


CELL = """
import sakerepro as sr
from sakerepro import paths
from sakerepro.results import Row, write_rows
lambda2 = 0.3
row = Row("mini", "zeroshot", "SAKE", "mAP@all", 0.5 - 0.1 * lambda2, "mini", run=f"run-{lambda2}")
write_rows(sr.paths.results("mini") / "table3-rows.csv", [row])
"""


@pytest.mark.slow
def test_a_lambda_that_was_changed_by_hand_makes_the_replay_fail(tmp_path: Path) -> None:
    notebook, results = tmp_path / "mini" / "table3.ipynb", tmp_path / "replayed"
    exec(CELL, {})  # what the notebook wrote as it was committed
    committed = paths.results("mini") / "table3-rows.csv"
    cell = new_code_cell(CELL.replace("0.3", "0.1"), execution_count=1)
    notebook.parent.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel}), notebook)
    assert replay(notebook.parent, results, workers=1) == 0
    written = results / "mini" / "table3-rows.csv"
    assert differences(committed, written, 0.0)
    assert differences(committed, written, ELSEWHERE)  # another run: the tolerance does not hide it
