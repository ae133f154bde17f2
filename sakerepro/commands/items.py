"""``item``, ``status``, ``report``: the tables and figures of the paper."""

from __future__ import annotations

import argparse
import time
from typing import Any

from ..errors import ConfigError
from .common import literal, numbers, print_json, print_table, say_slow_precision


def add(commands: Any) -> None:
    """Register the commands of this module."""
    item = commands.add_parser("item", help="make a table or figure: train what is missing, show the result")
    item.add_argument("name", help="table1 ... table5, splits, forgetting, figure3, figure4, figure5, cost, length")
    item.add_argument("--preset", default="mini", help="mini (generated, default), small (real subset) or paper")
    item.add_argument("--seeds", default="0", help="comma-separated, such as 0,1,2")
    item.add_argument("--jobs", type=int, help="runs made at a time, each on one thread (one a core, two at most)")
    item.add_argument("--precision", choices=("float32", "bfloat16"), help="in place of the preset's")
    item.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="another notebook parameter")
    item.set_defaults(function=_item)

    status = commands.add_parser("status", help="which items are done, stale (code or settings changed), missing")
    status.add_argument("--preset", action="append", help="only this one; can be given several times")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(function=_status)

    report = commands.add_parser("report", help="write REPRODUCING.md anew from the results")
    report.set_defaults(function=_report)


def _item(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..experiment import PRECISION

    if arguments.precision:  # a notebook is a process of its own, which a variable reaches
        with paths.variable(PRECISION, arguments.precision):
            _make(arguments)
    else:
        _make(arguments)


def _make(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..items import experiments, item_rows, item_runs
    from ..notebook import check_parameters, execute, notebook_path
    from ..remeasure import outdated
    from ..status import write_record
    from ..warm import warm_up

    seeds = numbers(arguments.seeds, "seeds")
    parameters = {"seeds": seeds, **dict(map(_pair, arguments.p))}
    check_parameters(notebook_path(arguments.name), parameters)
    warm_up()
    say_slow_precision(experiments(arguments.name, arguments.preset, seeds))
    runs = item_runs(arguments.name, arguments.preset, seeds, arguments.jobs)
    if old := sum(bool(outdated(r)) for r in runs):
        print(f"{old} of {len(runs)} runs were measured by other code; sakerepro remeasure brings them up to date.")
    item_rows(arguments.name, runs, str(parameters.get("original", "")))  # here, because a notebook shows no progress
    print(f"{arguments.name}: executing the notebook ...", flush=True)
    started = time.monotonic()
    notebook = execute(arguments.name, arguments.preset, **parameters)
    write_record(arguments.name, arguments.preset, seeds, parameters, runs, time.monotonic() - started)
    folder = paths.results(arguments.preset)
    for text in (folder / f"{arguments.name}.txt", folder / f"{arguments.name}-claims.txt"):
        if text.is_file():
            print(_without_not_run(text.read_text(encoding="utf-8")))
    print("Where it is:")
    for file in sorted(folder.glob(f"{arguments.name}[.-]*")):
        print(f"  {paths.shown(file)}{'  (executed notebook)' if file == notebook else ''}")
    print(f"  {paths.shown(paths.runs())}  (the runs: settings, history, weights, embeddings, metrics, provenance)")


def _without_not_run(text: str) -> str:
    """The text less the claims that this preset has no runs for; the file has them."""
    parts = text.split("\n\n")
    kept = [part for part in parts if not part.partition("\n")[0].endswith(": NOT RUN")]
    left_out = len(parts) - len(kept)
    note = f"\n({left_out} more claims need runs that this preset does not have.)\n" if left_out else ""
    return "\n\n".join(kept) + note


def _status(arguments: argparse.Namespace) -> None:
    from ..experiment import preset
    from ..status import MISSING, PRESETS, all_status, to_json

    found = all_status([preset(name).preset for name in arguments.preset or PRESETS])
    if arguments.json:
        print_json(to_json(found))
        return
    rows = [
        (s.item, s.preset, s.state, "" if s.state == MISSING else s.commit[:12] + "+" * s.dirty or "unknown",
         "" if s.state == MISSING else s.age, s.why or s.note)
        for s in found
    ]  # fmt: skip
    print_table(("item", "preset", "state", "commit", "age", "what changed since"), rows, left=6)
    if any(s.dirty for s in found):
        print("+: made from a checkout with changes that were not committed")


def _report(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..report import write_report

    print(paths.shown(write_report()))


def _pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name in ("preset", "seeds"):
        hint = f"use --{name}" if equals else "has to be NAME=VALUE"
        raise ConfigError(f"-p {text}: {hint}.")
    return name, literal(value)
