"""Compile the loops of ranking and ITQ in a process of its own, while images are drawn and networks train.

The compiled code is kept on disk; the first ranking of a fresh checkout would otherwise wait for it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_begun: list[subprocess.Popen[bytes]] = []  # Python warns of a running process without a reference


def warm_up() -> subprocess.Popen[bytes] | None:
    """Start to compile if nothing is compiled yet; return the process, or None if there is nothing to do.

    The parent does not wait for the process, which ends with its work or with the parent's terminal. If it ended early,
    the first process that needs a loop compiles it.
    """
    compiled = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent.parent / "ranking" / "__pycache__"
    if any(Path(compiled).rglob("counting.*.nbi")):
        return None
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    no = subprocess.DEVNULL
    _begun.append(subprocess.Popen([sys.executable, "-m", __name__], env=one_thread, stdin=no, stdout=no, stderr=no))
    return _begun[-1]


def compile_all() -> None:
    """Call every loop once, in the types that runs use: float32 embeddings and packed codes, both conventions."""
    import numpy as np

    from ..hashing import ITQ
    from ..metrics import retrieval_metrics

    rng = np.random.default_rng(0)
    features = rng.standard_normal((64, 16), dtype=np.float32)
    labels = np.arange(64) % 4
    codes = ITQ(bits=8, iterations=2).fit_transform(features)
    for x, distance in ((features, "cosine"), (codes, "hamming")):
        for convention in ("standard", "sake"):
            retrieval_metrics(x[:8], x[8:], labels[:8], labels[8:], ks=(4,), distance=distance, convention=convention)


if __name__ == "__main__":
    compile_all()
