"""The way of measuring: warm-up, all sides in turn, medians, peak memory in a process of its own."""

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
ROUNDS = 7  # repeats of a call that takes less than `LONG` seconds
LONG = 10.0  # a call that takes longer is measured once


@dataclass(frozen=True)
class Row:
    """One side of one comparison."""

    work: str
    who: str
    seconds: float | None = None  # wall clock, median
    cpu_seconds: float | None = None  # of all threads, median: a busy machine changes it little
    peak_mib: float | None = None  # peak of resident memory above inputs and imports
    note: str = ""
    bar: str = ""  # the target, on the row that has to reach it
    holds: bool | None = None  # whether it is reached


@dataclass(frozen=True)
class Lap:
    """An answer of ``run`` with its own times: only a part of the call counts, or a part of the work stands for all."""

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
    """One way to do a piece of work. The call ``run(inputs)`` is timed, unless it answers with a :class:`Lap`."""

    run: Callable[[Any], Any]
    package: str = ""  # imported first; if it is missing, the row says so
    note: str = ""
    hindrance: Callable[[], str] = lambda: ""  # another reason why it cannot take part here, or ""


@dataclass(frozen=True)
class Case:
    """One piece of work and everybody who does it. ``inputs(share)`` makes a share of the full size, seeded."""

    work: str
    inputs: Callable[[float], Any]
    contenders: dict[str, Contender]
    judge: Callable[[dict[str, Row]], tuple[str, bool]] | None = None  # rows by name -> the bar, and whether it holds
    remark: Callable[[str, Any, Any], str] = field(default=lambda who, inputs, answer: "")  # from an answer to a note
    turns: int | None = None  # exact number of turns after the warm-up; None: by the time of a call
    memory: bool = True  # whether peak memory is measured


def machine() -> str:
    """The CPU and the number of threads in use."""
    import torch

    return f"{processor()}, {torch.get_num_threads()} threads"


def file_of_machine(end: str) -> Path:
    """The file of this machine's measurements: ``results/bench/<machine><end>``."""
    return paths.results("bench") / (re.sub(r"[^a-z0-9]+", "-", machine().lower()).strip("-") + end)


def missing(package: str) -> str:
    """A sentence if the package cannot be imported, else an empty string."""
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
        RuntimeError: if it fails, with its output on stderr.
    """
    before, wall = os.times(), time.perf_counter()
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True)
    wall, after = time.perf_counter() - wall, os.times()
    if result.returncode:
        raise RuntimeError(f"python {' '.join(arguments)} failed: {result.stderr}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Lap(wall, cpu, result.stdout)


def measure(module: str, cases: dict[int, Case], quick: bool) -> Iterator[list[Row]]:
    """Rows of cases, by their numbers in the module: everybody once to warm up, then all sides of all cases in turn.

    With ``quick``, everybody once at a small size, and no memory, since to measure it takes a process for each.
    """
    share = 0.02 if quick else 1.0
    inputs = {number: case.inputs(share) for number, case in cases.items()}
    absent, first = {}, {}
    for number, case in cases.items():
        for who, contender in case.contenders.items():
            if reason := missing(contender.package) or contender.hindrance():
                absent[number, who] = reason
                continue
            if not quick:
                contender.run(case.inputs(0.002))  # imports, compiles
            first[number, who] = timed(contender.run, inputs[number])
            print(f"    {case.work}: {who} {first[number, who].seconds:.3f} s", flush=True)
    # the first call was one more warm-up, unless it is too long to be done again
    once = {side for side, lap in first.items() if quick or (cases[side[0]].turns is None and lap.seconds > LONG)}
    laps = {side: [first[side]] if side in once else [] for side in first}
    turns = {number: case.turns or ROUNDS for number, case in cases.items()}
    for turn in range(max(turns.values(), default=0)):
        for number, who in (side for side in first if side not in once and turn < turns[side[0]]):
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
    """Rows of the ``CASES`` of a module, each case as it is done, so that none is lost if a later one fails.

    With ``together`` all cases take turns, so that their times can be compared; their rows come at the end.
    """
    cases = dict(enumerate(importlib.import_module(module).CASES))
    for group in [cases] if together else [{number: case} for number, case in cases.items()]:
        yield from measure(module, group, quick)


def peak_memory(module: str, number: int, who: str, share: float) -> float | None:
    """Peak memory of one call above inputs and imports, in MiB; None where the system does not report it."""
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
