"""The network that the student starts from and must not forget: pretrained, or trained here on the world's photos."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from . import paths
from .backbones import Classifier, architecture, build_classifier, teacher_architecture
from .errors import ConfigError, RunError
from .experiment import Experiment
from .files import lock, read_json, sha256, short_hash, write_folder_whole, write_json
from .provenance import provenance
from .weights import read_pretrained, read_weights, weights_file


def load_teacher(experiment: Experiment) -> tuple[Classifier, tuple[str, ...], dict[str, Any]]:
    """Find or make the teacher of an experiment.

    Returns:
        The classifier, the WordNet ids of its C_O outputs, and where it comes from (name, file's SHA-256, accuracy).

    Raises:
        ConfigError: if the network takes images of another size only.
        DataError: if pretrained weights are missing or do not fit.
    """
    name = teacher_architecture(experiment.backbone)
    if (only := architecture(name).size) not in (0, experiment.size):
        raise ConfigError(f"{name} takes images of {only} px only, not {experiment.size}: set size to {only}.")
    if experiment.teacher_epochs:
        return _trained(name, experiment)
    from .semantics import imagenet_wnids

    wnids = tuple(imagenet_wnids())
    file = weights_file(name, experiment.weights)
    classifier = build_classifier(name, len(wnids), read_pretrained(name, file))
    return classifier.eval(), wnids, {"teacher": name, "file": file.name, "sha256": sha256(file)}


def _trained(name: str, e: Experiment) -> tuple[Classifier, tuple[str, ...], dict[str, Any]]:
    import torch
    from safetensors.torch import save_file

    from .data import load_original
    from .training import train_teacher

    original = load_original(e.teacher_data or e.dataset, size=e.size)
    spec: dict[str, Any] = {
        "teacher": name, "size": e.size, "epochs": e.teacher_epochs, "seed": 0, "data": original.fingerprint,
    }  # fmt: skip
    folder = paths.runs() / f"teacher-{name}-{short_hash(spec)}"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(spec["seed"])
        classifier = build_classifier(name, len(original.wnids))
    with lock(folder.with_name(f".{folder.name}.lock"), f"Another process trains {folder.name}; waiting for it."):
        if not folder.is_dir():
            work = folder.with_name(f".work-{folder.name}")
            history = train_teacher(
                classifier, original, size=e.size, epochs=e.teacher_epochs, seed=spec["seed"],
                checkpoint=work / "checkpoint.pt",
            )  # fmt: skip
            with write_folder_whole(folder) as new:
                save_file({k: v.contiguous() for k, v in classifier.state_dict().items()}, new / "weights.safetensors")
                write_json(new / "teacher.json", {**spec, "history": history, "provenance": provenance()})
            shutil.rmtree(work, ignore_errors=True)
    return _read(classifier, folder), original.wnids, {**spec, "sha256": sha256(folder / "weights.safetensors")}


def _read(classifier: Classifier, folder: Path) -> Classifier:
    read_json(folder / "teacher.json")
    try:
        classifier.load_state_dict(read_weights(folder / "weights.safetensors"))
    except Exception as error:
        raise RunError(f"{folder}: the teacher is damaged ({error}). Remove it; it is trained again.") from error
    return classifier.eval()
