"""The run folder: find the finished run of an experiment, or make it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from . import inputs, methods, paths, training
from .data.batches import require_aligned
from .data.dataset import Dataset
from .data.known import datasets
from .data.registry import load_dataset
from .data.splits import fewer, photo_queries, pseudo_unseen, random_split
from .devices import seeded
from .embedding import place, require_float64
from .errors import ConfigError, DataError, RunError, SakeError, near_misses
from .evaluation import evaluate, traced
from .experiment import GET, Experiment
from .files import hidden, lock, locked, read_json, sha256, sweep, write_folder_whole, write_json, write_text
from .methods import Method
from .methods.vectors import class_vectors
from .model import Student, build_student
from .networks.architectures import teacher_architecture
from .networks.backbones import Backbone, Classifier, build_classifier
from .networks.weights import read_weights, weights_file
from .original import original_wnids, outside_original
from .provenance import provenance, versions
from .semantics import require_disjoint
from .teachers import load_teacher
from .threads import one_thread
from .versions import TRAINING

if TYPE_CHECKING:
    import pandas as pd


FILES = ("experiment.json", "history.csv", "metrics.json", "embeddings.npz", "weights.safetensors")
SHIPPED = "sake-sketchy"  # the network that ships with the package


@dataclass(frozen=True)
class Run:
    """A finished run: a complete folder, checked when it is opened and never changed."""

    folder: Path
    experiment: Experiment

    @property
    def id(self) -> str:
        """Name of the run and of its folder."""
        return self.folder.name

    def file(self, name: str) -> Path:
        """The path of one of the run's files."""
        return self.folder / name

    def metrics(self) -> list[dict[str, Any]]:
        """One dict for each measurement: task, representation, metric, convention, value."""
        return read_json(self.file("metrics.json"), _advice(self.folder))

    def provenance(self) -> dict[str, Any]:
        """Versions, commit, hardware, seconds, checksums of the inputs."""
        return read_json(self.file("provenance.json"), _advice(self.folder))

    def history(self) -> pd.DataFrame:
        """One row for each epoch: losses, rate, validation accuracy, seconds."""
        import pandas as pd

        try:
            return pd.read_csv(self.file("history.csv"))
        except pd.errors.EmptyDataError:  # a pretrained network has no epochs
            return pd.DataFrame()

    def embeddings(self) -> dict[str, np.ndarray]:
        """``query``, ``gallery``, ``train_photo``, ``train_sketch``: (N, dim), with ``*_labels`` and APs."""
        path = self.file("embeddings.npz")
        try:
            with np.load(path, allow_pickle=False) as file:
                return {k: v.astype(np.float32) if v.dtype == np.float16 else v for k, v in file.items()}
        except Exception as error:  # numpy and zipfile raise many types for a damaged file
            raise RunError(
                f"{path}: is damaged ({error}). Remove the folder {self.id}; the same command makes the run again."
            ) from error

    def dataset(self) -> Dataset:
        """The data that the run was trained and measured on."""
        return experiment_data(self.experiment)

    @property
    def distance(self) -> str:
        """The method's distance between real-valued embeddings, ``"cosine"`` or ``"euclidean"``."""
        return methods.class_of(self.experiment.method).distance

    def network(self) -> Method:
        """The trained method, in eval mode; ``embed(images, domain)`` gives embeddings.

        Raises:
            RunError: if the file of weights was changed after the run wrote it.
        """
        file = self.file("weights.safetensors")
        if sha256(file) != self.provenance()["files"]["weights.safetensors"]["sha256"]:
            raise RunError(f"{file}: is not what the run wrote. Remove {self.folder}; the same command makes it again.")
        weights, e = read_weights(file), self.experiment
        seen, original = (len(weights[f"student.{head}_head.bias"]) for head in ("seen", "original"))
        with seeded(0):  # only the architecture matters: all weights are overwritten below
            backbone = _backbone(e.backbone, e.size, e.freeze, e.teacher_head, original)
            student = Student(backbone, e.dim, seen, original)
            method = methods.class_of(e.method)(e, student, methods.Side(("",) * seen, vectors=weights.get("vectors")))
        method.load_state_dict(weights)
        return method.eval()


def map_all(run: Run) -> dict[tuple[str, str], float]:
    """mAP@all of a run in the standard convention by task and representation, such as ``("ZS-SBIR", "64-d")``."""
    rows = (m for m in run.metrics() if (m["metric"], m["convention"]) == ("mAP@all", "standard"))
    return {(m["task"], m["representation"]): m["value"] for m in rows}


def _backbone(network: str, size: int, freeze: int, head: str, classes: int) -> Backbone:
    """The student's backbone with random weights."""
    backbone = build_classifier(teacher_architecture(network), classes, size=size, head=head).backbone
    backbone = backbone.with_gates(freeze) if network.startswith("cse_") else backbone
    return backbone.freeze(freeze)


@lru_cache  # many runs of a table share a network
def _check_network(network: str, size: int, freeze: int, head: str) -> None:
    with seeded(0):
        _backbone(network, size, freeze, head, 1000)


def check_settings(e: Experiment) -> None:
    """Check that the settings fit the network and the classes, before images are packed or a run is trained.

    Raises:
        ConfigError, DataError: for the first setting that does not fit, or weights that are not here.
    """
    require_float64(methods.class_of(e.method))
    imitated = methods.imitated(e)
    _check_network(e.backbone, e.size, e.freeze, e.teacher_head)
    if imitated != e:
        _check_network(imitated.backbone, e.size, 0, e.teacher_head)
    data = experiment_data(e, pack=False)
    _require_zero_shot(data, e)
    if e.photo_queries:
        photo_queries(data, e.photo_queries)
    default = "aligned" if "aligned" in methods.class_of(e.method).needs else "class"
    if methods.flat(e).get("pairs", default) == "aligned":
        require_aligned(data)
    if not e.teacher_epochs:
        for source in (e, imitated):
            weights_file(teacher_architecture(source.backbone), source.weights)


def experiment_data(e: Experiment, pack: bool = True) -> Dataset:
    """Load the data of an experiment, with its unseen classes and its share; ``pack`` as in :func:`load_dataset`."""
    data = load_dataset(e.dataset, e.split or None, size=e.size, dedupe=e.dedupe, min_photos=e.min_photos, pack=pack)
    if e.random_unseen:
        names = (*data.seen, *data.unseen)
        candidates = outside_original(names, original_wnids(e), e.dataset) if e.outside_original else None
        data = random_split(data, e.random_unseen, e.class_seed, e.min_photos, candidates)
    elif e.pseudo_unseen:
        data = pseudo_unseen(data, e.pseudo_unseen, seed=e.class_seed)
    return fewer(data, e.train_share) if e.train_share < 1 else data


def prepare(e: Experiment) -> None:
    """Render or pack the images and train the teacher, once, before several processes need them.

    Raises:
        DataError: if data or weights are missing.
    """
    experiment_data(e)
    load_teacher(e)


def find(experiment: Experiment) -> Run | None:
    """The finished run of an experiment, made under the current ``versions.py``, or None.

    Raises:
        RunError: if its folder is damaged; it names the file and what to do.
    """
    folder = paths.runs() / inputs.kind(experiment, Experiment, "experiment", GET).id
    finished = open_run(folder) if folder.is_dir() else None
    return finished if finished and finished.provenance().get("versions") == versions() else None


def busy(experiment: Experiment) -> bool:
    """Whether another process is making the run of an experiment right now."""
    return locked(hidden(paths.runs() / experiment.id, ".lock"))


def _advice(folder: Path) -> str:
    return f"Remove the folder {folder.name}; the same command makes the run again. Other runs are not touched."


def open_run(folder: Path | str) -> Run:
    """Open a run folder; check that every file is there with its full size.

    Raises:
        RunError: names the file that is missing or damaged.
    """
    folder = inputs.path(folder, "folder")
    if not folder.is_dir():
        raise RunError(f"{folder}: is not there. Give the folder of a finished run; `sr.all_runs()` lists them.")
    advice = _advice(folder)
    origin, settings = (read_json(folder / name, advice) for name in ("provenance.json", "experiment.json"))
    records = origin.get("files") if isinstance(origin, dict) else None
    for name in FILES:
        file, record = folder / name, records.get(name) if isinstance(records, dict) else None
        if not file.is_file() or not isinstance(record, dict) or file.stat().st_size != record.get("bytes"):
            raise RunError(f"{file}: is {'damaged' if file.is_file() else 'missing'}. {advice}")
    try:
        return Run(folder, Experiment.from_dict(settings))
    except (SakeError, TypeError, ValueError) as error:  # damaged, or written by a version with other settings
        raise RunError(f"{folder}/experiment.json: {str(error).rstrip('.')}. {advice}") from error


def run(experiment: Experiment, trace: bool = False) -> Run:
    """Find the run of an experiment; if there is none, train, measure and save it.

    An interrupted run resumes from its last checkpoint. If another process is making the same run, this one waits.

    Args:
        experiment: what to train.
        trace: also measure retrieval after every epoch, for curves of the history; never used to choose settings.

    Raises:
        SakeError: if the run cannot be made; finished parts are kept.
    """
    experiment = methods.checked(inputs.kind(experiment, Experiment, "experiment", GET))
    if finished := find(experiment):
        with contextlib.suppress(DataError):  # skip the check if the images are missing
            require_images(finished, finished.dataset().fingerprint)
        return finished
    folder = paths.runs() / experiment.id
    with one_thread(), lock(hidden(folder, ".lock"), f"Another process makes {folder.name}; waiting for it."):
        return find(experiment) or _make(experiment, folder, trace)


def require_images(run: Run, fingerprint: str) -> None:
    """Raise :class:`RunError` unless the run was made from the data with this fingerprint."""
    if fingerprint != run.provenance()["data"]:
        raise RunError(
            f"{run.id}: was made from other images than {run.experiment.dataset} holds now. Remove {run.folder} to "
            "make it again from these, restore the images, or train with another --seed beside it."
        )


def _make(e: Experiment, folder: Path, trace: bool) -> Run:
    started = time.time()
    check_settings(e)
    data = experiment_data(e)
    method, origin = start(e, data)
    work = folder.with_name(f".work-{folder.name}")
    teachers = {name: source["sha256"] for name, source in origin.items() if name in ("teacher", "imitated")}
    _same_inputs(work, {"data": data.fingerprint, **teachers, "training": str(TRAINING)})
    sweep(folder)
    if earlier := _trained(folder, data.fingerprint):
        place(method).load_state_dict(earlier.network().state_dict())
        history = [{str(k): v for k, v in row.items()} for row in earlier.history().to_dict("records")]
        origin |= {"accelerator": earlier.provenance().get("accelerator"), "seconds_training": 0.0}  # not trained now
    else:
        tracer = partial(traced, data=data, e=e) if trace else None
        history = training.train(method, data, e, work / "checkpoint.pt", tracer, methods.label(e))
        origin["seconds_training"] = round(time.time() - started, 1)
    metrics, arrays = evaluate(method, data, e)
    origin |= {"data": data.fingerprint, "seconds": round(time.time() - started, 1)}
    finished = write_run(e, method, history, metrics, arrays, **origin)
    shutil.rmtree(work, ignore_errors=True)
    return finished


def _require_zero_shot(data: Dataset, e: Experiment) -> None:
    """Raise :class:`DataError` if no class is seen, or a seen and an unseen class of a plain folder are the same."""
    if not data.seen:
        number = len(data.unseen)
        raise DataError(
            f"{e.dataset}: {data.split} names {number} of {number} classes. Leave some to train on; as it "
            f"is, finished runs can be measured on it: `sakerepro evaluate RUN --dataset {e.dataset}`."
        )
    if e.dataset not in datasets():  # known data sets keep their official classes: two of TU-Berlin's are birds
        require_disjoint(data.seen, data.unseen, e.dataset)


def start(e: Experiment, data: Dataset) -> tuple[Method, dict[str, Any]]:
    """The untrained method of an experiment, and the sources of what it starts from, by name.

    ``teacher`` is the network that it starts from and usually imitates, ``imitated`` another network that it imitates
    instead, ``class_vectors`` are its class vectors; the last two are absent if it has none.

    Raises:
        DataError: if a class has no vector.
    """
    cls = methods.class_of(e.method)
    teacher, wnids, source = load_teacher(e)
    student, vectors, origin = _student(e, data, teacher), None, {"teacher": source}
    if (imitated := methods.imitated(e)) != e:
        teacher, _, origin["imitated"] = load_teacher(imitated)
    if "class vectors" in cls.needs:
        vectors, origin["class_vectors"] = class_vectors(methods.setting(e, "class_vectors"), data, e, student)
    return cls(e, student, methods.Side(data.seen, teacher, wnids, vectors)), origin


def base(e: Experiment) -> Experiment | None:
    """The experiment whose run gives the frozen features of a method; None for methods that train the backbone."""
    needs = methods.class_of(e.method).needs
    return methods.change(e, method=methods.setting(e, "features")) if "features" in needs else None


def _student(e: Experiment, data: Dataset, teacher: Classifier) -> Student:
    """The initial student: pretrained, or for a method on frozen features the student of the run of :func:`base`."""
    if source := base(e):
        return run(source).network().student.requires_grad_(False)
    return build_student(
        e.backbone,
        dim=e.dim,
        num_seen=len(data.seen),
        teacher=teacher,
        keep_bias=e.keep_bias,
        zero_head=e.zero_head,
        freeze=e.freeze,
        seed=e.seed,
    )


def _trained(folder: Path, fingerprint: str) -> Run | None:
    """The run in ``folder`` if its images and training version are current, so that it only has to be measured."""
    if not folder.is_dir():
        return None
    earlier = open_run(folder)
    origin = earlier.provenance()
    current = origin.get("versions", {}).get("training") == TRAINING and origin["data"] == fingerprint
    return earlier if current else None


def _same_inputs(work: Path, current: dict[str, str]) -> None:
    """Raise :class:`RunError` if ``work`` holds a checkpoint of other data, another teacher or another version."""
    file = work / "inputs.json"
    if file.is_file() and read_json(file, f"Remove the folder {work} to train from the beginning.") != current:
        raise RunError(
            f"{work}: the unfinished run began with other images, another teacher or version. Remove this folder "
            "to train from the beginning."
        )
    write_json(file, current)


def write_run(
    e: Experiment,
    method: Method,
    history: list[dict[str, float]],
    metrics: list[dict[str, Any]],
    arrays: dict[str, np.ndarray],
    folder: Path | None = None,
    **origin: Any,
) -> Run:
    """Write a finished run, whole or not at all; ``origin`` goes into its provenance.

    Args:
        folder: the run's folder; by default one below :func:`sakerepro.paths.runs`, where :func:`find` looks.
    """
    import pandas as pd
    from safetensors.torch import save_file

    folder = folder or paths.runs() / e.id
    with write_folder_whole(folder) as new:
        write_json(new / "experiment.json", e.to_dict())
        write_text(new / "history.csv", pd.DataFrame(history).to_csv(index=False))
        write_json(new / "metrics.json", metrics)
        np.savez(new / "embeddings.npz", **arrays)  # type: ignore[arg-type]
        save_file({k: v.contiguous().cpu() for k, v in method.state_dict().items()}, new / "weights.safetensors")
        files = {n: {"bytes": (new / n).stat().st_size, "sha256": sha256(new / n)} for n in FILES}
        origin = {"seed": e.seed, "command": " ".join(sys.argv), "finished": time.time(), "files": files, **origin}
        write_json(new / "provenance.json", provenance(**origin))
    return open_run(folder)


def run_folders() -> list[Path]:
    """The folders of all finished runs, oldest first, without teachers and unfinished (hidden) folders."""
    files = [f for f in paths.runs().glob("*/experiment.json") if not f.parent.name.startswith(".")]
    return [f.parent for f in sorted(files, key=lambda f: f.stat().st_mtime)]


def all_runs() -> list[Run]:
    """Every finished run below :func:`sakerepro.paths.runs`, oldest first."""
    return [open_run(folder) for folder in run_folders()]


def named_run(name: str = "") -> Run:
    """Open a finished run by id, unique part of an id, or folder; without a name, the one in the package.

    The package ships with one trained network: SAKE on the 100 seen classes of preset ``small``, in half precision. Its
    id is the name of its folder in ``sakerepro/models``.

    Raises:
        ConfigError: if no run fits, or more than one.
        RunError: if it is damaged.
    """
    if name in ("", SHIPPED):
        return open_run(paths.models() / SHIPPED)
    if (Path(name) / "experiment.json").is_file():
        return open_run(Path(name).resolve())
    ids = sorted(folder.name for folder in run_folders())
    matches = [name] if name in ids else [run_id for run_id in ids if name in run_id]
    if len(matches) == 1:
        return open_run(paths.runs() / matches[0])
    if matches:
        others = " or others" if len(matches) > 5 else ""
        raise ConfigError(f"{name!r} could be {', '.join(matches[:5])}{others}. Give more of the id.")
    hint = near_misses(name, ids) if ids else "There are none yet; `sakerepro train` makes one."
    raise ConfigError(f"There is no finished run {name!r} in {paths.shown(paths.runs())}. {hint}")
