"""Where a number comes from: code, versions, machine, time."""

from __future__ import annotations

import ast
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from . import paths
from .experiment import PRECISION, PRESETS

_PACKAGE = Path(__file__).parent
# as they were when this process began: what is edited during a long training made none of its numbers
_SOURCES = {file.relative_to(_PACKAGE).as_posix(): file.read_bytes() for file in sorted(_PACKAGE.rglob("*.py"))}
PACKAGES = ("torch", "torchvision", "timm", "numpy", "numba", "scipy", "scikit-learn", "pillow", "safetensors")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", "-C", str(paths.root()), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def commit() -> tuple[str, bool]:
    """The commit of the checkout ("" outside one), and whether the code of this process differs from it."""
    changed = _git("status", "--porcelain", "--", "sakerepro", "pyproject.toml")
    return _git("rev-parse", "HEAD"), bool(changed) or edited()


def edited() -> bool:
    """Whether the package's sources changed since this process began."""
    now = {file.relative_to(_PACKAGE).as_posix(): file.read_bytes() for file in _PACKAGE.rglob("*.py")}
    return now != _SOURCES


def code_hash() -> str:
    """12 digits over the package's sources: two runs with the same digits ran the same code."""
    digest = hashlib.sha256()
    for name, source in _SOURCES.items():
        digest.update(name.rpartition("/")[2].encode() + source)
    return digest.hexdigest()[:12]


@cache
def code_parts(start: str = "runs") -> dict[str, str]:
    """Module to 8 digits over its code, for ``start`` and all modules of the package that it uses.

    Comments, docstrings and layout do not count: only what can change a number does.

    Args:
        start: a module of the package; ``"runs"`` for what makes the numbers of a run.
    """
    found: dict[str, str] = {}
    ahead = [start]
    while ahead:
        name = ahead.pop()
        path = name.replace(".", "/")
        file = f"{path}.py" if f"{path}.py" in _SOURCES else f"{path}/__init__.py"
        if name in found or name in _PLUMBING or file not in _SOURCES:
            continue
        tree = ast.parse(_SOURCES[file])
        ahead += _uses(tree, name if file.endswith("__init__.py") else name.rpartition(".")[0])
        found[name] = hashlib.sha256(_bare(tree).encode()).hexdigest()[:8]
    return dict(sorted(found.items()))


# Modules that move numbers about and make none; what `experiment` says, and how often it changes, is in a run's id.
_PLUMBING = ("errors", "experiment", "files", "kept", "paths", "provenance")


def _uses(tree: ast.Module, package: str) -> list[str]:
    """The modules of this package that a module imports, wherever in it; what is no module is left out later."""
    used = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            parts = package.split(".") if package else []
            base = ".".join([*parts[: len(parts) - node.level + 1], *filter(None, [node.module])])
            used += [base] * bool(base) + [f"{base}.{a.name}" if base else a.name for a in node.names]
    return used


def _bare(tree: ast.Module) -> str:
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def memory_gib() -> float:
    """The most main memory that this process has held so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (2**30 if sys.platform == "darwin" else 2**20), 2)


def processor() -> str:
    """Name of the CPU, with family and model where the system says them: the name of a virtual one says little."""
    try:
        first = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        first = ""
    said = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    if "model name" not in said:
        return platform.processor() or platform.machine()
    if "cpu family" not in said or "model" not in said:
        return said["model name"]
    return f"{said['model name']} (family {said['cpu family']}, model {said['model']})"


def slow_bfloat16() -> bool:
    """Whether networks would train on a CPU for which oneDNN has no bfloat16, so that it takes many times as long."""
    import torch

    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    return not torch.cuda.is_available() and not supported()


def provenance(**more: Any) -> dict[str, Any]:
    """Versions, commit, hardware; ``more`` is what the caller knows: seconds, inputs, command."""
    import torch

    sha, dirty = commit()
    return {
        "commit": sha,
        "dirty": dirty,
        "code": code_hash(),
        "parts": code_parts(),
        "python": sys.version.split()[0],
        "packages": {p: metadata.version(p) for p in PACKAGES},
        "platform": platform.platform(),
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "memory_gib": memory_gib(),
        "accelerator_memory_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2),
        **more,
    }


def brief(origin: Mapping[str, Any]) -> dict[str, Any]:
    """What of a provenance says by what code and machine something was done to a run later."""
    return {name: origin[name] for name in ("commit", "dirty", "code", "packages", "processor", "threads")}


def about(preset: str, seeds: list[int]) -> str:
    """What a notebook says of itself first: preset, seeds, versions, commit; only the last line is of this machine."""
    from .tables_spec import DATA_LABEL

    sha, dirty = commit()
    usual, wanted = PRESETS.get(preset, {}).get("precision", "float32"), os.environ.get(PRECISION)
    chosen = f" (computed in {wanted})" if wanted and wanted != usual else ""
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in ("torch", "timm", "numpy"))
    return (
        f"Preset {preset}: {DATA_LABEL.get(preset, 'unknown')}{chosen}\nSeeds: {', '.join(map(str, seeds))}\n"
        f"Python {sys.version.split()[0]}, {versions}; commit {sha[:12] or 'unknown'}{' (changed)' if dirty else ''}"
    )
