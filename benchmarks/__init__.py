"""Speed and memory beside peers: ``python -m benchmarks``.

A module of this folder takes part by having ``rows(quick: bool) -> list[Row]``; most build it from `common.Case`.
"""

import os

os.environ["TQDM_DISABLE"] = "1"  # no progress bars between the figures; read when tqdm is imported
