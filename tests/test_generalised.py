"""Sketches of unseen classes among photos of unseen and seen classes: against loops over full sorts, and by command."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from sakerepro import ITQ, Experiment, evaluation, generalised_metrics
from sakerepro.errors import DataError
from sakerepro.methods.sake import SAKE
from sakerepro.metrics import retrieval_metrics
from sakerepro.runs import Run

DIM, BITS = 8, 8


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """Three unseen and two seen classes around centres; labels of both sides begin at 0."""
    rng = np.random.default_rng(3)
    centres = {"unseen": rng.standard_normal((3, DIM)), "seen": rng.standard_normal((2, DIM))}
    by_name: dict[str, np.ndarray] = {}
    for name, side, n in (
        ("query", "unseen", 20),
        ("gallery", "unseen", 60),
        ("train_photo", "seen", 70),
        ("train_sketch", "seen", 50),
    ):
        labels = np.arange(n) % len(centres[side])
        by_name[name] = (centres[side][labels] + rng.standard_normal((n, DIM))).astype(np.float32)
        by_name[f"{name}_labels"] = labels
    return by_name


def test_labels_of_a_narrow_type_do_not_overflow(arrays: dict[str, np.ndarray]) -> None:
    wide, narrow = dict(arrays), dict(arrays)
    for name in ("query_labels", "gallery_labels"):
        wide[name] = arrays[name] + 125
        narrow[name] = wide[name].astype(np.int8)
    narrow["train_photo_labels"] = arrays["train_photo_labels"].astype(np.int8)
    e = Experiment(dim=DIM, bits=(BITS,))
    assert generalised_metrics(narrow, e) == generalised_metrics(wide, e)


@pytest.mark.parametrize("labels", [-1, 0.5, "ant"])
def test_what_is_no_class_id_is_refused(arrays: dict[str, np.ndarray], labels: object) -> None:
    """A class -1 of the seen ones would be numbered as the last unseen one."""
    given = arrays | {"train_photo_labels": np.full(70, labels)}
    with pytest.raises(DataError, match="train_photo_labels have to be whole numbers from 0 on"):
        generalised_metrics(given, Experiment(dim=DIM, bits=(BITS,)))


@pytest.fixture(scope="module")
def values(arrays: dict[str, np.ndarray]) -> dict[tuple[str, str], float]:
    rows = generalised_metrics(arrays, Experiment(dim=DIM, bits=(BITS, 64)))  # 64 bits do not fit into 8 values
    assert {(r["task"], r["convention"]) for r in rows} == {("GZS-SBIR", "standard")}
    assert len({tuple(sorted(r)) for r in rows}) == 1
    return {(r["representation"], r["metric"]): r["value"] for r in rows}


def test_real_values_equal_a_full_sort(arrays: dict[str, np.ndarray], values: dict[tuple[str, str], float]) -> None:
    photos = np.concatenate([arrays["gallery"], arrays["train_photo"]])
    aps, seen, right = [], {25: [], 100: []}, {25: [], 100: []}
    for x, wanted in zip(arrays["query"], arrays["query_labels"], strict=True):
        score = photos @ x / np.linalg.norm(photos, axis=1)
        relevant = np.concatenate([arrays["gallery_labels"] == wanted, np.zeros(70, bool)])
        aps.append(average_precision_score(relevant, score))
        order = np.argsort(-score)
        for k in seen:
            seen[k].append(np.mean(order[:k] >= 60))
            right[k].append(np.mean(relevant[order[:k]]))
    assert values["8-d", "mAP@all"] == pytest.approx(np.mean(aps), abs=1e-6)
    of_queries = evaluation.generalised_precision(arrays, Experiment(dim=DIM, bits=(BITS,)))
    np.testing.assert_allclose(of_queries["GZS-SBIR/8-d"], aps, atol=1e-6)
    for k in seen:
        assert values["8-d", f"seen@{k}"] == pytest.approx(np.mean(seen[k]), abs=1e-9)
        assert values["8-d", f"P@{k}"] == pytest.approx(np.mean(right[k]), abs=1e-9)


def test_share_of_seen_photos_among_codes_is_expected_over_ties(arrays, values):
    itq = ITQ(bits=BITS, seed=0).fit(np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))
    query, gallery, trained = (
        np.unpackbits(itq.transform(arrays[n]), axis=1) for n in ("query", "gallery", "train_photo")
    )
    shares = []
    for code in query:
        places, seen = 25.0, 0.0
        for distance in range(BITS + 1):
            own, wrong = ((np.sum(side != code, axis=1) == distance).sum() for side in (gallery, trained))
            taken = min(places, own + wrong)
            seen += taken * wrong / (own + wrong) if taken else 0.0
            places -= taken
        shares.append(seen / 25)
    assert values["8-bit", "seen@25"] == pytest.approx(np.mean(shares), abs=1e-12)
    assert not [key for key in values if key[0] == "64-bit"]


def test_rows_carry_the_rules_that_were_measured_by(arrays, monkeypatch):
    worst = functools.partial(retrieval_metrics, ties="worst", convention="sem-pcyc")
    monkeypatch.setattr(evaluation, "retrieval_metrics", worst)
    rows = generalised_metrics(arrays, Experiment(dim=DIM, bits=(BITS,)))
    assert {(r["convention"], r["ties"]) for r in rows} == {("sem-pcyc", "worst")}


def test_more_photos_can_only_hide_the_right_ones(arrays, values):
    alone = retrieval_metrics(arrays["query"], arrays["gallery"], arrays["query_labels"], arrays["gallery_labels"])
    assert values["8-d", "mAP@all"] < alone.map_all
    for name in ("8-d", "8-bit"):
        assert 0 < values[name, "seen@25"] < 1
        assert values[name, "P@25"] + values[name, "seen@25"] <= 1


def test_evaluate_adds_the_task_when_asked(tiny_run: Run, cli: Callable[..., Any]) -> None:
    metrics = json.loads(cli("evaluate", str(tiny_run.folder), "--generalised", "--json").out)["metrics"]
    by_task = {task: [m for m in metrics if m["task"] == task] for task in ("ZS-SBIR", "ZS-PBIR", "GZS-SBIR")}
    assert len(by_task["ZS-SBIR"]) + len(by_task["ZS-PBIR"]) == len(tiny_run.metrics())
    wanted = generalised_metrics(tiny_run.embeddings(), tiny_run.experiment)
    assert [m["value"] for m in by_task["GZS-SBIR"]] == pytest.approx([m["value"] for m in wanted], abs=1e-4)
    assert "seen@" not in cli("evaluate", str(tiny_run.folder)).out


def test_evaluate_ranks_by_the_distance_of_the_method(tiny_run: Run, monkeypatch, cli) -> None:
    monkeypatch.setattr(SAKE, "distance", "euclidean")
    metrics = json.loads(cli("evaluate", str(tiny_run.folder), "--generalised", "--json").out)["metrics"]
    printed = [m["value"] for m in metrics if m["task"] == "GZS-SBIR"]
    x = tiny_run.embeddings(), tiny_run.experiment
    by_method, by_cosine = ([m["value"] for m in generalised_metrics(*x, n)] for n in (tiny_run.network(), None))
    assert printed == pytest.approx(by_method, abs=1e-4) and printed != pytest.approx(by_cosine, abs=1e-4)
