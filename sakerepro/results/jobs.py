"""Make several runs at a time, each in a process of its own; the numbers are those of runs made one after the other."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from .. import paths
from ..devices import accelerator
from ..display import bar
from ..errors import ConfigError, DataError, RunError, SakeError
from ..experiment import Experiment
from ..runs import busy, run
from ..threads import cores

ENGINES = ("local", "ray")
OF_A_RUN = 7 * 2**29  # bytes of memory for a run, 3.5 GiB: one of ``mini`` takes 1.3 GiB, one of ``small`` 3.4
CONTAINER = [Path("/sys/fs/cgroup", name) for name in ("memory.max", "memory/memory.limit_in_bytes")]
EVERY = 60.0  # seconds between two lines of progress where there is no terminal to rewrite one
_CODES: dict[int, type[SakeError]] = {2: ConfigError, 3: DataError, 4: RunError}  # exit codes of a refused run
Failure = tuple[Experiment, type[SakeError], str]  # the experiment, the kind of error, its message
_PROGRESS = re.compile(r"(\d+)%.*\[[^<]*<([\d:]+)")  # a line of tqdm: percent, and the remaining time


def default_jobs() -> int:
    """Number of runs at a time: one a core, at most one per 3.5 GiB of memory; one in all on an accelerator."""
    from joblib import cpu_count

    from ..devices import device

    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for limit in CONTAINER:
        with contextlib.suppress(OSError, ValueError):  # no container, or one without a limit
            memory = min(memory, int(limit.read_text()))
    return 1 if device().type != "cpu" else max(1, min(cpu_count(), memory // OF_A_RUN))


def make_runs(
    experiments: Sequence[Experiment],
    traced: Collection[Experiment] = (),
    jobs: int = 2,
    engine: str = "local",
    address: str = "auto",
) -> None:
    """Make the runs of experiments that have none yet, ``jobs`` at a time.

    A run that dies is resumed once from its checkpoint. A run that fails again or is refused (missing data, a loss that
    is not finite) is reported at the end; the others are made.

    Retrieval of ``traced`` is measured after every epoch, too. The engine ``"ray"`` makes runs on the cluster at
    ``address`` (``cluster.py``).

    Raises:
        SakeError: of the kind of the first run that failed, naming all that failed and why.
    """
    if engine == "ray":
        from . import cluster

        return cluster.make_runs(experiments, traced, address)
    jobs = max(1, min(jobs, len(experiments)))
    team = Team(experiments, traced, 1 if accelerator() else max(1, cores() // jobs))
    with ThreadPoolExecutor(jobs) as pool:
        try:
            workers = [pool.submit(team.work, slot) for slot in range(jobs)]
            for worker in wait(workers, return_when=FIRST_EXCEPTION).done:
                worker.result()
        finally:
            team.stop()
    report(experiments, team.failed)


def report(experiments: Sequence[Experiment], failed: Sequence[Failure]) -> None:
    """Raise one error that names all failed runs, of the type of the first; nothing if none failed."""
    if failed:
        finished = len(experiments) - len(failed)
        head = f"{len(failed)} of {len(experiments)} runs could not be made; the others ({finished}) are finished."
        raise failed[0][1]("\n  ".join([head, *(f"{e.id}: {text}" for e, _, text in failed)]))


def unbusy(experiments: Sequence[Experiment]) -> Experiment:
    """The first experiment whose run no other process is making; if all are being made, the first of all."""
    return next((e for e in experiments if not busy(e)), experiments[0])


class Team:
    """Workers that take experiments from one list, and their messages."""

    def __init__(self, experiments: Sequence[Experiment], traced: Collection[Experiment], threads: int = 1) -> None:
        self.waiting, self.number = list(experiments), {e: i + 1 for i, e in enumerate(experiments)}
        self.traced, self.threads = traced, threads
        self.failed: list[Failure] = []
        self.children: set[subprocess.Popen[str]] = set()
        self.lock, self.stopped = threading.Lock(), False

    def work(self, slot: int) -> None:
        """Make one run after the other until none is left; show the progress of each in a line of its own."""
        while (e := self._next()) is not None:
            name, started = f"  run {self.number[e]} of {len(self.number)}", time.monotonic()
            with bar(bar_format="{desc}", position=slot, leave=False) as line:
                _say(f"{name}: {e.id}")
                code, text = self._child(e, name, line)
                if code and code not in _CODES and not self.stopped:
                    _say(f"{name}: died ({_last(text)}); it goes on from its checkpoint")
                    code, text = self._child(e, name, line)
            if self.stopped:
                return
            if code:
                self.failed.append((e, _CODES.get(code, RunError), text or f"ended with code {code}"))
            _say(f"{name}: failed: {_last(text)}" if code else f"{name}: done in {time.monotonic() - started:.0f} s")

    def _next(self) -> Experiment | None:
        with self.lock:
            if self.stopped or not self.waiting:
                return None
            self.waiting.remove(e := unbusy(self.waiting))
            return e

    def _child(self, e: Experiment, name: str, line: Any) -> tuple[int, str]:
        """Make a run in a process of its own; return its exit code and its messages, without the progress."""
        messages: list[str] = []
        with self.lock:
            if self.stopped:
                return 0, ""
            child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": str(self.threads), "PYTHONPATH": paths.search_path()},
            )
            self.children.add(child)
        assert child.stdin and child.stderr
        with child:
            with contextlib.suppress(BrokenPipeError):  # a process that died at once is reported by its exit code
                child.stdin.write(json.dumps({"experiment": e.to_dict(), "trace": e in self.traced}) + "\n")
                child.stdin.flush()
            printed = time.monotonic()
            for text in child.stderr:
                if match := _PROGRESS.search(text):
                    progress = f"{name}: {text.partition(':')[0]} {match[1]} %, {match[2]} left"
                    line.set_description_str(progress)
                    if line.disable and time.monotonic() - printed >= EVERY:
                        print(progress, file=sys.stderr, flush=True)
                        printed = time.monotonic()
                elif text.strip() and "%|" not in text:
                    messages = [*messages[-19:], text.rstrip()]
            code = child.wait()
        self.children.discard(child)
        return code, "\n".join(messages)

    def stop(self) -> None:
        """End the processes that still run; their checkpoints stay."""
        with self.lock:
            self.stopped = True
            for child in [*self.children]:
                child.terminate()


def _say(text: str) -> None:
    from tqdm import tqdm

    tqdm.write(text, file=sys.stdout)  # above the lines of progress
    sys.stdout.flush()


def _last(text: str) -> str:
    return text.rpartition("\n")[2] or "killed"


def _child() -> int:
    """Make the run that standard input names; end when the process that started this one ends."""
    request = json.loads(sys.stdin.readline())
    # reading returns when the other process ends, because that closes the pipe
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(130)), daemon=True).start()
    try:
        run(Experiment.from_dict(request["experiment"]), trace=request["trace"])
    except SakeError as error:
        print(error, file=sys.stderr)
        return next((code for code, kind in _CODES.items() if isinstance(error, kind)), 4)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_child())
