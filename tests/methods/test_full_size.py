"""Preset paper is real code: every method with its network at 224 px, and runs, on toy images in official layouts."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from data_room import write_official

from sakerepro import methods, runs
from sakerepro.errors import DataError
from sakerepro.methods import preset
from sakerepro.networks.gates import ConditionalSE
from sakerepro.runs import check_settings, experiment_data, start
from sakerepro.training import train

SEEN, UNSEEN = ("airplane", "hedgehog", "door"), ("bat",)
TASKS = {"tuberlin": ("tuberlin", "zeroshot"), **{split: ("sketchy", split) for split in ("zeroshot1", "zeroshot2")}}
SHORT = {"rounds": 2, "fusion_first": 5, "pretraining": 5}  # their sizes stay


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three tasks in their official layouts, and random weights of SE-ResNet-50 and of a small network."""
    place = tmp_path_factory.mktemp("full")
    for task, (name, split) in TASKS.items():
        folder = place / task / {"tuberlin": "TUBerlin", "sketchy": "Sketchy"}[name]
        write_official(folder, name, seen=SEEN, unseen=UNSEEN, per_class=2, size=64, split=split)
        (place / task / "weights").symlink_to(place / "weights")
    for network in ("se_resnet50", "se_resnet_mini"):
        tiny.write_weights(place / "weights" / f"{network}.safetensors", network)
    return place


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is called once; thereafter a copy of what it gave."""
    made: list[Any] = []

    def copied(*arguments: Any, **named: Any) -> Any:
        if not made:
            made.append(make(*arguments, **named))
        return copy.deepcopy(made[0])

    return copied


LOAD_TEACHER, BUILD_STUDENT = once(runs.load_teacher), once(runs.build_student)  # all methods start from the same


# a method sees images, not names of tasks: those that TU-Berlin has no pairs for are tried on Sketchy too
CASES = [(name, "tuberlin") for name in methods.METHODS] + [("SAKE", "zeroshot1"), ("SAKE", "zeroshot2")]
CASES += [(name, "zeroshot1") for name in methods.METHODS if "aligned" in methods.class_of(name).needs]


@pytest.mark.parametrize(("name", "task"), CASES)
def test_two_steps_at_full_size(name, task, place, tmp_path, monkeypatch):
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place / task))
    monkeypatch.setattr(runs, "load_teacher", LOAD_TEACHER)
    monkeypatch.setattr(runs, "build_student", BUILD_STUDENT)
    for folder in ("RUNS", "CACHE"):  # the L_B run below frozen features is made once a task
        monkeypatch.setenv(f"SAKEREPRO_{folder}", str(place / task / folder.lower()))
    settings = methods.class_of(name).settings
    own = {k: v for k, v in SHORT.items() if k in settings}
    small = dict(epochs=1, steps=2, batch_sketch=1, batch_photo=1, photo_queries=0, precision="float32")
    dataset, split = TASKS[task]
    e = preset("paper", dataset=dataset, split=split, method=name, **small, **own)
    data = experiment_data(e)
    if task == "tuberlin" and methods.lacks(e):
        with pytest.raises(DataError, match="tuberlin/zeroshot: aligned pairs need the photo that each sketch"):
            check_settings(e)
        return
    method, _ = start(e, data)
    assert method.backbone.num_features == 2048
    before = {k: v.clone() for k, v in method.student.named_parameters()}
    history = train(method, data, e, tmp_path / "checkpoint.pt")
    assert len(history) == method.epochs and all(np.isfinite(list(row.values())).all() for row in history)
    if name == "SAKE":
        gates = [m for m in method.modules() if isinstance(m, ConditionalSE)]
        assert len(gates) == 16 and all(gate.fc2.weight[:, -1].any() for gate in gates)
        assert method.student.original_head.weight.shape == (1000, 64)
        assert not [k for k, v in method.student.named_parameters() if torch.equal(v, before[k])]  # all of it learns


@pytest.mark.parametrize("task", ["tuberlin", "zeroshot1"])
def test_a_whole_run_over_the_official_layout(task: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a small network."""
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place / task))
    small = dict(backbone="cse_resnet_mini", size=32, epochs=1, steps=1, batch_sketch=2, batch_photo=2, photo_queries=1)
    done = runs.run(preset("paper", dataset=TASKS[task][0], **small))
    data, arrays = done.dataset(), done.embeddings()
    assert (set(data.seen), set(data.unseen)) == (set(SEEN), set(UNSEEN)) and len(data.val_sketch)
    assert done.provenance()["teacher"]["file"] == "se_resnet_mini.safetensors" and done.experiment.method == "SAKE"
    assert {m["task"] for m in done.metrics()} == {"ZS-SBIR", "ZS-PBIR"}
    assert {m["representation"] for m in done.metrics()} == {"64-d", "64-bit"}
    assert all(0 <= m["value"] <= 1 for m in done.metrics())
    assert arrays["gallery"].shape == (len(data.gallery), 64) and np.isfinite(arrays["gallery"]).all()
    assert len(done.history()) == 1 and 0 <= done.history()["val_top1"][0] <= 1
