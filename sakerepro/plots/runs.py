"""Figures of finished runs: curves over the epochs, classes, the semantic matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import methods
from ..errors import ConfigError, DataError
from ..results.findings import conventions
from ..runs import map_all
from .data import class_frame
from .labels import about, data_title, looks_of, run_groups
from .style import (
    COLUMN,
    HOLLOW,
    INK,
    PAGE,
    draw_lines,
    finish,
    look_of,
    name_axes,
    name_rows,
    new_figure,
    paler,
    style,
    text_width,
)

if TYPE_CHECKING:
    from ..runs import Run

_LOSSES = {
    "loss_benchmark": "benchmark loss (nats)",
    "loss_sake": "SAKE loss (nats)",
    "val_top1": "validation top-1 (fraction)",
}
_TRACED = {"ZS-SBIR": "ZS-SBIR mAP@all", "ZS-PBIR": "ZS-PBIR mAP@all", "probe": "original domain, top-1 (fraction)"}


@style()
def training_curves(runs: Sequence[Run]) -> Figure:
    """The history over the epochs: loss terms, validation top-1, and mAP@all of traced runs.

    One line a method (mean over its seeds, with a band from the lowest to the highest).

    Args:
        runs: finished runs, at least one of them trained. The traced mAP@all of a pretrained network is a level line.

    Raises:
        ConfigError: if no run has been trained for an epoch.
    """
    claim = "Training: loss terms, accuracy and retrieval over the epochs (mean and range over the seeds)"
    return _over_epochs(runs, {**_LOSSES, **_TRACED}, claim)


@style()
def forgetting_curves(runs: Sequence[Run]) -> Figure:
    """Retrieval over the epochs, from the pretrained network (epoch 0, if its run is given): who forgets, and when.

    A ring marks each curve's best epoch of training; a curve that falls after its ring forgets. Needs runs made with
    ``sr.run(experiment, trace=True)``.

    Raises:
        ConfigError: if no run was traced.
    """
    claim = "The paper's claim: L_B alone forgets what the pretrained network knew, SAKE keeps it"
    return _over_epochs(runs, _TRACED, claim, reference=True)


def _over_epochs(runs: Sequence[Run], wanted: Mapping[str, str], claim: str, reference: bool = False) -> Figure:
    groups = run_groups(runs)
    looks = looks_of(groups)
    tables = [run.history().assign(group=group) for group, members in groups.items() for run in members]
    table = pd.concat([t for t in tables if len(t)] or tables)
    names = [n for n in wanted if n in table.columns]
    if not names:
        how = " made with sr.run(experiment, trace=True); one made without has to be removed first" if reference else ""
        wants = ", ".join(wanted)
        raise ConfigError(f"None of these {len(runs)} runs has a history of {wants}. Give trained runs{how}.")
    columns = min(len(names), 3)
    rows = -(-len(names) // columns)
    figure, axes = new_figure((COLUMN, 5.0, PAGE)[columns - 1], 0.6 + 1.75 * rows, rows, columns)
    for axis in axes[len(names) :]:
        axis.remove()
    for axis, name in zip(axes, names, strict=False):
        lines = table.dropna(subset=[name])
        if reference:
            _best_epochs(axis, lines, name)
            starts = {group: _start(groups, group, name) for group in lines["group"].unique()}
            begin = pd.DataFrame([{"group": g, "epoch": 0, name: v} for g, v in starts.items() if v is not None])
            lines = pd.concat([begin, lines], ignore_index=True)
        band: dict[str, Any] = {"errorbar": ("pi", 100), "err_kws": {"linewidth": 0}}
        every = max(1, int(lines["epoch"].max()) // 10)
        draw_lines(axis, lines, "epoch", name, "group", looks, markevery=every, **band)
        for group, members in groups.items():
            untrained = methods.label(members[0].experiment) == "pretrained" and name in _TRACED
            if untrained and (value := _mean_map(members, name)) is not None:
                axis.axhline(value, color=looks[group].color, linestyle=looks[group].line, label=group)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        name_axes(axis, "epoch", wanted[name])
        if name == "val_top1":
            trained = {g for g, members in groups.items() if members[0].experiment.epochs}
            _without_validation(axis, [r for g in trained - {*lines["group"]} for r in groups[g]])
    return finish(figure, claim, about(runs))


def _best_epochs(axis: Axes, lines: pd.DataFrame, name: str) -> None:
    """A ring around the best epoch of training of each group."""
    means = lines.groupby(["group", "epoch"])[name].mean()
    best = means.loc[means.groupby("group").idxmax()].reset_index()
    ring: dict[str, Any] = {"color": INK, "markersize": 7.5, "markerfacecolor": "none", "markeredgewidth": 0.8}
    axis.plot(best["epoch"], best[name], "o", clip_on=False, label="best epoch", **ring)


def _without_validation(axis: Axes, runs: Sequence[Run]) -> None:
    """Explain why a line of the legend is missing: Sketchy's zeroshot2 holds no validation sketches."""
    if splits := ", ".join(dict.fromkeys(run.experiment.split for run in runs)):
        text = f"no validation sketches: {splits}"
        axis.text(0.97, 0.04, text, transform=axis.transAxes, ha="right", fontsize="small", color=INK)


def _mean_map(members: Sequence[Run], task: str) -> float | None:
    """Mean mAP@all of embeddings over the seeds."""
    maps = (map_all(r).get((task, f"{r.experiment.dim}-d")) for r in members)
    values = [value for value in maps if value is not None]
    return float(np.mean(values)) if values else None


def _start(groups: Mapping[str, list[Run]], label: str, name: str) -> float | None:
    """The start of a group's curve: the pretrained network's value for the same data, backbone and dimension."""

    def start(members: Sequence[Run]) -> object:
        e = members[0].experiment
        return e.group("data"), e.backbone, e.dim, e.size

    untrained = (members for members in groups.values() if methods.label(members[0].experiment) == "pretrained")
    return next((_mean_map(m, name) for m in untrained if start(m) == start(groups[label])), None)


@style()
def per_class_bars(run: Run, other: Run | None = None, *, k: int = 10) -> tuple[Figure, pd.DataFrame]:
    """AP of every unseen class, best first: mean and quartiles over its queries, and its most frequent wrong class.

    Args:
        run: the bars are of this run.
        other: also mark this run's means (hollow), such as the baseline's.
        k: number of nearest photos that count for the wrong class.

    Returns:
        The figure, and the frame of :func:`sakerepro.plots.data.class_frame`, whose ``worst_query`` is the failure case
        that ``retrieval_grid(run, cases="bad")`` shows of the class.

    Raises:
        ConfigError: if ``other`` was measured on other queries.
    """
    frame = class_frame(run, other, k)
    method = methods.label(run.experiment)
    shares = zip(frame["taken_for"], frame["taken_share"], strict=True)
    taken = [f"{wrong}, {share:.0%}" if wrong else "-" for wrong, share in shares]
    room = sum(max(text_width(name, 6.5) for name in names) for names in (frame["class"], taken))
    figure, (axis,) = new_figure(max(COLUMN, room + 2.0), max(3.2, 1.05 + 0.135 * len(frame)))  # a name is 2 in long
    color = paler(look_of(method).color, 0.45)
    axis.barh(frame.index, frame["ap"], 0.72, color=color, label=f"{method}, mean")
    axis.hlines(frame.index, frame["low"], frame["high"], color=INK, linewidth=0.8, label="quartiles of its queries")
    if other:
        label = f"{methods.label(other.experiment)}, mean"
        axis.plot(frame["other_ap"], frame.index, "D", color=INK, markersize=3.5, label=label, **HOLLOW)
    name_rows(axis, [*frame["class"]])
    axis.set_xlim(left=0)
    name_axes(axis, "average precision (ZS-SBIR)", "unseen class", grid="x")
    right = axis.secondary_yaxis("right")
    right.set_yticks(frame.index, taken)
    right.tick_params(axis="y", length=0)
    right.spines["right"].set_visible(False)
    right.set_ylabel(f"most frequent wrong class, share of top {k}")
    return finish(figure, "How well each unseen class is found", about([run, other] if other else [run])), frame


@style()
def semantic_heatmap(
    similarity: np.ndarray, seen: Sequence[str], original_names: Sequence[str], top: int = 30, data: str = ""
) -> Figure:
    """The semantic matrix A between seen classes and the original classes that are closest to them.

    Rows are the ``top`` seen classes of the highest similarity to any original class, in the order of a hierarchical
    clustering (average linkage, cosine); columns are, for each row, its closest original class that has no column yet.

    Args:
        similarity: (C_S, C_O), as from :func:`sakerepro.semantic_similarity`.
        seen: C_S names.
        original_names: C_O names; of "great white shark, white shark" the first is shown.
        data: the data set that the seen classes are of; its name stands above.

    Raises:
        DataError: if the shapes do not fit.
    """
    similarity = np.asarray(similarity)
    if similarity.shape != (len(seen), len(original_names)):
        raise DataError(f"similarity is {similarity.shape}; {len(seen)} seen and {len(original_names)} original names.")
    rows = _clustered(similarity, np.sort(np.argsort(-similarity.max(1), kind="stable")[:top]))
    columns: list[int] = []
    for row in rows:
        order = np.argsort(-similarity[row], kind="stable")
        columns += [int(c) for c in order if c not in columns][:1]
    shown = pd.DataFrame(
        similarity[rows][:, columns],
        pd.Index([seen[r] for r in rows], name="seen class"),
        pd.Index([original_names[c].split(",")[0] for c in columns], name="original class"),
    )
    cell, left, below = 0.165, *(max(text_width(name, 6.5) for name in names) for names in (shown.index, shown.columns))
    width, height = max(COLUMN, 1.3 + left + cell * len(columns)), 0.9 + below + cell * len(rows)
    figure, (axis,) = new_figure(width, height, layout="compressed")
    bar = {"label": "path similarity", "shrink": min(1.0, 12 / len(rows)), "aspect": 12, "pad": 0.02}
    colors = {"cmap": "Blues", "vmin": 0, "vmax": max(1e-9, similarity.max()), "cbar_kws": bar}
    seaborn.heatmap(shown, square=True, xticklabels=True, yticklabels=True, ax=axis, **colors)
    axis.tick_params(axis="x", length=0, rotation=90)
    axis.tick_params(axis="y", length=0, rotation=0)
    claim = "Semantic matrix A: seen classes and their relatives in the original domain"
    return finish(figure, claim, data_title(data, "zeroshot") if data else f"{len(seen)} seen classes")


def _clustered(similarity: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The rows in the order of the leaves of a hierarchical clustering."""
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(rows) < 3:
        return rows
    points = similarity[rows] + 1e-6  # a row of zeros has no direction
    return rows[leaves_list(linkage(points, "average", metric="cosine", optimal_ordering=True))]


@style()
def conventions_chart(run: Run) -> Figure:
    """The metrics of a run from sketch to photo, each by the conventions of :func:`sakerepro.retrieval_metrics`."""
    frame = conventions(run)
    figure, (axis,) = new_figure(COLUMN * 1.35, 2.4)
    places, width = np.arange(frame.shape[1]), 0.26
    for i, (name, hatch) in enumerate(zip(frame.index, ("", "////", "...."), strict=True)):
        bars = axis.bar(places + (i - 1) * width, frame.loc[name], width, label=f'convention="{name}"', hatch=hatch)
        axis.bar_label(bars, fmt="%.3f", fontsize=5, padding=1)
    axis.set_xticks(places, list(frame.columns))
    name_axes(axis, "", "ZS-SBIR")
    return finish(figure, "One ranking, three conventions", about([run]))
