"""Choose a method's settings on seen classes that are held out as if unseen; unseen classes play no part.

Every method has the same number of trials. The first has the preset's own settings; the others are points of the
method's grid (``search`` of its settings). If the method trains a backbone, learning rate and number of epochs vary
too, since longer fine-tuning forgets more. A trial is an ordinary run; its line replaces the run if that is gone.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import files, inputs, methods, paths
from ..data.known import datasets
from ..errors import ConfigError, DataError, RunError
from ..experiment import Experiment, stand_ins
from ..provenance import versions
from ..runs import Run, find, map_all, prepare, run
from .committed import RERUN
from .grids import ours_on
from .jobs import ENGINES, default_jobs, make_runs
from .runrows import settings_text

RATES = (0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0)  # times the preset's lr and lr_end; few above 1, where training can diverge
LENGTHS = (0.5, 1.0, 2.0)  # times the preset's epochs
NUMBERS = ("ZS-SBIR", "ZS-SBIR 64-bit", "ZS-PBIR")  # mAP@all of embeddings, of their codes, from photo to photo


def trial_experiments(
    method: str, preset: str = "small", trials: int = 6, seed: int = 0, **given: Any
) -> list[Experiment]:
    """The experiments of a search, no two equal; a search with more trials begins with the same ones."""
    name, fixed = methods.resolved(method)
    cls = methods.class_of(name)
    first = methods.preset(preset, **{**given, "method": method, "seed": seed})
    if "pseudo_unseen" not in given:
        first = first.but(pseudo_unseen=stand_ins(preset).data["tuberlin/long"]["pseudo_unseen"])
    axes = {name: s.search for name, s in cls.settings.items() if s.search and name not in fixed}
    if first.epochs and "features" not in cls.needs:
        axes["lr"] = tuple(float(f"{first.lr * k:g}") for k in RATES)
        axes["epochs"] = tuple(max(1, round(first.epochs * k)) for k in LENGTHS)
    axes = {name: values for name, values in axes.items() if name not in given}
    grid, chosen = [*itertools.product(*axes.values())], {first: None}
    points = [grid[i] for i in np.random.default_rng(seed).permutation(len(grid))]
    uses = Counter((name, methods.flat(first)[name]) for name in axes)
    while points and len(chosen) < inputs.whole(trials, "trials", 1):
        # the point whose values were used least, so that trials spread out
        point = min(points, key=lambda values: sum(uses[pair] for pair in zip(axes, values, strict=True)))
        points.remove(point)
        uses.update(zip(axes, point, strict=True))
        changes = dict(zip(axes, point, strict=True))
        lr_end = float(f"{first.lr_end * changes.get('lr', first.lr) / first.lr:g}")
        chosen[methods.change(first, **changes, lr_end=lr_end)] = None
    if trials > len(chosen):
        raise ConfigError(f"trials = {trials}: {method} has {len(chosen)} different ones. Ask for 1 ... {len(chosen)}.")
    return [*chosen][:trials]


def tune(
    method: str,
    preset: str = "small",
    trials: int = 6,
    seed: int = 0,
    jobs: int | None = None,
    engine: str = "local",
    address: str = "auto",
    confirm: Sequence[int] = (),
    **given: Any,
) -> pd.DataFrame:
    """Find or make the trials of a method, and keep what they measured in ``results/<preset>/tuning.csv``.

    Args:
        method: a name or alias as of :func:`sakerepro.preset`.
        preset: ``"mini"``, ``"small"`` or ``"paper"``; says how many seen classes are held out.
        trials: number of trials; give every method of a comparison the same.
        seed: seed for drawing the settings and for the runs.
        jobs, engine, address: as in :func:`sakerepro.item_runs`.
        confirm: seeds for which the settings of the best trial are then trained on all seen classes of each split of
            the data set, and measured on the unseen ones. This selects nothing.
        given: settings of every trial in place of the preset's, such as ``backbone`` or ``dataset``, by name.

    Returns:
        A line a trial, the best ZS-SBIR first, then a line for each split and seed of ``confirm``, with ``trial``,
        ``data`` (data set, split, draw of held-out classes), ``settings`` (empty for the preset's own), mAP@all of
        ``ZS-SBIR``, ``ZS-SBIR 64-bit`` and ``ZS-PBIR`` (NaN: not measured, or the training failed), and more.

    Raises:
        ConfigError: for an unknown method, preset or setting, or a value that is not possible.
        SakeError: if no trial could be made.
    """
    wanted, seeds = trial_experiments(method, preset, trials, seed, **given), inputs.wholes(confirm, "confirm", 0)
    jobs = default_jobs() if jobs is None else inputs.whole(jobs, "jobs", 1)
    where = jobs, inputs.one_of(engine, ENGINES, "engine"), address
    lines = _find_or_make(method, preset, range(trials), wanted, *where)
    lines = lines.sort_values(NUMBERS[0], ascending=False, kind="stable", ignore_index=True)
    if not seeds:
        return lines
    best = int(lines["trial"][0])
    record = datasets().get(wanted[best].dataset)
    splits = record.splits if record and record.splits else (wanted[best].split,)
    again = [wanted[best].but(pseudo_unseen=0, split=split, seed=s) for split in splits for s in seeds]
    return pd.concat([lines, _find_or_make(method, preset, [best] * len(again), again, *where)], ignore_index=True)


def _find_or_make(
    method: str, preset: str, trials: Sequence[int], wanted: list[Experiment], jobs: int, engine: str, address: str
) -> pd.DataFrame:
    """Find or make the runs of some trials, and keep their lines."""
    preset_data = wanted[0].dataset == methods.preset(preset).dataset  # another folder's images may have changed since
    committed = kept_trials(preset) if preset_data else {}
    without_run = [e for e in wanted if find(e) is None]
    if count := sum(e.id in committed for e in without_run):
        text = f"{method}, {preset}: {count} of {len(wanted)} trials as committed lines; {RERUN}=1 trains them."
        print(text, file=sys.stderr, flush=True)
    if missing := [e for e in without_run if e.id not in committed]:
        print(f"{method}, {preset}: {len(wanted) - len(missing)} of {len(wanted)} trials are there.", flush=True)
        prepare(missing[0])
        try:
            make_runs(missing, (), jobs, engine, address)
        except RunError as error:  # such as a loss that is not finite: a trial all the same, without numbers
            if not any(find(e) or e.id in committed for e in wanted):
                raise
            print(error, file=sys.stderr, flush=True)
    # run, not only find: it refuses a run whose images changed
    numbers = [_numbers(run(e)) if find(e) else committed.get(e.id, {}) for e in wanted]
    frame = pd.DataFrame(map(_line, trials, wanted, numbers)).astype(dict.fromkeys(NUMBERS, float))
    _save(tuning_file(preset), frame)
    return frame


def tuning_file(preset: str) -> Path:
    """``results/<preset>/tuning.csv``."""
    return paths.results(preset) / "tuning.csv"


def _numbers(run: Run) -> dict[str, float]:
    values = {f"{task} {kind}" if kind.endswith("-bit") else task: v for (task, kind), v in map_all(run).items()}
    return {name: values[name] for name in NUMBERS if name in values}


def _line(trial: int, e: Experiment, numbers: dict[str, float]) -> dict[str, Any]:
    backbone = f"backbone={e.backbone}" if e.backbone != methods.preset(e.preset).backbone else ""
    return {
        "method": methods.label(e),
        "trial": trial,
        "data": ours_on(e),
        "settings": ", ".join(filter(None, [backbone, settings_text(e)])),
        **{name: numbers.get(name) for name in NUMBERS},
        "seed": e.seed,
        "run": e.id,
        **versions(),
    }


def kept_trials(preset: str) -> dict[str, dict[str, float]]:
    """The numbers in a preset's committed lines of the current versions, by run id.

    A line names the data set, not its files. If the data set was made anew, the line is about the earlier images.
    """
    if os.environ.get(RERUN) or not stand_ins(preset).from_rows:
        return {}
    lines = read_trials(tuning_file(preset))
    lines = lines[(lines[[*versions()]] == [*map(str, versions().values())]).all(axis=1) & (lines[NUMBERS[0]] != "")]
    return {line["run"]: {n: float(line[n]) for n in NUMBERS if line[n]} for line in lines.to_dict("records")}


def read_trials(file: Path) -> pd.DataFrame:
    """The lines of a file, with numbers as text; none without the file."""
    columns = ["method", "trial", "data", "settings", *NUMBERS, "seed", "run", *versions()]
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False)[columns].astype({"trial": int, "seed": int})
    except FileNotFoundError:
        return pd.DataFrame(columns=columns)
    except (ValueError, KeyError) as error:
        raise DataError(f"{paths.shown(file)}: these are not trials ({error}). Remove it, then tune again.") from error


def _save(file: Path, frame: pd.DataFrame) -> None:
    """Add lines to the file; a run's new line replaces its earlier one."""
    with files.lock(files.hidden(file, ".lock")):  # another search of the preset adds its lines
        lines = pd.concat([read_trials(file), frame]) if file.is_file() else frame
        lines = lines.drop_duplicates("run", keep="last")
        lines = lines.sort_values(["method", "data", "seed", "trial"], kind="stable")
        files.write_text(file, lines.to_csv(index=False, lineterminator="\n"))
