"""Which classes knowledge preservation helps: SAKE's gain class by class."""

from __future__ import annotations

import pandas as pd
import seaborn
from matplotlib.figure import Figure

from ..errors import ConfigError
from ..results.preserving import TASKS, gain_by
from ..results.rows import records
from .style import HOLLOW, INK, PAGE, SPARE, finish, marks, name_axes, name_values, new_figure, style


@style()
def gain_chart(frame: pd.DataFrame) -> Figure:
    """SAKE's gain over L_B by what the pretrained network finds: a mark a class, and three equal groups.

    Args:
        frame: of :func:`sakerepro.results.by_class`.

    Raises:
        ConfigError: if the frame has no row.
    """
    if frame.empty:
        raise ConfigError("No class was measured. `make systems PRESET=small` measures some.")
    looks = dict(zip(dict.fromkeys(frame["split"]), SPARE, strict=False))
    figure, axes = new_figure(PAGE, 2.9, 1, len(TASKS), sharey=True)
    for axis, task in zip(axes, TASKS, strict=True):
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
