"""Train the tiny student in child processes that are killed; print JSON lines. A program for test_training.py.

``python kill_driver.py <folder>=<moment>,<moment> ...``: a child trains from the checkpoint in the folder until it is
killed, once for each moment: seconds such as 0.7, a point in the writing of its second checkpoint such as half:2, or
end, for a child that is not killed.
One interpreter with everything imported serves all children, so that a kill costs no start.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import tiny
import torch
from test_training import sake, without_seconds

from sakerepro import files, training

REAL_SAVE, REAL_REPLACE = torch.save, Path.replace


def train(folder: Path) -> None:
    """Three epochs of four steps; the weights and the history go to the folder."""
    method, _ = sake(epochs=3, steps=4, batch_sketch=5, batch_photo=7, lr_end=1e-4, seed=3)
    history = training.train(method, tiny.dataset(), method.e, folder / "checkpoint.pt")
    REAL_SAVE(method.state_dict(), folder / "weights.pt")
    files.write_json(folder / "history.json", without_seconds(history))


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def half(value: object, path: Path) -> None:
    REAL_SAVE(value, path)
    os.truncate(path, path.stat().st_size // 2)
    die()


def after(path: Path, target: Path) -> None:
    REAL_REPLACE(path, target)
    die()


POINTS = {"half": (torch, "save", half), "before": (Path, "replace", die), "after": (Path, "replace", after)}


def child(folder: Path, moment: str) -> None:
    """Train with a checkpoint after every step; die while writing that of the moment, if it names one."""
    real, number, (point, _, at) = training.Progress._save, itertools.count(1), moment.partition(":")

    def save(self: training.Progress) -> None:
        if str(next(number)) == at:
            setattr(*POINTS[point])
        real(self)
        self.cost, self.saved_at = 0.0, 0.0

    training.Progress._save, training.CHECKPOINT_SECONDS = save, -1.0
    train(folder)


def give_birth_and_kill(folder: Path, moment: str) -> None:
    if not (pid := os.fork()):
        try:
            child(folder, moment)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    if moment[0].isdigit():
        time.sleep(float(moment))
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    print(json.dumps({"folder": folder.name, "moment": moment, "killed": os.WIFSIGNALED(status)}), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)  # a process with a pool of threads cannot be forked
    sake()  # timm's modules are loaded once
    for argument in sys.argv[1:]:
        place, _, moments = argument.partition("=")
        Path(place).mkdir()
        for when in moments.split(","):
            give_birth_and_kill(Path(place), when)
