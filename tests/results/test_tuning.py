"""tune: seeded trials on seen classes alone, one file for all methods, a command whose flags train what it chose."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tiny
from PIL import Image

import sakerepro as sr
from sakerepro import experiment, methods
from sakerepro.__main__ import main, parser
from sakerepro.commands.runs import settings
from sakerepro.data.registry import load_dataset
from sakerepro.experiment import Experiment, StandIns
from sakerepro.results import tuning
from sakerepro.results.jobs import default_jobs
from sakerepro.results.tuning import NUMBERS, read_trials, trial_experiments, tune, tuning_file
from sakerepro.runs import experiment_data, map_all, run

TRAINABLE = [*methods.METHODS, "L_B", "L_B + L_T"]


@pytest.fixture
def data(tiny_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the tiny task's folder, and the preset "tiny" on it, with one of four seen classes held out."""
    folder = Path(shutil.copytree(tiny_place / "data", tmp_path / "data"))
    own = tiny.settings(folder, tiny_place / "se_resnet_mini.safetensors", dim=64, bits=(64,), epochs=1, steps=2)
    monkeypatch.setitem(experiment.PRESETS, "tiny", own | {"lr_end": 1e-5, "select": "last"})
    monkeypatch.setitem(experiment.STANDS_FOR, "tiny", StandIns(data={"tuberlin/long": {"pseudo_unseen": 1}}))
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[Experiment]:
    """Runs are made in this process; those that were asked for."""
    experiments_asked_for: list[Experiment] = []

    def make(experiments: list[Experiment], *where: object) -> None:
        experiments_asked_for.extend(experiments)
        for e in experiments:
            run(e)

    monkeypatch.setattr(tuning, "make_runs", make)
    return experiments_asked_for


@pytest.mark.parametrize("method", TRAINABLE)
@pytest.mark.parametrize("name", ["mini", "small", "paper"])
def test_every_method_has_its_trials_the_preset_first_and_only_its_own_settings_change(method: str, name: str) -> None:
    pairs = {"pairs": "class"} if name == "mini" and method in ("CVAE", "CAAE") else {}  # the world has no aligned ones
    trials, usual = trial_experiments(method, name, 6), methods.preset(name, method=method, **pairs)
    assert trial_experiments(method, name, 6, backbone="resnet50") == [e.but(backbone="resnet50") for e in trials]
    assert len(set(trials)) == 6 == len({e.id for e in trials})
    assert trials[0] == usual.but(pseudo_unseen=trials[0].pseudo_unseen) and trials[0].pseudo_unseen > 0
    tried = {k for k, s in methods.class_of(usual.method).settings.items() if s.search}
    rates = set() if "features" in methods.class_of(usual.method).needs else {"lr", "lr_end", "epochs"}
    for e in trials[1:]:
        changed = {k for k, v in methods.flat(e).items() if v != methods.flat(trials[0])[k]}
        assert changed and changed <= tried | rates
        assert e.lr / e.lr_end == pytest.approx(usual.lr / usual.lr_end) and methods.label(e) == method


def test_a_grid_holds_the_default_and_values_that_the_setting_allows(cli: Callable[..., Any]) -> None:
    said = cli("methods").out
    every = ((name, s) for method in methods.METHODS for name, s in methods.class_of(method).settings.items())
    for name, s in every:
        if s.search:
            assert s.default in s.search and f"[{s.default}]; tune tries {', '.join(map(str, s.search))}\n" in said
            assert [s.check(name, v) for v in s.search] == [*s.search] == sorted(set(s.search))


@pytest.mark.parametrize("method", ["SAKE", "SAE"])
def test_a_trial_depends_on_seed_and_number_alone(method: str) -> None:
    nine = trial_experiments(method, "small", 9, seed=3)
    assert all(trial_experiments(method, "small", n, seed=3) == nine[:n] for n in range(1, 9))
    other = [e.but(seed=3) for e in trial_experiments(method, "small", 9, seed=4)]
    assert other[0] == nine[0] and other != nine
    assert {e.pseudo_unseen for e in nine} == {20} and {e.class_seed for e in nine} == {0}


def test_what_is_given_is_the_same_in_every_trial() -> None:
    trials = trial_experiments("SAKE", "small", 6, lambda_sake=0.3, epochs=2, pseudo_unseen=5)
    assert len(set(trials)) == 6 == len({e.lr for e in trials})
    assert {(methods.setting(e, "lambda_sake"), e.epochs, e.pseudo_unseen) for e in trials} == {(0.3, 2, 5)}


@pytest.mark.parametrize(("trials", "said"), [(0, "trials=0"), (True, "trials=True"), (10, "SAE has 9 .* 1 ... 9")])
def test_a_number_of_trials_that_is_not_possible_is_refused(trials: int, said: str) -> None:
    with pytest.raises(sr.ConfigError, match=said):
        sr.tune("SAE", "small", trials)


def test_what_cannot_be_chosen_for_is_named(cli: Callable[..., Any]) -> None:
    for arguments, said in (
        (["--method", "pretrained"], "pretrained has 1 different ones"),
        (["--method", "SAQE"], "'SAKE'"),
        (["--method", "SAE", "--preset", "smal"], "'small'"),
        (["--method", "SAE", "--seed", "-1"], "seed = -1"),
        (["--method", "SAE", "--jobs", "0"], "jobs=0"),
        (["--method", "SAE", "--trials", "-2"], "trials=-2"),
    ):
        assert said in cli("tune", *arguments, code=2).err


def test_the_command_shows_keeps_and_finds_its_trials(data, here, cli):
    command = ["tune", "--method", "SAE", "--preset", "tiny", "--trials", "3"]
    said, file = cli(*command).out, tuning_file("tiny")
    lines, wanted = pd.read_csv(file, keep_default_na=False), trial_experiments("SAE", "tiny", 3)
    assert here == wanted and lines["run"].tolist() == [e.id for e in wanted]
    assert lines["trial"].tolist() == [0, 1, 2] and lines["settings"][0] == ""
    assert set(lines["data"]) == {"data/unseen.txt-pseudo0"}
    for e, line in zip(wanted, lines.to_dict("records"), strict=True):
        by = {
            (m["task"], m["representation"]): m["value"]
            for m in run(e).metrics()
            if (m["metric"], m["convention"]) == ("mAP@all", "standard")
        }
        assert (line["ZS-SBIR"], line["ZS-PBIR"]) == (by["ZS-SBIR", "3-d"], by["ZS-PBIR", "3-d"])
        assert line["ZS-SBIR 64-bit"] == ""  # of three seen classes: no longer codes than features
        assert e == trial_experiments("SAE", "tiny", 3)[line["trial"]]
    best = wanted[int(lines.sort_values("ZS-SBIR", ascending=False, kind="stable")["trial"].iloc[0])]
    (train,) = (line.split("sakerepro ")[1] for line in said.splitlines() if " sakerepro train " in line)
    flags = shlex.split(train)
    given = parser(flags).parse_args(flags)
    again = methods.preset(given.preset, **settings(given))
    assert again == best.but(pseudo_unseen=0) and "held out as if unseen" in said and "the preset's own" in said

    here.clear()
    before = file.read_bytes()
    assert main(command) == 0 and not here and file.read_bytes() == before
    assert main([*command[:-1], "2"]) == 0 and file.read_bytes() == before  # fewer trials take no line away


def test_the_best_trial_is_confirmed_on_unseen_classes(data, here, cli):
    trials = tune("L_B", "tiny", 2)
    best = trial_experiments("L_B", "tiny", 2)[trials["trial"][0]]
    here.clear()
    out = cli("tune", "--method", "L_B", "--preset", "tiny", "--trials", "2", "--confirm", "0,3").out
    assert "data/unseen.txt" in out and here == [best.but(pseudo_unseen=0, seed=seed) for seed in (0, 3)]
    lines = pd.read_csv(tuning_file("tiny"), keep_default_na=False)
    confirmed = lines[lines["data"] == "data/unseen.txt"]
    assert confirmed["run"].tolist() == [e.id for e in here] and len(lines) == 4
    assert set(confirmed["trial"]) == {trials["trial"][0]} and confirmed["seed"].tolist() == [0, 3]
    for e, line in zip(here, confirmed.to_dict("records"), strict=True):
        assert line["ZS-SBIR"] == map_all(run(e))["ZS-SBIR", "64-d"]
    with pytest.raises(sr.ConfigError, match="confirm"):
        tune("L_B", "tiny", 2, confirm=[-1])


def test_a_folder_and_network_of_ones_own_are_tuned_on(data, here, cli, monkeypatch):
    monkeypatch.chdir(data.parent)
    data.rename("mine")
    weights = data.parent / "weights.safetensors"
    shutil.copy(methods.preset("tiny").weights, weights)
    command = ["tune", "--preset", "tiny", "--trials", "2", "--lambda1", "0.5", "--lr", "0.002"]
    flags = ["--dataset", "mine", "--backbone", "cse_se_resnet_mini", "--weights", weights.name]
    out = cli(*command, *flags).out
    assert {e.dataset for e in here} == {str(data.parent / "mine")} and {e.weights for e in here} == {str(weights)}
    (train,) = (shlex.split(line) for line in out.splitlines() if " sakerepro train " in line)
    again = methods.preset("tiny", **settings(parser(train[1:]).parse_args(train[1:])))
    assert again.but(pseudo_unseen=1) in here and (again.lr, again.backbone) == (0.002, "cse_se_resnet_mini")
    lines = pd.read_csv(tuning_file("tiny"), keep_default_na=False)
    assert set(lines["data"]) == {"mine/pseudo0"}
    assert lines["settings"].str.startswith("backbone=cse_se_resnet_mini, ").all()
    here.clear()
    shutil.rmtree(sr.paths.runs())
    assert main([*command, *flags]) == 0 and len(here) == 2  # a line does not know the images of a folder
    assert "9 pseudo-unseen of 4 seen classes" in cli(*command, *flags, "--pseudo-unseen", "9", code=2).err


def test_two_searches_at_once_keep_the_lines_of_both(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(file: Path) -> pd.DataFrame:
        lines = read_trials(file)
        time.sleep(0.2)
        return lines

    monkeypatch.setattr(tuning, "read_trials", slow)
    names, file = ["SAKE", "L_B", "DSH"], tuning_file("mini")
    frames = [pd.DataFrame([tuning._line(0, methods.preset("mini", method=name), {})]) for name in names]
    tuning._save(file, frames[0])
    with ThreadPoolExecutor() as threads:
        [*threads.map(lambda frame: tuning._save(file, frame), frames[1:])]
    assert sorted(read_trials(file)["method"]) == sorted(names)


def test_the_lines_of_methods_and_seeds_stand_beside_each_other(data: Path, here: list[Experiment]) -> None:
    one = tune("SAKE", "tiny", 2)
    assert np.isfinite(one[[*NUMBERS]]).all(axis=None) and one["ZS-SBIR"].is_monotonic_decreasing
    before = tuning_file("tiny").read_text().splitlines()
    tune("L_B", "tiny", 1)
    tune("SAKE", "tiny", 1, seed=1)
    after = tuning_file("tiny").read_text().splitlines()
    assert len(after) == 5 and set(before) < set(after)
    lines = pd.read_csv(tuning_file("tiny"))
    assert list(zip(lines["method"], lines["seed"], lines["trial"], strict=True)) == [
        ("L_B", 0, 0),
        ("SAKE", 0, 0),
        ("SAKE", 0, 1),
        ("SAKE", 1, 0),
    ]
    lines["ZS-SBIR"] = 0.25  # as another machine measured it
    lines.to_csv(tuning_file("tiny"), index=False)
    tune("SAKE", "tiny", 2)
    new = pd.read_csv(tuning_file("tiny"))["ZS-SBIR"]
    assert new[[0, 3]].tolist() == [0.25, 0.25] and sorted(new[[1, 2]]) == sorted(one["ZS-SBIR"])
    tuning_file("tiny").write_text("<<<<<<< HEAD\nmethod,trial\n")
    with pytest.raises(sr.DataError, match="tuning.csv: these are not trials"):
        tune("SAKE", "tiny", 2)


@pytest.mark.parametrize("method", ["SAKE", "SAE"])
def test_no_trial_depends_on_an_unseen_class(method, data, here, monkeypatch):
    """Held out are seen classes, also for the run below frozen features; other images of unseen ones change nothing."""
    split = load_dataset(str(data), "unseen.txt", size=32)
    trials = tune(method, "tiny", 2)
    experiments = [r.experiment for r in sr.all_runs()]
    assert {methods.label(e) for e in experiments} == {method, *({"L_B"} if method == "SAE" else ())}
    for e in experiments:
        held = experiment_data(e)
        assert held.unseen and {*held.seen, *held.unseen} == {*split.seen}
        names = {n for images in (held.query, held.gallery, held.train_photo) for n in images.names}
        assert not names & {*split.query.names, *split.gallery.names}
    rng = np.random.default_rng(0)
    for name in split.unseen:
        for file in data.glob(f"*/{name}/*.png"):
            Image.fromarray(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file)
    shutil.rmtree(sr.paths.runs())
    monkeypatch.setenv("SAKEREPRO_RERUN", "1")
    pd.testing.assert_frame_equal(tune(method, "tiny", 2), trials)
    assert experiment_data(experiments[0]).fingerprint != held.fingerprint  # the images are others indeed


def test_a_trial_that_fails_has_no_numbers_and_comes_last(data, monkeypatch, cli):
    def make(experiments: list[Experiment], *where: object) -> None:
        for e in made:
            run(e)
        raise sr.RunError("loss is nan")

    monkeypatch.setattr(tuning, "make_runs", make)
    made: list[Experiment] = []
    with pytest.raises(sr.RunError, match="loss is nan"):
        tune("SAE", "tiny", 2)
    made = trial_experiments("SAE", "tiny", 2)[1:]
    said = cli("tune", "--method", "SAE", "--preset", "tiny", "--trials", "2")
    assert "loss is nan" in said.err and "Best is trial 1 of 2" in said.out
    lines = pd.read_csv(tuning_file("tiny"))
    assert np.isnan(lines["ZS-SBIR"][0]) and np.isfinite(lines["ZS-SBIR"][1])


def test_a_trial_that_is_gone_is_known_by_its_line(data, here, monkeypatch):
    trials = tune("SAE", "tiny", 2)
    here.clear()
    before = tuning_file("tiny").read_bytes()
    shutil.rmtree(sr.paths.runs())
    pd.testing.assert_frame_equal(tune("SAE", "tiny", 2), trials)
    assert not here and tuning_file("tiny").read_bytes() == before
    tune("SAE", "tiny", 3)
    assert here == trial_experiments("SAE", "tiny", 3)[2:]  # the line that is missing is trained
    here.clear()
    tuning_file("tiny").write_text(tuning_file("tiny").read_text().replace(",1,", ",0,"))  # of another version
    tune("SAE", "tiny", 2)
    assert len(here) == 2
    here.clear()
    shutil.rmtree(sr.paths.runs())
    monkeypatch.setenv("SAKEREPRO_RERUN", "1")
    tune("SAE", "tiny", 1)
    assert len(here) == 1


def test_trials_are_made_several_at_a_time(data, monkeypatch, capsys):
    """By the processes of test_jobs.py."""
    calls: list[tuple[object, ...]] = []
    monkeypatch.setattr(tuning, "make_runs", lambda *given: calls.append(given))
    for more in ([], ["--jobs", "3"]):
        main(["tune", "--method", "SAE", "--preset", "tiny", "--trials", "2", *more])
        assert "0 of 2 trials are there" in capsys.readouterr().out
    wanted = trial_experiments("SAE", "tiny", 2)
    assert calls == [(wanted, (), jobs, "local", "auto") for jobs in (default_jobs(), 3)]
