"""What several commands share: lists of numbers, JSON on standard output, tables of text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, near_misses

if TYPE_CHECKING:
    from ..runs import Run


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
    """One JSON value on standard output, for scripts."""
    print(json.dumps(value, indent=1, ensure_ascii=False, default=str))


def print_table(head: Sequence[str], rows: Iterable[Sequence[object]], left: int = 1) -> None:
    """Aligned columns: the first ``left`` flush left, the others flush right; numbers with three decimals."""
    from ..checking_text import table_lines

    print("\n".join(table_lines(head, [[_cell(value) for value in row] for row in rows], left)))


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def named_run(name: str) -> Run:
    """The finished run of that id, of the only id with that part, or in that folder.

    Raises:
        ConfigError: if none or several are meant. RunError: if it is damaged.
    """
    from .. import paths
    from ..runs import open_run

    if (Path(name) / "experiment.json").is_file():
        return open_run(Path(name).resolve())
    known = sorted(f.parent.name for f in paths.runs().glob("*/experiment.json") if not f.parent.name.startswith("."))
    found = [k for k in known if k == name] or [k for k in known if name and name in k]
    if len(found) == 1:
        return open_run(paths.runs() / found[0])
    if found:
        raise ConfigError(f"{name!r} could be {', '.join(found[:5])}{' or others' if len(found) > 5 else ''}. "
                          "Write more of it.")  # fmt: skip
    hint = near_misses(name, known) if known else "There are none yet; `sakerepro train` makes one."
    raise ConfigError(f"There is no finished run {name!r} in {paths.shown(paths.runs())}. {hint}")
