"""Training in bfloat16 and compiled against float32."""

from __future__ import annotations

import copy

import torch
from torch import nn

from sakerepro.training import strided_depthwise_in_float32


def depthwise() -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(24, 24, 3, stride=2, padding=1, groups=24, bias=False)


def test_a_strided_depthwise_convolution_is_exact_under_autocast_on_a_cpu() -> None:
    plain, wrapped = depthwise(), depthwise()
    strided_depthwise_in_float32(wrapped)
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
    strided_depthwise_in_float32(conv)
    copied = copy.deepcopy(conv)
    with torch.no_grad():
        copied.weight.zero_()
    x = torch.randn(2, 24, 9, 9)
    assert copied(x).abs().max() == 0
    assert torch.equal(conv(x), depthwise()(x))


def test_other_convolutions_are_left_to_autocast() -> None:
    for conv in (nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2, groups=2)):
        strided_depthwise_in_float32(conv)
        assert "forward" not in vars(conv)
