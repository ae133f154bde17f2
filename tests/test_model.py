"""The student's start: the best approximation of the teacher, by numpy's SVD."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from tiny import noise

from sakerepro.embedding import embed, place
from sakerepro.errors import ConfigError
from sakerepro.model import build_student, factorise
from sakerepro.runs import Run


@torch.no_grad()
@pytest.mark.parametrize("dim", [64, 300])
def test_original_logits_are_the_best_approximation_of_the_teachers(dim: int) -> None:
    teacher = tiny.classifier("se_resnet_mini", 1000)
    student = build_student("cse_resnet_mini", dim=dim, num_seen=220, teacher=teacher).eval()
    x = noise(2, 32)
    features = teacher.backbone(x, torch.zeros(2)).numpy().astype(np.float64)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in (teacher.head.weight, teacher.head.bias))
    u, s, vt = np.linalg.svd(weight, full_matrices=False)
    want = features @ ((u[:, :dim] * s[:dim]) @ vt[:dim]).T + bias
    assert np.abs(want - (features @ weight.T + bias)).max() > 0.05  # an approximation, not the thing itself
    for domain in (0, 1):
        seen, original = student(x, domain)
        np.testing.assert_allclose(original.numpy(), want, rtol=1e-3, atol=1e-4)
    assert seen.shape == (2, 220) and student.embed(x, 1).shape == (2, dim)


@pytest.mark.parametrize(("shape", "dim"), [((7, 12), 3), ((7, 12), 7), ((12, 7), 7), ((1, 5), 1), ((30, 20), 1)])
def test_no_matrix_of_the_rank_is_closer(shape: tuple[int, int], dim: int, rng: np.random.Generator) -> None:
    """Eckart and Young: the error is the root of the sum of the squares of the omitted singular values."""
    weight = rng.normal(size=shape)
    feature, head = (m.numpy() for m in factorise(torch.from_numpy(weight), dim))
    assert feature.shape == (dim, shape[1]) and head.shape == (shape[0], dim)
    least = np.sqrt(np.sum(np.linalg.svd(weight, compute_uv=False)[dim:] ** 2))
    assert np.linalg.norm(weight - head @ feature) == pytest.approx(least, abs=1e-5)
    np.testing.assert_allclose(head.T @ head, np.eye(dim), atol=1e-6)


def test_features_beyond_the_rank_are_new_directions_that_the_head_ignores(rng: np.random.Generator) -> None:
    weight = rng.normal(size=(5, 16))
    feature, head = (m.numpy().astype(np.float64) for m in factorise(torch.from_numpy(weight), 13))
    np.testing.assert_allclose(head @ feature, weight, atol=1e-5)  # the product stays W
    assert not head[:, 5:].any()
    gram = feature @ feature.T
    np.testing.assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-5)  # all directions orthogonal
    weakest = np.linalg.svd(weight, compute_uv=False)[-1]
    np.testing.assert_allclose(np.diag(gram)[5:], weakest**2, rtol=1e-5)
    again = factorise(torch.from_numpy(weight), 13)[0].numpy()
    np.testing.assert_array_equal(again, feature.astype(np.float32))
    assert np.abs(factorise(torch.from_numpy(weight), 13, seed=1)[0].numpy()[5:] - feature[5:]).max() > 1e-3


@torch.no_grad()
def test_the_bias_is_kept_or_dropped() -> None:
    teacher = tiny.classifier("resnet_mini", 20)
    x = noise(3, 32)
    kept, dropped = (
        build_student("resnet_mini", dim=64, num_seen=3, teacher=teacher, keep_bias=keep).eval()(x, 0)[1]
        for keep in (True, False)
    )
    assert teacher.head.bias.abs().max() > 0.1
    torch.testing.assert_close(kept - dropped, teacher.head.bias.expand(3, 20), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_heads_read_the_feature_itself() -> None:
    """Linear, without a norm or a nonlinearity between: W x + b for both heads, one code or many."""
    student = build_student("cse_resnet_mini", dim=6, num_seen=3, teacher=tiny.classifier("se_resnet_mini", 9)).eval()
    images = noise(4, 32)
    x = student.embed(images, 1)
    seen, original = student(images, torch.ones(4))
    torch.testing.assert_close(seen, x @ student.seen_head.weight.T + student.seen_head.bias)
    torch.testing.assert_close(original, x @ student.original_head.weight.T + student.original_head.bias)
    hidden = student.backbone(images, torch.ones(4))
    torch.testing.assert_close(x, hidden @ student.feature.weight.T + student.feature.bias)


def test_the_benchmark_head_starts_at_zero_if_asked_to() -> None:
    teacher = tiny.classifier("resnet_mini", 9)
    zero = build_student("resnet_mini", dim=6, num_seen=3, teacher=teacher, zero_head=True)
    usual = build_student("resnet_mini", dim=6, num_seen=3, teacher=teacher)
    assert not zero.seen_head.weight.any() and not zero.seen_head.bias.any()
    assert usual.seen_head.weight.abs().max() <= 6**-0.5 and usual.seen_head.weight.any()  # PyTorch's default


def test_the_seed_alone_decides_the_start() -> None:
    teacher = tiny.classifier("se_resnet_mini", 9)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one, again, other = (
        build_student("cse_resnet_mini", dim=12, num_seen=3, teacher=teacher, seed=seed).state_dict()
        for seed in (4, 4, 5)
    )
    assert tiny.same(one, again) and not tiny.same(one, other)
    assert torch.equal(torch.get_rng_state(), state)  # and nobody else's random numbers move


def test_the_teacher_is_copied_not_changed() -> None:
    teacher = tiny.classifier("se_resnet_mini", 9).requires_grad_(False)
    before = {k: v.clone() for k, v in teacher.state_dict().items()}
    student = build_student("cse_resnet_mini", dim=6, num_seen=3, teacher=teacher)
    assert all(p.requires_grad for p in student.parameters())
    with torch.no_grad():
        for p in student.parameters():
            p.add_(1)
    assert tiny.same(teacher.state_dict(), before)


@pytest.mark.parametrize("dim", [0, 513, -1])
def test_impossible_dimensions_are_refused(dim: int) -> None:
    with pytest.raises(ConfigError, match=f"dim ?= ?{dim} is not possible.*(512 features. Choose 1 to 512|from 1 on)"):
        build_student("resnet_mini", dim=dim, num_seen=3, teacher=tiny.classifier("resnet_mini", 9))


def test_a_teacher_of_another_architecture_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="cse_resnet_mini student starts from se_resnet_mini, .* teacher is resnet_mini"
    ):
        build_student("cse_resnet_mini", dim=4, num_seen=3, teacher=tiny.classifier("resnet_mini", 9))


def test_any_number_of_threads_embeds_the_same_bits(tiny_run: Run, with_cores) -> None:
    network, photos = place(tiny_run.network()), tiny_run.dataset().gallery
    seen, embeddings = list[int](), list[np.ndarray]()
    for threads in (1, 3):
        with_cores(threads)
        embeddings.append(embed(network, photos, tiny.SIDE, 5, seen.append))
        assert torch.get_num_threads() == threads
    assert np.array_equal(*embeddings) and len(embeddings[0]) == len(photos) == sum(seen) / 2
    assert set(seen) == {4, 5}
