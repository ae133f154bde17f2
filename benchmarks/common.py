"""How everything here is measured: warm-up, all sides in turn, medians, peak memory in a process of its own."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
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


def measure(module: str, number: int, case: Case, quick: bool) -> list[Row]:
    """Rows of one case: every contender once to warm up, then all of them in turn."""
    share = 0.02 if quick else 1.0
    inputs = case.inputs(share)
    absent = {who: why for who, c in case.contenders.items() if (why := missing(c.package) or c.hindrance())}
    present = {who: c for who, c in case.contenders.items() if who not in absent}
    first: dict[str, Lap] = {}
    for who, contender in present.items():
        contender.run(case.inputs(0.002))  # imports, compiles
        first[who] = timed(contender.run, inputs)
        print(f"    {case.work}: {who} {first[who].seconds:.3f} s", flush=True)
    # the first call was one more warm-up, unless it is too long to be done again
    once = {who for who, lap in first.items() if case.turns is None and lap.seconds > LONG}
    laps: dict[str, list[Lap]] = {who: [first[who]] if who in once else [] for who in present}
    for _ in range(1 if quick else case.turns or ROUNDS):
        for who in [w for w in present if w not in once]:
            laps[who].append(timed(present[who].run, inputs))
    rows = {who: Row(case.work, who, note=why) for who, why in absent.items()}
    for who, contender in present.items():
        note = "; ".join(filter(None, [contender.note, case.remark(who, inputs, first[who].answer)]))
        wall, cpu = (statistics.median(getattr(lap, part) for lap in laps[who]) for part in ("seconds", "cpu_seconds"))
        peak = peak_memory(module, number, who, share) if case.memory else None
        rows[who] = Row(case.work, who, wall, cpu, peak, note)
    if case.judge and not quick and OURS in rows and rows[OURS].seconds is not None:
        text, holds = case.judge(rows)
        rows[OURS] = Row(**{**vars(rows[OURS]), "bar": text, "holds": holds})
    return [rows[who] for who in case.contenders]


def run_cases(module: str, quick: bool) -> Iterator[list[Row]]:
    """Rows of each of the ``CASES`` of a module as it is done: what was measured is at hand if a later one fails."""
    cases: Iterable[Case] = importlib.import_module(module).CASES
    for number, case in enumerate(cases):
        yield measure(module, number, case, quick)


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
