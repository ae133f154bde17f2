"""ZSH: no step of the alternation raises the objective, and each is what another library computes."""

from __future__ import annotations

from pathlib import Path

import frozen
import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import euclidean_distances, rbf_kernel
from sklearn.neighbors import kneighbors_graph
from torch import Tensor

from sakerepro.data.dataset import Dataset
from sakerepro.methods.zsh import ZSH, b_step, p_step, r_step, smoothness, w_step

K, BITS, SAMPLES, ANCHORS = 3, 8, 60, 20
L, N_, RIDGE, GAMMA = 0.5, 0.3, 0.7, 0.2  # l, n, e / n, g / n: none so small that its term cannot be seen


def laplacian(x: np.ndarray, neighbours: int) -> np.ndarray:
    """Of the graph with an edge for every (sample, neighbour): D - A with A = G + G'."""
    g = kneighbors_graph(x, neighbours, include_self=False).toarray()
    a = g + g.T
    return np.diag(a.sum(axis=1)) - a


class Toy:
    """A small problem with everything in it, and its objective written out."""

    def __init__(self) -> None:
        rng = np.random.default_rng(2)
        self.x = rng.normal(size=(SAMPLES, 5))
        self.phi = torch.from_numpy(rng.normal(size=(ANCHORS + 1, SAMPLES)))
        self.y = torch.from_numpy(rng.normal(size=(K, 4))[:, rng.integers(4, size=SAMPLES)])
        self.b = torch.from_numpy(rng.choice([-1.0, 1.0], size=(BITS, SAMPLES)))
        self.laplacian = torch.from_numpy(laplacian(self.x, 4))
        self.gram = self.phi @ self.phi.T + RIDGE * torch.eye(ANCHORS + 1).double()
        self.gram += GAMMA * smoothness(self.phi, torch.from_numpy(self.x), 4)
        self.r, self.w, self.p = torch.eye(K).double(), torch.zeros(BITS, K).double(), torch.zeros(ANCHORS + 1, BITS)
        self.p = self.p.double()

    def objective(self) -> float:
        hashed = self.p.T @ self.phi
        terms = (
            (self.r.T @ self.y - self.w.T @ self.b).square().sum(),
            L * self.w.square().sum(),
            N_ * (self.b - hashed).square().sum(),
            N_ * RIDGE * self.p.square().sum(),
            N_ * GAMMA * torch.trace(hashed @ self.laplacian @ hashed.T),
        )
        return sum(float(t) for t in terms)


def alternate(toy: Toy, rotate: bool = True) -> list[float]:
    """The objective before, and after each step of twelve rounds."""
    toy.w = w_step(toy.b, toy.y, L)
    values = [toy.objective()]
    for _ in range(12):
        toy.r = r_step(toy.y, toy.b, toy.w) if rotate else toy.r
        values.append(toy.objective())
        toy.w = w_step(toy.b, toy.r.T @ toy.y, L)
        values.append(toy.objective())
        toy.b = b_step(toy.b, toy.w, toy.r.T @ toy.y, toy.p.T @ toy.phi, N_)
        values.append(toy.objective())
        toy.p = p_step(toy.gram, toy.phi, toy.b)
        values.append(toy.objective())
        torch.testing.assert_close(toy.r.T @ toy.r, torch.eye(K).double(), atol=1e-12, rtol=0)
        assert set(toy.b.unique().tolist()) == {-1.0, 1.0}
    return values


def test_the_objective_never_rises() -> None:
    values = alternate(Toy())
    falls = -np.diff(values)
    assert (falls > -1e-9 * values[0]).all()
    assert (falls[4:8] > 1e-3).all()  # in the second round every kind of step is at work


def test_the_rotation_changes_no_code() -> None:
    rotated, plain = Toy(), Toy()
    alternate(rotated)
    alternate(plain, rotate=False)
    assert (rotated.r - torch.eye(K)).abs().max() > 0.01
    assert torch.equal(rotated.b, plain.b)
    torch.testing.assert_close(rotated.p, plain.p)
    torch.testing.assert_close(rotated.w @ rotated.r.T, plain.w)


def test_each_bit_is_the_best_of_both_signs() -> None:
    """After the last bit's update no sign of that bit can be turned to a lower objective."""
    toy = Toy()
    toy.w = w_step(toy.b, toy.y, L)
    toy.p = p_step(toy.gram, toy.phi, toy.b)
    toy.b = b_step(toy.b, toy.w, toy.y, toy.p.T @ toy.phi, N_)
    best = toy.objective()
    for sample in range(SAMPLES):
        toy.b[-1, sample] *= -1
        assert toy.objective() >= best
        toy.b[-1, sample] *= -1


def test_the_rotation_is_the_best_of_many() -> None:
    toy = Toy()
    toy.w = w_step(toy.b, toy.y, L)
    toy.r = r_step(toy.y, toy.b, toy.w)
    best = toy.objective()
    for seed in range(50):
        toy.r = torch.linalg.qr(torch.randn(K, K, generator=torch.Generator().manual_seed(seed)).double())[0]
        assert toy.objective() >= best


def test_w_and_p_are_ridge_regressions() -> None:
    toy = Toy()
    target = torch.linalg.qr(torch.randn(K, K, generator=torch.Generator().manual_seed(0)).double())[0].T @ toy.y
    want = Ridge(alpha=L, fit_intercept=False).fit(toy.b.T.numpy(), target.T.numpy()).coef_.T
    np.testing.assert_allclose(w_step(toy.b, target, L).numpy(), want, atol=1e-10)
    plain = toy.phi @ toy.phi.T + RIDGE * torch.eye(ANCHORS + 1).double()
    want = Ridge(alpha=RIDGE, fit_intercept=False).fit(toy.phi.T.numpy(), toy.b.T.numpy()).coef_.T
    np.testing.assert_allclose(p_step(plain, toy.phi, toy.b).numpy(), want, atol=1e-10)


def test_smoothness_is_the_laplacian() -> None:
    toy = Toy()
    got = smoothness(toy.phi, torch.from_numpy(toy.x), 4)
    torch.testing.assert_close(got, toy.phi @ toy.laplacian @ toy.phi.T)
    assert smoothness(toy.phi[:, :3], torch.from_numpy(toy.x[:3]), 9).isfinite().all()  # fewer samples than neighbours


VECTORS = torch.from_numpy(np.random.default_rng(4).normal(size=(4, 5)).astype(np.float32))
SMALL = {"code_bits": 8, "anchors": 30, "neighbours": 4, "rounds": 5}


def begun(**settings: object) -> tuple[ZSH, Tensor]:
    method, features = frozen.make("ZSH", VECTORS, **{**SMALL, **settings}), frozen.features(frozen.WIDTH)
    method.begin(lambda: features)
    sketches, photos = method.rows(len(features.sketch), len(features.photo))
    return method, torch.cat([features.photo[photos], features.sketch[sketches]])


def test_kernel_and_width_are_those_of_scikit_learn() -> None:
    method, x = begun()
    assert float(method.width) == pytest.approx(euclidean_distances(x.double(), squared=True).mean(), rel=1e-6)
    want = rbf_kernel(method.anchors.double(), x.double(), gamma=1 / float(method.width))
    np.testing.assert_allclose(method.phi(x)[:-1].numpy(), want, atol=1e-9)
    assert (method.phi(x)[-1] == 1).all()
    assert all((x == anchor).all(dim=1).any() for anchor in method.anchors) and len(method.anchors) == 30


def test_half_of_the_samples_are_sketches() -> None:
    method = frozen.make("ZSH", VECTORS, samples=40)
    sketches, photos = method.rows(30, 500)
    assert len({*sketches}) == len({*photos}) == 20 and max(photos) > 30
    again = frozen.make("ZSH", VECTORS, samples=40).rows(30, 500)
    assert np.array_equal(again[0], sketches) and np.array_equal(again[1], photos)
    assert len(frozen.make("ZSH", VECTORS).rows(30, 500)[1]) == 500


def test_training_lowers_the_loss_and_codes_are_signs(tiny_data: Dataset, tmp_path: Path) -> None:
    method = frozen.make("ZSH", VECTORS, **SMALL)
    losses = [row["loss"] for row in frozen.trained(method, tiny_data, tmp_path / "checkpoint.pt")[0]]
    assert len(losses) == 5 and (np.diff(losses) <= 1e-9).all()
    x = torch.tensor([[0.5, -0.1, 2.0]])
    code = method.code(x, 1)
    assert code.tolist() == [[1, 0, 1]]
