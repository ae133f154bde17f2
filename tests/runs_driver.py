"""Two processes that want the same run at the same moment; prints JSON lines. A program for test_runs.py.

``python runs_driver.py <folder> <weights>``. The package is imported once, then two children are forked.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import tiny
import torch

from sakerepro import runs, training


def child(folder: Path, weights: Path) -> None:
    trained = []
    real = training.train
    training.train = lambda *arguments, **named: trained.append(1) or real(*arguments, **named)
    done = runs.run(tiny.experiment(folder, weights))
    line = json.dumps({"id": done.id, "trained": len(trained), "metrics": len(done.metrics())})
    os.write(1, f"{line}\n".encode())  # in one piece, beside the other child's


def main() -> None:
    torch.set_num_threads(1)  # a process with a pool of threads cannot be forked
    children = []
    for _ in range(2):
        if not (pid := os.fork()):
            try:
                child(Path(sys.argv[1]), Path(sys.argv[2]))
            except BaseException as error:  # noqa: BLE001
                print(repr(error), file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(pid)
    sys.exit(any([os.waitpid(pid, 0)[1] for pid in children]))


if __name__ == "__main__":
    main()
