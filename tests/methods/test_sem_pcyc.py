"""The losses of SEM-PCYC in the cases where something else says what they have to be, and who is moved by which."""

from __future__ import annotations

from functools import partial

import frozen
import pytest
import torch
from torch import Tensor, nn

from sakerepro.data.dataset import Dataset
from sakerepro.methods.sem_pcyc import SEMPCYC, compress, generator, l21, lsgan
from sakerepro.training import Batch, feature_maker, minimise, training_features

made = partial(frozen.make, "SEM-PCYC", torch.eye(4))


@pytest.fixture
def method() -> SEMPCYC:
    return made()


def batch(method: SEMPCYC, n: int = 6) -> Batch:
    f = torch.randn(2 * n, method.backbone.num_features, generator=torch.Generator().manual_seed(0))
    return Batch(f, torch.arange(2 * n) % n % 4, torch.tensor([0.0] * n + [1.0] * n), n, [""] * 2 * n)


def pairs(n: int, width: int, seed: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {x: torch.randn(n, width, generator=g) for x in "ps"}


@pytest.mark.parametrize("real", [True, False])
def test_an_undecided_discriminator_costs_013_on_each_side(real: bool) -> None:
    """E (1/2 - U(.7, 1))^2 = .35^2 + .3^2 / 12 = .13, and the same for U(0, .3)."""
    torch.manual_seed(0)
    judged = lsgan(nn.Sequential(nn.Linear(3, 1), nn.Threshold(torch.inf, 0.5)), torch.zeros(400_000, 3), real)
    assert judged.item() == pytest.approx(0.13, abs=5e-4)


def test_a_certain_discriminator_costs_only_the_spread_of_the_labels() -> None:
    torch.manual_seed(0)
    for real, answer in ((True, 0.85), (False, 0.15)):
        judge = nn.Sequential(nn.Linear(3, 1), nn.Threshold(torch.inf, answer))
        assert lsgan(judge, torch.zeros(400_000, 3), real).item() == pytest.approx(0.0075, abs=1e-4)


def test_l21_of_a_known_matrix() -> None:
    assert l21(torch.tensor([[3.0, 4], [0, 0], [5, 12]])).item() == pytest.approx(5 + 0 + 13)


def test_cycles_of_identities_are_zero(method: SEMPCYC) -> None:
    f = method.backbone.num_features
    method.g, method.f = (nn.ModuleDict({x: nn.Identity() for x in "ps"}) for _ in range(2))
    method.d, method.cls = (nn.ModuleDict({x: nn.Linear(f, 4) for x in "cps"}) for _ in range(2))
    pair, y = pairs(5, f, 1), torch.arange(5) % 4
    c = torch.randn(5, f)
    losses = method.generator_losses(pair, c, y, pair, {"p": c, "s": c})
    assert losses["loss_cycle"].item() == 0
    want = sum(10 * (c - pair[x]).square().mean() for x in "ps") + 20 * (pair["p"] - pair["s"]).square().mean()
    assert losses["loss_regression"].item() == pytest.approx(float(want), rel=1e-5)
    shift = nn.Linear(f, f)  # one map that is 2 off on every number
    nn.init.eye_(shift.weight)
    nn.init.constant_(shift.bias, 2.0)
    method.f = nn.ModuleDict({"p": nn.Identity(), "s": shift})
    assert method.generator_losses(pair, c, y, pair, {"p": c, "s": c})["loss_cycle"].item() == pytest.approx(2)
    assert method.generator_losses(pair, c, y, pair, {"p": c, "s": c + 2})["loss_cycle"].item() == pytest.approx(4)


def test_weights_are_the_published_ones(method: SEMPCYC) -> None:
    f, c = pairs(5, method.backbone.num_features, 2), torch.randn(5, 16)
    codes, made = pairs(5, 16, 3), pairs(5, method.backbone.num_features, 4)
    losses = {k: v.item() for k, v in method.generator_losses(f, c, torch.arange(5) % 4, codes, made).items()}
    want = losses["loss_adversarial"] + 10 * losses["loss_cycle"] + 10 * losses["loss_classification"]
    assert losses["loss"] == pytest.approx(want + 0.1 * losses["loss_regression"], rel=1e-6)


def test_the_discriminators_loss_weighs_real_codes_twice(method: SEMPCYC, monkeypatch: pytest.MonkeyPatch) -> None:
    """With real and fake at prices of 1 and 100: (2 + 200) / 4 for codes, (1 + 100) / 2 for each feature."""
    price = {True: 1.0, False: 100.0}
    monkeypatch.setattr("sakerepro.methods.sem_pcyc.lsgan", lambda d, x, real: torch.tensor(price[real]))
    f = pairs(5, 3, 5)
    assert method.discriminator_loss(f, f["p"], f, f).item() == pytest.approx(202 / 4 + 101)


def test_no_gradient_of_the_discriminators_reaches_the_generators(method: SEMPCYC) -> None:
    b = batch(method)
    f, y = dict(zip("ps", b.images.split(6), strict=True)), b.labels[:6]
    codes, made = {x: method.g[x](f[x]) for x in "ps"}, {x: method.f[x](method.c[y]) for x in "ps"}
    method.discriminator_loss(f, method.c[y], codes, made).backward()
    assert all(p.grad is None for net in (method.g, method.f, method.cls, method.student) for p in net.parameters())
    assert all(p.grad is not None for p in method.d.parameters())


def test_a_step_moves_each_side_by_its_own_loss(method: SEMPCYC) -> None:
    """With the discriminators' rate at 0 a step moves the generators by the same bits, and the other way round."""

    def weights_after(**rates: float) -> dict[str, Tensor]:
        fresh = made()
        optimisers = fresh.optimisers()
        for name, one in optimisers.items():
            one.param_groups[0]["lr"] = rates[name]
        fresh.train()
        torch.manual_seed(0)
        fresh.step(batch(fresh), optimisers)
        return {k: p.detach() for k, p in fresh.named_parameters()}

    start = {k: p.detach() for k, p in made().named_parameters()}
    whole = weights_after(generators=0.1, discriminators=0.1)
    generators, judges = (weights_after(generators=g, discriminators=0.1 - g) for g in (0.1, 0.0))
    for k in start:
        moved_by = generators if k.startswith(("g.", "f.")) else judges if k.startswith("d.") else start
        assert torch.equal(whole[k], moved_by[k]) and (moved_by is start or not torch.equal(whole[k], start[k]))


def test_what_comes_before_the_generators(method: SEMPCYC, tiny_data: Dataset) -> None:
    """Features and codes at mean square 1, classifiers that know the training set; the same in any process."""
    features = training_features(method, tiny_data, method.e.size)
    torch.manual_seed(1)
    method.begin(lambda: features)
    both = torch.cat([features.photo, features.sketch]) / method.scale
    assert both.square().mean().item() == pytest.approx(1, rel=1e-5)
    assert method.c.square().mean().item() == pytest.approx(1, rel=1e-5) and (method.c >= 0).all()
    assert torch.linalg.matrix_rank(method.c) == 4
    assert (method.cls["c"](method.c).argmax(1) == torch.arange(4)).all()
    hits = method.cls["p"](features.photo / method.scale).argmax(1) == features.photo_labels
    assert hits.float().mean() > 0.6 and not any(p.requires_grad for p in method.cls.parameters())
    torch.manual_seed(2)
    other = made()
    other.begin(lambda: features)
    assert all(torch.equal(v, other.state_dict()[k]) for k, v in method.state_dict().items())
    untrained = made(pretraining=0)
    before = untrained.cls["p"].weight.clone()
    untrained.begin(lambda: features)
    assert torch.equal(untrained.cls["p"].weight, before)
    rows = torch.arange(5).numpy()
    make = feature_maker((tiny_data.train_photo, tiny_data.train_sketch), features)
    untrained.step(make((rows, rows), None), untrained.optimisers())


def test_codes_of_near_vectors_are_near() -> None:
    v = torch.eye(6)
    v[5] = v[4] + 0.1 * v[3]
    torch.manual_seed(0)
    distance = torch.cdist(*[compress(v, 8)] * 2).fill_diagonal_(torch.inf)
    assert distance[5].argmin() == 4 and distance.min() == distance[4, 5]


def test_minimise_finds_a_known_minimum() -> None:
    x = nn.Parameter(torch.zeros(2))
    minimise([x], lambda: (x - torch.tensor([0.3, -0.2])).square().sum(), 400)
    torch.testing.assert_close(x.detach(), torch.tensor([0.3, -0.2]), atol=1e-3, rtol=0)


def test_each_domain_has_its_own_map(method: SEMPCYC) -> None:
    method.eval()
    b = batch(method)
    with torch.no_grad():
        mixed = method.embed_features(b.images, b.domain)
        torch.testing.assert_close(mixed[:6], method.g["p"](b.images[:6]))
        torch.testing.assert_close(mixed[6:], method.g["s"](b.images[6:]))
        assert torch.equal(method.embed_features(b.images, 1)[6:], mixed[6:])
        assert method.embed_features(b.images[:0], 0).shape == (0, 16)
    assert method.code(mixed, 0) is None and method.distance == "euclidean"


def test_a_generator_has_the_published_layers() -> None:
    layers = [type(layer).__name__ for layer in generator(512, 64)]
    assert layers == ["Linear", "BatchNorm1d", "LeakyReLU", "Dropout"] * 2 + ["Linear"]
    shapes = [tuple(p.shape) for p in generator(512, 64).parameters() if p.ndim == 2]
    assert shapes == [(288, 512), (288, 288), (64, 288)]
