"""A zero-shot task of coloured shapes: six classes, 32 px, made in milliseconds, in memory or as folders on disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

import sakerepro
from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from sakerepro.devices import seeded
from sakerepro.experiment import Experiment
from sakerepro.networks import architectures
from sakerepro.networks.backbones import Classifier, build_classifier

SIDE = 32
SEEN, UNSEEN = ("cat", "cup", "car_(sedan)", "pizza"), ("bear", "airplane")
ORIGINAL = ("n02084071", "n02118333", "n03001627", "n02958343", "n07697537")  # dog, fox, chair, car, hot dog
PHOTOS, SKETCHES, VALIDATION = 12, 7, 1  # a class


class Stop(Exception):
    """Raised to stop code half-way."""


def noise(n: int, size: int) -> torch.Tensor:
    """(n, 3, size, size) normal numbers, the same in every call."""
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(0))


def shape(kind: int, domain: int, index: int) -> np.ndarray:
    """(SIDE, SIDE, 3 or 1) uint8: a polygon of ``kind + 3`` corners, filled and coloured or outlined."""
    rng = np.random.default_rng([kind, domain, index])
    angle = np.linspace(0, 2 * np.pi, kind + 3, endpoint=False) + rng.uniform(0, 2)
    y, x = np.mgrid[:SIDE, :SIDE] - rng.uniform(13, 18, (2, 1, 1))
    reach = np.max([x * np.cos(a) + y * np.sin(a) for a in angle], axis=0) - rng.uniform(6, 11)
    if domain == SKETCH:
        return np.where(np.abs(reach) < 1, 0, 255).astype(np.uint8)[:, :, None]
    colour = np.random.default_rng(kind).integers(0, 256, 3)
    picture = np.where(reach[:, :, None] < 0, colour, rng.integers(0, 256, 3)) + rng.normal(0, 20, (SIDE, SIDE, 3))
    return picture.clip(0, 255).astype(np.uint8)


def image_set(classes: int, domain: int, count: int, *, first: int = 0, start: int = 0) -> ImageSet:
    """``count`` images of each of ``classes`` kinds, beginning with kind ``first``."""
    pixels = np.stack([shape(first + c, domain, start + i) for c in range(classes) for i in range(count)])
    labels = np.repeat(np.arange(classes), count)
    names = tuple(
        f"{'sketch' if domain else 'photo'}/{first + c}/{i}.png" for c in range(classes) for i in range(count)
    )
    return ImageSet(pixels, np.arange(len(pixels)), labels, names, domain)


def dataset() -> Dataset:
    """The task in memory."""
    seen, unseen = len(SEEN), len(UNSEEN)
    return Dataset(
        "tiny",
        "zeroshot",
        SEEN,
        UNSEEN,
        train_sketch=image_set(seen, SKETCH, SKETCHES),
        val_sketch=image_set(seen, SKETCH, VALIDATION, start=90),
        train_photo=image_set(seen, PHOTO, PHOTOS),
        query=image_set(unseen, SKETCH, SKETCHES, first=seen),
        gallery=image_set(unseen, PHOTO, PHOTOS, first=seen),
        fingerprint="0" * 64,
    )


def original() -> OriginalDomain:
    """Labelled photos for a teacher, in memory."""
    train, val = (image_set(len(ORIGINAL), PHOTO, n, first=7, start=s) for n, s in ((9, 0), (2, 90)))
    return OriginalDomain("tiny", ORIGINAL, train, val, "1" * 64)


def write_folder(root: Path) -> Path:
    """The same kinds of images as a plain folder."""
    for number, name in enumerate((*SEEN, *UNSEEN)):
        for domain, kind, count in ((PHOTO, "photo", PHOTOS), (SKETCH, "sketch", SKETCHES + VALIDATION)):
            _write(root / kind / name, number, domain, range(count))
    (root / "unseen.txt").write_text("\n".join(UNSEEN))
    return root


def write_original(root: Path) -> Path:
    """The original domain as a folder."""
    for number, wnid in enumerate(ORIGINAL):
        _write(root / "train" / wnid, 7 + number, PHOTO, range(9))
        _write(root / "val" / wnid, 7 + number, PHOTO, range(90, 92))
    return root


def _write(folder: Path, kind: int, domain: int, indices: range) -> None:
    folder.mkdir(parents=True)
    for index in indices:
        Image.fromarray(shape(kind, domain, index).squeeze()).save(folder / f"{index}.png")


def write_weights(file: Path, architecture: str = "se_resnet_mini", classes: int = 1000) -> Path:
    """Random weights of a classifier over ImageNet's classes, with batch norm statistics that are not trivial."""
    with seeded(7):
        state = randomise(architectures.architecture(architecture).make(classes)).state_dict()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, file)
    return file


def randomise(network: torch.nn.Module) -> torch.nn.Module:
    """Random statistics, scales and shifts for every batch norm, and biases: nothing stays at its neutral value."""
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.5, 2)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(0, 0.2)
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)) and module.bias is not None:
                module.bias.normal_(0, 0.2)
    return network.eval()


def classifier(
    name: str = "se_resnet_mini", classes: int = len(ORIGINAL), *, seed: int = 0, size: int = 0
) -> Classifier:
    """A classifier with random weights and statistics."""
    with seeded(seed):
        network = build_classifier(name, classes, size=size)
        randomise(network)
    return network


def settings(folder: Path, weights: Path, **changes: object) -> dict[str, Any]:
    """Two epochs of three steps on the folder of :func:`write_folder`, as a preset has them."""
    task = dict(split="unseen.txt", backbone="cse_resnet_mini", size=SIDE, dim=16, bits=(8,))
    length = dict(epochs=2, steps=3, batch_sketch=5, batch_photo=7, lr=1e-3, lr_end=1e-4)
    return {"dataset": str(folder), "weights": str(weights), **task, **length, **changes}


def experiment(folder: Path, weights: Path, **changes: object) -> Experiment:
    return Experiment.from_dict({"preset": "tiny", **settings(folder, weights, **changes)})


def python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an interpreter that finds the package and these helpers, with one thread; text output, no check."""
    here = [str(Path(sakerepro.__file__).parent.parent), str(Path(__file__).parent)]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(here), "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=variables, timeout=300)


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts are equal bit for bit."""
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)
