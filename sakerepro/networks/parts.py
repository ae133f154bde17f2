"""A training batch in parts that fit the cache, computed side by side on all cores of a CPU.

Parts, and the order in which their gradients are added, do not depend on the number of cores: it changes no bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

from ..threads import side_by_side

RATES = ("p", "drop_prob", "drop_rate", "dropout", "prob")  # attributes of dropout layers in PyTorch and timm


def in_parts(call: Callable[..., Tensor], layers: Sequence[nn.Module], size: int, *tensors: Tensor) -> Tensor:
    """``call(*tensors)``, which runs the layers on each image alone, by parts of at least ``size`` images.

    The batch stays whole if it has fewer than ``2 * size`` images, if a layer reads or draws for the batch as a whole
    (batch norm, dropout and the like in train mode) or has hooks, and if the tensors themselves need a gradient.
    """
    if not size or (count := len(tensors[0]) // size) < 2:
        return call(*tensors)
    gradients = torch.is_grad_enabled()
    input_gradients = gradients and any(tensor.requires_grad for tensor in tensors)
    if input_gradients or any(_whole(module) for layer in layers for module in layer.modules()):
        return call(*tensors)
    parts = [tensor.tensor_split(count) for tensor in tensors]
    trained = dict.fromkeys(p for layer in layers for p in layer.parameters() if p.requires_grad)
    if trained and gradients:
        return _Parts.apply(call, parts, *trained)
    return torch.cat([*side_by_side(call, *parts)])


def _whole(module: nn.Module) -> bool:
    """Whether a module needs the whole batch: for batch norm, dropout, hooks, or timm's gradient checkpointing."""
    rates = [getattr(module, name, None) for name in RATES] if module.training else []
    return (
        (module.training and isinstance(module, _BatchNorm))
        or any(isinstance(rate, float) and rate > 0 for rate in rates)
        or bool(module._forward_hooks or module._forward_pre_hooks or getattr(module, "grad_checkpointing", False))
    )


class _Parts(torch.autograd.Function):
    """The parts, each with a graph of its own, so that threads can go back through them."""

    @staticmethod
    def forward(ctx: Any, call: Callable[..., Tensor], parts: list[Sequence[Tensor]], *trained: Tensor) -> Tensor:
        with torch.enable_grad():
            ctx.out = [*side_by_side(call, *parts)]
        ctx.trained = trained
        return torch.cat([out.detach() for out in ctx.out])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Any, ...]:
        def gradients_of(out: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
            # the caller may go back through the whole graph twice; the graph of a part goes when the loss goes
            return torch.autograd.grad(out, ctx.trained, gradient, retain_graph=True, allow_unused=True)

        gradients = side_by_side(gradients_of, ctx.out, gradient.tensor_split(len(ctx.out)))
        return None, None, *reduce(_add, gradients)


def _add(a: tuple[Tensor | None, ...], b: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    """Sums of gradients; the gradient of an unused parameter is None."""
    return tuple(x if y is None else y if x is None else x + y for x, y in zip(a, b, strict=True))
