"""Items ask for the runs that their tables need, share them, and measure what only they show."""

from __future__ import annotations

import itertools
import math
import re
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
import torch
from fakes import FakeRun, embedded, task
from sklearn.metrics import silhouette_score

import sakerepro as sr
from sakerepro import methods, paths, results
from sakerepro.data.augmentation import augment
from sakerepro.data.registry import load_original
from sakerepro.data.splits import photo_queries, random_split
from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.experiment import split_name
from sakerepro.files import lock
from sakerepro.methods import baseline, change, preset, setting
from sakerepro.original import outside_original
from sakerepro.results import cost, items, kept, measures
from sakerepro.results.grids import OTHER_SYSTEMS
from sakerepro.results.items import ITEMS, experiments
from sakerepro.results.paper import LEVELS, TITLES
from sakerepro.results.paper_claims import all_claims
from sakerepro.results.rows import rows_frame
from sakerepro.results.runrows import run_row
from sakerepro.runs import Run, busy
from sakerepro.semantics import imagenet_wnids
from sakerepro.teachers import load_teacher

PRESETS = ("mini", "small", "paper")
TABLES = ("table1", "table2", "table3", "table4", "splits")


def test_every_claim_has_an_item_with_a_notebook_a_target_and_a_title() -> None:
    makefile = (paths.root() / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^ITEMS := (.+)$", makefile, re.MULTILINE)
    assert targets and sorted(targets.group(1).split()) == sorted(ITEMS) and ITEMS == tuple(TITLES)
    assert {claim.item for claim in all_claims().values()} == set(ITEMS)
    for item in ITEMS:
        assert (paths.notebooks() / f"{item}.ipynb").is_file()
        assert re.search(rf"^{item}: ## .", makefile, re.MULTILINE)


@pytest.mark.parametrize("name", PRESETS)
def test_equal_settings_are_one_run_and_different_ones_have_different_names(name: str) -> None:
    every = {item: experiments(item, name, [0, 1]) for item in ITEMS}
    for wanted in every.values():
        assert len(wanted) == len(set(wanted)) > 0
    distinct = set(itertools.chain(*every.values()))
    assert len({e.id for e in distinct}) == len(distinct)
    main = preset(name)
    for item in ("table1", "table2", "table3", "table4", "table5", "figure3", "figure4", "cost"):
        assert main in every[item]
    plain = baseline(main)
    assert all(plain in every[i] for i in ("table1", "table4", "table5", "figure3", "figure4", "cost"))
    assert change(main, lambda2=0.0) in set(every["table3"]) & set(every["table4"])
    assert all(e.preset == name for e in distinct)
    assert {e.seed for e in distinct if not e.epochs} == {0}  # what is not trained is measured once


def test_tables_1_3_4_and_5_share_their_runs() -> None:
    """SAKE, L_B and pretrained at 64-d stand in 1 and 4, SAKE and L_B in 5, SAKE and L_B + L_T in 3."""
    runs = {i: set(experiments(i, "mini")) for i in ("table1", "table3", "table4", "table5")}
    assert [len(of_item) for of_item in runs.values()] == [6, 10, 12, 5]
    assert len(set.union(*runs.values())) == 6 + 9 + 8 + 3
    (sake,) = set.intersection(*runs.values())
    assert sake == preset("mini")
    assert {methods.label(e) for e in runs["table1"] & runs["table4"]} == {"pretrained", "L_B", "SAKE"}
    assert runs["table4"] & runs["table5"] == {sake, baseline(sake)}
    assert runs["table3"] & runs["table4"] == {sake, change(sake, method="L_B + L_T")}


@pytest.mark.parametrize("name", ["mini", "paper"])
def test_grids_are_the_papers(name: str) -> None:
    wanted = {(a, b) for a in (0, 1) for b in (0, 0.1, 0.3, 1, 3)}
    assert {(setting(e, "lambda1"), setting(e, "lambda2")) for e in experiments("table3", name)} == wanted
    assert {setting(e, "lambda_sake") for e in experiments("table5", name)} == {0, 0.1, 0.3, 1, 3}
    table4 = experiments("table4", name)
    assert len(table4) == 12 and len({e.backbone for e in table4}) == 3 and {e.dim for e in table4} == {64}
    codes = {(e.dim, e.bits) for e in experiments("table2", name) if e.dim != 512}
    assert codes == {(b, (b,)) for b in (32, 64, 128)}
    for item, flag in (("splits", False), ("figure5", True)):
        drawn = experiments(item, name)
        assert {e.class_seed for e in drawn} == {0, 1, 2}
        assert {e.outside_original for e in drawn} == {flag}
        assert all(e.random_unseen and e.min_photos == (20 if name == "mini" else 400) for e in drawn)


def test_weights_that_are_missing_are_said_before_anything_is_trained(tiny_experiment, monkeypatch) -> None:
    """Also those of the last run of a table."""
    lacking = tiny_experiment.but(backbone="squeezenet1_1", weights="", freeze=0)
    monkeypatch.setattr(items, "experiments", lambda *_: [tiny_experiment.but(seed=5), lacking])
    monkeypatch.setattr(items, "run", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(DataError, match="The pretrained weights of squeezenet1_1 are missing"):
        items.item_runs("table4", "mini")


def fake_rows(item: str, name: str, value: float = 0.4):
    """A row for everything that the runs of an item would measure."""
    rows = []
    for e in experiments(item, name):
        features = [f"{e.dim}-d", *(f"{b}-bit" for b in e.bits if b <= e.dim)]
        metrics = ("mAP@all", "mAP@200", "P@100", "P@200")
        for kind, f, metric in itertools.product(("ZS-SBIR", "ZS-PBIR"), features, metrics):
            variant = results.code_variant(f, e.dim)
            rows.append(run_row(FakeRun(e), metric, value, task=kind, representation=f, variant=variant))
    return rows_frame(rows)


@pytest.mark.parametrize("item", TABLES)
@pytest.mark.parametrize("name, lacks", [("mini", {"sketchy"}), ("small", {"tuberlin"}), ("paper", set())])
def test_the_runs_of_an_item_fill_its_table(item: str, name: str, lacks: set[str]) -> None:
    cells = results.comparison(item, fake_rows(item, name)).cells
    ours = cells[~cells["method"].isin(OTHER_SYSTEMS)]
    not_run = ours[ours["status"] == "not run"]
    if (item, name) == ("table1", "small"):  # 64-d alone
        not_run = not_run[not_run["representation"] != "512-d"]
    assert set(not_run["dataset"]) == (lacks if item in ("table1", "table2") else set())  # those of two data sets
    assert len(ours) > len(not_run)


@pytest.mark.parametrize("item", TABLES)
def test_no_claim_is_left_without_its_runs_at_the_papers_size(item: str) -> None:
    assert "not run" not in set(results.claims(item, fake_rows(item, "paper")).frame()["verdict"])


def test_curves_belong_to_forgetting_with_its_first_seed_and_to_length() -> None:
    traced = items.traced("mini", [3, 4])
    wanted = {*experiments("forgetting", "mini", [3]), *experiments("length", "mini", [3, 4])}
    assert traced == {e for e in wanted if e.epochs}


@pytest.mark.parametrize("name", PRESETS)
def test_length_looks_at_no_unseen_class_and_never_lets_the_rate_decay(name: str) -> None:
    for e in experiments("length", name):
        assert e.pseudo_unseen > 0
        assert e.select == "last"  # what the run itself measures has to be the last epoch
        assert e.lr_end == e.lr and (e.epochs == 0 or e.epochs > preset(name).epochs)


def test_length_reads_first_best_and_last_epoch_off_the_history() -> None:
    history = pd.DataFrame({"epoch": [1, 2, 3], "ZS-SBIR": [0.2, 0.4, 0.3], "loss": [3.0, 2.0, 1.0]})
    e = preset("mini", lr_end=1e-3)
    rows = rows_frame(measures.length_rows([FakeRun(e, epochs=history), FakeRun(e.but(epochs=0))]))
    assert rows.set_index("metric")["value"].to_dict() == {
        "mAP@all after epoch 1": 0.2,
        "mAP@all, mean of the later epochs": pytest.approx(0.35),
        "mAP@all at the best epoch": 0.4,
        "best epoch": 2,
    }
    assert set(rows["task"]) == {"ZS-SBIR"}


def test_what_another_process_makes_comes_last(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, trained = experiments("table5", "mini"), []
    monkeypatch.setattr(items, "check_settings", lambda e: None)
    monkeypatch.setattr(items, "find", lambda e: e if e in trained else None)
    monkeypatch.setattr(items, "run", lambda e, trace=False: trained.append(e) if e not in trained else FakeRun(e))
    paths.runs().mkdir(parents=True)
    with lock(paths.runs() / f".{wanted[1].id}.lock"):
        assert [busy(e) for e in wanted] == [False, True, False, False, False]
        sr.item_runs("table5", jobs=1)
    assert trained == [wanted[0], *wanted[2:], wanted[1]]
    assert not any(busy(e) for e in wanted)


@pytest.mark.parametrize(
    "more, said",
    [
        ({"data": "other"}, "on other images"),
        ({"teacher": {"sha256": "other"}}, "with another teacher"),
        ({"imitated": {"sha256": "other"}}, "imitating another network"),
    ],
)
def test_runs_of_other_images_or_teachers_are_not_compared(monkeypatch, more, said):
    wanted = experiments("table4", "mini")
    changed = wanted[-1]  # of the gated network, as three others
    monkeypatch.setattr(items, "find", lambda e: FakeRun(e))
    monkeypatch.setattr(items, "run", lambda e: FakeRun(e, more=more if e == changed else {}))
    with pytest.raises(RunError, match=f"{changed.id} was made {said} than "):
        sr.item_runs("table4")
    monkeypatch.setattr(items, "run", lambda e: FakeRun(e))
    assert len(sr.item_runs("table4")) == 12


def test_runs_of_a_cpu_and_of_a_gpu_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted, on_gpu = experiments("table4", "mini"), {"accelerator": "NVIDIA H200"}
    runs = {e: FakeRun(e, more=on_gpu) for e in wanted}
    monkeypatch.setattr(items, "find", runs.get)
    monkeypatch.setattr(items, "run", lambda e: runs[e])
    assert len(sr.item_runs("table4")) == 12
    other = runs[wanted[3]] = FakeRun(wanted[3])
    with pytest.raises(RunError, match=f"{other.id} was made on the CPU, but .* was made on a GPU: .*SAKEREPRO_RUNS"):
        sr.item_runs("table4")


@pytest.mark.parametrize("made_on, here", [("NVIDIA H200", None), (None, "NVIDIA H200")])
def test_no_run_is_trained_that_could_not_be_compared(made_on, here, monkeypatch):
    *made, missing = experiments("table5", "mini")
    runs = {e: FakeRun(e, more={"accelerator": made_on}) for e in made}
    monkeypatch.setattr(items, "find", runs.get)
    monkeypatch.setattr(items, "check_settings", lambda e: None)
    monkeypatch.setattr(items, "run", lambda e, trace=False: runs.get(e) or pytest.fail("trained"))
    monkeypatch.setattr(items, "accelerator", lambda: here)
    with pytest.raises(RunError, match=rf"{missing.id} would be made on {'a GPU' if here else 'the CPU'}"):
        sr.item_runs("table5", jobs=1)


# Held-out classes outside the original domain


def test_outside_is_neither_equal_nor_above_nor_below() -> None:
    # horse: above sorrel; umbrella: equal; teddy bear: equal; scissors: none. Names of Sketchy.
    names = ("horse", "scissors", "umbrella", "cup")
    assert outside_original(names, imagenet_wnids(), "sketchy") == ("scissors", "cup")
    assert outside_original(["dog"], ["n02084071"], "mini") == ()
    assert outside_original(["dog"], ["n02088364"], "mini") == ()  # beagle is a dog
    assert outside_original(["cat", "dog"], ["n02118333"], "mini") == ("cat", "dog")  # red fox's genus


def test_held_out_sets_are_drawn_among_what_is_allowed(tiny_data) -> None:
    among = ("cat", "cup", "bear")
    drawn = {random_split(tiny_data, 2, seed, 1, among).unseen for seed in range(20)}
    assert all(set(unseen) < set(among) for unseen in drawn) and len(drawn) == 3
    prints = {random_split(tiny_data, 2, 0, 1, a).fingerprint for a in (None, among, among[:2] + ("pizza",))}
    assert len(prints) == 3
    with pytest.raises(ConfigError, match=r"only 2 of the \d+ classes are allowed to be unseen\. Ask for at most 1\."):
        random_split(tiny_data, 2, 0, 1, ("cat", "cup"))


# Measurements


def noise(rng: np.random.Generator) -> FakeRun:
    """A run on 23 sketches and 60 photos of four classes."""
    names = ("horse", "giraffe", "owl", "swan")
    return embedded(preset("mini"), task(names, np.arange(23) % 4, rng.permutation(np.arange(60) % 4)), rng)


def values(rows) -> dict:
    return {(r.metric, r.task, r.classes): r.value for r in rows}


def test_top_ten_by_a_naive_loop(rng: np.random.Generator) -> None:
    run = noise(rng)
    a, right, shares = run.arrays, [], []
    for q, label in zip(a["query"], a["query_labels"], strict=True):
        cosine = [float(q @ g / np.linalg.norm(q) / np.linalg.norm(g)) for g in a["gallery"]]
        top = [int(a["gallery_labels"][i]) for i in sorted(range(60), key=lambda i: -cosine[i])[:10]]
        right.append(top.count(int(label)) / 10)
        wrong = [c for c in top if c != label]
        if len(wrong) >= 5:
            shares.append(max(wrong.count(c) for c in set(wrong)) / len(wrong))
    rows = [*measures.top_rows([run])]
    measured = values(rows)
    assert measured["P@10", "ZS-SBIR", "all"] == pytest.approx(np.mean(right))
    assert measured["top wrong class@10", "ZS-SBIR", "all"] == pytest.approx(np.mean(shares))
    verdict = results.claims("figure3", rows_frame(rows)).verdicts[0]
    assert (verdict.claim.id, verdict.verdict) == ("figure3.mostly-right", "does not hold")


def test_no_negative_case_no_row() -> None:
    x = np.eye(64, dtype=np.float32)[[0] * 12 + [1] * 12]
    labels = np.repeat([0, 1], 12)
    arrays = {"query": x, "gallery": x, "query_labels": labels, "gallery_labels": labels}
    assert values(measures.top_rows([FakeRun(preset("mini"), arrays)])) == {("P@10", "ZS-SBIR", "all"): 1.0}


def test_clusters_by_class_and_by_domain(rng: np.random.Generator) -> None:
    run = noise(rng)
    run.arrays["query"] += 0.4
    run.arrays["gallery"] += np.eye(6, dtype=np.float32)[run.arrays["gallery_labels"]] * 4
    a = run.arrays
    x, labels = np.concatenate([a["gallery"], a["query"]]), np.concatenate([a["gallery_labels"], a["query_labels"]])
    domain = np.repeat([0, 1], [len(a["gallery"]), len(a["query"])])
    measured, silhouette = values(measures.cluster_rows([run])), partial(silhouette_score, metric="cosine")
    assert measured["silhouette", "clusters", "all"] == pytest.approx(silhouette(x, labels), abs=1e-5)
    gaps = [silhouette(x[labels == c], domain[labels == c]) for c in range(4)]
    assert measured["domain silhouette", "clusters", "all"] == pytest.approx(np.mean(gaps), abs=1e-5)


def test_inside_and_outside_share_the_queries(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    run = noise(rng)
    monkeypatch.setattr(measures, "original_wnids", lambda e: ("n02391049",))  # zebra, and a horse for the test:
    monkeypatch.setattr(measures, "outside_original", lambda names, wnids, dataset: ("giraffe", "swan"))
    asks = photo_queries(run.data)[0].labels
    ap = rng.random(len(asks))
    ap[3] = math.nan  # a query without a relevant photo
    run.arrays["ap/ZS-PBIR/64-d"] = ap
    inside = [v for v, c in zip(ap, asks, strict=True) if c in (0, 2) and not math.isnan(v)]
    outside = [v for v, c in zip(ap, asks, strict=True) if c in (1, 3) and not math.isnan(v)]
    assert values(measures.domain_rows([run])) == pytest.approx(
        {("mAP@all", "ZS-PBIR", "IN"): np.mean(inside), ("mAP@all", "ZS-PBIR", "non-IN"): np.mean(outside)}
    )


def pair(rng: np.random.Generator, class_seed: int, gains: np.ndarray) -> list[FakeRun]:
    """SAKE and L_B on 9 classes of 3 queries each, with these gains."""
    e = preset("mini", random_unseen=9, min_photos=20, outside_original=True, class_seed=class_seed)
    labels, ap = np.repeat(np.arange(9), 3), rng.random(27) / 2
    names = ("horse", "giraffe", "owl", "swan", "ant", "sofa", "pear", "castle", "umbrella")
    data = task(names, labels, labels)
    return [
        FakeRun(e, {"ap/ZS-SBIR/64-d": ap + gains[labels], "query_labels": labels}, data),
        FakeRun(baseline(e), {"ap/ZS-SBIR/64-d": ap, "query_labels": labels}, data),
    ]


def test_three_groups_by_gain(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    gains = np.array([0.3, -0.1, 0.2, 0.5, 0.0, 0.4, -0.2, 0.1, 0.6])
    monkeypatch.setattr(measures, "_confidence", lambda run: list(np.arange(9) / 10))
    monkeypatch.setattr(measures, "original_wnids", lambda e: ("n02391049", "n03001627"))
    runs = [run for seed in (0, 1) for run in pair(rng, seed, gains * (1 - 2 * seed))]
    rows = list(measures.group_rows(runs))
    first = {(r.metric, r.classes): r.value for r in rows if r.split == "outside0"}
    # low: classes 6, 1, 4; medium: 7, 2, 0; high: 5, 3, 8
    assert [first["gain", g] for g in LEVELS] == pytest.approx([-0.1, 0.2, 0.5])
    assert [first["confidence", g] for g in LEVELS] == pytest.approx([11 / 30, 9 / 30, 16 / 30])
    assert {r.split for r in rows} == {"outside0", "outside1"} and {r.method for r in rows} == {"SAKE"}
    frame = measures.class_gains(runs)
    assert len(frame) == 18 and frame["gain"].to_numpy()[9:] == pytest.approx(-gains)
    horse = frame[frame["class"] == "horse"]["LCH"].iloc[0]
    assert horse == pytest.approx(-math.log(3 / 38), abs=1e-6)  # horse and zebra are both equines: two edges
    verdicts = results.claims("figure5", rows_frame(rows))
    assert all(v.decides.n == 2 for v in verdicts.verdicts)


def test_a_gain_needs_its_baseline(rng: np.random.Generator) -> None:
    sake, baseline = pair(rng, 0, np.zeros(9))
    other = FakeRun(baseline.experiment.but(seed=1))
    with pytest.raises(ConfigError, match="no run with L_B"):
        measures.pairs([sake, other])
    with pytest.raises(ConfigError, match="None of these runs is one of SAKE"):
        measures.class_gains([other])


@pytest.mark.parametrize(
    ("changes", "said"), [({"lambda2": 3.0}, "lambda2=3"), ({"backbone": "resnet_mini"}, "resnet_mini")]
)
def test_a_gain_is_not_averaged_over_settings(changes, said, rng):
    runs = pair(rng, 0, np.zeros(9))
    other = change(runs[0].experiment, **changes)
    others = [FakeRun(other, runs[0].arrays, runs[0].data), FakeRun(baseline(other), runs[1].arrays, runs[1].data)]
    with pytest.raises(ConfigError, match=f"{said}.* are mixed; a mean is over seeds"):
        measures.class_gains([*runs, *others])


def test_codes_of_long_features(rng: np.random.Generator) -> None:
    arrays = {
        "train_photo": rng.normal(size=(90, 40)).astype(np.float32),
        "query": rng.normal(size=(9, 40)),
        "train_sketch": rng.normal(size=(50, 40)).astype(np.float32),
        "gallery": rng.normal(size=(31, 40)),
        "query_labels": np.arange(9) % 3,
        "gallery_labels": np.arange(31) % 3,
    }
    run = FakeRun(preset("mini", dim=40, bits=(16,), seed=2), arrays)
    (row,) = measures.code_rows([run], (8, 16))
    itq = sr.ITQ(bits=8, seed=2).fit(np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))
    codes = (itq.transform(arrays[name]) for name in ("query", "gallery"))
    want = sr.retrieval_metrics(*codes, arrays["query_labels"], arrays["gallery_labels"], distance="hamming").map_all
    assert (row.representation, row.variant, row.value) == ("8-bit", "40-d to bits", pytest.approx(want))


def test_rows_say_where_they_are_from() -> None:
    e = preset("mini", random_unseen=12, class_seed=2, seed=5)
    row = run_row(FakeRun(e), "mAP@all", 0.5)
    assert (row.split, row.seed, row.run, row.method, row.representation) == ("random2", 5, e.id, "SAKE", "64-d")
    assert split_name(preset("mini")) == "zeroshot"
    assert split_name(preset("mini", pseudo_unseen=4, class_seed=1)) == "zeroshot-pseudo1"
    assert row.settings == ""
    other = preset("mini", lambda1=0.5, batch_photo=9, bits=(32,))
    assert run_row(FakeRun(other), "mAP@all", 0.5).settings == "batch_photo=9, lambda1=0.5"
    assert run_row(FakeRun(baseline(e)), "mAP@all", 0.5).settings == ""  # the method's name says it


# What is kept


def test_kept_is_computed_once_for_equal_inputs(capsys, monkeypatch):
    calls = []

    def compute() -> list[float]:
        calls.append(1)
        return [0.1, 1 / 3]

    first = kept.kept("probe", "a-run", {"weights": "1"}, compute)
    assert "measuring probe of a-run" in capsys.readouterr().err
    assert kept.kept("probe", "a-run", {"weights": "1"}, compute) == first == [0.1, 1 / 3]
    assert capsys.readouterr().err == ""
    kept.kept("probe", "a-run", {"weights": "2"}, compute)
    kept.kept("clusters", "a-run", {"weights": "1"}, compute)
    assert len(calls) == 3
    monkeypatch.setattr(kept, "MEASURING", 99)
    kept.kept("probe", "a-run", {"weights": "1"}, compute)  # its code changed
    assert len(calls) == 4
    assert sr.all_runs() == []  # what is kept is no run


def test_a_failed_measurement_leaves_nothing_and_a_damaged_one_is_made_anew(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError):
        kept.kept("probe", "a-run", {}, lambda: 1 / 0)
    assert not list(kept.folder().rglob("output.pkl"))
    kept.kept("probe", "a-run", {}, lambda: 1)
    (file,) = kept.folder().rglob("output.pkl")
    file.write_bytes(b"\x80")
    assert kept.kept("probe", "a-run", {}, lambda: 2) == 2
    assert "Exception while loading results" in caplog.text


def test_two_at_once_measure_once(capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        both = pool.map(lambda _: kept.kept("probe", "a-run", {}, lambda: time.sleep(0.3) or time.time()), range(2))
        assert len(set(both)) == 1
    assert capsys.readouterr().err.count("measuring") == 1


def test_cost_of_a_step(tiny_run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "STEPS", 2)
    monkeypatch.setattr(cost, "WARM_UP", 1)
    sake = tiny_run
    plain = FakeRun(baseline(sake.experiment))
    rows = list(cost.cost_rows([sake, plain]))
    costs = cost.measured_cost(sake)
    seconds = {method: side["step"] for method, side in costs.items()}
    ratios = {(r.task, r.metric): r.value for r in rows if r.metric.endswith("relative to L_B")}
    assert ratios["training", "time relative to L_B"] == round(seconds["SAKE"] / seconds["L_B"], 1)
    assert {r.run for r in rows} == {sake.id} and {r.value for r in rows} == set(ratios.values())  # no seconds
    assert min(seconds.values()) > 0 and ratios["test", "time relative to L_B"] > 0
    assert len(list(kept.folder().rglob("output.pkl"))) == 1
    memory = {method: side["bytes"] for method, side in costs.items()}
    assert ratios["training", "memory relative to L_B"] == pytest.approx(memory["SAKE"] / memory["L_B"], abs=5e-4)
    sharing = cost.sides(sake.experiment)
    assert sharing["SAKE"].method.teacher[0] is sharing["L_B"].method.teacher[0]
    student, teacher = sake.network(), load_teacher(sake.experiment)[0]
    parameters = [sum(p.nbytes for p in n.parameters()) for n in (student, teacher)]
    assert memory["L_B"] > 4 * parameters[0]  # itself, its gradient, two moments, and activations
    assert memory["SAKE"] - memory["L_B"] >= parameters[1]  # the teacher
    assert [replace(r, value=0) for r in cost.cost_rows([sake, plain])] == [replace(r, value=0) for r in rows]


def test_rows_of_the_larger_gallery_are_what_is_measured_in_it(tiny_run: Run) -> None:
    frame = sr.item_rows("generalised", [tiny_run]).query("task == 'GZS-SBIR' and representation == '16-d'")
    measured = sr.generalised_metrics(tiny_run.embeddings(), tiny_run.experiment)  # see test_generalised.py
    want = {m["metric"]: m["value"] for m in measured if m["representation"] == "16-d"}
    assert dict(zip(frame["metric"], frame["value"], strict=True)) == want and {"mAP@all", "seen@100"} <= set(want)


def test_a_teacher_is_measured_on_photos_of_its_own_classes(tiny_run: Run, tiny_place: Path, monkeypatch) -> None:
    monkeypatch.setattr(measures, "original_photos", Mock(side_effect=DataError("there are none")))
    assert [*measures.teacher_rows([tiny_run])] == []
    photos = load_original(tiny_place / "original", size=32)
    monkeypatch.setattr(measures, "original_photos", lambda e: photos)
    (row,) = measures.teacher_rows([tiny_run])
    teacher, wnids, _ = load_teacher(tiny_run.experiment)
    x = augment(photos.val.take(range(len(photos.val))), None, 32, mean=teacher.backbone.mean, std=teacher.backbone.std)
    with torch.no_grad():
        logits = teacher(x).numpy()
    shared, right = [w for w in photos.wnids if w in wnids], []
    for one, label_ in zip(logits, photos.val.labels, strict=True):
        if (wnid := photos.wnids[label_]) in shared:
            right.append(max(shared, key=lambda w: one[wnids.index(w)]) == wnid)
    assert 0 < len(shared) < len(photos.wnids) and len(right) < len(logits)
    assert (row.task, row.metric, row.value) == ("teacher", "top-1", pytest.approx(np.mean(right)))
