"""Slow measurements, kept beside the runs and found again by their inputs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import joblib

from .. import paths
from ..files import lock
from ..versions import MEASURING, TRAINING

if TYPE_CHECKING:
    from ..runs import Run


def folder() -> Path:
    """The folder of kept values: ``measured`` among the runs."""
    return paths.runs() / "measured"


def checksum(run: Run, file: str = "weights.safetensors") -> str:
    """The SHA-256 of a run's file, in hexadecimal digits."""
    return str(run.provenance()["files"][file]["sha256"])


def kept(what: str, of: str, inputs: dict[str, Any], compute: Callable[[], Any]) -> Any:
    """Find a measurement, or compute it, say so, and keep it.

    Args:
        what: its name, such as ``"probe"``.
        of: the name of the measured thing, for messages only.
        inputs: all that the value depends on: checksums of weights and data, settings. Equal ``what``, ``inputs`` and
            versions (``versions.py``) find the same value.
        compute: gives the value.
    """
    measure = joblib.Memory(folder(), verbose=0).cache(_measure, ignore=["of", "compute"])
    call = (what, of, inputs, (TRAINING, MEASURING), compute)
    if measure.check_call_in_cache(*call):
        return measure(*call)
    with lock(folder() / f".{what}-{of}.lock", f"Another process measures {what} of {of}; waiting for it."):
        return measure(*call)


def _measure(what: str, of: str, inputs: dict[str, Any], versions: tuple[int, int], compute: Callable[[], Any]) -> Any:
    print(f"  measuring {what} of {of} ...", file=sys.stderr, flush=True)
    return compute()
