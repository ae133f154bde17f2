"""SAE: its map is what scipy's solver of Sylvester equations gives, between two ridge regressions."""

from __future__ import annotations

from pathlib import Path

import frozen
import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from sakerepro.data.dataset import Dataset
from sakerepro.embedding import place
from sakerepro.errors import ConfigError
from sakerepro.methods import preset
from sakerepro.methods.sae import sylvester
from sakerepro.runs import check_settings

VECTORS = torch.from_numpy(np.random.default_rng(4).normal(size=(4, 3)).astype(np.float32))


def columns(x: Tensor, labels: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """X (F, N) of unit features and S (k, N), float64, image by image."""
    unit = x.double() / x.double().norm(dim=1, keepdim=True)
    return unit.numpy().T, np.array([VECTORS[c].double().numpy() for c in labels]).T


def solved(lambda_sae: float, width: int = 128, images: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """W, X, S."""
    data = frozen.features(width, photos=images)
    method = frozen.make("SAE", VECTORS, lambda_sae=lambda_sae)
    return method.solve(data.photo, data.photo_labels).numpy(), *columns(data.photo, data.photo_labels)


@pytest.mark.parametrize("weight", [1e-3, 0.2, 1.0, 7.0])
def test_w_solves_the_sylvester_equation(weight: float) -> None:
    w, x, s = solved(weight)
    want = scipy.linalg.solve_sylvester(s @ s.T, weight * x @ x.T, (1 + weight) * s @ x.T)
    np.testing.assert_allclose(w, want, rtol=1e-8, atol=1e-10)


def test_the_gradient_of_the_objective_is_zero() -> None:
    w, x, s = (torch.from_numpy(a) for a in solved(0.2))
    w.requires_grad_()
    ((x - w.T @ s).square().sum() + 0.2 * (w @ x - s).square().sum()).backward()
    assert w.grad.abs().max() < 1e-9


def test_limits_of_the_weight() -> None:
    """l -> 0: the decoder's regression, (SS')^-1 SX'; l -> infinity: the encoder's, SX'(XX')^-1."""
    for weight in (0.0, 1e-9):
        w, x, s = solved(weight)
        np.testing.assert_allclose(w, np.linalg.solve(s @ s.T, s @ x.T), rtol=1e-5, atol=1e-6)
    w, x, s = solved(1e13)
    np.testing.assert_allclose(w, np.linalg.lstsq(x.T, s.T, rcond=None)[0].T, rtol=1e-5, atol=1e-6)


def test_directions_that_nothing_is_known_about_are_zero(rng: np.random.Generator) -> None:
    """Both sides singular, as with dead features and more numbers in a class vector than classes: least norm."""
    s, x = rng.normal(size=(5, 2)) @ rng.normal(size=(2, 30)), rng.normal(size=(7, 30))
    x[[1, 4]] = 0
    w = sylvester(*(torch.from_numpy(a) for a in (s @ s.T, x @ x.T, 2 * s @ x.T))).numpy()
    whole = np.kron(np.eye(7), s @ s.T) + np.kron(x @ x.T, np.eye(5))  # of the columns of W, one below the other
    want = np.linalg.lstsq(whole, (2 * s @ x.T).T.ravel(), rcond=1e-10)[0].reshape(7, 5).T
    np.testing.assert_allclose(w, want, atol=1e-9)
    assert not w[:, [1, 4]].any() or np.abs(w[:, [1, 4]]).max() < 1e-12


def test_a_sketch_enters_by_a_map_of_its_own(tiny_data: Dataset, tmp_path: Path) -> None:
    two, one = (frozen.make("SAE", VECTORS, maps=maps) for maps in ("two", "one"))
    data = frozen.features(frozen.WIDTH)
    for method in (two, one):
        method.begin(lambda: data)
    assert not torch.equal(two.w[0], two.w[1]) and torch.equal(one.w[0], one.w[1])
    x, s = columns(torch.cat([data.photo, data.sketch]), torch.cat([data.photo_labels, data.sketch_labels]))
    want = scipy.linalg.solve_sylvester(s @ s.T, 0.2 * x @ x.T, 1.2 * s @ x.T)
    np.testing.assert_allclose(one.w[0].numpy(), want, rtol=1e-4, atol=1e-5)
    embedded = two.embed_features(3 * data.sketch, 1)  # of length 1, whatever came
    unit = data.sketch / data.sketch.norm(dim=1, keepdim=True)
    torch.testing.assert_close(embedded, unit @ two.w[1].T)


def test_a_method_that_needs_float64_is_refused_where_there_is_none(monkeypatch):
    method = frozen.make("SAE", torch.eye(4))
    assert place(method) is method
    monkeypatch.setattr("sakerepro.embedding.device", lambda: torch.device("mps"))
    with pytest.raises(ConfigError, match="SAE computes in float64, which mps has not. Set SAKEREPRO_DEVICE=cpu"):
        place(method)
    with pytest.raises(ConfigError, match="SAE computes in float64"):  # before its L_B run is trained
        check_settings(preset("mini", method="SAE"))
