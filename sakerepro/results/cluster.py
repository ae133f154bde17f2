"""Make runs on the machines of a Ray cluster, each a task with one core and, if the cluster has any, one GPU.

Every machine has to see the same files under the same paths: the current folder, the package, the data, runs and
cache. A task whose worker or machine died starts again on another and continues from the checkpoint of its run.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Collection, Sequence

from .. import paths
from ..devices import VARIABLE
from ..errors import ConfigError, RunError
from ..experiment import Experiment
from ..runs import base, find
from . import jobs

RETRIES = 3  # for a task whose worker or machine died; a refused run is not tried again


def make_runs(experiments: Sequence[Experiment], traced: Collection[Experiment] = (), address: str = "auto") -> None:
    """Like :func:`sakerepro.results.jobs.make_runs`, with as many runs at a time as the cluster has room for.

    Args:
        address: of the cluster, as in ``ray.init``; ``"auto"`` is this machine's cluster.

    Raises:
        ConfigError: if Ray is not installed or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # lines of two runs may differ by one number only
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("engine = ray needs a package: `pip install 'sakerepro[cluster]'`.") from None
    variables = {name: value for name, value in os.environ.items() if name.startswith("SAKEREPRO_")}
    if variables.get(VARIABLE, "").startswith("cuda:"):
        variables[VARIABLE] = "cuda"  # a task sees only its own card
    environment = {"env_vars": {**variables, "PYTHONPATH": paths.search_path()}}
    try:
        cluster = ray.init(address, runtime_env=environment, logging_level=logging.WARNING)
    except ConnectionError as error:
        raise ConfigError(f"address = {address}: no Ray cluster answers. `ray start --head` starts one.") from error
    bases = [b for b in map(base, experiments) if b and not find(b)]
    order = [*dict.fromkeys([*bases, *experiments])]
    with cluster:
        cards = min(1, ray.cluster_resources().get("GPU", 0))
        task = ray.remote(_make_run).options(num_cpus=1, num_gpus=cards, max_retries=RETRIES, name="sakerepro")
        tasks: dict[Experiment | None, ray.ObjectRef] = {}
        for e in order:  # a run on another run's features waits for that run, and takes no core before
            tasks[e] = task.remote(order, order.index(e), traced, os.getcwd(), tasks.get(base(e)))
        failed = []
        for e in order:
            try:
                failed += ray.get(tasks[e])
            except ray.exceptions.RayError as error:  # the worker or machine died too often
                failed.append((e, RunError, str(error).strip().rpartition("\n")[2]))
        time.sleep(1)  # the last lines of the workers are on their way
    reported = {e for e, *_ in failed}
    lost = [e for e in order if e not in reported and not find(e)]
    failed += [(e, RunError, f"{paths.shown(paths.runs())} is not the folder that its machine wrote to") for e in lost]
    jobs.report(order, failed)


def _make_run(
    experiments: Sequence[Experiment], number: int, traced: Collection[Experiment], folder: str, after: object
) -> list[jobs.Failure]:
    """Make one run on a machine of the cluster in a process of its own, like the local engine."""
    os.chdir(folder)
    workers = jobs.Team(experiments, traced)
    workers.waiting = [experiments[number]]
    workers.work(0)
    return workers.failed
