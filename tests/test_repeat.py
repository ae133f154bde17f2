"""repeat: what training finds again is noted in the run, what it does not is shown, and the first run never suffers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from sakerepro import loop, paths
from sakerepro.__main__ import main
from sakerepro.errors import RunError
from sakerepro.files import read_json, sha256, write_json
from sakerepro.provenance import code_parts
from sakerepro.repeat import _distance, repeat
from sakerepro.runs import Run, all_runs, open_run


@pytest.fixture
def first(tiny_run: Run) -> Run:
    """A finished run, among those of this test; by another `losses` and another `images` than those of now."""
    folder = paths.runs() / tiny_run.id
    shutil.copytree(tiny_run.folder, folder)
    origin = tiny_run.provenance()
    write_json(folder / "provenance.json", origin | {"parts": origin["parts"] | {"losses": "0", "data.images": "0"}})
    return open_run(folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {f.name: f.read_bytes() for f in folder.iterdir()}


def nudge(run: Run, by: float) -> None:
    """Add to one weight, as another machine might; the files still fit together."""
    file, origin = run.folder / "weights.safetensors", run.provenance()
    weights = load_file(file)
    weights["seen_head.bias"][1] += by
    save_file(weights, file)
    origin["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    write_json(run.folder / "provenance.json", origin)


def test_a_run_is_found_again_and_says_so(first: Run) -> None:
    before, trained = contents(first.folder), first.provenance()
    found = repeat(first)  # the first was traced, this one is not: watching changes nothing
    assert found.same and found.changed == ("images.py", "losses.py") and found.kept == ""
    after = contents(first.folder)
    assert {n: b for n, b in after.items() if n != "provenance.json"} == {
        n: b for n, b in before.items() if n != "provenance.json"
    }
    now = open_run(first.folder).provenance()
    assert now["parts"] == code_parts() | {"data.images": "0"}  # the packed images came from the cache
    assert now["repeated"]["changed"] == ["images.py", "losses.py"]
    assert now["repeated"]["before"] == [trained["parts"]]
    assert {k: v for k, v in now.items() if k not in ("parts", "repeated", "dirty")} == {
        k: v for k, v in trained.items() if k not in ("parts", "dirty")
    }
    assert [r.id for r in all_runs()] == [first.id]
    first.network()
    origin = first.folder / "provenance.json"
    write_json(origin, read_json(origin) | {"parts": read_json(origin)["parts"] | {"gone": "1"}})  # since removed
    assert repeat(first).same
    assert "gone" not in open_run(first.folder).provenance()["parts"]
    write_json(origin, read_json(origin) | {"repeated": now["repeated"]})
    assert repeat(first).same  # by the same code: nothing new is known of other code
    assert open_run(first.folder).provenance()["repeated"]["before"] == [trained["parts"]]


def test_a_difference_is_shown_and_the_first_run_stays(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    nudge(first, 0.25)
    before = contents(first.folder)
    assert main(["repeat", first.id, "--json"]) == 3
    (found,) = json.loads(capsys.readouterr().out)["repeated"]
    assert found["weights"] == pytest.approx(0.25) and found["embeddings"] == found["metrics"] == 0
    assert not found["same"]
    assert contents(first.folder) == before
    kept = open_run(Path(found["kept"]))
    assert kept.experiment == first.experiment and [r.id for r in all_runs()] == [first.id]

    assert main(["repeat", first.id]) == 3  # once more, over the one that was kept
    said = capsys.readouterr().out
    assert "2.5e-01" in said and "losses.py" in said and "The same to the last bit: 0 of 1." in said
    command = said.partition("sakerepro compare ")[2].split()
    assert main(["compare", *command]) == 0 and command[1] == found["kept"]
    assert "none differs" in capsys.readouterr().out


def test_a_run_that_cannot_be_repeated_hides_no_other(first: Run, capsys: pytest.CaptureFixture[str]) -> None:
    other = paths.runs() / "other"
    shutil.copytree(first.folder, other)
    write_json(other / "provenance.json", first.provenance() | {"data": "1" * 64})
    assert main(["repeat", first.id, "other"]) == 1
    said = capsys.readouterr().out
    assert "The same to the last bit: 1 of 1." in said and "Not repeated: other" in said and "other images" in said
    assert main(["repeat", "no-such-run"]) == 2


def test_what_other_code_began_is_not_gone_on_with(first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is good for the code that wrote it; steps are counted, since equal numbers would not tell."""
    steps, step = [], loop._step

    def counted(*arguments: Any) -> None:
        steps.append(1)
        step(*arguments)

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_step", counted)
    with monkeypatch.context() as patch:
        patch.setattr("sakerepro.runs.evaluate", interrupted)
        with pytest.raises(KeyboardInterrupt):
            repeat(first)
    whole = len(steps)
    with monkeypatch.context() as patch:
        patch.setattr("sakerepro.repeat.code_parts", lambda: code_parts() | {"losses": "1"})
        assert repeat(first).same and len(steps) == 2 * whole
    assert repeat(first).same and len(steps) == 2 * whole  # the same code goes on, and has only to measure
    assert os.environ["SAKEREPRO_RUNS"] == str(paths.runs()) and not (paths.runs() / ".repeat" / first.id).exists()


def test_code_that_changed_meanwhile_is_not_vouched_for(first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.repeat.edited", lambda: True)
    assert repeat(first).same
    assert open_run(first.folder).provenance()["parts"] == first.provenance()["parts"]


def test_a_failure_leaves_the_first_run(first: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(first.folder)

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("sakerepro.runs.np.savez", full)
        with pytest.raises(OSError):
            repeat(first)
    assert contents(first.folder) == before
    with monkeypatch.context() as patch:
        patch.setattr("sakerepro.repeat.shutil.copy2", full)
        with pytest.raises(OSError):
            repeat(first)
    assert contents(first.folder) == before
    assert repeat(first).same


def test_other_images_are_refused(first: Run) -> None:
    write_json(first.folder / "provenance.json", first.provenance() | {"data": "1" * 64})
    before = contents(first.folder)
    with pytest.raises(RunError, match="other images"):
        repeat(open_run(first.folder))
    assert contents(first.folder) == before
    assert [f.name for f in paths.runs().iterdir() if f.is_dir()] == [first.id]


def test_the_largest_difference() -> None:
    a = {"x": np.array([1.0, np.nan, 3.0], np.float32), "n": np.array([1, 2])}
    assert _distance(a, {name: array.copy() for name, array in a.items()}) == 0 == _distance({}, {})
    assert _distance(a, {**a, "n": np.array([1, 5])}) == 3
    assert _distance(a, {**a, "x": np.array([1.5, np.nan, 3.0], np.float32)}) == 0.5
    assert _distance(a, {**a, "x": np.array([1.0, 2.0, 3.0], np.float32)}) == float("inf")
    assert _distance(a, {**a, "x": np.array([1.0, np.nan, np.inf], np.float32)}) == float("inf")
    for other in ({"x": a["x"]}, {**a, "n": np.array([1, 2, 3])}, {**a, "n": np.array([1.0, 2.0])}):
        assert _distance(a, other) == float("inf")
    assert _distance({"x": np.array([0.0])}, {"x": np.array([-0.125])}) == 0.125
    assert _distance({"x": np.zeros((0, 4))}, {"x": np.zeros((0, 4))}) == 0
