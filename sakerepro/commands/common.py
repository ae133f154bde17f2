"""Shared by several commands: lists of numbers, JSON on standard output, tables of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from ..display import table_lines
from ..errors import ConfigError


def numbers(text: str, name: str) -> list[int]:
    """``"0,1,2"`` as a list.

    Raises:
        ConfigError: naming the flag, if a part is no whole number.
    """
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ConfigError(f"--{name} {text}: has to be whole numbers with commas, such as 0,1,2.") from None


def print_json(value: Any) -> None:
    """Print a value as JSON for scripts, in ASCII for any terminal; infinity and NaN, which JSON lacks, are null."""
    plain = json.loads(json.dumps(value, default=str), parse_constant=lambda _: None)
    print(json.dumps(plain, indent=1))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Aligned columns: the first ``left`` flush left, the others flush right; numbers with three decimals."""
    cells = [["-" if x is None else f"{x:.3f}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    print("\n".join(table_lines(head, cells, left)))
