"""The command `query`: folders, files that are no sketch, a table, an index by a part of its name."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from sakerepro.__main__ import main
from sakerepro.apps.photos import index_photos
from sakerepro.runs import Run


@pytest.fixture
def here(tmp_path: Path, tiny_run: Run, tiny_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two indexes, and a folder with two sketches, a text and a file that is no image."""
    monkeypatch.setenv("SAKEREPRO_COLLECTIONS", str(tmp_path / "collections"))
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run.folder, tmp_path / "runs" / tiny_run.id)
    for name in ("bear", "airplane"):
        index_photos(tiny_place / "data" / "photo" / name, tiny_run, progress=False)
        (tmp_path / "asks" / name).mkdir(parents=True)
        shutil.copy(tiny_place / "data" / "sketch" / name / "0.png", tmp_path / "asks" / name)
    (tmp_path / "asks" / "bad.png").write_bytes(b"no image")
    (tmp_path / "asks" / "notes.txt").write_text("a text")
    return tmp_path


def test_folders_are_entered_and_bad_files_skipped(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "asks", "asks/bear/0.png", "--index", "bear", "-k", "2", "--json"]) == 0
    said = capsys.readouterr()
    assert [q["sketch"] for q in json.loads(said.out)] == ["asks/airplane/0.png", "asks/bear/0.png"]
    assert "Skipped asks/bad.png: is not a" in said.err and "Left out: 1 .txt (notes.txt)" in said.err
    assert main(["query", "asks/bad.png", "--index", "bear"]) == 3
    assert "asks/bad.png: is not a" in capsys.readouterr().err
    (here / "empty").mkdir()
    assert main(["query", "empty", "--index", "bear"]) == 3 and "empty: holds no image" in capsys.readouterr().err


def test_a_table_has_a_line_for_each_photo_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "asks/bear", "--index", "bear", "-k", "3", "--csv", "found.csv", "--json"]) == 0
    (asked,) = json.loads(capsys.readouterr().out)
    with open("found.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line, want in zip(lines, asked["found"], strict=True):
        assert (line["sketch"], int(line["rank"])) == (asked["sketch"], want["rank"])
        assert (line["photo"], line["path"]) == (want["photo"], want["path"])
        assert float(line["distance"]) == pytest.approx(want["distance"], rel=1e-5)


def test_an_index_is_named_by_any_part_of_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sketch = "asks/bear/0.png"
    assert main(["query", sketch, "--index", "plane"]) == 0 and "airplane/" in capsys.readouterr().out
    assert main(["query", sketch, "--index", "-"]) == 2
    assert "-: could be airplane-" in capsys.readouterr().err
    assert main(["query", sketch, "--index", "boat"]) == 2 and "boat: is no index" in capsys.readouterr().err
