"""``python -m benchmarks [names ...] [--quick]``: run, print one table, keep the numbers with the machine's name."""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import time
from importlib import metadata
from pathlib import Path
from typing import Any

from sakerepro import paths
from sakerepro.files import read_json, write_json, write_text
from sakerepro.provenance import provenance

from .common import CURVE, OURS, Row, file_of_machine

PEERS = ("faiss-cpu", "torchmetrics", "pytorch-metric-learning", "nltk")


def modules() -> list[str]:
    """Names of the modules of this folder that have ``rows``."""
    names = [m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]) if m.name not in ("common", "__main__")]
    return [name for name in names if hasattr(importlib.import_module(f"benchmarks.{name}"), "rows")]


def table(rows: list[Row]) -> str:
    """Rows as text: seconds, how many times our time, memory, notes."""
    ours = {row.work: row.seconds for row in rows if row.who == OURS}
    lines = [f"{'':<44}{'seconds':>10}{'x ours':>9}{'MiB':>8}  note"]
    work = ""
    for row in rows:
        if row.work != work:
            lines += ["", row.work]
            work = row.work
        seconds, ratio, memory = _figures(row, ours.get(work))
        lines.append(f"  {row.who:<42}{seconds:>10}{ratio:>9}{memory:>8}  {row.note}")
        if row.bar:
            lines.append(f"    {'reached' if row.holds else 'NOT REACHED'}: {row.bar}")
    return "\n".join(lines)


def version(package: str) -> str:
    """The installed version, or ``not installed``."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def keep(name: str, rows: list[Row], load: float) -> Path:
    """Put the rows of one piece of work into the file of this machine; the rows of others stay."""
    about: dict[str, Any] = provenance()
    about["packages"] |= {package: version(package) for package in PEERS}
    about |= {"load_before": round(load, 2), "date": time.strftime("%Y-%m-%d")}
    path = file_of_machine(".json")
    record = read_json(path) if path.exists() else {}
    entry = {rows[0].work: {"about": about, "rows": [vars(row) for row in rows]}}
    record |= {name: record.get(name, {}) | entry}
    write_json(path, record)
    curve = file_of_machine(CURVE)
    write_text(path.with_suffix(".md"), page(record, curve.name if curve.is_file() else ""))
    return path


def page(record: dict[str, Any], curve: str) -> str:
    """The record of a machine as a page of Markdown, with the file of its curve if there is one."""
    entries = [entry for module in record.values() for entry in module.values()]
    about = entries[-1]["about"]
    lines = [
        f"# Speed on {about['processor']}, {about['threads']} threads",
        "",
        "Medians of repeats, all sides in turn, by `make bench`. Memory is the peak above the inputs; ratio is the "
        f"side's time over ours. {', '.join(f'{k} {v}' for k, v in about['packages'].items())}.",
    ]
    lines += ["", f"![Time and memory as the gallery grows]({curve})"] if curve else []
    for entry in entries:
        rows, about = [Row(**row) for row in entry["rows"]], entry["about"]
        ours = next((row.seconds for row in rows if row.who == OURS), None)
        when = f"{about['date']}, commit {about['commit'][:12]}{' (changed)' if about['dirty'] else ''}"
        lines += [
            "",
            f"## {rows[0].work}",
            "",
            *(f"{_verdict(row)}  " for row in rows if row.bar),
            f"{when}, load {about['load_before']} before",
            "",
            "| | seconds | ratio | MiB | note |",
            "| --- | ---: | ---: | ---: | --- |",
        ]
        lines += ["| " + " | ".join([row.who, *_figures(row, ours), row.note.replace("|", "/")]) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _verdict(row: Row) -> str:
    return f"{'Reached' if row.holds else '**Not reached**'}: {row.bar}"


def _figures(row: Row, ours: float | None) -> tuple[str, str, str]:
    """Seconds, how many times our time, and MiB, as text."""
    return (
        f"{row.seconds:.3f}" if row.seconds is not None else "-",
        f"{row.seconds / ours:.2f}" if row.seconds is not None and ours else "-",
        f"{row.peak_mib:.0f}" if row.peak_mib is not None else "-",
    )


def main() -> None:
    names = modules()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=f"what to run, all by default: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small sizes: shows that everything runs; nothing is kept")
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.names if name not in names]:
        parser.error(f"{', '.join(unknown)}: not known. Known: {', '.join(names)}")
    everything: list[Row] = []
    for name in chosen.names or names:
        print(f"{name} ...", flush=True)
        load = os.getloadavg()[0]
        for rows in importlib.import_module(f"benchmarks.{name}").rows(chosen.quick):
            everything += rows
            if not chosen.quick:
                print(f"  kept in {paths.shown(keep(name, rows, load))}", flush=True)
    print(table(everything))


if __name__ == "__main__":
    main()
