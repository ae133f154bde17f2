"""Preset paper is real code: its network at 224 px, and whole runs over folders in the official layouts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet
from sakerepro.methods import Side, preset
from sakerepro.methods.sake import SAKE
from sakerepro.model import build_student
from sakerepro.networks.gates import ConditionalSE
from sakerepro.runs import run
from sakerepro.semantics import imagenet_wnids
from sakerepro.training import train
from sakerepro.world.files import write_world

SEEN = {"tuberlin": ("airplane", "mouse (animal)", "t-shirt"), "sketchy": ("airplane", "car_(sedan)", "hedgehog")}
UNSEEN = {"tuberlin": ("zebra", "wine-bottle"), "sketchy": ("bat", "door")}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both data sets in their official layouts, four images a class, and random weights of a small network."""
    place = tmp_path_factory.mktemp("data")
    for name, folder in (("tuberlin", "TUBerlin"), ("sketchy", "Sketchy")):
        layout = f"sake-{name}"
        write_world(place / folder, layout=layout, seen=SEEN[name], unseen=UNSEEN[name], per_class=4, size=64)
    tiny.write_weights(place / "weights" / "se_resnet_mini.safetensors")
    return place


def seen_classes(count: int) -> Dataset:
    """So many seen classes with one photo and one sketch each, of four pictures at 224 px."""
    rng = np.random.default_rng(0)
    photos, sketches = (rng.integers(0, 256, (4, 224, 224, c), dtype=np.uint8) for c in (3, 1))
    names = tuple(f"{i}.png" for i in range(count))
    rows, labels = np.arange(count) % 4, np.arange(count)
    photo, sketch = ImageSet(photos, rows, labels, names, PHOTO), ImageSet(sketches, rows, labels, names, SKETCH)
    nothing = sketch.select(np.zeros(0, np.int64))
    return Dataset("x", "x", names, ("u",), sketch, nothing, photo, nothing, replace(nothing, domain=PHOTO), "0")


def test_one_step_of_the_full_network_at_224_px(tmp_path: Path) -> None:
    """220 seen classes, 64-d, one photo and one sketch; every part of the student learns, the teacher does not."""
    teacher = tiny.classifier("se_resnet50", 1000)
    student = build_student("cse_resnet50", dim=64, num_seen=220, teacher=teacher)
    assert student.seen_head.weight.shape == (220, 64) and student.original_head.weight.shape == (1000, 64)
    before = {k: v.clone() for k, v in student.named_parameters()}
    kept = {k: v.clone() for k, v in teacher.state_dict().items()}
    names = ("airplane", "zebra") * 110
    e = preset("paper", epochs=1, steps=1, batch_sketch=1, batch_photo=1, lr=1e-3)
    method = SAKE(e, student, Side(names, teacher, imagenet_wnids()))
    history = train(method, seen_classes(220), e, tmp_path / "c.pt")
    assert len(history) == 1 and np.isfinite(list(history[0].values())).all()
    assert history[0]["loss"] == pytest.approx(history[0]["loss_benchmark"] + history[0]["loss_sake"], rel=1e-4)
    still = [k for k, v in student.named_parameters() if torch.equal(v, before[k])]
    assert not still
    gates = [m for m in student.modules() if isinstance(m, ConditionalSE)]
    assert len(gates) == 16 and all(gate.fc2.weight[:, -1].any() for gate in gates)
    assert tiny.same(teacher.state_dict(), kept)


@pytest.mark.parametrize("name", ["tuberlin", "sketchy"])
def test_a_whole_run_over_the_official_layout(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place))
    changes = {"epochs": 1, "steps": 1, "batch_sketch": 2, "batch_photo": 2, "photo_queries": 2, "size": 32}
    done = run(preset("paper", dataset=name, backbone="cse_resnet_mini", **changes))
    data = done.dataset()
    assert (data.seen, data.unseen) == (SEEN[name], UNSEEN[name])
    sets = data.train_sketch, data.val_sketch, data.train_photo, data.query, data.gallery
    assert [len(images) for images in sets] == [12, 6, 12, 8, 8]
    assert done.provenance()["teacher"]["file"] == "se_resnet_mini.safetensors" and done.experiment.method == "SAKE"
    assert {m["task"] for m in done.metrics()} == {"ZS-SBIR", "ZS-PBIR"}
    assert {m["representation"] for m in done.metrics()} == {"64-d", "64-bit"}
    assert all(0 <= m["value"] <= 1 for m in done.metrics())
    kept = done.embeddings()
    assert kept["gallery"].shape == (8, 64) and np.isfinite(kept["gallery"]).all()
    assert len(done.history()) == 1 and 0 <= done.history()["val_top1"][0] <= 1
