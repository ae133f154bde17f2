"""The linear probe: multinomial logistic regression on frozen features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..devices import device

STRENGTHS = (1e-1, 1e-2, 1e-3, 1e-4)  # of the L2 penalty, strongest first: each fit starts from the one before
HELD_OUT = 0.2  # share of the training photos to choose the strength on; accuracy is measured on other photos


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

    def layer(self) -> nn.Linear:
        """A linear layer that gives the same logits from features that are not standardised."""
        weight = self.weight.cpu().double() / self.scale.cpu()  # MPS has no float64
        layer = nn.utils.skip_init(nn.Linear, weight.shape[1], len(weight))
        layer.load_state_dict({"weight": weight, "bias": self.bias.cpu() - weight @ self.mean.cpu().double()})
        return layer


def fit_probe(
    x: np.ndarray,
    labels: np.ndarray,
    classes: int,
    strength: float,
    start: Probe | None = None,
    iterations: int = 100,
    tolerance: float = 1e-4,
) -> Probe:
    """Minimise mean cross-entropy + strength / 2 * ||W||^2 by L-BFGS; the problem is convex.

    Args:
        x: (N, F) features.
        labels: (N,) classes from 0, below ``classes``.
        strength: of the L2 penalty on the weights of the standardised features.
        start: a probe of the same features to start from.
        iterations: most iterations of the solver.
        tolerance: stop when no entry of the gradient is larger.
    """
    features = torch.as_tensor(x, device=device())
    target = torch.as_tensor(labels, device=device())
    mean, scale = features.mean(dim=0), features.std(dim=0, correction=0)
    scale = torch.where(scale > 1e-6 * (1 + mean.abs()), scale, torch.ones_like(scale))
    z = (features - mean) / scale
    weight = torch.zeros(classes, z.shape[1], device=z.device) if start is None else start.weight.clone()
    bias = torch.zeros(classes, device=z.device) if start is None else start.bias.clone()
    solver = torch.optim.LBFGS(
        [weight.requires_grad_(), bias.requires_grad_()],
        max_iter=iterations,
        tolerance_grad=tolerance,
        tolerance_change=0,
        history_size=10,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        solver.zero_grad()
        value = torch.nn.functional.cross_entropy(z @ weight.T + bias, target) + strength / 2 * weight.square().sum()
        value.backward()
        return value

    solver.step(objective)
    objective()
    gradient = max(float(p.grad.abs().max()) for p in (weight, bias) if p.grad is not None)
    return Probe(weight.detach(), bias.detach(), mean, scale, strength, gradient)


def choose_probe(x: np.ndarray, labels: np.ndarray, classes: int, seed: int = 0) -> tuple[Probe, float]:
    """Fit a probe, its penalty chosen on a held-out fifth of the photos; arguments as in :func:`fit_probe`.

    Args:
        seed: seed for drawing the photos that are held out.

    Returns:
        The probe fitted on all photos, and the accuracy in [0, 1] on the held-out ones of the probe fitted on the rest.
    """
    held_out = np.zeros(len(x), dtype=bool)
    held_out[np.random.default_rng(seed).permutation(len(x))[: round(HELD_OUT * len(x))]] = True
    scores: dict[float, float] = {}
    probe = None
    for strength in STRENGTHS:
        probe = fit_probe(x[~held_out], labels[~held_out], classes, strength, probe)
        scores[strength] = float(np.mean(probe.predict(x[held_out]) == labels[held_out]))
    best = max(STRENGTHS, key=lambda s: scores[s])  # the strongest of equals
    final = None
    for strength in STRENGTHS[: STRENGTHS.index(best) + 1]:  # warm starts as above; a cold start stops earlier
        final = fit_probe(x, labels, classes, strength, final)
    assert final is not None
    return final, scores[best]
