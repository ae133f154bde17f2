"""The scripts of ``make gpu``: rehearsed on the CPU, without the packages that a machine with a GPU may lack."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pandas as pd
import pytest
import torch

from sakerepro import paths

pytest.importorskip("benchmarks", reason="benchmarks/ is only in a checkout, run from its root")
LACKING = (
    *("nltk", "papermill", "jupyter_client", "nbformat", "ipywidgets", "IPython", "matplotlib", "seaborn"),
    *("faiss", "torchmetrics", "pytorch_metric_learning"),
)
BLOCK = f"""import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {LACKING}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Lacking())
"""


def script(name: str, folder: Path, *arguments: str) -> str:
    """What a script prints; it and the processes that it starts cannot import what is ``LACKING``."""
    (folder / "lacking").mkdir()
    (folder / "lacking" / "sitecustomize.py").write_text(BLOCK)
    search = os.pathsep.join([str(folder / "lacking"), str(paths.root())])
    variables = {**os.environ, "PYTHONPATH": search, "OMP_NUM_THREADS": "1", "OUT": str(folder)}
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=variables, cwd=paths.root(), timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """The same in this process, which lacks nothing."""

    def call(name: str, *arguments: str) -> str:
        monkeypatch.setenv("OUT", str(tmp_path / "out"))
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        monkeypatch.setattr("sakerepro.commands.warm.warm_up", lambda: None)
        importlib.import_module(f"benchmarks.{name}").main()
        return capsys.readouterr().out

    return call


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["gpu_bench", "gpu_small"])
def test_without_a_gpu_a_script_says_so(name: str, called: Callable[..., str], tmp_path: Path) -> None:
    assert called(name).startswith("no GPU")
    assert not any(tmp_path.iterdir())


def test_runs_end_with_their_time(called: Callable[..., str]) -> None:
    said = called("gpu_small", "--rehearse", "--seconds", "0.5", "--jobs", "2")
    assert "0.5 s are over" in said and "no run was finished" in said


@pytest.mark.slow
def test_the_benchmark_is_rehearsed(tmp_path: Path) -> None:
    said = script("gpu_bench", tmp_path, "--rehearse")
    rows = json.loads((tmp_path / "gpu-bench.json").read_text())["rows"]
    assert len(rows) == 21 and all(
        row["seconds"] > 0 for row in rows
    )  # three of each training, size of ranking and ITQ
    ours, cpu = ([row["note"] for row in rows if row["who"] == who] for who in ("sakerepro", "sakerepro on the CPU"))
    assert len(cpu) == 4 and ours[2:6] == cpu  # the same mAP and loss
    assert "rehearsed on the CPU" in said and not any(row["bar"] for row in rows)


@pytest.mark.slow
def test_the_runs_are_rehearsed_and_go_on(drawn: None, tmp_path: Path) -> None:
    script("gpu_small", tmp_path, "--rehearse", "--jobs", "1", "--seconds", "600")
    rows = pd.read_csv(tmp_path / "gpu-small.csv")
    assert set(rows["device"]) == {"cpu"} and set(rows["torch"]) == {metadata.version("torch")}
    assert sorted(set(rows["method"])) == ["L_B", "SAKE"] and rows["run"].nunique() == 2
