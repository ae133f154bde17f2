"""A number that changes raises its version: ``tests/reference/golden.json`` holds what the versions stand for."""

from __future__ import annotations

import copy
import re
from importlib.metadata import version
from typing import Any

import golden
import pytest

from sakerepro import paths, versions
from sakerepro.files import read_json
from sakerepro.provenance import processor

HELP = "Raise {} in sakerepro/versions.py, then `python tests/golden.py`, and say why in CHANGELOG.md."


@pytest.fixture(scope="module")
def now() -> dict[str, Any]:
    return golden.compute()


@pytest.fixture(scope="module")
def reference() -> dict[str, Any]:
    return read_json(golden.REFERENCE)


@pytest.mark.slow
@pytest.mark.parametrize("part", golden.PARTS)
def test_numbers_are_those_of_the_reference(part: str, now: dict[str, Any], reference: dict[str, Any]) -> None:
    assert golden.differences(reference[part], now[part]) == [], HELP.format(part.upper())


@pytest.mark.slow
def test_whole_weights_repeat_on_the_kind_of_machine_of_the_reference(now, reference):
    machine = reference["machine"]
    if (machine["processor"], machine["torch"]) != (processor(), version("torch")):
        pytest.skip(f"the reference is of {machine['processor']} with torch {machine['torch']}")
    assert now["machine"]["weights"] == machine["weights"], HELP.format("TRAINING")


@pytest.mark.parametrize("part", golden.PARTS)
def test_the_reference_is_that_of_the_version_and_the_changelog_says_so(part: str, reference: dict[str, Any]) -> None:
    """A changed reference has another checksum, so it needs a line of its own, with a version that no line has."""
    text = (paths.root() / "CHANGELOG.md").read_text(encoding="utf-8")
    lines = [(int(n), digits) for n, digits in re.findall(rf"{part.upper()} (\d+) \(golden (\w{{8}})\)", text)]
    numbers = [n for n, _ in lines]
    assert lines, f"CHANGELOG.md has no line such as {[*golden.changelog_lines(reference)]}"
    assert numbers == sorted(set(numbers), reverse=True)  # newest first, each version once
    assert reference["versions"][part] == getattr(versions, part.upper()), HELP.format(part.upper())
    assert lines[0] == (reference["versions"][part], golden.checksum(reference[part]))


def test_the_reference_is_not_written_where_the_version_was_not_raised(reference, monkeypatch, tmp_path, capsys):
    file = tmp_path / "golden.json"
    file.write_bytes(golden.REFERENCE.read_bytes())
    changed = copy.deepcopy({k: reference[k] for k in ("training", "measuring", "machine")})
    changed["measuring"]["map real standard"][0] += 0.01
    monkeypatch.setattr(golden, "REFERENCE", file)
    monkeypatch.setattr(golden, "compute", lambda: changed)
    assert golden.write() == 1
    assert "Raise MEASURING" in capsys.readouterr().out and read_json(file) == reference
    monkeypatch.setattr(versions, "MEASURING", versions.MEASURING + 1)
    assert golden.write() == 0
    said = capsys.readouterr().out
    assert f"MEASURING {versions.MEASURING} (golden {golden.checksum(changed['measuring'])})" in said
    assert f"TRAINING {versions.TRAINING} (golden {golden.checksum(reference['training'])})" in said
