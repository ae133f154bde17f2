"""Runs made two at a time: the same numbers as one after the other, and one that dies takes no other along."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny import same

from sakerepro import jobs, paths
from sakerepro.errors import DataError, RunError
from sakerepro.experiment import Experiment
from sakerepro.items import item_runs
from sakerepro.runs import find, run
from sakerepro.threads import one_thread
from sakerepro.weights import read_weights


def numbers(e: Experiment) -> tuple[dict[str, torch.Tensor], list[float]]:
    made = find(e)
    assert made is not None
    return read_weights(made.folder / "weights.safetensors"), [m["value"] for m in made.metrics()]


def test_two_at_a_time_make_the_numbers_of_one_after_the_other(
    tiny_experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [tiny_experiment, tiny_experiment.but(lambda_sake=0.0), tiny_experiment.but(epochs=0)]
    jobs.make_runs(wanted, traced=wanted[:1], jobs=2)
    said = capsys.readouterr().out
    assert all(f"run {i + 1} of 3: {e.id}" in said for i, e in enumerate(wanted)) and said.count("done in") == 3
    together = [numbers(e) for e in wanted]
    traced = [("ZS-SBIR" in r.history()) for e in wanted if (r := find(e))]
    assert traced == [True, False, False]

    monkeypatch.setenv("SAKEREPRO_RUNS", str(tmp_path / "alone"))
    for e, (weights, values) in zip(wanted, together, strict=True):
        run(e)
        assert same(numbers(e)[0], weights) and numbers(e)[1] == values


def test_two_threads_change_no_number(tiny_experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = []
    for threads in (1, 2):
        monkeypatch.setenv("SAKEREPRO_RUNS", str(tmp_path / str(threads)))
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            run(tiny_experiment)
            assert torch.get_num_threads() == threads  # a run gives the threads back
        finally:
            torch.set_num_threads(before)
        found.append(numbers(tiny_experiment))
    assert same(found[0][0], found[1][0]) and found[0][1] == found[1][1]


def test_one_thread_is_given_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert torch.get_num_threads() == 1
        np.float64(1 / 0)
    assert torch.get_num_threads() == before


DIES = """
import os, sys, pathlib
from sakerepro import jobs, runs
mark = pathlib.Path(os.environ["MARK"])
def dies(e, trace=False):
    if e.lambda_sake == 0 and (os.environ["ALWAYS"] == "1" or not mark.exists()):
        mark.write_text("")
        os.kill(os.getpid(), 9)
    return runs.run(e, trace)
jobs.run = dies
sys.exit(jobs._child())
"""


@pytest.mark.parametrize("always", [False, True])
def test_a_run_that_dies_is_resumed_once_and_the_others_go_on(
    always: bool, tiny_experiment: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    class Popen(jobs.subprocess.Popen):  # type: ignore[name-defined,type-arg]
        def __init__(self, command, **more):
            super().__init__([sys.executable, "-c", DIES], **more)

    monkeypatch.setenv("MARK", str(tmp_path / "mark"))
    monkeypatch.setenv("ALWAYS", str(int(always)))
    monkeypatch.setattr(jobs.subprocess, "Popen", Popen)
    killed, other = tiny_experiment.but(lambda_sake=0.0, epochs=1), tiny_experiment.but(epochs=0)
    if always:
        with pytest.raises(RunError, match=rf"1 of 2 runs could not be made.*\(1\) are finished.\n  {killed.id}: .*-9"):
            jobs.make_runs([killed, other])
        assert find(killed) is None
    else:
        jobs.make_runs([killed, other])
        assert find(killed)
    assert find(other)
    assert capsys.readouterr().out.count("it goes on from its checkpoint") == 1


def test_what_a_run_is_refused_for_is_said_with_its_kind(tiny_experiment: Experiment, tmp_path: Path) -> None:
    lost = tiny_experiment.but(weights=str(tmp_path / "none.safetensors"))
    with pytest.raises(DataError, match="there is no such weights file"):
        jobs.make_runs([lost, tiny_experiment.but(epochs=0)])
    assert find(tiny_experiment.but(epochs=0))
    assert not list(paths.runs().glob(f"{lost.id}*"))


def test_an_item_makes_what_is_missing_two_at_a_time(
    tiny_experiment: Experiment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = [tiny_experiment.but(epochs=0), tiny_experiment.but(epochs=0, dim=8)]
    monkeypatch.setattr("sakerepro.items.experiments", lambda *_: wanted)
    monkeypatch.setattr("sakerepro.items.traced", lambda *_: set())
    assert [r.experiment for r in item_runs("table1", "mini", [0], jobs=2)] == wanted
    assert "0 of 2 runs are there" in capsys.readouterr().out
    assert [r.experiment for r in item_runs("table1", "mini", [0], jobs=2)] == wanted
    assert not capsys.readouterr().out
