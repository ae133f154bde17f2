"""Status tells done, stale and missing apart and says why; the report shows what is there and what is not."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from fakes import FakeRun

from sakerepro import paths, results
from sakerepro.files import read_json, write_json
from sakerepro.methods import label
from sakerepro.provenance import versions
from sakerepro.results.committed import rows_file
from sakerepro.results.items import ITEMS, experiments
from sakerepro.results.paper_claims import all_claims
from sakerepro.results.report import report, write_report
from sakerepro.results.rows import rows_frame
from sakerepro.results.runrows import run_row
from sakerepro.results.status import DONE, MISSING, STALE, Status, record_file, status, status_board, write_record


def make(item: str, preset: str = "mini", seeds: tuple[int, ...] = (0,)) -> Path:
    """Leave what an item leaves, with one row a run."""
    runs = [FakeRun(e) for e in experiments(item, preset, seeds)]
    write_record(item, preset, seeds, {"original": ""}, runs, 12.0)
    rows = rows_frame(run_row(r, "mAP@all", 0.3 + 0.1 * (label(r.experiment) == "SAKE")) for r in runs)
    results.claims(item, rows).save(paths.results(preset))
    record_file(item, preset).with_suffix(".ipynb").write_text("{}")
    return record_file(item, preset)


def edit(file: Path, **changes: Any) -> None:
    write_json(file, read_json(file) | changes)


def test_seconds_of_all_sittings_count() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "seconds": [100.0, 100.0, 50.0]})
    (experiment,) = experiments("figure3", "mini", (0,))[:1]
    at_once = FakeRun(experiment, more={"seconds": 270.0, "seconds_training": 251.0}, epochs=history)
    resumed = FakeRun(experiment, more={"seconds": 70.0, "seconds_training": 51.0}, epochs=history)
    for run, wanted in ((at_once, 270.0), (resumed, 269.0)):
        write_record("figure3", "mini", (0,), {}, [run], 1.0)
        (record,) = read_json(record_file("figure3", "mini"))["runs"].values()
        assert record["seconds"] == wanted


def test_missing_then_done_then_missing_again() -> None:
    assert status("table4", "mini").state == "missing"
    file = make("table4")
    done = status("table4", "mini")
    assert (done.state, done.why) == ("done", "")
    assert re.fullmatch(r"[0-9a-f]{40}|", done.commit) and re.fullmatch(r"\d+ (s|min)", done.age)
    assert status("table4", "small").state == status("table3", "mini").state == "missing"
    for name in ("table4.ipynb", "table4-claims.csv", "table4.json"):
        moved = (file.parent / name).rename(file.parent / "aside")
        assert status("table4", "mini").state == "missing"
        moved.rename(file.parent / name)
    assert status("table4", "mini").state == "done"


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"seeds": [1]}, "4 other runs"),  # SAKE and L_B of seed 0, and of seed 1
        ({"versions": versions() | {"training": 0}}, "training version 0, now "),
        ({"versions": versions() | {"measuring": 0}}, "measuring version 0, now "),
        ({"notebook": "0"}, "notebook changed"),
        ({"rows": "0"}, "rows changed"),
        ({"seeds": [0, 0]}, "refused"),
        ({"made": 3}, "another version"),
    ],
)
def test_stale_says_what_changed(changes: dict[str, Any], said: str) -> None:
    edit(make("figure3"), **changes)
    state = status("figure3", "mini")
    assert state.state == "stale" and said in state.why


def test_rows_of_a_killed_item_are_not_those_of_its_record() -> None:
    """The notebook writes rows before the record is written."""
    make("table5")
    rows_file("table5", "mini").write_text("rows of a later, interrupted execution")
    assert status("table5", "mini").why == "rows changed"


def test_only_code_cells_of_the_notebook_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = read_json(paths.notebooks() / "cost.ipynb")
    monkeypatch.setattr(paths, "notebooks", lambda: tmp_path)
    write_json(tmp_path / "cost.ipynb", notebook)
    make("cost")
    for kind, why in (("markdown", ""), ("code", "notebook changed")):
        next(c for c in notebook["cells"] if c["cell_type"] == kind)["source"] = ["1 + 1"]
        write_json(tmp_path / "cost.ipynb", notebook)
        assert status("cost", "mini").why == why


def test_the_command_shows_every_item_on_one_screen(cli: Callable[..., Any]) -> None:
    edit(make("cost"), made=read_json(record_file("cost", "mini"))["made"] | {"finished": time.time() - 3 * 86400})
    edit(make("table3", "small"), versions={"training": 0, "measuring": 0}, notebook="0", seeds=[5])
    lines = cli("status").out.splitlines()
    assert len(lines) <= 3 * len(ITEMS) + 2 and max(map(len, lines)) <= 100
    assert len([line for line in lines if " missing" in line]) == 3 * len(ITEMS) - 2
    assert any(line.endswith("other runs and 3 more") for line in lines)
    assert any(re.match(r"cost +mini +done +\w+\+? +3 d", line) for line in lines)
    states = json.loads(cli("status", "--preset", "mini", "--json").out)
    assert [f["item"] for f in states] == list(ITEMS) and {f["preset"] for f in states} == {"mini"}
    took = next(f["record"]["runs"] for f in states if f["item"] == "cost")
    assert {(r["machine"], r["seconds"]) for r in took.values()} == {("CPU, 2 threads", 100.0)}
    assert "huge" in cli("status", "--preset", "huge", code=2).err


# REPRODUCING.md


def test_report_without_results_says_so() -> None:
    text = report()
    for claim in all_claims().values():
        assert text.count(f"| `{claim.id}` |") == 1
    count = len(all_claims())
    for preset in ("mini", "small", "paper"):
        assert f"| `{preset}` | 0 | 0 | 0 | {count} |" in text
        assert f"### `{preset}`\n\nNothing was run." in text
    assert text.count("| not run | not run | not run |") == len(ITEMS)
    assert "holds**" not in text


def test_report_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for item in ("table5", "figure3", "figure4"):
        make(item)
    rows = pd.DataFrame({"run": [*"abcdea"], "seed": 0})
    monkeypatch.setattr("sakerepro.results.report.saved_rows", lambda *_: rows)
    text = report()
    assert text == report()
    assert "| `table5.sbir-peak` |" in text and "[mini](" not in text  # results lie elsewhere here
    row = next(line for line in text.splitlines() if line.startswith("| `table5` |"))
    assert "| 5 runs, 1 seed | not run | not run |" in row
    claims = results.claims("table5", rows_frame([]))  # the paper's side does not need runs
    peak = next(v for v in claims.verdicts if v.claim.id == "table5.sbir-peak")
    assert peak.row["its numbers"] in text.replace("\\<", "<")
    not_run = text.partition("## What was not run")[2]  # without what the tables above say
    assert "| `figure3.mostly-right` |" in text and "`figure3.mostly-right`" not in not_run
    assert "- `table1`: the whole item." in not_run
    counted = re.search(r"\| `mini` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", text)
    assert counted and sum(counts := [*map(int, counted.groups())]) == len(all_claims()) > counts[3]
    (paths.results("mini") / "choices.md").write_text("# What was tried\n\nNothing.\n")
    assert report().count("## What was tried\n\nNothing.") == 1 and "> Preset mini" not in report()
    assert write_report(tmp_path / "R.md").read_text(encoding="utf-8") == report()


def test_an_item_is_judged_in_the_precision_that_it_was_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    make("length", "small")
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    make("cost", "small")
    assert status("cost", "small").state == status("length", "small").state == "done"
    monkeypatch.delenv("SAKEREPRO_PRECISION")
    assert status("cost", "small").state == "done"
    edit(record_file("cost", "small"), precision="")
    runs = len(experiments("cost", "small", (0,)))
    assert f"{2 * runs} other runs" in status("cost", "small").why  # those and these


def test_report_links_results_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path))
    make("cost")
    assert f"[mini]({paths.results('mini').relative_to(tmp_path).as_posix()}/cost.ipynb)" in report()


# The board of the index


def test_every_notebook_but_the_index_has_a_row_with_its_title_items_first() -> None:
    frame = status_board(["mini"]).data
    names = {file.stem for file in paths.notebooks().glob("*.ipynb")} - {"00_index"}
    assert set(frame.index) == names
    items = [name for name in ITEMS if name in names]
    assert frame.index.tolist()[: len(items)] == items
    link = "<a href='explore_draw_and_retrieve.ipynb'>Draw and retrieve</a>"
    assert frame.loc["explore_draw_and_retrieve", "notebook"] == link


def test_a_notebook_that_was_just_begun_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Untitled.ipynb").write_text('{"cells": [{"cell_type": "code", "source": []}]}')
    monkeypatch.setattr(paths, "notebooks", lambda: tmp_path)
    assert status_board(["mini"]).data["notebook"].tolist() == ["<a href='Untitled.ipynb'>Untitled</a>"]


def test_what_is_missing_says_how_to_make_it() -> None:
    row = status_board().data.loc["table1"]
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

    def state(item: str, preset: str) -> Status:
        exists = (item, preset) == ("table1", "small")
        return Status(item, preset, (STALE if why else DONE) if exists else MISSING, why, "", False, 1.0)

    monkeypatch.setattr("sakerepro.results.status.status", state)


@pytest.mark.parametrize("why, tail", [("", ""), ("notebook changed", " (stale: notebook changed)")])
def test_verdicts_are_counted(why: str, tail: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make_table1(monkeypatch, why)
    cell = status_board(["small"]).data.loc["table1", "small"]
    assert cell == f"<a href='../results/small/table1.ipynb'>executed</a>: holds: 2, does not hold: 1, not run: 1{tail}"


def test_links_lead_to_notebooks_and_to_executed_ones_where_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    make_table1(monkeypatch)
    html = status_board().to_html()
    assert html == status_board().to_html()
    links = re.findall(r"href='([^']+)'", html)
    assert "../results/small/table1.ipynb" in links and "../results/mini/table1.ipynb" not in links
    assert all((paths.notebooks() / link).is_file() for link in links if not link.startswith(".."))
