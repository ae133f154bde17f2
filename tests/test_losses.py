"""The losses against loops over single numbers in float64, and at extreme values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny
import torch
from test_training import sake

from sakerepro.losses import benchmark_loss, sake_loss, teacher_loss
from sakerepro.training import Batch

Rows = list[list[float]]
SHAPES = [(1, 1), (1, 7), (5, 2), (13, 101)]


def log_softmax(row: list[float]) -> list[float]:
    top = max(row)
    total = math.log(sum(math.exp(v - top) for v in row))
    return [v - top - total for v in row]


def naive_benchmark(logits: Rows, labels: list[int]) -> float:
    return sum(-log_softmax(row)[label] for row, label in zip(logits, labels, strict=True)) / len(logits)


def naive_sake(s: Rows, t: Rows, a: Rows, lambda1: float, lambda2: float) -> float:
    total = 0.0
    for i in range(len(s)):
        target = [math.exp(v) for v in log_softmax([lambda1 * t[i][m] + lambda2 * a[i][m] for m in range(len(s[i]))])]
        total -= sum(q * p for q, p in zip(target, log_softmax(s[i]), strict=True))
    return total / len(s)


def logits(shape: tuple[int, int], rng: np.random.Generator, scale: float = 3.0) -> torch.Tensor:
    return torch.from_numpy(rng.normal(0, scale, shape))


@pytest.mark.parametrize("shape", SHAPES)
def test_benchmark_loss_equals_a_loop(shape: tuple[int, int], rng: np.random.Generator) -> None:
    x, labels = logits(shape, rng), torch.from_numpy(rng.integers(shape[1], size=shape[0]))
    assert benchmark_loss(x, labels).item() == pytest.approx(naive_benchmark(x.tolist(), labels.tolist()), abs=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", [(1.0, 0.3), (0.0, 1.0), (0.1, 10.0), (2.0, 0.0)])
def test_sake_loss_equals_a_loop(shape, weights, rng):
    s, t, a = logits(shape, rng), logits(shape, rng), torch.from_numpy(rng.random(shape))
    want = naive_sake(s.tolist(), t.tolist(), a.tolist(), *weights)
    assert sake_loss(s, t, a, lambda1=weights[0], lambda2=weights[1]).item() == pytest.approx(want, abs=1e-12)
    if weights == (1.0, 0.3):  # the paper's
        assert sake_loss(s, t, a).item() == pytest.approx(want, abs=1e-12)


def test_by_hand() -> None:
    """Two classes, an undecided student, a teacher at odds of 3 to 1: log 2, whatever the teacher says."""
    t = torch.tensor([[math.log(3.0), 0.0]])
    assert teacher_loss(torch.zeros(1, 2), t).item() == pytest.approx(math.log(2), abs=1e-7)
    # a student that agrees pays the entropy of (3/4, 1/4)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert teacher_loss(t, t).item() == pytest.approx(entropy, abs=1e-6)
    # similarity alone: lambda2 * a = log 3 on the first class
    a = torch.tensor([[1.0, 0.0]])
    assert sake_loss(t, torch.zeros(1, 2), a, lambda2=math.log(3)).item() == pytest.approx(entropy, abs=1e-6)


@pytest.mark.parametrize("extreme", [1e4, -1e4])
def test_large_logits_stay_finite(extreme: float) -> None:
    s = torch.tensor([[extreme, 0.0, 1.0]], requires_grad=True)
    loss = sake_loss(s, -s.detach(), torch.ones(1, 3))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(s.grad).all()


def test_gradients_equal_finite_differences(rng: np.random.Generator) -> None:
    s = logits((4, 6), rng).requires_grad_()
    t, a, labels = logits((4, 6), rng), torch.from_numpy(rng.random((4, 6))), torch.tensor([0, 5, 2, 2])
    assert torch.autograd.gradcheck(lambda x: sake_loss(x, t, a), s)
    assert torch.autograd.gradcheck(lambda x: benchmark_loss(x, labels), s)


def test_no_images_cost_nothing_and_can_be_differentiated() -> None:
    s = torch.zeros(0, 4, requires_grad=True)
    total = sake_loss(s, torch.zeros(0, 4), torch.zeros(0, 4)) + benchmark_loss(s, torch.zeros(0, dtype=torch.int64))
    total.backward()
    assert total.item() == 0 and s.grad is not None and s.grad.shape == (0, 4)


@pytest.mark.parametrize("shapes", [((2, 3), (2, 4), (2, 3)), ((2, 3), (2, 3), (3, 3)), ((2, 3), (1, 3), (2, 3))])
def test_other_shapes_are_refused_and_not_broadcast(shapes: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match=r"same shape.*\(2, 3\)"):
        sake_loss(*(torch.zeros(s) for s in shapes))


def test_no_label_is_left_out_and_logits_have_two_axes() -> None:
    for label in (-100, -1, 4):  # PyTorch leaves out -100, and would still count it
        with pytest.raises(ValueError, match=r"labels \(N,\) whole numbers below C_S"):
            benchmark_loss(torch.zeros(3, 4), torch.tensor([0, label, 2]))
    with pytest.raises(ValueError, match=r"same shape \(N, C_O\), not \(2, 3, 5\)"):
        sake_loss(*[torch.zeros(2, 3, 5)] * 3)


# the objective of a training step: student, teacher and both losses together


def a_batch(photos: int, sketches: int) -> Batch:
    g, n = torch.Generator().manual_seed(3), photos + sketches
    domain = torch.cat([torch.zeros(photos), torch.ones(sketches)])
    images = torch.randn(n, 3, tiny.SIDE, tiny.SIDE, generator=g)
    return Batch(images, torch.randint(4, (n,), generator=g), domain, photos, [f"{i}.png" for i in range(n)])


@pytest.mark.parametrize(("photos", "sketches"), [(3, 2), (1, 4), (2, 0)])
def test_objective_equals_loops_over_the_networks_outputs(photos: int, sketches: int) -> None:
    method, teacher = sake(settings={"lambda_sake": 0.7, "lambda1": 0.9, "lambda2": 0.4})
    batch = a_batch(photos, sketches)
    losses = method.eval().losses(batch)
    with torch.no_grad():
        seen, original = method.student(batch.images, batch.domain)
        target = teacher(batch.images)
    similarity = method.similarity[batch.labels[:photos]]
    benchmark = naive_benchmark(seen.tolist(), batch.labels.tolist())
    semantic = naive_sake(original[:photos].tolist(), target[:photos].tolist(), similarity.tolist(), 0.9, 0.4)
    assert losses["loss_benchmark"].item() == pytest.approx(benchmark, rel=1e-5)
    assert losses["loss_sake"].item() == pytest.approx(semantic, rel=1e-5)
    assert losses["loss"].item() == pytest.approx(benchmark + 0.7 * semantic, rel=1e-5)


def test_lambda_sake_0_is_the_benchmark_loss_alone() -> None:
    method, batch = sake(settings={"lambda_sake": 0.0})[0].eval(), a_batch(3, 2)
    method.teacher = ()  # would be missed
    losses = method.losses(batch)
    losses["loss"].backward()
    with torch.no_grad():
        want = naive_benchmark(method.student(batch.images, batch.domain)[0].tolist(), batch.labels.tolist())
    assert losses["loss"].item() == pytest.approx(want, rel=1e-5)
    assert method.student.original_head.weight.grad is None and method.student.seen_head.weight.grad.any()


def test_sketches_never_enter_the_sake_loss() -> None:
    """The original head is trained by photos alone: other sketches change no digit of its gradient."""
    method, gradients = sake()[0].eval(), []
    for sketches in (0, 4):
        method.zero_grad()
        batch = a_batch(3, 4)
        batch.images[3:] = batch.images[3:] * 2 + sketches
        loss = method.losses(batch)
        loss["loss"].backward()
        head = method.student.original_head
        gradients.append((loss["loss_sake"], head.weight.grad, head.bias.grad))
    for one, other in zip(*gradients, strict=True):
        assert one.abs().sum() > 0 and torch.equal(one, other)


def test_of_sketches_only_the_original_head_learns_nothing_and_the_teacher_never_does() -> None:
    method, teacher = sake()
    losses = method.eval().losses(a_batch(0, 4))
    losses["loss"].backward()
    head = method.student.original_head
    assert losses["loss_sake"].item() == 0 and not head.weight.grad.any() and not head.bias.grad.any()
    assert method.student.feature.weight.grad.any()
    method.losses(a_batch(3, 2))["loss"].backward()
    assert head.weight.grad.any() and all(p.grad is None for p in teacher.parameters())
