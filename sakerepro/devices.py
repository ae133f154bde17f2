"""Where networks run: the CPU, or an accelerator, on which images stay and are augmented."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import lru_cache

import torch
from llvmlite.binding import get_host_cpu_features
from torch import Tensor

from .errors import ConfigError, near_misses

VARIABLE = "SAKEREPRO_DEVICE"


def device() -> torch.device:
    """The device that ``SAKEREPRO_DEVICE`` names (cpu, cuda, cuda:1, mps); without it CUDA's first, or the CPU.

    Raises:
        ConfigError: if that device is not there.
    """
    return _device(os.environ.get(VARIABLE, ""))


@lru_cache
def _device(name: str) -> torch.device:
    cuda = [f"cuda:{i}" for i in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    names = ["cpu", *(["cuda", *cuda] if cuda else []), *(["mps"] if torch.backends.mps.is_available() else [])]
    if name and name not in names:
        raise ConfigError(f"{VARIABLE} = {name!r} is not there. {near_misses(name, names)}")
    chosen = torch.device(name or ("cuda" if cuda else "cpu"))
    if chosen.type == "cuda":  # convolutions in float32 keep all its bits, and add in the same order each time
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    return chosen


def accelerated() -> bool:
    """Whether batches are made on the device and losses are read only now and then. Tests replace it on a CPU."""
    return device().type != "cpu"


def accelerator() -> str | None:
    """Name of the accelerator, for records; None on the CPU."""
    current = device()
    if current.type == "cpu":
        return None
    return torch.cuda.get_device_name(current) if current.type == "cuda" else current.type


@lru_cache
def bfloat16_units() -> bool:
    """Whether PyTorch uses the CPU's own units for bfloat16; without them it emulates bfloat16, many times slower."""
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)  # also true if emulated (AVX-512)
    try:
        features = get_host_cpu_features()
    except RuntimeError:  # a processor that LLVM does not know
        return False
    return supported() and any(features.get(name) for name in ("avx512bf16", "amx-bf16", "bf16"))


def free_memory() -> int:
    """Free memory of the accelerator, in bytes, including what PyTorch holds in reserve."""
    current = device()
    if current.type == "cuda":
        reserved = torch.cuda.memory_reserved(current) - torch.cuda.memory_allocated(current)
        return torch.cuda.mem_get_info(current)[0] + reserved
    return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()


def peak_memory() -> int:
    """The most memory that tensors took on a CUDA device, in bytes; 0 elsewhere."""
    current = device()
    return torch.cuda.max_memory_allocated(current) if current.type == "cuda" else 0


def wait() -> None:
    """Wait until the device has finished its work."""
    current = device()
    if current.type == "cuda":
        torch.cuda.synchronize(current)
    elif current.type == "mps":
        torch.mps.synchronize()


def at_once(size: int) -> int:
    """How many images of ``size`` pixels a network computes at once without a gradient; at least 16.

    On a CPU, a quarter of a million pixels: the activations of more pixels outgrow the cache, and take up to twice as
    long. Below 16 images libraries compute in another way, which rounds differently.
    """
    return 256 if accelerated() else max(16, (1 << 18) // size**2)


def send(tensor: Tensor, where: torch.device | None = None) -> Tensor:
    """The tensor on the device, by way of pinned memory: a copy from other memory waits until the device is idle.

    MPS pins nothing, and could read memory that is already given to something else.
    """
    where = where or device()
    if where.type == "cuda" and tensor.device.type == "cpu":
        tensor = tensor.pin_memory()
    return tensor.to(where, non_blocking=where.type not in ("cpu", "mps"))


def seed(number: int) -> None:
    """Like ``torch.manual_seed``, without the stack trace it stores for every lazily initialised accelerator."""
    torch.default_generator.manual_seed(number)
    if device().type == "cuda":
        torch.cuda.manual_seed_all(number)
    elif device().type == "mps":
        torch.mps.manual_seed(number)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let PyTorch draw from this seed, on the CPU, within the block; then restore the state of its generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
