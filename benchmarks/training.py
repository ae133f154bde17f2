"""Images a second of training as a run does it, beside a bare loop over tensors that are already in memory.

Ours is `training.fit` as a run calls it: images are drawn, augmented and put together, in threads where the network
leaves a core idle; losses are recorded and checked. What is saved at an epoch's end is left out: at
most a fiftieth of a long run. The bare loop is the least that trains the same networks with the same losses and
optimiser, on one thread or on all of PyTorch; it does not divide a batch into parts, as ours does where it can.
Images are random; so are the weights where no pretrained ones are at hand: neither matters for the time of a step.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset
from sakerepro.devices import accelerated, at_once, wait
from sakerepro.experiment import Experiment
from sakerepro.methods import preset
from sakerepro.semantics import imagenet_wnids
from sakerepro.threads import one_thread

from .augmentation import packed
from .common import OURS, Case, Clock, Contender, Lap, Row, run_cases

BARE, BARE_ALL = "bare loop, tensors in memory", "bare loop, all threads"
UNFROZEN = "sakerepro, no stage frozen"
ORIGINAL, BAR, TURNS = 1000, 0.95, 5


@dataclass
class Setup:
    """One experiment, ready to train: the method, how its batches are made, and the same batches as tensors."""

    experiment: Experiment
    method: Any  # sakerepro.methods.sake.SAKE
    optimisers: Any
    make: Callable[[Any, np.random.Generator], Any]  # an entry of the plan -> sakerepro.training.Batch
    data: Dataset
    batches: list[Any]  # on the device
    weights: str  # source of the networks' weights

    @property
    def images(self) -> int:
        """Number of images of all steps."""
        return sum(len(batch.names) for batch in self.batches)


def set_up(experiment: Experiment, seen: int, photos: int, sketches: int) -> Setup:
    """Networks and data of an experiment of one epoch.

    Args:
        seen: classes.
        photos, sketches: random images to train on; all steps together should not need more.
    """
    from sakerepro import methods
    from sakerepro.data.batches import generator
    from sakerepro.data.batching import batch_maker
    from sakerepro.devices import device
    from sakerepro.embedding import place
    from sakerepro.model import build_student
    from sakerepro.training import speed_up

    e, (teacher, weights) = experiment, _teacher(experiment)
    student = build_student(
        e.backbone, dim=e.dim, num_seen=seen, teacher=teacher, zero_head=e.zero_head, freeze=e.freeze
    )
    photo, sketch = packed(photos, PHOTO, e.size, seen), packed(sketches, SKETCH, e.size, seen)
    names = ("airplane",) * seen
    data = Dataset("random", "", names, (), sketch, sketch.select(np.arange(0)), photo, sketch, photo, "0" * 64)
    wnids = tuple(imagenet_wnids()[:ORIGINAL])
    e_sketchy = e.but(dataset="sketchy")  # its class table has the names
    method = place(methods.class_of(e.method)(e_sketchy, student, methods.Side(names, teacher, wnids)))
    speed_up(method, e)

    make_batch = batch_maker((data.train_photo, data.train_sketch), e.size, e.augmentation, method.backbone)

    def make(index: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> Any:
        return make_batch(index[::-1], rng)

    batches = [make(index, generator(0, i)).to(device()) for i, index in enumerate(method.plan(data, 0))]
    return Setup(e, method, method.optimisers(), make, data, batches, weights)


def _teacher(experiment: Experiment) -> tuple[Any, str]:
    """Pretrained where it is at hand; one that would have to be trained first is random."""
    from sakerepro.errors import DataError
    from sakerepro.networks.architectures import teacher_architecture
    from sakerepro.networks.backbones import build_classifier
    from sakerepro.teachers import load_teacher

    if not experiment.teacher_epochs:
        try:
            return load_teacher(experiment)[0], "pretrained weights"
        except DataError:
            pass
    return build_classifier(teacher_architecture(experiment.backbone), ORIGINAL).eval(), "random weights"


def divide(setup: Setup, part: int) -> None:
    """Let the networks compute parts of ``part`` images side by side; 0: whole batches."""
    for network in (setup.method.student, *setup.method.teacher):
        network.backbone.part = 0 if accelerated() else part


def ours(setup: Setup) -> Lap:
    """One epoch of `training.fit`, until its last step is done."""
    from sakerepro.training import fit

    laps = []

    def stop() -> dict[str, float]:
        wait()
        laps.append(clock.lap())
        return {}

    wait()
    optimisers = setup.optimisers
    setup.method.optimisers = lambda: optimisers  # not by way of the setup, which would never be freed
    divide(setup, at_once(setup.experiment.size))
    with one_thread(), tempfile.TemporaryDirectory() as folder:
        clock = Clock()
        history = fit(
            setup.method,
            lambda epoch: setup.method.plan(setup.data, epoch),
            setup.make,
            stop,
            Path(folder) / "checkpoint.pt",
            1,
            setup.experiment.seed,
        )
    return replace(laps[0], answer=history[-1]["loss"])


def bare(setup: Setup) -> Lap:
    """Forward, backward, descend; nothing else."""
    import torch

    from sakerepro.losses import benchmark_loss, sake_loss
    from sakerepro.training import autocast

    method, optimiser = setup.method.train(), setup.optimisers["adam"]
    divide(setup, 0)
    wait()
    clock = Clock()
    for batch in setup.batches:
        n = batch.photos
        optimiser.zero_grad(set_to_none=True)
        with autocast(setup.experiment.precision):
            seen, original = method.student(batch.images, batch.domain)
            with torch.no_grad():
                signal = method.teacher[0](batch.images[:n])
        semantic = sake_loss(
            original[:n].float(),
            signal.float(),
            method.similarity[batch.labels[:n]],
            lambda1=method.s.lambda1,
            lambda2=method.s.lambda2,
        )
        loss = benchmark_loss(seen.float(), batch.labels) + method.s.lambda_sake * semantic
        loss.backward()
        optimiser.step()
    wait()
    return clock.lap(float(loss.detach()))


def bare_on_one(setup: Setup) -> Lap:
    """The bare loop on the one thread that a run has, apart from the parts of a batch."""
    with one_thread():
        return bare(setup)


def maker(experiment: Experiment, seen: int, steps: int) -> Callable[[float], Setup]:
    """A maker of the setup of a share of the steps; below a fifth, batches have two images of each domain."""

    def make(share: float) -> Setup:
        small = {} if share > 0.2 else {"batch_photo": 2, "batch_sketch": 2}
        e = experiment.but(epochs=1, steps=max(1, round(steps * share)), select="last", **small)
        return set_up(e, seen, e.batch_photo * e.steps, e.batch_sketch * e.steps)

    return make


def frozen_or_not(e: Experiment, seen: int, steps: int) -> Case:
    """The gain of frozen first stages, which run once for student and teacher and are not trained."""

    def make(share: float) -> list[Setup]:
        return [maker(e.but(freeze=stages), seen, steps)(share) for stages in (e.freeze, 0)]

    def judge(rows: dict[str, Row]) -> tuple[str, bool]:
        times = rows[UNFROZEN].seconds / rows[OURS].seconds  # type: ignore[operator]
        return f"at least 1.8 x the images/s without frozen stages: {times:.2f} x", times >= 1.8

    contenders = {
        OURS: Contender(lambda setups: ours(setups[0]), note=f"{e.freeze} stages frozen"),
        UNFROZEN: Contender(lambda setups: ours(setups[1])),
    }
    work = f"{steps} steps, small, with and without frozen stages"
    return Case(work, make, contenders, judge, turns=7, memory=False)


def at_least_95_percent(rows: dict[str, Row]) -> tuple[str, bool]:
    share = rows[BARE].seconds / rows[OURS].seconds  # type: ignore[operator]
    return f"at least 95% of the images/s of the bare loop: {share:.1%}", share >= BAR


def described(who: str, setup: Setup, loss: Any) -> str:
    return f"{setup.images} images, loss {loss:.2f}, {setup.weights}"


def case(name: str, experiment: Experiment, seen: int, steps: int, turns: int = TURNS) -> Case:
    e = experiment
    work = f"{steps} steps, {name}: {e.backbone}, {e.size} px, {e.batch_photo} + {e.batch_sketch} images, {e.precision}"
    loops = {BARE: Contender(bare_on_one, note="one thread"), BARE_ALL: Contender(bare)}
    contenders = {OURS: Contender(ours, note="data prepared as well"), **loops}
    return Case(work, maker(e, seen, steps), contenders, at_least_95_percent, described, turns, memory=False)


CASES = [
    case("mini", preset("mini"), 20, 20, 15),  # a step takes 40 ms: a busy moment of the machine weighs more
    case("small", preset("small"), 100, 5, 7),
    frozen_or_not(preset("small"), 100, 5),
    case("paper on a CPU", preset("paper", precision="float32"), 220, 2, 3),
]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
