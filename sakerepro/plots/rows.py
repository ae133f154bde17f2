"""Figures of result rows: Table 1 and the splits as bars, Tables 2, 3 and 5 as curves, Figure 5, gains by class."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from scipy import stats

from .. import inputs
from ..errors import ConfigError
from ..results.doodles import doodle_frame
from ..results.findings import gain_by
from ..results.grids import shown
from ..results.paper import ABLATION, BOTH_TASKS, DATA_NAMES, DOODLE_METRICS, LEVELS
from ..results.rows import gain_groups, records
from ..results.tables import Table, comparison
from .labels import LAMBDA_NAMES, data_title
from .style import (
    COLUMN,
    HOLLOW,
    INK,
    PAGE,
    SPARE,
    WIDTHS,
    draw_lines,
    finish,
    look_of,
    marks,
    name_axes,
    name_rows,
    name_values,
    new_figure,
    paler,
    style,
)

_CLAIMS = {
    "table1": "Table 1. The paper's claim: SAKE retrieves better than every other system",
    "table2": "Table 2. The paper's claim: longer codes retrieve better, and SAKE beats ZSH and ZSIH at every length",
    "table3": "Table 3. The paper's claim: the semantics (λ₂) help beside the teacher (λ₁ = 1), most at λ₂ = 0.3",
    "table5": "Table 5. The paper's claim: ZS-SBIR peaks at λ_SAKE = 1; photo retrieval rises, of classes inside the "
    "original domain for longer",
    "splits": "Section 4.2. The paper's claim: SAKE's gain is no matter of the split",
}
_SIMILARITIES = {"confidence": "teacher's confidence (top probability)", "LCH": "Leacock-Chodorow similarity (nats)"}


@style()
def comparison_bars(frame: pd.DataFrame, metric: str = "mAP@all", *, item: str = "table1") -> Figure:
    """Table 1 or the random splits as bars: our means, their spread over seeds, the paper's numbers as diamonds.

    One panel per data set and split that was measured (all of the paper's, if nothing was); its title says which data
    the bars and which the diamonds are from.

    Args:
        frame: rows of one preset, as from :func:`sakerepro.run_rows`.
        metric: ``"mAP@all"``, ``"P@100"``, ``"mAP@200"``, ``"P@200"`` or ``"P@25"``; the splits have the first alone.
        item: ``"table1"`` or ``"splits"``.

    Raises:
        ConfigError: for another item or an unknown metric, mixed presets or ambiguous rows.
    """
    cells = comparison(inputs.one_of(item, ("table1", "splits"), "item"), frame).cells
    inputs.one_of(metric, tuple(cells["metric"].unique()), "metric")
    cells = cells[cells["metric"].eq(metric) & (cells["n"].gt(0) | cells["paper"].notna())]
    panels = _panels(cells.assign(label=cells["method"] + ", " + cells["representation"]))
    lines = _bar_lines(pd.concat(panels.values()))
    size = COLUMN if len(panels) == 1 else PAGE, max(1.9, 1.15 + 0.15 * len(lines))
    figure, axes = new_figure(*size, 1, len(panels), sharex=True, sharey=True)
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        panel = panel.assign(place=panel["label"].map([*lines].index))
        ours = panel[panel["n"].gt(0)]
        for method in sorted(set(ours["method"]), key=_place):
            bars, look = ours[ours["method"] == method], look_of(method)
            kind: dict[str, Any] = {"color": look.color, "hatch": look.hatch, "edgecolor": "white", "linewidth": 0}
            axis.barh(bars["place"], bars["ours"], 0.72, **kind)
        if ours["n"].gt(1).any():
            seeds = " or ".join(map(str, sorted(ours["n"][ours["n"] > 1].unique())))
            spread: dict[str, Any] = {"xerr": ours["std"], "label": f"ours, mean ± s.d. of {seeds} seeds"}
            axis.errorbar(ours["ours"], ours["place"], color=INK, fmt="none", elinewidth=0.9, **spread)
        axis.plot(panel["paper"], panel["place"], "D", color=INK, **HOLLOW, zorder=4, label="the paper's number")
        for i, (above, below) in enumerate(pairwise(lines.values())):
            if above != below:
                axis.axhline(i + 0.5, color="#bbbbbb", linewidth=0.5)
        name_axes(axis, metric, "method, features" if axis is axes[0] else "", grid="x")
        axis.set_title(title if panel["paper"].notna().any() else f"{title} (none for {metric})")
        name_rows(axis, [*lines])
    axes[0].set_xlim(left=0)
    return finish(figure, _CLAIMS[item], _subtitle(frame, f"ZS-SBIR {metric}", "bars"))


def _place(method: str) -> int:
    """The place of a method among those that were run: first the others, then the paper's ablation, SAKE last."""
    return ABLATION.index(method) if method in ABLATION else -1


def _bar_lines(cells: pd.DataFrame) -> dict[str, str]:
    """Labels from top to bottom with their part: methods with the paper's numbers only, then those that were run."""
    run = {*cells["method"][cells["n"] > 0], *ABLATION}
    pairs = list(dict.fromkeys(zip(cells["method"], cells["representation"], strict=True)))
    ours = [p for p in pairs if p[0] in run]
    ours.sort(key=lambda p: (p[1].endswith("bit"), -int(p[1].split("-")[0]), _place(p[0])))
    paper_only = {f"{m}, {r}": "other systems" for m, r in pairs if m not in run}
    return paper_only | {f"{m}, {r}": r for m, r in ours}


def _panels(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Title to cells, for each data set that was measured, or for all if none was; the title names our data, too."""
    panels = {}
    for (dataset, split), panel in cells.groupby(["dataset", "split"], sort=False):
        if panel["n"].gt(0).any() or not cells["n"].gt(0).any():
            our_data, name = _ours_on(panel), data_title(str(dataset), str(split))
            paper = DATA_NAMES.get(f"{dataset}/{split}", name)
            panels[paper if our_data in ("", name) else f"ours: {our_data}\npaper: {paper}"] = panel
    return panels


def _ours_on(cells: pd.DataFrame) -> str:
    """The data that our numbers were measured on, in words; empty if there are none."""
    places = cells["ours_on"][cells["n"] > 0].unique()
    return ", ".join(data_title(*place.rsplit("/", 1)) for place in places)


def _subtitle(frame: pd.DataFrame, numbers: str, marks: str) -> str:
    """The name of the numbers, the marks of ours, and our networks."""
    networks = ", ".join(dict.fromkeys(frame["backbone"]))
    return f"{numbers}. {f'Ours ({networks}): {marks}' if networks else 'Nothing run: the numbers of the paper alone'}"


@style()
def bits_curve(frame: pd.DataFrame) -> Figure:
    """Table 2 as curves: mAP@all over the length of the binary code, ours filled, the paper's hollow.

    A method that was measured at one length only, such as a baseline, is a level line. ``frame`` is as in
    :func:`comparison_bars`.

    Raises:
        ConfigError: for mixed presets or ambiguous rows.
    """
    cells = comparison("table2", frame).cells
    cells = cells[cells["representation"].str.endswith("-bit")]
    cells = cells.assign(bits=cells["representation"].str.removesuffix("-bit").astype(int))
    panels = _panels(cells)
    figure, axes = new_figure(WIDTHS[len(panels) - 1], 3.0, 1, len(panels), sharey=True)
    looks = {m: look_of(m, i) for i, m in enumerate(dict.fromkeys(cells["method"]))}
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        lengths = panel[panel["n"] > 0].groupby("method")["bits"].nunique()
        single_length = panel[panel["method"].map(lengths).eq(1) & panel["n"].gt(0)]
        styles: dict[str, dict[str, Any]] = {"ours": {"std": "std"}, "paper": {"linewidth": 0.7, **HOLLOW}}
        for kind, part in (("ours", panel.drop(single_length.index)), ("paper", panel)):
            names = {f"{m}, {kind}": look for m, look in looks.items()}
            part = part.assign(line=part["method"] + f", {kind}")
            draw_lines(axis, part, "bits", kind, "line", names, **styles[kind])
        for cell in records(single_length):
            look, name = looks[cell["method"]], f"{cell['method']}, ours ({cell['bits']} bits)"
            axis.axhline(cell["ours"], color=look.color, linestyle=look.line, label=name)
        axis.set_xscale("log", base=2)
        name_values(axis, panel["bits"].unique())
        axis.set_ylim(bottom=0)
        axis.set_title(title)
        name_axes(axis, "code length (bits)", "ZS-SBIR mAP@all" if axis is axes[0] else "")
    return finish(figure, _CLAIMS["table2"], _subtitle(frame, "ZS-SBIR mAP@all", "filled marks"))


@style()
def lambda_curves(frame: pd.DataFrame, x: str = "lambda_sake") -> Figure:
    """Table 5 (``x="lambda_sake"``) or Table 3 (``x="lambda2"``) as curves, the paper's and ours side by side.

    The two panels have scales of their own: they are measured on different data unless the preset is ``paper``.
    ``frame`` is as in :func:`comparison_bars`.

    Raises:
        ConfigError: for another ``x``, mixed presets or ambiguous rows.
    """
    items = {"lambda_sake": "table5", "lambda2": "table3"}
    cells = comparison(items[inputs.one_of(x, tuple(items), "x")], frame).cells
    cells["line"] = [_series(x, cell) for cell in records(cells)]
    looks = dict(zip(dict.fromkeys(cells["line"]), SPARE, strict=False))
    titles = {"paper": f"paper: {DATA_NAMES['tuberlin/zeroshot']}", "ours": f"ours: {_ours_on(cells)}"}
    sides = [*titles] if cells["n"].gt(0).any() else ["paper"]
    figure, axes = new_figure(WIDTHS[len(sides) - 1], 2.8, 1, len(sides))
    for axis, side in zip(axes, sides, strict=True):
        draw_lines(axis, cells, x, side, "line", looks, **({"std": "std"} if side == "ours" else HOLLOW))
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.5)
        name_values(axis, cells[x].unique())
        axis.set_xlim(-0.02, 1.4 * cells[x].max())
        axis.set_title(titles[side])
        name_axes(axis, f"{LAMBDA_NAMES[x]} (symmetric log scale)", "mAP@all")
    return finish(figure, _CLAIMS[items[x]], _subtitle(frame, "mAP@all", "filled marks"))


def _series(x: str, cell: Mapping[str, object]) -> str:
    if x == "lambda2":
        return f"{LAMBDA_NAMES['lambda1']} = {cell['lambda1']:g}"
    where = {"all": "", "IN": ", classes inside the original domain", "non-IN": ", classes outside it"}
    return f"{cell['task']}{where[str(cell['classes'])]}"


@style()
def table_curves(table: Table) -> Figure:
    """Any table, such as that of a grid of one's own: a panel a metric, over the first numeric setting.

    Without a numeric setting, the horizontal axis has the first column that varies.

    Raises:
        ConfigError: if no cell of the table was measured.
    """
    cells = table.cells[table.cells["n"] > 0]
    if cells.empty:
        raise ConfigError(f"Nothing of {table.item} was measured; give a table of finished runs.")
    names = (*table.lines_by, *table.blocks_by)
    x = next((k for k in names if pd.api.types.is_numeric_dtype(cells[k])), names[0])
    others = [k for k in dict.fromkeys(names) if k != x and cells[k].nunique() > 1]
    lines = [", ".join(filter(None, (shown(k, cell[k]) for k in others))) or table.item for cell in records(cells)]
    looks = {line: look_of(line, i) for i, line in enumerate(dict.fromkeys(lines))}
    panels = cells.assign(line=lines).groupby("metric", sort=False)
    figure, axes = new_figure(WIDTHS[min(len(panels), 2) - 1], 2.8, 1, len(panels))
    for axis, (metric, panel) in zip(axes, panels, strict=True):
        draw_lines(axis, panel, x, "ours", "line", looks, std="std")
        name_axes(axis, x, str(metric))
    return finish(figure, table.title, ", ".join(cells["ours_on"].unique()))


@style()
def gain_by_similarity(frame: pd.DataFrame) -> Figure:
    """Figure 5: do classes that gain more from SAKE lie closer to the original domain?

    As in appendix A.1, the classes of each held-out set are sorted by gain and divided into equal groups (the first
    take the remainder). Each small mark is a class, each large one the mean over the held-out sets of a group's
    mean; error bars are its 95 % interval (Student's t over the held-out sets), if there are several sets.

    Args:
        frame: one row a class, as from :func:`sakerepro.class_gains`: ``split`` (the held-out set), ``class``, ``gain``
            (SAKE's mAP@all minus L_B's), ``confidence`` (the teacher's, Figure 5a) and ``LCH`` (Leacock-Chodorow,
            Figure 5b); with a column ``dataset``, its name stands above.

    Raises:
        ConfigError: if a column is missing, or a held-out set has fewer classes than there are groups.
    """
    if missing := [c for c in ("split", "class", "gain", *_SIMILARITIES) if c not in frame.columns]:
        raise ConfigError(f"The frame has no column {missing[0]!r}. `sr.class_gains(runs)` gives one that has.")
    grouped = gain_groups(frame)
    codes, splits = pd.factorize(grouped["split"])
    grouped["set"] = [f"classes of set {code + 1}" for code in codes]
    grouped["place"] = grouped["group"] + 0.34 * (codes + 0.5) / len(splits) - 0.05  # right of the mean, a lane a set
    looks = dict(zip(grouped["set"].unique(), SPARE, strict=False))
    mean = f"mean and its 95 % interval over {len(splits)} sets" if len(splits) > 1 else "mean"
    figure, axes = new_figure(WIDTHS[1], 2.9, 1, 2)
    for letter, axis, (kind, title) in zip("ab", axes, _SIMILARITIES.items(), strict=True):
        dots = {"s": 14, "linewidth": 0.3, "legend": "full", **marks(looks)}
        seaborn.scatterplot(grouped, x="place", y=kind, hue="set", style="set", ax=axis, **dots)
        axis.legend().remove()
        means = grouped.groupby(["group", "split"])[kind].mean().unstack()
        half = means.sem(axis=1) * stats.t.ppf(0.975, len(splits) - 1) if len(splits) > 1 else None
        bars: dict[str, Any] = {"markersize": 5, "capsize": 3, "elinewidth": 1, "zorder": 5, "label": mean}
        axis.errorbar(np.arange(len(LEVELS)) - 0.16, means.mean(axis=1), yerr=half, color=INK, fmt="o", **bars)
        axis.set_xlim(-0.5, len(LEVELS) - 0.5)
        axis.set_xticks(range(len(LEVELS)), LEVELS)
        axis.set_title(f"({letter})")
        name_axes(axis, "classes by gain of SAKE over L_B in mAP@all", title)
    names = dict.fromkeys(data_title(name, "zeroshot") for name in frame["dataset"]) if "dataset" in frame else ()
    claim = "Figure 5. The paper's claim: classes gain more that lie closer to the original domain"
    return finish(figure, claim, ". ".join([*names, "SAKE against L_B, classes outside the original domain"]))


@style()
def doodle_bars(frame: pd.DataFrame, metric: str = "mAP@all") -> Figure:
    """How well doodles of another data set find photos, beside the data set's own sketches of the same classes.

    A panel for unseen and one for seen classes, a pair of bars a method, with 90 % intervals.

    Args:
        frame: rows, as from ``item_rows("quickdraw", runs)``.
        metric: ``"mAP@all"`` or ``"P@100"``.

    Raises:
        ConfigError: for another metric, or if no row is of a doodle.
    """
    inputs.one_of(metric, DOODLE_METRICS, "metric")
    shown = doodle_frame(frame).query("metric == @metric")
    shown = shown.assign(data=list(map(data_title, shown["dataset"], shown["split"])))
    panels = list(shown.groupby(["data", "side"], sort=False))
    methods = sorted(set(shown["method"]), key=_place)
    size = COLUMN * min(2, len(panels)), 1.05 + 0.42 * len(methods)
    figure, axes = new_figure(*size, 1, len(panels), sharey=True)
    kinds = {"doodles": ("doodles of another data set", 0.0), "sketches": ("the data set's own sketches", 0.55)}
    for axis, ((data, side), panel) in zip(axes, panels, strict=True):
        for (kind, (label, pale)), shift in zip(kinds.items(), (-0.19, 0.19), strict=True):
            bars = panel[panel["kind"] == kind].set_index("method").reindex(methods)
            place, value = np.arange(len(methods)) + shift, bars["value"].to_numpy()
            axis.barh(place, value, 0.36, color=[paler(look_of(m).color, pale) for m in methods])
            axis.barh(0, 0, color=paler(look_of("SAKE").color, pale), label=label)  # for the legend
            ends = np.abs(bars[["low", "high"]].to_numpy().T - value)
            look: Any = {"color": INK, "fmt": "none", "elinewidth": 0.8, "label": "90 % interval over classes"}
            axis.errorbar(value, place, xerr=ends, **look)
        axis.set_title(f"{side} classes" if len(panels) <= 2 else f"{data}, {side} classes")
        name_axes(axis, metric, grid="x")
        name_rows(axis, methods)
        axis.set_xlim(left=0)
    about = ". ".join(", ".join(names) for names in (shown["data"].unique(), frame["backbone"].unique()))
    return finish(figure, "How well doodles of another data set find photos, beside the data set's own sketches", about)


@style()
def gain_chart(frame: pd.DataFrame) -> Figure:
    """SAKE's gain over L_B by the pretrained network's mAP@all: a mark a class, and three equal groups.

    Args:
        frame: of :func:`sakerepro.results.by_class`.

    Raises:
        ConfigError: if the frame has no row.
    """
    if frame.empty:
        raise ConfigError("No class was measured. `make table1 PRESET=small` measures some.")
    looks = dict(zip(dict.fromkeys(frame["split"]), SPARE, strict=False))
    figure, axes = new_figure(PAGE, 2.9, 1, len(BOTH_TASKS), sharey=True)
    for axis, task in zip(axes, BOTH_TASKS, strict=True):
        part, by = frame[frame["task"] == task], {"hue": "split", "style": "split", **marks(looks)}
        seaborn.scatterplot(part, x="pretrained", y="gain", s=18, legend=False, ax=axis, **by)
        for name, look in looks.items():
            axis.plot([], [], look.marker, color=look.color, label=f"a class of {name}")
        axis.axhline(0, color="#999999", linewidth=0.7)
        for one in records(gain_by(frame, "pretrained", task)):
            mean, middle = one["gain"], (one["first"] * one["last"]) ** 0.5
            axis.hlines(mean, one["first"], one["last"], color=INK, linewidth=1.2)
            look = {"fmt": "D", "color": INK, "markersize": 4, "label": "a third of them", **HOLLOW}
            axis.errorbar(middle, mean, [[mean - one["low"]], [one["high"] - mean]], **look)
        axis.set_xscale("log")  # the pretrained network finds next to nothing of most classes
        name_values(axis, [t for t in (0.03, 0.1, 0.2, 0.3, 0.5, 1.0) if t > 0.8 * part["pretrained"].min()])
        name_axes(axis, f"{task}: mAP@all of the class by the pretrained network", "SAKE less L_B" * (axis is axes[0]))
    about = "preset small, real-valued features, means over seeds; 90 % bootstrap intervals over classes"
    return finish(figure, "SAKE holds back where ImageNet's features fail", about)
