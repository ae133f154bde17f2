"""Training of a method: the step, the loop, and resuming after an interruption.

All random numbers of a step (batch, augmentation, dropout) are a pure function of (seed, epoch, step). So a checkpoint
holds no state of a random generator, and a resumed training ends with the same weights as an uninterrupted one, bit for
bit on the same machine.
"""

from __future__ import annotations

import contextlib
import math
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from types import MethodType
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import torch
from torch import Tensor, nn

from . import devices
from .data.batches import generator
from .data.batching import Batch, batch_maker, batch_of
from .data.dataset import Dataset, ImageSet, OriginalDomain
from .devices import device
from .display import bar
from .embedding import backbone_features, place, top1
from .errors import RunError
from .experiment import Experiment
from .files import sweep, write_whole
from .losses import benchmark_loss
from .networks.backbones import Classifier

if TYPE_CHECKING:
    from .methods.contract import Method

CHECKPOINT_SECONDS = 30.0  # shortest time between two checkpoints; longer if saving is slow
CHECK_STEPS = 25  # steps between two readings of the losses on an accelerator, since a reading waits for it


@dataclass(frozen=True)
class Features:
    """Backbone features of the training images, not augmented, in the order of the training sets."""

    photo: Tensor  #: (N, F)
    photo_labels: Tensor  #: (N,) int64
    sketch: Tensor  #: (M, F)
    sketch_labels: Tensor  #: (M,) int64

    @property
    def both(self) -> Tensor:
        """Both as one (N + M, F) tensor, photos before sketches."""
        return torch.cat([self.photo, self.sketch])


class Optimisers(dict[str, torch.optim.Optimizer]):
    """One or more optimisers by name, with the interface of a single optimiser."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for optimiser in self.values() for group in optimiser.param_groups]

    def zero_grad(self) -> None:
        for optimiser in self.values():
            optimiser.zero_grad(set_to_none=True)

    def step(self) -> None:
        for optimiser in self.values():
            optimiser.step()

    def state_dict(self) -> dict[str, Any]:
        return {name: optimiser.state_dict() for name, optimiser in self.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, optimiser in self.items():
            optimiser.load_state_dict(state[name])


def descend(losses: Callable[[Batch], dict[str, Tensor]], batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
    """One gradient step on ``losses(batch)["loss"]``; return all losses, detached."""
    optimisers.zero_grad()
    values = losses(batch)
    values["loss"].backward()
    optimisers.step()
    return {name: value.detach() for name, value in values.items()}


def minimise(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], steps: int, lr: float = 0.01) -> None:
    """Take ``steps`` Adam steps on ``loss()``: for small networks that are trained before the main one."""
    adam = torch.optim.Adam(parameters, lr=lr)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()
        adam.step()


Maker = Callable[[Any, np.random.Generator], Batch]  # rows of one step, random generator -> batch
Plan = Callable[[int], Sequence[Any]]  # epoch -> the rows of each step


def train(
    method: Method,
    data: Dataset,
    e: Experiment,
    checkpoint: Path,
    trace: Callable[[Method], dict[str, float]] | None = None,
    label: str = "training",
) -> list[dict[str, float]]:
    """Train a method in place, from its checkpoint if there is one; return the history.

    Args:
        method: left in eval mode, with the weights of the selected epoch.
        data: gives the seen classes to train on, and the validation sketches for ``val_top1``.
        e: all settings.
        checkpoint: file to resume from, rewritten during the training. Two processes must not share it.
        trace: takes more measurements after each epoch, for the history; they never decide which weights are kept.
        label: text in front of the progress bar.

    Returns:
        One row for each epoch: mean losses, and the measurements after it.

    Raises:
        RunError: if a loss is not finite, with the step and the files of its batch, or if the checkpoint is damaged.
    """
    place(method)
    speed_up(method, e)
    validated = method.classifies and len(data.val_sketch) > 0
    sets = data.train_photo, data.train_sketch
    features: Callable[[], Features] = partial(training_features, method, data, e.size)
    if "features" in method.needs:  # the backbone is frozen: compute once, before threads make batches
        features = cache(features)
        make_batch = feature_maker(sets, features())
    else:
        make_batch = batch_maker(sets, e.size, e.augmentation, method.backbone)

    def after_epoch() -> dict[str, float]:
        scores = {"val_top1": top1(method.seen_logits, method, data.val_sketch, e.size)} if validated else {}
        return scores | (trace(method) if trace else {})

    history = fit(
        method,
        partial(method.plan, data),
        lambda index, rng: make_batch(index[::-1], rng),  # sketches come first in a plan, photos in a batch
        after_epoch,
        checkpoint,
        method.epochs,
        e.seed,
        label=label,
        score="val_top1" if e.select == "val" and validated else "",
        features=features,
    )
    method.eval()
    return history


def fit(
    method: Any,
    plan: Plan,
    make: Maker,
    after_epoch: Callable[[], dict[str, float]],
    checkpoint: Path,
    epochs: int,
    seed: int,
    *,
    label: str = "training",
    score: str = "",
    features: Any = None,
) -> list[dict[str, float]]:
    """The training loop: learning rate, forward, backward, step, checkpoint.

    Args:
        method: has ``optimisers()``, ``begin``, ``rate(epoch)``, ``before_epoch`` and ``step(batch, optimisers)``.
        plan: gives the entries of an epoch, one for each step.
        make: turns an entry of the plan into a batch; may run in a thread.
        after_epoch: measurements after an epoch, for the history.
        checkpoint: as in :func:`train`.
        epochs: number of epochs.
        seed: seed for the batches, the augmentation and dropout.
        label: text in front of the progress bar.
        score: column of the history; the weights of the epoch with its highest value are kept. Empty: those of the last
            epoch.
        features: computes the features of the training images with the current network.
    """
    optimisers = method.optimisers()
    progress = Progress(method, optimisers, checkpoint, epochs=epochs, seed=seed, label=label, score=score)
    if progress.fresh:
        method.begin(features)
    for epoch in progress.epochs():  # from the last checkpoint on
        progress.set_rate(method.rate(epoch))
        if progress.state["step"] == 0:
            method.before_epoch(epoch, features)
        method.train()
        for batch in progress.steps(plan(epoch), make):
            losses = method.step(batch, optimisers)
            progress.record(losses, batch)  # writes a checkpoint when one is due
        progress.end_epoch(after_epoch())
    return progress.finish()


class Progress:
    """The state of the training: epoch, step, losses, history, best weights. It is saved in the checkpoint."""

    def __init__(
        self,
        method: nn.Module,
        optimisers: Optimisers,
        checkpoint: Path,
        *,
        epochs: int,
        seed: int,
        label: str,
        score: str,
    ) -> None:
        self.method, self.optimisers, self.checkpoint = method, optimisers, checkpoint
        self.total, self.seed, self.label, self.score = epochs, seed, label, score
        self.bar: Any = None
        self.saved_at, self.cost = time.monotonic(), 0.0
        self.unread: list[tuple[int, dict[str, Tensor], list[str]]] = []  # steps whose losses are not read yet
        sweep(checkpoint)
        state = self._load()
        self.fresh = state is None
        rates = [group["lr"] for group in optimisers.param_groups]
        initial: dict[str, Any] = {"epoch": 0, "step": 0, "sums": {}, "history": [], "best": None, "first_rates": rates}
        self.state = state or initial

    def epochs(self) -> Iterator[int]:
        """The remaining epochs."""
        while self.state["epoch"] < self.total:
            self.started = time.monotonic()
            yield self.state["epoch"]

    def set_rate(self, factor: float) -> None:
        """Set every learning rate to its first value times a factor."""
        for group, first in zip(self.optimisers.param_groups, self.state["first_rates"], strict=True):
            group["lr"] = float(first * factor)  # a numpy number could not be read back from a checkpoint

    def steps(self, plan: Sequence[Any], make: Maker) -> Iterator[Batch]:
        """The remaining batches of an epoch, on the device; PyTorch's generator (for dropout) is seeded before each."""
        epoch, self.length = self.state["epoch"], len(plan)
        if self.bar is None:
            done, total = epoch * len(plan) + self.state["step"], self.total * len(plan)
            self.bar = bar(None, self.label, log=True, initial=done, total=total, unit="step")
        batches = prefetch(lambda i: make(plan[i], generator(self.seed, epoch, i)), self.state["step"], len(plan))
        for step, batch in batches:
            devices.seed(int(generator(self.seed, epoch, step, 1).integers(2**62)))
            yield batch.to(device())
        self._read_losses()

    def record(self, losses: dict[str, Tensor], batch: Batch) -> None:
        """Add the losses of a finished step; write a checkpoint when one is due.

        Raises:
            RunError: if a loss is not finite. On an accelerator it is raised up to ``CHECK_STEPS`` steps later, but
                before the next checkpoint.
        """
        self.state["step"] += 1
        self.unread.append((self.state["step"], losses, batch.names))
        due = time.monotonic() - self.saved_at > max(CHECKPOINT_SECONDS, 50 * self.cost)
        if due or not devices.accelerated() or len(self.unread) >= CHECK_STEPS:
            self._read_losses()
        self.bar.update()
        if due:
            self._save()

    def _read_losses(self) -> None:
        """Add the losses of all steps since the last call, with one transfer from the device."""
        unread, self.unread = self.unread, []
        if not unread:
            return
        values = iter(torch.cat([value.reshape(1) for _, losses, _ in unread for value in losses.values()]).tolist())
        sums = self.state["sums"]
        for step, losses, names in unread:
            for name, value in zip(losses, values, strict=False):
                if not math.isfinite(value):
                    raise RunError(
                        f"{name} is {value} in epoch {self.state['epoch'] + 1}, step {step}. Its batch: "
                        f"{', '.join(names[:6])} ... ({len(names)} images). The last checkpoint "
                        "stands. Try a lower lr, zero_head=True, batch_norm='frozen' or precision='float32'."
                    )
                sums[name] = sums.get(name, 0.0) + value

    def end_epoch(self, measured: dict[str, float]) -> None:
        """Add a row to the history, keep the best weights, write a checkpoint."""
        state = self.state
        row = {"epoch": state["epoch"] + 1}
        if groups := self.optimisers.param_groups:  # a method in closed form has none
            row["lr"] = groups[0]["lr"]
        row |= {name: total / self.length for name, total in state["sums"].items()}
        row |= {name: float(value) for name, value in measured.items()}
        row["seconds"] = round(time.monotonic() - self.started, 2)
        state["history"].append(row)
        if self.score and (state["best"] is None or row[self.score] > state["best"]["score"]):
            weights = {k: v.detach().clone() for k, v in self.method.state_dict().items()}
            state["best"] = {"score": row[self.score], "weights": weights}
        state |= {"epoch": state["epoch"] + 1, "step": 0, "sums": {}}
        self._save()
        self.bar.set_postfix({k: f"{v:.3f}" for k, v in row.items() if k.startswith(("loss", "val"))})

    def finish(self) -> list[dict[str, float]]:
        """Put the best weights in place and return the history."""
        if self.bar is not None:
            self.bar.close()
        if self.score and self.state["best"]:
            self.method.load_state_dict(self.state["best"]["weights"])
        return self.state["history"]

    def _save(self) -> None:
        started = time.monotonic()
        state = {**self.state, "network": self.method.state_dict(), "optimiser": self.optimisers.state_dict()}
        with write_whole(self.checkpoint) as temporary:
            torch.save(state, temporary)
        self.saved_at = time.monotonic()
        self.cost = self.saved_at - started

    def _load(self) -> dict[str, Any] | None:
        """Restore network and optimisers; return the rest of the state, or None if there is no checkpoint."""
        if not self.checkpoint.is_file():
            return None
        try:
            with zipfile.ZipFile(self.checkpoint) as archive:  # torch.load does not check the checksums
                if archive.testzip():
                    raise ValueError("checksum")
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)  # Adam keeps its counters there
            self.method.load_state_dict(state.pop("network"))
            place(self.method)  # buffers that took the saved shape are on the CPU
            self.optimisers.load_state_dict(state.pop("optimiser"))
        except Exception as error:
            raise RunError(
                f"{self.checkpoint}: the checkpoint is damaged ({type(error).__name__}). Remove this file to train the "
                "run from its beginning; other runs are not touched."
            ) from error
        return state


def prefetch(make: Callable[[int], Batch], first: int, count: int) -> Iterator[tuple[int, Batch]]:
    """(step, batch) from ``first`` on. If a core is idle, threads make the next two batches during a step."""
    if not _idle_core():
        yield from ((step, make(step)) for step in range(first, count))
        return
    with ThreadPoolExecutor(2) as pool:
        ahead = {s: pool.submit(make, s) for s in range(first, min(first + 2, count))}
        for step in range(first, count):
            batch = ahead.pop(step).result()
            if step + 2 < count:
                ahead[step + 2] = pool.submit(make, step + 2)
            yield step, batch


def _idle_core() -> bool:
    """Whether a core is idle while the network computes; without an idle core, a thread costs more than it saves."""
    return device().type != "cpu" or joblib.cpu_count() > torch.get_num_threads()


def autocast(precision: str) -> contextlib.AbstractContextManager[object]:
    """Autocast to bfloat16 if ``precision`` is bfloat16; else no autocast."""
    return torch.autocast(device().type, torch.bfloat16, enabled=precision == "bfloat16")


def float32_where_faster(network: nn.Module) -> None:
    """Let layers compute in float32 where a CPU is slow in bfloat16, in place; under autocast they still give bfloat16.

    A CPU without units for bfloat16 emulates it: a step of EfficientNet-Lite0 takes 1.8 times as long with AVX-512, and
    nine times without it. There convolutions and linear layers compute in float32. With units, strided and large
    depthwise convolutions train in it, whose gradient is four to six times as slow in bfloat16; without a gradient
    bfloat16 is faster.
    """
    emulated = device().type == "cpu" and not devices.bfloat16_units()

    def forward(layer: nn.Module, input: Tensor) -> Tensor:
        mixed = input.device.type == "cpu" and torch.is_autocast_enabled("cpu") and input.dtype != torch.float64
        if not mixed or not (emulated or torch.is_grad_enabled()):
            return type(layer).forward(layer, input)
        dtype = torch.get_autocast_dtype("cpu")
        with torch.autocast("cpu", enabled=False):
            return type(layer).forward(layer, input.float()).to(dtype)

    for module in network.modules():
        linear = type(module).forward is nn.Linear.forward  # others may take more than their input
        if (emulated and (linear or isinstance(module, nn.Conv2d))) or (
            isinstance(module, nn.Conv2d)
            and module.groups == module.in_channels > 1
            and (max(module.stride) > 1 or max(module.kernel_size) > 3)
        ):
            module.forward = MethodType(forward, module)  # a deep copy rebinds it


def speed_up(network: Any, e: Experiment) -> None:
    """Make training steps of a network with a ``backbone`` faster, in place; results differ by rounding only."""
    float32_where_faster(network)
    if not (e.compile or devices.accelerated()) and getattr(network, "by_parts", True):
        network.backbone.part = devices.at_once(e.size)
    if e.compile:
        network.backbone.compile_layers()


def frozen(teacher: Classifier, e: Experiment) -> Classifier:
    """The teacher on the device, in eval mode, without gradients."""
    place(teacher).eval().requires_grad_(False)
    speed_up(teacher, e)
    return teacher


def training_features(method: Any, data: Dataset, size: int) -> Features:
    """Backbone features of the training photos and sketches, not augmented, on the device."""
    training = method.training
    method.eval()
    tensors: list[Tensor] = []
    for images in (data.train_photo, data.train_sketch):
        tensors += (torch.from_numpy(x).to(device()) for x in (backbone_features(method, images, size), images.labels))
    method.train(training)
    return Features(*tensors)


def feature_maker(sets: Sequence[ImageSet], features: Features) -> Callable[..., Batch]:
    """Like :func:`~sakerepro.data.batching.batch_maker`, with frozen features in place of images."""

    def make(index: Sequence[np.ndarray], rng: np.random.Generator) -> Batch:
        photos, sketches = (devices.send(torch.from_numpy(positions)) for positions in index)
        rows = torch.cat([features.photo[photos], features.sketch[sketches]])
        return batch_of(rows, list(zip(sets, index, strict=True)))

    return make


class Pretraining(nn.Module):
    """Classification on the original domain: the generated world's counterpart of ImageNet pretraining."""

    def __init__(self, network: Classifier, epochs: int) -> None:
        super().__init__()
        self.network, self.total = network, epochs

    def optimisers(self) -> Optimisers:
        """AdamW on all parameters."""
        return Optimisers(adamw=torch.optim.AdamW(self.network.parameters(), lr=2e-3, weight_decay=0.05))

    def rate(self, epoch: int) -> float:
        """Cosine decay to 0."""
        return 0.5 * (1 + np.cos(np.pi * epoch / self.total))

    def begin(self, features: Any) -> None:
        """Do nothing before the first epoch."""

    def before_epoch(self, epoch: int, features: Any) -> None:
        """Do nothing between epochs."""

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """One gradient step on the cross-entropy to the true class."""
        return descend(lambda b: {"loss": benchmark_loss(self.network(b.images), b.labels)}, batch, optimisers)


def train_teacher(
    teacher: Classifier, original: OriginalDomain, *, size: int, epochs: int, seed: int, checkpoint: Path
) -> list[dict[str, float]]:
    """Train a classifier on the photos of the original domain, in place; return its history."""
    network = place(teacher)
    make_batch = batch_maker([original.train], size, "centred", network.backbone)

    def plan(epoch: int) -> list[list[np.ndarray]]:
        order = generator(seed, epoch, 2**31).permutation(len(original.train))
        return [[rows] for rows in np.array_split(order, max(1, len(order) // 64))]

    def after_epoch() -> dict[str, float]:
        return {"val_top1": top1(lambda x, d: network(x), network, original.val, size)}

    pretraining = Pretraining(network, epochs)
    history = fit(pretraining, plan, make_batch, after_epoch, checkpoint, epochs, seed, label="teacher")
    network.eval()
    return history
