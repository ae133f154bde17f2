"""The published checkpoint of the authors of SAKE, as a student of this package and as a run."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import methods
from ..embedding import top1
from ..errors import DataError
from ..evaluation import evaluate
from ..files import sha256
from ..model import Student
from ..networks.backbones import build_classifier, misfit
from ..runs import Run, experiment_data, find, write_run

SIZE = 224  # side of its training images, in pixels
_PARTS = {  # our parameters -> official names
    "backbone.body": "original_model",
    "feature": "original_model.second_last_linear",
    "original_head": "original_model.last_linear",
    "seen_head": "linear",
}


def load_official_checkpoint(path: Path | str) -> Student:
    """The network of an official SAKE checkpoint (CSE-ResNet-50), in eval mode.

    The official code tags sketches with 0 and photos with 1. The gates are converted to this package's domain (0 photo,
    1 sketch), with the same embeddings. Only tensors and numbers are read from the file.

    Args:
        path: the ``.pth.tar`` file out of the authors' ``cse_resnet50.zip``.

    Raises:
        DataError: if the file is missing, damaged, holds other objects, or is of another network; a parameter is named.
    """
    return _student(Path(path), _read(Path(path)))


def import_checkpoint(path: Path | str, dataset: str, split: str = "") -> Run:
    """A run of an official checkpoint, measured on its data set; a second call finds it by the content of the file.

    Args:
        path: as in :func:`load_official_checkpoint`.
        dataset: the data set of its seen classes, in the order of ``cname_cid.txt``: ``"tuberlin"``, ``"sketchy"`` or a
            folder. All images are embedded once.
        split: of the data set; empty for the default.

    Raises:
        DataError: as in :func:`load_official_checkpoint`; if the data is missing or has another number of classes.
    """
    path, started = Path(path), time.time()
    content = _read(path)
    student, digest = _student(path, content), sha256(path)
    settings = {"keep_bias": False, "semantics": "thresholded", "size": SIZE, "precision": "float32"}
    e = methods.preset("paper", dataset=dataset, split=split, dim=student.feature.out_features, **settings)
    e = e.but(preset=f"official-{digest[:8]}")
    if finished := find(e):
        return finished
    data = experiment_data(e)
    if len(data.seen) != student.seen_head.out_features:
        raise DataError(
            f"{path}: was trained on {student.seen_head.out_features} classes, and {data.name}, {data.split} has "
            f"{len(data.seen)} seen ones. Name the data and the split that it was trained on."
        )
    method: Any = methods.class_of(e.method)(e, student, methods.Side(data.seen)).eval()
    metrics, arrays = evaluate(method, data, e)
    official = {"best_acc1": float(content["best_acc1"])} if "best_acc1" in content else {}
    if len(data.val_sketch):
        official["val_top1"] = top1(method.seen_logits, method, data.val_sketch, e.size)
    return write_run(
        e,
        method,
        [],
        metrics,
        arrays,
        data=data.fingerprint,
        teacher={"teacher": "official CSE-ResNet-50", "file": path.name, "sha256": digest},
        official=official,
        seconds=round(time.time() - started, 1),
        seconds_training=0.0,
    )


def _numbers() -> list[Any]:
    """The types of pickled NumPy numbers, such as a stored best accuracy. Reading them runs no code."""
    scalar = np._core.multiarray.scalar  # type: ignore[attr-defined]
    names = [(scalar, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")]
    return [*names, np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i8"))]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise DataError(f"{path}: is not there. Give the .pth.tar file out of the authors' cse_resnet50.zip.")
    try:
        with torch.serialization.safe_globals(_numbers()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise their own kinds for every sort of damage
        if match := re.search(r"GLOBAL (\S+)", str(error)):
            raise DataError(
                f"{path}: holds {match[1]} beside tensors and numbers, which is not unpickled: it could run a program. "
                "If you trust the file, load it elsewhere and save its state_dict alone."
            ) from error
        raise DataError(
            f"{path}: is no checkpoint that PyTorch reads ({type(error).__name__}). Unpack the zip file of the authors "
            "and give the .pth.tar in it, or get it again."
        ) from error
    return content if isinstance(content, dict) else {}


def _student(path: Path, content: dict[str, Any]) -> Student:
    stored = content.get("state_dict", content)
    state = {k.removeprefix("module."): v.float() for k, v in stored.items() if isinstance(v, Tensor)}
    dim, original, seen = (
        len(state.get(f"{_PARTS[part]}.weight", ())) or 1 for part in ("feature", "original_head", "seen_head")
    )
    with torch.random.fork_rng(devices=[]):  # all weights are overwritten below
        student = Student(build_classifier("se_resnet50", 1).backbone.with_gates(), dim, seen, original)
    official = {
        name: _PARTS[part] + name.removeprefix(part)
        for name in student.state_dict()
        for part in _PARTS
        if name.startswith(f"{part}.")
    }
    if mismatch := misfit({official[name]: tensor for name, tensor in student.state_dict().items()}, state):
        raise DataError(f"{path}: is no checkpoint of the official CSE-ResNet-50: {mismatch}.")
    for name in [n for n in state if n.endswith("se_module.fc2.weight")]:
        bias = name.replace("weight", "bias")
        state[name], state[bias] = swap_tag(state[name], state[bias])
    student.load_state_dict({n: state[official[n]] for n in official if official[n] in state}, strict=False)
    return student.eval()


def swap_tag(weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Convert a gate's last layer, (C, h + 1) and (C,), from the official tag, 1 - domain, to the domain.

    With w the last column, ``w (1 - domain) + b = -w domain + (b + w)``.
    """
    return torch.cat([weight[:, :-1], -weight[:, -1:]], dim=1), bias + weight[:, -1]
