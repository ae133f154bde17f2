"""The status board: every notebook, what is there, what it says, links that lead somewhere."""

from __future__ import annotations

import re

import pytest

from sakerepro import paths
from sakerepro.results import board
from sakerepro.results.items import ITEMS
from sakerepro.results.status import DONE, MISSING, STALE, Status


def made(item: str, preset: str, verdicts: list[str]) -> None:
    """Results as an item leaves them, as far as the board reads them."""
    folder = paths.results(preset)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{item}.ipynb").write_text("{}")
    lines = [f"{item}.claim{i},{v}" for i, v in enumerate(verdicts)]
    (folder / f"{item}-claims.csv").write_text("\n".join(["# Preset: x", "claim,verdict", *lines]) + "\n")


def test_every_notebook_but_the_index_has_a_row_with_its_title_items_first() -> None:
    frame = board.status_board(["mini"]).data
    there = {file.stem for file in paths.notebooks().glob("*.ipynb")} - {"00_index"}
    assert set(frame.index) == there
    items = [name for name in ITEMS if name in there]
    assert frame.index.tolist()[: len(items)] == items
    link = "<a href='explore_draw_and_retrieve.ipynb'>Draw and retrieve</a>"
    assert frame.loc["explore_draw_and_retrieve", "notebook"] == link


def test_what_is_missing_says_how_to_make_it() -> None:
    row = board.status_board().data.loc["table1"]
    assert row["mini"] == "not made: make table1"
    assert row["paper"] == "not made: make table1 PRESET=paper"


@pytest.mark.parametrize("state,why,tail", [(DONE, "", ""), (STALE, "notebook changed", " (stale: notebook changed)")])
def test_verdicts_are_counted(state: str, why: str, tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made("table1", "small", ["holds", "not run", "does not hold", "holds"])
    monkeypatch.setattr(
        board,
        "status",
        lambda item, preset: Status(
            item, preset, *((state, why) if item == "table1" else (MISSING, "")), "", False, 1.0
        ),
    )
    cell = board.status_board(["small"]).data.loc["table1", "small"]
    assert cell == f"<a href='../results/small/table1.ipynb'>executed</a>: holds: 2, does not hold: 1, not run: 1{tail}"


def test_links_lead_to_notebooks_and_to_executed_ones_where_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made("table1", "mini", ["holds"])
    monkeypatch.setattr(
        board,
        "status",
        lambda item, preset: Status(
            item, preset, DONE if (item, preset) == ("table1", "mini") else MISSING, "", "", False, 1.0
        ),
    )
    html = board.status_board().to_html()
    assert html == board.status_board().to_html()
    links = re.findall(r"href='([^']+)'", html)
    assert "../results/mini/table1.ipynb" in links and "../results/small/table1.ipynb" not in links
    assert all((paths.notebooks() / link).is_file() for link in links if not link.startswith(".."))
