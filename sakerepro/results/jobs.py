"""Make several runs at a time, each in a process of its own on one thread: the same numbers as one after the other."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from ..experiment import Experiment
from .team import Team, report

ENGINES = ("local", "ray")


def default_jobs() -> int:
    """Runs at a time: as many as there are cores, two at most; one where an accelerator does the work."""
    from ..devices import device

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 1 if device().type != "cpu" else min(2, cores)


def make_runs(
    experiments: Sequence[Experiment],
    traced: Collection[Experiment] = (),
    jobs: int = 2,
    engine: str = "local",
    address: str = "auto",
) -> None:
    """Make the runs of experiments that have none yet, ``jobs`` at a time.

    A run that dies is resumed once from its checkpoint. One that fails again, or that is refused (missing data, a loss
    that is not finite), is reported at the end; the others are made.

    Args:
        experiments: each once.
        traced: those whose retrieval is measured after every epoch, too.
        jobs: processes at a time, each with one thread.
        engine, address: ``"ray"`` makes them on the cluster at that address (``cluster.py``), ``"local"`` here.

    Raises:
        SakeError: of the kind of the first run that failed, naming all that failed and why.
    """
    if engine == "ray":
        from . import cluster

        return cluster.make_runs(experiments, traced, address)
    team = Team(experiments, traced)
    with ThreadPoolExecutor(jobs) as pool:
        try:
            workers = [pool.submit(team.work, slot) for slot in range(min(jobs, len(experiments)))]
            for worker in wait(workers, return_when=FIRST_EXCEPTION).done:
                worker.result()
        finally:
            team.stop()
    report(experiments, team.failed)
