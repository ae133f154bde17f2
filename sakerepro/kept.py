"""Measurements that take long, kept beside the runs and found again by what went into them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import paths
from .files import lock, read_json, short_hash, write_json
from .provenance import provenance
from .versions import MEASURING, TRAINING


def folder() -> Path:
    """Where the results lie: ``measured`` among the runs."""
    return paths.runs() / "measured"


def kept(what: str, of: str, inputs: dict[str, Any], compute: Callable[[], Any]) -> Any:
    """Find a measurement, or make it and keep it; says so when it is made.

    Args:
        what: is measured, such as ``"probe"``.
        of: what it is measured on, a run's name or the like; for people.
        inputs: all that the value depends on: checksums of weights and data, settings. Equal inputs, equal file.
        compute: gives the value, which has to survive JSON. The versions of ``versions.py`` are among the inputs: what
            was mended is measured anew.
    """
    inputs = {**inputs, "versions": [TRAINING, MEASURING]}
    file = folder() / f"{what}-{of}-{short_hash([what, inputs])}.json"
    if not file.is_file():
        with lock(file.with_name(f".{file.name}.lock"), f"Another process measures {what} of {of}; waiting for it."):
            if not file.is_file():
                print(f"  measuring {what} of {of} ...", flush=True)
                started = time.time()
                value = compute()
                seconds = round(time.time() - started, 1)
                write_json(file, {"what": what, "of": of, "inputs": inputs, "value": value,
                                  "provenance": provenance(seconds=seconds, finished=time.time())})  # fmt: skip
    return read_json(file)["value"]

