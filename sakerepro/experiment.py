"""All settings of a run as one frozen value: method, data, network, training, seed.

A preset only fills in an :class:`Experiment`; nothing else in the code asks which preset it is in. Two experiments with
equal fields are the same run.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import Any

from .data.known import datasets
from .errors import ConfigError, near_misses
from .files import short_hash, short_name
from .paths import package_data


def _setting(group: str, default: Any, help: str, low: float | None = None, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "group": group, "low": low, "choices": choices})


GROUPS = ("label", "data", "network", "teacher", "objective", "optimisation", "measuring")
_label, _data, _network, _teacher, _objective, _optimisation, _measuring = (partial(_setting, g) for g in GROUPS)
_PLACES = ("dataset", "weights", "teacher_data")  # settings that can be a folder or a file


def valid(name: str, value: Any, want: type, low: float | None, choices: tuple[Any, ...]) -> Any:
    """The value of a setting in its exact type, so that equal experiments have equal JSON and equal ids.

    Raises:
        ConfigError: names the setting, the value and what is possible.
    """
    value = _typed(name, value, want)
    if low is not None and not value >= low:
        raise ConfigError(f"{name} = {value!r} has to be at least {low:g}.")
    if choices and value not in choices:
        raise ConfigError(f"{name} = {value!r} is not known. {near_misses(str(value), choices)}")
    return value


def _typed(name: str, value: Any, want: type) -> Any:
    if want is str and isinstance(value, os.PathLike):
        value = os.fspath(value)
    if want is tuple and isinstance(value, (list, tuple)):
        return tuple(_typed(name, v, int) for v in value)
    if isinstance(value, bool) == (want is bool):
        if want is int and isinstance(value, numbers.Integral):
            return int(value)
        if want is float and isinstance(value, numbers.Real) and math.isfinite(value):
            return float(value) + 0.0  # -0.0 becomes 0.0
        if want in (str, bool) and isinstance(value, want):
            return value
    raise ConfigError(f"{name} = {value!r} has to be of type {want.__name__}{' and finite' * (want is float)}.")


def _one_spelling(place: str) -> str:
    """Write ``"./d"`` and ``"d/"`` as ``"d"``; but ``"./mini"`` stays, since ``"mini"`` is a data set, not a folder."""
    plain = str(PurePath(place)) if place else place
    return f"./{plain}" if plain != place and plain in datasets() else plain


@dataclass(frozen=True)
class Experiment:
    """All settings of one run. The defaults are the paper's (section 4.1); where it is silent, the official code's."""

    preset: str = _label("mini", "label of the preset that the settings came from")
    method: str = _objective("SAKE", "a method of Table 1 (`sakerepro methods`), or MODULE:CLASS of your own")
    settings: tuple[tuple[str, Any], ...] = _objective((), "the method's own settings that are not at their defaults")
    method_version: int = _objective(1, "version of the method's code; set by the registry")

    dataset: str = _data("mini", "mini, sketchy-125x25, sketchy, tuberlin, or a folder")
    split: str = _data(
        "zeroshot",
        "zeroshot (TU-Berlin, mini), zeroshot1 or zeroshot2 (Sketchy), unseen.txt or "
        "random (a folder); empty: the usual one of the data set",
    )
    dedupe: bool = _data(False, "drop the second copy of photos that Sketchy's lists hold twice")
    random_unseen: int = _data(0, "unseen classes to draw at random, in place of the split's own (section 4.2)", low=0)
    pseudo_unseen: int = _data(0, "seen classes to hold out and measure on, to choose settings", low=0)
    class_seed: int = _data(0, "seed for drawing the random or pseudo-unseen classes", low=0)
    min_photos: int = _data(400, "fewest photos of a random unseen class (section 4.1)", low=0)
    outside_original: bool = _data(False, "draw random unseen classes outside the original domain (appendix A.1)")
    train_share: float = _data(
        1.0,
        "share of the training images of each class and domain, drawn at random; those of a smaller share are "
        "part of a larger one",
    )
    photo_queries: int = _measuring(
        10, "photos per unseen class used as queries in ZS-PBIR (the first ones); 0: no ZS-PBIR", low=0
    )

    backbone: str = _network("cse_resnet50", "network; `cse_` in front adds the domain gates (section 3.3)")
    weights: str = _network("", "file of the pretrained weights; empty: found by the network's name")
    dim: int = _network(64, "dimension of the embedding: 64 or 512 in the paper", low=1)
    keep_bias: bool = _network(True, "keep the pretrained classifier's bias (the official code drops it)")
    zero_head: bool = _network(False, "start the benchmark head at zero")
    freeze: int = _network(0, "number of first stages that are not trained; student and teacher share them", low=0)
    size: int = _network(224, "side of the network's square input, in pixels", low=8)

    epochs: int = _optimisation(20, "number of epochs; 0: the pretrained network as it is", low=0)
    steps: int = _optimisation(0, "training steps per epoch; 0: until the sketches or the photos are used up", low=0)
    batch_sketch: int = _optimisation(4, "sketches in a batch", low=1)
    batch_photo: int = _optimisation(36, "photos in a batch", low=1)
    lr: float = _optimisation(1e-4, "learning rate at the start")
    lr_end: float = _optimisation(
        1e-7, "learning rate that exponential decay, with a step per epoch, would reach after the last epoch"
    )
    head_lr: float = _optimisation(1.0, "learning rate of the benchmark head, as a multiple of lr", low=0)
    weight_decay: float = _optimisation(5e-4, "weight decay of Adam (L2)", low=0)
    batch_norm: str = _optimisation(
        "train", "train, or frozen: keep the pretrained statistics", choices=("train", "frozen")
    )
    augmentation: str = _optimisation(
        "official",
        "centred, official (about the top-left corner, black fill) or none",
        choices=("centred", "official", "none"),
    )
    precision: str = _optimisation("float32", "float32, or bfloat16 autocast", choices=("float32", "bfloat16"))
    compile: bool = _optimisation(
        False, "compile the networks with torch.compile: takes minutes, pays off in long runs on a GPU"
    )
    select: str = _optimisation(
        "val",
        "epoch whose weights are kept: val, the best on held-out sketches of seen classes (the last if the split "
        "holds none out), or last",
        choices=("val", "last"),
    )

    bits: tuple[int, ...] = _measuring((64,), "lengths of the ITQ codes in bits; lengths above dim are left out")
    teacher_epochs: int = _teacher(
        0, "epochs to train a teacher on the world's original domain; 0: pretrained weights", low=0
    )
    teacher_data: str = _teacher(
        "",
        "data set or folder whose original domain trains the teacher or fits its head; empty: that of the data set",
    )
    teacher_head: str = _teacher(
        "own",
        "own: the pretrained classifier; probe: a linear head fitted on labelled photos of the original domain, for "
        "networks without a classifier",
        choices=("own", "probe"),
    )
    seed: int = _optimisation(0, "seed for the heads, the batches and the augmentation", low=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", tuple(sorted(dict(self.settings).items())))
        for f in dataclasses.fields(self):
            if f.name == "settings":
                continue
            limits = f.metadata["low"], f.metadata["choices"]
            value = valid(f.name, getattr(self, f.name), type(f.default), *limits)
            object.__setattr__(self, f.name, _one_spelling(value) if f.name in _PLACES else value)
        if self.seed >= 1 << 63:
            raise ConfigError(f"seed = {self.seed} has to be below 2^63.")
        if not 0 < self.lr_end <= self.lr:
            raise ConfigError(f"lr_end = {self.lr_end} has to be above 0 and at most lr = {self.lr}.")
        if not 0 < self.train_share <= 1:
            raise ConfigError(f"train_share = {self.train_share} has to be above 0 and at most 1.")
        if self.random_unseen and self.pseudo_unseen:
            raise ConfigError("random_unseen and pseudo_unseen exclude each other; set one of them to 0.")
        if self.outside_original and not self.random_unseen:
            raise ConfigError("outside_original is about random unseen classes; set random_unseen to their number.")
        if self.class_seed and not (self.random_unseen or self.pseudo_unseen):
            raise ConfigError(
                f"class_seed = {self.class_seed} draws nothing here; set random_unseen or pseudo_unseen "
                "to the number of classes to draw."
            )
        if self.teacher_head == "probe" and self.teacher_epochs:
            raise ConfigError("teacher_head = 'probe' fits a head on a pretrained network; set teacher_epochs to 0.")
        if bad := [b for b in self.bits if b < 8 or b % 8]:
            raise ConfigError(f"bits = {bad[0]} has to be a multiple of 8 and at least 8.")

    @property
    def id(self) -> str:
        """Readable name and checksum of the content, such as ``mini-sake-64d-s0-0f3c91aa20d1``."""
        settings = [f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.settings]
        method = re.sub(r"[^\w.=+-]+", "_", "-".join([self.method.rpartition(":")[2].lower(), *settings]))[:60]
        method += "" if self.epochs else "-untrained"
        folder = re.sub(r"[^\w.]+", "_", self.dataset.rpartition("/")[2])
        data = self.split.replace("zeroshot", "zs") or short_name(folder)
        data += "-pseudo" if self.pseudo_unseen else ""
        data += f"-{'outside' if self.outside_original else 'random'}{self.class_seed}" if self.random_unseen else ""
        values, defaults = self.to_dict(), {f.name: f.default for f in dataclasses.fields(self)}
        # without defaults, so that a setting that is added later changes no id
        content = {k: v for k, v in values.items() if getattr(self, k) != defaults[k]}
        return f"{self.preset}-{data}-{self.backbone}-{method}-{self.dim}d-s{self.seed}-{short_hash(content)}"

    def group(self, name: str) -> dict[str, Any]:
        """The settings of one of ``GROUPS``, by name; experiments with equal ``group("data")`` use the same images.

        Raises:
            ConfigError: for an unknown group.
        """
        if name not in GROUPS:
            raise ConfigError(f"Unknown group of settings {name!r}. {near_misses(name, GROUPS)}")
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.metadata["group"] == name}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**dataclasses.asdict(self), "bits": list(self.bits), "settings": dict(self.settings)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Experiment:
        """The experiment with these settings and defaults for the others.

        Raises:
            ConfigError: for an unknown setting, with the closest ones, or a value of the wrong type.
        """
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise ConfigError(f"Unknown setting {name!r}. {near_misses(name, names)}")
        return cls(**values)

    def but(self, **changes: Any) -> Experiment:
        """A copy with some settings changed, checked like a new one."""
        return self.from_dict({**self.to_dict(), **changes})


# setting -> its possible values, for settings with a fixed choice
CHOICES = {f.name: f.metadata["choices"] for f in dataclasses.fields(Experiment) if f.metadata["choices"]}


def split_name(e: Experiment) -> str:
    """The split's name in rows of results: that of the data set, ``random0``, ``outside0`` or ``zeroshot1-pseudo0``."""
    if e.random_unseen:
        return f"{'outside' if e.outside_original else 'random'}{e.class_seed}"
    return f"{e.split}-pseudo{e.class_seed}".removeprefix("-") if e.pseudo_unseen else e.split


GET = 'sr.preset("mini") gives one.'  # hint in errors about an argument that is no Experiment
PRECISION = "SAKEREPRO_PRECISION"  # environment variable that overrides the preset's precision


@dataclass(frozen=True)
class StandIns:
    """What a preset uses in place of the paper's data and networks (``tables/presets.toml``)."""

    says: str = "data of one's own; not comparable with the paper's figures"  # printed above every table
    data: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)  # the paper's data -> our fields
    backbones: dict[str, str] = dataclasses.field(default_factory=dict)  # the paper's network -> ours
    settings: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)  # by method
    lacks: Sequence[str] = ()  # dimensions of embeddings that are not trained, such as "512-d"
    papers: bool = False  # the data are the paper's own, so that its numbers can be compared with ours
    from_rows: bool = True  # committed rows replace missing runs


_FILE = tomllib.loads(package_data("presets.toml").read_text(encoding="utf-8"))
PRESETS: dict[str, dict[str, Any]] = {name: values["settings"] for name, values in _FILE.items()}
STANDS_FOR = {name: StandIns(**values["stands_for"]) for name, values in _FILE.items()}


def stand_ins(preset: str) -> StandIns:
    """The stand-ins of a preset; none for a preset that ``STANDS_FOR`` lacks."""
    return STANDS_FOR.get(preset, StandIns())


def preset(name: str, **changes: Any) -> Experiment:
    """The experiment of a preset, with some settings changed.

    Another data set than the preset's own brings its usual split and its official batch sizes (4 sketches and 36 photos
    on TU-Berlin, 13 and 26 on Sketchy). A teacher that the preset trains is still trained on the preset's own original
    domain. ``split``, ``batch_sketch``, ``batch_photo`` and ``teacher_data`` override this. The environment variable
    ``SAKEREPRO_PRECISION`` overrides the preset's precision.

    Args:
        name: ``"mini"``, ``"small"`` or ``"paper"``.
        changes: settings of :class:`Experiment` by name, in place of the preset's.

    Raises:
        ConfigError: for an unknown preset or setting, or a value that a setting cannot have.
    """
    if name not in list(PRESETS):
        raise ConfigError(f"Unknown preset {name!r}. {near_misses(name, list(PRESETS))}")
    values = {"preset": name, **PRESETS[name]}
    if precision := os.environ.get(PRECISION):
        values["precision"] = precision
    if "dataset" in changes:
        changes["dataset"] = Experiment(dataset=changes["dataset"]).dataset  # in its one spelling
    if changes.get("dataset", values["dataset"]) != values["dataset"]:
        record = datasets().get(changes["dataset"])
        values["split"] = record.splits[0] if record and record.splits else ""
        values |= record.batches if record else {}
        if values.get("teacher_epochs") and changes.get("teacher_head") != "probe":
            values["teacher_data"] = values["dataset"]
    return Experiment.from_dict({**values, **changes})
