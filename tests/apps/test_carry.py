"""A data set and its weights in one file: what is read from it is what went in."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
import tiny
from data_room import sketchy_like
from safetensors.numpy import load_file

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.apps.carry import carry
from sakerepro.data import places
from sakerepro.data.registry import load_dataset
from sakerepro.errors import DataError
from sakerepro.experiment import PRESETS
from sakerepro.networks.weights import weights_file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small Sketchy with a preset and the weights of its network, and no other data."""
    monkeypatch.setitem(PRESETS, "own", {"dataset": "sketchy", "backbone": "cse_se_resnet_mini"})
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path / "nowhere"))
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path / "real"))
    sketchy_like(tmp_path / "real" / "Sketchy")
    tiny.write_weights(tmp_path / "real" / "weights" / "se_resnet_mini.safetensors")
    return tmp_path


def test_a_file_stands_for_the_folder(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_dataset("sketchy", size=12, progress=False)
    weights = load_file(weights_file("se_resnet_mini"))
    assert main(["data", "pack", "sketchy", "--size", "12", "--to", str(place / "carried.zip")]) == 0
    (place / "real").rename(place / "hidden")
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place / "carried.zip"))
    data = load_dataset("sketchy", size=12, progress=False)
    assert (data.seen, data.unseen) == (before.seen, before.unseen)
    assert (data.gallery.names, data.query.names) == (before.gallery.names, before.query.names)
    assert any(n.startswith("EXTEND") for n in data.gallery.names)
    sketches = [d.query.take(np.arange(len(d.query))).astype(int) for d in (before, data)]
    assert np.abs(sketches[0] - sketches[1]).max() <= 9  # 16 levels of grey
    carried = load_file(weights_file("se_resnet_mini"))
    assert carried.keys() == weights.keys()
    for name, value in carried.items():
        assert value.dtype == (np.float16 if value.ndim > 1 else weights[name].dtype)
        np.testing.assert_allclose(value, weights[name], rtol=1e-3, atol=1e-6)


def test_it_is_unpacked_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(carry("sketchy", place / "c.zip", 8)))
    assert not any(name.endswith((".pkl", ".pt", ".npy")) for name in zipfile.ZipFile(place / "c.zip").namelist())
    first = places.data_places()[0]
    (first / "mark").touch()
    assert places.data_places()[0] == first and (first / "mark").exists() and first.is_relative_to(paths.cache())


def test_a_damaged_one_is_one_clear_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "bad.zip").write_bytes(b"no archive")
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(place / "bad.zip"))
    with pytest.raises(DataError, match="bad.zip: is damaged"):
        places.data_places()
