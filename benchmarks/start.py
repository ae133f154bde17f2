"""How long a user waits before anything happens: importing, and the command line's help. Fresh processes, in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .common import OURS, Case, Contender, Lap, Row, fresh_process, run_cases

TORCH = "import torch"


def python(*arguments: str) -> Callable[[float], Lap]:
    return lambda share: fresh_process(*arguments)


def no_slower_than_torch(rows: dict[str, Row]) -> tuple[str, bool]:
    ratio = rows[OURS].seconds / rows[TORCH].seconds  # type: ignore[operator]
    return f"no slower than importing torch: {ratio:.2f} x its time", ratio <= 1


def under_half_a_second(rows: dict[str, Row]) -> tuple[str, bool]:
    return f"under 0.5 s: {rows[OURS].seconds:.2f} s", (rows[OURS].seconds or 0.0) < 0.5


IMPORT = {
    OURS: Contender(python("-c", "import sakerepro"), note="names are loaded when they are first used"),
    TORCH: Contender(python("-c", "import torch")),
    "all that a run needs": Contender(python("-c", "import sakerepro.runs, sakerepro.training"), note="torch included"),
}
HELP = {
    OURS: Contender(python("-m", "sakerepro", "--help")),
    "Python itself": Contender(python("-c", "pass"), note="the limit"),
}
CASES = [
    Case("import sakerepro", lambda share: share, IMPORT, no_slower_than_torch, memory=False),
    Case("python -m sakerepro --help", lambda share: share, HELP, under_half_a_second, memory=False),
]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
