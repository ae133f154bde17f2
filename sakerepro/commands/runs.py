"""``train``, ``methods``, ``runs``, ``weights``: single runs and what they start from."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, RunError, SakeError, near_misses
from .common import numbers, print_json, print_table, say_slow_precision

if TYPE_CHECKING:
    from ..runs import Run


def add(commands: Any) -> None:
    """Register the commands of this module."""
    train = commands.add_parser(
        "train",
        help="find or make one run; every setting is a flag",
        description="Find or make one run. Every setting is a flag; a flag that is not given keeps the preset's value. "
        "Brackets show the value without a preset: the paper's, if the paper gives one.",
        epilog="example: sakerepro train --preset small --dataset my-folder",
    )
    train.add_argument("--preset", default="mini", help="mini (default), small or paper")
    train.add_argument("--trace", action="store_true", help="measure query and gallery after every epoch, for curves")
    train.add_argument("--json", action="store_true", help="for scripts")
    add_settings(train)
    train.set_defaults(function=_train)

    methods = commands.add_parser(
        "methods",
        help="list the systems that can be trained, what each needs, its settings",
        epilog="example: sakerepro methods",
    )
    methods.add_argument("--json", action="store_true", help="for scripts")
    methods.set_defaults(function=_methods)

    runs = commands.add_parser(
        "runs",
        help="list finished runs with their main numbers",
        description="List finished runs with mAP@all in the standard convention, newest last; --json has all numbers.",
        epilog="example: sakerepro runs sketchy SAKE --sort ZS-SBIR",
    )
    runs.add_argument("part", nargs="*", metavar="PART", help="only runs with all of these in their id or method")
    runs.add_argument("--sort", metavar="COLUMN", help="sort by a column (part of its name), best first")
    runs.add_argument("--json", action="store_true", help="for scripts")
    runs.set_defaults(function=_runs)

    weights = commands.add_parser("weights", help="pretrained weights").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    fetch = weights.add_parser(
        "fetch",
        help="download pretrained weights from the hub, after asking",
        epilog="example: sakerepro weights fetch resnet50",
    )
    fetch.add_argument("name", help="se_resnet50, resnet50, alexnet or any timm model")
    fetch.add_argument("--yes", action="store_true", help="do not ask")
    fetch.set_defaults(function=_fetch)

    teacher = commands.add_parser(
        "teacher",
        help="train the small teachers of mini, which ship with the package, again",
        epilog="example: sakerepro teacher se_resnet_mini",
    )
    teacher.add_argument("name", nargs="*", help="se_resnet_mini, resnet_mini, alexnet_mini (default: all)")
    teacher.set_defaults(function=_teacher)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Every field of Experiment as a flag; a flag that is not given keeps the preset's value."""
    from ..experiment import CHOICES, Experiment

    group = parser.add_argument_group("settings", "a flag that is not given keeps the preset's value")
    for f in dataclasses.fields(Experiment):
        if f.name in ("preset", "settings", "method_version"):
            continue
        kind = str if isinstance(f.default, (bool, tuple)) else type(f.default)
        choices = ("true", "false") if isinstance(f.default, bool) else CHOICES.get(f.name)
        group.add_argument(
            f"--{f.name.replace('_', '-')}",
            dest=f"set_{f.name}",
            type=kind,
            choices=choices,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{f.metadata['help']} [{shown(f.default)}]".replace("%", "%%"),
        )


def add_method_settings(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """The settings of the method that the command line names (SAKE's if it names none) as flags."""
    from .. import methods

    asked = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    asked.add_argument("--method", default="SAKE")
    name, _ = methods.resolved(asked.parse_known_args(argv)[0].method)
    group = parser.add_argument_group(f"settings of {name}")
    for key, s in methods.class_of(name).settings.items():
        kind = str if isinstance(s.default, bool) else type(s.default)
        group.add_argument(
            f"--{key.replace('_', '-')}",
            dest=f"own_{key}",
            type=kind,
            metavar=kind.__name__.upper(),
            help=f"{s.help} [{shown(s.default)}]".replace("%", "%%"),
        )


def show_preset(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Show the values of the preset that the command line names, in place of the defaults, in the help."""
    from ..experiment import PRESETS

    asked = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    asked.add_argument("--preset", default="mini")
    name = asked.parse_known_args(argv)[0].preset
    values = PRESETS.get(name, {})
    parser.description = f"Find or make one run. Every setting is a flag. Brackets show the values of preset {name}."
    for action in parser._actions:
        if (key := action.dest.removeprefix("set_")) in values and action.help:
            action.help = f"{action.help.rpartition(' [')[0]} [{shown(values[key])}]"


def shown(default: object) -> str:
    """A value of a setting as its flag takes it."""
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return str(default).lower() if isinstance(default, bool) else str(default)


def settings(arguments: argparse.Namespace) -> dict[str, object]:
    """The settings that were given, by name, in the types of Experiment."""
    from ..experiment import Experiment

    values: dict[str, object] = {}
    for f in dataclasses.fields(Experiment):
        given = getattr(arguments, f"set_{f.name}", None)
        if given is None:
            continue
        if isinstance(f.default, bool):
            given = given == "true"
        elif isinstance(f.default, tuple):
            given = numbers(given, f.name.replace("_", "-"))
        values[f.name] = given
    own = {k.removeprefix("own_"): v for k, v in vars(arguments).items() if k.startswith("own_") and v is not None}
    return values | {k: {"true": True, "false": False}.get(v, v) for k, v in own.items()}


def _train(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..methods import preset
    from ..runs import find, run

    changes = settings(arguments)
    for name in ("dataset", "weights", "teacher_data"):
        if name in changes:
            changes[name] = absolute(str(changes[name]))
    e = preset(arguments.preset, **changes)
    if (found := find(e)) and e.dataset.startswith("/"):
        _same_data(found)
    say_slow_precision([e])
    done = found or run(e, trace=arguments.trace)
    if arguments.json:
        print_json(_entry(done))
        return
    show_runs([done])
    print(f"{'Found, nothing trained: ' if found else ''}{paths.shown(done.folder)}")


def _methods(arguments: argparse.Namespace) -> None:
    from .. import methods

    found = {name: methods.class_of(name) for name in methods.METHODS}
    if arguments.json:
        print_json(
            {
                name: {
                    "needs": sorted(c.needs),
                    "distance": c.distance,
                    "version": c.version,
                    "settings": {k: {"default": s.default, "help": s.help} for k, s in c.settings.items()},
                }
                for name, c in found.items()
            }
        )
        return
    for name, c in found.items():
        about = (c.__doc__ or "").partition("\n")[0]
        print(f"{name}: {about}\n  needs {', '.join(sorted(c.needs)) or 'images and labels only'}; {c.distance}")
        for key, s in c.settings.items():
            tried = f"; tune tries {', '.join(map(shown, s.search))}" if s.search else ""
            print(f"  --{key.replace('_', '-')}: {s.help} [{shown(s.default)}]{tried}")
    for name, (method, values) in methods.ALIASES.items():
        print(f"{name}: {method} with {', '.join(f'{k} = {v}' for k, v in values.items())}")


def absolute(name: str) -> str:
    """A folder or file as an absolute path, so that a run's id is the same from every folder; else the name itself."""
    from ..data.known import datasets, originals

    here = Path(name).expanduser()
    return str(here.resolve()) if name and name not in (*datasets(), *originals()) and here.exists() else name


def _same_data(found: Run) -> None:
    """Raise :class:`RunError` if a folder has changed since its run was made."""
    if found.dataset().fingerprint != found.provenance()["data"]:
        raise RunError(
            f"{found.experiment.dataset}: its images, classes or split changed since {found.id} was made. Remove "
            f"{found.folder} to train again, or train with another --seed beside it."
        )


def _runs(arguments: argparse.Namespace) -> int:
    from ..methods import label
    from ..runs import open_run, run_folders

    found, damaged = [], []
    for folder in run_folders():
        try:
            found.append(open_run(folder))
        except SakeError as error:
            damaged.append({"folder": str(folder), "problem": str(error)})
    there = bool(found or damaged)
    names = {r.id: f"{r.id} {label(r.experiment)}".lower() for r in found}
    found = [r for r in found if all(part.lower() in names[r.id] for part in arguments.part)]
    if arguments.json:
        print_json({"runs": [_entry(r) for r in found], "damaged": damaged})
    elif found:
        show_runs(found, arguments.sort or "")
    elif there and not damaged:
        print(f"No finished run has {' and '.join(arguments.part)} in its id or method. `sakerepro runs` lists all.")
    elif not there:
        print("There are no finished runs yet. `make table1` or `sakerepro train` makes the first.")
    for entry in [] if arguments.json else damaged:
        print(f"Damaged: {entry['problem']}")
    return 1 if damaged else 0


def _entry(r: Run) -> dict[str, Any]:
    from ..methods import label

    return {
        "id": r.id,
        "folder": str(r.folder),
        "method": label(r.experiment),
        "experiment": r.experiment.to_dict(),
        "metrics": r.metrics(),
        "provenance": r.provenance(),
    }


WIDTH, COLUMN = 100, 9  # of a list of runs, and of one of its numbers


def show_runs(found: Iterable[Run], sort: str = "") -> None:
    """mAP@all (standard convention) of runs, a line each, at most 100 characters wide.

    Raises:
        ConfigError: if no column has ``sort`` in its name.
    """
    lines = {
        r.id: {
            (m["task"], m["representation"]): m["value"]
            for m in r.metrics()
            if (m["metric"], m["convention"]) == ("mAP@all", "standard")
        }
        for r in found
    }
    columns = sorted(dict.fromkeys(c for line in lines.values() for c in line), key=lambda c: (c[0] != "ZS-SBIR",))
    if sort:
        names = [" ".join(c) for c in columns]
        by = next((c for c, name in zip(columns, names, strict=True) if sort.lower() in name.lower()), None)
        if by is None:
            raise ConfigError(f"--sort {sort}: is no column. {near_misses(sort, names)}")
        lines = dict(sorted(lines.items(), key=lambda line: -line[1].get(by, -1)))
        columns = [by, *(c for c in columns if c != by)]
    shown, more = columns[:6], columns[6:]
    room = WIDTH - COLUMN * len(shown)
    rows = [["mAP@all", *(representation for _, representation in shown)]]
    rows += [[_cut(name, room), *map(line.get, shown)] for name, line in lines.items()]
    print_table(["", *(task for task, _ in shown)], rows)
    if more:
        print(f"{len(more)} more columns ({', '.join(map(' '.join, more))}): --json has all.")


def _cut(name: str, room: int) -> str:
    """A run's id without its middle; the end is enough to name it."""
    return name if len(name) <= room else f"{name[: room - 16]}...{name[-13:]}"


def _fetch(arguments: argparse.Namespace) -> None:
    from ..networks.weights import fetch_weights

    print(fetch_weights(arguments.name, ask=not arguments.yes))


def _teacher(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..teachers import ship_teacher, shipped_file

    known = sorted(file.stem for file in shipped_file("").parent.glob("*.safetensors"))
    for name in arguments.name or known:
        if name not in known:
            raise ConfigError(f"{name!r} is no teacher of mini. {near_misses(name, known)}")
        print(paths.shown(ship_teacher(name)))
