"""alike: code that measures otherwise is caught, code that does not lets results stand; nothing is kept by mistake."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_status import make

import sakerepro
from sakerepro import _alike_side, alike, paths
from sakerepro.__main__ import main
from sakerepro.errors import ConfigError, RunError
from sakerepro.files import read_json, write_json
from sakerepro.provenance import code_parts
from sakerepro.remeasure import measuring_parts
from sakerepro.runs import Run
from sakerepro.status import status

TINY = ((20, 90, 200, 16, 3, (16,)),)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of the package, in which tests change what they like; one tiny case."""
    if shutil.which("git") is None:
        pytest.skip("git is not here")
    for name in [n for n in os.environ if n.startswith("GIT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    root = tmp_path / "checkout"
    package = Path(sakerepro.__file__).parent
    shutil.copytree(package, root / "sakerepro", ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    monkeypatch.setenv("SAKEREPRO_HOME", str(root))
    monkeypatch.setattr(alike, "SHAPES", TINY)
    monkeypatch.setattr(alike, "KINDS", ("coarse",))
    return root


def commit(root: Path) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, "add", "-A"], check=True)
    subprocess.run(["git", "-C", str(root), *who, "commit", "-q", "-m", "then"], check=True)


def swap(root: Path, module: str, old: str, new: str) -> None:
    file = root / "sakerepro" / f"{module}.py"
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(("old", "new", "same"), [
    ('{"mAP@all": m.map_all}', '{"mAP@all": m.map_all + 0}', True),
    ('{"mAP@all": m.map_all}', '{"mAP@all": m.map_all + 1e-9}', False),
])  # fmt: skip
def test_an_earlier_commit_measures_the_same_or_otherwise(
    checkout: Path, old: str, new: str, same: bool, capsys: pytest.CaptureFixture[str], tiny_run: Run
) -> None:
    shutil.copytree(tiny_run.folder, paths.runs() / tiny_run.id)  # measured as well
    swap(checkout, "evaluation", old, new)
    commit(checkout)
    assert main(["alike", "HEAD", "--json"]) == (0 if same else 3)
    found = json.loads(capsys.readouterr().out)
    assert found["changed"] == ["evaluation"] and found["cases"] == 2 and found["same"] == same
    assert found["numbers"] > 1000
    if not same:
        assert found["furthest"] == pytest.approx(1e-9, rel=1e-3)
        assert found["where"].startswith(("coarse, 20 x 90 x 16: ", tiny_run.id)) and "mAP@all" in found["where"]
        assert not alike.file().exists()
        return
    (shown,) = read_json(alike.file())["shown"]
    assert shown["now"] == measuring_parts() and shown["commit"] == found["commit"]
    assert {m for m, d in shown["before"].items() if d != shown["now"][m]} == {"evaluation"}
    run = code_parts("runs") | {"evaluation": shown["before"]["evaluation"]}
    assert alike.as_now(run) == (code_parts("runs"), 2)


def step(before: dict[str, str], now: dict[str, str], cases: int = 20) -> dict[str, Any]:
    shared = {m: d for m, d in code_parts("runs").items() if m in _alike_side.SHARED}
    return {"before": before, "shared": shared, "now": now, "cases": cases}


def test_results_of_runs_that_are_gone_stay_done() -> None:
    now, measuring = code_parts("runs"), measuring_parts()
    first, second = measuring | {"metrics": "1", "gone": "1"}, measuring | {"metrics": "2"}
    make("figure4", parts=now | first)
    assert status("figure4", "mini").state == "stale"
    write_json(alike.file(), {"shown": [step(first, second, 20), step(second, measuring, 24)]})  # in two steps
    found = status("figure4", "mini")
    assert found.state == "done"
    assert "2 of 2 runs were measured before gone.py, metrics.py changed" in found.note
    assert "changes no number of the 20 cases" in found.note
    make("figure4", parts=now | first | {"losses": "0"})  # of the training nothing was shown
    assert status("figure4", "mini").why == "runs made with other losses.py"
    make("figure4", parts=now | first | {"hashing": "0"})
    assert "hashing.py" in status("figure4", "mini").why
    make("figure4", parts=now)
    assert (status("figure4", "mini").state, status("figure4", "mini").note) == ("done", "")


def test_steps_that_lead_nowhere_or_in_a_circle_show_nothing() -> None:
    now, measuring = code_parts("runs"), measuring_parts()
    first, second = measuring | {"metrics": "1"}, measuring | {"metrics": "2"}
    write_json(alike.file(), {"shown": [step(first, second), step(second, first), step(measuring, first)]})
    assert alike.as_now(now | first) == (now | first, 0)
    assert alike.as_now(now) == (now, 0)
    assert alike.as_now({}) == ({}, 0)


def test_a_way_is_found_past_a_dead_end() -> None:
    now, measuring = code_parts("runs"), measuring_parts()
    first, second = measuring | {"metrics": "1"}, measuring | {"metrics": "2"}
    for steps in ([step(first, measuring, 9), step(first, second)], [step(first, second), step(first, measuring, 9)]):
        write_json(alike.file(), {"shown": steps})
        assert alike.as_now(now | first) == (now, 9)


def test_a_step_counts_only_with_the_shared_code_it_was_shown_with() -> None:
    now, measuring = code_parts("runs"), measuring_parts()
    first = measuring | {"metrics": "1"}
    write_json(alike.file(), {"shown": [step(first, measuring)]})
    for other in ({"data.splits": "0"}, {"data.dataset": "0"}):
        assert alike.as_now(now | first | other) == (now | first | other, 0)
    less = {m: d for m, d in first.items() if m != "hashing"}  # hashing belonged to the training then
    write_json(alike.file(), {"shown": [step(less, measuring)]})
    assert alike.as_now(now | first) == (now, 20)
    assert alike.as_now(now | first | {"hashing": "0"})[1] == 0


DAMAGED = ["", "[]", '{"shown": 3}', '{"shown": [', "<<<<<<< HEAD"]


@pytest.mark.parametrize("text", [*DAMAGED, '{"shown": [1]}', '{"shown": [{"before": {}}]}'])
def test_a_damaged_file_shows_nothing(text: str) -> None:
    paths.results().mkdir(parents=True)
    alike.file().write_text(text)
    first = code_parts("runs") | {"metrics": "1"}
    assert alike.as_now(first) == (first, 0)


def found(**changes: Any) -> alike.Alike:
    return alike.Alike(**{"commit": "1", "changed": ("metrics",), "cases": 20, "numbers": 9, "furthest": 0.0,
                          "where": "", "seconds": 1.0} | changes)  # fmt: skip


def test_what_was_shown_is_kept_beside_what_is_there(checkout: Path) -> None:
    paths.results().mkdir(parents=True)
    measuring = measuring_parts()
    codes = [{"before": {"metrics": str(i)}, "shared": {}, "now": measuring} for i in (1, 2)]
    for i in (0, 1, 0):
        alike._keep(codes[i], found(cases=20 + i))
    assert [s["cases"] for s in read_json(alike.file())["shown"]] == [21, 20]
    commit(checkout)
    for text in DAMAGED:
        alike.file().write_text(text)
        with pytest.raises(RunError, match="alike.json.*Mend it"):
            alike.alike("HEAD")
        assert alike.file().read_text() == text


def test_arrays_are_compared_bit_by_bit_and_by_name(tmp_path: Path) -> None:
    def compared(before: dict[str, Any], now: dict[str, Any]) -> tuple[int, float, str]:
        for name, arrays in (("cases", {}), ("before", before), ("now", now)):
            (tmp_path / name).mkdir(exist_ok=True)
            np.savez(tmp_path / name / "0.npz", **arrays)
        write_json(tmp_path / "cases" / "0.json", {"title": "t"})
        return alike._compare(tmp_path)

    x = np.array([1.0, 0.0, np.nan])
    assert compared({"x": x}, {"x": x}) == (3, 0.0, "")
    assert compared({"x": x}, {"x": -x * [-1, 1, -1]})[1] > 0  # -0.0
    assert compared({"x": x, "y": x}, {"x": x})[1:] == (np.inf, "t: y")
    assert compared({"x": x}, {"x": x.astype(np.float32)})[1] == np.inf
    assert compared({"x": x}, {"x": x + [0, 2e-3, 0]}) == (3, 2e-3, "t: x")


def test_what_cannot_be_compared_says_why(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="commit 'HEAD': git finds no such commit"):
        alike.alike("HEAD")
    swap(checkout, "evaluation", "def measure(", "def measured(")
    commit(checkout)
    with pytest.raises(ConfigError, match="'nonsense'.*git log"):
        alike.alike("nonsense")
    with pytest.raises(RunError, match="(?s)code of commit 'HEAD' cannot measure.*cannot import name"):
        alike.alike("HEAD", progress=False)
    assert not alike.file().exists()


def test_cases_hold_ties_zeros_equal_photos_and_a_rare_class() -> None:
    made = {kind: alike._made(alike.SHAPES[1], kind)[1] for kind in alike.KINDS}
    assert {len(a["gallery"]) for a in made.values()} == {3000 + 30 * 12}
    unit = {kind: a["gallery"] / np.maximum(np.linalg.norm(a["gallery"], axis=1, keepdims=True), 1e-9)
            for kind, a in made.items()}  # fmt: skip
    different = {kind: len(np.unique((u @ made[kind]["query"][0]).round(6))) for kind, u in unit.items()}
    assert different["around"] > 3000 and different["twins"] < 1100
    assert (np.linalg.norm(made["half"]["gallery"], axis=1) == 0).sum() > 20
    assert (made["coarse"]["gallery"] % 1 == 0).all()
    assert np.bincount(made["around"]["gallery_labels"]).argmin() == 0
    assert max(photos for _, photos, *_ in alike.SHAPES) > 2 * 65536
