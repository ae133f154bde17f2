"""What L_SAKE costs (section 1): steps of both losses, timed and weighed side by side, and embedding at test time.

The seconds of whole runs would also hold what else the machine did; interleaved steps share that alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch

from .experiment import Experiment
from .kept import kept
from .loop import Batch, device, generator, place
from .measures import pairs
from .model import Student, build_student
from .provenance import processor
from .rows import Row
from .runrows import run_row
from .runs import Run, experiment_data
from .semantics import semantic_similarity
from .teachers import load_teacher
from .training import make_batch, speed_up, student_losses

STEPS, WARM_UP = 15, 3


@dataclass
class Side:
    """One loss, ready to train."""

    student: Student
    losses: Callable[[Batch], dict[str, torch.Tensor]]
    optimiser: torch.optim.Optimizer
    batch: Batch  # the same images on both sides
    teacher: torch.nn.Module | None

    def step(self) -> None:
        """The losses of the batch, their gradients and the optimiser."""
        self.optimiser.zero_grad(set_to_none=True)
        self.losses(self.batch)["loss"].backward()
        self.optimiser.step()

    def embed(self) -> None:
        """What is done at test time."""
        with torch.inference_mode():
            self.student.embed(self.batch.images, self.batch.domain)

    def memory(self) -> int:
        """Bytes that a step holds at once: what backward needs, parameters, gradients, moments, and the teacher."""
        stores: dict[int, int] = {}

        def note(x: torch.Tensor) -> torch.Tensor:
            stores[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        for x in [*self.student.parameters(), *(self.teacher.parameters() if self.teacher else ())]:
            note(x)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            self.losses(self.batch)
        return sum(stores.values()) + 3 * sum(p.nbytes for p in self.student.parameters())


def sides(e: Experiment) -> dict[str, Side]:
    """``"SAKE"`` and ``"L_B"``: both losses on networks of the same kind and on the same batch."""
    data, (teacher, wnids, _) = experiment_data(e), load_teacher(e)
    place(teacher).eval().requires_grad_(False)
    speed_up(teacher, e)
    similarity = torch.from_numpy(semantic_similarity(data.seen, wnids, rule=e.semantics, dataset=e.dataset))
    similarity = similarity.to(device())
    sets = [(data.train_photo, e.batch_photo), (data.train_sketch, e.batch_sketch)]
    rng = generator(e.seed)
    drawn = [(images, rng.integers(len(images), size=n)) for images, n in sets]
    found = {}
    for name, settings in {"SAKE": e, "L_B": e.but(lambda_sake=0.0)}.items():
        student = build_student(e.backbone, dim=e.dim, num_seen=len(data.seen), teacher=teacher, freeze=e.freeze)
        student = place(student).train()
        speed_up(student, e)
        batch = make_batch(drawn, e.size, e.augmentation, student.backbone, generator(e.seed, 1)).to(device())
        found[name] = Side(student, student_losses(student, teacher, similarity, settings),
                           torch.optim.Adam(student.parameters(), lr=e.lr), batch,
                           teacher if name == "SAKE" else None)  # fmt: skip
    return found


def measure_cost(e: Experiment) -> dict[str, dict[str, float]]:
    """By side: median seconds of a training step and of embedding a batch, the sides in turn; bytes of a step."""
    both = sides(e)
    found = {name: {"bytes": float(side.memory())} for name, side in both.items()}
    for what in ("step", "embed"):
        seconds: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(WARM_UP + STEPS):
            for name, side in both.items():
                side.student.train(what == "step")
                _wait()
                started = time.perf_counter()
                getattr(side, what)()
                _wait()
                seconds[name].append(time.perf_counter() - started)
        for name, values in seconds.items():
            found[name][what] = median(values[WARM_UP:])
    return found


def _wait() -> None:
    if device().type == "cuda":
        torch.cuda.synchronize()


def cost_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Time and memory of training with SAKE relative to L_B alone, and time at test, of every pair of runs.

    Measured once on a machine.
    """
    for pair in pairs(runs):
        e = pair.sake.experiment
        machine = torch.cuda.get_device_name() if torch.cuda.is_available() else processor()
        inputs = {"experiment": e.to_dict(), "machine": machine, "threads": torch.get_num_threads()}
        found = kept("cost", pair.sake.id, inputs, partial(measure_cost, e))
        for metric, what, task in (("time relative to L_B", "step", "training"),
                                   ("memory relative to L_B", "bytes", "training"),
                                   ("time relative to L_B", "embed", "test")):  # fmt: skip
            yield run_row(pair.sake, metric, found["SAKE"][what] / found["L_B"][what], task=task)
        for run, method in ((pair.sake, "SAKE"), (pair.baseline, "L_B")):
            yield run_row(run, "seconds a step", found[method]["step"], task="training")
            yield run_row(run, "GiB a step", found[method]["bytes"] / 2**30, task="training")
            yield run_row(run, "seconds to embed a batch", found[method]["embed"], task="test")
