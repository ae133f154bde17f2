"""The runs of each item of the paper, and its measurements on them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pandas as pd

from .. import inputs, methods, paths
from ..devices import VARIABLE, accelerator
from ..errors import ConfigError, RunError
from ..experiment import Experiment
from ..experiment import preset as check_preset
from ..methods import label
from ..networks.architectures import teacher_architecture
from ..runs import Run, check_settings, find, prepare, run
from . import measures
from .committed import CommittedRun, committed_runs, saved_rows
from .cost import cost_rows, measured_cost
from .jobs import ENGINES, default_jobs, make_runs, unbusy
from .paper import BITS, GRIDS, grids_of
from .rows import Row, rows_frame
from .runrows import run_rows

ITEMS = tuple(GRIDS)
MORE: dict[str, Callable[[Sequence[Run]], Iterable[Row]]] = {  # rows that an item measures beside retrieval
    "table2": lambda runs: measures.code_rows(runs, BITS),
    "table5": measures.domain_rows,
    "figure3": measures.top_rows,
    "figure4": measures.cluster_rows,
    "figure5": measures.group_rows,
    "cost": cost_rows,
    "length": measures.length_rows,
    "quickdraw": measures.doodle_rows,
    "generalised": measures.generalised_rows,
    "teachers": measures.teacher_rows,
}
PAIRED = ("figure5", "cost")  # items that measure a SAKE run together with its L_B run


def experiments(item: str, preset_name: str = "mini", seeds: Iterable[int] = (0,)) -> list[Experiment]:
    """The experiments behind a table or figure, each once.

    Args:
        item: one of ``ITEMS``, such as ``"table1"``; or ``module:NAME`` of a grid of one's own, from the current
            folder or the Python path.
        seeds: of the trained runs; the pretrained network has one seed only.

    Raises:
        ConfigError: for an unknown item or preset, or seeds that are not distinct numbers from 0 on.
    """
    grids = grids_of(item)
    check_preset(preset_name)
    seeds = inputs.wholes(seeds, "seeds", 0)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ConfigError(f"seeds = {[*seeds]} have to be distinct whole numbers from 0 on, at least one.")
    return list(dict.fromkeys(e for grid in grids for _, e in grid.cells(preset_name, seeds)))


def traced(preset_name: str, seeds: Sequence[int]) -> set[Experiment]:
    """The runs with retrieval measured after every epoch too: of ``length``, and ``forgetting``'s first seed."""
    curves = [*experiments("forgetting", preset_name, seeds[:1]), *experiments("length", preset_name, seeds)]
    return {e for e in curves if e.epochs}


def item_runs(
    item: str,
    preset_name: str = "mini",
    seeds: Iterable[int] = (0,),
    jobs: int | None = None,
    engine: str = "local",
    address: str = "auto",
) -> list[Run]:
    """Find or make all runs of an item, and print the number of each.

    Where training takes long (``small`` and ``paper``), committed rows stand in for runs that are not here: rows
    of the item or, if it measures only retrieval, of another such item. Such a run is trained when its embeddings or
    its network are used, or now with ``RERUN=1``. Committed rows of the item's other seeds are kept.

    Args:
        item, preset_name, seeds: as in :func:`experiments`.
        jobs: number of runs made at a time, sharing the cores; None: one a core as far as memory allows, but one in
            all on an accelerator. The numbers do not depend on it.
        engine: ``"local"``, or ``"ray"``: on the machines of a Ray cluster, each run with a GPU or a core.
        address: of the Ray cluster; ``"auto"`` is this machine's cluster.

    Returns:
        The runs, in the order of :func:`experiments`; behind them the committed ones of other seeds.

    Raises:
        ConfigError: as :func:`experiments`; for an unknown engine; if Ray is not installed or no cluster answers.
        RunError: if runs that are to be compared were made on different images, with different teachers, or some on the
            CPU and others on a GPU; the device is checked before missing runs are trained.
        SakeError: if a run could not be made.
    """
    jobs = default_jobs() if jobs is None else inputs.whole(jobs, "jobs", 1)
    inputs.one_of(engine, ENGINES, "engine")
    seeds = inputs.wholes(seeds, "seeds", 0)
    wanted, curves = experiments(item, preset_name, seeds), traced(preset_name, seeds)
    finished = {e: r for e in wanted if (r := find(e))}
    missing = [e for e in wanted if e not in finished]
    if committed := committed_runs(item, missing, curves):
        text = f"{item}, {preset_name}: {len(committed)} of {len(wanted)} runs as committed rows; RERUN=1 trains them."
        print(text, file=sys.stderr, flush=True)
    missing = [e for e in missing if e not in committed]
    for experiment in missing:  # refuse an impossible one before the others are trained
        check_settings(experiment)
    if missing and engine == "local":
        _one_device([*finished.values(), *committed.values()], missing[0])
    if count := len(missing):
        print(f"{item}, {preset_name}: {len(wanted) - count} of {len(wanted)} runs are there.", flush=True)
        if engine == "ray" or min(jobs, count) > 1:
            prepare(missing[0])
            make_runs(missing, curves, jobs, engine, address)
            missing = []
    while missing:
        missing.remove(experiment := unbusy(missing))
        print(f"  run {count - len(missing)} of {count}: {experiment.id}", flush=True)
        run(experiment, trace=experiment in curves)
    runs = [committed.get(experiment) or run(experiment) for experiment in wanted]
    _check_comparable(runs)
    _one_device(runs)
    return runs + _of_other_seeds(item, preset_name, seeds, runs)


def _of_other_seeds(item: str, preset_name: str, seeds: Sequence[int], runs: Sequence[Run]) -> list[Run]:
    """The committed trained runs of the item with other seeds, if they can stand beside these."""
    others = sorted(set(saved_rows(item, preset_name)["seed"]) - {*seeds})
    trained = [e for e in experiments(item, preset_name, others) if e.epochs] if others else []
    if not (committed := [*committed_runs(item, trained, set()).values()]):
        return []
    try:
        _check_comparable([*runs, *committed])
        _one_device([*runs, *committed])
    except RunError:
        return []
    text = ", ".join(map(str, sorted({r.experiment.seed for r in committed})))
    print(f"{item}, {preset_name}: {len(committed)} committed runs of seeds {text} stay.", file=sys.stderr, flush=True)
    return [*committed]


def _one_device(runs: Iterable[Run], missing: Experiment | None = None) -> None:
    """Refuse runs of a CPU beside runs of a GPU, which rounds differently; ``missing`` would be made on this device."""
    cpu, gpu = "on the CPU", "on a GPU"
    by_device = {gpu if r.provenance().get("accelerator") else cpu: f"{r.id} was made" for r in runs}
    if missing:
        by_device.setdefault(gpu if accelerator() else cpu, f"{missing.id} would be made")
    if len(by_device) > 1:
        raise RunError(
            f"{by_device[cpu]} {cpu}, but {by_device[gpu]} {gpu}: a table does not mix them. {VARIABLE}=cpu trains on "
            "the CPU. To make all runs on the GPU, name another folder in SAKEREPRO_RUNS, and set RERUN=1 if rows are "
            "committed."
        )


def _check_comparable(runs: Iterable[Run]) -> None:
    """Refuse runs whose images or teachers differ though their settings are the same: files can change between runs."""
    first: dict[tuple[object, ...], tuple[str, Run]] = {}
    for one in runs:
        e, origin = one.experiment, one.provenance()
        data = ("on other images", e.size, *e.group("data").values())
        network = (teacher_architecture(e.backbone), e.weights, e.size)
        teacher = ("with another teacher", *network, *e.group("teacher").values())
        imitated = ("imitating another network", *network, methods.imitated(e).backbone)
        sources = (origin["data"], origin["teacher"]["sha256"], origin.get("imitated", {}).get("sha256", ""))
        for (what, *key), digest in zip((data, teacher, imitated), sources, strict=True):
            expected, other = first.setdefault((what, *key), (digest, one))
            if expected != digest:
                raise RunError(
                    f"{one.id} was made {what} than {other.id}, so they cannot be compared. Remove the older one of "
                    f"them below {paths.shown(paths.runs())}; the same command makes it again."
                )


def item_rows(item: str, runs: Sequence[Run], original: str = "") -> pd.DataFrame:
    """The tidy rows of an item: retrieval, and measurements of this item alone (on finished runs).

    Slow ones (probes, the teacher's confidence, photos of the original domain) are kept beside the runs.

    Args:
        original: for ``forgetting``, a folder of labelled photos instead of the preset's own original domain.

    Raises:
        ConfigError: for an unknown item.
    """
    grids_of(item)
    runs = inputs.names(runs, "runs", object)
    if original:  # committed rows are of the preset's own original domain
        runs = [run(r.experiment) if isinstance(r, CommittedRun) else r for r in runs]
    committed = [r for r in runs if isinstance(r, CommittedRun)]
    fresh = [r for r in runs if not isinstance(r, CommittedRun)]
    sources = [r for r in runs if r in fresh or (item in PAIRED and label(r.experiment) == "L_B")]
    extra: Iterable[Row] = ()
    if item == "forgetting":
        extra = measures.probe_rows(fresh, original)
    elif item in MORE:
        extra = MORE[item](sources)
    rows = pd.concat([run_rows(fresh), rows_frame(extra), *(r.rows for r in committed)], ignore_index=True)
    place = {r.id: number for number, r in enumerate(runs)}  # the same order, whichever rows were committed
    return rows.sort_values("run", key=lambda ids: ids.map(place), kind="stable", ignore_index=True)


def times(item: str, runs: Iterable[Run]) -> dict[str, Any]:
    """Measurements that depend on this machine, for the item's record: seconds and bytes of ``cost``."""
    sake = [r for r in runs if label(r.experiment) == "SAKE" and not isinstance(r, CommittedRun)]
    return {"measured": {r.id: measured_cost(r) for r in sake}} if item == "cost" and sake else {}
