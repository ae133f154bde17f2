"""A training loop that can be killed at any moment and goes on with the same numbers.

Everything random in a step is a pure function of (seed, epoch, step): which images, how they are augmented, what
dropout drops. So a checkpoint needs no generator's state, and the run that was interrupted and the run that was not are
the same, bit for bit on the same machine.
"""

from __future__ import annotations

import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from .errors import RunError
from .files import sweep, write_whole

Network = TypeVar("Network", bound=nn.Module)
CHECKPOINT_SECONDS = 30.0  # at least; more where saving itself is slow


@dataclass
class Batch:
    """Images of one step, photos first, ready for the network."""

    images: Tensor  # (N, 3, S, S) normalised
    labels: Tensor  # (N,) int64
    domain: Tensor  # (N,) float, 0 photo, 1 sketch
    photos: int  # how many of the N are photos
    names: list[str] = field(repr=False)  # (N,) for error messages

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        images, labels, domain = (t.to(device, non_blocking=True) for t in (self.images, self.labels, self.domain))
        return Batch(images, labels, domain, self.photos, self.names)


@dataclass
class Task:
    """What :func:`fit` trains: the network, its optimiser, and how to make a batch and a loss."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    plan: Callable[[int], Sequence[Any]]  # epoch -> what each of its steps reads
    prepare: Callable[[Any, np.random.Generator], Batch]  # one entry of the plan -> batch; perhaps in a thread
    losses: Callable[[Batch], dict[str, Tensor]]  # "loss" is descended; the others are recorded
    rate: Callable[[int], float]  # epoch -> factor on every learning rate
    epochs: int
    seed: int
    after_epoch: Callable[[int], dict[str, float]] = lambda epoch: {}
    score: str = ""  # column of the history whose best epoch is kept; empty: the last epoch


def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(network: Network) -> Network:
    """Move a network to the device, channels last: about three times as fast on a CPU."""
    return network.to(device=device(), memory_format=torch.channels_last)  # type: ignore[call-overload]


def generator(*seed: int) -> np.random.Generator:
    """Independent random numbers for a tuple of seeds such as (seed, epoch, step)."""
    return np.random.default_rng(np.random.SeedSequence(seed))


def fit(task: Task, checkpoint: Path, label: str = "training") -> list[dict[str, float]]:
    """Train to the end, from the checkpoint if there is one.

    Args:
        task: the network is left with the weights of the last epoch, or of the best by ``task.score``.
        checkpoint: file that is kept up to date, and read to go on. Two processes must not share one.
        label: before the progress bar.

    Returns:
        The history: one row an epoch, mean losses and what ``after_epoch`` measured.

    Raises:
        RunError: if a loss is not finite, with the step and the files of its batch, or if the checkpoint is damaged.
    """
    from tqdm import tqdm

    if not task.epochs:
        return []
    sweep(checkpoint)
    state = _load(task, checkpoint)
    first_rates = [group["lr"] for group in task.optimiser.param_groups] if not state else state["first_rates"]
    state = state or {"epoch": 0, "step": 0, "sums": {}, "history": [], "best": None, "first_rates": first_rates}
    saved_at, cost = time.monotonic(), 0.0
    plan: Sequence[Any] = task.plan(state["epoch"]) if state["epoch"] < task.epochs else []
    bar = tqdm(total=task.epochs * len(plan), initial=state["epoch"] * len(plan) + state["step"], desc=label,
               unit="step", mininterval=0.5 if sys.stderr.isatty() else 10)  # fmt: skip
    while state["epoch"] < task.epochs:
        epoch, started = state["epoch"], time.monotonic()
        for group, rate in zip(task.optimiser.param_groups, first_rates, strict=True):
            group["lr"] = float(rate * task.rate(epoch))  # a numpy number could not be read back from a checkpoint
        plan = task.plan(epoch)
        for step, batch in _batches(task, plan, epoch, state["step"]):
            _step(task, batch, epoch, step, state["sums"])
            state["step"] = step + 1
            bar.update()
            if time.monotonic() - saved_at > max(CHECKPOINT_SECONDS, 50 * cost):
                cost = _save(task, state, checkpoint)
                saved_at = time.monotonic()
        row = {"epoch": epoch + 1, "lr": task.optimiser.param_groups[0]["lr"]}
        row |= {name: total / len(plan) for name, total in state["sums"].items()}
        row |= {name: float(value) for name, value in task.after_epoch(epoch).items()}
        row["seconds"] = round(time.monotonic() - started, 2)
        state["history"].append(row)
        if task.score and (state["best"] is None or row[task.score] > state["best"]["score"]):
            weights = {k: v.detach().clone() for k, v in task.network.state_dict().items()}
            state["best"] = {"score": row[task.score], "weights": weights}
        state |= {"epoch": epoch + 1, "step": 0, "sums": {}}
        cost = _save(task, state, checkpoint)
        saved_at = time.monotonic()
        bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if k.startswith(("loss", "val"))})
    bar.close()
    if task.score and state["best"]:
        task.network.load_state_dict(state["best"]["weights"])
    return state["history"]


def _batches(task: Task, plan: Sequence[Any], epoch: int, first: int) -> Iterator[tuple[int, Batch]]:
    """(step, batch) from ``first`` on; where a core is idle meanwhile, the next two are prepared during a step."""
    def make(step: int) -> Batch:
        return task.prepare(plan[step], generator(task.seed, epoch, step))

    if not _idle_core():
        yield from ((step, make(step)) for step in range(first, len(plan)))
        return
    with ThreadPoolExecutor(2) as pool:
        ahead = {s: pool.submit(make, s) for s in range(first, min(first + 2, len(plan)))}
        for step in range(first, len(plan)):
            batch = ahead.pop(step).result()
            if step + 2 < len(plan):
                ahead[step + 2] = pool.submit(make, step + 2)
            yield step, batch


def _idle_core() -> bool:
    """Whether there is one while the network works: else a thread beside it takes longer than it saves."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return device().type != "cpu" or cores > torch.get_num_threads()


def _seed(seed: int) -> None:
    """``torch.manual_seed``, but that keeps a stack trace of each call for accelerators that may never be used."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(seed)


def _step(task: Task, batch: Batch, epoch: int, step: int, sums: dict[str, float]) -> None:
    """One descent; adds the losses to ``sums``."""
    _seed(int(generator(task.seed, epoch, step, 1).integers(2**62)))  # dropout
    task.optimiser.zero_grad(set_to_none=True)
    losses = task.losses(batch.to(device()))
    if not torch.isfinite(losses["loss"]):
        raise RunError(
            f"The loss is {losses['loss'].item()} in epoch {epoch + 1}, step {step + 1}. "
            f"Its batch: {', '.join(batch.names[:6])} ... ({len(batch.names)} images). Nothing was lost: the last "
            "checkpoint stands. Try a lower lr, zero_head=True, batch_norm='frozen' or precision='float32'."
        )
    losses["loss"].backward()
    task.optimiser.step()
    for name, value in losses.items():
        sums[name] = sums.get(name, 0.0) + value.item()


def _save(task: Task, state: dict[str, Any], checkpoint: Path) -> float:
    """Write the checkpoint whole; return the seconds it took."""
    started = time.monotonic()
    with write_whole(checkpoint) as temporary:
        torch.save(
            {**state, "network": task.network.state_dict(), "optimiser": task.optimiser.state_dict()}, temporary
        )
    return time.monotonic() - started


def _load(task: Task, checkpoint: Path) -> dict[str, Any] | None:
    """Restore network and optimiser; the rest of the state, or None if there is no checkpoint."""
    if not checkpoint.is_file():
        return None
    try:
        with zipfile.ZipFile(checkpoint) as archive:  # torch does not compare checksums
            if archive.testzip():
                raise ValueError("checksum")
        state = torch.load(checkpoint, map_location=device(), weights_only=True)
        task.network.load_state_dict(state.pop("network"))
        task.optimiser.load_state_dict(state.pop("optimiser"))
    except Exception as error:
        raise RunError(
            f"{checkpoint}: the checkpoint is damaged ({type(error).__name__}). Remove this file to train the run "
            "from its beginning; other runs are not touched."
        ) from error
    return state
