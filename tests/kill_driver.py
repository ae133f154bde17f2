"""Train the tiny student in child processes that are killed; print JSON lines. A program for test_training.py.

``python kill_driver.py <folder>=<moment>,<moment> ...``: a child trains from the checkpoint in the folder until it is
killed, once for each moment: seconds such as 0.7, a point inside the writing of its second checkpoint such as half:2,
or end, for a child that is let live.
One interpreter with everything imported serves all children, so that a kill costs no start.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import tiny
import torch

from sakerepro import files, methods, training
from sakerepro.experiment import Experiment
from sakerepro.methods.sake import SAKE
from sakerepro.model import build_student
from sakerepro.networks.backbones import Classifier, build_classifier

REAL_SAVE, REAL_REPLACE = torch.save, Path.replace


def random_network() -> Classifier:
    return tiny.randomise(build_classifier("se_resnet_mini", len(tiny.ORIGINAL)))  # type: ignore[return-value]


def train(folder: Path) -> None:
    """Three epochs of four steps; the weights and the history go to the folder."""
    torch.manual_seed(0)
    teacher = random_network()
    student = build_student("cse_resnet_mini", dim=8, num_seen=4, teacher=teacher)
    e = Experiment(
        dataset="sketchy", epochs=3, steps=4, batch_sketch=5, batch_photo=7, size=32, lr=1e-3, lr_end=1e-4, seed=3
    )
    method = SAKE(e, student, methods.Side(tiny.SEEN, teacher, tiny.ORIGINAL))
    history = training.train(method, tiny.dataset(), e, folder / "checkpoint.pt")
    REAL_SAVE(student.state_dict(), folder / "weights.pt")
    files.write_json(folder / "history.json", [{k: v for k, v in row.items() if k != "seconds"} for row in history])


def save_often(number: list[int]) -> None:
    """A checkpoint after every step; ``number`` counts them."""
    real = training.Progress._save

    def save(self: training.Progress) -> None:
        number[0] += 1
        real(self)
        self.cost, self.saved_at = 0.0, 0.0

    training.Progress._save, training.CHECKPOINT_SECONDS = save, -1.0  # type: ignore[method-assign]


def die_while_writing(point: str, at: int, number: list[int]) -> None:
    """Die in the ``at``-th checkpoint of this process: half-way through its file, or before or after its renaming."""

    def save(value: object, path: Path) -> None:
        REAL_SAVE(value, path)
        if number[0] == at and point == "half":
            os.truncate(path, path.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

    def replace(self: Path, target: Path) -> Path:
        if number[0] == at and point == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        done = REAL_REPLACE(self, target)
        if number[0] == at and point == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    torch.save, Path.replace = save, replace  # type: ignore[assignment]


def child(folder: Path, moment: str) -> None:
    number = [0]
    save_often(number)
    if ":" in moment:
        point, at = moment.split(":")
        die_while_writing(point, int(at), number)
    train(folder)


def main() -> None:
    torch.set_num_threads(1)  # a process with a pool of threads cannot be forked
    random_network()  # timm's modules are loaded once
    for argument in sys.argv[1:]:
        folder, _, moments = argument.partition("=")
        Path(folder).mkdir()
        for moment in moments.split(","):
            give_birth_and_kill(Path(folder), moment)


def give_birth_and_kill(folder: Path, moment: str) -> None:
    if not (pid := os.fork()):
        try:
            child(folder, moment)
        except BaseException as error:  # noqa: BLE001
            print(json.dumps({"error": repr(error)}), flush=True)
            os._exit(1)
        os._exit(0)
    if moment[0].isdigit():
        time.sleep(float(moment))
        os.kill(pid, signal.SIGKILL)
    status = os.waitpid(pid, 0)[1]
    print(json.dumps({"folder": folder.name, "moment": moment, "killed": os.WIFSIGNALED(status)}), flush=True)


if __name__ == "__main__":
    main()
