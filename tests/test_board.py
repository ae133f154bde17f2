"""The status board: every notebook, what is there, what it says, links that lead somewhere."""

from __future__ import annotations

import re

import pytest

from sakerepro import board, paths
from sakerepro.items import ITEMS
from sakerepro.status import DONE, MISSING, STALE, Status


def made(item: str, preset: str, verdicts: list[str]) -> None:
    """Results as an item leaves them, as far as the board reads them."""
    folder = paths.results(preset)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{item}.ipynb").write_text("{}")
    lines = [f"{item}.claim{i},{v}" for i, v in enumerate(verdicts)]
    (folder / f"{item}-claims.csv").write_text("\n".join(["# Preset: x", "claim,verdict", *lines]) + "\n")


def test_every_notebook_but_the_index_has_a_row_with_its_title_items_first() -> None:
    frame = board.status_board(["mini"]).frame
    there = {file.stem for file in paths.notebooks().glob("*.ipynb")} - {"00_index"}
    assert set(frame["notebook"]) == there
    items = [name for name in ITEMS if name in there]
    assert frame["notebook"].tolist()[: len(items)] == items
    assert dict(zip(frame["notebook"], frame["title"], strict=True))["explore_draw_and_retrieve"] == "Draw and retrieve"


def test_what_is_missing_says_how_to_make_it() -> None:
    row = board.status_board().frame.set_index("notebook").loc["table1"]
    assert row["mini"] == "not made: make table1"
    assert row["paper"] == "not made: make table1 PRESET=paper"


@pytest.mark.parametrize("state,why,tail", [(DONE, "", ""), (STALE, "the notebook changed",
                                                              " (stale: the notebook changed)")])  # fmt: skip
def test_verdicts_are_counted(state: str, why: str, tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made("table1", "small", ["holds", "not run", "does not hold", "holds"])
    monkeypatch.setattr(board, "status", lambda item, preset: Status(
        item, preset, *((state, why) if item == "table1" else (MISSING, "")), "", False, 1.0
    ))  # fmt: skip
    frame = board.status_board(["small"]).frame.set_index("notebook")
    assert frame.loc["table1", "small"] == f"holds: 2, does not hold: 1, not run: 1{tail}"


def test_links_lead_to_notebooks_and_to_executed_ones_where_there_are() -> None:
    made("table1", "mini", ["holds"])
    html = board.status_board()._repr_html_()
    links = re.findall(r"href='([^']+)'", html)
    assert "../results/mini/table1.ipynb" in links and "../results/small/table1.ipynb" not in links
    assert all((paths.notebooks() / link).is_file() for link in links if not link.startswith(".."))
