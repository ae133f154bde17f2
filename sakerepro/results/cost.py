"""The cost of L_SAKE (section 1): time and memory of alternating steps of both losses, time of embedding at test.

Other work on the machine would distort the seconds of whole runs; it slows alternating steps of both losses alike.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch

from .. import methods
from ..data.batches import generator
from ..data.batching import Batch, make_batch
from ..devices import accelerator, device, wait
from ..embedding import place
from ..experiment import Experiment
from ..provenance import processor
from ..runs import Run, experiment_data, start
from ..threads import one_thread
from ..training import speed_up
from .kept import kept
from .measures import pairs
from .rows import Row
from .runrows import run_row

STEPS, WARM_UP = 15, 3


@dataclass
class Side:
    """One method, ready to train, with a batch that all sides share."""

    method: methods.Method
    batch: Batch
    optimisers: methods.Optimisers

    def step(self) -> None:
        """The losses of the batch, their gradients and the optimiser."""
        self.method.step(self.batch, self.optimisers)

    def embed(self) -> None:
        """Embed the batch, as at test time."""
        with torch.inference_mode():
            self.method.embed(self.batch.images, self.batch.domain)

    def memory(self) -> int:
        """Bytes that a step holds at once: tensors for backward, parameters, gradients, moments, and the teacher."""
        stores: dict[int, int] = {}

        def note(x: torch.Tensor) -> torch.Tensor:
            stores[x.untyped_storage().data_ptr()] = x.untyped_storage().nbytes()
            return x

        teacher: Any = self.method.teacher if methods.setting(self.method.e, "lambda_sake") else ()
        for x in [*self.method.parameters(), *(p for network in teacher for p in network.parameters())]:
            note(x)
        part, self.method.backbone.part = self.method.backbone.part, 0  # the hooks see this thread only
        with torch.autograd.graph.saved_tensors_hooks(note, lambda x: x):
            self.method.losses(self.batch)
        self.method.backbone.part = part
        return sum(stores.values()) + 3 * sum(p.nbytes for p in self.method.parameters())


def sides(e: Experiment) -> dict[str, Side]:
    """``"SAKE"`` and ``"L_B"``: both losses on networks of the same kind and on the same batch."""
    data, rng = experiment_data(e), generator(e.seed)
    sets = [(data.train_photo, e.batch_photo), (data.train_sketch, e.batch_sketch)]
    drawn = [(images, rng.integers(len(images), size=n)) for images, n in sets]
    both: dict[str, Side] = {}
    for name, one in {"SAKE": e, "L_B": methods.baseline(e)}.items():
        method = place(start(one, data)[0]).train()
        if both:
            method.teacher = both["SAKE"].method.teacher  # the same network: once in memory
        speed_up(method, e)
        batch = make_batch(drawn, e.size, e.augmentation, method.backbone, generator(e.seed, 1)).to(device())
        both[name] = Side(method, batch, method.optimisers())
    return both


@one_thread()
def measure_cost(e: Experiment) -> dict[str, dict[str, float]]:
    """Median seconds of a training ``step`` and to ``embed`` a batch, and ``bytes`` of a step, sides taken in turn."""
    both = sides(e)
    costs = {name: {"bytes": float(side.memory())} for name, side in both.items()}
    for action in ("step", "embed"):
        seconds: dict[str, list[float]] = {name: [] for name in both}
        for _ in range(WARM_UP + STEPS):
            for name, side in both.items():
                side.method.train(action == "step")
                wait()
                started = time.perf_counter()
                getattr(side, action)()
                wait()
                seconds[name].append(time.perf_counter() - started)
        for name, values in seconds.items():
            costs[name][action] = median(values[WARM_UP:])
    return costs


def cost_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Time and memory of training with SAKE relative to L_B alone, and time at test, of every pair of runs.

    Ratios of times are rounded to one decimal; the second decimal changes between measurements on one machine.
    """
    for sake, _ in pairs(runs):
        costs = measured_cost(sake)
        for metric, key, task, digits in (
            ("time relative to L_B", "step", "training", 1),
            ("memory relative to L_B", "bytes", "training", 3),
            ("time relative to L_B", "embed", "test", 1),
        ):
            value = round(costs["SAKE"][key] / costs["L_B"][key], digits)
            yield run_row(sake, metric, value, task=task)


def measured_cost(run: Run) -> dict[str, dict[str, float]]:
    """:func:`measure_cost` of a run's settings, measured once on a machine."""
    machine = accelerator() or processor()
    inputs = {"experiment": run.experiment.to_dict(), "machine": machine, "threads": torch.get_num_threads()}
    return kept("cost", run.id, inputs, partial(measure_cost, run.experiment))
