"""Runs on a Ray cluster of which a machine dies: the rows of the local engine, to the last bit."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from tiny import same

from sakerepro.__main__ import main
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import Experiment
from sakerepro.methods import change
from sakerepro.networks.weights import read_weights
from sakerepro.results import cluster, jobs
from sakerepro.results.items import item_runs
from sakerepro.results.runrows import run_rows
from sakerepro.runs import busy, find, run

HELD = """
import time
from pathlib import Path
from sakerepro.methods.sake import SAKE

class Held(SAKE):
    def before_epoch(self, epoch, features):
        with open(f"epochs-{self.e.seed}", "a") as file:
            file.write(str(epoch))
        while epoch == 1 and not Path("go").exists():
            time.sleep(0.05)
"""


def begun(e: Experiment) -> str:
    """The epochs that were begun, in order; empty before the first."""
    file = Path(f"epochs-{e.seed}")
    return file.read_text() if file.is_file() else ""


def wait(until: Callable[[], object], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Ray's own
def test_a_machine_that_dies_changes_no_number(tiny_experiment, tmp_path, monkeypatch, capfd):
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    from concurrent.futures import ThreadPoolExecutor

    (tmp_path / "held.py").write_text(HELD)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TQDM_DISABLE")
    held = [change(tiny_experiment, method="held:Held", seed=seed) for seed in (1, 2)]
    wanted = [change(tiny_experiment, method="SAE"), *held]  # SAE's features come from an L_B run, which is not wanted
    (tmp_path / "go").touch()
    done = [run(e, trace=e == held[0]) for e in wanted]  # here, as processes of their own do (test_jobs.py)
    local, weights = run_rows(done), [read_weights(r.file("weights.safetensors")) for r in done]

    for left in ["go", *(f"epochs-{e.seed}" for e in held)]:
        Path(left).unlink()
    monkeypatch.setenv("SAKEREPRO_RUNS", "elsewhere")  # relative to the folder that the tasks go to
    machines = cluster_utils.Cluster()
    try:
        try:
            _, second = machines.add_node(num_cpus=1, include_dashboard=False), machines.add_node(num_cpus=1)
        except Exception as error:  # Ray gives its processes 15 s to start
            pytest.skip(f"this machine is too busy for Ray: {error}")
        with ThreadPoolExecutor(1) as pool:
            making = pool.submit(jobs.make_runs, wanted, held[:1], engine="ray", address=machines.address)
            wait(lambda: making.done() or [*map(begun, held)] == ["01", "01"])
            machines.remove_node(second, allow_graceful=False)
            wait(lambda: [*map(busy, held)].count(False) == 1)
            Path("go").touch()
            making.result(timeout=200)
    finally:
        machines.shutdown()
    # the run of the lost machine began its second epoch again, not its first
    assert sorted(map(begun, held)) == ["01", "011"]
    said = capfd.readouterr().out
    assert all(f"run {number} of 4: done in" in said for number in range(1, 5))
    pd.testing.assert_frame_equal(run_rows([*map(find, wanted)]), local, check_exact=True)
    for e, state in zip(wanted, weights, strict=True):
        assert same(read_weights(find(e).file("weights.safetensors")), state)


@pytest.mark.parametrize("command", [["item", "table1"], ["tune", "--method", "L_B", "--preset", "mini"]])
def test_commands_say_where(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, str]] = []

    def make_runs(experiments: list[Experiment], traced: object, address: str) -> None:
        calls.append((len(experiments), address))
        raise DataError("enough")

    monkeypatch.setattr(cluster, "make_runs", make_runs)
    for name in ("items.prepare", "items.check_settings", "tuning.prepare"):
        monkeypatch.setattr(f"sakerepro.results.{name}", lambda e: None)
    monkeypatch.setattr("sakerepro.commands.warm.warm_up", lambda: None)
    assert main([*command, "--engine", "ray", "--address", "here:1"]) == 3
    assert calls == [(6, "here:1")]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(ConfigError, match="Did you mean 'ray'"):
        item_runs("table1", engine="rai")


def test_without_ray_it_says_what_to_install(tiny_experiment: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match=r"pip install 'sakerepro\[cluster\]'"):
        jobs.make_runs([tiny_experiment], engine="ray")


@pytest.mark.parametrize("chosen, passed_on", [("cuda:1", "cuda"), ("cpu", "cpu")])
def test_a_task_uses_the_card_that_ray_gives_it(chosen, passed_on, tiny_experiment, monkeypatch):
    def init(address: str, runtime_env: dict[str, dict[str, str]], logging_level: int) -> None:
        assert runtime_env["env_vars"]["SAKEREPRO_DEVICE"] == passed_on
        raise ConnectionError

    monkeypatch.setenv("SAKEREPRO_DEVICE", chosen)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(init=init))
    with pytest.raises(ConfigError, match="no Ray cluster answers"):
        cluster.make_runs([tiny_experiment])
