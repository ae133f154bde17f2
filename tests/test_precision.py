"""Training in bfloat16 and compiled against float32: no further off than another seed is."""

from __future__ import annotations

import copy
import os
import shutil
import sys
import sysconfig
from dataclasses import replace
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from timm.layers.squeeze_excite import SEModule
from torch import nn

from sakerepro.data.dataset import Dataset
from sakerepro.embedding import embed
from sakerepro.experiment import Experiment
from sakerepro.methods import Side
from sakerepro.methods.sake import SAKE
from sakerepro.metrics import retrieval_metrics
from sakerepro.model import build_student
from sakerepro.networks import architectures
from sakerepro.networks.architectures import Architecture
from sakerepro.networks.backbones import build_classifier
from sakerepro.runs import Run, run
from sakerepro.training import slow_depthwise_in_float32, train

SEEDS = (0, 1, 2, 3, 4)


def depthwise(kernel: int = 3, stride: int = 2) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(24, 24, kernel, stride=stride, padding=1, groups=24, bias=False)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 1), (5, 2)])
def test_a_slow_depthwise_convolution_is_exact_under_autocast_on_a_cpu(kernel: int, stride: int) -> None:
    plain, wrapped = depthwise(kernel, stride), depthwise(kernel, stride)
    slow_depthwise_in_float32(wrapped)
    # values that bfloat16 holds exactly, so that what remains is the precision of the convolution itself
    x = torch.randn(3, 24, 9, 9).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        y = wrapped(x)
    y.float().square().sum().backward()
    exact = plain(x.float())
    exact.bfloat16().float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, exact.bfloat16())
    torch.testing.assert_close(wrapped.weight.grad, plain.weight.grad, rtol=1e-5, atol=1e-4)


def test_a_deep_copy_convolves_with_its_own_weight() -> None:
    conv = depthwise()
    slow_depthwise_in_float32(conv)
    copied = copy.deepcopy(conv)
    with torch.no_grad():
        copied.weight.zero_()
    x = torch.randn(2, 24, 9, 9)
    assert copied(x).abs().max() == 0
    assert torch.equal(conv(x), depthwise()(x))


@torch.no_grad()
def test_without_a_gradient_autocast_decides() -> None:
    plain, wrapped = depthwise(), depthwise()
    slow_depthwise_in_float32(wrapped)
    x = torch.randn(2, 24, 9, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(wrapped(x), plain(x))


def test_other_convolutions_are_left_to_autocast() -> None:
    for conv in (nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3, stride=2), nn.Conv2d(8, 8, 3, stride=2, groups=2)):
        slow_depthwise_in_float32(conv)
        assert "forward" not in vars(conv)


def features(made: Run) -> np.ndarray:
    """(N, dim) of the query and the gallery."""
    return np.concatenate([made.embeddings()[name] for name in ("query", "gallery")])


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


def test_bfloat16_is_nearer_to_float32_than_one_seed_to_another(tiny_experiment: Experiment) -> None:
    last = tiny_experiment.but(select="last")  # the best epoch by four sketches can be another one for one rounding
    plain = [run(last.but(seed=s)) for s in SEEDS]
    half = [run(last.but(seed=s, precision="bfloat16")) for s in SEEDS]
    between_seeds = [distance(features(a), features(b)) for a, b in combinations(plain, 2)]
    off = [distance(features(a), features(b)) for a, b in zip(half, plain, strict=True)]
    assert 0 < max(off) < min(between_seeds)  # 0 would be float32 under another name
    for task, representation in product(("ZS-SBIR", "ZS-PBIR"), ("16-d", "8-bit")):
        want, got = (np.array([map_all(r, task, representation) for r in runs]) for runs in (plain, half))
        assert abs(np.mean(got - want)) <= np.ptp(want), (task, representation)
    for column in ("loss", "loss_benchmark", "loss_sake"):
        want, got = (np.array([r.history()[column].iloc[-1] for r in runs]) for runs in (plain, half))
        assert np.abs(got - want).max() <= np.ptp(want), column


def map_all(made: Run, task: str, representation: str) -> float:
    wanted = {"task": task, "representation": representation, "metric": "mAP@all", "convention": "standard"}
    return next(row["value"] for row in made.metrics() if wanted.items() <= row.items())


class OneGate(nn.Module):
    """The least that has a convolution, batch norm and a gate: every kernel less is two seconds of a C++ compiler."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        gate = SEModule(16, rd_channels=4)
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 5, stride=2), nn.BatchNorm2d(16), nn.ReLU(), gate, nn.AdaptiveAvgPool2d(2), nn.Flatten()
        )
        self.classifier = nn.Sequential(nn.Linear(64, num_classes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.classifier(self.features(images))


def no_compiler() -> str:
    """What torch.compile misses on this machine, or nothing."""
    compiler = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        return f"torch.compile needs a C++ compiler on a CPU, and there is no {compiler}"
    header = Path(sysconfig.get_path("include"), "Python.h")
    return "" if header.is_file() else f"torch.compile needs {header}, which comes with Python's development files"


@pytest.mark.slow
@pytest.mark.skipif(bool(no_compiler()), reason=no_compiler())
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what torch.compile itself imports
def test_compiled_training_is_nearer_to_plain_than_one_seed_to_another(
    tiny_data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """About half a minute of one core, all of it the compiler's."""
    from torch._dynamo.utils import counters

    monkeypatch.setitem(architectures.ARCHITECTURES, "one_gate", Architecture(OneGate))
    torch.manual_seed(0)
    teacher = build_classifier("one_gate", len(tiny.ORIGINAL))
    tiny.randomise(teacher)
    # measured without the compiler, for which every new number of images is a new network
    data = replace(tiny_data, val_sketch=tiny_data.val_sketch.select(np.arange(0)))

    def trained(**settings: object) -> tuple[np.ndarray, dict[str, float]]:
        """Features of query and gallery, and what is read off them."""
        e = tiny.experiment(tmp_path, tmp_path, backbone="cse_one_gate", **settings).but(dataset="sketchy")
        student, plain = (build_student(e.backbone, dim=5, num_seen=4, teacher=teacher, seed=e.seed) for _ in range(2))
        method = SAKE(e, student, Side(tiny.SEEN, copy.deepcopy(teacher), tiny.ORIGINAL))
        history = train(method, data, e, tmp_path / f"{e.id}.pt")
        plain.load_state_dict(student.state_dict())  # the names are not the compiler's
        query, gallery = (embed(plain, images, e.size) for images in (data.query, data.gallery))
        measured = retrieval_metrics(query, gallery, data.query.labels, data.gallery.labels)
        return np.concatenate([query, gallery]), {"mAP": measured.map_all, "loss": history[-1]["loss"]}

    seeds = [trained(seed=s) for s in SEEDS]
    counters.clear()
    compiled = trained(seed=SEEDS[0], compile=True)
    assert counters["stats"]["unique_graphs"] >= 2  # the student's and the teacher's
    assert distance(compiled[0], seeds[0][0]) < 0.01 * min(distance(a[0], b[0]) for a, b in combinations(seeds, 2))
    for name, value in compiled[1].items():
        want = [values[name] for _, values in seeds]
        assert abs(value - want[0]) <= 0.01 * np.ptp(want), name
