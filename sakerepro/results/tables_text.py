"""Text output that tables and verdicts share: templates, CSV, Markdown and its escapes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import DataError
from ..files import write_text
from ..paths import package_data
from .paper import file_name


class Saved:
    """A table or verdicts of an item, saved as files in several formats."""

    item: str
    ending = ""  # follows the item's name in the names of its files

    def texts(self) -> dict[str, str]:
        """The content of each file by its suffix."""
        raise NotImplementedError

    def save(self, folder: Path) -> list[Path]:
        """Write every file into ``folder``; return their paths."""
        texts = {Path(folder) / f"{file_name(self.item)}{self.ending}.{k}": text for k, text in self.texts().items()}
        for path, text in texts.items():
            write_text(path, text)
        return [*texts]


def holds(premise: bool, sentence: str) -> str:
    """Check what a template's sentences assume; return an empty text.

    Raises:
        DataError: if the rows say otherwise.
    """
    if not premise:
        raise DataError(f"tables/*.md: {sentence!r} no longer holds by the rows. Write it anew.")
    return ""


def filled(template: str, **facts: Any) -> str:
    """Fill a template of ``sakerepro/tables`` with these facts and ``holds``; its filter ``text`` escapes Markdown."""
    import jinja2

    settings: dict[str, Any] = dict(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment = jinja2.Environment(keep_trailing_newline=True, **settings)  # no autoescape: the text is Markdown
    environment.filters["text"] = escape
    return environment.from_string(package_data(template).read_text(encoding="utf-8")).render({"holds": holds} | facts)


def csv(label: Iterable[str], frame: pd.DataFrame) -> str:
    """The frame as CSV with every digit, below the label as lines that start with ``#``."""
    return "".join(f"# {line}\n" for line in label) + frame.to_csv(index=False, lineterminator="\n")


MARKUP = "\\`$|<>*_"  # characters with a meaning in Markdown


def escape(text: object, characters: str = MARKUP) -> str:
    """``text`` on one line with a backslash before each of ``characters``."""
    return "".join("\\" + c if c in characters else c for c in str(text)).replace("\n", " ")


def markdown(head: Sequence[object], rows: Iterable[Iterable[object]], escaped: str = "|<") -> str:
    """A table in GitHub's Markdown; ``escaped``: characters that its cells may not use for markup."""
    lines = [[escape(cell, escaped) for cell in row] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in [list(map(str, head)), ["---"] * len(head), *lines])
