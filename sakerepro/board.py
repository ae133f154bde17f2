"""The status board of ``notebooks/00_index.ipynb``: every notebook, whether its results are there, what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path

import pandas as pd

from . import paths
from .files import read_json
from .items import ITEMS
from .judging import CLOSE, FAILS, HOLDS, NOT_RUN
from .status import MISSING, PRESETS, STALE, status

INDEX = "00_index"


@dataclass(frozen=True)
class Board:
    """A table with links; shows itself in a notebook."""

    frame: pd.DataFrame  # notebook, title, and a column a preset

    def __repr__(self) -> str:
        with pd.option_context("display.width", 250, "display.max_colwidth", 80, "display.max_columns", 20):
            return self.frame.to_string(index=False)

    def _repr_html_(self) -> str:
        presets = map(str, self.frame.columns[2:])
        head = "".join(f"<th style='text-align: left'>{escape(c)}</th>" for c in ("notebook", *presets))
        return f"<table>\n<tr>{head}</tr>\n{''.join(map(self._row, self.frame.index))}</table>"

    def _row(self, row: int) -> str:
        name, title, *cells = map(str, self.frame.loc[row])
        text = [f"<a href='{name}.ipynb'>{escape(title)}</a><br><code>{name}</code>"]
        for preset, cell in zip(self.frame.columns[2:], cells, strict=True):
            made = (paths.results(preset) / f"{name}.ipynb").is_file()
            link = f"<a href='../results/{preset}/{name}.ipynb'>executed</a><br>" if made else ""
            text.append(link + escape(cell))
        return "<tr>" + "".join(f"<td style='text-align: left; vertical-align: top'>{t}</td>" for t in text) + "</tr>\n"


def status_board(presets: Iterable[str] = PRESETS) -> Board:
    """Every notebook with its state in each preset and how many of the paper's claims hold there.

    Reads ``results/`` and ``notebooks/``; trains and measures nothing.
    """
    presets = list(presets)
    found = [file for file in sorted(paths.notebooks().glob("*.ipynb"), key=_order) if file.stem != INDEX]
    rows = [[file.stem, _title(file), *(_cell(file.stem, preset) for preset in presets)] for file in found]
    return Board(pd.DataFrame(rows, columns=["notebook", "title", *presets]))


def _order(file: Path) -> tuple[int, str]:
    items = list(ITEMS)
    return (items.index(file.stem) if file.stem in items else len(items), file.stem)


def _title(file: Path) -> str:
    """The first heading."""
    first = "".join(read_json(file)["cells"][0]["source"])
    return first.partition("\n")[0].lstrip("# ").strip()


def _cell(name: str, preset: str) -> str:
    if name not in ITEMS:
        return "to use"
    state = status(name, preset)
    if state.state == MISSING:
        return f"not made: make {name}{'' if preset == 'mini' else f' PRESET={preset}'}"
    old = f" (stale: {state.why})" if state.state == STALE else ""
    return f"{_verdicts(paths.results(preset) / f'{name}-claims.csv')}{old}"


def _verdicts(file: Path) -> str:
    """How many of an item's claims have which verdict."""
    count = Counter(pd.read_csv(file, comment="#", keep_default_na=False)["verdict"])
    return ", ".join(f"{verdict}: {count[verdict]}" for verdict in (HOLDS, FAILS, CLOSE, NOT_RUN) if count[verdict])
