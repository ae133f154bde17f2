"""``item``, ``status``, ``tables``: the tables and figures of the paper."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time

from .. import paths
from ..data.registry import find_drawings
from ..errors import ConfigError, DataError
from ..experiment import PRECISION
from ..experiment import preset as check_preset
from ..original import original_photos
from ..results import items
from ..results.committed import RERUN, committed_runs, render, rows_file, runs_file
from ..results.findings import write_findings
from ..results.notebook import check_parameters, execute, notebook_path
from ..results.paper import file_name
from ..results.report import write_report
from ..results.status import DONE, MISSING, PRESETS, all_status, number_files, own_items, to_json, write_record
from ..results.status import status as status_of
from ..runs import find
from . import warm
from .common import numbers, print_json, print_table


def item(arguments: argparse.Namespace) -> None:
    """Make a table or figure, and show it."""
    # environment variables, because a notebook is another process
    precision = paths.variable(PRECISION, arguments.precision) if arguments.precision else contextlib.nullcontext()
    rerun = paths.variable(RERUN, "1") if arguments.rerun else contextlib.nullcontext()
    with precision, rerun:
        _make(arguments, numbers(arguments.seeds, "seeds"), dict(map(_pair, arguments.p)))


def _make(arguments: argparse.Namespace, seeds: list[int], more: dict[str, object]) -> None:
    name, preset, parameters = arguments.name, arguments.preset, {"seeds": seeds, **more}
    check_parameters(notebook_path(name), parameters)
    warm.warm_up()
    wanted = items.experiments(name, preset, seeds)
    if original := str(parameters.get("original", "")):
        original_photos(wanted[0], original)  # raises if they are missing, before anything is trained
    if name == "quickdraw":
        find_drawings(wanted[0].dataset)
    committed = committed_runs(name, wanted, set())
    if all(e in committed or find(e) for e in wanted):
        print(f"{name}, {preset}: {len(wanted)} runs found, nothing trained.", flush=True)
    runs = items.item_runs(name, preset, seeds, arguments.jobs, arguments.engine, arguments.address)
    wanted_runs = [r for r in runs if r.experiment in wanted]
    before = number_files(name, preset)
    items.item_rows(name, runs, original)  # measure what is missing here, because a notebook shows no progress
    print(f"{name}: executing the notebook ...", flush=True)
    started = time.monotonic()
    notebook = execute(name, preset, **parameters)
    if number_files(name, preset) != before or status_of(name, preset).state != DONE:
        seconds = time.monotonic() - started
        write_record(name, preset, seeds, parameters, wanted_runs, seconds, **items.times(name, wanted_runs))
    table, verdicts = render(name, preset)
    print(*filter(None, [table, _without_not_run(str(verdicts))]), sep="\n\n")
    print("Where it is:")
    for file in sorted(paths.results(preset).glob(f"{file_name(name)}[.-]*")):
        print(f"  {paths.shown(file)}{'  (executed notebook)' if file == notebook else ''}")
    print(f"  {paths.shown(paths.runs())}  (the runs: settings, history, weights, embeddings, metrics, provenance)")


def _pair(text: str) -> tuple[str, object]:
    """Name and value of a notebook parameter; the value may be JSON, else it is the text itself."""
    name, equals, value = text.partition("=")
    if not equals or name in ("preset", "seeds"):
        hint = f"use --{name}" if equals else "has to be NAME=VALUE"
        raise ConfigError(f"-p {text}: {hint}.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def _without_not_run(text: str) -> str:
    """The text without the claims that this preset has no runs for; the file has them."""
    parts = text.split("\n\n")
    shown = [part for part in parts if not part.partition("\n")[0].endswith(": NOT RUN")]
    left_out = len(parts) - len(shown)
    note = f"\n({left_out} more claims need runs that this preset does not have.)\n" if left_out else ""
    return "\n\n".join(shown) + note


def status(arguments: argparse.Namespace) -> None:
    """Show which items are done, stale or missing."""
    statuses = all_status([check_preset(name).preset for name in arguments.preset or PRESETS])
    if arguments.json:
        print_json(to_json(statuses))
        return
    rows = []
    for s in statuses:
        commit_and_age = ("", "") if s.state == MISSING else (s.commit[:12] + "+" * s.dirty or "unknown", s.age)
        first, *others = s.why.split("; ")  # --json has all reasons
        why = f"{first} and {len(others)} more" if others else first
        rows.append((s.item, s.preset, s.state, *commit_and_age, why))
    print_table(("item", "preset", "state", "commit", "age", "why"), rows, left=6)
    if any(s.dirty for s in statuses):
        print("+: made from a checkout with changes that were not committed")


def tables(arguments: argparse.Namespace) -> None:
    """Render everything anew from the committed rows."""
    for preset in PRESETS:
        names = (*items.ITEMS, *own_items(preset))
        rendered = []
        for name in (i for i in names if rows_file(i, preset).is_file() and runs_file(i, preset).is_file()):
            try:
                for shown in filter(None, render(name, preset)):
                    shown.save(paths.results(preset))
                rendered.append(name)
            except ConfigError as error:
                if ":" not in name:
                    raise
                print(f"{preset}: {name} stays as it is. {error}", file=sys.stderr)  # its module is elsewhere
        print(f"{preset}: {', '.join(rendered) or 'no item has left its rows'}")
    try:
        files = write_findings()  # before the report, which holds choices.md
    except DataError as error:  # a user's rows may contradict our sentences
        print(f"README.md, docs/findings.md and results/small/choices.md stay as they are. {error}", file=sys.stderr)
        files = []
    for file in (*files, write_report()):
        print(paths.shown(file))
