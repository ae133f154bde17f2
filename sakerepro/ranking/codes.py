"""Binary codes as packed bits: eight signs a byte, compared by the number of bits that differ."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import inputs
from ..errors import ConfigError

if TYPE_CHECKING:
    from ..inputs import Array


def pack(bits: Array) -> np.ndarray:
    """(N, b) signs or booleans to (N, b / 8) uint8; a value above 0 is 1. The first bit is the highest of its byte.

    Raises:
        ConfigError: if b is not a multiple of 8.
    """
    x = inputs.matrix(bits, "bits")
    whole_bytes(x.shape[1])
    return np.packbits(x > 0, axis=1)


def whole_bytes(bits: int) -> None:
    """Raise a ConfigError if codes of this length do not fill whole bytes."""
    if bits < 8 or bits % 8:
        raise ConfigError(f"bits={bits} does not fill whole bytes. Use a multiple of 8, such as 32, 64 or 128.")
