"""What several commands share: lists of numbers, JSON on standard output, tables of text."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

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


def literal(text: str) -> object:
    """A value as JSON where it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def print_json(value: Any) -> None:
    """One JSON value on standard output, for scripts; JSON has no infinity and no NaN: both are null."""
    print(json.dumps(_finite(value), indent=1, ensure_ascii=False, default=str, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(v) for name, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Aligned columns: the first ``left`` flush left, the others flush right; numbers with three decimals."""
    from ..checking_text import table_lines

    print("\n".join(table_lines(head, [[_cell(value) for value in row] for row in rows], left)))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
