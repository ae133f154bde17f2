"""The small teachers of mini ship with the package; any other is trained here."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file

from sakerepro import paths, teachers
from sakerepro.errors import RunError
from sakerepro.experiment import preset
from sakerepro.files import read_json, sha256
from sakerepro.networks.architectures import teacher_architecture
from sakerepro.networks.backbones import build_classifier
from sakerepro.results.items import ITEMS, experiments
from sakerepro.teachers import load_teacher, ship_teacher, shipped_file
from sakerepro.world import classes, load

NEEDED = sorted({teacher_architecture(e.backbone) for item in ITEMS for e in experiments(item)})


@pytest.mark.parametrize("name", NEEDED)
def test_a_shipped_teacher_is_taken_without_drawing_a_picture(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "draw", None)
    state = torch.get_rng_state()
    classifier, wnids, source = load_teacher(preset("mini", backbone=name))
    assert torch.equal(torch.get_rng_state(), state) and not paths.runs().exists()
    record = read_json(shipped_file(name).with_suffix(".json"))
    assert source["sha256"] == sha256(shipped_file(name)) == record["sha256"]
    assert len(wnids) == classifier.head.out_features == len(set(wnids)) and not classifier.training
    assert all(p.dtype == torch.float32 and torch.isfinite(p).all() for p in classifier.parameters())
    assert record["val_top1"] > 10 / len(wnids)  # chance: 1 / classes


def test_they_are_small_and_part_of_the_package() -> None:
    assert sum(shipped_file(n).stat().st_size for n in NEEDED) < 5e6
    settings = tomllib.loads((paths.root() / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert "models/*/*" in settings["sakerepro"]


@pytest.mark.parametrize("changes", [{"size": 32}, {"teacher_epochs": 9}, {"teacher_data": "elsewhere"}])
def test_a_teacher_with_other_settings_is_trained(changes: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "_trained", lambda name, e: ("trained", name))
    assert load_teacher(preset("mini", **changes)) == ("trained", "se_resnet_mini")


def test_a_teacher_of_other_pictures_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teachers, "_trained", lambda name, e: ("trained", name))
    assert load_teacher(preset("mini"))[0] != "trained"
    monkeypatch.setattr(load, "SKETCHES", load.SKETCHES + 1)  # it saw photos only
    assert load_teacher(preset("mini"))[0] != "trained"
    monkeypatch.setattr(load, "PHOTOS", load.PHOTOS + 1)
    assert load_teacher(preset("mini"))[0] == "trained"


def test_a_damaged_one_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for suffix in (".safetensors", ".json"):
        shutil.copy(shipped_file("se_resnet_mini").with_suffix(suffix), tmp_path)
    file = tmp_path / "se_resnet_mini.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    monkeypatch.setattr(teachers, "shipped_file", lambda name: file)
    with pytest.raises(RunError, match="se_resnet_mini.safetensors: is not what `sakerepro teacher` wrote"):
        load_teacher(preset("mini"))


def test_what_is_shipped_is_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, file = tiny.original(), tmp_path / "models" / "resnet_mini.safetensors"
    trained = tiny.randomise(build_classifier("resnet_mini", len(original.wnids)))
    exact = {k: v.clone() for k, v in trained.state_dict().items()}
    monkeypatch.setattr(teachers, "load_original", lambda name, size: original)
    monkeypatch.setattr(teachers, "_train", lambda *_: (trained, [{"epoch": 1, "loss": 1.0, "seconds": 3.0}]))
    monkeypatch.setattr(teachers, "shipped_file", lambda name: file)
    monkeypatch.setattr(classes, "ORIGINAL_WNIDS", original.wnids)
    assert ship_teacher("resnet_mini") == file
    assert {v.dtype for v in load_file(file).values()} == {torch.float16, torch.int64}
    loaded = load_teacher(preset("mini", backbone="resnet_mini"))[0].state_dict()
    assert all(torch.equal(loaded[k], v.half().to(v.dtype) if v.is_floating_point() else v) for k, v in exact.items())
    assert read_json(file.with_suffix(".json"))["history"] == [{"epoch": 1, "loss": 1.0}]  # no seconds
