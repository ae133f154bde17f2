"""The replay of notebooks has teeth: a number, a row or a verdict that is not the committed one is named."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from replay import ELSEWHERE, TIMES, differences, of_the_machine, replay, verdict_changes

from sakerepro import paths
from sakerepro.results import Row, write_rows
from sakerepro.results.paper_claims import all_claims


def rows(file: Path, *values: float, metric: str = "mAP@all") -> Path:
    made = [Row("mini", "zeroshot", "SAKE", metric, v, "mini", run=f"run-{i}") for i, v in enumerate(values)]
    write_rows(file, made)
    return file


def test_equal_rows_are_equal_and_no_other(tmp_path: Path) -> None:
    committed = rows(tmp_path / "a.csv", 0.5, 0.25)
    assert differences(committed, rows(tmp_path / "b.csv", 0.5, 0.25), 0.0) == []
    (said,) = differences(committed, rows(tmp_path / "c.csv", 0.5, 0.26), 0.0)
    assert "0.25 committed, 0.26 now" in said and "run-1" in said
    assert differences(committed, tmp_path / "c.csv", ELSEWHERE) == []
    assert differences(committed, rows(tmp_path / "d.csv", 0.5, 0.25 + 1.1 * ELSEWHERE), ELSEWHERE)


def test_shares_of_seen_classes_may_differ_more_on_another_processor(tmp_path: Path) -> None:
    committed, near, far = (
        rows(tmp_path / f"{x}.csv", 0.5 + x * ELSEWHERE, metric="seen@25") for x in (0, 1.1, TIMES + 0.1)
    )
    assert differences(committed, near, 0.0) and not differences(committed, near, ELSEWHERE)
    assert differences(committed, far, ELSEWHERE)


def test_rows_that_are_gone_or_new_are_named(tmp_path: Path) -> None:
    committed = rows(tmp_path / "a.csv", 0.5, 0.25)
    (said,) = differences(committed, rows(tmp_path / "b.csv", 0.5), ELSEWHERE)
    assert "1 rows committed only" in said and "run-1" in said
    (said,) = differences(tmp_path / "b.csv", committed, ELSEWHERE)
    assert "1 rows new" in said
    assert differences(committed, tmp_path / "none.csv", ELSEWHERE) == ["a.csv: the replay wrote none"]


def test_what_a_machine_needs_is_not_compared(tmp_path: Path) -> None:
    first, second = (rows(tmp_path / f"{v}.csv", v, metric="seconds a step") for v in (1.0, 2.0))
    assert differences(first, second, 0.0) == []


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
