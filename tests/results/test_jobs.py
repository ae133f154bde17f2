"""Runs made two at a time: the same numbers as one after the other, and one that dies takes no other along."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fakes import FakeRun
from tiny import same

from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.experiment import Experiment
from sakerepro.networks.weights import read_weights
from sakerepro.results import items, jobs
from sakerepro.runs import Run, find, run
from sakerepro.threads import one_thread


def alike(one: Run, other: Run) -> bool:
    """Whether two runs have the same weights and measurements, to the last bit."""
    weights = (read_weights(r.folder / "weights.safetensors") for r in (one, other))
    return same(*weights) and one.metrics() == other.metrics()


def test_two_at_a_time_make_the_numbers_of_one_after_the_other(tiny_run, tiny_plain, capsys):
    alone = [tiny_run, tiny_plain]
    wanted = [one.experiment for one in alone]
    jobs.make_runs(wanted, traced=wanted[:1], jobs=2)
    said = capsys.readouterr().out
    assert all(f"run {i + 1} of 2: {e.id}" in said for i, e in enumerate(wanted)) and said.count("done in") == 2
    assert all(alike(find(one.experiment), one) for one in alone)
    assert [("ZS-SBIR" in r.history()) for e in wanted if (r := find(e))] == [True, False]


def test_two_threads_change_no_number(tiny_run: Run, with_cores) -> None:
    with_cores(2)
    assert alike(run(tiny_run.experiment), tiny_run)
    assert torch.get_num_threads() == 2  # a run gives the threads back


def test_one_thread_is_given_back_after_an_error() -> None:
    before = torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), one_thread():
        assert torch.get_num_threads() == 1
        np.float64(1 / 0)
    assert torch.get_num_threads() == before


CHILD = """
import json, os, pathlib, sys
e = json.loads(sys.stdin.readline())["experiment"]
made = pathlib.Path(os.environ["MADE"]) / str(e["seed"])
with open(made, "a") as file:
    file.write("x")
print("SAKE:  50%|## | 5/10 [00:05<00:05,  1.0step/s]", file=sys.stderr)
if e["seed"] == 1 and (os.environ["ALWAYS"] or made.read_text() == "x"):
    os.kill(os.getpid(), 9)
if e["seed"] == 2:
    sys.exit(3)
"""


@pytest.fixture
def children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Processes that make nothing: seed 1 dies the first time, seed 2 has no data; how often each began."""

    class Popen(subprocess.Popen):
        def __init__(self, command: list[str], **more: Any) -> None:
            super().__init__([sys.executable, "-c", CHILD], **more)

    monkeypatch.setattr(jobs.subprocess, "Popen", Popen)
    monkeypatch.setenv("MADE", str(tmp_path))
    monkeypatch.setenv("ALWAYS", "")
    return tmp_path


def test_a_run_that_dies_is_resumed_once(children: Path, capsys: pytest.CaptureFixture[str]) -> None:
    jobs.make_runs([Experiment(seed=1), Experiment(seed=3)])
    assert [(children / s).read_text() for s in "13"] == ["xx", "x"]
    assert capsys.readouterr().out.count("it goes on from its checkpoint") == 1


def test_one_that_dies_again_is_reported_and_the_others_are_made(children, monkeypatch):
    monkeypatch.setenv("ALWAYS", "1")
    lost, others = Experiment(seed=1), [Experiment(seed=s) for s in (3, 4, 5)]
    with pytest.raises(RunError, match=rf"1 of 4 runs could not be made.*\(3\) are finished.\n  {lost.id}: .*-9"):
        jobs.make_runs([lost, *others])
    assert [(children / s).read_text() for s in "1345"] == ["xx", "x", "x", "x"]


def test_a_run_that_is_refused_is_not_tried_again(children: Path) -> None:
    with pytest.raises(DataError, match="1 of 2 runs could not be made"):
        jobs.make_runs([Experiment(seed=2), Experiment(seed=3)])
    assert [(children / s).read_text() for s in "23"] == ["x", "x"]


def test_progress_is_said_now_and_then(children, monkeypatch, capsys):
    monkeypatch.setattr(jobs, "EVERY", 0.0)
    jobs.make_runs([Experiment(seed=3)])
    assert "run 1 of 1: SAKE 50 %, 00:05 left" in capsys.readouterr().err


def test_an_item_makes_what_is_missing_two_at_a_time(monkeypatch, capsys):
    jobs_of: dict[Experiment, int] = {}  # and how many at a time
    for name in ("check_settings", "prepare"):
        monkeypatch.setattr(items, name, lambda e: None)
    monkeypatch.setattr(items, "find", lambda e: FakeRun(e) if e in jobs_of else None)
    monkeypatch.setattr(items, "run", FakeRun)
    monkeypatch.setattr(items, "make_runs", lambda es, traced, jobs, *where: jobs_of.update(dict.fromkeys(es, jobs)))
    wanted = items.experiments("table1")
    for _ in range(2):
        assert [r.experiment for r in items.item_runs("table1", jobs=2)] == wanted
    assert jobs_of == dict.fromkeys(wanted, 2) and capsys.readouterr().out.count("0 of 6 runs are there") == 1
    with pytest.raises(ConfigError, match="jobs=0"):
        items.item_runs("table1", jobs=0)


@pytest.mark.parametrize(("cores", "gib", "want"), [(1, 64, 1), (2, 24, 2), (8, 16, 4), (16, 128, 16), (4, 2, 1)])
def test_by_default_cores_and_memory_set_how_many_runs_are_made_at_a_time(monkeypatch, tmp_path, cores, gib, want):
    """One a core, one per 3.5 GiB of memory, at least one; one on an accelerator."""
    monkeypatch.setattr("joblib.cpu_count", lambda: cores)
    monkeypatch.setattr(os, "sysconf", {"SC_PHYS_PAGES": gib * 2**18, "SC_PAGE_SIZE": 2**12}.__getitem__)
    monkeypatch.setattr(jobs, "CONTAINER", [tmp_path / "version 1", tmp_path / "version 2"])
    assert jobs.default_jobs() == want
    for limit, most in (("max", 16), (str(8 * 2**30), 2)):
        jobs.CONTAINER[1].write_text(limit + "\n")
        assert jobs.default_jobs() == min(want, most)
    monkeypatch.setattr("sakerepro.devices.device", lambda: torch.device("meta"))
    assert jobs.default_jobs() == 1
