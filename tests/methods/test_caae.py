"""CAAE: the adversary's game at its known points, and each side descended by its own loss only."""

from __future__ import annotations

import copy
import math
from functools import partial

import frozen
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sakerepro.methods.caae import adversary_loss

make = partial(frozen.make, "CAAE", pairs="class", noise=4, batch_pairs=8, rounds=2)


def test_an_adversary_that_knows_nothing_loses_two_ln_two() -> None:
    assert float(adversary_loss(torch.zeros(9, 1), torch.zeros(7, 1))) == pytest.approx(2 * math.log(2))
    prior, encoded = torch.randn(6, 1).double(), torch.randn(5, 1).double()
    d, de = prior.sigmoid(), encoded.sigmoid()
    assert float(adversary_loss(prior, encoded)) == pytest.approx(float(-d.log().mean() - (1 - de).log().mean()))


def test_codes_of_two_numbers_approach_the_prior() -> None:
    """Their mean approaches 0 and their covariance I, from far away; looked at a few times, since a game wanders."""
    method, data = make(noise=2, adam_lr=1e-3), frozen.features(16, 400, 400)
    torch.manual_seed(0)
    method.build(16, 64, 2)
    method.begin(lambda: data)
    optimisers, held = method.optimisers(), frozen.pairs(data, 1000, 1, 0)
    with torch.no_grad():
        method.encoder[-1].bias.fill_(2)
    codes = []
    for step in range(601):
        if step == 0 or step >= 400 and step % 20 == 0:
            with torch.no_grad():
                codes.append(method.encoder(torch.cat(method.pair(held), dim=1)))
        method.step(frozen.pairs(data, 64, 0, step), optimisers)
    first, last = codes[0], torch.cat(codes[1:])
    assert (first.mean(dim=0) > 1.5).all() and (first.T.cov() - torch.eye(2)).abs().max() > 0.5
    assert last.mean(dim=0).abs().max() < 0.15 and (last.T.cov() - torch.eye(2)).abs().max() < 0.25


def test_without_its_weight_it_is_a_plain_conditional_autoencoder() -> None:
    """The same networks, trained by the two squared errors alone and without an adversary, end the same to the bit."""
    data, method = frozen.features(frozen.WIDTH), make(adversary=0.0)
    method.begin(lambda: data)
    plain = copy.deepcopy(method)
    optimisers = method.optimisers()
    modules = (plain.encoder, plain.from_sketch, plain.from_noise, plain.to_photo, plain.side_task)
    adam = torch.optim.Adam([p for m in modules for p in m.parameters()], lr=2e-4, betas=(0.5, 0.999))
    for step in range(5):
        batch = frozen.pairs(data, 8, 0, step)
        torch.manual_seed(step)
        method.step(batch, optimisers)
        torch.manual_seed(step)
        f_p, f_s = (batch.images / plain.scale).chunk(2)
        z = plain.encoder(torch.cat([f_p, f_s], dim=1))
        photos = F.relu(plain.to_photo(F.relu(plain.from_noise(z) + plain.from_sketch(f_s))))
        loss = (photos - f_p).square().mean() + 10 * (plain.side_task(photos) - f_s).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    want = plain.state_dict()
    for key, value in method.state_dict().items():
        assert torch.equal(value, want[key]) != key.startswith("adversary."), key


def test_each_side_descends_by_its_own_loss_only() -> None:
    """With one side's steps held back, the other's gradients are those of its loss, and nothing else has any."""
    data, method = frozen.features(frozen.WIDTH), make()
    method.begin(lambda: data)
    batch, optimisers = frozen.pairs(data, 8, 0, 0), method.optimisers()
    before = {k: v.clone() for k, v in method.named_parameters()}
    seen: dict[str, set[str]] = {}

    def watch(side: str) -> None:
        own = optimisers[side].step

        def step(*args: object) -> None:
            seen[side] = {k for k, p in method.named_parameters() if p.grad is not None}
            seen[f"{side} first"] = {k for k, p in method.named_parameters() if not torch.equal(p, before[k])}
            own()

        optimisers[side].step = step

    watch("adversary")
    watch("autoencoder")
    torch.manual_seed(0)
    row = method.step(batch, optimisers)
    assert {"loss", "loss_photo", "loss_sketch", "loss_fooled", "loss_d"} <= row.keys()
    adversary = {k for k in before if k.startswith("adversary.")}
    assert seen["adversary"] == adversary and seen["adversary first"] == set()
    assert seen["autoencoder first"] == adversary  # it answers the new adversary
    others = {k for k in before if not k.startswith(("adversary.", "student."))}
    assert seen["autoencoder"] == adversary | others
    grads: dict[str, Tensor] = {k: p.grad.clone() for k, p in method.named_parameters() if p.grad is not None}
    again = make()
    again.begin(lambda: data)
    torch.manual_seed(0)
    f_p, f_s = again.pair(batch)
    code = again.encoder(torch.cat([f_p, f_s], dim=1)).detach()
    adversary_loss(again.adversary(torch.randn_like(code)), again.adversary(code)).backward()
    for k, p in again.adversary.named_parameters():  # the adversary's gradient is untouched by the encoder's step
        assert p.grad is not None and torch.equal(p.grad, grads[f"adversary.{k}"])
