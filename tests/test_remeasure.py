"""remeasure: wrong numbers become those that the run first wrote, what training made stays, nothing else is touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.errors import RunError
from sakerepro.files import read_json, write_json
from sakerepro.provenance import code_parts
from sakerepro.remeasure import furthest, measuring_parts, outdated, remeasure
from sakerepro.runs import Run, open_run


def of_older_code(run: Run, name: str) -> Run:
    """A copy of a run whose metrics are all off by 0.25, by another `hashing` and another `losses`."""
    folder = paths.runs() / name
    shutil.copytree(run.folder, folder)
    write_json(folder / "metrics.json", [{**m, "value": m["value"] + 0.25} for m in run.metrics()])
    arrays = {k: v * 0 if k.startswith("ap/") else v for k, v in run.embeddings().items()}
    np.savez(folder / "embeddings.npz", **arrays)  # type: ignore[arg-type]
    origin = run.provenance()
    origin["parts"] |= {"hashing": "0", "losses": "0"}
    for file in ("metrics.json", "embeddings.npz"):
        origin["files"][file]["bytes"] = (folder / file).stat().st_size
    write_json(folder / "provenance.json", origin)
    return open_run(folder)


def test_what_measures_had_no_part_in_the_training() -> None:
    measuring = set(measuring_parts())
    assert {"hashing", "metrics", "evaluation", "_ranking"} <= measuring < set(code_parts("runs"))
    assert not {"runs", "losses", "training", "model", "embedding", "teachers", "wordnet", "data.packing"} & measuring


def test_the_numbers_are_mended_and_the_training_stays(tiny_run: Run) -> None:
    old = of_older_code(tiny_run, "old")
    kept = {n: (old.folder / n).read_bytes() for n in ("weights.safetensors", "history.csv", "experiment.json")}
    trained = old.provenance()
    assert outdated(old) == ["hashing"]
    new = remeasure(old)
    assert new.metrics() == tiny_run.metrics()
    for name, array in tiny_run.embeddings().items():
        np.testing.assert_array_equal(new.embeddings()[name], array)
    assert {n: (new.folder / n).read_bytes() for n in kept} == kept
    after = new.provenance()
    assert outdated(new) == [] and after["parts"]["losses"] == "0"  # other losses trained it; no measuring changes that
    assert {k: after[k] for k in ("commit", "seconds", "data", "teacher")} == {
        k: trained[k] for k in ("commit", "seconds", "data", "teacher")
    }
    assert after["measured"]["finished"] > trained["finished"]
    new.network()  # its weights are still those that the provenance names


def test_by_default_the_outdated_runs_are_measured(tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(tiny_run.folder, paths.runs() / "up-to-date")
    of_older_code(tiny_run, "old")
    assert main(["remeasure", "--json"]) == 0
    (done,) = json.loads(capsys.readouterr().out)["measured"]
    assert done["run"] == "old" and done["changed_code"] == ["hashing"] and done["furthest"] == pytest.approx(0.25)
    assert main(["remeasure"]) == 0
    assert "by the code of now" in capsys.readouterr().out
    assert main(["remeasure", "up-to-date"]) == 0
    assert "0.0e+00" in capsys.readouterr().out


def test_other_images_are_refused_and_the_run_stays(tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    old = of_older_code(tiny_run, "old")
    write_json(old.folder / "provenance.json", old.provenance() | {"data": "1" * 64})
    before = {f.name: f.read_bytes() for f in old.folder.iterdir()}
    with pytest.raises(RunError, match="other images"):
        remeasure(open_run(old.folder))
    assert main(["remeasure"]) == 1
    assert "Not measured: old" in capsys.readouterr().out
    assert {f.name: f.read_bytes() for f in old.folder.iterdir()} == before


def test_a_failure_while_writing_leaves_the_old_run(
    tiny_run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = of_older_code(tiny_run, "old")

    def full(*arguments: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("sakerepro.remeasure.np.savez", full)
    with pytest.raises(OSError):
        remeasure(old)
    assert open_run(old.folder).metrics() == old.metrics() == read_json(old.folder / "metrics.json")
    assert [f.name for f in paths.runs().iterdir() if f.is_dir()] == ["old"]


def test_the_largest_change() -> None:
    a = [{"metric": "P@100", "value": 0.5}, {"metric": "mAP@all", "value": 0.2}]
    assert furthest(a, [{**a[0], "value": 0.25}, a[1]]) == 0.25 and furthest([], []) == 0
    assert furthest(a, [dict(reversed(m.items())) for m in a]) == 0
    assert furthest(a, a[:1]) == furthest(a, a[::-1]) == float("inf")
