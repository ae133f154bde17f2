"""The authors' checkpoint, written in its form with random numbers; their network is written here a second time."""

from __future__ import annotations

import copy
import json
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor
from torch.nn import functional as F

import sakerepro as sr
from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.errors import DataError

DIM, SEEN = 64, len(tiny.SEEN)
BLOCKS, WIDTHS = (3, 4, 6, 3), (64, 128, 256, 512)


def official_state(dim: int = DIM, seen: int = SEEN) -> OrderedDict[str, Tensor]:
    """The 388 names of the official CSE-ResNet-50; weights that keep the scale of what passes."""
    g, state = torch.Generator().manual_seed(3), OrderedDict()

    def weight(name: str, *shape: int) -> None:
        fan = int(np.prod(shape[1:]))
        state[f"{name}.weight"] = torch.randn(shape, generator=g) * (2 / fan) ** 0.5

    def norm(name: str, channels: int) -> None:
        for part in ("weight", "running_var"):
            state[f"{name}.{part}"] = 0.5 + torch.rand(channels, generator=g)
        for part in ("bias", "running_mean"):
            state[f"{name}.{part}"] = 0.2 * torch.randn(channels, generator=g)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)

    def linear(name: str, out: int, width: int) -> None:
        weight(name, out, width)
        state[f"{name}.bias"] = 0.2 * torch.randn(out, generator=g)

    top = "module.original_model"
    weight(f"{top}.layer0.conv1", 64, 3, 7, 7)
    norm(f"{top}.layer0.bn1", 64)
    before = 64
    for layer, (blocks, width) in enumerate(zip(BLOCKS, WIDTHS, strict=True), 1):
        for i in range(blocks):
            name, out = f"{top}.layer{layer}.{i}", 4 * width
            for conv, bn, shape in (
                ("conv1", "bn1", (width, before, 1, 1)),
                ("conv2", "bn2", (width, width, 3, 3)),
                ("conv3", "bn3", (out, width, 1, 1)),
            ):
                weight(f"{name}.{conv}", *shape)
                norm(f"{name}.{bn}", shape[0])
            linear(f"{name}.se_module.fc1", out // 16, out)
            linear(f"{name}.se_module.fc2", out, out // 16 + 1)
            if i == 0:
                weight(f"{name}.downsample.0", out, before, 1, 1)
                norm(f"{name}.downsample.1", out)
            before = out
    linear(f"{top}.second_last_linear", dim, 2048)
    linear(f"{top}.last_linear", 1000, dim)
    linear("module.linear", seen, dim)
    return state


def checkpoint(state: dict[str, Tensor], best: Any = 71.25) -> dict[str, Any]:
    return {"epoch": 17, "arch": "cse_resnet50", "state_dict": state, "best_acc1": best}


@pytest.fixture(scope="module")
def state() -> OrderedDict[str, Tensor]:
    return official_state()


@pytest.fixture(scope="module")
def file(state: OrderedDict[str, Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("official") / "model_best.pth.tar"
    torch.save(checkpoint(state), path)
    return path


@pytest.fixture(scope="module")
def student(file: Path) -> sr.Student:
    return sr.load_official_checkpoint(file)


def official_block(s: dict[str, Tensor], name: str, x: Tensor, tag: Tensor, stride: int) -> Tensor:
    """Their bottleneck: Caffe's stride, and a gate that reads the tag behind bn3, before the addition."""

    def norm(bn: str, x: Tensor) -> Tensor:
        return F.batch_norm(
            x, *(s[f"{name}.{bn}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        )

    y = F.relu(norm("bn1", F.conv2d(x, s[f"{name}.conv1.weight"], stride=stride)))
    y = F.relu(norm("bn2", F.conv2d(y, s[f"{name}.conv2.weight"], padding=1)))
    y = norm("bn3", F.conv2d(y, s[f"{name}.conv3.weight"]))
    z = F.relu(y.mean((2, 3)) @ s[f"{name}.se_module.fc1.weight"].T + s[f"{name}.se_module.fc1.bias"])
    z = torch.cat([z, tag[:, None]], dim=1)
    gate = torch.sigmoid(z @ s[f"{name}.se_module.fc2.weight"].T + s[f"{name}.se_module.fc2.bias"])
    if f"{name}.downsample.0.weight" in s:
        x = norm("downsample.1", F.conv2d(x, s[f"{name}.downsample.0.weight"], stride=stride))
    return F.relu(y * gate[:, :, None, None] + x)


def official_forward(s: dict[str, Tensor], x: Tensor, tag: Tensor) -> dict[str, Tensor]:
    top, out = "module.original_model", {}
    bn = (s[f"{top}.layer0.bn1.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
    x = F.relu(F.batch_norm(F.conv2d(x, s[f"{top}.layer0.conv1.weight"], stride=2, padding=3), *bn))
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for layer, blocks in enumerate(BLOCKS, 1):
        for i in range(blocks):
            x = official_block(s, f"{top}.layer{layer}.{i}", x, tag, 2 if layer > 1 and i == 0 else 1)
    for name, part in (("embedding", f"{top}.second_last_linear"), ("original", f"{top}.last_linear")):
        source = x.mean((2, 3)) if name == "embedding" else out["embedding"]
        out[name] = source @ s[f"{part}.weight"].T + s[f"{part}.bias"]
    out["seen"] = out["embedding"] @ s["module.linear.weight"].T + s["module.linear.bias"]
    return out


@torch.no_grad()
def test_embeddings_and_logits_are_those_of_the_official_network(student, state):
    """Their tag is 0 for a sketch and 1 for a photo, ours the other way round."""
    assert len(state) == 388 and not student.training
    student, state = copy.deepcopy(student).double(), {name: tensor.double() for name, tensor in state.items()}
    images = torch.randn(4, 3, 70, 70, generator=torch.Generator().manual_seed(1)).double()
    domain = torch.tensor([PHOTO, SKETCH, PHOTO, SKETCH]).double()
    want = official_forward(state, images, torch.tensor([1.0, 0.0, 1.0, 0.0]).double())
    scale = float(want["embedding"].abs().max())
    close = {"rtol": 0, "atol": 1e-5 * scale}  # the rewritten bias was added in float32
    torch.testing.assert_close(student.embed(images, domain), want["embedding"], **close)
    seen, original = student(images, domain)
    torch.testing.assert_close(seen, want["seen"], **close)
    torch.testing.assert_close(original, want["original"], **close)
    swapped = student.embed(images, 1 - domain)
    assert (swapped - want["embedding"]).abs().max() > 0.05 * scale  # the tag is seen to matter


@pytest.mark.parametrize("form", ["legacy", "plain", "half"])
def test_other_forms_of_the_file_are_read(form, student, state, tmp_path):
    half = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    content: Any = {
        "legacy": checkpoint(state, np.float64(71.25)),
        "plain": {name.removeprefix("module."): t for name, t in state.items() if "num_batches" not in name},
        "half": checkpoint(half, torch.tensor(71.25)),
    }[form]
    torch.save(content, tmp_path / "x.pth.tar", _use_new_zipfile_serialization=form != "legacy")
    other = sr.load_official_checkpoint(tmp_path / "x.pth.tar")
    close = {"rtol": 2e-3, "atol": 1e-3} if form == "half" else {"rtol": 0, "atol": 0}
    for a, b in zip(student.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(a, b, **close)


class Harmful:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("echo harm > harm.txt",)


def changed(**tensors: Tensor | None) -> Callable[[dict[str, Tensor]], dict[str, Any]]:
    def change(state: dict[str, Tensor]) -> dict[str, Any]:
        new = state | {k.replace("__", "."): v for k, v in tensors.items()}
        return checkpoint({k: v for k, v in new.items() if v is not None})

    return change


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (
            changed(module__original_model__layer2__3__se_module__fc2__weight=None),
            r"'original_model\.layer2\.3\.se_module\.fc2\.weight' is missing; 1 missing, 0 unknown",
        ),
        (changed(module__linear__weight=None, module__linear__bias=None), r"'linear\.weight' is missing; 2 missing"),
        (changed(module__more=torch.zeros(1)), "'more' is not part of the network"),
        (
            changed(module__original_model__layer0__conv1__weight=torch.zeros(64, 3, 3, 3)),
            r"'original_model\.layer0\.conv1\.weight' has shape \(64, 3, 3, 3\), not \(64, 3, 7, 7\)",
        ),
        (lambda state: [1, 2], "382 missing|388 missing|is missing"),
        (lambda state: {**checkpoint({}), "more": Harmful()}, r"holds (posix|nt)\.system beside tensors and numbers"),
    ],
)
def test_what_is_no_official_checkpoint_is_named(state, content, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save(content(state), "x.pth.tar")
    with pytest.raises(DataError, match=says):
        sr.load_official_checkpoint("x.pth.tar")
    assert not Path("harm.txt").exists()


def test_what_is_no_file_of_pytorch_is_named(tmp_path: Path) -> None:
    for name, data, says in (
        ("text.pth.tar", b"not a checkpoint", "is no checkpoint that PyTorch reads|beside tensors"),
        ("plain.pkl", pickle.dumps({"a": 1}), "is no checkpoint|beside tensors"),
        ("archive.zip", b"PK\x05\x06" + bytes(18), "Unpack the zip file"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DataError, match=says):
            sr.load_official_checkpoint(tmp_path / name)
    with pytest.raises(DataError, match="none.pth.tar: is not there. Give the .pth.tar file"):
        sr.load_official_checkpoint(tmp_path / "none.pth.tar")


def test_a_student_embeds_images_of_one_s_own(student: sr.Student, state: OrderedDict[str, Tensor]) -> None:
    """From a grey picture of 224 px to the official network's embedding of it, normalised by hand."""
    picture = np.random.default_rng(0).integers(0, 256, (224, 224), np.uint8)
    got = sr.load(student).embed_sketch(picture)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    image = (torch.from_numpy(picture)[None] / 255 - mean) / std
    with torch.no_grad():
        want = official_forward(state, image[None], torch.zeros(1))["embedding"][0]
    assert np.linalg.norm(got - want.numpy()) < 0.01 * np.linalg.norm(want)


@pytest.mark.slow
def test_an_imported_run_is_measured_indexed_asked_and_described(file, student, tiny_place, monkeypatch, cli):
    monkeypatch.setattr("sakerepro.apps.official.SIZE", 32)
    data = tiny_place / "data"
    out = cli("import", str(file), "--dataset", str(data)).out
    assert re.search(r"Held-out sketches of seen classes: top-1 [\d.]+ %; the file says 71\.2 %\.", out)
    (run,) = sr.all_runs()
    assert run.id.startswith("official-") and "cse_resnet50-sake-semantics=thresholded-64d" in run.id
    pixels = run.dataset().query.take(range(3))
    np.testing.assert_allclose(
        sr.load(run).embed_sketch(pixels), sr.Embedder(student, 32).embed_sketch(pixels), rtol=1e-4, atol=1e-4
    )
    assert main(["import", str(file), "--dataset", str(data)]) == 0 and len(sr.all_runs()) == 1  # found, not made again
    assert "The run wrote the same numbers" in cli("evaluate", run.id).out
    assert main(["index", str(data / "photo" / "cat"), "--run", run.id]) == 0
    out = cli("query", str(data / "sketch" / "cat" / "0.png"), "-k", "2", "--json").out
    assert len(json.loads(out)[0]["found"]) == 2
    card = cli("card", run.id, "--to", "-").out
    assert "official CSE-ResNet-50`, the authors' checkpoint (`model_best.pth.tar`, SHA-256" in card
    assert "By the authors' code." in card and "frozen teacher" not in card


def test_data_with_other_classes_is_refused(tiny_place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.apps.official.SIZE", 32)
    torch.save(checkpoint(official_state(seen=5)), tmp_path / "x.pth.tar")
    with pytest.raises(DataError, match=r"trained on 5 classes, and data, unseen\.txt has 4 seen ones"):
        sr.import_checkpoint(tmp_path / "x.pth.tar", str(tiny_place / "data"))
    assert not list(paths.runs().glob("*/experiment.json"))
