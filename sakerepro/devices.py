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
    known = ["cpu", *(["cuda", *cuda] if cuda else []), *(["mps"] if torch.backends.mps.is_available() else [])]
    if name and name not in known:
        raise ConfigError(f"{VARIABLE} = {name!r} is not there. {near_misses(name, known)}")
    where = torch.device(name or ("cuda" if cuda else "cpu"))
    if where.type == "cuda":  # convolutions in float32 keep all its bits, and add in the same order each time
        torch.backends.cudnn.allow_tf32, torch.backends.cudnn.deterministic = False, True
    return where


def accelerated() -> bool:
    """Whether batches are made on the device and losses are read only now and then. Tests replace it on a CPU."""
    return device().type != "cpu"


def accelerator() -> str | None:
    """Name of the accelerator, for records; None on the CPU."""
    where = device()
    if where.type == "cpu":
        return None
    return torch.cuda.get_device_name(where) if where.type == "cuda" else where.type


@lru_cache
def bfloat16_units() -> bool:
    """Whether the CPU computes in bfloat16 itself and PyTorch lets it; else it emulates bfloat16, many times slower."""
    used = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)  # true of emulation with AVX-512, too
    try:
        has = get_host_cpu_features()
    except RuntimeError:  # a processor that LLVM does not know
        return False
    return used() and any(has.get(name) for name in ("avx512bf16", "amx-bf16", "bf16"))


def free_memory() -> int:
    """Free memory of the accelerator, in bytes, including what PyTorch holds in reserve."""
    where = device()
    if where.type == "cuda":
        held = torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where)
        return torch.cuda.mem_get_info(where)[0] + held
    return torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory()


def peak_memory() -> int:
    """The most memory that tensors took on a CUDA device, in bytes; 0 elsewhere."""
    where = device()
    return torch.cuda.max_memory_allocated(where) if where.type == "cuda" else 0


def wait() -> None:
    """Wait until the device has finished its work."""
    where = device()
    if where.type == "cuda":
        torch.cuda.synchronize(where)
    elif where.type == "mps":
        torch.mps.synchronize()


def at_once(size: int) -> int:
    """How many images of ``size`` pixels a network computes at once without a gradient; at least 16.

    On a CPU, a quarter of a million pixels: the activations of more pixels outgrow the cache, which takes up to twice
    as long. Below 16 images libraries compute in another way, which rounds differently.
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
