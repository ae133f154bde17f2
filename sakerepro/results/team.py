"""Workers that each make runs in processes of their own, one thread a run."""

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

from .. import paths
from ..errors import ConfigError, DataError, RunError, SakeError
from ..experiment import Experiment
from ..runs import busy, run

EVERY = 60.0  # seconds between two lines of progress where there is no terminal to rewrite one
_CODES: dict[int, type[SakeError]] = {2: ConfigError, 3: DataError, 4: RunError}  # exit codes of a run that was refused
Failure = tuple[Experiment, type[SakeError], str]  # what could not be made, the kind of error, what was said
_PROGRESS = re.compile(r"(\d+)%.*\[[^<]*<([\d:]+)")  # of tqdm: how far, and the time left


def report(experiments: Sequence[Experiment], failed: Sequence[Failure]) -> None:
    """Raise an error of the kind of the first that failed, which names all of them."""
    if failed:
        made = len(experiments) - len(failed)
        head = f"{len(failed)} of {len(experiments)} runs could not be made; the others ({made}) are finished."
        raise failed[0][1]("\n  ".join([head, *(f"{e.id}: {text}" for e, _, text in failed)]))


class Team:
    """Workers that take experiments from one list, and what they say."""

    def __init__(self, experiments: Sequence[Experiment], traced: Collection[Experiment]) -> None:
        self.waiting, self.number = list(experiments), {e: i + 1 for i, e in enumerate(experiments)}
        self.traced = traced
        self.failed: list[Failure] = []
        self.children: set[subprocess.Popen[str]] = set()
        self.lock, self.stopped = threading.Lock(), False

    def work(self, slot: int) -> None:
        """Make one run after the other until none is left."""
        while (e := self._next()) is not None:
            say, started = _Line(f"  run {self.number[e]} of {len(self.number)}", slot), time.monotonic()
            say.now(e.id)
            code, text = self._child(e, say)
            if code and code not in _CODES and not self.stopped:
                say.now(f"died ({_last(text)}); it goes on from its checkpoint")
                code, text = self._child(e, say)
            if code:
                self.failed.append((e, _CODES.get(code, RunError), text or f"ended with code {code}"))
            say.now(f"failed: {_last(text)}" if code else f"done in {time.monotonic() - started:.0f} s")
            say.close()

    def _next(self) -> Experiment | None:
        with self.lock:
            if self.stopped or not self.waiting:
                return None
            e = next((e for e in self.waiting if not busy(e)), self.waiting[0])  # what another process makes can wait
            self.waiting.remove(e)
            return e

    def _child(self, e: Experiment, say: _Line) -> tuple[int, str]:
        """Make a run in a process of its own; its exit code and what it said beside its progress."""
        said: list[str] = []
        with self.lock:
            if self.stopped:
                return 0, ""
            child = subprocess.Popen(
                [sys.executable, "-m", __name__],
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths.search_path()},
            )
            self.children.add(child)
        assert child.stdin and child.stderr
        with child:
            with contextlib.suppress(BrokenPipeError):  # one that died at once says so by its code
                child.stdin.write(json.dumps({"experiment": e.to_dict(), "trace": e in self.traced}) + "\n")
                child.stdin.flush()
            for line in child.stderr:
                if found := _PROGRESS.search(line):
                    say.progress(f"{line.partition(':')[0]} {found[1]} %, {found[2]} left")
                elif line.strip() and "%|" not in line:
                    said = [*said[-19:], line.rstrip()]
            code = child.wait()
        self.children.discard(child)
        return code, "\n".join(said)

    def stop(self) -> None:
        """End what still runs; its checkpoints stay."""
        with self.lock:
            self.stopped = True
            for child in [*self.children]:
                child.terminate()


class _Line:
    """What is said of one run: a line that is rewritten on a terminal, else a line now and then."""

    def __init__(self, name: str, slot: int) -> None:
        from tqdm import tqdm

        self.name, self.last = name, time.monotonic()
        self.bar = tqdm(bar_format="{desc}", position=slot, leave=False) if sys.stderr.isatty() else None

    def now(self, text: str) -> None:
        from tqdm import tqdm

        tqdm.write(f"{self.name}: {text}", file=sys.stdout)
        sys.stdout.flush()

    def progress(self, text: str) -> None:
        if self.bar is not None:
            self.bar.set_description_str(f"{self.name}: {text}")
        elif time.monotonic() - self.last >= EVERY:
            print(f"{self.name}: {text}", file=sys.stderr, flush=True)
            self.last = time.monotonic()

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def _last(text: str) -> str:
    return text.rpartition("\n")[2] or "killed"


def _child() -> int:
    """Make the run that standard input names; end with whoever started this process."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=lambda: (os.read(0, 1), os._exit(130)), daemon=True).start()  # the pipe closes
    try:
        run(Experiment.from_dict(asked["experiment"]), trace=asked["trace"])
    except SakeError as error:
        print(error, file=sys.stderr)
        return next((code for code, kind in _CODES.items() if isinstance(error, kind)), 4)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(_child())
