"""``train``, ``tune``, ``methods``, ``runs``: make and list runs, and choose settings on classes that are held out."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterable
from typing import Any

from .. import methods as systems
from .. import paths
from ..errors import ConfigError, DataError, SakeError, near_misses
from ..runs import Run, find, map_all, open_run, require_images, run, run_folders
from .common import numbers, print_json, print_table
from .settings import settings, shown

WIDTH, COLUMN = 100, 9  # characters of a list of runs, and of one of its numbers


def train(arguments: argparse.Namespace) -> None:
    """Find or make a run."""
    changes = settings(arguments)
    e = systems.preset(arguments.preset, **changes)
    earlier = find(e)
    if earlier and e.dataset.startswith("/"):  # a folder may have changed since
        try:
            require_images(earlier, earlier.dataset().fingerprint)
        except DataError as error:
            print(f"sakerepro: {error} The images were not compared with those of the run.", file=sys.stderr)
    finished = earlier or run(e, trace=arguments.trace)
    if arguments.json:
        print_json(_entry(finished))
        return
    show_runs([finished])
    print(f"{'Found, nothing trained: ' if earlier else ''}{paths.shown(finished.folder)}")


def tune(arguments: argparse.Namespace) -> None:
    """Make the trials, list them, and show how to train with the best."""
    from ..results import tuning

    given: dict[str, Any] = settings(arguments)
    preset, method, seed = arguments.preset, given.pop("method", "SAKE"), given.pop("seed", 0)
    where, confirm = (arguments.jobs, arguments.engine, arguments.address), arguments.confirm
    seeds = numbers(confirm, "confirm") if confirm else []
    trials = tuning.tune(method, preset, arguments.trials, seed, *where, seeds, **given)
    print(f"\n{method}, preset {preset}: mAP@all on {trials['data'][0]}, seen classes held out as if unseen\n")
    lines = trials.astype(object).where(trials.notna(), None).to_dict("records")
    lines, confirmed = lines[: arguments.trials], lines[arguments.trials :]
    print_table(
        ["trial", "settings", *tuning.NUMBERS],
        [[t["trial"], t["settings"] or "the preset's own", *(t[n] for n in tuning.NUMBERS)] for t in lines],
        left=2,
    )
    best = tuning.trial_experiments(method, preset, arguments.trials, seed, **given)[lines[0]["trial"]]
    dataset = {k: v for k, v in given.items() if k == "dataset"}  # a data set changes the defaults
    defaults = systems.flat(systems.preset(preset, **dataset, method=method))
    changed = dataset | {k: v for k, v in systems.flat(best.but(pseudo_unseen=0)).items() if v != defaults[k]}
    flags = [flag for k, v in changed.items() for flag in (f"--{k.replace('_', '-')}", shown(v))]
    print(f"\nBest is trial {lines[0]['trial']} of {len(lines)}. To train with its settings on all seen classes:")
    print(f"  {shlex.join(['sakerepro', 'train', '--preset', preset, '--method', method, *flags])}\n")
    if confirmed:
        print("The best trial, trained on all seen classes and measured on the unseen ones:\n")
        print_table(
            ["split", "seed", *tuning.NUMBERS],
            [[t["data"], t["seed"], *(t[n] for n in tuning.NUMBERS)] for t in confirmed],
        )
        print()
    print(f"All trials: {paths.shown(tuning.tuning_file(preset))}")


def methods(arguments: argparse.Namespace) -> None:
    """List the methods with what they need and their settings."""
    classes = {name: systems.class_of(name) for name in systems.METHODS}
    if arguments.json:
        print_json(
            {
                name: {
                    "needs": sorted(c.needs),
                    "distance": c.distance,
                    "version": c.version,
                    "settings": {k: {"default": s.default, "help": s.help} for k, s in c.settings.items()},
                }
                for name, c in classes.items()
            }
        )
        return
    for name, c in classes.items():
        about = (c.__doc__ or "").partition("\n")[0]
        print(f"{name}: {about}\n  needs {', '.join(sorted(c.needs)) or 'images and labels only'}; {c.distance}")
        for key, s in c.settings.items():
            tried = f"; tune tries {', '.join(map(shown, s.search))}" if s.search else ""
            print(f"  --{key.replace('_', '-')}: {s.help} [{shown(s.default)}]{tried}")
    for name, (method, values) in systems.ALIASES.items():
        print(f"{name}: {method} with {', '.join(f'{k} = {v}' for k, v in values.items())}")


def runs(arguments: argparse.Namespace) -> int:
    """List finished runs; the exit code is 1 if one is damaged."""
    finished, damaged = [], []
    for folder in run_folders():
        try:
            finished.append(open_run(folder))
        except SakeError as error:
            damaged.append({"folder": str(folder), "problem": str(error)})
    names = {r.id: f"{r.id} {systems.label(r.experiment)}".lower() for r in finished}
    chosen = [r for r in finished if all(part.lower() in names[r.id] for part in arguments.part)]
    if arguments.json:
        print_json({"runs": [_entry(r) for r in chosen], "damaged": damaged})
        return 1 if damaged else 0
    if chosen:
        show_runs(chosen, arguments.sort or "")
    elif finished and not damaged:
        print(f"No finished run has {' and '.join(arguments.part)} in its id or method. `sakerepro runs` lists all.")
    elif not damaged:
        print("There are no finished runs yet. `make table1` or `sakerepro train` makes the first.")
    for entry in damaged:
        print(f"Damaged: {entry['problem']}")
    return 1 if damaged else 0


def _entry(r: Run) -> dict[str, Any]:
    return {
        "id": r.id,
        "folder": str(r.folder),
        "method": systems.label(r.experiment),
        "experiment": r.experiment.to_dict(),
        "metrics": r.metrics(),
        "provenance": r.provenance(),
    }


def show_runs(listed: Iterable[Run], sort: str = "") -> None:
    """mAP@all (standard convention) of runs, a line each, at most 100 characters wide.

    Raises:
        ConfigError: if no column has ``sort`` in its name.
    """
    lines = {r.id: map_all(r) for r in listed}
    columns = sorted(dict.fromkeys(c for line in lines.values() for c in line), key=lambda c: c[0] != "ZS-SBIR")
    if sort:
        by = next((c for c in columns if sort.lower() in " ".join(c).lower()), None)
        if by is None:
            raise ConfigError(f"--sort {sort}: is no column. {near_misses(sort, [' '.join(c) for c in columns])}")
        lines = dict(sorted(lines.items(), key=lambda line: -line[1].get(by, -1)))
        columns = [by, *(c for c in columns if c != by)]
    columns, hidden = columns[:6], columns[6:]
    room = WIDTH - COLUMN * len(columns)
    rows: list[list[object]] = [["mAP@all", *(representation for _, representation in columns)]]
    rows += [[_cut(name, room), *map(line.get, columns)] for name, line in lines.items()]
    print_table(["", *(task for task, _ in columns)], rows)
    if hidden:
        print(f"{len(hidden)} more columns ({', '.join(map(' '.join, hidden))}): --json has all.")


def _cut(name: str, room: int) -> str:
    """The end of a run's id, which suffices to name the run."""
    return name if len(name) <= room else f"...{name[3 - room :]}"
