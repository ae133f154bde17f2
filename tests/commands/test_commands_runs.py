"""evaluate, compare, runs: against the run's own numbers, exact tests by enumeration, damaged and ambiguous runs."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from sakerepro import paths
from sakerepro.apps.compare import EXACT, grouped, paired_tests, sign_flip
from sakerepro.errors import ConfigError, RunError
from sakerepro.files import write_json
from sakerepro.runs import Run, named_run, open_run

NAMES = ("task", "representation", "convention", "metric")


def twin(run: Run, folder: Path, shift: float = 0.0, **changes: object) -> Run:
    """A copy of a run with other settings, and every AP moved by ``shift``."""
    shutil.copytree(run.folder, folder)
    write_json(folder / "experiment.json", run.experiment.but(**changes).to_dict())
    arrays = {k: v + shift if k.startswith("ap/") else v for k, v in run.embeddings().items()}
    np.savez(folder / "embeddings.npz", **arrays)
    origin = run.provenance()
    for name in ("experiment.json", "embeddings.npz"):
        origin["files"][name]["bytes"] = (folder / name).stat().st_size
    write_json(folder / "provenance.json", origin)
    return open_run(folder)


@pytest.mark.parametrize("n", [1, 2, 7, EXACT])
def test_the_sign_flip_test_is_exact_for_few_queries(n: int, rng: np.random.Generator) -> None:
    d = rng.normal(0.3, 1, n).round(1)
    sums = [abs(sum(s * v for s, v in zip(signs, d, strict=True))) for signs in itertools.product((1, -1), repeat=n)]
    want = np.mean([s >= abs(d.sum()) - 1e-9 for s in sums])
    p, how = sign_flip(d)
    assert p == pytest.approx(want, abs=1e-12) and how == "exact"


def test_the_random_sign_flip_test_agrees_with_the_normal_limit_and_repeats(rng: np.random.Generator) -> None:
    from scipy.stats import norm

    d = rng.normal(0.1, 1, 150)
    want = 2 * norm.sf(abs(d.sum()) / np.sqrt((d**2).sum()))
    p, how = sign_flip(d)
    assert p == pytest.approx(want, abs=0.015) and how == "20,000 random flips" and sign_flip(d)[0] == p
    assert sign_flip(np.zeros(20))[0] == 1.0
    assert sign_flip(np.ones(40))[0] == pytest.approx(1 / 20_001)
    with pytest.raises(ConfigError, match="at least one pair"):
        sign_flip(np.zeros(0))


def test_more_than_two_runs_are_grouped_by_their_settings(tiny_run: Run, cli: Callable[..., Any]) -> None:
    shutil.copytree(tiny_run.folder, paths.runs() / "first")
    for seed, value in ((1, 0.5), (2, 0.7)):
        r = twin(tiny_run, paths.runs() / f"seed{seed}", seed=seed)
        set_metrics(r, [m | {"value": value} for m in r.metrics()])
    twin(tiny_run, paths.runs() / "other", lr=5e-3)
    one, other = grouped([open_run(paths.runs() / n) for n in ("first", "seed1", "other", "seed2", "first")])
    assert (one.runs, one.seeds) == (("first", "seed1", "seed2"), (0, 1, 2)) and other.runs == ("other",)
    key = ("ZS-SBIR", "16-d", "standard", "mAP@all")
    value_of_run = next(m["value"] for m in tiny_run.metrics() if tuple(m[k] for k in NAMES) == key)
    assert one.metrics[key] == (value_of_run, 0.5, 0.7) and other.metrics[key] == (value_of_run,)
    out = cli("compare", "first", "seed1", "other", "seed2").out
    assert "A: first and others (3 seeds: 0, 1, 2)" in out and "B: other (seed 0)" in out
    assert f"{np.mean([value_of_run, 0.5, 0.7]):.3f} ({np.std([value_of_run, 0.5, 0.7], ddof=1):.3f})" in out
    assert re.search(rf"^lr +{tiny_run.experiment.lr} +0.005$", out, re.MULTILINE) and "seed " not in out.split("lr")[1]
    out = cli("compare", "first", "seed1", "other", "--json").out
    assert [g["seeds"] for g in json.loads(out)["groups"]] == [[0, 1], [0]]
    assert "needs two runs" in cli("compare", "first", code=2).err


def set_metrics(run: Run, metrics: list[dict[str, Any]]) -> None:
    """Write other metrics, and their length into the provenance."""
    write_json(run.file("metrics.json"), metrics)
    origin = run.provenance()
    origin["files"]["metrics.json"]["bytes"] = run.file("metrics.json").stat().st_size
    write_json(run.folder / "provenance.json", origin)


def test_runs_are_filtered_sorted_and_fit_100_columns(tiny_run: Run, cli: Callable[..., Any]) -> None:
    assert "no finished runs yet" in cli("runs").out
    for name, value in (("a" * 150 + "-000000000001", 0.2), ("b-cat-000000000002", 0.9)):
        r = twin(tiny_run, paths.runs() / name)
        set_metrics(r, [m | {"value": value} for m in r.metrics()])

    def shown(*arguments: str) -> list[str]:
        return cli("runs", *arguments).out.splitlines()

    assert [line.split()[0] for line in shown()[2:]] == ["..." + "a" * 48 + "-000000000001", "b-cat-000000000002"]
    assert max(map(len, shown())) <= 100 and shown()[0].split() == ["ZS-SBIR", "ZS-SBIR", "ZS-PBIR", "ZS-PBIR"]
    assert [line.split()[0][0] for line in shown("--sort", "zs-pbir")[2:]] == ["b", "."]
    assert shown("--sort", "PBIR")[0].split()[0] == "ZS-PBIR"
    assert [line.split()[0] for line in shown("CAT", "sake")[2:]] == ["b-cat-000000000002"]
    assert shown("nothing") == ["No finished run has nothing in its id or method. `sakerepro runs` lists all."]
    assert "--sort mAP: is no column" in cli("runs", "--sort", "mAP", code=2).err
    assert len(json.loads(cli("runs", "cat", "--json").out)["runs"]) == 1


def test_two_runs_side_by_side(my_run: Run, tmp_path: Path, cli: Callable[..., Any]) -> None:
    other = twin(my_run, paths.runs() / "better", shift=0.125, seed=5, lr=5e-3)
    tests, untested = paired_tests(my_run, other)
    assert not untested
    queries = len(my_run.embeddings()["ap/ZS-SBIR/16-d"])
    first = next(t for t in tests if (t.task, t.representation) == ("ZS-SBIR", "16-d"))
    assert (first.queries, first.better, first.worse) == (queries, queries, 0)
    assert first.difference == pytest.approx(0.125) and first.low == pytest.approx(0.125) == first.high
    assert first.p == pytest.approx(2 / 2**queries if queries <= EXACT else 1 / 20_001)
    out = cli("compare", my_run.id, "better").out
    assert f"A: {my_run.id} (seed 0)" in out and "B: better (seed 5)" in out
    assert re.search(rf"^lr +{my_run.experiment.lr} +0.005$", out, re.MULTILINE) and "dataset" not in out
    assert "B - A = +0.1250 mAP" in out and f"over {queries:,} queries" in out
    said = json.loads(cli("compare", my_run.id, "better", "--json").out)
    assert [g["seeds"] for g in said["groups"]] == [[0], [5]] and len(said["tests"]) == len(tests)
    assert "none differs" in cli("compare", my_run.id, my_run.id).out


def test_photos_that_ask_otherwise_are_not_paired(tiny_run: Run) -> None:
    other = twin(tiny_run, paths.runs() / "fewer", photo_queries=tiny_run.experiment.photo_queries - 1)
    arrays = {k: v[:-2] if k.startswith("ap/ZS-PBIR") else v for k, v in other.embeddings().items()}
    np.savez(other.folder / "embeddings.npz", **arrays)
    assert {t.task for t in paired_tests(tiny_run, other)[0]} == {"ZS-SBIR"}
    assert {t.task for t in paired_tests(tiny_run, tiny_run)[0]} == {"ZS-SBIR", "ZS-PBIR"}


def test_runs_on_other_images_are_not_paired(tiny_run: Run) -> None:
    other = twin(tiny_run, paths.runs() / "other")
    note = other.folder / "provenance.json"
    note.write_text(note.read_text().replace(tiny_run.provenance()["data"], "1" * 64))
    assert "other images" in paired_tests(tiny_run, other)[1]
    resized = Run(other.folder, other.experiment.but(size=16))  # of the same data set, as far as anybody can tell
    assert paired_tests(tiny_run, resized)[0]
    elsewhere = Run(other.folder, other.experiment.but(size=16, dataset="another"))
    assert "other images" in paired_tests(tiny_run, elsewhere)[1]
    fewer = {k: v[:-1] if k.startswith("query") else v for k, v in tiny_run.embeddings().items()}
    np.savez(other.folder / "embeddings.npz", **fewer)
    assert "other queries" in paired_tests(tiny_run, other)[1]


def test_evaluate_gives_the_run_s_own_numbers(tiny_run, tiny_place, cli):
    again = json.loads(cli("evaluate", str(tiny_run.folder), "--json").out)
    assert [m["value"] for m in again["metrics"]] == pytest.approx([m["value"] for m in tiny_run.metrics()], abs=1e-4)
    assert "same numbers" in again["note"]
    assert "None of these classes" in cli("evaluate", str(tiny_run.folder), "--photo-queries", "3").out
    data = Path(shutil.copytree(tiny_place / "data", paths.cache() / "data"))
    (data / "unseen.txt").write_text("bear\ncat\n")
    out = cli("evaluate", str(tiny_run.folder), "--dataset", str(data)).out
    assert "Not zero-shot: the run was trained on 1 of these classes (cat)" in out


def test_evaluate_where_all_classes_are_unseen(tiny_run, tiny_place, cli):
    """The same queries and photos in a folder without training images: codes come from the run's own rotation."""
    data = paths.cache() / "other"
    for kind in ("photo", "sketch"):
        for name, other in (("bear", "bear"), ("airplane", "aeroplane")):
            shutil.copytree(tiny_place / "data" / kind / name, data / kind / other)
    (data / "unseen.txt").write_text("bear\naeroplane\n")
    report = json.loads(cli("evaluate", str(tiny_run.folder), "--dataset", str(data), "--json").out)
    values = [m["value"] for m in report["metrics"]]
    assert values == pytest.approx([m["value"] for m in tiny_run.metrics()], abs=1e-4)
    assert {m["representation"] for m in report["metrics"]} == {"16-d", "8-bit"} and "None of these" in report["note"]
    for kind in ("photo", "sketch"):  # another word for the cat, which the run was trained on
        (data / kind / "bear").rename(data / kind / "true cat")
    (data / "unseen.txt").write_text("true cat\naeroplane\n")
    out = cli("evaluate", str(tiny_run.folder), "--dataset", str(data), "--generalised").out
    assert "trained on 1 of these classes (true cat, there cat)" in out and "GZS-SBIR" in out


def test_evaluate_says_so_when_the_numbers_are_others(tiny_run, tmp_path, cli):
    other = Run(Path(shutil.copytree(tiny_run.folder, tmp_path / "run")), tiny_run.experiment)
    first, *rest = tiny_run.metrics()
    set_metrics(other, [first | {"value": (first["value"] + 0.5) % 1}, *rest])
    assert "the largest difference is 0.500, of mAP@all, ZS-SBIR, " in cli("evaluate", str(other.folder)).out


def test_a_run_is_named_by_a_part_of_its_id(tiny_run: Run) -> None:
    for name in ("aa-one", "aa-two"):
        shutil.copytree(tiny_run.folder, paths.runs() / name)
    assert named_run("aa-o").id == "aa-one" == named_run("one").id and named_run("aa-two").id == "aa-two"
    assert named_run(str(tiny_run.folder)).id == tiny_run.id
    with pytest.raises(ConfigError, match="could be aa-one, aa-two"):
        named_run("aa")
    with pytest.raises(ConfigError, match="no finished run 'aa-onne'.*Did you mean 'aa-one'"):
        named_run("aa-onne")
    (paths.runs() / "aa-one/metrics.json").unlink()
    with pytest.raises(RunError, match="metrics.json: is missing"):
        named_run("aa-one")


def test_a_damaged_run_does_not_hide_the_others(tiny_run: Run, cli: Callable[..., Any]) -> None:
    for name in ("whole", "broken"):
        shutil.copytree(tiny_run.folder, paths.runs() / name)
    (paths.runs() / "broken/history.csv").unlink()
    out = cli("runs", code=1).out
    assert "whole " in out and "Damaged: " in out and "broken/history.csv: is missing" in out
    listing = json.loads(cli("runs", "--json", code=1).out)
    assert [r["id"] for r in listing["runs"]] == ["whole"] and len(listing["damaged"]) == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    """``sakerepro runs --json | head -0``."""
    code = """
import os, sys
from sakerepro.__main__ import main
read, write = os.pipe()
os.close(read)
os.dup2(write, 1)
sys.exit(main(["completion", "bash"]))"""
    done = tiny.python("-c", code)
    assert done.returncode == 0 and not any(w in done.stderr for w in ("Traceback", "Exception", "BrokenPipe"))
