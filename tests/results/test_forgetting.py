"""The linear probe finds the optimum, looks at nothing but frozen features, and is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sakerepro.data.augmentation import augment
from sakerepro.errors import DataError
from sakerepro.methods import preset
from sakerepro.networks.probing import fit_probe
from sakerepro.original import original_photos
from sakerepro.results import kept, measures
from sakerepro.results.measures import linear_probe, probe, probe_rows
from sakerepro.runs import Run


def blobs(rng: np.random.Generator, n: int, classes: int, width: int, apart: float) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clouds at scales and places that differ by dimension."""
    centres = np.random.default_rng(9).normal(size=(classes, width)) * apart
    labels = np.arange(n) % classes
    x = centres[labels] + rng.normal(size=(n, width))
    return (x * np.geomspace(0.01, 100, width) + 5).astype(np.float32), labels


def objective(weight: np.ndarray, bias: np.ndarray, z: np.ndarray, labels: np.ndarray, strength: float) -> float:
    logits = z @ weight.T + bias
    logits -= logits.max(axis=1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return float(-log_p[np.arange(len(z)), labels].mean() + strength / 2 * (weight**2).sum())


@pytest.mark.parametrize("n, classes, width, strength", [(7, 2, 1, 0.1), (60, 3, 5, 1e-2), (201, 7, 33, 1e-3)])
def test_probe_is_scikit_learns_optimum(rng, n, classes, width, strength):
    x, labels = blobs(rng, n, classes, width, 0.7)
    ours = fit_probe(x, labels, classes, strength, iterations=500, tolerance=1e-6)
    z = StandardScaler().fit_transform(x.astype(np.float64))
    theirs = LogisticRegression(C=1 / (n * strength), tol=1e-10, max_iter=5000).fit(z, labels)
    weight, bias = ours.weight.cpu().double().numpy(), ours.bias.cpu().double().numpy()
    least = objective(weight, bias, z, labels, strength)
    if classes > 2:  # of two classes scikit-learn fits the other parametrisation
        assert least == pytest.approx(objective(theirs.coef_, theirs.intercept_, z, labels, strength), abs=1e-5)
    assert np.mean(ours.predict(x) == theirs.predict(z)) >= 0.98
    for _ in range(20):  # convex: nowhere near is it lower
        aside = weight + rng.normal(size=weight.shape) * 0.01
        assert objective(aside, bias, z, labels, strength) >= least - 1e-7


def test_start_and_order_change_nothing(rng: np.random.Generator) -> None:
    x, labels = blobs(rng, 90, 4, 6, 0.6)
    cold = fit_probe(x, labels, 4, 1e-2, tolerance=1e-7, iterations=500)
    warm = fit_probe(x, labels, 4, 1e-2, fit_probe(x, labels, 4, 1.0), tolerance=1e-7, iterations=500)
    order = rng.permutation(90)
    mixed = fit_probe(x[order], labels[order], 4, 1e-2, tolerance=1e-7, iterations=500)
    for other in (warm, mixed):
        assert torch.allclose(cold.weight, other.weight, atol=2e-3)
    assert cold.gradient < 1e-4


def test_separable_noise_and_constant_features(rng: np.random.Generator) -> None:
    train, val = blobs(rng, 120, 4, 9, 4.0), blobs(rng, 41, 4, 9, 4.0)
    assert linear_probe(*train, *val)["top-1"] == 1.0
    noise = rng.normal(size=(400, 5)).astype(np.float32), rng.integers(0, 4, 400)
    other = rng.normal(size=(2000, 5)).astype(np.float32), rng.integers(0, 4, 2000)
    assert linear_probe(*noise, *other)["top-1"] == pytest.approx(0.25, abs=0.04)
    constant = np.ones((120, 2), np.float32)
    probed = linear_probe(np.c_[train[0], constant], train[1], np.c_[val[0], constant[:41]], val[1])
    assert probed["top-1"] == 1.0 and probed["width"] == 11 and np.isfinite(probed["gradient"])


def test_penalty_is_chosen_without_the_photos_that_are_measured(rng: np.random.Generator) -> None:
    train, (x, labels) = blobs(rng, 150, 5, 20, 0.3), blobs(rng, 150, 5, 20, 0.3)
    honest = linear_probe(*train, x, labels)
    turned = linear_probe(*train, x, (labels + 1) % 5)
    assert honest["strength"] == turned["strength"] in measures.STRENGTHS
    assert turned["top-1"] < honest["top-1"]


def test_a_class_without_training_photos_is_never_right(rng: np.random.Generator) -> None:
    x, labels = blobs(rng, 90, 3, 4, 5.0)
    kept_classes = labels < 2
    assert linear_probe(x[kept_classes], labels[kept_classes], x, labels)["top-1"] == pytest.approx(2 / 3)


def test_what_is_probed_is_the_frozen_network(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(measures, "linear_probe", lambda *a: seen.append(a) or {"top-1": 0.5, "width": a[0].shape[1]})
    original = tiny.original()
    before = {k: v.clone() for k, v in tiny_run.network().state_dict().items()}
    probed = probe(tiny_run, original)
    assert set(probed) == {"features", "embedding"}
    student = tiny_run.network()
    pixels = augment(original.val.take(np.arange(10)), None, 32, mean=student.backbone.mean, std=student.backbone.std)
    with torch.no_grad():
        features = student.backbone(pixels, torch.zeros(10))
        embedding = student.embed(pixels, 0)
    assert np.allclose(seen[0][2], features.numpy(), atol=1e-4)
    assert np.allclose(seen[1][2], embedding.numpy(), atol=1e-4)
    assert np.array_equal(seen[0][1], original.train.labels) and np.array_equal(seen[0][3], original.val.labels)
    assert tiny.same(before, student.state_dict())
    probe(tiny_run, original)
    assert len(seen) == 2  # found again
    assert len(list(kept.folder().rglob("output.pkl"))) == 1


def test_rows_of_the_probe(tiny_run: Run, tmp_path: Path) -> None:
    rows = list(probe_rows([tiny_run], str(tiny.write_original(tmp_path / "original"))))
    # no representation: whatever the network has
    assert [(r.task, r.metric, r.variant, r.representation) for r in rows] == [
        ("probe", "top-1", variant, "") for variant in ("", measures.PROBED_EMBEDDING)
    ]
    assert all(0 <= r.value <= 1 and r.run == tiny_run.id for r in rows)


def test_missing_photos_of_the_original_domain_are_named(own_data: Path) -> None:
    with pytest.raises(DataError, match="original=<folder>"):
        original_photos(preset("paper"))
    with pytest.raises(DataError, match="no-such"):
        original_photos(preset("paper"), str(own_data / "no-such"))
