"""``python -m benchmarks.gpu_small``: Tables 1, 3 and 5 of the preset ``small`` on a GPU, in less than four minutes.

Several runs share the card, each in a process of its own: all runs of the first seed, then of the next, as many as fit.
The same command goes on where it was. Data and weights come from ``SAKEREPRO_REAL_DATA``: a folder, or the file that
``sakerepro data pack sketchy-125x25 --size 128 --to FILE`` writes. Rows say on which device they were made.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import time
from collections.abc import Sequence
from typing import Any

from sakerepro import devices, paths
from sakerepro.errors import SakeError
from sakerepro.experiment import Experiment
from sakerepro.files import write_text

from .gpu_bench import begin, out

ITEMS = ("table1", "table3", "table5")
SEEDS = 10  # at most
SECONDS = 200.0  # for the runs; what is measured of them and the tables take the rest of four minutes


class TimeUp(Exception):
    """The runs had their time."""


def wanted(rehearse: bool) -> list[Experiment]:
    """Every run once, seed by seed; of the rehearsal two, of one short epoch in the miniature world."""
    from sakerepro.results.items import experiments

    if rehearse:
        return [e.but(epochs=1, steps=2) for e in experiments("table1", "mini") if e.epochs][:2]
    return list(dict.fromkeys(e for seed in range(SEEDS) for item in ITEMS for e in experiments(item, "small", [seed])))


def make(experiments: Sequence[Experiment], jobs: int, seconds: float) -> None:
    """Make runs, some at a time, until all are there or the time is over; unfinished ones keep their checkpoints."""
    from sakerepro.commands.warm import warm_up
    from sakerepro.results.jobs import make_runs
    from sakerepro.runs import find, prepare

    def over(*_: Any) -> None:
        raise TimeUp

    missing = [e for e in experiments if find(e) is None]
    if not missing:
        return
    signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        warm_up()
        prepare(missing[0])
        make_runs(missing, jobs=jobs)
    except TimeUp:
        print(f"{seconds:g} s are over.", flush=True)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def tables(experiments: Sequence[Experiment]) -> str:
    """Rows of all finished runs into a file, with device and PyTorch; the mean and spread over seeds as text."""
    import pandas as pd
    import torch

    from sakerepro.results.runrows import run_rows
    from sakerepro.runs import find

    runs = [r for e in experiments if (r := find(e))]
    if not runs:
        return "no run was finished"
    about = {r.id: (r.provenance()["accelerator"] or "cpu", r.provenance()["packages"]["torch"]) for r in runs}
    rows = run_rows(runs)
    rows["device"], rows["torch"] = (rows["run"].map({k: v[i] for k, v in about.items()}) for i in (0, 1))
    file = out("gpu-small.csv")
    write_text(file, rows.to_csv(index=False))
    shown = rows[(rows["metric"] == "mAP@all") & (rows["convention"] == "standard") & (rows["classes"] == "all")]
    by = ["device", "torch", "split", "task", "method", "settings", "representation"]  # no mean over two devices
    summary = shown.groupby(by, sort=False)["value"].agg(["mean", "std", "count"]).reset_index()
    with pd.option_context("display.width", 250, "display.max_columns", None, "display.max_rows", None):
        text = summary.to_string(index=False, float_format=lambda v: f"{v:.4f}")
    seconds = sum(r.provenance()["seconds"] for r in runs)
    return (
        f"{text}\n{len(runs)} of {len(experiments)} runs, {seconds / len(runs):.0f} s each on average, "
        f"PyTorch {torch.__version__}; rows in {paths.shown(file)}"
    )


def main() -> None:
    def add(parser: argparse.ArgumentParser) -> None:
        default = max(1, min(8, (os.cpu_count() or 1) // 2))
        parser.add_argument("--jobs", type=int, default=default, help=f"runs at a time [{default}]")
        parser.add_argument("--seconds", type=float, default=SECONDS, help=f"for the runs [{SECONDS:.0f}]")

    arguments = begin(__doc__, add)
    if arguments is None:
        return
    started = time.monotonic()
    card = re.sub(r"[^a-z0-9]+", "-", (devices.accelerator() or "rehearsal").lower())
    with paths.variable("SAKEREPRO_RUNS", str(paths.runs() / card)):  # runs of another device have the same names
        try:
            experiments = wanted(arguments.rehearse)
            make(experiments, arguments.jobs, arguments.seconds)
        except SakeError as error:
            print(f"{error}")
        print(f"{tables(experiments)}\n{arguments.jobs} at a time; {time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    main()
