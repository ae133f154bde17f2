"""Images a second of training as a run does it, beside a bare loop over tensors that are already in memory.

Ours is `loop.fit` on the task that `train_student` sets up: images are drawn, augmented and put together, in threads
where the network leaves a core idle; losses are recorded and checked. What is saved at an epoch's end is left out: at
most a fiftieth of a long run. The bare loop is the least that trains the same networks with the same losses and
optimiser.
Images are random; so are the weights where no pretrained ones are at hand: neither matters for the time of a step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset
from sakerepro.experiment import Experiment, preset
from sakerepro.provenance import slow_bfloat16

from .augmentation import packed
from .common import OURS, Case, Clock, Contender, Lap, Row, run_cases

BARE = "bare loop, tensors in memory"
FAST = {"precision": "float32"} if slow_bfloat16() else {}  # both sides would wait for minutes
ORIGINAL, BAR, TURNS = 1000, 0.95, 5


@dataclass
class Setup:
    """One experiment, ready to train: what `train_student` made of it, and the same batches as tensors."""

    experiment: Experiment
    task: Any  # sakerepro.loop.Task
    student: Any
    teacher: Any
    data: Dataset
    similarity: Any  # (seen, original) tensor on the device
    batches: list[Any]  # sakerepro.loop.Batch, on the device
    weights: str  # where the networks' come from

    @property
    def images(self) -> int:
        """Of all steps."""
        return sum(len(batch.names) for batch in self.batches)


def set_up(experiment: Experiment, seen: int, photos: int, sketches: int) -> Setup:
    """Networks and data of an experiment of one epoch.

    Args:
        seen: classes.
        photos, sketches: random images to train on; all steps together should not need more.
    """
    import torch

    from sakerepro import loop, training
    from sakerepro.model import build_student

    teacher, weights = _teacher(experiment)
    student = build_student(experiment.backbone, dim=experiment.dim, num_seen=seen, teacher=teacher,
                            zero_head=experiment.zero_head, freeze=experiment.freeze)  # fmt: skip
    photo, sketch = packed(photos, PHOTO, experiment.size, seen), packed(sketches, SKETCH, experiment.size, seen)
    names = tuple(map(str, range(seen)))
    data = Dataset("random", "", names, (), sketch, sketch.select(np.arange(0)), photo, sketch, photo, "0" * 64)
    similarity = np.random.default_rng(0).random((seen, ORIGINAL), dtype=np.float32)
    with mock.patch.object(training, "fit", return_value=[]) as fit:  # all of train_student but the training
        training.train_student(student, teacher, data, similarity, experiment, Path())
    task = fit.call_args.args[0]
    batches = [task.prepare(index, loop.generator(0, i)).to(loop.device()) for i, index in enumerate(task.plan(0))]
    on_device = torch.from_numpy(similarity).to(loop.device())
    return Setup(experiment, task, student, teacher, data, on_device, batches, weights)


def _teacher(experiment: Experiment) -> tuple[Any, str]:
    """Pretrained where it is at hand; one that would have to be trained first is random."""
    from sakerepro.backbones import build_classifier, teacher_architecture
    from sakerepro.errors import DataError
    from sakerepro.teachers import load_teacher

    if not experiment.teacher_epochs:
        try:
            return load_teacher(experiment)[0], "pretrained weights"
        except DataError:
            pass
    return build_classifier(teacher_architecture(experiment.backbone), ORIGINAL).eval(), "random weights"


def wait() -> None:
    """For what the device still works on."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def ours(setup: Setup) -> Lap:
    """One epoch of `loop.fit`, until its last step is done."""
    from sakerepro.loop import fit

    laps = []

    def stop(epoch: int) -> dict[str, float]:
        wait()
        laps.append(clock.lap())
        return {}

    wait()
    with tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        history = fit(replace(setup.task, after_epoch=stop, score=""), Path(folder) / "checkpoint.pt")
    return replace(laps[0], answer=history[-1]["loss"])


def bare(setup: Setup) -> Lap:
    """Forward, backward, descend; nothing else."""
    import torch

    from sakerepro.losses import benchmark_loss, sake_loss
    from sakerepro.training import autocast, freeze_batch_norm

    e, student, teacher, optimiser = setup.experiment, setup.student, setup.teacher, setup.task.optimiser
    student.train()
    if e.batch_norm == "frozen":
        freeze_batch_norm(student)
    wait()
    clock = Clock()
    for batch in setup.batches:
        n = batch.photos
        optimiser.zero_grad(set_to_none=True)
        with autocast(e.precision):
            seen, original = student(batch.images, batch.domain)
            with torch.no_grad():
                signal = teacher(batch.images[:n])
        semantic = sake_loss(original[:n].float(), signal.float(), setup.similarity[batch.labels[:n]],
                             lambda1=e.lambda1, lambda2=e.lambda2)  # fmt: skip
        loss = benchmark_loss(seen.float(), batch.labels) + e.lambda_sake * semantic
        loss.backward()
        optimiser.step()
    wait()
    return clock.lap(float(loss.detach()))


def maker(experiment: Experiment, seen: int, steps: int) -> Callable[[float], Setup]:
    """Of a share of the steps; below a fifth of them with two images of each domain, to see that it runs."""

    def make(share: float) -> Setup:
        small = {} if share > 0.2 else {"batch_photo": 2, "batch_sketch": 2}
        e = experiment.but(epochs=1, steps=max(1, round(steps * share)), select="last", **small)
        return set_up(e, seen, e.batch_photo * e.steps, e.batch_sketch * e.steps)

    return make


def at_least_95_percent(rows: dict[str, Row]) -> tuple[str, bool]:
    share = rows[BARE].seconds / rows[OURS].seconds  # type: ignore[operator]
    return f"at least 95% of the images/s of the bare loop: {share:.1%}", share >= BAR


def described(who: str, setup: Setup, loss: Any) -> str:
    return f"{setup.images} images, loss {loss:.2f}, {setup.weights}"


def case(name: str, experiment: Experiment, seen: int, steps: int, turns: int = TURNS) -> Case:
    e = experiment
    work = f"{steps} steps, {name}: {e.backbone}, {e.size} px, {e.batch_photo} + {e.batch_sketch} images, {e.precision}"
    contenders = {OURS: Contender(ours, note="data prepared as well"), BARE: Contender(bare)}
    return Case(work, maker(e, seen, steps), contenders, at_least_95_percent, described, turns, memory=False)


CASES = [
    case("mini", preset("mini"), 20, 20, 15),  # a step takes 40 ms: a busy moment of the machine weighs more
    case("small", preset("small").but(**FAST), 100, 5, 7),
    case("paper on a CPU", preset("paper", precision="float32"), 220, 2),
]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
