"""Every method with the network of the paper at 224 px, on toy images in TU-Berlin's lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny

from sakerepro import methods
from sakerepro.errors import DataError
from sakerepro.methods import preset
from sakerepro.runs import experiment_data, start
from sakerepro.training import train
from sakerepro.world.files import write_world

SEEN, UNSEEN = ("airplane", "hedgehog", "door"), ("bat",)
SHORT = {"rounds": 2, "fusion_first": 5, "pretraining": 5}  # their sizes stay


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data set, and random weights of SE-ResNet-50."""
    place = tmp_path_factory.mktemp("full")
    write_world(place / "TUBerlin", "sake-tuberlin", seen=SEEN, unseen=UNSEEN, per_class=2, size=64)
    tiny.write_weights(place / "weights" / "se_resnet50.safetensors", "se_resnet50")
    return place


# test_paper_preset.py trains SAKE
@pytest.mark.parametrize("name", [name for name in methods.METHODS if name != "SAKE"])
def test_two_steps_at_full_size(name: str, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place))
    for folder in ("RUNS", "CACHE"):  # the L_B run below frozen features is made once
        monkeypatch.setenv(f"SAKEREPRO_{folder}", str(place / folder.lower()))
    settings = methods.class_of(name).settings
    own = {k: v for k, v in SHORT.items() if k in settings}
    small = dict(epochs=1, steps=2, batch_sketch=2, batch_photo=2, photo_queries=0, precision="float32")
    e = preset("paper", dataset="tuberlin", method=name, **small, **own)
    data = experiment_data(e)
    if methods.lacks(e):
        with pytest.raises(DataError, match="tuberlin/zeroshot: aligned pairs need the photo that each sketch"):
            start(e, data)
        e = methods.change(e, pairs="class")
    method, aligned, _ = start(e, data)
    assert method.backbone.num_features == 2048
    history = train(method, data, e, tmp_path / "checkpoint.pt", aligned=aligned)
    assert len(history) == method.epochs and all(np.isfinite(list(row.values())).all() for row in history)
