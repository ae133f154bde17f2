"""The margin softmax of EMS in the cases where something else says what it has to be."""

from __future__ import annotations

import frozen
import pytest
import torch
from torch.nn import functional as F

from sakerepro.methods.ems import margin_logits

LABELS = torch.arange(12) % 7


def points() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return tuple(torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (12, 7))


def test_each_logit_is_the_squared_distance_with_the_margin_on_the_own_centre() -> None:
    x, a = points()
    logits = margin_logits(x, a, LABELS, 3.0)
    for n in range(len(x)):
        for c in range(len(a)):
            distance = sum((float(x[n, k]) - float(a[c, k])) ** 2 for k in range(5))
            assert logits[n, c].item() == pytest.approx(-distance * (9 if c == LABELS[n] else 1))


def test_descent_moves_a_sample_to_its_centre() -> None:
    x, a = points()
    x.requires_grad_()
    F.cross_entropy(margin_logits(x, a, LABELS, 4.0), LABELS).backward()
    to_centre = a[LABELS] - x.detach()
    assert (-(x.grad * to_centre).sum(dim=1) > 0).all()


def test_the_margin_grows_over_the_first_half() -> None:
    method, seen = frozen.make("EMS", epochs=8), []
    for epoch in range(8):
        method.before_epoch(epoch, lambda: None)
        seen.append(float(method.m))
    assert seen == pytest.approx([1, 1.75, 2.5, 3.25, 4, 4, 4, 4])


@torch.no_grad()
def test_embeddings_begin_as_long_as_the_centres_which_are_class_means_that_do_not_decay() -> None:
    method, f = frozen.make("EMS").eval(), frozen.features(frozen.WIDTH)
    features, y = torch.cat([f.photo, f.sketch]), torch.cat([f.photo_labels, f.sketch_labels])
    before = method.embed_features(features, 0)
    method.begin(lambda: f)
    after = method.embed_features(features, 0)
    assert after.norm(dim=1).mean().item() == pytest.approx(1, rel=1e-5)
    torch.testing.assert_close(F.normalize(after), F.normalize(before), rtol=1e-4, atol=1e-5)
    for c in range(4):
        torch.testing.assert_close(method.centres[c], after[y == c].mean(dim=0), rtol=1e-4, atol=1e-5)
    decays = {id(p): g["weight_decay"] for g in method.optimisers().param_groups for p in g["params"]}
    assert decays.pop(id(method.centres)) == 0 and set(decays.values()) == {method.e.weight_decay}
