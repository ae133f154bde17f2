"""Make runs on the machines of a Ray cluster, each a task with one core and, if the cluster has any, one GPU.

Every machine has to see the same files under the same paths: the current folder, the package, the data, runs and
cache. So a task whose worker or machine died starts again elsewhere and goes on from the checkpoint of its run.
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

RETRIES = 3  # of a task whose worker or machine died; a run that is refused is not tried again


def make_runs(experiments: Sequence[Experiment], traced: Collection[Experiment] = (), address: str = "auto") -> None:
    """As :func:`sakerepro.results.jobs.make_runs`, as many runs at a time as the cluster has room for.

    Args:
        address: of the cluster, as ``ray.init`` takes it: ``"auto"`` is the one that this machine belongs to.

    Raises:
        ConfigError: if Ray is not installed or no cluster answers.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")  # lines of two runs may differ in nothing but a number
    try:
        import ray
    except ModuleNotFoundError:
        raise ConfigError("engine = ray needs a package: `pip install 'sakerepro[cluster]'`.") from None
    own = {name: value for name, value in os.environ.items() if name.startswith("SAKEREPRO_")}
    if own.get(VARIABLE, "").startswith("cuda:"):
        own[VARIABLE] = "cuda"  # a task sees no card but its own
    environment = {"env_vars": {**own, "PYTHONPATH": paths.search_path()}}
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
        for e in order:  # one whose features come from another run takes no room until that is there
            tasks[e] = task.remote(order, order.index(e), traced, os.getcwd(), tasks.get(base(e)))
        failed = []
        for e in order:
            try:
                failed += ray.get(tasks[e])
            except ray.exceptions.RayError as error:  # its worker or machine died too often
                failed.append((e, RunError, str(error).strip().rpartition("\n")[2]))
        time.sleep(1)  # the last lines of the workers are on their way
    said = {e for e, *_ in failed}
    lost = [e for e in order if e not in said and not find(e)]
    failed += [(e, RunError, f"{paths.shown(paths.runs())} is not the folder that its machine wrote to") for e in lost]
    jobs.report(order, failed)


def _make_run(
    experiments: Sequence[Experiment], number: int, traced: Collection[Experiment], folder: str, after: object
) -> list[jobs.Failure]:
    """Make one run on a machine of the cluster, as the local engine does, in a process of its own."""
    os.chdir(folder)
    workers = jobs.Team(experiments, traced)
    workers.waiting = [experiments[number]]
    workers.work(0)
    return workers.failed
