"""Every method with the network of the paper at 224 px, on toy images in the official list formats."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from sakerepro import methods, runs
from sakerepro.errors import DataError
from sakerepro.methods import preset
from sakerepro.runs import check_settings, experiment_data, start
from sakerepro.training import train
from sakerepro.world.files import write_world

SEEN, UNSEEN = ("airplane", "hedgehog", "door"), ("bat",)
TASKS = {"tuberlin": ("tuberlin", "zeroshot"), **{split: ("sketchy", split) for split in ("zeroshot1", "zeroshot2")}}
SHORT = {"rounds": 2, "fusion_first": 5, "pretraining": 5}  # their sizes stay


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The three tasks in their official layouts, and random weights of SE-ResNet-50."""
    place = tmp_path_factory.mktemp("full")
    for task, (name, split) in TASKS.items():
        folder = place / task / {"tuberlin": "TUBerlin", "sketchy": "Sketchy"}[name]
        write_world(folder, f"sake-{name}", seen=SEEN, unseen=UNSEEN, per_class=2, size=64, split=split)
        (place / task / "weights").symlink_to(place / "weights")
    tiny.write_weights(place / "weights" / "se_resnet50.safetensors", "se_resnet50")
    return place


def once(make: Callable[..., Any]) -> Callable[..., Any]:
    """A function that is called once; thereafter a copy of what it gave."""
    made: list[Any] = []

    def copied(*arguments: Any, **named: Any) -> Any:
        if not made:
            made.append(make(*arguments, **named))
        return copy.deepcopy(made[0])

    return copied


@pytest.fixture(scope="module", autouse=True)
def one_start() -> Iterator[None]:
    """All methods start from the same pretrained network."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "load_teacher", once(runs.load_teacher))
        patch.setattr(runs, "build_student", once(runs.build_student))
        yield


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", methods.METHODS)
def test_two_steps_at_full_size(
    name: str, task: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place / task))
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
    history = train(method, data, e, tmp_path / "checkpoint.pt")
    assert len(history) == method.epochs and all(np.isfinite(list(row.values())).all() for row in history)
