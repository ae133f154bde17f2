"""The origin of a number: code, versions, machine, time."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from . import inputs, paths
from .experiment import PRECISION, PRESETS, stand_ins
from .threads import cores
from .versions import MEASURING, TRAINING

PACKAGES = ("torch", "torchvision", "timm", "numpy", "numba", "scipy", "scikit-learn", "pillow", "safetensors")


def _git(*arguments: str) -> str:
    try:
        result = subprocess.run(
            ["git", "-C", str(paths.root()), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return result.stdout.strip() if result.returncode == 0 else ""


def commit() -> tuple[str, bool]:
    """The commit of the checkout ("" outside one), and whether the package differs from it."""
    return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--", "sakerepro", "pyproject.toml"))


def versions() -> dict[str, int]:
    """The versions of the code behind numbers, see ``versions.py``."""
    return {"training": TRAINING, "measuring": MEASURING}


def memory_gib() -> float:
    """The largest main memory of this process so far, in GiB."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)


def processor() -> str:
    """Name of the CPU, with family and model if known, and the instructions that PyTorch uses.

    The name of a virtual CPU says little, and it may hide instructions of its model, which changes rounding.
    """
    import torch

    try:
        first_core = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        first_core = ""
    cpu = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first_core.splitlines())}
    name = cpu.get("model name") or platform.processor() or platform.machine()
    model = [f"{part} {cpu[key]}" for part, key in (("family", "cpu family"), ("model", "model")) if key in cpu]
    return f"{name} ({', '.join([*model, torch.backends.cpu.get_cpu_capability()])})"


def provenance(**fields: Any) -> dict[str, Any]:
    """Versions, commit and hardware, with further fields of the caller, such as seconds, inputs and command."""
    from .devices import accelerator, peak_memory

    sha, dirty = commit()
    return {
        "commit": sha,
        "dirty": dirty,
        "versions": versions(),
        "python": sys.version.split()[0],
        "packages": {p: metadata.version(p) for p in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "threads": cores(),
        "cores": os.cpu_count(),
        "accelerator": accelerator(),
        "memory_gib": memory_gib(),
        "accelerator_memory_gib": round(peak_memory() / 2**30, 2),
        **fields,
    }


def about(preset: str, seeds: Sequence[int]) -> str:
    """The heading of a notebook: preset, seeds, versions; not the machine or the time."""
    default, override = PRESETS.get(preset, {}).get("precision", "float32"), os.environ.get(PRECISION)
    computed = f" (computed in {override})" if override and override != default else ""
    packages = ", ".join(f"{p} {metadata.version(p).partition('+')[0]}" for p in ("torch", "timm", "numpy"))
    listed = ", ".join(map(str, inputs.wholes(seeds, "seeds", 0)))
    return (
        f"Preset {preset}: {stand_ins(preset).says}{computed}\nSeeds: {listed}\n"
        f"Training version {TRAINING}, measuring version {MEASURING}; "
        f"Python {sys.version_info.major}.{sys.version_info.minor}, {packages}"
    )
