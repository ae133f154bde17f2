"""The command `query`: folders, files that are no sketch, a table, an index by a part of its name."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sakerepro.__main__ import main
from sakerepro.apps.photos import index_photos
from sakerepro.data.quickdraw import parse, picture
from sakerepro.runs import Run


@pytest.fixture
def here(tmp_path: Path, my_run: Run, tiny_place: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two indexes, and a folder with two sketches, a text and a file that is no image."""
    monkeypatch.chdir(tmp_path)
    for name in ("bear", "airplane"):
        index_photos(tiny_place / "data" / "photo" / name, my_run, progress=False)
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


def drawn(stroke: list) -> str:
    return json.dumps({"word": "bear", "key_id": "1", "drawing": [stroke]}) + "\n"


def answers(found: list) -> list:
    """The photos found by each query with their distances, which depend on the batch in the last digits."""
    return [[(hit["photo"], pytest.approx(hit["distance"], abs=1e-5)) for hit in query["found"]] for query in found]


def test_each_drawing_of_a_file_is_a_query(here, monkeypatch, capsys):
    """Answers are those to the same drawings as image files; a bad line is skipped by number; chunks do not matter."""
    strokes = [[[0, 9 * n], [n, 50]] for n in range(5)]
    text = [drawn(s) for s in strokes]
    (here / "bear.ndjson").write_text("".join([*text[:2], "no drawing\n", *text[2:]]))
    (here / "more").mkdir()
    (here / "more" / "x.ndjson.gz").write_bytes(gzip.compress(text[0].encode()))
    for n, line in enumerate(text):
        picture(parse(line.encode(), "x.ndjson:1").strokes, 224).save(here / f"{n}.png")
    monkeypatch.setattr("sakerepro.apps.embedder.CHUNK", 2)
    arguments = ["--index", "bear", "-k", "3"]
    assert main(["query", "bear.ndjson", "more", *arguments, "--json", "--csv", "a.csv", "--sheet", "s.png"]) == 0
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert [q["sketch"] for q in found] == [*(f"bear.ndjson:{n}" for n in (1, 2, 4, 5, 6)), "more/x.ndjson.gz:1"]
    assert "Skipped bear.ndjson, line 3: 'no drawing' is no drawing." in said.err
    assert answers(found)[0] == answers(found)[-1]
    assert main(["query", *(f"{n}.png" for n in range(5)), *arguments, "--json"]) == 0
    assert answers(json.loads(capsys.readouterr().out)) == answers(found)[:5]
    with open("a.csv", newline="", encoding="utf-8") as file:
        assert [line["sketch"] for line in csv.DictReader(file)][::3] == [q["sketch"] for q in found]
    sheet = np.asarray(Image.open("s.png").convert("L"))
    assert all(sheet[10 + 164 * row : 130 + 164 * row, 10:130].min() < 100 for row in range(6))  # each is drawn
    assert main(["query", "bear.ndjson:4", *arguments, "--json"]) == 0
    assert answers(json.loads(capsys.readouterr().out)) == answers(found)[2:3]
    assert main(["query", "bear.ndjson:3", *arguments]) == 3 and "bear.ndjson, line 3" in capsys.readouterr().err
    assert main(["query", "gone.ndjson", *arguments]) == 3 and "gone.ndjson: cannot be read" in capsys.readouterr().err


def test_a_table_has_a_line_for_each_photo_found(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "asks/bear", "--index", "bear", "-k", "3", "--csv", "found.csv", "--json"]) == 0
    (asked,) = json.loads(capsys.readouterr().out)
    with open("found.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line, want in zip(lines, asked["found"], strict=True):
        assert (line["sketch"], int(line["rank"])) == (asked["sketch"], want["rank"])
        assert (line["photo"], line["path"]) == (want["photo"], want["path"])
        assert float(line["distance"]) == pytest.approx(want["distance"], rel=1e-5)


def test_a_photo_that_many_sketches_find_is_looked_for_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, is_file = Counter[Path](), Path.is_file

    def counting(path: Path) -> bool:
        looked[path] += 1
        return is_file(path)

    monkeypatch.setattr(Path, "is_file", counting)
    assert main(["query", "asks", "--index", "bear", "-k", "3"]) == 0
    bears = [n for path, n in looked.items() if path.parent.name == "bear" and "asks" not in path.parts]
    assert bears and set(bears) == {1}


def test_an_index_is_named_by_any_part_of_its_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sketch = "asks/bear/0.png"
    assert main(["query", sketch, "--index", "plane"]) == 0 and "airplane/" in capsys.readouterr().out
    assert main(["query", sketch, "--index", "-"]) == 2
    assert "-: could be airplane-" in capsys.readouterr().err
    (whole,) = (here / "collections").glob("bear-*")
    shutil.copytree(whole, here / "collections" / "sub" / "mine")
    for name in (f"{whole.name}/", "sub/mine"):
        assert main(["query", sketch, "--index", name]) == 0 and "bear/" in capsys.readouterr().out
    assert main(["query", sketch, "--index", "boat"]) == 2 and "boat: is no index" in capsys.readouterr().err
