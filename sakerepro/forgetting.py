"""Catastrophic forgetting: how well a linear classifier reads the original classes off frozen features (section 4.3).

The paper trains "a linear classifier for ImageNet 1000 classes using features extracted from the last fully connected
layer". Its pretrained accuracies are those of the whole networks, so the features are what the pretrained classifier
reads: the backbone's (fc7 of AlexNet). The embedding that retrieval uses is probed beside it, as a variant by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .data.dataset import OriginalDomain
from .embedding import apply, device, place
from .kept import kept
from .original import original_photos
from .rows import Row
from .runrows import run_row
from .runs import Run

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # of the L2 penalty, strongest first: each starts where the last one ended
HELD_OUT = 0.2  # of the training photos, to choose the strength on; the accuracy is measured on other photos
VARIANT = "probe of the embedding"


@dataclass(frozen=True)
class Probe:
    """A multinomial logistic regression on standardised features."""

    weight: Tensor  # (C, F)
    bias: Tensor  # (C,)
    mean: Tensor  # (F,) of the training features
    scale: Tensor  # (F,) their standard deviation; 1 for a constant feature
    strength: float  # of the L2 penalty
    gradient: float  # largest entry of the objective's gradient where the solver stopped

    def predict(self, x: np.ndarray) -> np.ndarray:
        """(N, F) features to (N,) classes."""
        z = (torch.as_tensor(x, device=self.mean.device) - self.mean) / self.scale
        return (z @ self.weight.T + self.bias).argmax(dim=1).cpu().numpy()


def fit_probe(
    x: np.ndarray, labels: np.ndarray, classes: int, strength: float, start: Probe | None = None,
    iterations: int = 100, tolerance: float = 1e-4,
) -> Probe:  # fmt: skip
    """Minimise mean cross-entropy + strength / 2 * ||W||^2 by L-BFGS; the problem is convex.

    Args:
        x: (N, F) features.
        labels: (N,) classes from 0, below ``classes``.
        strength: of the L2 penalty on the weights of the standardised features.
        start: a probe of the same features to start from.
        iterations, tolerance: stop after so many, or when no entry of the gradient is larger.
    """
    features = torch.as_tensor(x, device=device())
    target = torch.as_tensor(labels, device=device())
    mean, scale = features.mean(dim=0), features.std(dim=0, correction=0)
    scale = torch.where(scale > 1e-6 * (1 + mean.abs()), scale, torch.ones_like(scale))
    z = (features - mean) / scale
    weight = torch.zeros(classes, z.shape[1], device=z.device) if start is None else start.weight.clone()
    bias = torch.zeros(classes, device=z.device) if start is None else start.bias.clone()
    solver = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()], max_iter=iterations, tolerance_grad=tolerance,
        tolerance_change=0, history_size=10, line_search_fn="strong_wolfe",
    )  # fmt: skip

    def objective() -> Tensor:
        solver.zero_grad()
        value = torch.nn.functional.cross_entropy(z @ weight.T + bias, target) + strength / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(objective)
    objective()
    gradient = max(float(p.grad.abs().max()) for p in (weight, bias) if p.grad is not None)
    return Probe(weight.detach(), bias.detach(), mean, scale, strength, gradient)


def linear_probe(
    train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """Top-1 of a linear classifier on frozen features; its penalty is chosen on training photos alone.

    Args:
        train, val: (N, F) and (M, F) float32 features.
        seed: of the training photos that are held out for the choice.

    Returns:
        ``top-1`` in [0, 1] on ``val``, the ``strength`` that was chosen, ``gradient``: near 0 if the solver arrived,
        and ``width``: F.
    """
    classes = int(max(train_labels.max(), val_labels.max())) + 1
    aside = np.zeros(len(train), dtype=bool)
    aside[np.random.default_rng(seed).permutation(len(train))[: round(HELD_OUT * len(train))]] = True
    scores: dict[float, float] = {}
    probe = None
    for strength in STRENGTHS:
        probe = fit_probe(train[~aside], train_labels[~aside], classes, strength, probe)
        scores[strength] = float(np.mean(probe.predict(train[aside]) == train_labels[aside]))
    best = max(STRENGTHS, key=lambda s: scores[s])  # the strongest of equals
    final = None
    for strength in STRENGTHS[: STRENGTHS.index(best) + 1]:  # by the same way as the choice, or it arrives less far
        final = fit_probe(train, train_labels, classes, strength, final)
    assert final is not None
    top1 = float(np.mean(final.predict(val) == val_labels))
    return {"top-1": top1, "strength": best, "gradient": final.gradient, "width": train.shape[1]}


def probe(run: Run, original: OriginalDomain) -> dict[str, dict[str, float]]:
    """Probe a run's network on the original domain: its ``features`` and, beside them, its ``embedding``.

    Kept beside the runs; computed once for the same weights and photos.
    """

    def compute() -> dict[str, dict[str, float]]:
        method, size = place(run.network()), run.experiment.size
        student = method.student
        train, val = (apply(student.backbone, student.backbone, s, size) for s in (original.train, original.val))
        with torch.inference_mode():
            short = [student.feature(torch.as_tensor(x, device=device())).cpu().numpy() for x in (train, val)]
        labels = original.train.labels, original.val.labels
        return {
            "features": linear_probe(train, labels[0], val, labels[1]),
            "embedding": linear_probe(short[0], labels[0], short[1], labels[1]),
        }

    weights = run.provenance()["files"]["weights.safetensors"]["sha256"]
    inputs: dict[str, Any] = {"weights": weights, "photos": original.fingerprint, "strengths": STRENGTHS}
    return kept("probe", run.id, inputs, compute)


def probe_rows(runs: Iterable[Run], original: str = "") -> Iterator[Row]:
    """Top-1 of the probe of every run as rows.

    Args:
        original: a folder with ``train/<wnid>/*`` and ``val/<wnid>/*``; empty for the preset's own original domain.
    """
    for run in runs:
        photos = original_photos(run.experiment, original)
        found = probe(run, photos)
        for name, variant in (("features", ""), ("embedding", VARIANT)):
            yield run_row(run, "top-1", found[name]["top-1"], task="probe", variant=variant, representation="")
