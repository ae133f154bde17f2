"""What REPRODUCING.md says besides verdicts: SAKE's gain by class, and what the runs read."""

from __future__ import annotations

import csv
import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats

import sakerepro as sr
from sakerepro.results.findings import lead, preserving_text
from sakerepro.results.report import report
from sakerepro.teachers import shipped_file

SMALL = Path(__file__).parents[2] / "results" / "small"


@pytest.fixture
def committed(monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(SMALL.parent))
    return sr.results.by_class()


def test_a_class_has_the_mean_over_the_seeds_of_its_file(committed: pd.DataFrame) -> None:
    records = json.loads((SMALL / "table1-runs.json").read_text())
    with (SMALL / "table1-rows.csv").open() as file:
        runs = {row["run"]: (row["method"], row["split"]) for row in csv.DictReader(file)}
    assert len(committed) == 2 * (25 + 21) and not committed.isna().any(axis=None)
    for row in committed.sample(12, random_state=0).to_dict("records"):
        for method in ("pretrained", "L_B", "SAKE"):
            seeds = [records[run] for run, of in runs.items() if of == (method, row["split"])]
            values = [
                run["precision"][f"{row['task']}/64-d"]["mean"][run["classes"].index(row["class"])] for run in seeds
            ]
            assert row[method] == pytest.approx(sum(values) / len(values))
        assert row["gain"] == pytest.approx(row["SAKE"] - row["L_B"])
    package = Path(sr.__file__).parent
    wnids = pd.read_csv(package / "data/sketchy.csv").set_index("class")["wnid"]
    itself = wnids[committed["class"]].isin(pd.read_csv(package / "tables/imagenet1k.csv")["wnid"]).tolist()
    assert any(itself) and committed["similarity"].eq(1).tolist() == itself


@pytest.mark.parametrize("preset", ["mini", "small"])
def test_a_run_has_the_same_numbers_in_every_item(preset: str) -> None:
    """Else a run was made twice, on two machines or by two versions of the code, and only some items were made anew."""
    files = [*(SMALL.parent / preset).glob("*-rows.csv")]
    rows = pd.concat([pd.read_csv(file, keep_default_na=False) for file in files], ignore_index=True)
    values = rows.groupby([name for name in rows if name != "value"])["value"].nunique()
    assert len(files) > 10 and values[values > 1].index.unique("run").tolist() == []


def test_a_lead_is_that_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(3)
    at = pd.MultiIndex.from_product([["A", "B", "C"], ["one", "two"], [0, 1, 2]], names=["method", "split", "seed"])
    frame = pd.DataFrame({"value": rng.normal(size=18)}, at).drop(("B", "two", 1))
    a, b = (frame.loc[method].drop(("two", 1), errors="ignore")["value"] for method in "AB")
    ends = scipy.stats.ttest_rel(a, b).confidence_interval(0.9)
    assert lead(frame.reset_index(), "A", "B").tolist() == pytest.approx([(a - b).mean(), *ends, 5])


def test_groups_are_thirds_and_intervals_hold_their_means() -> None:
    frame = pd.DataFrame({"task": "ZS-SBIR", "pretrained": [0.5, 0.1, 0.9, 0.2, 0.6, 0.8, 0.3], "L_B": 0.5})
    frame["gain"] = frame["pretrained"].gt(0.4) * 0.1
    frame["SAKE"], frame["class"] = frame["L_B"] + frame["gain"], [*"abcdefg"]
    for by, task, said in (("gains", "ZS-SBIR", "by='gains'"), ("pretrained", "SBIR", "task='SBIR'")):
        with pytest.raises(sr.ConfigError, match=said):
            sr.results.gain_by(frame, by, task)
    groups = sr.results.gain_by(frame, "pretrained", "ZS-SBIR")
    assert groups["classes"].tolist() == [3, 2, 2] and groups["group"].tolist() == ["low", "medium", "high"]
    assert groups["first"].tolist() == [0.1, 0.5, 0.8] and groups["last"].tolist() == [0.3, 0.6, 0.9]
    np.testing.assert_allclose(groups[["gain", "low", "high"]], [[0.0] * 3, [0.1] * 3, [0.1] * 3])


def test_without_rows_there_is_no_text(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(tmp_path))
    assert sr.results.by_class().empty and not preserving_text()
    with pytest.raises(sr.ConfigError, match="No class was measured"):
        sr.plots.gain_chart(sr.results.by_class())


def test_the_chart_has_a_mark_for_every_class(committed: pd.DataFrame) -> None:
    for axis, task in zip(sr.plots.gain_chart(committed).axes, ("ZS-SBIR", "ZS-PBIR"), strict=True):
        drawn = np.concatenate([np.asarray(c.get_offsets()) for c in axis.collections if len(c.get_offsets()) > 3])
        part = committed[committed["task"] == task]
        np.testing.assert_allclose(sorted(drawn[:, 1]), sorted(part["gain"]))


def test_what_runs_read_is_named_with_its_checksum(drawn: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(SMALL.parent))
    section = report().partition("## What the runs read")[2].partition("\n## ")[0]
    for network in ("se_resnet_mini", "resnet_mini", "alexnet_mini"):
        digits = hashlib.sha256(shipped_file(network).read_bytes()).hexdigest()[:12]
        assert f"| `mini` | pretrained weights of {network} | {digits} | yes" in section
    world = sr.load_dataset("mini", size=48)
    assert f"| `mini` | images of mini | zeroshot {world.fingerprint[:12]}," in section
    with (SMALL / "table1-rows.csv").open() as file:
        runs = {row["run"] for row in csv.DictReader(file)}
    records = json.loads((SMALL / "table1-runs.json").read_text())
    assert all(records[run][what][:12] in section for run in runs for what in ("data", "teacher"))
