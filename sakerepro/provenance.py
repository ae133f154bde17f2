"""Where a number comes from: code, versions, machine, time."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from . import paths

PACKAGES = ("torch", "torchvision", "timm", "numpy", "numba", "scipy", "scikit-learn", "pillow", "safetensors")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(paths.root()), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> tuple[str, bool]:
    """The commit of the checkout ("" outside one), and whether the code differs from it."""
    return _git("rev-parse", "HEAD"), bool(_git("status", "--porcelain", "--", "sakerepro", "pyproject.toml"))


def code_hash() -> str:
    """12 digits over the package's sources: two runs with the same digits ran the same code."""
    digest = hashlib.sha256()
    for file in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:12]


def processor() -> str:
    """Name of the CPU, with what it can do for bfloat16."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def provenance(**more: Any) -> dict[str, Any]:
    """Versions, commit, hardware; ``more`` is what the caller knows: seconds, inputs, command."""
    import torch

    sha, dirty = commit()
    return {
        "commit": sha,
        "dirty": dirty,
        "code": code_hash(),
        "python": sys.version.split()[0],
        "packages": {p: metadata.version(p) for p in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        **more,
    }


def about(preset: str, seeds: list[int]) -> str:
    """What a notebook says of itself first: preset, seeds, versions, commit; only the last line is of this machine."""
    from .tables_spec import DATA_LABEL

    sha, dirty = commit()
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("torch", "timm", "numpy"))
    return (
        f"Preset {preset}: {DATA_LABEL.get(preset, 'unknown')}\nSeeds: {', '.join(map(str, seeds))}\n"
        f"Python {sys.version.split()[0]}, {versions}; commit {sha[:12] or 'unknown'}{' (changed)' if dirty else ''}"
    )
