"""Tables as text: Markdown, and the one escaping helper behind it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def escape(text: object, characters: str = "\\`$|<>*_") -> str:
    """``text`` on one line with a backslash before each of ``characters``, as GitHub's Markdown wants it."""
    return "".join("\\" + c if c in characters else c for c in str(text)).replace("\n", " ")


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]], escaped: str = "\\`$|<>*_") -> str:
    """A table in GitHub's Markdown; ``escaped``: characters that its cells may not use for markup."""
    lines = [[escape(cell, escaped) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(map(str, head)), ["---"] * len(head), *lines])
