"""The losses against loops over single numbers in float64, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tiny
import torch

from sakerepro import methods
from sakerepro.experiment import Experiment
from sakerepro.losses import benchmark_loss, sake_loss, teacher_loss
from sakerepro.methods.sake import SAKE
from sakerepro.model import Student, build_student
from sakerepro.networks.backbones import build_classifier
from sakerepro.training import Batch

Rows = list[list[float]]
SHAPES = [(1, 1), (1, 7), (5, 2), (13, 101)]


def log_softmax(row: list[float]) -> list[float]:
    top = max(row)
    total = math.log(sum(math.exp(v - top) for v in row))
    return [v - top - total for v in row]


def naive_benchmark(logits: list[list[float]], labels: list[int]) -> float:
    return sum(-log_softmax(row)[label] for row, label in zip(logits, labels, strict=True)) / len(logits)


def naive_sake(
    s: list[list[float]], t: list[list[float]], a: list[list[float]], lambda1: float, lambda2: float
) -> float:
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
def test_sake_loss_equals_a_loop(
    shape: tuple[int, int], weights: tuple[float, float], rng: np.random.Generator
) -> None:
    s, t, a = logits(shape, rng), logits(shape, rng), torch.from_numpy(rng.random(shape))
    want = naive_sake(s.tolist(), t.tolist(), a.tolist(), *weights)
    assert sake_loss(s, t, a, lambda1=weights[0], lambda2=weights[1]).item() == pytest.approx(want, abs=1e-12)


def test_the_papers_weights_are_the_defaults(rng: np.random.Generator) -> None:
    s, t, a = logits((3, 5), rng), logits((3, 5), rng), torch.from_numpy(rng.random((3, 5)))
    assert sake_loss(s, t, a).item() == pytest.approx(
        naive_sake(s.tolist(), t.tolist(), a.tolist(), 1.0, 0.3), abs=1e-12
    )


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


@pytest.mark.parametrize("shape", SHAPES)
def test_without_semantics_it_is_the_teachers_loss(shape: tuple[int, int], rng: np.random.Generator) -> None:
    s, t, a = logits(shape, rng), logits(shape, rng), torch.from_numpy(rng.random(shape))
    without = sake_loss(s, t, a, lambda1=1.0, lambda2=0.0)
    torch.testing.assert_close(without, teacher_loss(s, t), rtol=0, atol=0)
    assert without.item() == pytest.approx(naive_sake(s.tolist(), t.tolist(), a.tolist(), 1.0, 0.0), abs=1e-12)


def test_the_teachers_loss_is_least_where_the_student_agrees(rng: np.random.Generator) -> None:
    t = logits((6, 9), rng)
    least = teacher_loss(t, t)
    assert all(teacher_loss(t + logits((6, 9), rng, 0.1), t) > least for _ in range(20))


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


# the objective of a training step: student, teacher and both losses together


@pytest.fixture(scope="module")
def student() -> Student:
    torch.manual_seed(0)
    teacher = tiny.randomise(build_classifier("se_resnet_mini", 11))
    return build_student("cse_resnet_mini", dim=8, num_seen=4, teacher=teacher).eval()


@pytest.fixture(scope="module")
def teacher() -> torch.nn.Module:
    torch.manual_seed(1)
    return tiny.randomise(build_classifier("se_resnet_mini", 11))


SIMILARITY = torch.rand(4, 11, generator=torch.Generator().manual_seed(2))


def a_batch(photos: int, sketches: int, seed: int = 3) -> Batch:
    g = torch.Generator().manual_seed(seed)
    n = photos + sketches
    domain = torch.cat([torch.zeros(photos), torch.ones(sketches)])
    images = torch.randn(n, 3, tiny.SIDE, tiny.SIDE, generator=g)
    return Batch(images, torch.randint(4, (n,), generator=g), domain, photos, [f"{i}.png" for i in range(n)])


def objective(student: Student, teacher: torch.nn.Module, batch: Batch, **settings: float) -> dict[str, torch.Tensor]:
    student.zero_grad(set_to_none=True)
    method = SAKE(Experiment(settings=tuple(settings.items())), student, methods.Side(("",) * 4))
    method.teacher, method.similarity = (teacher,), SIMILARITY  # type: ignore[assignment]
    return method.losses(batch)


@pytest.mark.parametrize(("photos", "sketches"), [(3, 2), (1, 4), (2, 0)])
def test_objective_equals_loops_over_the_networks_outputs(
    photos: int, sketches: int, student: Student, teacher: torch.nn.Module
) -> None:
    batch = a_batch(photos, sketches)
    found = objective(student, teacher, batch, lambda_sake=0.7, lambda1=0.9, lambda2=0.4)
    with torch.no_grad():
        seen, original = student(batch.images, batch.domain)
        target = teacher(batch.images)
    labels = batch.labels.tolist()
    benchmark = naive_benchmark(seen.tolist(), labels)
    semantic = naive_sake(
        original[:photos].tolist(), target[:photos].tolist(), SIMILARITY[labels[:photos]].tolist(), 0.9, 0.4
    )
    assert found["loss_benchmark"].item() == pytest.approx(benchmark, rel=1e-5)
    assert found["loss_sake"].item() == pytest.approx(semantic, rel=1e-5)
    assert found["loss"].item() == pytest.approx(benchmark + 0.7 * semantic, rel=1e-5)


def test_lambda_sake_0_is_the_benchmark_loss_alone(student: Student) -> None:
    batch = a_batch(3, 2)

    def never(_: torch.Tensor) -> torch.Tensor:
        raise AssertionError("the teacher was asked")

    found = objective(student, never, batch, lambda_sake=0.0)  # type: ignore[arg-type]
    found["loss"].backward()
    with torch.no_grad():
        want = naive_benchmark(student(batch.images, batch.domain)[0].tolist(), batch.labels.tolist())
    assert found["loss"].item() == pytest.approx(want, rel=1e-5)
    assert student.original_head.weight.grad is None and student.seen_head.weight.grad.any()


def test_sketches_never_enter_the_sake_loss(student: Student, teacher: torch.nn.Module) -> None:
    """The original head is trained by photos alone: other sketches change no digit of its gradient."""
    gradients = []
    for sketches in (0, 4):
        batch = a_batch(3, 4)
        batch.images[3:] = batch.images[3:] * 2 + sketches
        loss = objective(student, teacher, batch, lambda_sake=1.0)
        loss["loss"].backward()
        gradients.append((loss["loss_sake"], student.original_head.weight.grad, student.original_head.bias.grad))
    for one, other in zip(*gradients, strict=True):
        assert one.abs().sum() > 0
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_batch_of_sketches_only_leaves_the_original_head_alone(student: Student, teacher: torch.nn.Module) -> None:
    found = objective(student, teacher, a_batch(0, 4), lambda_sake=1.0)
    found["loss"].backward()
    assert found["loss_sake"].item() == 0
    assert not student.original_head.weight.grad.any() and not student.original_head.bias.grad.any()
    assert student.feature.weight.grad.any()


def test_the_teacher_learns_nothing(student: Student, teacher: torch.nn.Module) -> None:
    objective(student, teacher, a_batch(3, 2), lambda_sake=1.0)["loss"].backward()
    assert all(p.grad is None for p in teacher.parameters())
