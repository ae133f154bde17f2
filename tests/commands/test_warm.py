"""The loops are compiled beside the work, once; a run that follows finds all of them compiled."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tiny

from sakerepro.commands import warm

COUNT = """
import json, runpy
runpy.run_module("sakerepro.commands.warm", run_name="__main__")
from sakerepro.ranking import counting, itq_step, kernels, ranks, ties
from numba.core.dispatcher import Dispatcher
stats = {}
for module in (counting, kernels, itq_step, ties):
    for name, f in vars(module).items():
        if isinstance(f, Dispatcher) and f.stats.cache_path and (f.stats.cache_hits or f.stats.cache_misses):
            stats[name] = [sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())]
print(json.dumps(stats))
"""


def test_a_process_is_begun_where_nothing_is_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Any] = []
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: begun.append(command) or command)
    assert warm.warm_up() == begun[0] == [sys.executable, "-m", "sakerepro.commands.warm"]
    (tmp_path / "ranking").mkdir()
    (tmp_path / "ranking" / "counting.count_block-1.py311.nbi").touch()
    assert warm.warm_up() is None and len(begun) == 1


@pytest.mark.slow
def test_what_is_compiled_once_is_found_by_the_next_process() -> None:
    """In the cache of all tests; where that lacks a loop, a first process compiles it and a second finds it."""
    for _ in range(2):
        counts = json.loads(tiny.python("-c", COUNT).stdout)
        if not any(misses for _, misses in counts.values()):
            break
    assert {"count_block", "turn_signs"} <= set(counts)
    assert all(hits and not misses for hits, misses in counts.values()), counts
