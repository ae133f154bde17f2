"""How everything here is measured: warm-up, all sides in turn, medians, peak memory in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OURS = "sakerepro"
ROUNDS = 7  # repeats of what takes below `LONG` seconds
LONG = 10.0  # what takes longer is measured once


@dataclass(frozen=True)
class Row:
    """One side of one comparison."""

    work: str
    who: str
    seconds: float | None = None  # wall clock, median
    cpu_seconds: float | None = None  # of all threads, median: what a busy machine cannot change much
    peak_mib: float | None = None  # peak of resident memory above inputs and imports
    note: str = ""
    bar: str = ""  # what had to be reached, on the row that had to reach it
    holds: bool | None = None


@dataclass(frozen=True)
class Contender:
    """One way to do a piece of work. ``run(inputs)`` is what is measured."""

    run: Callable[[Any], Any]
    package: str = ""  # imported first; a missing one makes a row that says so
    note: str = ""


@dataclass(frozen=True)
class Case:
    """One piece of work and everybody who does it. ``inputs(share)`` makes a share of the full size, seeded."""

    work: str
    inputs: Callable[[float], Any]
    contenders: dict[str, Contender]
    judge: Callable[[dict[str, Row]], tuple[str, bool]] | None = None  # rows by name -> the bar, and whether it holds
    remark: Callable[[str, Any, Any], str] = field(default=lambda who, inputs, answer: "")  # from an answer to a note


def missing(package: str) -> str:
    """Why a peer cannot take part, or nothing."""
    if not package:
        return ""
    try:
        importlib.import_module(package)
    except ImportError:
        return f"{package} is not installed; pip install -e '.[bench]'"
    return ""


def timed(run: Callable[[Any], Any], inputs: Any) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds and the answer of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = run(inputs)
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def measure(module: str, number: int, case: Case, quick: bool) -> list[Row]:
    """Rows of one case: every contender once to warm up, then all of them in turn."""
    share = 0.02 if quick else 1.0
    inputs = case.inputs(share)
    absent = {who: why for who, c in case.contenders.items() if (why := missing(c.package))}
    present = {who: c for who, c in case.contenders.items() if who not in absent}
    times: dict[str, list[tuple[float, float]]] = {}
    notes = {}
    for who, contender in present.items():
        contender.run(case.inputs(0.002))  # imports, compiles
        wall, cpu, answer = timed(contender.run, inputs)
        notes[who] = "; ".join(filter(None, [contender.note, case.remark(who, inputs, answer)]))
        times[who] = [(wall, cpu)]
        print(f"    {case.work}: {who} {wall:.3f} s", flush=True)
    for round_number in range(1 if quick else ROUNDS):
        for who, contender in present.items():
            if times[who][0][0] > LONG:
                continue
            if round_number == 0:
                times[who].clear()  # the first call was the warm-up
            times[who].append(timed(contender.run, inputs)[:2])
    rows = {who: Row(case.work, who, note=why) for who, why in absent.items()}
    for who in present:
        wall, cpu = (statistics.median(t) for t in zip(*times[who], strict=True))
        rows[who] = Row(case.work, who, wall, cpu, peak_memory(module, number, who, share), notes[who])
    if case.judge and not quick and OURS in rows:
        text, holds = case.judge(rows)
        rows[OURS] = Row(**{**vars(rows[OURS]), "bar": text, "holds": holds})
    return [rows[who] for who in case.contenders]


def run_cases(module: str, quick: bool) -> list[Row]:
    """Rows of all ``CASES`` of a module."""
    cases: Iterable[Case] = importlib.import_module(module).CASES
    return [row for number, case in enumerate(cases) for row in measure(module, number, case, quick)]


def peak_memory(module: str, number: int, who: str, share: float) -> float | None:
    """MiB that one call needs at its peak above what inputs and imports hold; None where the system cannot say."""
    if not Path("/proc/self/clear_refs").exists():
        return None
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_peak_in_child, (module, number, who, share))


def _peak_in_child(module: str, number: int, who: str, share: float) -> float:
    case = importlib.import_module(module).CASES[number]
    run, inputs = case.contenders[who].run, case.inputs(share)
    run(case.inputs(0.002))
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = _status("VmRSS")
    run(inputs)
    return max(0.0, (_status("VmHWM") - before) / 1024)


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
