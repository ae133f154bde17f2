"""Short displays of large values and long work: a few lines, arrays by their shape, a progress bar."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

_SHOWN = 4  # members of a list or dictionary that are shown


def bar(
    steps: Iterable[Any] | None = None, what: str = "", *, progress: bool = True, log: bool = False, **settings: Any
) -> Any:
    """A progress bar of tqdm: a widget in a notebook, a line on a terminal, nothing elsewhere.

    Args:
        steps: the values to iterate over; ``None`` if the caller updates the bar.
        progress: whether to show it; ``TQDM_DISABLE`` turns it off too.
        log: print a line every ten seconds if there is neither a notebook nor a terminal.
        settings: arguments of tqdm.
    """
    from tqdm import auto, std

    watched = auto.notebook_tqdm is not std.tqdm or sys.stderr.isatty()  # type: ignore[attr-defined]
    if not (progress and (watched or log)):
        settings["disable"] = True  # not set to False otherwise, which would override TQDM_DISABLE
    return auto.tqdm(steps, what, file=sys.stderr, mininterval=0.5 if watched else 10, **settings)


class Brief:
    """A short repr for dataclasses (made with ``repr=False``): arrays by shape, long lists by their first members."""

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}("]
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            if field.repr:
                part = f"{field.name}={brief(getattr(self, field.name))}, "
                if len(lines[-1]) + len(part) > 120:
                    lines.append("    ")
                lines[-1] += part
        return "\n".join(line.rstrip() for line in lines).rstrip(",") + ")"


def brief(value: Any) -> str:
    """A value in less than a line."""
    if isinstance(value, np.ndarray):
        return f"{value.shape} {value.dtype}"
    if isinstance(value, dict):
        return _some([f"{key!r}: {brief(v)}" for key, v in value.items()], "{", "}")
    if isinstance(value, tuple):
        return _some([brief(v) for v in value], "(", ")")
    return f"{value:.6g}" if isinstance(value, float) else repr(value)


def _some(members: list[str], opening: str, closing: str) -> str:
    ellipsis = [f"... {len(members):,} in all"] if len(members) > _SHOWN else []
    return opening + ", ".join(members[:_SHOWN] + ellipsis) + closing


def table_lines(head: Sequence[str], rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Aligned columns: the first ``left`` flush left, the others flush right."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    padded = (
        [t.ljust(w) if i < left else t.rjust(w) for i, (t, w) in enumerate(zip(line, widths, strict=True))]
        for line in lines
    )
    return ["  ".join(line).rstrip() for line in padded]
