"""Table 1 on equal terms as a figure: every method with its interval, one colour a family."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from .. import methods
from ..errors import ConfigError
from ..results.grids import ours_on
from ..results.paper import SYSTEMS
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
_KINDS: dict[str, dict[str, Any]] = {  # of representations: their name, place beside the method's line, and mark
    "real": {"name": "real-valued", "shift": -0.15, "mark": {"fmt": "o", "markersize": 4}},
    "64-bit": {"name": "64-bit codes", "shift": 0.2, "mark": {"fmt": "s", "markersize": 3, **HOLLOW}},
}


def family(method: str) -> str:
    """The family of a method, one of four: by what it trains, not by its idea."""
    if method in methods.ALIASES:
        return "baselines"
    if method in _FAMILIES:
        return method
    return "on frozen features" if "features" in methods.class_of(method).needs else "trains the network"


@style()
def systems_chart(frame: pd.DataFrame, per_query: PerQuery | None = None, metric: str = "mAP@all") -> Figure:
    """All that was measured of ``systems``: means and 90 % intervals, best on top, one panel per data set.

    Args:
        frame: rows of one preset.
        per_query: of :func:`sakerepro.query_precision`: with one seed, the interval is a bootstrap over the classes.
        metric: ``"mAP@all"``, ``"P@100"``, ``"mAP@200"`` or ``"P@200"``; only the first has bootstrap intervals, the
            others of one seed a margin of 0.02.

    Raises:
        ConfigError: for mixed presets or an unknown metric, or if nothing was measured.
    """
    points = _measured(Measured(frame), per_query or {}, metric)
    if points.empty:
        raise ConfigError(f"No rows of {metric} of the ten methods are there. `make systems` makes them.")
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
        name_axes(axis, f"ZS-SBIR {metric}", grid="x")
    how = "over classes" if metric == "mAP@all" else "by a margin"
    seeds = points["n"]
    if seeds.max() > 1:
        how = "over seeds" if seeds.min() > 1 else f"over {seeds.max()} seeds, or {how} where there is one"
    networks = ", ".join(dict.fromkeys(frame["backbone"]))
    about = f"{networks}; 90 % intervals {how}{', one seed' * bool(seeds.max() == 1)}; dashed: L_B"
    return finish(figure, SYSTEMS.title, about)


def _measured(ask: Measured, per_query: PerQuery, metric: str) -> pd.DataFrame:
    """One row a data set, method and representation: mean, low and high end of the interval, n."""
    found = []
    for point in SYSTEMS.points({"metric": metric}):
        where = {k: point[k] for k in ("data", "method", "representation")}
        judged = judge_contrast(SYSTEMS.at(**where, metric=metric) > 0.0, ask, per_query)
        if judged.n:
            data = data_title(*ours_on(ask.numbers(point)[0].experiment).rsplit("/", 1))
            interval = {"mean": judged.mean, "low": judged.low, "high": judged.high, "n": judged.n}
            found.append({"data": data, "method": point["method"], "kind": point["representation"], **interval})
    return pd.DataFrame(found)
