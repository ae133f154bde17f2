"""The benchmark harness: absent peers are said, sides take turns, bars are judged, a machine's file is added to."""

from __future__ import annotations

import importlib

import pytest

from sakerepro.files import read_json

benchmarks = pytest.importorskip("benchmarks", reason="benchmarks/ is only in a checkout, run from its root")
common = importlib.import_module("benchmarks.common")
main = importlib.import_module("benchmarks.__main__")


@pytest.fixture
def rows(monkeypatch):
    calls = []

    def side(name):
        return common.Contender(lambda inputs: calls.append(name) or name, note=f"note of {name}")

    contenders = {
        common.OURS: side("ours"),
        "peer": side("peer"),
        "absent": common.Contender(lambda inputs: None, package="no_such_package"),
    }
    case = common.Case("work", lambda share: share, contenders, lambda rows: ("at least 2 x", False))
    monkeypatch.setattr(common, "peak_memory", lambda *arguments: 3.0)
    rows = common.measure("module", 0, case, quick=False)
    return rows, calls


def test_sides_are_measured_in_turn_after_a_warm_up(rows):
    _, calls = rows
    assert calls[-4:] == ["ours", "peer"] * 2 and calls.count("ours") == calls.count("peer") == 2 + common.ROUNDS


def test_absent_peer_is_a_row_that_says_so(rows):
    absent = rows[0][2]
    assert (absent.who, absent.seconds) == ("absent", None) and "no_such_package is not installed" in absent.note


def test_table_shows_what_was_not_reached_and_what_is_missing(rows):
    text = main.table(rows[0])
    assert "NOT REACHED: at least 2 x" in text and "no_such_package" in text and "note of peer" in text


def test_modules_with_rows_take_part_and_others_do_not():
    assert {"itq", "ranking", "scaling", "search"} <= set(main.modules()) and "common" not in main.modules()


def test_file_of_a_machine_keeps_what_other_modules_left(rows):
    path = main.keep("one", rows[0], load=0.5)
    assert main.keep("two", rows[0][:1], load=0.25) == path
    kept = read_json(path)
    assert set(kept) == {"one", "two"} and len(kept["one"]["rows"]) == 3
    assert kept["two"]["about"]["packages"]["torch"] and kept["two"]["about"]["load_before"] == 0.25
