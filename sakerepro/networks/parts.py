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


def in_parts(call: Callable[..., Tensor], layers: Sequence[nn.Module], size: int, *tensors: Tensor) -> Tensor:
    """``call(*tensors)``, which runs the layers on each image alone, by parts of at least ``size`` images.

    Gradients reach the parameters of the layers, not the tensors. Layers that read or draw for the batch as a whole
    (batch norm, dropout and the like in train mode) get it as a whole, and so do fewer than ``2 * size`` images.
    """
    if not size or (count := len(tensors[0]) // size) < 2:
        return call(*tensors)
    modules = [module for layer in layers for module in layer.modules()]
    if any(map(_of_batch, modules)):
        return call(*tensors)
    parts = [tensor.tensor_split(count) for tensor in tensors]
    trained = dict.fromkeys(p for module in modules for p in module.parameters(recurse=False) if p.requires_grad)
    if trained and torch.is_grad_enabled():
        return _Parts.apply(call, parts, *trained)
    return torch.cat([*side_by_side(call, *parts)])


def _of_batch(module: nn.Module) -> bool:
    """Whether a module reads or draws for the batch as a whole: batch norm, or a positive rate of dropout."""
    rates = [getattr(module, name, None) for name in ("p", "drop_prob", "drop_rate")]  # PyTorch's and timm's names
    return module.training and (isinstance(module, _BatchNorm) or any(isinstance(x, float) and x > 0 for x in rates))


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
        def of_part(out: Tensor, gradient: Tensor) -> tuple[Tensor | None, ...]:
            return torch.autograd.grad(out, ctx.trained, gradient, allow_unused=True)

        of_parts = [*side_by_side(of_part, ctx.out, gradient.tensor_split(len(ctx.out)))]
        sums = (None if of[0] is None else reduce(torch.add, of) for of in zip(*of_parts, strict=True))
        return None, None, *sums
