"""Table 1 on equal terms as a figure: every method with its interval, a colour for each family."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from .. import inputs, methods
from ..errors import ConfigError
from ..results.grids import Grid, ours_on
from ..results.paper import grids_of
from ..results.rows import records
from ..results.tables import Measured
from ..results.verdicts import PerQuery, judge_contrast
from .labels import data_title
from .style import COLUMN, HOLLOW, PAGE, finish, look_of, name_axes, name_rows, new_figure, style

_FAMILIES = {
    "baselines": "#8a8a8a",
    "trains the network": "C1",
    "on frozen features": "C2",
    "SAKE": look_of("SAKE").color,
}
_KINDS: dict[str, dict[str, Any]] = {  # for each representation: name, offset from the method's line, mark
    "real": {"name": "real-valued", "shift": -0.15, "mark": {"fmt": "o", "markersize": 4}},
    "64-bit": {"name": "64-bit codes", "shift": 0.2, "mark": {"fmt": "s", "markersize": 3, **HOLLOW}},
}


def family(method: str) -> str:
    """The family of a method, one of four, by the part that it trains."""
    if method in methods.ALIASES:
        return "baselines"
    if method in _FAMILIES:
        return method
    return "on frozen features" if "features" in methods.class_of(method).needs else "trains the network"


@style()
def systems_chart(frame: pd.DataFrame, per_query: PerQuery | None = None, item: str = "systems") -> Figure:
    """mAP@all of the ten methods, as far as measured: means and 90 % intervals, best on top, a panel a data set.

    Args:
        frame: rows of one preset.
        per_query: of :func:`sakerepro.query_precision`: with one seed, the interval is a bootstrap over the classes.
        item: ``"systems"`` or ``"generalised"``.

    Raises:
        ConfigError: for mixed presets, or if nothing was measured.
    """
    (grid,) = grids_of(inputs.one_of(item, ("systems", "generalised"), "item"))
    points = _intervals(grid, Measured(frame), per_query or {})
    if points.empty:
        raise ConfigError(f"No row of mAP@all of the ten methods is there. `make {item}` makes some.")
    panels = dict(iter(points.groupby("data", sort=False)))
    height = 1.3 + 0.17 * points["method"].nunique()
    figure, axes = new_figure(COLUMN * 1.35 if len(panels) == 1 else PAGE, height, 1, len(panels))
    for axis, (title, panel) in zip(axes, panels.items(), strict=True):
        best = [*panel.groupby("method")["mean"].first().sort_values(ascending=False).index]
        for one in records(panel):
            kind, mean, group = _KINDS[one["kind"]], one["mean"], family(one["method"])
            look = {"color": _FAMILIES[group], "label": f"{group}, {kind['name']}", "elinewidth": 0.9, **kind["mark"]}
            width = [[mean - one["low"]], [one["high"] - mean]]
            axis.errorbar(mean, best.index(one["method"]) + kind["shift"], xerr=width, **look)
            if (one["method"], one["kind"]) == ("L_B", "real"):
                axis.axvline(mean, color="#999999", linewidth=0.7, linestyle=(0, (4, 2)), zorder=0)
        axis.set_title(str(title))
        name_rows(axis, best)
        name_axes(axis, f"{grid.axes['task'][0]} mAP@all", grid="x")
    numbers = sorted({*points["n"]})
    how = f"over {' or '.join(str(n) for n in numbers if n > 1)} seeds" if numbers[-1] > 1 else "over classes, one seed"
    how += ", or over classes where there is one" if len(numbers) > 1 and numbers[0] == 1 else ""
    networks = ", ".join(dict.fromkeys(frame["backbone"]))
    about = f"{networks}; 90 % intervals {how}; dashed: L_B"
    return finish(figure, grid.title, about)


def _intervals(grid: Grid, measured: Measured, per_query: PerQuery) -> pd.DataFrame:
    """One row a data set, method and representation: mean, low and high end of the interval, n."""
    rows = []
    for point in grid.points({"metric": "mAP@all"}):
        where = {k: point[k] for k in ("data", "method", "representation", "metric")}
        if numbers := measured.numbers(point):
            judged = judge_contrast(grid.at(**where) > 0.0, measured, per_query)
            data = data_title(*ours_on(numbers[0].experiment).rsplit("/", 1))
            interval = {"mean": judged.mean, "low": judged.low, "high": judged.high, "n": judged.n}
            rows.append({"data": data, "method": point["method"], "kind": point["representation"], **interval})
    return pd.DataFrame(rows)
