"""The status board of ``notebooks/00_index.ipynb``: every notebook, whether its results are there, what they say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from html import escape
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from .. import paths
from ..experiment import Experiment
from ..files import read_json
from .committed import saved_claims
from .items import ITEMS
from .status import MISSING, PRESETS, STALE, status
from .verdicts import VERDICTS

INDEX = "00_index"


def status_board(presets: Iterable[str] = PRESETS) -> Styler:
    """Every notebook with its state in each preset and how many of the paper's claims hold there, with links.

    Reads ``results/`` and ``notebooks/``; trains and measures nothing.
    """
    items = list(ITEMS)
    names = sorted(file.stem for file in paths.notebooks().glob("*.ipynb") if file.stem != INDEX)
    names.sort(key=lambda name: items.index(name) if name in items else len(items))
    rows = [{"notebook": _link(f"{n}.ipynb", _title(n)), **{p: _cell(n, p) for p in presets}} for n in names]
    left: list[Any] = [{"selector": "th, td", "props": "text-align: left; vertical-align: top"}]
    return pd.DataFrame(rows, index=names).style.hide(axis="index").set_table_styles(left).set_uuid("board")


def _link(target: str, text: str) -> str:
    return f"<a href='{target}'>{escape(text)}</a>"


def _title(name: str) -> str:
    """The first heading of a notebook."""
    return read_json(paths.notebooks() / f"{name}.ipynb")["cells"][0]["source"][0].lstrip("# ").strip()


def _cell(name: str, preset: str) -> str:
    if name not in ITEMS:
        return "to use"
    state = status(name, preset)
    if state.state == MISSING:
        return f"not made: make {name}{'' if preset == Experiment.preset else f' PRESET={preset}'}"
    old = f" (stale: {state.why})" if state.state == STALE else ""
    count = Counter(saved_claims(name, preset)["verdict"])
    verdicts = ", ".join(f"{verdict}: {count[verdict]}" for verdict in VERDICTS if count[verdict])
    return f"{_link(f'../results/{preset}/{name}.ipynb', 'executed')}: {escape(verdicts + old)}"
