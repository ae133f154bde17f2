"""Status tells done, stale and missing apart and says why; the report shows what is there and what is not."""

from __future__ import annotations

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import tiny
from fakes import FakeRun

import sakerepro
from sakerepro import paths, results
from sakerepro.__main__ import main
from sakerepro.claims_spec import all_claims
from sakerepro.files import read_json, short_hash, write_json
from sakerepro.items import ITEMS, experiments
from sakerepro.provenance import code_parts
from sakerepro.report import report, write_report
from sakerepro.rows import rows_frame
from sakerepro.runrows import run_row
from sakerepro.status import Status, record_file, status, write_record


def make(item: str, preset: str = "mini", seeds: tuple[int, ...] = (0,), **provenance: Any) -> Path:
    """Leave what an item leaves, with one row a run."""
    more = {"parts": code_parts("runs"), "memory_gib": 1.5, "seconds": 90.0} | provenance
    runs = [FakeRun(e, more=more) for e in experiments(item, preset, seeds)]
    write_record(item, preset, seeds, {"original": ""}, runs, 12.0)  # type: ignore[arg-type]
    rows = rows_frame(run_row(r, "mAP@all", 0.3 + 0.1 * (r.experiment.method == "SAKE")) for r in runs)  # type: ignore
    results.claims(item, rows).save(paths.results(preset))
    record_file(item, preset).with_suffix(".ipynb").write_text("{}")
    return record_file(item, preset)


def edit(file: Path, *keys: str, value: Any) -> None:
    record = read_json(file)
    inner = record
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    write_json(file, record)


def test_seconds_of_all_sittings_count(tmp_path: Path) -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "seconds": [100.0, 100.0, 50.0]})
    (experiment,) = experiments("figure3", "mini", (0,))[:1]
    at_once = FakeRun(experiment, more={"seconds": 270.0, "seconds_training": 251.0, "parts": {}}, epochs=history)
    resumed = FakeRun(experiment, more={"seconds": 70.0, "seconds_training": 51.0, "parts": {}}, epochs=history)
    for run, wanted in ((at_once, 270.0), (resumed, 269.0)):
        write_record("figure3", "mini", (0,), {}, [run], 1.0)  # type: ignore[list-item]
        (made,) = read_json(record_file("figure3", "mini"))["runs"].values()
        assert made["seconds"] == wanted


def test_missing_then_done_then_missing_again() -> None:
    assert status("table4", "mini").state == "missing"
    file = make("table4")
    found = status("table4", "mini")
    assert (found.state, found.why) == ("done", "")
    assert re.fullmatch(r"[0-9a-f]{40}|", found.commit) and re.fullmatch(r"\d+ (s|min)", found.age)
    assert status("table4", "small").state == status("table3", "mini").state == "missing"
    for name in ("table4.ipynb", "table4-claims.csv", "table4.json"):
        moved = (file.parent / name).rename(file.parent / "aside")
        assert status("table4", "mini").state == "missing"
        moved.rename(file.parent / name)
    assert status("table4", "mini").state == "done"


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (("seeds",), [1], "12 runs are of other settings"),
        (("made", "parts", "claims"), "0", "shown by other claims.py"),
        (("made", "parts", "gone"), "0", "shown by other gone.py"),
        (("notebook",), "0", "the notebook changed"),
        (("seeds",), [0, 0], "refused"),
        (("made",), 3, "another version"),
    ],
)
def test_stale_says_what_changed(keys: tuple[str, ...], value: Any, said: str) -> None:
    edit(make("table5" if keys == ("seeds",) and value == [1] else "figure3"), *keys, value=value)
    found = status("table5" if keys == ("seeds",) and value == [1] else "figure3", "mini")
    assert found.state == "stale"
    assert said.replace("12", "10") in found.why


def test_runs_of_other_code_are_named_by_module() -> None:
    make("figure4", parts={**code_parts("runs"), "losses": "0", "data.packing": "0"})
    assert status("figure4", "mini").why == "runs made with other packing.py, losses.py"
    make("figure4", parts={**code_parts("runs"), **dict.fromkeys(("losses", "loop", "model", "runs", "new"), "0")})
    assert status("figure4", "mini").why == "runs made with other loop.py, losses.py, model.py, new.py and 1 more"
    make("figure4", parts={**code_parts("runs"), "hashing": "0"})
    assert status("figure4", "mini").why.startswith("runs made with other hashing.py (sakerepro remeasure mends")
    make("figure4", parts={})
    assert status("figure4", "mini").why == "2 runs do not say which code made them"


def test_a_repeated_run_speaks_for_its_kind_by_the_same_earlier_code(capsys: pytest.CaptureFixture[str]) -> None:
    now = code_parts("runs")
    first, second = now | {"loop": "1", "gone": "1"}, now | {"loop": "2"}

    def made(item: str, **by_method: Any) -> Status:
        """An item whose runs of a method ("SAKE", "L_B") are of other code, or were repeated."""
        fakes = [FakeRun(e, more={"seconds": 1.0, "parts": now} | by_method.get(e.method.rpartition("L_")[2], {}))
                 for e in experiments(item, "mini", (0,))]  # fmt: skip
        make(item)
        write_record(item, "mini", (0,), {}, fakes, 1.0)  # type: ignore[arg-type]
        return status(item, "mini")

    repeated = {"repeated": {"before": [first, second]}}
    assert made("figure4", B={"parts": first}).state == "stale"
    made("figure3", B=repeated)  # of another item
    for earlier in (first, second):
        found = made("figure4", B={"parts": earlier})
        assert (found.state, found.why) == ("done", "")
        assert re.match(r"1 of 2 runs were trained before (gone.py, )?loop.py changed; .*, 1 were", found.note)
    assert main(["status"]) == 0 and "the same to the last bit" in capsys.readouterr().out
    assert f"- `figure4`, `mini`: {found.note}" in report()
    assert made("figure4").note == ""
    for parts in (now | {"loop": "3"}, first | {"losses": "1"}, second | {"gone": "1"}):
        assert made("figure4", B={"parts": parts}).state == "stale"  # by no code that gave the repeated run's numbers
    found = made("figure4", SAKE={"parts": first}, B={"parts": first})
    assert found.state == "stale" and not found.note  # a repeated L_B says nothing about SAKE
    made("figure3", B={"parts": now | {"model": "1"}, **repeated})
    assert made("figure4", B={"parts": first}).state == "stale"  # nor one that was itself made by other code


def test_a_repeated_run_speaks_for_the_training_of_the_very_same_code() -> None:
    now = code_parts("runs")

    def sibling(before: dict[str, str], parts: dict[str, str]) -> Status:
        """L_B runs: that of figure3 made again after ``before``, that of figure4 by ``parts``."""
        for item, made in (("figure3", {"repeated": {"before": [before]}}), ("figure4", {"parts": parts})):
            fakes = [FakeRun(e, more={"seconds": 1.0, "parts": now} | (made if e.method == "L_B" else {}))
                     for e in experiments(item, "mini", (0,))]  # fmt: skip
            make(item)
            write_record(item, "mini", (0,), {}, fakes, 1.0)  # type: ignore[arg-type]
        return status("figure4", "mini")

    old, both = {"loop": "1"}, {"loop": "1", "training": "1"}
    measured = {"metrics": "1", "hashing": "1"}
    assert sibling(now | old | measured, now | old).state == "done"  # both were measured anew since
    assert sibling(now | old | measured, now | old | measured).state == "stale"  # the sibling was not
    assert sibling(now | old, now | old | measured).state == "stale"
    assert sibling(now | both, now | old).state == "stale"  # made between two changes that cancel each other
    assert sibling(now | old, now | both).state == "stale"
    (paths.results("mini") / "table1.json").write_text("[]")  # a neighbour of another version
    assert sibling(now | old, now | old).state == "done"


def test_a_kind_that_came_out_otherwise_is_not_spoken_for() -> None:
    now = code_parts("runs")
    first = now | {"loop": "1"}
    for item, more in (("figure3", {"repeated": {"before": [first]}}), ("figure4", {"parts": first})):
        fakes = [FakeRun(e, more={"seconds": 1.0, "parts": now} | (more if e.method == "L_B" else {}))
                 for e in experiments(item, "mini", (0,))]  # fmt: skip
        make(item)
        write_record(item, "mini", (0,), {}, fakes, 1.0)  # type: ignore[arg-type]
    assert status("figure4", "mini").state == "done"
    other = next(e for e in experiments("splits", "mini", (0,)) if e.method == "L_B")  # of the same kind
    left = paths.runs() / ".repeat" / short_hash(now) / FakeRun(other).id / "provenance.json"
    left.parent.mkdir(parents=True)
    left.write_text("{}")
    make("splits")
    assert status("figure4", "mini").state == "stale"


def test_only_code_that_can_change_a_number_counts(tmp_path: Path) -> None:
    package = tmp_path / "sakerepro"
    shutil.copytree(Path(sakerepro.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    ask = "import json; from sakerepro.provenance import code_parts; print(json.dumps(code_parts()))"

    def parts() -> dict[str, str]:
        done = tiny.python("-P", "-c", ask, PYTHONPATH=str(tmp_path))
        return json.loads(done.stdout)

    before, losses = parts(), package / "losses.py"
    text = losses.read_text(encoding="utf-8")
    assert {"losses", "training", "model", "data.world", "metrics", "semantics"} <= set(before)
    assert not {"plots", "claims", "results", "__main__", "status", "measures"} & set(before)
    changed = re.sub(r'"""', '"""Said in other words. ', text, count=1) + "\n# a comment\n"
    losses.write_text(changed, encoding="utf-8")
    assert parts() == before
    losses.write_text(text + "\nEXTRA = 1\n", encoding="utf-8")
    after = parts()
    assert {m for m in before if after[m] != before[m]} == {"losses"}


def test_the_code_is_that_of_the_start(tmp_path: Path) -> None:
    """What is edited or committed while a run trains made none of its numbers."""
    package = tmp_path / "sakerepro"
    shutil.copytree(Path(sakerepro.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    code = """if True:
        import json
        from pathlib import Path
        from sakerepro import provenance
        said = [provenance.edited()]
        losses = Path(provenance.__file__).with_name("losses.py")
        losses.write_text(losses.read_text() + "EXTRA = 1")
        print(json.dumps([*said, provenance.edited(), provenance.commit()[1], provenance.code_parts()]))
    """
    done = tiny.python("-P", "-c", code, PYTHONPATH=str(tmp_path))
    before, after, dirty, parts = json.loads(done.stdout)
    assert (before, after, dirty) == (False, True, True) and parts == code_parts()
    assert "EXTRA" in (package / "losses.py").read_text()


def test_the_command_shows_every_item(capsys: pytest.CaptureFixture[str]) -> None:
    edit(make("cost"), "made", "finished", value=time.time() - 3 * 86400)
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if " missing" in line]) == 3 * len(ITEMS) - 1
    assert any(re.match(r"cost +mini +done +\w+\+? +3 d", line) for line in lines)
    assert main(["status", "--preset", "mini", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [f["item"] for f in found] == list(ITEMS) and {f["preset"] for f in found} == {"mini"}
    assert main(["status", "--preset", "huge"]) == 2
    assert "huge" in capsys.readouterr().err


# REPRODUCING.md


def test_report_without_results_says_so() -> None:
    text = report()
    for claim in all_claims().values():
        assert text.count(f"| `{claim.id}` |") == 1
    count = len(all_claims())
    for preset in ("mini", "small", "paper"):
        assert f"| `{preset}` | 0 | 0 | 0 | {count} |" in text
        assert f"### `{preset}`\n\nNothing was run." in text
    assert text.count("not run; estimate: ") == len(ITEMS) + 1
    assert "holds**" not in text


def test_report_shows_what_was_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.status.memory_gib", lambda: 0.5)  # that of the process that runs the tests
    for item in ("table5", "figure3", "figure4"):
        make(item)
    text = report()
    assert text == report()
    assert "| `table5.sbir-peak` |" in text and "[mini](" not in text  # results lie elsewhere here
    row = next(line for line in text.splitlines() if line.startswith("| `table5` |"))
    # five runs of 90 s and a notebook of 12 s
    assert "7.7 min, 1.5 GiB of memory, 10 MiB of disk; 5 runs, 1 seed" in row
    together = next(line for line in text.splitlines() if line.startswith("| all |"))
    assert "8.1 min; 5 runs (3 of 12 items)" in together  # SAKE and L_B once, three notebooks
    claims = results.claims("table5", rows_frame([]))  # the paper's side does not need runs
    peak = next(v for v in claims.verdicts if v.claim.id == "table5.sbir-peak")
    assert peak.row[3] in text.replace("\\<", "<")
    assert "- `figure3.mostly-right`: not run: " in text and "- `table1`: the whole item." in text
    counted = re.search(r"\| `mini` \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|", text)
    assert (
        counted and sum(map(int, counted.groups())) == len(all_claims()) and int(counted.group(4)) < len(all_claims())
    )
    (paths.results("mini") / "choices.md").write_text("# What was tried\n\nNothing.\n")
    assert report().count("## What was tried\n\nNothing.") == 1 and "### Table 5: mAP@all by" not in report()
    assert write_report(tmp_path / "R.md").read_text(encoding="utf-8") == report()


def test_an_item_is_judged_in_the_precision_that_it_was_made_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    make("cost", "small")
    assert status("cost", "small").state == "done"
    monkeypatch.delenv("SAKEREPRO_PRECISION")
    assert status("cost", "small").state == "done"
    make("length", "small")
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    assert status("length", "small").state == "done"
    edit(record_file("cost", "small"), "precision", value="")
    runs = len(experiments("cost", "small", (0,)))
    assert f"{2 * runs} runs are of other settings" in status("cost", "small").why  # those and these


def test_report_links_results_of_the_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path))
    make("cost")
    assert f"[mini]({paths.results('mini').relative_to(tmp_path).as_posix()}/cost.ipynb)" in report()
