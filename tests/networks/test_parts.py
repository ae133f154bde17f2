"""A training batch in parts, against the same batch as a whole."""

from __future__ import annotations

import copy
import os
import pickle
import signal
import threading

import numpy as np
import pytest
import tiny
import torch
from test_training import sake
from timm.layers import DropPath
from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from sakerepro import threads
from sakerepro.data.batching import batch_maker
from sakerepro.model import Student, build_student, freeze_batch_norm
from sakerepro.networks.architectures import teacher_architecture
from sakerepro.networks.parts import in_parts
from sakerepro.results.cost import Side
from sakerepro.threads import cores, one_thread, side_by_side

X = torch.randn(11, 3, 40, 40, generator=torch.Generator().manual_seed(0))
DOMAIN = torch.tensor([0.0] * 5 + [1.0] * 6)  # the border of photos and sketches lies within a part


def student(name: str, freeze: int = 0) -> Student:
    teacher = tiny.classifier(teacher_architecture(name), 9, size=40)
    network = build_student(name, dim=8, num_seen=4, teacher=teacher, freeze=freeze)
    with torch.no_grad():
        for parameter in network.parameters():  # gates that read the domain, heads that are not zero
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    freeze_batch_norm(network.train())
    return network


def step(network: Student, part: int, kind: torch.dtype = torch.float32) -> list[Tensor | None]:
    """Logits and gradients of a training step."""
    network.to(kind).backbone.part = part
    network.zero_grad()
    with one_thread():
        logits = [*network(X.to(kind), DOMAIN.to(kind))]
        sum(x.square().mean() for x in logits).backward()
    return [*(x.detach() for x in logits), *(p.grad for p in network.parameters())]


@pytest.mark.parametrize(
    ("name", "freeze"), [("cse_resnet_mini", 0), ("cse_efficientnet_lite0", 2), ("cse_vit_tiny_patch16_224", 1)]
)
def test_parts_have_the_gradient_of_the_whole_and_the_same_bits_on_any_number_of_cores(name, freeze, with_cores):
    network, steps = student(name, freeze), []
    for number in (1, 2, 5):
        with_cores(number)
        steps.append(step(network, 3))
    for other in steps[1:]:
        assert all(a is b or torch.equal(a, b) for a, b in zip(steps[0], other, strict=True))
    whole, parts = (step(network, part, torch.float64) for part in (0, 3))
    for want, got in zip(whole, parts, strict=True):
        assert (want is None) == (got is None)
        if want is not None:
            torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "layer", [nn.BatchNorm1d(2), nn.Dropout(0.5), DropPath(0.1), StochasticDepth(0.1, "row")], ids=repr
)
def test_layers_of_a_whole_batch_get_it_whole(layer: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Sequential(nn.Linear(2, 2), layer)
    for mode, calls in ((True, [8]), (False, [2, 2, 2, 2])):
        assert sizes(network.train(mode), torch.randn(8, 2), monkeypatch) == calls


def sizes(layer: nn.Module, x: Tensor, monkeypatch: pytest.MonkeyPatch, part: int = 2) -> list[int]:
    """How many images each call of a layer gets when the batch may be divided into parts, in ascending order."""
    seen, forward = list[int](), layer.forward

    def noted(x: Tensor) -> Tensor:
        seen.append(len(x))
        return forward(x)

    monkeypatch.setattr(layer, "forward", noted)
    in_parts(layer, [layer], part, x).sum().backward()
    return sorted(seen)


@pytest.mark.parametrize(("part", "calls"), [(0, [11]), (3, [3, 4, 4]), (5, [5, 6]), (6, [11])])
def test_a_part_has_at_least_its_size(part: int, calls: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert sizes(nn.Linear(2, 2), torch.randn(11, 2), monkeypatch, part) == calls


@pytest.mark.parametrize("name", ["cse_efficientnet_lite0", "cse_vit_tiny_patch16_224", "cse_resnet18"])
def test_a_network_with_frozen_batch_norm_is_divided(name: str, monkeypatch, with_cores) -> None:
    with_cores(1)
    network = student(name)
    network.backbone.code.value = DOMAIN[:2]
    assert sizes(network.backbone.body, X[:4], monkeypatch) == [2, 2]


def test_a_gradient_of_the_images_or_a_hook_needs_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, x = nn.Linear(2, 2), torch.randn(8, 2)
    assert sizes(layer, x, monkeypatch) == [2] * 4
    assert sizes(layer, x.requires_grad_(), monkeypatch) == [8] and x.grad is not None
    layer.register_forward_hook(lambda *_: None)
    assert sizes(layer, x.detach(), monkeypatch) == [8]


def test_a_layer_that_only_some_parts_use_gets_its_gradient() -> None:
    layer, rare = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [-1.0, 2.0], [-3.0, 1.0]])

    def call(x: Tensor) -> Tensor:
        return layer(x) + rare(x) if x[0, 0] < 0 else layer(x)

    in_parts(call, [layer, rare], 2, x).sum().backward()
    torch.testing.assert_close(rare.weight.grad, x[2:].sum(0).expand(2, 2))
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(2, 2))


def test_a_second_loss_goes_back_through_the_same_parts() -> None:
    layer, x = nn.Linear(2, 2), torch.randn(8, 2)
    out = in_parts(layer, [layer], 2, x)
    first, second = (torch.autograd.grad(out[:, i].sum(), layer.weight, retain_graph=True)[0] for i in (0, 1))
    torch.testing.assert_close(first + second, x.sum(0).expand(2, 2))


def test_one_weight_of_two_layers_gets_one_gradient() -> None:
    layer, unused = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.randn(8, 2)
    in_parts(lambda x: layer(layer(x)), [nn.Sequential(layer, unused), layer], 2, x).sum().backward()
    got, layer.weight.grad = layer.weight.grad, None
    layer(layer(x)).sum().backward()
    torch.testing.assert_close(got, layer.weight.grad)
    assert unused.weight.grad is None


@pytest.mark.parametrize("first_outside", [True, False])
def test_threads_compute_on_one_thread_each_as_their_caller_does(first_outside: bool, with_cores) -> None:
    threads._pool.cache_clear()
    with_cores(3)

    def seen(number: int) -> tuple[object, ...]:
        half = (x := torch.ones(2, 2)) @ x
        inner = [*side_by_side(lambda i: threading.get_ident(), range(4))]  # does not wait for itself
        assert set(inner) == {threading.get_ident()}
        return number, torch.get_num_threads(), cores(), torch.is_grad_enabled(), half.dtype, threading.get_ident()

    if first_outside:
        list(side_by_side(seen, range(9)))
    with one_thread(), torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        assert cores() == 3
        results = [*side_by_side(seen, range(50))]
    assert [of[0] for of in results] == [*range(50)]
    assert {of[1:5] for of in results} == {(1, 1, False, torch.bfloat16)}
    assert threading.get_ident() not in {of[5] for of in results}
    assert torch.get_num_threads() == cores() == 3


def test_what_a_thread_raises_is_raised(with_cores) -> None:
    with_cores(2)
    with pytest.raises(ZeroDivisionError), one_thread():
        list(side_by_side(lambda x: 1 // x, [1, 0, 2]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork with threads is what is tested
def test_a_forked_process_has_threads_of_its_own(with_cores) -> None:
    with_cores(2)
    assert [*side_by_side(abs, [-1, 2])] == [1, 2]
    if not (child := os.fork()):
        signal.alarm(30)  # ends it if it hangs
        os._exit(0 if [*side_by_side(abs, [-3, 4])] == [3, 4] else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_gated_network_can_be_pickled_and_copied() -> None:
    network = student("cse_resnet_mini").eval()
    want = network.embed(X, DOMAIN)
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert torch.equal(other.embed(X, DOMAIN), want)


@pytest.mark.parametrize("number", [1, 2])
def test_the_memory_of_a_step_does_not_depend_on_cores_or_parts(number: int, tiny_data, with_cores) -> None:
    method, _ = sake(batch_norm="frozen")
    make = batch_maker((tiny_data.train_photo, tiny_data.train_sketch), tiny.SIDE, "centred", method.backbone)
    batch = make((np.arange(8), np.arange(8)), np.random.default_rng(0))
    side, memory = Side(method.train(), batch, method.optimisers()), []
    with_cores(number)
    with one_thread():
        for part in (0, 4):
            method.backbone.part = part
            memory.append(side.memory())
    assert memory[0] == memory[1] > 0 and method.backbone.part == 4
