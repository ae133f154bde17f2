"""Findings and the README's real numbers: what is written is what the committed rows say, or `tables` fails."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from unittest.mock import Mock

import pytest

import sakerepro as sr
from sakerepro.errors import DataError
from sakerepro.results import findings
from sakerepro.results.findings import write_findings
from sakerepro.results.tables_text import filled
from sakerepro.results.tuning import NUMBERS, read_trials

ROOT = Path(__file__).parents[2]


def mean(method: str, task: str = "ZS-SBIR", split: str = "zeroshot1") -> str:
    """Mean over seeds of mAP@all, real-valued, from the files alone."""
    values = {}
    for item in ("table1", "systems"):
        with (ROOT / f"results/small/{item}-rows.csv").open() as file:
            values |= {
                row["run"]: float(row["value"])
                for row in csv.DictReader(file)
                if (row["method"], row["task"], row["split"]) == (method, task, split)
                and (row["metric"], row["convention"]) == ("mAP@all", "standard")
                and row["representation"].endswith("-d")
            }
    return f"{sum(values.values()) / len(values):.3f}"


def place(folder: Path) -> Path:
    (folder / "docs").mkdir()
    shutil.copy(ROOT / "README.md", folder)
    (folder / "results/small").mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "results/small/choices.md", folder / "results/small")
    return folder


def test_they_are_what_the_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(ROOT / "results"))
    for page in write_findings(place(tmp_path)):
        assert page.read_text(encoding="utf-8") == (ROOT / page.relative_to(tmp_path)).read_text(encoding="utf-8")


def test_the_numbers_are_means_of_rows() -> None:
    text = (ROOT / "docs/findings.md").read_text(encoding="utf-8")
    assert f"that helps on `zeroshot1`\n({mean('SAKE', 'ZS-PBIR')}; L_B {mean('L_B', 'ZS-PBIR')}, the network" in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"| {', '.join(mean(m, split='zeroshot2') for m in ('pretrained', 'L_B', 'SAKE'))} |" in readme
    assert f"GN-Triplet reaches {mean('GN-Triplet')}" in readme


def test_trials_stand_as_they_were_measured() -> None:
    text = (ROOT / "results/small/choices.md").read_text(encoding="utf-8")
    with (ROOT / "results/small/tuning.csv").open() as file:
        for line in csv.DictReader(file):
            numbers = (f"{float(line[name]):.3f}" for name in ("ZS-SBIR", "ZS-SBIR 64-bit", "ZS-PBIR"))
            assert re.search(
                rf"^\| (`\w+` \| )?{line['method']} \| .* \| {' . '.join(numbers)} \|$", text, flags=re.MULTILINE
            )


def test_a_trial_that_failed_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(ROOT / "results"))
    trials = read_trials(ROOT / "results/small/tuning.csv")
    trials.loc[trials["trial"] == 1, list(NUMBERS)] = ""
    trials.to_csv(tmp_path / "tuning.csv", index=False)
    monkeypatch.setattr(findings, "tuning_file", lambda preset: tmp_path / "tuning.csv")
    text = filled("trials.md", **findings._facts() | {"holds": lambda premise, sentence: ""})
    assert text.count("| training failed | training failed | training failed |") == 4
    trials[~trials["settings"].str.startswith("backbone=")].to_csv(tmp_path / "tuning.csv", index=False)
    with pytest.raises(DataError, match="tuning.csv: lacks trials"):
        findings._facts()
    (tmp_path / "tuning.csv").unlink()
    with pytest.raises(DataError, match="tuning.csv: lacks trials"):
        findings._facts()


def test_a_page_without_its_marks_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(ROOT / "results"))
    readme = place(tmp_path) / "README.md"
    readme.write_text(text := readme.read_text().replace("<!-- to here -->", "<!-- to there -->"))
    with pytest.raises(DataError, match="README.md: has no <!-- from rows --> and <!-- to here -->"):
        write_findings(tmp_path)
    assert readme.read_text() == text


def test_a_sentence_that_no_longer_holds_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "results/small", tmp_path / "results/small")
    rows = tmp_path / "results/small/table1-rows.csv"
    rows.write_text(re.sub(r"^(.*,SAKE,mAP@all,)[^,]*", r"\g<1>0.9", rows.read_text(), flags=re.M))
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(tmp_path / "results"))
    with pytest.raises(DataError, match="no longer holds"):
        write_findings(place(tmp_path))
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()


def test_rows_that_contradict_us_leave_our_sentences_and_make_the_report(tmp_path, monkeypatch, cli):
    monkeypatch.setattr("sakerepro.results.tables_text.holds", Mock(side_effect=DataError("no longer holds")))
    monkeypatch.setenv("SAKEREPRO_HOME", str(place(tmp_path)))
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(tmp_path / "results"))
    shutil.copytree(ROOT / "results/small", tmp_path / "results/small", dirs_exist_ok=True)
    assert "README.md, docs/findings.md and results/small/choices.md stay as they are." in cli("tables").err
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    assert (tmp_path / "REPRODUCING.md").is_file()


def test_bars_of_conventions_are_their_metrics() -> None:
    run = sr.load().run
    x = run.embeddings()
    arrays = (x["query"], x["gallery"], x["query_labels"], x["gallery_labels"])
    axis = sr.plots.conventions_chart(run).axes[0]
    names = [label.get_text() for label in axis.get_xticklabels()]
    for bars, convention in zip(axis.containers, ("standard", "sake", "sem-pcyc"), strict=True):
        metrics = sr.retrieval_metrics(*arrays, ks=(100, 200), convention=convention).summary()
        assert [bar.get_height() for bar in bars] == pytest.approx([metrics[name] for name in names])
