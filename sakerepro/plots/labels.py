"""Names of runs and data sets in figures, and the groups of runs that share a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import methods
from ..data.dataset import Dataset
from ..data.known import datasets
from ..errors import ConfigError
from .style import SPARE, Look, look_of

if TYPE_CHECKING:
    from ..runs import Run

LAMBDA_NAMES = {"lambda_sake": "λ_SAKE", "lambda1": "λ₁", "lambda2": "λ₂"}


def run_groups(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Groups of runs that differ only in their seed, named by the method and the settings in which groups differ."""
    if not runs:
        raise ConfigError("There is no run to draw. Give one or more finished runs, as from sr.run or sr.item_runs.")
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.experiment.but(seed=0), []).append(run)
    values = {e: methods.flat(e) for e in groups}
    named = {}
    for e, settings in values.items():
        same = [v for o, v in values.items() if methods.label(o) == methods.label(e)]
        differ = [k for k, v in settings.items() if any(o[k] != v for o in same)]
        named[", ".join([methods.label(e), *(_setting(k, settings[k]) for k in differ)])] = groups[e]
    return named


def looks_of(groups: Mapping[str, Sequence[Run]]) -> dict[str, Look]:
    """A look for each group: the method's; its second and later groups have another line and marker."""
    looks: dict[str, Look] = {}
    kinds = [methods.label(members[0].experiment) for members in groups.values()]
    free = [spare for spare in SPARE if spare.marker not in {look_of(m).marker for m in kinds}]
    for label, kind in zip(groups, kinds, strict=True):
        look = look_of(kind)
        if look in looks.values():
            spare = free[(len(looks) - len(set(kinds))) % len(free)]
            look = Look(look.color, spare.dashes, spare.marker, look.hatch)
        looks[label] = look
    return looks


def _setting(name: str, value: Any) -> str:
    if name == "dim":
        return f"{value}-d"
    if name in LAMBDA_NAMES:
        return f"{LAMBDA_NAMES[name]} = {value:g}"
    if name == "class_seed":
        return f"random split {value}"
    return str(value) if isinstance(value, str) else f"{name} = {value}"


def run_data(run: Run) -> str:
    """The data that a run was measured on, in words."""
    e = run.experiment
    if e.random_unseen:  # drawn from all classes, so the split does not matter
        return f"{data_title(e.dataset, 'zeroshot')}, random split {e.class_seed}"
    name = data_title(e.dataset, e.split)
    return f"{name}, pseudo-unseen classes" if e.pseudo_unseen else name


def data_title(dataset: str, split: str) -> str:
    """The title of a data set: its name, and the split if it has several."""
    record = datasets().get(dataset)
    name = record.title if record else Path(dataset).name
    return name if split == "zeroshot" else f"{name}, {split}"


def about(runs: Sequence[Run]) -> str:
    """Data, methods and networks of runs in one line; the generated world is called generated."""
    names: dict[str, dict[str, None]] = {}  # each data set once, then its splits
    for run in runs:
        name, _, split = run_data(run).partition(", ")
        names.setdefault(name, {})[split] = None
    data = "; ".join(", ".join(filter(None, [name, *splits])) for name, splits in names.items())
    kinds = dict.fromkeys(methods.label(run.experiment) for run in runs)
    networks = dict.fromkeys(f"{run.experiment.backbone}, {run.experiment.dim}-d" for run in runs)
    return f"{data}. {', '.join(kinds)} ({'; '.join(networks)})"


def is_generated(dataset: Dataset) -> bool:
    """Whether the images were drawn by the package, so that anyone may publish them."""
    record = datasets().get(dataset.name)
    if record is None or not record.generated:
        return False
    # a folder of one's own may have the same name, but hardly the same classes
    return {*dataset.seen, *dataset.unseen} <= {name for _, name, _, _ in record.class_rows()}
