"""The teacher, from which the student starts: pretrained, shipped with the package, or trained here."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from . import inputs, paths, training
from .data.dataset import OriginalDomain
from .data.known import datasets
from .data.registry import load_original
from .devices import seeded
from .embedding import apply, place, top1
from .errors import RunError
from .experiment import GET, Experiment, preset
from .files import lock, read_json, sha256, short_hash, write_folder_whole, write_json, write_whole
from .networks.architectures import teacher_architecture
from .networks.backbones import Classifier, build_classifier
from .networks.probing import choose_probe
from .networks.weights import read_pretrained, read_weights, weights_file
from .original import original_photos
from .provenance import provenance
from .semantics import imagenet_wnids
from .threads import one_thread

SEED = 0  # for the weights and batches of teachers that are trained here
Teacher = tuple[Classifier, tuple[str, ...], dict[str, Any]]


def load_teacher(experiment: Experiment) -> Teacher:
    """Find or make the teacher of an experiment.

    Returns:
        The classifier, the WordNet ids of its C_O outputs, and where it comes from (name, file's SHA-256).

    Raises:
        ConfigError: if the network cannot take images of this size, or has no linear classifier and none is fitted.
        DataError: if pretrained weights are missing or do not fit, or there are no photos to fit a head on.
        RunError: if a teacher that was trained here, or ships with the package, is damaged.
    """
    inputs.kind(experiment, Experiment, "experiment", GET)
    name = teacher_architecture(experiment.backbone)
    if experiment.teacher_epochs:
        return _shipped(name, experiment) or _trained(name, experiment)
    file, size, head = weights_file(name, experiment.weights), experiment.size, experiment.teacher_head
    photos = original_photos(experiment) if head == "probe" else None
    wnids = photos.wnids if photos else imagenet_wnids()
    classifier = build_classifier(name, len(wnids), read_pretrained(name, file), size=size, head=head).eval()
    source = {"teacher": name, "file": file.name, "sha256": sha256(file)}
    return classifier, wnids, source if photos is None else _fit_head(classifier, photos, size, source)


def _fit_head(classifier: Classifier, photos: OriginalDomain, size: int, source: dict[str, Any]) -> dict[str, Any]:
    """Fit the linear head of a pretrained network, once for the same weights, photos and size; return its source."""
    spec = {"teacher": classifier.name, "size": size, "weights": source["sha256"], "data": photos.fingerprint}

    def fit(work: Path) -> tuple[nn.Module, dict[str, Any]]:
        network = place(copy.deepcopy(classifier.backbone))
        x = apply(network, network, photos.train, size)
        probe, accuracy = choose_probe(x, photos.train.labels, len(photos.wnids))
        digest = hashlib.sha256(x.tobytes()).hexdigest()
        return probe.layer(), {"features": digest, "strength": probe.strength, "held_out_top1": accuracy}

    with one_thread():
        folder = _find_or_make(spec, fit)
    _load(classifier.head, folder)
    return {**source, **spec, "original": photos.name, "sha256": sha256(folder / "weights.safetensors")}


def _spec(name: str, e: Experiment) -> dict[str, Any]:
    return {"teacher": name, "size": e.size, "epochs": e.teacher_epochs, "seed": SEED}


def shipped_file(name: str) -> Path:
    """The weights file of a small teacher in the package; a JSON file beside it records its training."""
    return paths.models() / "mini" / f"{name}.safetensors"


def _shipped(name: str, e: Experiment) -> Teacher | None:
    """The teacher that ships with the package, if it was trained with the settings of the experiment."""
    file = shipped_file(name)
    data = datasets().get(e.teacher_data or e.dataset)
    if data is None or not data.original_key or not file.is_file():
        return None
    record = read_json(file.with_suffix(".json"))
    spec = {**_spec(name, e), "world": data.named("original_key")(e.size)}
    if {key: record.get(key) for key in spec} != spec:
        return None
    if sha256(file) != record["sha256"]:
        raise RunError(f"{file}: is not what `sakerepro teacher` wrote. Install the package again, or train it anew.")
    wnids = data.named("original_wnids")
    classifier = _blank(name, len(wnids), e.size)
    classifier.load_state_dict(read_weights(file))
    return classifier.eval(), wnids, {**spec, "data": record["data"], "sha256": record["sha256"]}


def _blank(name: str, classes: int, size: int) -> Classifier:
    """An untrained classifier; leaves the state of PyTorch's generator as it is."""
    with seeded(SEED):
        return build_classifier(name, classes, size=size)


def _find_or_make(spec: dict[str, Any], make: Callable[[Path], tuple[nn.Module, dict[str, Any]]]) -> Path:
    """Find or make the folder of a teacher or a head; ``make(work)`` gives the module and more fields for its JSON."""
    from safetensors.torch import save_file

    folder = paths.runs() / f"teacher-{spec['teacher']}-{short_hash(spec)}"
    with lock(folder.with_name(f".{folder.name}.lock"), f"Another process trains {folder.name}; waiting for it."):
        if not folder.is_dir():
            work = folder.with_name(f".work-{folder.name}")
            module, fields = make(work)
            with write_folder_whole(folder) as new:
                save_file({k: v.contiguous() for k, v in module.state_dict().items()}, new / "weights.safetensors")
                write_json(new / "teacher.json", {**spec, **fields, "provenance": provenance()})
            shutil.rmtree(work, ignore_errors=True)
    return folder


def _trained(name: str, e: Experiment) -> Teacher:
    original = load_original(e.teacher_data or e.dataset, size=e.size)
    spec = {**_spec(name, e), "data": original.fingerprint}

    def make(work: Path) -> tuple[nn.Module, dict[str, Any]]:
        classifier, history = _train(name, e, original, work / "checkpoint.pt")
        return classifier, {"history": history}

    folder = _find_or_make(spec, make)
    classifier = _blank(name, len(original.wnids), e.size)
    _load(classifier, folder)
    return classifier.eval(), original.wnids, {**spec, "sha256": sha256(folder / "weights.safetensors")}


def _train(
    name: str, e: Experiment, original: OriginalDomain, checkpoint: Path
) -> tuple[Classifier, list[dict[str, float]]]:
    classifier = _blank(name, len(original.wnids), e.size)
    with one_thread():
        return classifier, training.train_teacher(
            classifier, original, size=e.size, epochs=e.teacher_epochs, seed=SEED, checkpoint=checkpoint
        )


def ship_teacher(name: str) -> Path:
    """Train a small teacher on the generated world and store it in the package, in float16 to halve its size.

    Args:
        name: an architecture such as ``"se_resnet_mini"``.

    Returns:
        The weights file. A JSON file beside it holds its settings, history and SHA-256.
    """
    from safetensors.torch import save_file

    e = preset("mini", backbone=name)
    original = load_original("mini", size=e.size)
    work = paths.cache() / f"teacher-{name}"
    classifier, history = _train(name, e, original, work / "checkpoint.pt")
    state = {k: v.half() if v.is_floating_point() else v for k, v in classifier.cpu().state_dict().items()}
    classifier.load_state_dict(state)  # float32 again, rounded as in the file
    accuracy = top1(lambda x, domain: classifier(x), classifier, original.val, e.size)
    with write_whole(file := shipped_file(name)) as temporary:
        save_file({k: v.contiguous() for k, v in state.items()}, temporary)
    write_json(
        file.with_suffix(".json"),
        {
            **_spec(name, e),
            "world": datasets()[e.dataset].named("original_key")(e.size),
            "data": original.fingerprint,
            "sha256": sha256(file),
            "val_top1": round(accuracy, 4),
            "history": [{k: round(v, 6) for k, v in row.items() if k != "seconds"} for row in history],
        },
    )
    shutil.rmtree(work, ignore_errors=True)
    return file


def _load(module: nn.Module, folder: Path) -> None:
    read_json(folder / "teacher.json", f"Remove {folder}; the teacher is trained again.")
    try:
        module.load_state_dict(read_weights(folder / "weights.safetensors"))
    except Exception as error:
        raise RunError(f"{folder}: the teacher is damaged ({error}). Remove it; it is trained again.") from error
