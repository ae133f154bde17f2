"""How everything here is measured: warm-up, all sides in turn, medians, peak memory in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sakerepro import paths
from sakerepro.provenance import processor

OURS = "sakerepro"
CURVE = "-scaling.png"  # behind the name of the machine
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
class Lap:
    """What ``run`` answers where not all of the call counts, or where a part of the work stands for the whole."""

    seconds: float
    cpu_seconds: float
    answer: Any = None


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def lap(self, answer: Any = None, times: float = 1.0) -> Lap:
        """The time until now, ``times`` as often."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return Lap(wall * times, cpu * times, answer)


@dataclass(frozen=True)
class Contender:
    """One way to do a piece of work. ``run(inputs)`` is what is measured, unless it answers with a :class:`Lap`."""

    run: Callable[[Any], Any]
    package: str = ""  # imported first; a missing one makes a row that says so
    note: str = ""
    hindrance: Callable[[], str] = lambda: ""  # what else keeps it from taking part here


@dataclass(frozen=True)
class Case:
    """One piece of work and everybody who does it. ``inputs(share)`` makes a share of the full size, seeded."""

    work: str
    inputs: Callable[[float], Any]
    contenders: dict[str, Contender]
    judge: Callable[[dict[str, Row]], tuple[str, bool]] | None = None  # rows by name -> the bar, and whether it holds
    remark: Callable[[str, Any, Any], str] = field(default=lambda who, inputs, answer: "")  # from an answer to a note
    turns: int | None = None  # exactly so many after the warm-up, however long one takes
    memory: bool = True  # whether the peak of this process says anything


def machine() -> str:
    """The CPU and the threads used of it."""
    import torch

    return f"{processor()}, {torch.get_num_threads()} threads"


def file_of_machine(end: str) -> Path:
    """Where what was measured on this machine is kept: ``results/bench/<machine><end>``."""
    return paths.results("bench") / (re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-") + end)


def missing(package: str) -> str:
    """Why a peer cannot take part, or nothing."""
    if not package:
        return ""
    try:
        importlib.import_module(package)
    except ImportError:
        return f"{package} is not installed; pip install -e '.[bench]'"
    return ""


def timed(run: Callable[[Any], Any], inputs: Any) -> Lap:
    """One call, by its own clock where it has one."""
    clock = Clock()
    answer = run(inputs)
    lap = clock.lap(answer)
    return answer if isinstance(answer, Lap) else lap


def fresh_process(*arguments: str) -> Lap:
    """A Python process of its own, from its start to its end.

    Raises:
        RuntimeError: with what it printed, if it fails.
    """
    before, wall = os.times(), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    wall, after = time.perf_counter() - wall, os.times()
    if done.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed: {done.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Lap(wall, cpu, done.stdout)


def measure(module: str, cases: dict[int, Case], quick: bool) -> Iterator[list[Row]]:
    """Rows of cases, by their numbers in the module: everybody once to warm up, then all sides of all cases in turn.

    With ``quick``, everybody once at a small size, and no memory, since to measure it takes a process for each.
    """
    share = 0.02 if quick else 1.0
    inputs = {number: case.inputs(share) for number, case in cases.items()}
    absent, first = {}, {}
    for number, case in cases.items():
        for who, contender in case.contenders.items():
            if why := missing(contender.package) or contender.hindrance():
                absent[number, who] = why
                continue
            if not quick:
                contender.run(case.inputs(0.002))  # imports, compiles
            first[number, who] = timed(contender.run, inputs[number])
            print(f"    {case.work}: {who} {first[number, who].seconds:.3f} s", flush=True)
    # the first call was one more warm-up, unless it is too long to be done again
    once = {side for side, lap in first.items() if quick or (cases[side[0]].turns is None and lap.seconds > LONG)}
    laps = {side: [first[side]] if side in once else [] for side in first}
    most = {number: case.turns or ROUNDS for number, case in cases.items()}
    for turn in range(max(most.values(), default=0)):
        for number, who in (side for side in first if side not in once and turn < most[side[0]]):
            laps[number, who].append(timed(cases[number].contenders[who].run, inputs[number]))
    for number, case in cases.items():
        rows = {who: Row(case.work, who, note=absent.get((number, who), "")) for who in case.contenders}
        for who in (who for who in case.contenders if (number, who) in laps):
            remark = case.remark(who, inputs[number], first[number, who].answer)
            peak = peak_memory(module, number, who, share) if case.memory and not quick else None
            rows[who] = _row(case, who, laps[number, who], peak, remark)
        if case.judge and not quick and OURS in rows and rows[OURS].seconds is not None:
            text, holds = case.judge(rows)
            rows[OURS] = replace(rows[OURS], bar=text, holds=holds)
        yield list(rows.values())


def _row(case: Case, who: str, laps: list[Lap], peak: float | None, remark: str) -> Row:
    wall, cpu = (statistics.median(getattr(lap, part) for lap in laps) for part in ("seconds", "cpu_seconds"))
    return Row(case.work, who, wall, cpu, peak, "; ".join(filter(None, [case.contenders[who].note, remark])))


def run_cases(module: str, quick: bool, together: bool = False) -> Iterator[list[Row]]:
    """Rows of each of the ``CASES`` of a module as it is done: what was measured is at hand if a later one fails.

    With ``together`` all cases take turns, as for times that are compared across them; their rows come at the end.
    """
    cases = dict(enumerate(importlib.import_module(module).CASES))
    for group in [cases] if together else [{number: case} for number, case in cases.items()]:
        yield from measure(module, group, quick)


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
