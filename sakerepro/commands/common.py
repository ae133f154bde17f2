"""What several commands share: lists of numbers, JSON on standard output, tables of text."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..experiment import Experiment


def add_engine(command: Any) -> None:
    """Register where and how runs are made: ``--jobs``, ``--engine``, ``--address``, ``--precision``."""
    command.add_argument(
        "--jobs", type=int, help="number of runs at a time, each on one thread (one per core, two at most)"
    )
    command.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where runs are made: on this machine [local], or on a Ray cluster with one GPU or core per run (ray)",
    )
    command.add_argument("--address", default="auto", help="address of the Ray cluster [auto: the one of this machine]")
    command.add_argument("--precision", choices=("float32", "bfloat16"), help="precision in place of the preset's")


def precision(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """A block in which presets have the precision of :func:`add_engine`; other processes have it too."""
    from .. import paths
    from ..experiment import PRECISION

    return paths.variable(PRECISION, arguments.precision) if arguments.precision else contextlib.nullcontext()


def numbers(text: str, name: str) -> list[int]:
    """``"0,1,2"`` as a list.

    Raises:
        ConfigError: naming the flag, if a part is no whole number.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name} {text}: has to be whole numbers with commas, such as 0,1,2.") from None


def literal(text: str) -> object:
    """The value of a text that is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def say_slow_precision(experiments: Iterable[Experiment]) -> None:
    """Advise float32, on stderr, before runs are trained in bfloat16 on a processor without units for it."""
    from ..provenance import processor, slow_bfloat16
    from ..runs import find

    half = [e for e in experiments if e.precision == "bfloat16" and e.epochs]
    if half and slow_bfloat16() and (new := [e for e in half if find(e) is None]):
        text = (
            f"sakerepro: {len(new)} run{'s' * (len(new) > 1)} will train in bfloat16, which this processor, "
            f"{processor()}, computes many times slower than float32. For runs of their own in float32, the same but "
            "for rounding: --precision float32 (with make: PRECISION=float32)."
        )
        print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output, for scripts; JSON has no infinity and no NaN: both are null.

    In ASCII: any terminal and any file name gives valid JSON.
    """
    print(json.dumps(_finite(value), indent=1, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Aligned columns: the first ``left`` flush left, the others flush right; numbers with three decimals."""
    from ..display import table_lines

    print("\n".join(table_lines(head, [[_cell(value) for value in row] for row in rows], left)))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
