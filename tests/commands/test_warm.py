"""The loops are compiled beside the work, once; a run that follows finds all of them compiled."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny

from sakerepro.commands import warm

COUNT = """
import json, os
from sakerepro.commands.warm import compile_all
compile_all()
from sakerepro.ranking import counting, itq_step, kernels, ranks, ties
from numba.core.dispatcher import Dispatcher
stats = {}
for module in (counting, kernels, itq_step, ties):
    for name, f in vars(module).items():
        if isinstance(f, Dispatcher) and f.stats.cache_path and (f.stats.cache_hits or f.stats.cache_misses):
            stats[name] = [sum(f.stats.cache_hits.values()), sum(f.stats.cache_misses.values())]
print(json.dumps(stats))
"""


@pytest.mark.slow
def test_what_is_compiled_once_is_found_by_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    process = warm.warm_up()
    assert process is not None and process.wait(timeout=300) == 0
    assert warm.warm_up() is None
    found = json.loads(tiny.python("-c", COUNT, NUMBA_CACHE_DIR=str(tmp_path)).stdout)
    assert {"count_block", "turn_signs"} <= set(found)
    assert all(hits and not misses for hits, misses in found.values()), found
