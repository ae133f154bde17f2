"""A run in half precision, and the one that ships with the package: search without training and without a download."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sakerepro as sr
from sakerepro.__main__ import main
from sakerepro.apps.export import export_half
from sakerepro.apps.photos import index_photos
from sakerepro.errors import ConfigError
from sakerepro.methods import label
from sakerepro.runs import FILES, Run, named_run, open_run
from sakerepro.world.files import write_world

ROOT = Path(__file__).parents[2]


def test_a_run_in_half_precision_searches_like_the_run(tiny_run, tmp_path, cli):
    """And its numbers are those of its own weights."""
    assert main(["export", str(tiny_run.folder), "--half", str(tmp_path / "half")]) == 0
    half = open_run(tmp_path / "half")
    assert half.experiment == tiny_run.experiment
    assert half.file("weights.safetensors").stat().st_size < 0.6 * tiny_run.file("weights.safetensors").stat().st_size
    want, got = tiny_run.embeddings(), half.embeddings()
    assert got["gallery"].dtype == np.float32
    np.testing.assert_allclose(got["gallery"], want["gallery"], rtol=0.02, atol=0.02 * np.abs(want["gallery"]).max())
    np.testing.assert_array_equal(got["query_labels"], want["query_labels"])
    assert half.provenance()["trained"]["commit"] == tiny_run.provenance()["commit"]
    assert str(tmp_path) not in half.file("provenance.json").read_text()
    assert "The run wrote the same numbers" in cli("evaluate", str(half.folder)).out


def test_nothing_is_overwritten(tiny_run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is there already"):
        export_half(tiny_run, tmp_path)
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_the_package_ships_with_sake_of_small() -> None:
    run = named_run()
    assert (run.id, label(run.experiment)) == ("sake-sketchy", "SAKE") and run.id == named_run("sake-sketchy").id
    assert run.experiment == sr.preset("small", split="zeroshot1")
    assert sum(run.file(name).stat().st_size for name in FILES) < 12e6
    card = (run.folder / "README.md").read_text()
    assert "Seen (100)" in card and str(ROOT) not in card
    assert np.isfinite(sr.load().embed_sketch(np.eye(64, dtype=np.uint8) * 255)).all()  # checksums are compared, too


def test_half_precision_costs_it_little() -> None:
    """The rotation behind codes is fitted anew on rounded features, and bits near 0 turn, to the better or worse."""
    run = named_run()
    with (ROOT / "results/small/table1-rows.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["run"] == run.experiment.id]
    names = ("task", "representation", "metric", "convention")
    committed = {tuple(row[n] for n in names): row["value"] for row in rows if row["convention"] == "standard"}
    halved = {tuple(m[n] for n in names): m["value"] for m in run.metrics()}
    assert len(committed) >= 8 and committed.keys() <= halved.keys()
    for key, value in committed.items():
        low, high = (-0.01, 0.02) if key[1].endswith("-bit") else (-0.001, 0.001)
        assert low <= halved[key] - float(value) <= high, key


def test_a_stranger_searches_own_photos_with_it(tmp_path: Path, cli: Callable[..., Any]) -> None:
    names = ("owl", "umbrella", "giraffe", "bicycle")
    write_world(tmp_path, seen=(), unseen=names, per_class=6, size=96)
    assert "sake-sketchy" in cli("index", str(tmp_path / "photo"), "--to", str(tmp_path / "index")).out
    sketches = [str(tmp_path / "sketch" / name / "0000.png") for name in names]
    answers = json.loads(cli("query", *sketches, "-k", "6", "--index", str(tmp_path / "index"), "--json").out)
    classes = [[hit["photo"].split("/")[0] for hit in answer["found"]] for answer in answers]
    hits = np.mean([[c == name for c in row] for name, row in zip(names, classes, strict=True)])
    assert hits > 0.4  # chance is 0.25: drawings of this kind it has never seen


def test_the_pad_needs_no_data_set_for_an_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.apps.retriever.BITS", (32,))  # a rotation is fitted for each
    write_world(tmp_path, seen=(), unseen=("owl", "umbrella"), per_class=4, size=96)
    index, _ = index_photos(tmp_path / "photo", named_run(), tmp_path / "index", progress=False)
    (run,) = sr.widgets.choose_runs(collection=str(index.folder))
    pad = sr.widgets.draw_and_retrieve(run, collection=index, k=4)
    assert len(pad.frames[0]) == 4 and {"owl", "umbrella"} >= set(pad.frames[0]["class"])
