"""``train``, ``runs``, ``weights``: single runs and what they start from."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .common import numbers, print_json

if TYPE_CHECKING:
    from ..runs import Run


def add(commands: Any) -> None:
    """Register the commands of this module."""
    train = commands.add_parser("train", help="find or make one run; every setting is a flag")
    train.add_argument("--preset", default="mini", help="mini (default), small or paper")
    train.add_argument("--trace", action="store_true", help="measure query and gallery after every epoch, for curves")
    train.add_argument("--json", action="store_true", help="for scripts")
    add_settings(train)
    train.set_defaults(function=_train)

    runs = commands.add_parser("runs", help="list finished runs with their main numbers")
    runs.add_argument("--json", action="store_true", help="for scripts")
    runs.set_defaults(function=_runs)

    weights = commands.add_parser("weights", help="pretrained weights").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    fetch = weights.add_parser("fetch", help="download ImageNet weights from the hub, after asking")
    fetch.add_argument("name", help="se_resnet50, resnet50, alexnet or any timm model")
    fetch.add_argument("--yes", action="store_true", help="do not ask")
    fetch.set_defaults(function=_fetch)


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Every field of Experiment as a flag; what is not given keeps the preset's value."""
    from ..experiment import CHOICES, Experiment

    group = parser.add_argument_group("settings", "defaults in brackets are the paper's; a preset fills in its own")
    for f in dataclasses.fields(Experiment):
        if f.name == "preset":
            continue
        kind = str if isinstance(f.default, (bool, tuple)) else type(f.default)
        choices = ("true", "false") if isinstance(f.default, bool) else CHOICES.get(f.name)
        group.add_argument(
            f"--{f.name.replace('_', '-')}", dest=f"set_{f.name}", type=kind, choices=choices,
            metavar=None if choices else kind.__name__.upper(),
            help=f"{f.metadata['help']} [{_shown(f.default)}]".replace("%", "%%"),
        )  # fmt: skip


def _shown(default: object) -> str:
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
    return values


def _train(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..experiment import preset
    from ..runs import run

    done = run(preset(arguments.preset, **settings(arguments)), trace=arguments.trace)
    if arguments.json:
        print_json(_entry(done))
        return
    show_runs([done])
    print(paths.shown(done.folder))


def _runs(arguments: argparse.Namespace) -> None:
    from ..runs import all_runs

    found = all_runs()
    if arguments.json:
        print_json([_entry(r) for r in found])
    elif found:
        show_runs(found)
    else:
        print("There are no finished runs yet. `make table1` makes the first.")


def _entry(r: Run) -> dict[str, Any]:
    return {"id": r.id, "folder": str(r.folder), "experiment": r.experiment.to_dict(), "metrics": r.metrics()}


def show_runs(found: Sequence[Run]) -> None:
    """mAP@all of runs, a line each."""
    import pandas as pd

    from ..items import run_rows

    rows = run_rows(found)
    rows = rows[(rows["metric"] == "mAP@all") & (rows["convention"] == "standard")]
    table = rows.pivot_table(index="run", columns=["task", "representation"], values="value", sort=False)
    with pd.option_context("display.width", 200, "display.max_columns", 20, "display.max_rows", 1000):
        print(table.round(3).to_string(na_rep="-"))


def _fetch(arguments: argparse.Namespace) -> None:
    from ..fetch import fetch_weights

    print(fetch_weights(arguments.name, ask=not arguments.yes))
