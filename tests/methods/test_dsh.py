"""The discrete steps of DSH against dense matrices, least squares and enumeration."""

from __future__ import annotations

import frozen
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import Tensor

from sakerepro.data.dataset import Dataset
from sakerepro.methods import Features
from sakerepro.methods.dsh import Domain, b_step, d_step, edge_map
from sakerepro.training import Batch, training_features

C, M, K = 5, 16, 7
LAM, G = 0.7, 0.3  # larger than the defaults, so that an error in these terms shows


def toy(seed: int, n_p: int = 50, n_s: int = 31) -> tuple[Domain, Domain, Tensor]:
    """Random codes, outputs, labels and class vectors."""
    g = torch.Generator().manual_seed(seed)
    domains = []
    for n in (n_p, n_s):
        f = torch.randn(M, n, generator=g, dtype=torch.float64)
        domains.append(
            Domain(torch.randn(M, n, generator=g, dtype=torch.float64).sign(), f, torch.randint(C, (n,), generator=g))
        )
    return domains[0], domains[1], torch.randn(K, C, generator=g, dtype=torch.float64)


def dense_w(p: Domain, s: Domain, w: float) -> Tensor:
    return torch.where(p.y[:, None] == s.y, 1.0, w).double()


def objective(p: Domain, s: Domain, d: Tensor, v: Tensor, w: float) -> float:
    """J as it is written, with W formed."""
    j = (M * dense_w(p, s, w) - p.b.T @ s.b).square().sum()
    for one in (p, s):
        j += LAM * (v[:, one.y] - d @ one.b).square().sum() + G * (one.f - one.b).square().sum()
    return float(j)


@pytest.mark.parametrize("w", [-1.0, -1 / (C - 1)])
@pytest.mark.parametrize("seed", range(3))
def test_j_never_rises_at_any_step(w: float, seed: int) -> None:
    p, s, v = toy(seed)
    values = [objective(p, s, torch.zeros(K, M).double(), v, w)]
    for _ in range(4):
        d = d_step(p, s, v)
        values.append(objective(p, s, d, v, w))
        for one, other in ((p, s), (s, p)):
            for bit in range(M):
                b_step(bit, one, other, d, v, w, LAM, G)
                values.append(objective(p, s, d, v, w))
    assert all(after <= before + 1e-9 * abs(before) for before, after in zip(values, values[1:], strict=False))
    assert values[-1] < 0.9 * values[0] and p.b.abs().eq(1).all() and s.b.abs().eq(1).all()


def test_each_bit_is_the_better_of_its_two_values() -> None:
    p, s, v = toy(4, 9, 6)
    d = d_step(p, s, v)
    for bit in range(M):
        b_step(bit, s, p, d, v, -0.25, LAM, G)
        value = objective(p, s, d, v, -0.25)
        for i in range(s.b.shape[1]):
            s.b[bit, i] *= -1
            assert objective(p, s, d, v, -0.25) >= value - 1e-9 * value
            s.b[bit, i] *= -1


def test_class_sums_do_what_the_dense_w_does() -> None:
    p, s, v = toy(5, 50, 50)
    want = p.b.clone()
    for bit in range(M):
        u, rest = s.b[bit], [k for k in range(M) if k != bit]
        score = M * dense_w(p, s, -1.0) @ u - want[rest].T @ (s.b[rest] @ u)
        want[bit] = torch.where(score == 0, want[bit], score.sign())
        b_step(bit, p, s, torch.zeros(K, M).double(), v, -1.0, 0.0, 0.0)
        assert torch.equal(p.b[bit], want[bit])


@pytest.mark.parametrize("words", [M, 3])
def test_d_is_the_least_squares_solution(words: int) -> None:
    """Of independent bits, and the smallest of many where codes are one of three words."""
    p, s, v = toy(6)
    if words < M:
        p.b, s.b = (one.b[:, :words][:, one.y % words] for one in (p, s))
    b, target = (torch.cat(x, dim=1).numpy() for x in ((p.b, s.b), (v[:, p.y], v[:, s.y])))
    want = np.linalg.lstsq(b.T, target.T, rcond=None)[0].T
    np.testing.assert_allclose(d_step(p, s, v).numpy(), want, atol=1e-9)


def test_a_bit_that_makes_no_difference_stays() -> None:
    """Two sketches of a class that differ in this bit alone."""
    p, s, v = toy(7, 50, 2)
    s.y[:], s.b[:, 1] = 0, s.b[:, 0]
    s.b[0] = torch.tensor([1.0, -1.0])
    before = p.b.clone()
    b_step(0, p, s, torch.zeros(K, M).double(), v, -1.0, 0.0, 0.0)
    assert torch.equal(p.b, before)


def test_with_the_published_w_codes_collapse_and_with_ours_they_do_not() -> None:
    """Thirty classes: with -1, J is smaller where almost all photos have one code and all sketches its complement."""
    y = torch.arange(30).repeat_interleave(4)
    agreement = {}
    for balanced in (True, False):
        method = frozen.make("DSH", torch.eye(4), balanced=balanced)
        method.vectors = torch.eye(30)
        x = torch.randn(30, method.backbone.num_features, generator=torch.Generator().manual_seed(0))[y]
        method.before_epoch(0, lambda x=x: Features(x, y, x, y))
        product = method.codes_p.double().T @ method.codes_s.double() / method.e.dim
        agreement[balanced] = product[y[:, None] == y].mean().item()
    assert agreement[True] > 0.3 and agreement[False] < 0


def test_the_layer_starts_at_a_ridge_regression_and_codes_belong_to_rows(tiny_data: Dataset) -> None:
    method = frozen.make("DSH", torch.eye(4)).eval()
    inputs = training_features(method, tiny_data, method.e.size)
    method.before_epoch(0, lambda: inputs)
    features, codes = torch.cat([inputs.photo, inputs.sketch]), torch.cat([method.codes_p, method.codes_s], dim=1).T
    alpha = 0.01 * len(features) * features.double().var(dim=0, correction=0).mean().item()
    want = Ridge(alpha=alpha).fit(features.double().numpy(), codes.numpy()).predict(features.double().numpy())
    np.testing.assert_allclose(method.embed_features(features, 0).detach().numpy(), want, atol=1e-3)
    assert 1 < method.distinct <= len(features) and method.codes_p.shape == (16, len(inputs.photo))
    rows = torch.tensor([3, 40, 2, 9, 27])
    batch = Batch(torch.zeros(5, 3, 32, 32), torch.zeros(5).long(), torch.tensor([0.0, 0, 1, 1, 1]), 2, [], rows)
    want = torch.cat([method.codes_p.T[[3, 40]], method.codes_s.T[[2, 9, 27]]])
    x = method.embed(batch.images, batch.domain)
    assert method.losses(batch)["loss"].item() == pytest.approx((x - want).square().mean().item())
    assert torch.equal(method.code(x, 0), (x > 0).byte())


def test_an_edge_map_is_dark_where_the_photo_has_an_edge() -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    photo = torch.zeros(1, 3, 12, 12)
    photo[..., 6:] = 1.0
    mu, sigma = (torch.tensor(x)[:, None, None] for x in (mean, std))
    drawn = edge_map((photo - mu) / sigma, mean, std) * sigma + mu
    assert drawn[..., 5:7].abs().max() < 1e-5
    torch.testing.assert_close(drawn[..., [*range(5), *range(7, 12)]], torch.ones(1, 3, 12, 10))
    flat = edge_map(torch.zeros(1, 3, 12, 12), mean, std) * sigma + mu  # no edge, and no division by zero
    torch.testing.assert_close(flat, torch.ones(1, 3, 12, 12))


def test_tokens_join_the_edge_map_of_photos_alone() -> None:
    method = frozen.make("DSH", torch.eye(4), tokens=True).eval()
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        f = method.features(images, torch.tensor([0.0, 1, 0, 1]))
        photo, sketch = method.student.features(images, 0), method.student.features(images, 1)
        token = method.student.features(edge_map(images, method.backbone.mean, method.backbone.std), 1)
        assert method.embed(images, 0).shape == (4, 16) and method.embed(images[:0], 1).shape == (0, 16)
    want = torch.where(torch.tensor([[1], [0], [1], [0]]).bool(), torch.cat([photo, token], 1), sketch.repeat(1, 2))
    torch.testing.assert_close(f, want, rtol=1e-4, atol=1e-5)
