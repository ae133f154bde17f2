"""For tests of methods: one made without files, features of frozen backbones, and a kill at a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from sakerepro import methods, training
from sakerepro.data.batches import generator
from sakerepro.data.dataset import Dataset
from sakerepro.methods import Features, Method, Side
from sakerepro.model import build_student
from sakerepro.training import Batch

WIDTH = 512  # F of the mini backbone


def make(name: str, vectors: Tensor | None = None, **settings: Any) -> Any:
    """A method on a network of random weights, frozen if it works on features; the settings are its own."""
    e = methods.change(tiny.experiment(Path("data"), Path("weights")), method=name, **settings)
    student = build_student(e.backbone, dim=16, num_seen=len(tiny.SEEN), teacher=tiny.classifier(seed=3))
    cls = methods.class_of(e.method)
    student.requires_grad_("features" not in cls.needs)
    return cls(e, student, Side(tiny.SEEN, vectors=vectors))


def features(width: int, photos: int = 40, sketches: int = 30, classes: int = 4, seed: int = 0) -> Features:
    """Points about class centres of their domain, none below 0."""
    rng = np.random.default_rng(seed)
    tensors = []
    for n in (photos, sketches):
        labels = np.arange(n) % classes
        x = np.abs(rng.normal(size=(classes, width))[labels] + 0.3 * rng.normal(size=(n, width)))
        tensors += [torch.from_numpy(x.astype(np.float32)), torch.from_numpy(labels)]
    return Features(*tensors)


def pairs(data: Features, n: int, epoch: int, step: int) -> Batch:
    """A batch of n pairs of one class, photos first."""
    rng = generator(epoch, step)
    s = rng.integers(len(data.sketch), size=n)
    p = np.array([rng.choice(np.flatnonzero(data.photo_labels.numpy() == c)) for c in data.sketch_labels[s].numpy()])
    labels, domain = torch.cat([data.photo_labels[p], data.sketch_labels[s]]), torch.arange(2).repeat_interleave(n)
    return Batch(torch.cat([data.photo[p], data.sketch[s]]), labels, domain.float(), n, [""] * (2 * n))


def trained(method: Method, data: Dataset, checkpoint: Path, kill_at: int = -1) -> tuple[list[dict[str, float]], int]:
    """Train; the history and the number of steps. Stops before step ``kill_at``, with a checkpoint after every step."""
    steps, own, save = [0], method.step, training.Progress._save

    def step(*arguments: Any) -> dict[str, Tensor]:
        if steps[0] == kill_at:
            raise tiny.Stop
        steps[0] += 1
        return own(*arguments)

    def at_once(progress: training.Progress) -> None:
        save(progress)
        progress.cost = 0.0

    with pytest.MonkeyPatch.context() as patch:
        if kill_at >= 0:
            patch.setattr(training.Progress, "_save", at_once)
            patch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
        patch.setattr(method, "step", step)
        history = training.train(method, data, method.e, checkpoint)
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history], steps[0]


def check_embed(method: Method, width: int, size: int = tiny.SIDE) -> None:
    """(N, d) of N images of either domain and of both at once; (0, d) of none; as one by one."""
    images = torch.randn(5, 3, size, size, generator=torch.Generator().manual_seed(1))
    domain = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    with torch.inference_mode():
        mixed = method.eval().embed(images, domain)
        assert mixed.shape == (5, width) and mixed.dtype == torch.float32 and torch.isfinite(mixed).all()
        for i, one in enumerate(domain):
            torch.testing.assert_close(method.embed(images[i : i + 1], int(one))[0], mixed[i], rtol=1e-4, atol=1e-5)
        assert method.embed(images[:0], 0).shape == method.embed(images[:0], 1).shape == (0, width)
        assert method.embed(images[:0], domain[:0]).shape == (0, width)
