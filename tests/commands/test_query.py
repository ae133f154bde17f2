"""The command `query`: folders, files that are no sketch, a table, an index by a part of its name."""

from __future__ import annotations

import csv
import gzip
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

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


def test_folders_are_entered_and_bad_files_skipped(here: Path, cli: Callable[..., Any]) -> None:
    said = cli("query", "asks", "asks/bear/0.png", "--index", "bear", "-k", "2", "--json")
    assert [q["sketch"] for q in json.loads(said.out)] == ["asks/airplane/0.png", "asks/bear/0.png"]
    assert "Skipped asks/bad.png: is not a" in said.err and "Left out: 1 .txt (notes.txt)" in said.err
    assert "asks/bad.png: is not a" in cli("query", "asks/bad.png", "--index", "bear", code=3).err
    (here / "empty").mkdir()
    assert "empty: holds no image" in cli("query", "empty", "--index", "bear", code=3).err


def drawn(stroke: list) -> str:
    return json.dumps({"word": "bear", "key_id": "1", "drawing": [stroke]}) + "\n"


def answers(queries: list) -> list:
    """The photos found by each query with their distances, which depend on the batch in the last digits."""
    return [[(hit["photo"], pytest.approx(hit["distance"], abs=1e-5)) for hit in query["found"]] for query in queries]


def test_each_drawing_of_a_file_is_a_query(here, monkeypatch, cli):
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
    said = cli("query", "bear.ndjson", "more", *arguments, "--json", "--csv", "a.csv", "--sheet", "s.png")
    queries = json.loads(said.out)
    assert [q["sketch"] for q in queries] == [*(f"bear.ndjson:{n}" for n in (1, 2, 4, 5, 6)), "more/x.ndjson.gz:1"]
    assert "Skipped bear.ndjson, line 3: 'no drawing' is no drawing." in said.err
    assert answers(queries)[0] == answers(queries)[-1]
    out = cli("query", *(f"{n}.png" for n in range(5)), *arguments, "--json").out
    assert answers(json.loads(out)) == answers(queries)[:5]
    with open("a.csv", newline="", encoding="utf-8") as file:
        assert [line["sketch"] for line in csv.DictReader(file)][::3] == [q["sketch"] for q in queries]
    sheet = np.asarray(Image.open("s.png").convert("L"))
    assert all(sheet[10 + 164 * row : 130 + 164 * row, 10:130].min() < 100 for row in range(6))  # each is drawn
    assert answers(json.loads(cli("query", "bear.ndjson:4", *arguments, "--json").out)) == answers(queries)[2:3]
    assert "bear.ndjson, line 3" in cli("query", "bear.ndjson:3", *arguments, code=3).err
    assert "gone.ndjson: cannot be read" in cli("query", "gone.ndjson", *arguments, code=3).err


def test_a_table_has_a_line_for_each_photo_found(here: Path, cli: Callable[..., Any]) -> None:
    (answer,) = json.loads(cli("query", "asks/bear", "--index", "bear", "-k", "3", "--csv", "found.csv", "--json").out)
    with open("found.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    for line, want in zip(lines, answer["found"], strict=True):
        assert (line["sketch"], int(line["rank"])) == (answer["sketch"], want["rank"])
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


def test_an_index_is_named_by_any_part_of_its_name(here: Path, cli: Callable[..., Any]) -> None:
    sketch = "asks/bear/0.png"
    assert "airplane/" in cli("query", sketch, "--index", "plane").out
    assert "-: could be airplane-" in cli("query", sketch, "--index", "-", code=2).err
    (whole,) = (here / "collections").glob("bear-*")
    shutil.copytree(whole, here / "collections" / "sub" / "mine")
    for name in (f"{whole.name}/", "sub/mine"):
        assert "bear/" in cli("query", sketch, "--index", name).out
    assert "boat: is no index" in cli("query", sketch, "--index", "boat", code=2).err
