"""The status board: every notebook, what is there, what it says, links that lead somewhere."""

from __future__ import annotations

import re

import pytest

from sakerepro import paths
from sakerepro.results import status as board
from sakerepro.results.items import ITEMS
from sakerepro.results.status import DONE, MISSING, STALE, Status


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


def make_table1(monkeypatch: pytest.MonkeyPatch, why: str = "") -> None:
    """Results of Table 1 in ``small`` as far as the board reads them, stale for a reason or done."""
    folder = paths.results("small")
    folder.mkdir(parents=True)
    (folder / "table1.ipynb").write_text("{}")
    verdicts = enumerate(["holds", "not run", "does not hold", "holds"])
    lines = ["# Preset: x", "claim,verdict", *(f"table1.claim{i},{v}" for i, v in verdicts)]
    (folder / "table1-claims.csv").write_text("\n".join(lines))

    def status(item: str, preset: str) -> Status:
        state = (STALE if why else DONE) if (item, preset) == ("table1", "small") else MISSING
        return Status(item, preset, state, why, "", False, 1.0)

    monkeypatch.setattr(board, "status", status)


@pytest.mark.parametrize("why, tail", [("", ""), ("notebook changed", " (stale: notebook changed)")])
def test_verdicts_are_counted(why: str, tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table1(monkeypatch, why)
    cell = board.status_board(["small"]).data.loc["table1", "small"]
    assert cell == f"<a href='../results/small/table1.ipynb'>executed</a>: holds: 2, does not hold: 1, not run: 1{tail}"


def test_links_lead_to_notebooks_and_to_executed_ones_where_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    make_table1(monkeypatch)
    html = board.status_board().to_html()
    assert html == board.status_board().to_html()
    links = re.findall(r"href='([^']+)'", html)
    assert "../results/small/table1.ipynb" in links and "../results/mini/table1.ipynb" not in links
    assert all((paths.notebooks() / link).is_file() for link in links if not link.startswith(".."))
