"""Training in bfloat16 and compiled training differ from float32 by less than another seed does."""

from __future__ import annotations

import copy
import platform
from dataclasses import replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from test_training import sake, train
from torch import nn

from sakerepro import devices
from sakerepro.data.dataset import Dataset
from sakerepro.embedding import embed
from sakerepro.metrics import retrieval_metrics
from sakerepro.training import float32_where_faster

SEEDS = (0, 1, 2, 3, 4)


@pytest.fixture(params=[True, False], ids=["units", "emulated"])
def units(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the CPU has units for bfloat16, as far as training knows."""
    monkeypatch.setattr(devices, "bfloat16_units", lambda: request.param)
    return request.param


def convolution(kernel: int = 3, stride: int = 2, groups: int = 24) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(24, 24, kernel, stride=stride, padding=1, groups=groups, bias=False)


@pytest.mark.parametrize(("kernel", "stride", "groups"), [(3, 2, 24), (5, 1, 24), (5, 2, 24), (1, 1, 1), (3, 1, 24)])
def test_a_slow_convolution_is_exact_under_autocast_on_a_cpu(kernel, stride, groups, units):
    plain, wrapped = (convolution(kernel, stride, groups) for _ in range(2))
    float32_where_faster(wrapped)
    if units and kernel * stride in (1, 3):  # fast in bfloat16: left to autocast
        assert "forward" not in vars(wrapped)
        return
    # values that bfloat16 holds exactly, so that what remains is the precision of the convolution itself
    x = torch.randn(3, 24, 9, 9).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = wrapped(x)
    y.float().square().sum().backward()
    exact = plain(x.float())
    exact.bfloat16().float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, exact.bfloat16())
    torch.testing.assert_close(wrapped.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-4)


def test_a_deep_copy_convolves_with_its_own_weight(units: bool) -> None:
    conv = convolution()
    float32_where_faster(conv)
    copied = copy.deepcopy(conv)
    with torch.no_grad():
        copied.weight.zero_()
    x = torch.randn(2, 24, 9, 9)
    assert copied(x).abs().max() == 0
    assert torch.equal(conv(x), convolution()(x))


@torch.no_grad()
def test_without_a_gradient_only_emulation_is_avoided(units: bool) -> None:
    plain, wrapped = convolution(), convolution()
    float32_where_faster(wrapped)
    x = torch.randn(2, 24, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        y, by_autocast = wrapped(x), plain(x)
    assert y.dtype == torch.bfloat16 and torch.equal(y, by_autocast if units else plain(x).bfloat16())


def test_linear_layers_compute_in_float32_where_bfloat16_is_emulated(units: bool) -> None:
    layer, x = nn.Linear(24, 8), torch.randn(5, 24)
    exact = layer(x)
    float32_where_faster(layer)
    assert torch.equal(layer(x), exact)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16 and torch.equal(y, exact.bfloat16()) != units


def test_a_layer_with_more_arguments_or_another_precision_stays_as_it_is(units: bool) -> None:
    class Margin(nn.Linear):
        def forward(self, input: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return super().forward(input) - labels

    double = nn.Sequential(Margin(4, 2), nn.Linear(4, 2).double())
    float32_where_faster(double)
    with torch.autocast("cpu", torch.bfloat16):
        assert double[0](torch.ones(3, 4), torch.ones(3, 1)).shape == (3, 2)
        assert double[1](input=torch.ones(3, 4).double()).dtype == torch.float64


def test_other_convolutions_are_left_to_autocast(units: bool) -> None:
    for conv in (nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2, groups=2)):
        float32_where_faster(conv)
        assert ("forward" not in vars(conv)) == units


def test_units_are_what_the_processor_says() -> None:
    cpuinfo = Path("/proc/cpuinfo")
    if not cpuinfo.is_file() or platform.machine() != "x86_64":
        pytest.skip("needs the flags of an x86 processor on Linux")
    flags = set(cpuinfo.read_text().partition("flags")[2].partition("\n")[0].split())
    assert devices.bfloat16_units() == bool(flags & {"avx512_bf16", "amx_bf16"})


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def test_bfloat16_is_nearer_to_float32_than_one_seed_to_another(tiny_data: Dataset, tmp_path: Path) -> None:
    def trained(**settings: Any) -> tuple[np.ndarray, dict[str, float]]:
        """Features of query and gallery; mAP and the last losses."""
        method, _ = sake(select="last", **settings)  # the best epoch by four sketches can turn for one rounding
        history = train(method, tiny_data, tmp_path / method.e.id)
        query, gallery = (embed(method, images, tiny.SIDE) for images in (tiny_data.query, tiny_data.gallery))
        measured = retrieval_metrics(query, gallery, tiny_data.query.labels, tiny_data.gallery.labels)
        losses = {name: value for name, value in history[-1].items() if name.startswith("loss")}
        return np.concatenate([query, gallery]), {"mAP@all": measured.map_all, **losses}

    plain, half = ([trained(seed=s, precision=p) for s in SEEDS] for p in ("float32", "bfloat16"))
    between_seeds = [distance(a[0], b[0]) for a, b in combinations(plain, 2)]
    off = [distance(a[0], b[0]) for a, b in zip(half, plain, strict=True)]
    assert 0 < max(off) < min(between_seeds)  # 0 would be float32 under another name
    for name in plain[0][1]:
        want, got = (np.array([values[name] for _, values in runs]) for runs in (plain, half))
        apart = abs(np.mean(got - want)) if name == "mAP@all" else np.abs(got - want).max()
        assert apart <= np.ptp(want), name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch.compile itself imports
@pytest.mark.parametrize("freeze", [0, 2])
def test_compiled_training_is_plain_training(freeze, tiny_data, tmp_path, monkeypatch):
    """With torch.compile's backend aot_eager: the C++ compiler would take half a minute."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    data = replace(tiny_data, val_sketch=tiny_data.val_sketch.select(np.arange(0)))  # each new shape compiles anew
    counters.clear()
    weights, losses = [], []
    for compiled in (False, True):
        assert not counters["stats"]["unique_graphs"]
        method, _ = sake(compile=compiled, freeze=freeze)
        losses.append([row["loss"] for row in train(method, data, tmp_path / str(compiled))])
        weights.append(np.concatenate([p.detach().numpy().ravel() for p in method.parameters()]))
    assert (
        2 <= counters["stats"]["unique_graphs"] <= 5
    )  # of student and teacher, and of frozen stages; not of each layer
    assert not counters["unimplemented"]  # no limit was reached
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and distance(*weights) < 1e-4
