"""``item``: the tables and figures of the paper."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import ConfigError
from .common import literal, numbers


def add(commands: Any) -> None:
    """Register the commands of this module."""
    item = commands.add_parser("item", help="make a table or figure: train what is missing, show the result")
    item.add_argument("name", help="table1, ...")
    item.add_argument("--preset", default="mini", help="mini (generated, default), small (real subset) or paper")
    item.add_argument("--seeds", default="0", help="comma-separated, such as 0,1,2")
    item.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="another notebook parameter")
    item.set_defaults(function=_item)


def _item(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..items import item_runs
    from ..notebook import check_parameters, execute, notebook_path

    seeds = numbers(arguments.seeds, "seeds")
    parameters = {"seeds": seeds, **dict(map(_pair, arguments.p))}
    check_parameters(notebook_path(arguments.name), parameters)
    item_runs(arguments.name, arguments.preset, seeds)
    print(f"{arguments.name}: executing the notebook ...", flush=True)
    notebook = execute(arguments.name, arguments.preset, **parameters)
    folder = paths.results(arguments.preset)
    print((folder / f"{arguments.name}.txt").read_text(encoding="utf-8"))
    print("Where it is:")
    for file in sorted(folder.glob(f"{arguments.name}[.-]*")):
        print(f"  {paths.shown(file)}{'  (executed notebook)' if file == notebook else ''}")
    print(f"  {paths.shown(paths.runs())}  (the runs: settings, history, weights, embeddings, metrics, provenance)")


def _pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name in ("preset", "seeds"):
        hint = f"use --{name}" if equals else "has to be NAME=VALUE"
        raise ConfigError(f"-p {text}: {hint}.")
    return name, literal(value)
