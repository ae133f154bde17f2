"""The notebooks to use, executed as papermill does: no browser, tiny data, the bundled strokes."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import tiny

from sakerepro import paths
from sakerepro.results.notebook import execute
from sakerepro.runs import Run, all_runs

pytestmark = pytest.mark.slow


def outputs(path: Path) -> list[list[str]]:
    """The text of each code cell's outputs; every cell has to have run."""
    cells = [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
    assert all(c.execution_count for c in cells)
    return [[o.get("text") or o["data"].get("text/plain", "") for o in c.outputs] for c in cells]


def test_draw_and_retrieve_answers_the_bundled_drawing(tiny_pair: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    sake, other = tiny_pair
    for place in ("runs", "cache"):  # images that are packed show no bar
        monkeypatch.setenv(f"SAKEREPRO_{place.upper()}", str(sake.folder.parents[1] / place))
    done = execute("explore_draw_and_retrieve", "mini", run=sake.id, other=other.id, k=5, representation="32-bit")
    *_, pad, classes, names, table = outputs(done)
    assert names[0].endswith(f"{sake.id}\n{other.id}\n") and classes == [f"{', '.join(tiny.UNSEEN)}\n"]
    assert "5 nearest photos" in pad[0] and "baseline without L_SAKE" in pad[0]
    rows = [line.split() for line in table[0].splitlines()[1:]]
    assert [row[1] for row in rows] == list("12345") and {row[2] for row in rows} <= set(tiny.UNSEEN)
    assert all(float(row[3]) == int(float(row[3])) <= 32 for row in rows)  # bits that differ
    assert [float(row[3]) for row in rows] == sorted(float(row[3]) for row in rows)
    assert {f.suffix for f in paths.results("mini").glob("draw-and-retrieve*")} == {".png", ".svg"}
    assert "application/vnd.jupyter.widget" not in done.read_text(encoding="utf-8")


def test_train_your_own_goes_from_a_folder_to_an_index(tiny_place: Path, tmp_path: Path) -> None:
    more = {"dim": 16, "bits": [8], "steps": 2, "batch_sketch": 4, "batch_photo": 4, "photo_queries": 3}
    more |= {"weights": str(tiny_place / "se_resnet_mini.safetensors")}
    folder = tiny_place / "data"
    done = execute("train_your_own", "mini", folder=str(folder), size=32, teacher_epochs=0, epochs=1, more=more)
    text = outputs(done)
    assert any("0 problems" in part for part in text[3])
    assert [r.experiment.epochs for r in all_runs()] == [0, 1]
    measured = {float(v) for v in re.findall(r"\d\.\d{3}", "".join(text[5]))}
    values = {
        round(m["value"], 3)
        for r in all_runs()
        for m in r.metrics()
        if (m["metric"], m["convention"]) == ("mAP@all", "standard")
    }
    assert measured == values
    photos = (len(tiny.SEEN) + len(tiny.UNSEEN)) * tiny.PHOTOS
    assert f"Changes(kept=0, added={photos}, removed=0, bad=0, left_out={{}})" in "".join(text[-2])
    assert "10 nearest photos: SAKE, 16-d real-valued" in text[-1][0]
    assert [f.parent.parent.name for f in (tmp_path / "collections").glob("*/photos.sqlite")] == ["collections"]
