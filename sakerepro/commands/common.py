"""What several commands share: lists of numbers, JSON on standard output, tables of text."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from .. import paths, provenance
from ..display import table_lines
from ..errors import ConfigError
from ..experiment import PRECISION, Experiment


def precision(arguments: argparse.Namespace) -> contextlib.AbstractContextManager[None]:
    """A block in which presets have the precision of ``--precision``; other processes have it too."""
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


def say_slow_precision(new: Iterable[Experiment]) -> None:
    """Advise float32, on stderr, before runs are trained in bfloat16 on a processor without units for it."""
    half = [e for e in new if e.precision == "bfloat16" and e.epochs]
    if half and provenance.slow_bfloat16():
        text = (
            f"sakerepro: {len(half)} run{'s' * (len(half) > 1)} will train in bfloat16, which this processor, "
            f"{provenance.processor()}, computes many times slower than float32. For runs of their own in float32, the "
            "same but for rounding: --precision float32 (with make: PRECISION=float32)."
        )
        print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """One JSON value on standard output, for scripts; JSON has no infinity and no NaN: both are null.

    In ASCII: any terminal and any file name gives valid JSON.
    """
    plain = json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)
    print(json.dumps(plain, indent=1))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Aligned columns: the first ``left`` flush left, the others flush right; numbers with three decimals."""
    print("\n".join(table_lines(head, [[_cell(value) for value in row] for row in rows], left)))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
