"""The replay of notebooks has teeth: a number, a row or a verdict that is not the committed one is named."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from replay import ELSEWHERE, TIMES, differences, of_the_machine, verdict_changes

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
        rows = [Row("mini", "zeroshot", "SAKE", metric, v, "mini", run=f"run-{i}") for i, v in enumerate(values)]
        write_rows(tmp_path / name, rows)
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
