"""Figures of finished runs: curves over the epochs, precision by recall, classes, the semantic matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import methods
from .errors import ConfigError, DataError
from .experiment import Experiment
from .plots_data import class_frame, precision_by_recall
from .plots_labels import data_line, data_title, looks_of, run_groups
from .plots_style import (
    COLUMN,
    INK,
    LOOKS,
    PAGE,
    Look,
    above,
    legend_of,
    name_of,
    new_figure,
    paler,
    reading_axes,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from .runs import Run

_LOSSES = {
    "loss_benchmark": "benchmark loss (nats)",
    "loss_sake": "SAKE loss (nats)",
    "val_top1": "validation top-1 (fraction)",
}
_TRACED = {"ZS-SBIR": "ZS-SBIR mAP@all", "ZS-PBIR": "ZS-PBIR mAP@all", "probe": "original domain, top-1 (fraction)"}
Groups = Mapping[str, list["Run"]]


@styled
def training_curves(runs: Sequence[Run]) -> Figure:
    """What the history holds over the epochs: loss terms, validation top-1, and mAP@all where it was traced.

    One line a method (mean over its seeds, with a band from the lowest to the highest).

    Args:
        runs: finished runs, at least one of them trained. A pretrained network's is a level line where mAP@all was
            traced.

    Raises:
        ConfigError: if no run has been trained for an epoch.
    """
    return _over_epochs(runs, {**_LOSSES, **_TRACED}, reference=False)


@styled
def forgetting_curves(runs: Sequence[Run]) -> Figure:
    """Retrieval over the epochs, from the pretrained network (epoch 0, if its run is given): who forgets, and when.

    Each curve's best epoch of training is marked by a ring; a curve that turns down after it forgets. Needs runs made
    with ``sr.run(experiment, trace=True)``.

    Raises:
        ConfigError: if no run was traced.
    """
    return _over_epochs(runs, _TRACED, reference=True)


def _over_epochs(runs: Sequence[Run], wanted: Mapping[str, str], reference: bool) -> Figure:
    groups = run_groups(runs)
    looks = looks_of(groups)
    tables = {g: pd.concat(h) for g, members in groups.items() if (h := [f for r in members if len(f := r.history())])}
    names = [n for n in wanted if any(n in t.columns for t in tables.values())]
    if not names:
        raise ConfigError(
            f"None of these {len(runs)} runs has a history of {', '.join(wanted)}. Give trained runs"
            + (" that were made with sr.run(experiment, trace=True)." if reference else ".")
        )
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure, axes = new_figure((COLUMN, 5.0, PAGE)[columns - 1], 0.3 + 1.75 * rows, rows, columns)
    for axis in axes[len(names) :]:
        axis.remove()
    for axis, name in zip(axes, names, strict=False):
        for label, table in tables.items():
            if name in table.columns:
                _epoch_line(axis, table, name, looks[label], label, _start(groups, label, name) if reference else None)
        _pretrained_line(axis, groups, looks, name)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        reading_axes(axis, "epoch", wanted[name])
        if name == "val_top1":
            _without_validation(axis, [r for g, t in tables.items() if name not in t.columns for r in groups[g]])
    legend_of(figure, axes[: len(names)])
    data_line(figure, runs)
    return figure


def _without_validation(axis: Axes, runs: Sequence[Run]) -> None:
    """Say why a line that stands in the legend is missing: Sketchy's zeroshot2 holds no validation sketches."""
    if splits := ", ".join(dict.fromkeys(run.experiment.split for run in runs)):
        text = f"no validation sketches: {splits}"
        axis.text(0.97, 0.04, text, transform=axis.transAxes, ha="right", fontsize="small", color=INK)


def _epoch_line(axis: Axes, table: pd.DataFrame, name: str, look: Look, label: str, start: float | None) -> None:
    by = table.dropna(subset=[name]).groupby("epoch")[name]
    mean, low, high = by.mean(), by.min(), by.max()
    if start is not None:
        mean = pd.concat([pd.Series({0: start}), mean])
    axis.plot(mean.index, mean, color=look.color, linestyle=look.line, marker=look.marker, markersize=2.8, label=label,
              markevery=max(1, len(mean) // 10))  # fmt: skip
    if (high > low).any():
        axis.fill_between(low.index, low, high, color=look.color, alpha=0.18, linewidth=0)
    if start is not None:
        peak = 1 + int(np.argmax(mean.iloc[1:]))  # the best of training: epoch 0 is not
        axis.plot(mean.index[peak], mean.iloc[peak], "o", color=INK, markersize=7.5, markerfacecolor="none",
                  markeredgewidth=0.8, clip_on=False, gid=f"best of {label}", label="best epoch")  # fmt: skip


def _measured(members: Sequence[Run], task: str) -> float | None:
    """Mean mAP@all of real-valued features over the seeds."""
    values = [
        m["value"] for r in members for m in r.metrics()
        if (m["task"], m["metric"], m["convention"]) == (task, "mAP@all", "standard")
        and m["representation"] == f"{r.experiment.dim}-d"
    ]  # fmt: skip
    return float(np.mean(values)) if values else None


def _start(groups: Groups, label: str, name: str) -> float | None:
    """The pretrained network's value for the same data, backbone and dimension, where the curve of a group starts."""
    def same(e: Experiment) -> object:
        return e.group("data"), e.backbone, e.dim, e.size

    e = groups[label][0].experiment
    for members in groups.values():
        o = members[0].experiment
        if methods.label(o) == "pretrained" and same(o) == same(e):
            return _measured(members, name)
    return None


def _pretrained_line(axis: Axes, groups: Groups, looks: Mapping[str, Look], name: str) -> None:
    for label, members in groups.items():
        untrained = methods.label(members[0].experiment) == "pretrained"
        value = _measured(members, name) if untrained and name in _TRACED else None
        if value is not None:
            axis.axhline(value, color=looks[label].color, linestyle=looks[label].line, label=label)


@styled
def precision_recall(runs: Sequence[Run]) -> Figure:
    """Mean precision over recall of ZS-SBIR (cosine, real-valued): plain at the left, interpolated at the right.

    One line a method (mean over its seeds); the thin line is a random order. Ties stand in the order of the gallery.
    See :func:`sakerepro.plots_data.precision_by_recall`.

    Args:
        runs: finished runs, at least one; those that differ in nothing but their seed are one line.

    Raises:
        ConfigError: if there is no run, or if a run's gallery has no photo of any query's class.
    """
    groups = run_groups(runs)
    looks = looks_of(groups)
    figure, axes = new_figure(5.0, 2.5, 1, 2, sharey=True)
    chance = []
    for label, members in groups.items():
        curves = []
        for run in members:
            a = run.embeddings()
            curves.append(precision_by_recall(a["query"], a["gallery"], a["query_labels"], a["gallery_labels"]))
            chance.append(np.mean([(a["gallery_labels"] == c).mean() for c in a["query_labels"]]))
        recall, *both = np.mean(curves, axis=0)
        for axis, precision in zip(axes, both, strict=True):
            axis.plot(recall, precision, color=looks[label].color, linestyle=looks[label].line,
                      marker=looks[label].marker, markevery=(5, 20), label=label)  # fmt: skip
    for axis, title in zip(axes, ("plain", "interpolated"), strict=True):
        axis.axhline(float(np.mean(chance)), color=INK, linewidth=0.5, label="random order")
        axis.set_title(title)
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1)
        reading_axes(axis, "recall", "mean precision" if axis is axes[0] else "")
    legend_of(figure, axes[:1])
    data_line(figure, runs)
    return figure


@styled
def per_class_bars(run: Run, other: Run | None = None, *, k: int = 10) -> tuple[Figure, pd.DataFrame]:
    """AP of every unseen class, best first: mean and quartiles over its queries, and what the class is taken for.

    Args:
        run: its bars.
        other: also mark this run's means (hollow), as from the baseline.
        k: the top that "taken for" looks at.

    Returns:
        The figure, and the frame of :func:`sakerepro.plots_data.class_frame`: ``worst_query`` is the failure case that
        ``retrieval_grid(run, cases="bad")`` shows of the class.

    Raises:
        ConfigError: if ``other`` was measured on other queries.
    """
    frame = class_frame(run, other, k)
    place = np.arange(len(frame))
    name = methods.label(run.experiment)
    look = LOOKS[name]
    figure, (axis,) = new_figure(COLUMN, max(2.9, 0.75 + 0.135 * len(frame)))  # the right name is 2 in long
    axis.barh(place, frame["ap"], 0.72, color=paler(look.color, 0.45), label=f"{name_of(name)}, mean")
    axis.hlines(place, frame["low"], frame["high"], color=INK, linewidth=0.8, label="quartiles of its queries")
    if other:
        axis.plot(frame["other_ap"], place, "D", color=INK, markerfacecolor="white", markersize=3.5,
                  markeredgewidth=0.8, label=f"{name_of(methods.label(other.experiment))}, mean")  # fmt: skip
    axis.set_yticks(place, [name.replace("_", " ") for name in frame["class"]])
    axis.set_ylim(len(frame) - 0.4, -0.6)
    axis.set_xlim(left=0)
    axis.tick_params(axis="y", length=0)
    reading_axes(axis, "average precision (ZS-SBIR)", "unseen class", grid="x")
    right = axis.secondary_yaxis("right")
    shares = zip(frame["taken_for"].str.replace("_", " "), frame["taken_share"], strict=True)
    taken = [f"{wrong}, {share:.0%}" if wrong else "-" for wrong, share in shares]
    right.set_yticks(place, taken)
    right.tick_params(axis="y", length=0)
    right.spines["right"].set_visible(False)
    right.set_ylabel(f"most frequent wrong class, share of top {k}")
    legend_of(figure, [axis])
    data_line(figure, [run])
    return figure, frame


@styled
def semantic_heatmap(
    similarity: np.ndarray, seen: Sequence[str], original_names: Sequence[str], top: int = 30,
    label: str = "path similarity", data: str = "",
) -> Figure:
    """The semantic matrix A between seen classes and the original classes that are closest to them.

    Rows are the ``top`` seen classes of the highest similarity to any original class, in the order of a hierarchical
    clustering (average linkage, cosine); columns are, for each row, its closest original class that has no column yet.

    Args:
        similarity: (C_S, C_O), as from :func:`sakerepro.semantic_similarity`.
        seen: C_S names.
        original_names: C_O names; of "great white shark, white shark" the first is shown.
        label: what the colours are.
        data: the data set that the seen classes are of; its name stands above.

    Raises:
        DataError: if the shapes do not fit.
    """  # fmt: skip
    similarity = np.asarray(similarity)
    if similarity.shape != (len(seen), len(original_names)):
        raise DataError(f"similarity is {similarity.shape}; {len(seen)} seen and {len(original_names)} original names.")
    rows = _clustered(similarity, np.sort(np.argsort(-similarity.max(1), kind="stable")[:top]))
    columns: list[int] = []
    for row in rows:
        order = np.argsort(-similarity[row], kind="stable")
        columns += [int(c) for c in order if c not in columns][:1]
    left, below = [seen[r] for r in rows], [original_names[c].split(",")[0] for c in columns]
    left, below = ([name.replace("_", " ") for name in names] for names in (left, below))
    cell, room = 0.165, [max(text_width(name, 6.5) for name in names) for names in (left, below)]
    figure, (axis,) = new_figure(0.95 + room[0] + cell * len(columns), 0.42 + room[1] + cell * len(rows))
    image = axis.imshow(similarity[rows][:, columns], cmap="Blues", vmin=0, vmax=max(1e-9, similarity.max()))
    axis.set_yticks(range(len(rows)), left)
    axis.set_xticks(range(len(columns)), below, rotation=90)
    axis.tick_params(length=0)
    reading_axes(axis, "original class", "seen class", grid="")
    figure.colorbar(image, ax=axis, label=label, shrink=min(1.0, 8 / len(rows)), aspect=12, pad=0.02)
    if data:
        above(figure, data_title(data, "zeroshot"))
    return figure


def _clustered(similarity: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows in the order of the leaves of a hierarchical clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(rows) < 3:
        return rows
    points = similarity[rows] + 1e-6  # a row of zeros has no direction
    return rows[leaves_list(linkage(points, "average", metric="cosine", optimal_ordering=True))]
