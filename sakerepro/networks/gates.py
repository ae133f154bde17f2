"""Layers that read the domain: conditional SE gates (section 3.3), and tokens in vision transformers."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn


class DomainCode(threading.local):
    """The domain of a batch, set by a backbone for its gates in each thread: (N,) floats, 0 photo, 1 sketch."""

    value: Tensor

    def __reduce__(self) -> tuple[type[DomainCode], tuple[()]]:
        return DomainCode, ()  # a copy starts empty


class ConditionalSE(nn.Module):
    """Squeeze and excitation that also reads the domain (CSE; section 3.3, and EMS [22]).

    ``x * scale * sigmoid(fc2([relu(fc1(mean(x))), domain]))`` for x of shape (N, C, H, W).
    """

    def __init__(self, channels: int, hidden: int, code: DomainCode, scale: float = 1.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden + 1, channels)
        self.code, self.scale = code, scale

    @classmethod
    def from_se(cls, se: Any, code: DomainCode) -> ConditionalSE:
        """The gate of a pretrained SE module: 1x1 convolutions become linear, the domain's column starts at zero."""
        fc1, fc2 = se.fc1, se.fc2
        gate = cls(fc1.in_channels, fc1.out_channels, code)
        with torch.no_grad():
            gate.fc1.weight.copy_(fc1.weight.flatten(1))
            gate.fc1.bias.copy_(fc1.bias)
            gate.fc2.weight.copy_(nn.functional.pad(fc2.weight.flatten(1), (0, 1)))
            gate.fc2.bias.copy_(fc2.bias)
        return gate

    @classmethod
    def identity(cls, channels: int, code: DomainCode) -> ConditionalSE:
        """A gate for a network that had none: ``2 * sigmoid(0) = 1`` at the start, so nothing changes yet."""
        gate = cls(channels, max(8, channels // 16), code, scale=2.0)
        nn.init.zeros_(gate.fc2.weight)
        nn.init.zeros_(gate.fc2.bias)
        return gate

    def forward(self, x: Tensor) -> Tensor:
        squeezed = torch.relu(self.fc1(x.mean((2, 3))))
        domain = self.code.value[:, None].to(squeezed.dtype)
        gate = self.scale * torch.sigmoid(self.fc2(torch.cat([squeezed, domain], dim=1)))
        return x * gate[:, :, None, None].to(x.dtype)


class DomainToken(nn.Module):
    """The counterpart of a gate in a vision transformer: one learned token, added to every token of a sketch.

    ``x + domain * token`` for x of shape (N, ..., C), in front of a block's attention. The token is zero at the start,
    so nothing changes yet. One more token beside the class token would take attention from the others at once.
    """

    def __init__(self, width: int, code: DomainCode) -> None:
        super().__init__()
        self.token, self.code = nn.Parameter(torch.zeros(width)), code

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.code.value.view(-1, *[1] * (x.ndim - 1)) * self.token).to(x.dtype)


def add_gates(network: nn.Module, code: DomainCode) -> int:
    """Put a gate that reads ``code`` into every block of a network, in place; return how many.

    SE modules without a batch norm become gates. In a network that has none, a gate follows the last batch norm of
    every residual block, before the addition; in a transformer, a token follows the first layer norm of every block.
    The output of the network does not change.
    """
    return _convert_se(network, code) or _insert_gates(network, code)


def _convert_se(network: nn.Module, code: DomainCode) -> int:
    from timm.layers.squeeze_excite import SEModule
    from timm.models.senet import SEModule as LegacySEModule

    identity = nn.Identity()  # a gate has no place for a batch norm between the layers of an SE module
    modules = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, (SEModule, LegacySEModule)) and isinstance(getattr(child, "bn", identity), nn.Identity)
    ]
    for parent, name, child in modules:
        setattr(parent, name, ConditionalSE.from_se(child, code))
    return len(modules)


def _insert_gates(network: nn.Module, code: DomainCode) -> int:
    from timm.models.eva import EvaBlock
    from timm.models.vision_transformer import Block

    count = 0
    for block in list(network.modules()):
        transformer = isinstance(block, (Block, EvaBlock))
        cnn = "bn3" if hasattr(block, "bn3") else "bn2" if type(block).__name__ == "BasicBlock" else ""
        if name := "norm1" if transformer else cnn:
            norm = getattr(block, name)
            make: Any = DomainToken if transformer else ConditionalSE.identity
            setattr(block, name, nn.Sequential(norm, make(norm.weight.numel(), code)))
            count += 1
    return count
