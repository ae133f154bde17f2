"""Figures of result rows: Table 1 as bars, Tables 2, 3 and 5 as curves, Figure 5. Rows come from ``sr.run_rows``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from .comparison import metric_cells
from .errors import ConfigError, near_misses
from .measured import measured
from .plots_labels import data_title
from .plots_style import (
    COLUMN,
    INK,
    LOOKS,
    PAGE,
    SPARE,
    Look,
    above,
    lambda_name,
    legend_below,
    legend_of,
    name_of,
    new_figure,
    reading_axes,
    styled,
)
from .rows import OURS, paper_values, records
from .tables_spec import DATASETS

_HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 0.9, "zorder": 4}
_LAMBDAS = (0.0, 0.1, 0.3, 1.0, 3.0)


@styled
def comparison_bars(
    frame: pd.DataFrame, metric: str = "mAP@all", *, others: bool = True, setting: Mapping[str, float] | None = None,
    convention: str = "standard",
) -> Figure:
    """Table 1 as bars: our means with their spread over seeds, the paper's numbers as hollow diamonds.

    One panel per data set and split that was measured (all of the paper's, if nothing was).

    Args:
        frame: rows of one preset, as from :func:`sakerepro.run_rows`.
        metric: ``"mAP@all"``, ``"P@100"``, ``"mAP@200"``, ``"P@200"`` or ``"P@25"``.
        others: also show the nine other systems, by the paper's numbers.
        setting, convention: as in :func:`sakerepro.results.comparison`.

    Raises:
        ConfigError: for an unknown metric, mixed presets or ambiguous rows.
    """  # fmt: skip
    cells = metric_cells("table1", metric, frame, setting, convention)
    cells = cells[cells["n"].gt(0) | cells["paper"].notna()]
    panels = _panels(cells, frame, "table1", setting, convention)
    shown = [panel for _, panel, _ in panels]
    lines = _bar_lines(pd.concat(shown), others)
    width = COLUMN if len(panels) == 1 else PAGE
    figure, axes = new_figure(width, 0.85 + 0.15 * len(lines), 1, len(panels), sharex=True, sharey=True)
    for axis, (title, panel, _) in zip(axes, panels, strict=True):
        for place, (method, representation) in enumerate(lines):
            for cell in records(panel[(panel["method"] == method) & (panel["representation"] == representation)]):
                _bar(axis, place, cell)
        breaks = [i for i in range(1, len(lines)) if _part(lines[i]) != _part(lines[i - 1])]
        for line in breaks:
            axis.axhline(line - 0.5, color="#bbbbbb", linewidth=0.5)
        reading_axes(axis, metric, grid="x")
        if others and panel["paper"].isna().all():
            axis.text(0.02, 0.0, f"(the paper has no {metric} here)", fontsize="small", va="center",
                      transform=axis.get_yaxis_transform())  # fmt: skip
        axis.set_title(title)
        axis.set_xlim(left=0)
    axes[0].set_ylabel("method, features")
    axes[0].set_yticks(range(len(lines)), [f"{name_of(m)}, {r}" for m, r in lines])
    axes[0].set_ylim(len(lines) - 0.4, -0.6)
    for axis in axes:
        axis.tick_params(axis="y", length=0)
    _bar_legend(figure, panels)
    return figure


def _part(line: tuple[str, str]) -> str:
    return line[1] if line[0] in OURS else "other systems"


def _bar_lines(cells: pd.DataFrame, others: bool) -> list[tuple[str, str]]:
    """(method, representation) from top to bottom: the other systems as in the paper, then ours by representation."""
    pairs = list(dict.fromkeys(zip(cells["method"], cells["representation"], strict=True)))
    ours = [p for p in pairs if p[0] in OURS]
    ours.sort(key=lambda p: (p[1].endswith("bit"), -int(p[1].split("-")[0]), OURS.index(p[0])))
    return [*(p for p in pairs if p[0] not in OURS and others), *ours]


def _bar(axis: Axes, place: int, cell: Mapping[str, float | str]) -> None:
    method, n = str(cell["method"]), int(cell["n"])
    if n:
        look, mean = LOOKS[method], float(cell["ours"])
        axis.barh(place, mean, 0.72, color=look.color, hatch=look.hatch, edgecolor="white", linewidth=0)
        if n > 1:
            axis.errorbar(mean, place, xerr=float(cell["std"]), color=INK, linewidth=0.9, capsize=2)
    if not math.isnan(float(cell["paper"])):
        axis.plot(float(cell["paper"]), place, "D", color=INK, markersize=4, **_HOLLOW)


def _bar_legend(figure: Figure, panels: list[tuple[str, pd.DataFrame, bool]]) -> None:
    cells = pd.concat([panel for _, panel, _ in panels])
    marks = [Line2D([], [], marker="D", color=INK, linestyle="", markersize=4, label=_paper_label(panels), **_HOLLOW)]
    if counts := sorted({int(n) for n in cells["n"] if n > 1}):
        label = f"ours, mean ± s.d. of {' or '.join(map(str, counts))} seeds"
        marks.append(Line2D([], [], color=INK, marker="|", linewidth=0.9, label=label))
    legend_below(figure, marks, [str(mark.get_label()) for mark in marks])


def _paper_label(panels: list[tuple[str, pd.DataFrame, bool]]) -> str:
    return "the paper's number" + ("" if all(same for *_, same in panels) else " (other data)")


def _panels(
    cells: pd.DataFrame, frame: pd.DataFrame, item: str, setting: Mapping[str, float] | None, convention: str
) -> list[tuple[str, pd.DataFrame, bool]]:  # fmt: skip
    """(title, cells, whether the data are the paper's) of each data set that was measured; of all, if none was."""
    ask = measured(frame, paper_values(item), setting=setting, convention=convention)
    panels = []
    for pair in dict.fromkeys(zip(cells["dataset"], cells["split"], strict=True)):
        panel = cells[(cells["dataset"] == pair[0]) & (cells["split"] == pair[1])]
        ours = ask.data.get(pair, pair)
        if panel["n"].gt(0).any() or not cells["n"].gt(0).any():
            same = ours == pair or not panel["n"].gt(0).any()
            title = DATASETS[pair] if same else data_title(*ours)
            panels.append((title, panel, same))
    return panels


@styled
def bits_curve(
    frame: pd.DataFrame, metric: str = "mAP@all", *, setting: Mapping[str, float] | None = None,
    convention: str = "standard",
) -> Figure:
    """Table 2 as curves: accuracy over the length of the binary code, ours filled, the paper's hollow.

    Args:
        frame, metric, setting, convention: as in :func:`comparison_bars`; Table 2 has ``"mAP@all"`` alone.

    Raises:
        ConfigError: for mixed presets or ambiguous rows, or if Table 2 has no such metric.
    """  # fmt: skip
    cells = metric_cells("table2", metric, frame, setting, convention)
    cells = cells[cells["representation"].str.endswith("-bit")]
    cells = cells.assign(bits=cells["representation"].str.removesuffix("-bit").astype(int)).sort_values("bits")
    panels = _panels(cells, frame, "table2", setting, convention)
    figure, axes = new_figure(COLUMN if len(panels) == 1 else 5.0, 2.5, 1, len(panels), sharey=True)
    theirs = "paper" if all(same for *_, same in panels) else "paper (other data)"
    for axis, (title, panel, _) in zip(axes, panels, strict=True):
        for number, (method, curve) in enumerate(panel.groupby("method", sort=False)):
            look = LOOKS.get(str(method), SPARE[3 + number % 3])
            _curve(axis, curve, look, name_of(str(method)), theirs)
        axis.set_xscale("log", base=2)
        bits = sorted(panel["bits"].unique())
        axis.set_xticks(bits, [str(b) for b in bits])
        axis.minorticks_off()
        axis.set_ylim(bottom=0)
        axis.set_title(title)
        reading_axes(axis, "code length (bits)", f"ZS-SBIR {metric}" if axis is axes[0] else "")
    legend_of(figure, axes)
    return figure


def _curve(axis: Axes, curve: pd.DataFrame, look: Look, method: str, source: str) -> None:
    """Our curve with its spread, and the paper's: hollow and thin."""
    ours, theirs = curve[curve["n"] > 0], curve[curve["paper"].notna()]
    if len(ours):
        axis.errorbar(ours["bits"], ours["ours"], yerr=ours["std"].fillna(0), color=look.color, linestyle=look.line,
                      marker=look.marker, capsize=2, elinewidth=0.8, label=f"{method}, ours")  # fmt: skip
    if len(theirs):
        axis.plot(theirs["bits"], theirs["paper"], color=look.color, linestyle=look.line, marker=look.marker,
                  linewidth=0.7, label=f"{method}, {source}", **_HOLLOW)  # fmt: skip


@styled
def lambda_curves(
    frame: pd.DataFrame, x: str = "lambda_sake", metric: str = "mAP@all", *,
    setting: Mapping[str, float] | None = None, convention: str = "standard",
) -> Figure:
    """Table 5 (``x="lambda_sake"``) or Table 3 (``x="lambda2"``) as curves, the paper's and ours side by side.

    The two panels have scales of their own: they are measured on different data unless the preset is ``paper``.

    Args:
        frame, metric, setting, convention: as in :func:`comparison_bars`; Tables 3 and 5 have ``"mAP@all"`` alone.

    Raises:
        ConfigError: for another ``x``, an unknown metric, mixed presets or ambiguous rows.
    """  # fmt: skip
    items = {"lambda_sake": "table5", "lambda2": "table3"}
    if x not in items:
        raise ConfigError(f"There is no curve over {x!r}. {near_misses(x, tuple(items))}")
    cells = metric_cells(items[x], metric, frame, setting, convention)
    run = cells["n"].gt(0).any()
    ask = measured(frame, paper_values(items[x]), varies=(x,) if x == "lambda_sake" else ("lambda1", x),
                   setting=setting, convention=convention)  # fmt: skip
    sides = [("paper", f"paper: {DATASETS['tuberlin', 'zeroshot']}")]
    sides += [("ours", f"ours: {data_title(*ask.data['tuberlin', 'zeroshot'])}")] if run else []
    figure, axes = new_figure(PAGE * 0.75 if run else COLUMN, 2.4, 1, len(sides))
    by = ["task", "classes"] if x == "lambda_sake" else ["lambda1"]
    for axis, (column, title) in zip(axes, sides, strict=True):
        for look, (key, curve) in zip(SPARE, cells.groupby(by, sort=False), strict=False):
            curve = curve[curve[column].notna()].sort_values(x)
            spread = curve["std"].fillna(0) if column == "ours" else None
            axis.errorbar(curve[x], curve[column], yerr=spread, color=look.color, linestyle=look.line,
                          marker=look.marker, markerfacecolor="white" if column == "paper" else look.color,
                          capsize=2, elinewidth=0.8, label=_series(by, key))  # fmt: skip
        axis.set_xscale("symlog", linthresh=0.1, linscale=0.5)
        axis.set_xticks(_LAMBDAS, [f"{v:g}" for v in _LAMBDAS])
        axis.minorticks_off()
        axis.set_xlim(-0.02, 4.2)
        axis.set_title(title)
        reading_axes(axis, f"{lambda_name(x)} (symmetric log scale)", metric)
    legend_of(figure, axes[:1])
    return figure


def _series(by: list[str], key: tuple[object, ...]) -> str:
    if by == ["lambda1"]:
        return f"{lambda_name('lambda1')} = {key[0]:g}"
    task, classes = key
    where = {"all": "", "IN": ", classes inside the original domain", "non-IN": ", classes outside it"}
    return f"{task}{where.get(str(classes), f', {classes}')}"


@styled
def gain_by_similarity(frame: pd.DataFrame, *, groups: tuple[str, ...] = ("low", "medium", "high")) -> Figure:
    """Figure 5: do classes that gain more from SAKE lie closer to the original domain?

    As in appendix A.1, the classes of each held-out set are sorted by gain and divided into equal groups (the first
    get what does not divide). Each small mark is a class, each large one the mean over the held-out sets of a group's
    mean; error bars are the standard deviation over the held-out sets, if there are several.

    Args:
        frame: one row a class: ``split`` (the held-out set), ``class``, ``gain`` (SAKE's mAP@all minus L_B's), and
            one or both of ``confidence`` (the teacher's, Figure 5a) and ``LCH`` (Leacock-Chodorow, Figure 5b); with a
            column ``dataset``, its name stands above.
        groups: names of the groups, from low gain to high.

    Raises:
        ConfigError: if a column is missing, or a held-out set has fewer classes than there are groups.
    """
    kinds = {"confidence": "teacher's confidence (top probability)", "LCH": "Leacock-Chodorow similarity (nats)"}
    shown = [k for k in kinds if k in frame.columns]
    if missing := [c for c in ("split", "class", "gain") if c not in frame.columns]:
        raise ConfigError(f"The frame has no column {missing[0]!r}; split, class and gain are needed.")
    if not shown:
        raise ConfigError("The frame has neither a column 'confidence' nor 'LCH'; give at least one of them.")
    grouped = gain_groups(frame, len(groups))
    figure, axes = new_figure(COLUMN if len(shown) == 1 else PAGE * 0.75, 2.5, 1, len(shown))
    for letter, axis, kind in zip("ab", axes, shown, strict=False):
        _gain_panel(axis, grouped, kind, len(groups))
        axis.set_xticks(range(len(groups)), groups)
        axis.set_title(f"({letter})" if len(shown) > 1 else "")
        reading_axes(axis, "gain of SAKE over $L_B$ in mAP@all (group)", kinds[kind])
    legend_of(figure, axes[:1])
    if "dataset" in frame.columns:
        above(figure, "; ".join(dict.fromkeys(data_title(name, "zeroshot") for name in frame["dataset"])))
    return figure


def gain_groups(frame: pd.DataFrame, n: int = 3) -> pd.DataFrame:
    """The frame with a column ``group``: 0 (lowest gain) ... n - 1, equal parts of each ``split``."""
    parts = []
    for split, part in frame.groupby("split", sort=False):
        if len(part) < n:
            raise ConfigError(f"The held-out set {split!r} has {len(part)} classes; {n} groups need at least {n}.")
        part = part.sort_values(["gain", "class"], ignore_index=True)
        sizes = [len(chunk) for chunk in np.array_split(np.arange(len(part)), n)]
        parts.append(part.assign(group=np.repeat(np.arange(n), sizes)))
    return pd.concat(parts, ignore_index=True)


def _gain_panel(axis: Axes, grouped: pd.DataFrame, kind: str, n: int) -> None:
    splits = list(dict.fromkeys(grouped["split"]))
    for number, (split, look) in enumerate(zip(splits, SPARE, strict=False)):
        part = grouped[grouped["split"] == split]
        aside = 0.34 * (number + 0.5) / len(splits) - 0.17 + 0.12  # to the right of the mean, a lane for each set
        axis.plot(part["group"] + aside, part[kind], linestyle="", marker=look.marker, color=look.color, markersize=2.6,
                  markerfacecolor="none", markeredgewidth=0.6, label=f"classes of set {number + 1}")  # fmt: skip
    means = grouped.groupby(["group", "split"])[kind].mean().unstack()
    spread = means.std(axis=1) if len(splits) > 1 else None
    axis.errorbar(np.arange(n) - 0.16, means.mean(axis=1), yerr=spread, color=INK, marker="o", markersize=5,
                  linewidth=1, capsize=3, zorder=5,
                  label="mean" + (f" ± s.d. of {len(splits)} sets" if len(splits) > 1 else ""))  # fmt: skip
    axis.set_xlim(-0.5, n - 0.5)
