"""A trained network in use: every form of an image gives the embedding that the run has measured with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from fakes import full_disk
from PIL import Image

import sakerepro as sr
from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.model import build_student
from sakerepro.runs import Run


@pytest.fixture(scope="module")
def net(tiny_run: Run) -> sr.Embedder:
    return sr.load(tiny_run)


FORMS: dict[str, Callable[[Path], Any]] = {
    "path": lambda file: file,
    "text": str,
    "PIL": Image.open,
    "uint8": lambda file: np.array(Image.open(file)),
    "RGB": lambda file: np.array(Image.open(file).convert("RGB")),
    "RGBA": lambda file: np.array(Image.open(file).convert("RGBA")),
    "float32": lambda file: np.array(Image.open(file), np.float32) / 255,
    "float64": lambda file: np.array(Image.open(file)) / 255,
    "tensor": lambda file: torch.from_numpy(np.array(Image.open(file))),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_image_has_the_embedding_that_the_run_kept(net: sr.Embedder, tiny_run: Run, form: str) -> None:
    data, arrays = tiny_run.dataset(), tiny_run.embeddings()
    for images, key, embed in ((data.query, "query", net.embed_sketch), (data.gallery, "gallery", net.embed_photo)):
        given = [FORMS[form](Path(tiny_run.experiment.dataset) / name) for name in images.names[:3]]
        many, one = embed(given), embed(given[1])
        assert many.shape == (3, 16) and one.shape == (16,) and many.dtype == one.dtype == np.float32
        np.testing.assert_allclose(many, arrays[key][:3], rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(one, arrays[key][1], rtol=1e-3, atol=1e-4)


def test_a_batch_is_a_list_and_an_empty_list_has_no_rows(net, tiny_run, monkeypatch):
    pixels = tiny_run.dataset().gallery.take(range(5))
    want = tiny_run.embeddings()["gallery"][:5]
    monkeypatch.setattr("sakerepro.apps.embedder.CHUNK", 2)
    for batch in (pixels, torch.from_numpy(pixels), list(pixels), tuple(pixels)):
        np.testing.assert_allclose(net.embed_photo(batch), want, rtol=1e-3, atol=1e-4)
    assert net.embed_photo([]).shape == (0, 16)


def test_an_image_of_another_size_is_stretched(net: sr.Embedder, tiny_run: Run) -> None:
    """As Pillow does it, with antialiasing; the caller's image stays as it is."""
    large = Image.fromarray(tiny_run.dataset().gallery.take([0])[0]).resize((91, 57))
    before = large.tobytes()
    small = np.asarray(large.resize((tiny.SIDE, tiny.SIDE), Image.Resampling.BILINEAR))
    np.testing.assert_allclose(net.embed_photo(large), net.embed_photo(small), rtol=1e-4, atol=1e-5)
    assert large.size == (91, 57) and large.tobytes() == before


def test_a_run_is_named_or_its_folder_or_itself(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_RUNS", str(tiny_run.folder.parent))
    image = tiny_run.dataset().query.take([0])[0]
    want = sr.load(tiny_run).embed_sketch(image)
    for source in (tiny_run.id, tiny_run.id[-8:], tiny_run.folder, str(tiny_run.folder)):
        assert np.array_equal(sr.load(source).embed_sketch(image), want)
    with pytest.raises(ConfigError, match="no finished run 'nothing'"):
        sr.load("nothing")


def test_a_student_is_a_network_too_but_has_no_codes(tiny_run: Run) -> None:
    image = tiny_run.dataset().query.take([0])[0]
    net = sr.load(tiny_run.network().student)
    assert net.size == 224 and net.distance == "cosine" and net.embed_sketch(image).shape == (16,)
    with pytest.raises(ConfigError, match="load a run"):
        net.code_photo(image)


def test_codes_are_the_run_s_own(net: sr.Embedder, tiny_run: Run) -> None:
    arrays = tiny_run.embeddings()
    train = np.concatenate([arrays["train_photo"], arrays["train_sketch"]])
    itq = sr.ITQ(bits=8, seed=tiny_run.experiment.seed).fit(train)
    data = tiny_run.dataset()
    sketches, photos = list(data.query.take(range(4))), list(data.gallery.take(range(4)))
    assert np.array_equal(net.code_sketch(sketches, bits=8), itq.transform(net.embed_sketch(sketches)))
    assert np.array_equal(net.code_photo(photos[0], bits=8), itq.transform(net.embed_photo(photos[:1]))[0])
    assert np.array_equal(net.code_photo(photos), net.code_photo(photos, bits=8))  # what the run was measured with
    shorter = replace(tiny_run, experiment=tiny_run.experiment.but(bits=(64,)))  # than the codes it was to have
    assert sr.load(shorter).code_photo(photos).shape == (4, 2)
    with pytest.raises(ConfigError, match="bits = 64: .* no codes of this length, but multiples of 8 up to 16"):
        net.code_sketch(sketches, bits=64)


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (Path("none.png"), "none.png: cannot be read"),
        (np.zeros((3, 8, 8), np.uint8), r"the image: what has shape \(3, 8, 8\) and type uint8 is no image"),
        (np.zeros((8, 8, 3), np.int64), "type int64 is no image"),
        (np.zeros((0, 8), np.uint8), r"shape \(0, 8\)"),
        (np.full((8, 8), 200.0), "floats from 200 to 200 are no pixels. Scale them"),
        (np.full((8, 8), np.nan), "floats from nan to nan"),
        (None, "type object is no image"),
        ([np.zeros((8, 8), np.uint8), None], r"images\[1\]: what has shape"),
    ],
)
def test_what_is_no_image_is_named(net: sr.Embedder, image: Any, says: str) -> None:
    with pytest.raises(DataError, match=says):
        net.embed_photo(image)


def test_a_blank_sketch_is_refused_and_a_blank_photo_is_not(net: sr.Embedder) -> None:
    white = np.full((9, 9), 255, np.uint8)
    with pytest.raises(DataError, match="the image: is blank"):
        net.embed_sketch(white)
    assert np.isfinite(net.embed_photo(white)).all()


@pytest.mark.slow
def test_a_network_with_frozen_stages_is_exported_for_any_number_of_images(tmp_path):
    """The export itself compares the file's answers with the network's, in batches of two sizes."""
    pytest.importorskip("onnxruntime", reason="pip install 'sakerepro[onnx]'")
    pytest.importorskip("onnxscript", reason="pip install 'sakerepro[onnx]'")
    teacher = tiny.classifier("se_resnet_mini")
    student = build_student("cse_resnet_mini", dim=8, num_seen=4, teacher=teacher, freeze=1).eval()
    sr.export_onnx(sr.Embedder(student, tiny.SIDE), "sketch", tmp_path / "sketch.onnx")
    assert [f.name for f in tmp_path.iterdir()] == ["sketch.onnx"]


@pytest.mark.slow
def test_a_full_disk_is_not_blamed_on_the_network(net, tmp_path):
    pytest.importorskip("onnxruntime", reason="pip install 'sakerepro[onnx]'")
    pytest.importorskip("onnxscript", reason="pip install 'sakerepro[onnx]'")
    net.embed_photo(np.zeros((tiny.SIDE, tiny.SIDE), np.uint8))  # compiles what is kept on disk too
    with full_disk(300), pytest.raises(RunError, match=r"x\.onnx: could not be written \(File too large\)\. Make room"):
        sr.export_onnx(net, "photo", tmp_path / "x.onnx")
    assert not list(tmp_path.glob("*.onnx"))


@pytest.mark.slow
def test_an_exported_network_answers_as_the_run_did(tiny_run, tmp_path, cli):
    """The file that was written, by onnxruntime alone, on sketches of the run and in batches of other sizes."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'sakerepro[onnx]'")
    pytest.importorskip("onnxscript", reason="pip install 'sakerepro[onnx]'")
    file = tmp_path / "sketch.onnx"
    out = cli("export", str(tiny_run.folder), "--onnx", "sketch", str(file)).out
    assert f"{file}: " in out and list(tmp_path.iterdir()) == [file]
    pixels = np.broadcast_to(tiny_run.dataset().query.take(range(7)), (7, tiny.SIDE, tiny.SIDE, 3))
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    for rows in (slice(0, 7), slice(2, 3)):
        (got,) = session.run(None, {"images": np.ascontiguousarray(pixels[rows])})
        np.testing.assert_allclose(got, tiny_run.embeddings()["query"][:7][rows], rtol=1e-3, atol=1e-4)


def test_a_network_that_onnx_gets_wrong_is_not_written(net, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="pip install 'sakerepro[onnx]'")
    pytest.importorskip("onnxscript", reason="pip install 'sakerepro[onnx]'")

    class Session:
        def __init__(self, *_: object, **__: object) -> None: ...
        def run(self, _: None, given: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.zeros((len(given["images"]), 16), np.float32)]

    monkeypatch.setattr("onnxruntime.InferenceSession", Session)
    monkeypatch.setattr("sakerepro.apps.export._write", lambda module, images, file: file.write_bytes(b"x"))
    with pytest.raises(RunError, match="from PyTorch, so nothing is written"):
        sr.export_onnx(net, "photo", tmp_path / "x.onnx")
    assert not [f for f in tmp_path.iterdir() if f.is_file()]


def test_what_export_needs_is_said(net: sr.Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="Did you mean 'photo'"):
        sr.export_onnx(net, "foto", tmp_path / "x.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pip install 'sakerepro\[onnx\]'"):
        sr.export_onnx(net, "photo", tmp_path / "x.onnx")
