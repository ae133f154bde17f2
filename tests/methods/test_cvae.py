"""CVAE: its divergence is that of torch, its noise reaches the photo, and its queries are a mean over draws."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import frozen
import pytest
import torch
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from sakerepro.data.dataset import Dataset
from sakerepro.methods.cvae import kl_to_normal
from sakerepro.training import descend

make = partial(frozen.make, "CVAE", pairs="class", noise=4, batch_pairs=8, rounds=2)


def test_kl_equals_torch() -> None:
    mu, lv = torch.tensor([[0.3, -0.5, 0.1]]).double(), torch.tensor([[-0.4, 0.2, 0.3]]).double()
    q, p = Normal(mu, (lv / 2).exp()), Normal(torch.zeros(1, 3).double(), torch.ones(1, 3).double())
    assert float(kl_to_normal(mu, lv)) == pytest.approx(float(kl_divergence(q, p).sum()), abs=1e-12)
    assert float(kl_to_normal(torch.zeros(5, 7), torch.zeros(5, 7))) == 0
    two = kl_to_normal(torch.cat([mu, 0 * mu]), torch.cat([lv, 0 * lv]))  # a mean over samples, a sum over numbers
    assert float(two) == pytest.approx(float(kl_to_normal(mu, lv)) / 2)


def test_the_loss_is_its_three_terms_with_their_weights() -> None:
    """Networks that are forced: zero decoder and zero encoder leave the mean squares of the features, and KL 0."""
    method, data = make(), frozen.features(frozen.WIDTH)
    method.begin(lambda: data)
    with torch.no_grad():
        for layer in (method.encoder[-2], method.to_photo, method.side_task[-1]):
            layer.weight.zero_()
            layer.bias.zero_()
    batch = frozen.pairs(data, 8, 0, 0)
    losses = {k: v.detach() for k, v in method.losses(batch).items()}
    photo, sketch = (part.double().square().mean() / float(method.scale) ** 2 for part in batch.images.chunk(2))
    assert float(losses["loss_kl"]) == 0
    assert float(losses["loss_photo"]) == pytest.approx(float(photo), rel=1e-5)
    assert float(losses["loss_sketch"]) == pytest.approx(float(sketch), rel=1e-5)
    assert float(losses["loss"]) == pytest.approx(float(photo + 10 * sketch), rel=1e-5)


def test_the_scale_of_the_features_changes_no_loss() -> None:
    data, values = frozen.features(frozen.WIDTH), []
    for factor in (1.0, 64.0):
        method = make()
        scaled = frozen.Features(factor * data.photo, data.photo_labels, factor * data.sketch, data.sketch_labels)
        method.begin(lambda scaled=scaled: scaled)
        torch.manual_seed(0)
        values.append(float(method.losses(frozen.pairs(scaled, 8, 0, 0))["loss"].detach()))
    assert values[0] == pytest.approx(values[1], rel=1e-5)


def test_a_large_weight_of_kl_leaves_no_information_in_the_code() -> None:
    """Reconstruction limits: without KL the code of a training pair tells its photo, under KL alone it is the prior."""
    data, codes = frozen.features(frozen.WIDTH), {}
    for kl in (0.0, 100.0):
        method = make(kl=kl, adam_lr=2e-3)
        method.begin(lambda: data)
        optimisers = method.optimisers()
        torch.manual_seed(0)
        for step in range(60):
            row = descend(method.losses, frozen.pairs(data, 16, 0, step), optimisers)
        codes[kl] = float(row["loss_kl"])
    assert codes[100.0] < 0.05 < codes[0.0]


def test_training_learns_to_make_the_photo_of_the_class() -> None:
    data, method = frozen.features(frozen.WIDTH), make(adam_lr=1e-3)
    method.begin(lambda: data)
    optimisers = method.optimisers()

    def nearest() -> float:
        means = torch.stack([data.photo[data.photo_labels == c].mean(dim=0) for c in range(4)])
        with torch.no_grad():
            photos = method.eval().embed_features(data.sketch, 1)
        method.train()
        return float((torch.cdist(photos, means).argmin(dim=1) == data.sketch_labels).float().mean())

    assert nearest() < 0.8
    torch.manual_seed(0)
    for step in range(60):
        descend(method.losses, frozen.pairs(data, 16, 0, step), optimisers)
    assert nearest() == 1


def test_queries_are_the_mean_of_a_hundred_draws() -> None:
    method, data = make(), frozen.features(frozen.WIDTH)
    method.begin(lambda: data)
    f_s = data.sketch / method.scale
    with torch.no_grad():
        by_hand = torch.stack([method.decode(z.expand(len(f_s), 4), f_s) for z in method.noise]).mean(dim=0)
        torch.testing.assert_close(method.embed_features(data.sketch, 1), by_hand * method.scale)
        assert len(method.noise) == 100 and torch.equal(method.embed_features(data.photo, 0), data.photo)
        method.from_noise.weight.zero_()  # the noise reaches nothing: a hundred draws equal one
        once = method.scale * method.decode(method.noise[:1], f_s)
        torch.testing.assert_close(method.embed_features(data.sketch, 1), once)


def test_the_first_layer_of_the_decoder_reads_noise_and_sketch() -> None:
    """Two layers without and with a bias are one layer of [z, f_s]."""
    method, z, f_s = make(), torch.randn(3, 4), torch.rand(3, frozen.WIDTH)
    weight = torch.cat([method.from_noise.weight, method.from_sketch.weight], dim=1)
    hidden = F.relu(F.linear(torch.cat([z, f_s], dim=1), weight, method.from_sketch.bias))
    torch.testing.assert_close(method.decode(z, f_s), F.relu(method.to_photo(hidden)))


def test_features_below_zero_can_be_made() -> None:
    data, photos = frozen.features(frozen.WIDTH), []
    signed = frozen.Features(data.photo - 1, data.photo_labels, data.sketch - 1, data.sketch_labels)
    for features in (data, signed):
        method = make()
        method.begin(lambda features=features: features)
        photos.append(method.decode(method.noise, torch.rand(1, frozen.WIDTH)).min())
    assert photos[0] == 0 > photos[1]


def test_only_the_own_networks_are_trained(tiny_data: Dataset, tmp_path: Path) -> None:
    method = make()
    before = {k: v.clone() for k, v in method.state_dict().items()}
    frozen.trained(method, tiny_data, tmp_path / "checkpoint.pt")
    changed = {k for k, v in method.state_dict().items() if not torch.equal(v, before[k])}
    trained = {k for k, _ in method.named_parameters() if not k.startswith("student.")}
    assert trained <= changed and not any(k.startswith(("student.", "noise")) for k in changed)
