"""Grids: the axes of a table, written once. Items, rows, tables, claims and verdicts read them.

``Grid("Batch size", batch_photo=(9, 18, 36), method=("L_B", "SAKE"))`` has six cells. ``grid.cells("mini")`` gives each
with its experiment; claims consist of contrasts such as ``grid[18, "SAKE"] > grid[18, "L_B"]``.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd

from .. import methods, paths
from ..errors import ConfigError, near_misses
from ..experiment import Experiment, split_name, stand_ins

Point = dict[str, Any]  # a value for every axis
Unit = tuple[Any, ...]  # the values of the axes that a selection leaves open, and the seed; equal units are paired

MAIN_DATA, MAIN_BACKBONE = "tuberlin/zeroshot", "cse_resnet50"  # the paper's, for a grid that names no other
NETWORKS = {
    "alexnet": "AlexNet",
    "resnet50": "ResNet-50",
    "se_resnet50": "SE-ResNet-50",
    "cse_resnet50": "CSE-ResNet-50",
    "better": "a better network",
    "worse": "a worse network",
}
PRINTED = pd.read_csv(paths.package_data("paper.csv"), dtype=str, keep_default_na=False)  # the paper's numbers
OTHER_SYSTEMS: dict[str, str] = {  # the nine in Table 1, each with the dimension of its published embeddings, or ""
    str(method): "".join(r for r in features.unique() if r.endswith("-d"))
    for method, features in PRINTED.query("item == 'table1'").groupby("method", sort=False)["representation"]
    if method != "SAKE"
}
WORDS: Point = {"data": None, "method": "SAKE", "backbone": None, "representation": None}  # in the paper's words
MEASURING: Point = {"task": "ZS-SBIR", "classes": "all", "variant": "", "convention": None, "metric": "mAP@all"}
_FIELDS = {f.name for f in dataclasses.fields(Experiment)} - {"preset", "method", "method_version", "settings", "seed"}
KEY = ("dataset", "split", "task", "classes", "method", "backbone", "representation", "metric")


class Grid:
    """The product of some axes; an axis that is left out has one value, the preset's own.

    An axis is a field of Experiment, a setting of the method, or one of these:

    - ``data``, the paper's data set and split (``"sketchy/zeroshot1"``), ``backbone``, ``teacher`` and
      ``representation``, named as in the paper: embeddings ``"64-d"``, codes ``"64-bit"`` of 64-d embeddings, or
      ``"real"``: embeddings of the preset's dimension or the method's own.
      :data:`sakerepro.experiment.STANDS_FOR` says what a preset uses in their place. A network that the paper does not
      name keeps its name.
    - ``method``: names and aliases. A method of Table 1 that is not registered has only the paper's number.
    - ``task``, ``classes``, ``variant``, ``convention`` and ``metrics``: which numbers are shown; they make no runs.

    Args:
        title: of the table.
        metrics: such as ``("mAP@all", "P@100")``; empty: the runs are made, but no table shows them.
        axes: one value or several.

    Raises:
        ConfigError: for an axis that is unknown or could be two things, or an unknown method.
    """

    def __init__(self, title: str, metrics: Sequence[str] = ("mAP@all",), **axes: Any) -> None:
        chosen = {k: tuple(v) if isinstance(v, (tuple, list)) else (v,) for k, v in axes.items()}
        defaults = {k: (v,) for k, v in {**WORDS, **MEASURING}.items() if k not in chosen}
        self.title = title
        self.axes: Point = {**chosen, **defaults, "metric": (metrics,) if isinstance(metrics, str) else tuple(metrics)}
        names = {*_FIELDS, *WORDS, *MEASURING}
        classes = [methods.class_of(methods.resolved(m)[0]) for m in self.axes["method"] if known(m)]
        settings = {name for cls in classes for name in cls.settings}
        for name in self.axes:
            if name in settings & names:
                raise ConfigError(f"{title}: {name!r} is a setting of the method and something else; rename it.")
            if name not in settings | names:
                raise ConfigError(f"{title}: there is no axis {name!r}. {near_misses(name, sorted(names | settings))}")

    @property
    def settings(self) -> tuple[str, ...]:
        """The axes that vary and have no column of their own in ``KEY``."""
        return tuple(k for k in self.varies if k not in ("data", *KEY))

    @property
    def varies(self) -> tuple[str, ...]:
        """The axes with more than one value, in the order of the arguments."""
        return tuple(k for k, v in self.axes.items() if len(v) > 1)

    def points(self, where: Mapping[str, Any] | None = None) -> Iterator[Point]:
        """Every combination of values, or those with the values of ``where``; without metrics, the metric is empty."""
        choices = ((where[k],) if where and k in where else v or ("",) for k, v in self.axes.items())
        return (dict(zip(self.axes, values, strict=True)) for values in itertools.product(*choices))

    def cells(self, preset: str, seeds: Sequence[int] = (0,)) -> Iterator[tuple[Point, Experiment]]:
        """Key and experiment of every cell that the preset runs, for each seed; untrained ones only for the first."""
        for point in self.points():
            for seed in seeds:
                e = experiment_of(point, preset, seed)
                if e is not None and (e.epochs or seed == seeds[0]):
                    yield key(point, self), e

    def at(self, **where: Any) -> Sum:
        """The cells at some values of the axes, as a term of a claim; the axes left open are paired one by one."""
        for name, value in where.items():
            if value not in self.axes.get(name, ()):
                raise ConfigError(f"{self.title}: there is no {name} = {value!r}. Known: {self.axes.get(name)}")
        return Sum(((1.0, Selection(self, where)),))

    def __getitem__(self, values: Any) -> Sum:
        """``grid[1, 0.3]``: the cell at these values of the axes that vary, in their order."""
        values = values if isinstance(values, tuple) else (values,)
        return self.at(**dict(zip(self.varies, values, strict=True)))


def known(method: str) -> bool:
    """Whether a method can be trained here; some methods of Table 1 may have only the paper's numbers."""
    if method in methods.METHODS or method in methods.ALIASES or ":" in method:
        return True
    if method not in OTHER_SYSTEMS:
        names = [*methods.METHODS, *methods.ALIASES, *OTHER_SYSTEMS]
        raise ConfigError(f"Unknown method {method!r}. {near_misses(method, names)}")
    return False


def experiment_of(
    point: Point, preset: str, seed: int, precision: str = "", lacking: bool = False
) -> Experiment | None:
    """The experiment whose run measures a point of a grid; an empty precision is the preset's.

    None if the preset has no stand-in for the paper's data or network. Also None if the data lack what the method
    needs, except with ``lacking``.
    """
    substitutes = stand_ins(preset)
    method, data, backbone, features = (point[name] for name in ("method", "data", "backbone", "representation"))
    if not known(method) or features in substitutes.lacks or (data and data not in substitutes.data):
        return None
    if any(n in NETWORKS and n not in substitutes.backbones for n in (backbone, point.get("teacher"))):
        return None
    changes = dict(substitutes.data[data]) if data else {}
    if backbone:
        changes["backbone"] = substitutes.backbones.get(backbone, backbone)
    if features and features not in ("real", OTHER_SYSTEMS.get(method)) and "dim" not in point:
        length, _, kind = features.partition("-")
        changes |= {"dim": int(length), **({"bits": (int(length),)} if kind == "bit" else {})}
    if precision:
        changes["precision"] = precision
    changes |= {k: v for k, v in point.items() if k not in WORDS and k not in MEASURING}
    if "teacher" in point:
        changes["teacher"] = substitutes.backbones.get(point["teacher"], point["teacher"])
    _, alias = methods.resolved(method)  # last: an epochs axis does not train what is pretrained
    e = methods.preset(preset, **{**changes, **alias, "method": method, "seed": seed})
    return e if lacking or not methods.lacks(e) else None


def papers(point: Point) -> Experiment | None:
    """The paper's experiment of a point, always in float32; cells with equal experiments are the same cell.

    None if the paper's preset has none, or refuses a setting that another preset accepts.
    """
    return _papers(run_axes(point))


@lru_cache(maxsize=4096)  # called for every cell of every claim; a call takes a millisecond
def _papers(axes: tuple[tuple[str, Any], ...]) -> Experiment | None:
    try:
        return experiment_of(dict(axes), "paper", 0, "float32")
    except ConfigError:
        return None


def run_axes(point: Point) -> tuple[tuple[str, Any], ...]:
    """The axes of a point that determine its run; the others choose among the run's numbers."""
    return tuple((k, v) for k, v in point.items() if k not in MEASURING)


def ours_on(e: Experiment) -> str:
    """The data that a run is measured on, such as ``mini/zeroshot``."""
    return f"{Path(e.dataset).name}/{split_name(e)}"


def key(point: Point, grid: Grid | None = None) -> Point:
    """A point, named as in the paper: the columns ``KEY``, and the settings that the grid varies."""
    e = papers(point)
    place = ours_on(e) if "dataset" in point and e else point["data"] or MAIN_DATA
    dataset, _, split = place.rpartition("/")
    representation = point["representation"]
    if representation == "real":
        representation = OTHER_SYSTEMS.get(point["method"]) or None
    return {
        "dataset": dataset,
        "split": split,
        "task": point["task"],
        "classes": point["classes"],
        "method": methods.label(e) if e else point["method"],
        "backbone": point["backbone"] or (MAIN_BACKBONE if point["method"] not in OTHER_SYSTEMS else ""),
        **{name: point[name] for name in (grid.settings if grid else ())},
        "representation": f"{e.dim}-d" if representation is None and e else representation or "",
        "metric": point["metric"],
    }


def identity(point: Point) -> tuple[Any, ...]:
    """A key that equal cells of the paper share, whatever their table."""
    words = key(point)
    e: Any = papers(point)
    if e is None:
        e = (words["method"], *((k, v) for k, v in run_axes(point) if k not in WORDS or (k == "backbone" and v)))
    where = (words[k] for k in KEY if k not in ("method", "backbone"))
    return (e, point["convention"], point["variant"], *where)


@dataclass(frozen=True)
class Selection:
    """Some cells of a grid: those at the values of ``where``."""

    grid: Grid
    where: Mapping[str, Any]

    def points(self) -> Iterator[tuple[Unit, Point]]:
        """Each cell with the values of the axes that ``where`` leaves open."""
        open_axes = [k for k in self.grid.varies if k not in self.where]
        return ((tuple(point[k] for k in open_axes), point) for point in self.grid.points(self.where))

    @property
    def point(self) -> Point:
        """The first of the cells."""
        return next(self.grid.points(self.where))

    @property
    def key(self) -> Point:
        """The first cell, named as in the paper."""
        return key(self.point, self.grid)


@dataclass(frozen=True)
class Sum:
    """A weighted sum of cells less a constant: ``sum(weight * cell) - minus``."""

    terms: tuple[tuple[float, Selection], ...]
    minus: float = 0.0

    def __rmul__(self, factor: float) -> Sum:
        return Sum(tuple((factor * w, s) for w, s in self.terms), factor * self.minus)

    def __sub__(self, other: Sum | float) -> Sum:
        if isinstance(other, Sum):
            return Sum((*self.terms, *(-1.0 * other).terms), self.minus - other.minus)
        return replace(self, minus=self.minus + other)

    def __gt__(self, other: Sum | float) -> Contrast:
        return Contrast(self - other)

    def __lt__(self, other: float) -> Contrast:
        return Contrast(-1.0 * (self - other))

    def within(self, bound: float) -> Contrast:
        """The condition that the sum is between -bound and bound: ``(a - b).within(0.01)``."""
        return Contrast(self, bound)


@dataclass(frozen=True)
class Contrast:
    """A condition on a sum: that it is above 0 or, with a ``bound``, between -bound and bound."""

    sum: Sum
    bound: float | None = None
    name: str = ""  # an empty one is made from the cells, see with_names

    def named(self, name: str) -> Contrast:
        """A copy under another name."""
        return replace(self, name=name)

    def __bool__(self) -> bool:
        raise TypeError("A contrast is judged by rows and neither true nor false; a > b > c has to be two contrasts.")


def rising(*cells: Sum) -> tuple[Contrast, ...]:
    """Each cell above the one before."""
    return tuple(high > low for low, high in itertools.pairwise(cells))


def with_names(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """Name each contrast by the values in which its cells differ, after those in which it differs from the others."""
    keys = [[{"method": s.grid.axes["method"][0], **s.where} for _, s in c.sum.terms] for c in contrasts]
    shared = [{k: v for k, v in cells[0].items() if all(o.get(k) == v for o in cells)} for cells in keys]
    varying = [k for k in {k: 0 for s in shared for k in s} if len({str(s.get(k)) for s in shared}) > 1]
    return tuple(
        c if c.name else c.named(_name(c, cells, [shown(k, same[k]) for k in varying if k in same]))
        for c, cells, same in zip(contrasts, keys, shared, strict=True)
    )


def _name(contrast: Contrast, cells: list[Point], where: list[str]) -> str:
    differ = [k for k in cells[0] if any(other.get(k) != cells[0][k] for other in cells)]
    sides = [" ".join(shown(k, p[k]) for k in differ if k in p) for p in cells] + [f"{contrast.sum.minus:g}"]
    factor = -contrast.sum.terms[1][0] if len(cells) == 2 else 1.0
    sides[1] = f"{factor:g} x {sides[1]}" if factor != 1 else sides[1]
    if differ and all(isinstance(p.get(differ[0]), (int, float)) for p in cells):
        sides[1] = sides[1].removeprefix(f"{differ[0]} = ")
    name = (" and " if contrast.bound is not None else " > ").join(sides[:2])
    return f"{' '.join(where)}: {name}" if where else name


def shown(column: str, value: Any) -> str:
    """A value of a key as tables show it."""
    if isinstance(value, (int, float)):
        return f"{column} = {value:g}"
    return NETWORKS.get(value, str(value)) if column in ("backbone", "teacher") else str(value)
