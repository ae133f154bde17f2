"""Figures of result rows: Table 1 and the splits as bars, Tables 2, 3 and 5 as curves, Figure 5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure
from scipy import stats

from ..errors import ConfigError, near_misses
from ..results.doodles import doodle_frame
from ..results.grids import shown
from ..results.paper import ABLATION, DATA_NAMES, LEVELS
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
    draw_bars,
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
def comparison_bars(
    frame: pd.DataFrame,
    metric: str = "mAP@all",
    *,
    item: str = "table1",
    others: bool = True,
    convention: str = "standard",
) -> Figure:
    """Table 1 or the random splits as bars: our means, their spread over seeds, the paper's numbers as diamonds.

    One panel per data set and split that was measured (all of the paper's, if nothing was); its title says which data
    the bars and which the diamonds are from.

    Args:
        frame: rows of one preset, as from :func:`sakerepro.run_rows`.
        metric: ``"mAP@all"``, ``"P@100"``, ``"mAP@200"``, ``"P@200"`` or ``"P@25"``; the splits have the first alone.
        item: ``"table1"`` or ``"splits"``.
        others: also show the nine other methods, by the paper's numbers.
        convention: as in :func:`sakerepro.results.comparison`.

    Raises:
        ConfigError: for an unknown metric, mixed presets or ambiguous rows.
    """
    cells = _cells(item, metric, frame, convention)
    cells = cells[cells["n"].gt(0) | cells["paper"].notna()]
    panels = _panels(cells)
    shown = pd.concat(panels.values())
    run = set(shown["method"][shown["n"] > 0]) | set(ABLATION)
    lines = _bar_lines(shown, others, run)
    labels = [f"{method}, {representation}" for method, representation in lines]
    parts = [representation if method in run else "other systems" for method, representation in lines]
    size = COLUMN if len(panels) == 1 else PAGE, max(1.9, 1.15 + 0.15 * len(lines))
    figure, axes = new_figure(*size, 1, len(panels), sharex=True, sharey=True)
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        panel = panel.assign(label=panel["method"] + ", " + panel["representation"])
        panel = panel[panel["label"].isin(labels)]
        panel["place"] = panel["label"].map(labels.index)
        ours = panel[panel["n"].gt(0)]
        if methods := sorted(ours["method"].unique(), key=_place):
            palette = {m: look_of(m).color for m in methods}
            hue = {"hue": "method", "hue_order": methods, "palette": palette, "dodge": False}
            draw_bars(axis, ours, "ours", "label", order=labels, edgecolor="white", linewidth=0, **hue)
        for method, bars in zip(methods, axis.containers, strict=False):
            for bar in bars:
                bar.set_hatch(look_of(method).hatch)
        if ours["n"].gt(1).any():
            seeds = " or ".join(map(str, sorted(ours["n"][ours["n"] > 1].unique())))
            spread: dict[str, Any] = {"xerr": ours["std"], "label": f"ours, mean ± s.d. of {seeds} seeds"}
            axis.errorbar(ours["ours"], ours["place"], color=INK, fmt="none", elinewidth=0.9, **spread)
        axis.plot(panel["paper"], panel["place"], "D", color=INK, **HOLLOW, zorder=4, label="the paper's number")
        for i in range(1, len(lines)):
            if parts[i] != parts[i - 1]:
                axis.axhline(i - 0.5, color="#bbbbbb", linewidth=0.5)
        name_axes(axis, metric, "method, features" if axis is axes[0] else "", grid="x")
        axis.set_title(title if panel["paper"].notna().any() else f"{title} (none for {metric})")
        name_rows(axis, labels)
    axes[0].set_xlim(left=0)
    return finish(figure, _CLAIMS[item], _measured(frame, f"ZS-SBIR {metric}", "bars"))


def _cells(item: str, metric: str, frame: pd.DataFrame, convention: str) -> pd.DataFrame:
    """The cells of one of the paper's tables in one metric."""
    cells = comparison(item, frame, convention=convention).cells
    if metric not in set(cells["metric"]):
        name = f"Table {item.removeprefix('table')}"
        raise ConfigError(f"{name} has no {metric!r}. {near_misses(metric, tuple(cells['metric'].unique()))}")
    return cells[cells["metric"] == metric]


def _place(method: str) -> int:
    """Where a method stands among those that were run: the paper's ablation, SAKE last, behind all others."""
    return ABLATION.index(method) if method in ABLATION else -1


def _bar_lines(cells: pd.DataFrame, others: bool, run: set[str]) -> list[tuple[str, str]]:
    """(method, representation) from top to bottom: methods with the paper's numbers only, then those that were run."""
    pairs = list(dict.fromkeys(zip(cells["method"], cells["representation"], strict=True)))
    ours = [p for p in pairs if p[0] in run]
    ours.sort(key=lambda p: (p[1].endswith("bit"), -int(p[1].split("-")[0]), _place(p[0])))
    return [*(p for p in pairs if p[0] not in run and others), *ours]


def _panels(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Title to cells, for each data set that was measured, or for all if none was; the title names our data, too."""
    panels = {}
    for (dataset, split), panel in cells.groupby(["dataset", "split"], sort=False):
        if panel["n"].gt(0).any() or not cells["n"].gt(0).any():
            own, name = _ours_on(panel), data_title(str(dataset), str(split))
            paper = DATA_NAMES.get(f"{dataset}/{split}", name)
            panels[paper if own in ("", name) else f"ours: {own}\npaper: {paper}"] = panel
    return panels


def _ours_on(cells: pd.DataFrame) -> str:
    """The data that our numbers were measured on, in words; empty if there are none."""
    places = cells["ours_on"][cells["n"] > 0].unique()
    return ", ".join(data_title(*place.rsplit("/", 1)) for place in places)


def _measured(frame: pd.DataFrame, what: str, marks: str) -> str:
    """What is shown, the marks of our numbers, and the networks that they are of."""
    networks = ", ".join(dict.fromkeys(frame["backbone"]))
    return f"{what}. {f'Ours ({networks}): {marks}' if networks else 'Nothing run: the numbers of the paper alone'}"


@style()
def bits_curve(frame: pd.DataFrame, metric: str = "mAP@all", *, convention: str = "standard") -> Figure:
    """Table 2 as curves: accuracy over the length of the binary code, ours filled, the paper's hollow.

    A method that was measured at one length only, such as a baseline, is a level line. Arguments are as in
    :func:`comparison_bars`; Table 2 has ``"mAP@all"`` alone.

    Raises:
        ConfigError: for mixed presets or ambiguous rows, or if Table 2 has no such metric.
    """
    cells = _cells("table2", metric, frame, convention)
    cells = cells[cells["representation"].str.endswith("-bit")]
    cells = cells.assign(bits=cells["representation"].str.removesuffix("-bit").astype(int))
    panels = _panels(cells)
    figure, axes = new_figure(WIDTHS[len(panels) - 1], 3.0, 1, len(panels), sharey=True)
    looks = {m: look_of(m, i) for i, m in enumerate(dict.fromkeys(cells["method"]))}
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        lengths = panel[panel["n"] > 0].groupby("method")["bits"].nunique()
        level = panel[panel["method"].map(lengths).eq(1) & panel["n"].gt(0)]
        styles: dict[str, dict[str, Any]] = {"ours": {"std": "std"}, "paper": {"linewidth": 0.7, **HOLLOW}}
        for kind, part in (("ours", panel.drop(level.index)), ("paper", panel)):
            names = {f"{m}, {kind}": look for m, look in looks.items()}
            part = part.assign(line=part["method"] + f", {kind}")
            draw_lines(axis, part, "bits", kind, "line", names, **styles[kind])
        for cell in records(level):
            look, name = looks[cell["method"]], f"{cell['method']}, ours ({cell['bits']} bits)"
            axis.axhline(cell["ours"], color=look.color, linestyle=look.line, label=name)
        axis.set_xscale("log", base=2)
        name_values(axis, panel["bits"].unique())
        axis.set_ylim(bottom=0)
        axis.set_title(title)
        name_axes(axis, "code length (bits)", f"ZS-SBIR {metric}" if axis is axes[0] else "")
    return finish(figure, _CLAIMS["table2"], _measured(frame, f"ZS-SBIR {metric}", "filled marks"))


@style()
def lambda_curves(
    frame: pd.DataFrame, x: str = "lambda_sake", metric: str = "mAP@all", *, convention: str = "standard"
) -> Figure:
    """Table 5 (``x="lambda_sake"``) or Table 3 (``x="lambda2"``) as curves, the paper's and ours side by side.

    The two panels have scales of their own: they are measured on different data unless the preset is ``paper``. Other
    arguments are as in :func:`comparison_bars`; Tables 3 and 5 have ``"mAP@all"`` alone.

    Raises:
        ConfigError: for another ``x``, an unknown metric, mixed presets or ambiguous rows.
    """
    items = {"lambda_sake": "table5", "lambda2": "table3"}
    if x not in items:
        raise ConfigError(f"There is no curve over {x!r}. {near_misses(x, tuple(items))}")
    cells = _cells(items[x], metric, frame, convention)
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
        name_axes(axis, f"{LAMBDA_NAMES[x]} (symmetric log scale)", metric)
    return finish(figure, _CLAIMS[items[x]], _measured(frame, metric, "filled marks"))


def _series(x: str, cell: Mapping[str, object]) -> str:
    if x == "lambda2":
        return f"{LAMBDA_NAMES['lambda1']} = {cell['lambda1']:g}"
    where = {"all": "", "IN": ", classes inside the original domain", "non-IN": ", classes outside it"}
    return f"{cell['task']}{where[str(cell['classes'])]}"


@style()
def table_curves(table: Table) -> Figure:
    """Any table, such as that of a grid of one's own: a panel a metric, over the first setting in numbers.

    Without a setting in numbers, the marks stand over the first thing that varies.

    Raises:
        ConfigError: if nothing of it was measured.
    """
    cells = table.cells[table.cells["n"] > 0]
    if cells.empty:
        raise ConfigError(f"Nothing of {table.item} was measured; give a table of finished runs.")
    names = (*table.lines_by, *table.blocks_by)
    x = next((k for k in names if pd.api.types.is_numeric_dtype(cells[k])), names[0])
    others = [k for k in dict.fromkeys(names) if k != x and cells[k].nunique() > 1]
    lines = [", ".join(shown(k, cell[k]) for k in others) or table.item for cell in records(cells)]
    looks = {line: look_of(line, i) for i, line in enumerate(dict.fromkeys(lines))}
    panels = cells.assign(line=lines).groupby("metric", sort=False)
    figure, axes = new_figure(WIDTHS[min(len(panels), 2) - 1], 2.8, 1, len(panels))
    for axis, (metric, panel) in zip(axes, panels, strict=True):
        draw_lines(axis, panel, x, "ours", "line", looks, std="std")
        name_axes(axis, x, str(metric))
    return finish(figure, table.title, ", ".join(cells["ours_on"].unique()))


@style()
def gain_by_similarity(frame: pd.DataFrame, *, groups: tuple[str, ...] = LEVELS) -> Figure:
    """Figure 5: do classes that gain more from SAKE lie closer to the original domain?

    As in appendix A.1, the classes of each held-out set are sorted by gain and divided into equal groups (the first
    get what does not divide). Each small mark is a class, each large one the mean over the held-out sets of a group's
    mean; error bars are its 95 % interval (Student's t over the held-out sets), if there are several sets.

    Args:
        frame: one row a class: ``split`` (the held-out set), ``class``, ``gain`` (SAKE's mAP@all minus L_B's), and
            one or both of ``confidence`` (the teacher's, Figure 5a) and ``LCH`` (Leacock-Chodorow, Figure 5b); with a
            column ``dataset``, its name stands above.
        groups: names of the groups, from low gain to high.

    Raises:
        ConfigError: if a column is missing, or a held-out set has fewer classes than there are groups.
    """
    kinds = [k for k in _SIMILARITIES if k in frame.columns]
    if missing := [c for c in ("split", "class", "gain") if c not in frame.columns]:
        raise ConfigError(f"The frame has no column {missing[0]!r}; split, class and gain are needed.")
    if not kinds:
        raise ConfigError("The frame has neither a column 'confidence' nor 'LCH'; give at least one of them.")
    grouped = gain_groups(frame, len(groups))
    codes, splits = pd.factorize(grouped["split"])
    grouped["set"] = [f"classes of set {code + 1}" for code in codes]
    grouped["place"] = grouped["group"] + 0.34 * (codes + 0.5) / len(splits) - 0.05  # right of the mean, a lane a set
    looks = dict(zip(grouped["set"].unique(), SPARE, strict=False))
    mean = f"mean and its 95 % interval over {len(splits)} sets" if len(splits) > 1 else "mean"
    figure, axes = new_figure(WIDTHS[len(kinds) - 1], 2.9, 1, len(kinds))
    for letter, axis, kind in zip("ab", axes, kinds, strict=False):
        dots = {"s": 14, "linewidth": 0.3, "legend": "full", **marks(looks)}
        seaborn.scatterplot(grouped, x="place", y=kind, hue="set", style="set", ax=axis, **dots)
        axis.legend().remove()
        means = grouped.groupby(["group", "split"])[kind].mean().unstack()
        half = means.sem(axis=1) * stats.t.ppf(0.975, len(splits) - 1) if len(splits) > 1 else None
        bars: dict[str, Any] = {"markersize": 5, "capsize": 3, "elinewidth": 1, "zorder": 5, "label": mean}
        axis.errorbar(np.arange(len(groups)) - 0.16, means.mean(axis=1), yerr=half, color=INK, fmt="o", **bars)
        axis.set_xlim(-0.5, len(groups) - 0.5)
        axis.set_xticks(range(len(groups)), groups)
        axis.set_title(f"({letter})" if len(kinds) > 1 else "")
        name_axes(axis, "classes by gain of SAKE over L_B in mAP@all", _SIMILARITIES[kind])
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
        ConfigError: if no row is of a doodle.
    """
    shown = doodle_frame(frame).query("metric == @metric")
    shown = shown.assign(data=list(map(data_title, shown["dataset"], shown["split"])))
    panels = list(shown.groupby(["data", "side"], sort=False))
    methods = sorted(set(shown["method"]), key=_place)
    size = COLUMN * min(2, len(panels)), 1.05 + 0.42 * len(methods)
    figure, axes = new_figure(*size, 1, len(panels), sharey=True)
    kinds = {"doodles": ("doodles of another data set", 0.0), "sketches": ("the data set's own sketches", 0.55)}
    for axis, ((data, side), panel) in zip(axes, panels, strict=True):
        for (kind, (label, pale)), shift in zip(kinds.items(), (-0.19, 0.19), strict=True):
            mine = panel[panel["kind"] == kind].set_index("method").reindex(methods)
            place, value = np.arange(len(methods)) + shift, mine["value"].to_numpy()
            axis.barh(place, value, 0.36, color=[paler(look_of(m).color, pale) for m in methods])
            axis.barh(0, 0, color=paler(look_of("SAKE").color, pale), label=label)  # for the legend
            ends = np.abs(mine[["low", "high"]].to_numpy().T - value)
            look: Any = {"color": INK, "fmt": "none", "elinewidth": 0.8, "label": "90 % interval over classes"}
            axis.errorbar(value, place, xerr=ends, **look)
        axis.set_title(f"{side} classes" if len(panels) <= 2 else f"{data}, {side} classes")
        name_axes(axis, metric, grid="x")
        name_rows(axis, methods)
        axis.set_xlim(left=0)
    about = ". ".join(", ".join(names) for names in (shown["data"].unique(), frame["backbone"].unique()))
    return finish(figure, "How well doodles of another data set find photos, beside the data set's own sketches", about)
