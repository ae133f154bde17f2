"""The neuron of ZSIH by enumeration of all codes; its fusion in the cases where something else says what it is."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import frozen
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sakerepro.devices import seeded
from sakerepro.methods import zsih
from sakerepro.methods.zsih import ZSIH, Fusion, affinity, log_q, stochastic_neuron
from sakerepro.training import Batch, Features

Function = Callable[[Tensor, Tensor], Tensor]  # of codes and logits
LOGITS = torch.tensor([0.4, -1.1, 0.2], dtype=torch.float64)
CODES = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)  # (8, 3)


def multilinear(b: Tensor, logits: Tensor) -> Tensor:
    """Linear in each bit."""
    x, y, z = b.unbind(-1)
    return 1.5 * x - 2 * y + x * y - 3 * y * z + 4 * x * y * z


def enumerated(function: Function, logits: Tensor) -> Tensor:
    """E_{b ~ q} [function(b, logits)] as a sum over the eight codes; its gradient is exact."""
    p = logits.sigmoid()
    q = torch.where(CODES > 0, p, 1 - p).prod(dim=1)
    return (q * function(CODES, logits)).sum()


def sampled_gradient(function: Function, draws: int) -> Tensor:
    """Mean of the neuron's gradient over draws of e."""
    logits = LOGITS.expand(draws, 3).clone().requires_grad_()
    e = torch.rand(draws, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    b = stochastic_neuron(logits, e)
    function(b, logits).mean().backward()
    return logits.grad.sum(dim=0)


def log_probability(b: Tensor, logits: Tensor) -> Tensor:
    """log q(b), which depends on the logits through b and by itself."""
    return (b * F.logsigmoid(logits) + (1 - b) * F.logsigmoid(-logits)).sum(dim=-1)


@pytest.mark.parametrize("function", [multilinear, log_probability])
def test_its_gradient_is_that_of_the_expectation(function: Function) -> None:
    logits = LOGITS.clone().requires_grad_()
    (exact,) = torch.autograd.grad(enumerated(function, logits), logits)
    torch.testing.assert_close(sampled_gradient(function, 400_000), exact, atol=0.01, rtol=0.02)


def test_codes_are_bits_drawn_from_q() -> None:
    e = torch.rand(200_000, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    b = stochastic_neuron(LOGITS.expand(200_000, 3), e)
    assert ((b == 0) | (b == 1)).all()
    torch.testing.assert_close(b.mean(0), LOGITS.sigmoid(), atol=5e-3, rtol=0)


def test_log_q_is_minus_the_entropy_on_average_and_zero_for_certain_codes() -> None:
    p = LOGITS.sigmoid()
    entropy = -(p * p.log() + (1 - p) * (1 - p).log())
    expected = sum(float(torch.where(b > 0, p, 1 - p).prod() * log_q(b[None], LOGITS[None])) for b in CODES)
    assert expected == pytest.approx(-entropy.mean().item())
    certain = torch.tensor([[60.0, -60.0]])
    assert log_q(torch.tensor([[1.0, 0.0]]), certain).item() == pytest.approx(0, abs=1e-6)


def test_the_affinity_is_normalised() -> None:
    v = F.normalize(torch.randn(9, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    v[4] = v[1]  # two samples of a class
    a = affinity(v, 0.7)
    e = torch.tensor([[torch.exp(-((x - y) ** 2).sum() / 0.7) for y in v] for x in v], dtype=torch.float64)
    t = torch.diag(e.sum(1) ** -0.5)
    torch.testing.assert_close(a, t @ e @ t)
    values = torch.linalg.eigvalsh(a)
    assert values[-1].item() == pytest.approx(1) and values[0] > -1 + 1e-9
    torch.testing.assert_close(affinity(v[:1].expand(5, 6), 0.7), torch.full((5, 5), 0.2, dtype=torch.float64))
    torch.testing.assert_close(affinity(v[:4], 1e-4), torch.eye(4, dtype=torch.float64))  # narrow: each for itself


def a_fusion() -> tuple[Fusion, Tensor, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Fusion(10, 4, 12, 8).double(), torch.randn(6, 10).double(), torch.randn(6, 10).double()


def test_with_the_identity_for_affinity_the_fusion_is_dense_layers() -> None:
    fusion, photo, sketch = a_fusion()
    fused = fusion(photo, sketch, torch.eye(6).double())
    for i in range(6):  # each pair alone, by torch's own Kronecker product
        h = torch.kron(fusion.photo(photo[i]).relu(), fusion.sketch(sketch[i]).relu())
        torch.testing.assert_close(fused[i], fusion.second(fusion.first(h).relu()))


def test_permuting_the_batch_permutes_the_fusion() -> None:
    fusion, photo, sketch = a_fusion()
    v, order = torch.randn(6, 5, generator=torch.Generator().manual_seed(4)).double(), torch.tensor([3, 0, 5, 1, 2, 4])
    whole = fusion(photo, sketch, affinity(v, 1.0))
    torch.testing.assert_close(fusion(photo[order], sketch[order], affinity(v[order], 1.0)), whole[order])


@pytest.fixture
def method() -> ZSIH:
    return frozen.make("ZSIH", torch.eye(4), width=4, hidden=8, bandwidth=0).eval()


def a_batch(n: int = 3) -> Batch:
    images = torch.randn(2 * n, 3, 32, 32, generator=torch.Generator().manual_seed(5))
    domain = torch.tensor([0.0] * n + [1.0] * n)
    return Batch(images, torch.zeros(2 * n, dtype=torch.int64), domain, n, [""] * 2 * n)


def test_balanced_logits_are_those_of_a_batch_norm() -> None:
    logits = torch.randn(7, 5, generator=torch.Generator().manual_seed(6)) * 3 + 1
    want = torch.nn.functional.batch_norm(logits, None, None, training=True)
    torch.testing.assert_close(zsih.balanced(logits), want)
    assert not zsih.balanced(logits[:1]).any()  # a single pair has no other to balance it


def test_the_terms_vanish_where_they_should(method: ZSIH, monkeypatch: pytest.MonkeyPatch) -> None:
    """Encoders and fusion saturated to one code: f = g = b; a decoder that knows the vector: no error."""
    monkeypatch.setattr(zsih, "balanced", lambda logits: logits)  # else no bit is the same in all pairs
    with torch.no_grad():
        for layer in (method.student.feature, method.fusion.second):
            layer.weight.zero_()
            layer.bias.copy_(torch.tensor([200.0, -200.0]).repeat(8))
        method.decoder.weight.zero_()
        method.decoder.bias.copy_(method.vectors[0])
    losses = method.losses(a_batch())
    assert losses["loss_encoders"].item() == 0 and losses["loss_decoder"].item() == 0
    assert abs(losses["loss_log_q"].item()) < 1e-6 and abs(losses["loss"].item()) < 1e-6


def test_the_decoder_errs_by_four_on_opposite_unit_vectors(method: ZSIH) -> None:
    with torch.no_grad():
        method.decoder.weight.zero_()
        method.decoder.bias.copy_(-method.vectors[0])
    assert method.losses(a_batch())["loss_decoder"].item() == pytest.approx(4)


def test_every_network_gets_a_gradient_and_search_needs_the_encoders_alone(method: ZSIH) -> None:
    method.losses(a_batch())["loss"].backward()
    for network in (method.student.feature, method.student.backbone, method.fusion, method.decoder):
        assert sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None) > 0
    images = a_batch().images
    with torch.no_grad():
        x = method.embed(images, 1)
        method.fusion.first.weight.fill_(torch.nan)
        assert torch.equal(method.embed(images, 1), x) and x.abs().max() < 1
        f = method.student.embed(images, 1).sigmoid()
    assert torch.equal(method.code(x, 1), (f > 0.5).byte()) and method.embed(images[:0], 0).shape == (0, 16)


def test_the_width_of_the_affinity_is_the_mean_squared_distance(method: ZSIH) -> None:
    assert float(method.t) == pytest.approx(2)  # of orthogonal unit vectors


def test_the_encoders_begin_unsaturated_and_with_codes_that_tell_classes(method: ZSIH) -> None:
    """Features that say the class: fusion and decoder lose a third of their error before the encoders start."""
    y = torch.arange(40) % 4
    f = torch.zeros(40, method.backbone.num_features).index_put_((torch.arange(40), y), torch.tensor(30.0))
    with torch.no_grad(), seeded(0):
        before = float(method._fused(torch.cat([f, f]), method.vectors[y])[1]["decoder"])
    method.begin(lambda: Features(f, y, f, y))
    with torch.no_grad(), seeded(0):
        after = float(method._fused(torch.cat([f, f]), method.vectors[y])[1]["decoder"])
    variance, mean = torch.var_mean(method.student.feature(torch.cat([f, f])), dim=0)
    torch.testing.assert_close((variance, mean), (torch.ones(16), torch.zeros(16)), atol=1e-3, rtol=0)
    assert before == pytest.approx(1, abs=0.2) and after < before * 2 / 3
