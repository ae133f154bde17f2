"""The one style of every figure: sizes, fonts, colours and marks, and how a figure is saved.

Figures fit a paper's column (``COLUMN``, 3.3 in) or page (``PAGE``, 7 in) at their own size. Colours are those of
Okabe and Ito, safe for colour-blind readers. Markers, line styles or hatches repeat the distinctions of the colours,
so that a figure can be read in grey.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.colors
import matplotlib.style
import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from .. import paths
from ..errors import ConfigError
from ..files import write_whole

STYLE = paths.package_data("sakerepro.mplstyle")
_FIXED = {"text.parse_math": False, "svg.hashsalt": "sakerepro"}  # names may hold dollars; equal figures, equal bytes
_FORMATS: dict[str, dict[str, Any]] = {
    "png": {"dpi": 200, "metadata": {"Software": None}},
    "svg": {"dpi": 120, "metadata": {"Date": None, "Creator": None}},  # dpi: of pictures inside
}
COLUMN, PAGE = 3.3, 7.0  # inches
WIDTHS = (COLUMN, 0.75 * PAGE, PAGE)  # of one panel, two, three
INK = "#222222"
HOLLOW: dict[str, Any] = {"markerfacecolor": "white", "markeredgewidth": 0.9}


@dataclass(frozen=True)
class Look:
    """The colour, line, marker and hatch of a method or a group, readable in colour and in grey."""

    color: str
    dashes: Any  # lengths of strokes and gaps, "" for a solid line
    marker: str
    hatch: str = ""

    @property
    def line(self) -> Any:
        """The dashes as a line style of matplotlib."""
        return (0, self.dashes) if self.dashes else "-"


LOOKS = {
    "pretrained": Look("#a0a0a0", (1, 1.2), "^"),
    "L_B": Look("C4", (4, 1.5), "s", "//////"),
    "L_B + L_T": Look("C2", (4, 1.2, 1, 1.2), "D", "xxxx"),
    "SAKE": Look("C0", "", "o"),
}
SPARE = (
    Look("C0", "", "o"),
    Look("C1", (4, 1.5), "s"),
    Look("C2", (4, 1.2, 1, 1.2), "D"),
    Look("C6", (1, 1.2), "^"),
    Look("C3", (7, 2), "v"),
    Look("C4", (2, 1), "P"),
    Look("C5", (5, 1, 1, 1, 1, 1), "X"),
)


def look_of(method: str, number: int = 0) -> Look:
    """The look of a method; methods outside the paper's ablation get spare looks, by their number."""
    return LOOKS.get(method, SPARE[3 + number % (len(SPARE) - 3)])


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib settings, whatever the user's own are; restored afterwards. Decorates figures too."""
    with matplotlib.style.context(["default", STYLE, _FIXED]):
        yield


class Picture(Figure):
    """A matplotlib figure without pyplot: always drawn in the project's style, and shown once in a notebook.

    Attributes:
        images_of: name of the data set whose images it holds, if these may not be published; else empty.
    """

    images_of: str = ""

    def draw(self, renderer: Any) -> None:
        """Draw; called by matplotlib."""
        with style():
            super().draw(renderer)

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """As in matplotlib.

        Raises:
            ConfigError: if images of a real data set would go where results are published.
        """
        if isinstance(fname, str | Path):
            refuse_images(self, Path(fname))
        with style():
            super().savefig(fname, **kwargs)

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        return buffer.getvalue()


def refuse_images(figure: Figure, path: Path) -> None:
    """Raise a ConfigError if ``figure`` holds images of a real data set and ``path`` is in a published folder."""
    source = getattr(figure, "images_of", "")
    for place in (paths.results(), paths.notebooks()):
        if source and path.resolve().is_relative_to(place.resolve()):
            raise ConfigError(
                f"{paths.shown(path)}: this figure shows images of {source!r}, which may not be published, and "
                f"{paths.shown(place)} is. Draw it with images=False (labelled tiles), or save it elsewhere."
            )


def save(figure: Figure, path: Path | str) -> list[Path]:
    """Write ``<path>.png`` (200 dpi) and ``<path>.svg``; the same figure gives the same bytes.

    Args:
        path: without a suffix.

    Returns:
        The two paths.

    Raises:
        ConfigError: if images of a real data set would go below ``results/`` or ``notebooks/``.
        RunError: if the folder cannot be written.
    """
    refuse_images(figure, path := Path(path))
    targets = {path.with_name(f"{path.name}.{suffix}"): suffix for suffix in _FORMATS}
    for target, suffix in targets.items():
        with write_whole(target) as temporary, style():
            figure.savefig(temporary, format=suffix, **_FORMATS[suffix])
    return [*targets]


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, layout: Any = "constrained", **kwargs: Any
) -> tuple[Picture, list[Axes]]:
    """A figure of this many inches and its axes, row by row."""
    figure = Picture(figsize=(width, height), layout=layout)
    return figure, list(figure.subplots(rows, columns, squeeze=False, **kwargs).flat)


def finish(figure: Picture, claim: str, about: str) -> Picture:
    """Give a figure its title (the claim above data and method), and a legend of the labelled marks below its axes."""
    pairs = [pair for axis in figure.axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    if handles := {label: handle for handle, label in reversed(pairs)}:  # each label once
        labels = list(dict.fromkeys(label for _, label in pairs))
        size = FontProperties(size=matplotlib.rcParams["legend.fontsize"]).get_size_in_points()
        entry = max(text_width(label, size) for label in labels) + 5.4 * size / 72  # the handle and two gaps
        columns = min(len(labels), max(1, int((figure.get_figwidth() + size / 72) / entry)))
        if (rows := -(-len(labels) // columns)) > 4:  # a long legend takes no room from the axes
            figure.set_figheight(figure.get_figheight() + (rows - 4) * 1.6 * size / 72)
        figure.legend([handles[k] for k in labels], labels, loc="outside lower left", ncols=columns)
    figure.suptitle(f"{claim}\n{about}", x=0.01, ha="left", wrap=True)
    return figure


def marks(looks: Mapping[Any, Look]) -> dict[str, Any]:
    """Arguments of seaborn that give each of some groups its colour and its marker."""
    return {
        "hue_order": [*looks],
        "style_order": [*looks],
        "palette": {k: look.color for k, look in looks.items()},
        "markers": {k: look.marker for k, look in looks.items()},
    }


def draw_lines(
    axis: Axes,
    data: pd.DataFrame,
    x: str,
    y: str,
    by: str,
    looks: Mapping[str, Look],
    *,
    std: str = "",
    errorbar: Any = None,
    **kwargs: Any,
) -> None:
    """One line for each value of the column ``by``, the keys of ``looks``: means over rows of one ``x``.

    Rows without ``y`` are left out. A column ``std`` holds half the length of error bars; ``errorbar`` and ``kwargs``
    are as in ``seaborn.lineplot``.
    """
    data = data[data[y].notna()]
    if not (looks := {label: look for label, look in looks.items() if (data[by] == label).any()}):
        return
    kwargs = {
        "markeredgecolor": None,
        "dashes": {k: look.dashes for k, look in looks.items()},
        **marks(looks),
        **kwargs,
    }
    seaborn.lineplot(data, x=x, y=y, hue=by, style=by, ax=axis, errorbar=errorbar, legend=False, **kwargs)
    for label, line in zip(looks, axis.lines[-len(looks) :], strict=True):
        line.set_label(label)
        if std:
            group = data[data[by] == label]
            axis.errorbar(group[x], group[y], group[std], color=looks[label].color, fmt="none", elinewidth=0.8)


def text_width(text: str, size: float) -> float:
    """Width in inches of a text at ``size`` points, dollars and all."""
    with style():
        return float(TextPath((0, 0), text, size=size, prop=FontProperties()).get_extents().width) / 72


def fitted(text: str, width: float, size: float, least: float = 4.5) -> tuple[str, float]:
    """The text and the size at which it fits into ``width`` inches: smaller down to ``least``, then cut short."""
    if (full_width := text_width(text, size)) <= width:
        return text, size
    size = max(least, size * width / full_width)
    while len(text) > 1 and text_width(text, size) > width * 1.001:
        text = text.removesuffix("…")[:-1].rstrip() + "…"
    return text, size


def paler(color: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with so much white."""
    red, green, blue = (1 - share) * np.array(matplotlib.colors.to_rgb(color)) + share
    return float(red), float(green), float(blue)


def name_axes(axis: Axes, x: str, y: str = "", grid: Any = "y") -> None:
    """Name the axes and draw a light grid along one of them."""
    axis.set(xlabel=x, ylabel=y)
    axis.grid(axis=grid)


def name_values(axis: Axes, values: Iterable[float]) -> None:
    """Let the horizontal axis name these values and no other."""
    axis.set_xticks(ticks := sorted(values), [f"{value:g}" for value in ticks])
    axis.minorticks_off()


def name_rows(axis: Axes, names: Sequence[Hashable]) -> None:
    """Let the vertical axis be rows with names, the first on top."""
    axis.set_yticks(range(len(names)), [str(name) for name in names])
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.tick_params(axis="y", length=0)
