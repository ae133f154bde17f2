"""A method in a module outside the package: every command takes it, and no file of the package names it."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import tiny

from sakerepro import paths
from sakerepro.__main__ import main

METHOD = ["--method", "toy_triplet:ToyTriplet"]
NETWORK = ["--backbone", "cse_resnet_mini", "--size", "32", "--dim", "16", "--bits", "8"]
LENGTH = ["--epochs", "4", "--steps", "8", "--batch-sketch", "5", "--batch-photo", "7", "--select", "last"]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("own")
    tiny.write_folder(place / "data")
    tiny.write_weights(place / "se_resnet_mini.safetensors")
    return place


def variables(place: Path, runs: str) -> dict[str, str]:
    """Environment of a command: the folders of its runs and results, and the path on which it finds the method."""
    places = {name: str(place / name) for name in ("results", "cache", "collections")} | {"runs": str(place / runs)}
    search_path = os.pathsep.join(map(str, (paths.root(), Path(__file__).parent)))
    return {f"SAKEREPRO_{name.upper()}": folder for name, folder in places.items()} | {"PYTHONPATH": search_path}


def says(place: Path, *arguments: str, runs: str = "runs") -> str:
    """What ``sakerepro`` prints in this folder; it has to succeed."""
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(io.StringIO()) as out:
        for name, value in variables(place, runs).items():
            patch.setenv(name, value)
        patch.chdir(place)
        patch.syspath_prepend(str(place))  # as `python -m sakerepro` has it
        assert main(arguments) == 0
    return out.getvalue()


def training(place: Path, *more: str) -> list[str]:
    data = ["--dataset", str(place / "data"), "--weights", str(place / "se_resnet_mini.safetensors")]
    return ["train", "--preset", "paper", "--precision", "float32", *data, *NETWORK, *LENGTH, *METHOD, *more]


@pytest.fixture(scope="module")
def run_id(place: Path) -> str:
    return json.loads(says(place, *training(place), "--json"))["id"]


def test_it_trains_and_its_settings_are_flags_that_stand_in_the_id(place: Path, run_id: str) -> None:
    assert "-toytriplet-" in run_id
    other = json.loads(says(place, *training(place, "--margin", "0.5", "--epochs", "1"), "--json"))
    assert "-toytriplet-margin=0.5-" in other["id"] and other["experiment"]["settings"] == {"margin": 0.5}
    history = (place / "runs" / run_id / "history.csv").read_text().splitlines()
    assert "triplet" in history[0] and "val_top1" in history[0] and len(history) == 5


def test_killed_and_resumed_it_ends_the_same(place: Path, run_id: str) -> None:
    """A run that is killed after its first checkpoint writes the same files as one that is not."""
    command = [sys.executable, "-m", "sakerepro", *training(place)]
    child = subprocess.Popen(command, env=os.environ | variables(place, "killed"), cwd=place, stdout=subprocess.DEVNULL)
    checkpoint = place / "killed" / f".work-{run_id}" / "checkpoint.pt"
    while not checkpoint.exists() and child.poll() is None:
        time.sleep(0.02)
    child.kill()
    assert child.wait() == -signal.SIGKILL and not (place / "killed" / run_id).exists()
    says(place, *training(place), runs="killed")
    for name in ("weights.safetensors", "embeddings.npz"):
        one, other = ((place / runs / run_id / name).read_bytes() for runs in ("runs", "killed"))
        assert one == other, name


def test_it_is_measured_searched_compared_and_described(place: Path, run_id: str) -> None:
    assert "wrote the same numbers" in says(place, "evaluate", run_id)
    says(place, "index", str(place / "data" / "photo"), "--run", run_id, "--to", str(place / "index"))
    sketch = next((place / "data" / "sketch").rglob("*.png"))
    query = ["query", str(sketch), "--index", str(place / "index"), "-k", "3", "--json"]
    (answer,) = json.loads(says(place, *query))
    assert len(answer["found"]) == 3
    plain = [a for a in training(place) if a not in METHOD] + ["--method", "L_B"]
    baseline = json.loads(says(place, *plain, "--json"))["id"]
    compared = json.loads(says(place, "compare", run_id, baseline, "--json"))
    assert [g["settings"]["method"] for g in compared["groups"]] == ["toy_triplet:ToyTriplet", "SAKE"] and compared[
        "tests"
    ]
    says(place, "card", run_id, "--to", str(place / "card.md"))
    assert "the method ToyTriplet" in (place / "card.md").read_text()


def test_it_stands_in_a_table_and_in_status_through_a_grid(place: Path) -> None:
    """The grid names the method and the tiny task; its notebook is the skeleton."""
    settings = tiny.settings(place / "data", place / "se_resnet_mini.safetensors", epochs=1, steps=2, select="last")
    del settings["bits"]  # a tuple is an axis
    grid = f'TOY = Grid("A method of my own", method=("L_B", "toy_triplet:ToyTriplet"), bits=((8,),), **{settings!r})'
    (place / "toy_grids.py").write_text(f"from sakerepro.results import Grid\n\n{grid}\n")
    said = says(place, "item", "toy_grids:TOY", "--preset", "paper", "--precision", "float32", "--jobs", "1")
    assert "ToyTriplet" in said and "A method of my own" in said
    assert "ToyTriplet" in (place / "results" / "paper" / "toy.md").read_text()
    states = json.loads(says(place, "status", "--preset", "paper", "--json"))
    (state,) = (one for one in states if one["item"] == "toy_grids:TOY")
    assert (state["state"], state["why"]) == ("done", "") and len(state["record"]["runs"]) == 2
