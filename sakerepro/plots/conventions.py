"""One ranking, several numbers: the conventions of the field side by side."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from ..results.findings import conventions
from ..runs import Run
from .labels import about
from .style import COLUMN, finish, name_axes, new_figure, style


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
