"""Networks without a linear classifier become teachers by a head that is fitted on photos of the original domain."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sakerepro import paths, teachers
from sakerepro.apps.card import model_card
from sakerepro.data.augmentation import augment
from sakerepro.data.registry import load_original
from sakerepro.embedding import embed
from sakerepro.errors import DataError
from sakerepro.experiment import Experiment
from sakerepro.files import read_json
from sakerepro.methods import change, preset
from sakerepro.networks.backbones import Classifier
from sakerepro.original import original_photos, original_wnids
from sakerepro.runs import open_run, run
from sakerepro.teachers import load_teacher

NETWORKS = {"cse_vit_tiny_patch16_224": 1000, "vit_xsmall_patch16_clip_224": 512, "squeezenet1_1": 1000}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Random weights of each network; those of the CLIP tower end in a projection to 512."""
    place = tmp_path_factory.mktemp("weights")
    return {
        name: str(tiny.write_weights(place / f"{name}.safetensors", name.removeprefix("cse_"), classes))
        for name, classes in NETWORKS.items()
    }


def probed(tiny_place: Path, weights: dict[str, str], name: str) -> Experiment:
    return tiny.experiment(
        tiny_place / "data",
        Path(weights[name]),
        backbone=name,
        teacher_head="probe",
        epochs=1,
        steps=2,
        teacher_data=str(tiny_place / "original"),
    )


@pytest.fixture
def e(name: str, tiny_place: Path, weights: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A run of the network; its head is fitted once for all tests of it."""
    for place in ("RUNS", "CACHE"):
        monkeypatch.setenv(f"SAKEREPRO_{place}", str(Path(weights[name]).with_suffix(f".{place.lower()}")))
    return probed(tiny_place, weights, name)


def features(teacher: Classifier, place: Path) -> tuple[np.ndarray, np.ndarray, torch.Tensor]:
    """Features of the photos that the head is fitted on, their labels, and the teacher's logits."""
    photos = load_original(place / "original", size=32).train
    backbone = teacher.backbone
    x = augment(photos.take(range(len(photos))), None, 32, mean=backbone.mean, std=backbone.std)
    with torch.no_grad():
        return backbone(x, torch.zeros(len(x))).numpy(), photos.labels, teacher(x)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_head_is_scikit_learns(e: Experiment, tiny_place: Path) -> None:
    teacher, wnids, source = load_teacher(e)
    assert set(wnids) == set(tiny.ORIGINAL) and source["original"] == "original"
    x, labels, logits = features(teacher, tiny_place)
    (note,) = paths.runs().glob("teacher-*/teacher.json")
    z = StandardScaler().fit_transform(x.astype(np.float64))
    theirs = LogisticRegression(C=1 / (len(x) * read_json(note)["strength"]), tol=1e-10, max_iter=5000).fit(z, labels)
    np.testing.assert_allclose(logits.softmax(1).numpy(), theirs.predict_proba(z), atol=0.01)
    assert np.mean(logits.argmax(1).numpy() == labels) > 0.5  # chance: 0.2


def test_the_head_is_fitted_once_and_alike(tiny_place, weights, monkeypatch):
    e = probed(tiny_place, weights, "squeezenet1_1")
    first, _, source = load_teacher(e)
    shutil.rmtree(paths.runs())
    again, _, same = load_teacher(e)
    assert tiny.same(first.state_dict(), again.state_dict()) and source == same
    monkeypatch.setattr(teachers, "choose_probe", None)
    stored, _, record = load_teacher(e)
    assert tiny.same(first.state_dict(), stored.state_dict()) and source == record
    with pytest.raises(TypeError):  # other weights: another head
        load_teacher(e.but(weights=str(tiny.write_weights(paths.runs() / "w.safetensors", "squeezenet1_1", 7))))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_run_from_a_fitted_head(name: str, e: Experiment) -> None:
    assert original_wnids(e) == original_photos(e).wnids
    untrained = run(change(e, method="pretrained")).network()
    gallery = run(e).dataset().gallery
    teacher = load_teacher(e)[0]
    x = augment(gallery.take(range(4)), None, 32, mean=teacher.backbone.mean, std=teacher.backbone.std)
    with torch.no_grad():  # of five classes, rank 5: sixteen dimensions lose nothing
        for domain in (0, 1):
            torch.testing.assert_close(untrained.student(x, domain)[1], teacher(x), rtol=1e-3, atol=1e-3)
    opened = open_run(run(e).folder)
    np.testing.assert_allclose(embed(opened.network(), gallery, 32), opened.embeddings()["gallery"], atol=1e-4)
    assert "with a linear head fitted on the photos of original" in model_card(opened)
    with torch.no_grad():
        network = opened.network()
        apart = (network.embed(x, 0) - network.embed(x, 1)).abs().max()
    assert (apart > 1e-4) == name.startswith("cse_")


@pytest.mark.parametrize("name", ["cse_vit_tiny_patch16_224"])
def test_a_vit_trains_behind_frozen_blocks(e: Experiment) -> None:
    e = e.but(freeze=11)
    start, end = (run(one).network().state_dict() for one in (change(e, method="pretrained"), e))
    moved = {k for k in start if not torch.equal(start[k], end[k])}
    blocks = {k.split("blocks.")[1].split(".")[0] for k in moved if "blocks." in k}
    assert blocks == {"11"} and "student.backbone.body.blocks.11.norm1.1.token" in moved


def test_without_photos_one_sentence_says_what_is_needed(tiny_place, weights, own_data):
    words = r"needs labelled photos .*, and imagenet .* is not here: name a folder .* as --teacher-data\.$"
    with pytest.raises(DataError, match=words):
        load_teacher(probed(tiny_place, weights, "squeezenet1_1").but(teacher_data=""))


def test_generated_photos_are_no_ones_original_domain_unasked(tmp_path: Path) -> None:
    folder = str(tiny.write_folder(tmp_path / "mine"))
    assert preset("mini", dataset=folder).teacher_data == "mini"
    assert preset("mini", dataset=folder, teacher_epochs=0, teacher_head="probe").teacher_data == ""
