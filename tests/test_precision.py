"""Training in bfloat16 and compiled against float32: no further off than another seed is."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import partialmethod
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from test_training import sake, train
from torch import nn

from sakerepro.data.dataset import Dataset
from sakerepro.embedding import embed
from sakerepro.metrics import retrieval_metrics
from sakerepro.training import slow_depthwise_in_float32

SEEDS = (0, 1, 2, 3, 4)


def depthwise(kernel: int = 3, stride: int = 2) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(24, 24, kernel, stride=stride, padding=1, groups=24, bias=False)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 1), (5, 2)])
def test_a_slow_depthwise_convolution_is_exact_under_autocast_on_a_cpu(kernel: int, stride: int) -> None:
    plain, wrapped = depthwise(kernel, stride), depthwise(kernel, stride)
    slow_depthwise_in_float32(wrapped)
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


def test_a_deep_copy_convolves_with_its_own_weight() -> None:
    conv = depthwise()
    slow_depthwise_in_float32(conv)
    copied = copy.deepcopy(conv)
    with torch.no_grad():
        copied.weight.zero_()
    x = torch.randn(2, 24, 9, 9)
    assert copied(x).abs().max() == 0
    assert torch.equal(conv(x), depthwise()(x))


@torch.no_grad()
def test_without_a_gradient_autocast_decides() -> None:
    plain, wrapped = depthwise(), depthwise()
    slow_depthwise_in_float32(wrapped)
    x = torch.randn(2, 24, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(wrapped(x), plain(x))


def test_other_convolutions_are_left_to_autocast() -> None:
    for conv in (nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2, groups=2)):
        slow_depthwise_in_float32(conv)
        assert "forward" not in vars(conv)


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
def test_compiled_training_is_plain_training(tiny_data, tmp_path, monkeypatch):
    """By all of torch.compile but its C++ compiler, which takes half a minute of a core."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr(nn.Module, "compile", partialmethod(nn.Module.compile, backend="aot_eager"))
    data = replace(tiny_data, val_sketch=tiny_data.val_sketch.select(np.arange(0)))  # each new shape compiles anew
    counters.clear()
    weights, losses = [], []
    for compiled in (False, True):
        assert not counters["stats"]["unique_graphs"]
        method, _ = sake(compile=compiled)
        losses.append([row["loss"] for row in train(method, data, tmp_path / str(compiled))])
        weights.append(np.concatenate([p.detach().numpy().ravel() for p in method.parameters()]))
    assert counters["stats"]["unique_graphs"] >= 2  # the student's and the teacher's
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and distance(*weights) < 1e-4
