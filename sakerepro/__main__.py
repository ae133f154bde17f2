"""The command line: ``sakerepro`` or ``python -m sakerepro``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence

from .errors import ConfigError, SakeError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sakerepro", description="SAKE: zero-shot sketch-based image retrieval, reproduced.",
        epilog="Exit codes: 0 done, 1 something failed (one sentence says what), 2 wrong usage, 130 interrupted.",
    )  # fmt: skip
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    item = commands.add_parser("item", help="make a table or figure: train what is missing, show the result")
    item.add_argument("name", help="table1, ...")
    item.add_argument("--preset", default="mini", help="mini (generated, default), small (real subset) or paper")
    item.add_argument("--seeds", default="0", help="comma-separated, such as 0,1,2")
    item.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="another notebook parameter")
    item.set_defaults(function=_item)

    train = commands.add_parser("train", help="find or make one run; every setting is a flag", add_help=True)
    train.add_argument("--preset", default="mini", help="mini (default), small or paper")
    train.add_argument("--trace", action="store_true", help="measure query and gallery after every epoch, for curves")
    _add_settings(train)
    train.set_defaults(function=_train)

    runs = commands.add_parser("runs", help="list finished runs with their main numbers")
    runs.add_argument("--json", action="store_true", help="for scripts")
    runs.set_defaults(function=_runs)

    weights = commands.add_parser("weights", help="pretrained weights").add_subparsers(dest="action", required=True)
    fetch = weights.add_parser("fetch", help="download ImageNet weights from the hub, after asking")
    fetch.add_argument("name", help="se_resnet50, resnet50, alexnet or any timm model")
    fetch.add_argument("--yes", action="store_true", help="do not ask")
    fetch.set_defaults(function=_fetch)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """Every field of Experiment as a flag; what is not given keeps the preset's value."""
    import dataclasses

    from .experiment import CHOICES, Experiment

    group = parser.add_argument_group("settings", "defaults in brackets are the paper's; a preset fills in its own")
    for f in dataclasses.fields(Experiment):
        if f.name == "preset":
            continue
        kind = str if isinstance(f.default, (bool, tuple)) else type(f.default)
        group.add_argument(
            f"--{f.name.replace('_', '-')}", dest=f"set_{f.name}", type=kind, choices=CHOICES.get(f.name),
            metavar=None if f.name in CHOICES else kind.__name__.upper(),
            help=f"{f.metadata['help']} [{f.default}]".replace("%", "%%"),
        )  # fmt: skip


def _settings(arguments: argparse.Namespace) -> dict[str, object]:
    import dataclasses

    from .experiment import Experiment

    values: dict[str, object] = {}
    for f in dataclasses.fields(Experiment):
        given = getattr(arguments, f"set_{f.name}", None)
        if given is None:
            continue
        if isinstance(f.default, bool):
            if given.lower() not in ("true", "false"):
                raise ConfigError(f"--{f.name.replace('_', '-')} {given}: has to be true or false.")
            given = given.lower() == "true"
        elif isinstance(f.default, tuple):
            given = _numbers(given, f.name)
        values[f.name] = given
    return values


def _numbers(text: str, name: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name} {text}: has to be whole numbers with commas, such as 0,1,2.") from None


def _item(arguments: argparse.Namespace) -> None:
    from . import paths
    from .items import item_runs
    from .notebook import check_parameters, execute, notebook_path

    seeds = _numbers(arguments.seeds, "seeds")
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
    return name, _literal(value)


def _literal(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _train(arguments: argparse.Namespace) -> None:
    from . import paths
    from .experiment import preset
    from .runs import run

    done = run(preset(arguments.preset, **_settings(arguments)), trace=arguments.trace)
    _show_runs([done])
    print(paths.shown(done.folder))


def _runs(arguments: argparse.Namespace) -> None:
    from .runs import all_runs

    found = all_runs()
    if arguments.json:
        print(json.dumps([{"id": r.id, "experiment": r.experiment.to_dict(), "metrics": r.metrics()} for r in found]))
    elif found:
        _show_runs(found)
    else:
        print("There are no finished runs yet. `make table1` makes the first.")


def _show_runs(found: Sequence) -> None:
    import pandas as pd

    from .items import run_rows

    rows = run_rows(found)
    rows = rows[(rows["metric"] == "mAP@all") & (rows["convention"] == "standard")]
    table = rows.pivot_table(index="run", columns=["task", "representation"], values="value", sort=False)
    with pd.option_context("display.width", 200, "display.max_columns", 20, "display.max_rows", 1000):
        print(table.round(3).to_string(na_rep="-"))


def _fetch(arguments: argparse.Namespace) -> None:
    from .fetch import fetch_weights

    print(fetch_weights(arguments.name, ask=not arguments.yes))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; errors that the package raises on purpose are one sentence and exit code 1."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if not arguments.command:
        parser.print_help()
        return 0
    try:
        arguments.function(arguments)
    except ConfigError as error:
        print(f"sakerepro: {error}", file=sys.stderr)
        return 2
    except SakeError as error:
        print(f"sakerepro: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nsakerepro: interrupted; the same command goes on from the last checkpoint.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
