"""``item``, ``status``, ``tables``: the tables and figures of the paper."""

from __future__ import annotations

import argparse
import contextlib
import time
from typing import Any

from ..errors import ConfigError
from .common import add_engine, literal, numbers, precision, print_json, print_table, say_slow_precision


def add(commands: Any) -> None:
    """Register the commands of this module."""
    item = commands.add_parser(
        "item",
        help="make a table or figure: train what is missing, show the result",
        epilog="example: sakerepro item table1 --preset small --seeds 0,1,2",
    )
    item.add_argument(
        "name",
        help="table1 ... table5, systems, splits, forgetting, figure3, figure4, figure5, cost, length, quickdraw; "
        "or MODULE:NAME of a grid of your own",
    )
    item.add_argument("--preset", default="mini", help="mini (generated, default), small (real subset) or paper")
    item.add_argument("--seeds", default="0", help="comma-separated, such as 0,1,2")
    add_engine(item)
    item.add_argument("--rerun", action="store_true", help="train missing runs, even if their rows are committed")
    item.add_argument("-p", action="append", default=[], metavar="NAME=VALUE", help="another notebook parameter")
    item.set_defaults(function=_item)

    status = commands.add_parser(
        "status",
        help="show which items are done, stale (code or settings changed) or missing",
        epilog="example: sakerepro status --preset mini",
    )
    status.add_argument("--preset", action="append", help="only this one; can be given several times")
    status.add_argument("--json", action="store_true", help="for scripts")
    status.set_defaults(function=_status)

    tables = commands.add_parser(
        "tables",
        help="render all tables, claims, REPRODUCING.md and docs/findings.md from the committed rows",
        epilog="example: sakerepro tables",
    )
    tables.set_defaults(function=_tables)


def _item(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..results.committed import RERUN

    rerun = paths.variable(RERUN, "1") if arguments.rerun else contextlib.nullcontext()
    with precision(arguments), rerun:  # a notebook is another process: a variable reaches it
        seeds, more = numbers(arguments.seeds, "seeds"), dict(map(_pair, arguments.p))
        where = (arguments.jobs, arguments.engine, arguments.address)
        _make(arguments.name, arguments.preset, seeds, more, where)


def _make(
    name: str, preset: str, seeds: list[int], more: dict[str, object], where: tuple[int | None, str, str]
) -> None:
    from .. import paths
    from ..data.registry import find_drawings
    from ..original import original_photos
    from ..results.committed import committed_runs
    from ..results.items import experiments, item_rows, item_runs, times
    from ..results.notebook import check_parameters, execute, notebook_path
    from ..results.paper import file_name
    from ..results.status import DONE, number_files, status, write_record
    from ..results.views import render
    from ..runs import find
    from .warm import warm_up

    parameters = {"seeds": seeds, **more}
    check_parameters(notebook_path(name), parameters)
    warm_up()
    wanted = experiments(name, preset, seeds)
    if original := str(parameters.get("original", "")):
        original_photos(wanted[0], original)  # looked for before anything is trained
    if name == "quickdraw":
        find_drawings(wanted[0].dataset)
    known = committed_runs(name, wanted, set())
    if not (new := [e for e in wanted if e not in known and find(e) is None]):
        print(f"{name}, {preset}: {len(wanted)} runs found, nothing trained.", flush=True)
    say_slow_precision(new)
    runs, before = item_runs(name, preset, seeds, *where), number_files(name, preset)
    item_rows(name, runs, original)  # here, because a notebook shows no progress
    print(f"{name}: executing the notebook ...", flush=True)
    started = time.monotonic()
    notebook = execute(name, preset, **parameters)
    if number_files(name, preset) != before or status(name, preset).state != DONE:
        write_record(name, preset, seeds, parameters, runs, time.monotonic() - started, **times(name, runs))
    table, verdicts = render(name, preset)
    print(*filter(None, [table, _without_not_run(str(verdicts))]), sep="\n\n")
    print("Where it is:")
    for file in sorted(paths.results(preset).glob(f"{file_name(name)}[.-]*")):
        print(f"  {paths.shown(file)}{'  (executed notebook)' if file == notebook else ''}")
    print(f"  {paths.shown(paths.runs())}  (the runs: settings, history, weights, embeddings, metrics, provenance)")


def _without_not_run(text: str) -> str:
    """The text without the claims that this preset has no runs for; the file has them."""
    parts = text.split("\n\n")
    kept = [part for part in parts if not part.partition("\n")[0].endswith(": NOT RUN")]
    left_out = len(parts) - len(kept)
    note = f"\n({left_out} more claims need runs that this preset does not have.)\n" if left_out else ""
    return "\n\n".join(kept) + note


def _status(arguments: argparse.Namespace) -> None:
    from ..experiment import preset
    from ..results.status import MISSING, PRESETS, all_status, to_json

    found = all_status([preset(name).preset for name in arguments.preset or PRESETS])
    if arguments.json:
        print_json(to_json(found))
        return
    rows = [
        (
            s.item,
            s.preset,
            s.state,
            *(("", "") if s.state == MISSING else (s.commit[:12] + "+" * s.dirty or "unknown", s.age)),
            _short(s.why),
        )
        for s in found
    ]
    print_table(("item", "preset", "state", "commit", "age", "why"), rows, left=6)
    if any(s.dirty for s in found):
        print("+: made from a checkout with changes that were not committed")


def _short(why: str) -> str:
    """The first reason; --json has all of them."""
    first, *more = why.split("; ")
    return f"{first} and {len(more)} more" if more else first


def _tables(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..results.committed import rows_file, runs_file
    from ..results.findings import write_findings
    from ..results.items import ITEMS
    from ..results.report import write_report
    from ..results.status import PRESETS, own_items
    from ..results.views import render

    for preset in PRESETS:
        items = (*ITEMS, *own_items(preset))
        there = [i for i in items if rows_file(i, preset).is_file() and runs_file(i, preset).is_file()]
        for item in there:
            table, verdicts = render(item, preset)
            verdicts.save(paths.results(preset))
            if table:
                table.save(paths.results(preset))
        print(f"{preset}: {', '.join(there) or 'no item has left its rows'}")
    for file in (write_report(), *write_findings()):
        print(paths.shown(file))


def _pair(text: str) -> tuple[str, object]:
    name, equals, value = text.partition("=")
    if not equals or name in ("preset", "seeds"):
        hint = f"use --{name}" if equals else "has to be NAME=VALUE"
        raise ConfigError(f"-p {text}: {hint}.")
    return name, literal(value)
