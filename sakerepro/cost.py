"""What L_SAKE costs in training (section 1: "moderate extra computation"): steps of both losses, timed side by side.

The seconds of whole runs would also hold what else the machine did; interleaved steps share that alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import partial
from statistics import median

import torch

from .experiment import Experiment
from .kept import kept
from .loop import device, generator, place
from .measures import pairs
from .model import build_student
from .provenance import processor
from .rows import Row
from .runrows import run_row
from .runs import Run, experiment_data
from .semantics import semantic_similarity
from .teachers import load_teacher
from .training import make_batch, speed_up, student_losses

STEPS, WARM_UP = 15, 3


def step_seconds(e: Experiment) -> dict[str, float]:
    """Median seconds of one training step with L_B + L_SAKE and with L_B alone, steps of the two taking turns.

    A step is the losses of one batch, their gradients and the optimiser; the batch is the same for both.
    """
    data, (teacher, wnids, _) = experiment_data(e), load_teacher(e)
    place(teacher).eval().requires_grad_(False)
    speed_up(teacher, e)
    similarity = torch.from_numpy(semantic_similarity(data.seen, wnids, rule=e.semantics, dataset=e.dataset))
    similarity = similarity.to(device())
    rng = generator(e.seed)
    sets = [(data.train_photo, e.batch_photo), (data.train_sketch, e.batch_sketch)]
    drawn = [(images, rng.integers(len(images), size=n)) for images, n in sets]
    steps = {}
    for name, settings in {"SAKE": e, "L_B": e.but(lambda_sake=0.0)}.items():
        student = place(build_student(e.backbone, dim=e.dim, num_seen=len(data.seen), teacher=teacher)).train()
        speed_up(student, e)
        optimiser = torch.optim.Adam(student.parameters(), lr=e.lr)
        losses = student_losses(student, teacher, similarity, settings)
        batch = make_batch(drawn, e.size, e.augmentation, student.backbone, rng).to(device())
        steps[name] = (losses, optimiser, batch)
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(WARM_UP + STEPS):
        for name, (losses, optimiser, batch) in steps.items():
            _wait()
            started = time.perf_counter()
            optimiser.zero_grad(set_to_none=True)
            losses(batch)["loss"].backward()
            optimiser.step()
            _wait()
            seconds[name].append(time.perf_counter() - started)
    return {name: median(values[WARM_UP:]) for name, values in seconds.items()}


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def cost_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """The time of a training step with SAKE relative to L_B alone, of every pair of runs; timed once on a machine."""
    for pair in pairs(runs):
        e = pair.sake.experiment
        machine = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
        inputs = {"experiment": e.to_dict(), "machine": machine, "threads": torch.get_num_threads()}
        found = kept("step-seconds", pair.sake.id, inputs, partial(step_seconds, e))
        yield run_row(pair.sake, "time relative to L_B", found["SAKE"] / found["L_B"], task="training")
        for run, method in ((pair.sake, "SAKE"), (pair.baseline, "L_B")):
            yield run_row(run, "seconds a step", found[method], task="training")
