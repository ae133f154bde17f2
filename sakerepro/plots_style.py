"""The one style of every figure: sizes, fonts, colours and marks, and how a figure is kept.

Figures fit a paper's column (``COLUMN``, 3.3 in) or page (``PAGE``, 7 in) at their own size. Colours are those of
Okabe and Ito, safe for colour-blind readers; whatever a colour says is also said by a marker, a line style or a hatch,
so that a figure can be read in grey.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
import matplotlib.colors
import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.textpath import TextPath

from . import paths
from .errors import ConfigError
from .files import write_whole

COLUMN, PAGE = 3.3, 7.0  # inches
DPI = 200
FONT = "DejaVu Sans"  # ships with matplotlib: the same letters on every machine
INK, PALE = "#222222", "#d9d9d9"
RIGHT, WRONG = "#009e73", "#d55e00"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # no yellow: too pale on white
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_RC: Any = {
    "font.family": FONT, "font.size": 7, "axes.titlesize": 7.5, "axes.labelsize": 7, "legend.fontsize": 6.5,
    "xtick.labelsize": 6.5, "ytick.labelsize": 6.5, "axes.titlelocation": "left", "axes.titlepad": 4,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.6, "axes.axisbelow": True,
    "xtick.major.width": 0.6, "ytick.major.width": 0.6, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "grid.color": "#e3e3e3", "grid.linewidth": 0.5, "lines.linewidth": 1.2, "lines.markersize": 3.5,
    "hatch.linewidth": 0.6, "legend.frameon": False, "legend.handlelength": 2.6, "legend.borderaxespad": 0.2,
    "figure.dpi": 150, "savefig.dpi": DPI, "svg.hashsalt": "sakerepro", "svg.fonttype": "path",
    "figure.constrained_layout.w_pad": 0.03, "figure.constrained_layout.h_pad": 0.03,
}  # fmt: skip

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Look:
    """How one method or class of things is drawn, in colour and in grey."""

    color: str
    line: Any
    marker: str
    hatch: str = ""


LOOKS = {
    "pretrained": Look("#a0a0a0", (0, (1, 1.2)), "^", ""),
    "L_B": Look("#e69f00", (0, (4, 1.5)), "s", "//////"),
    "L_B + L_T": Look("#009e73", (0, (4, 1.2, 1, 1.2)), "D", "xxxx"),
    "SAKE": Look("#0072b2", "-", "o", ""),
}
SPARE = (
    Look("#0072b2", "-", "o"), Look("#d55e00", (0, (4, 1.5)), "s"), Look("#009e73", (0, (4, 1.2, 1, 1.2)), "D"),
    Look("#000000", (0, (1, 1.2)), "^"), Look("#cc79a7", (0, (7, 2)), "v"), Look("#e69f00", (0, (2, 1)), "P"),
    Look("#56b4e9", (0, (5, 1, 1, 1, 1, 1)), "X"),
)  # fmt: skip
METHOD_NAMES = {"L_B": "$L_B$", "L_B + L_T": "$L_B + L_T$"}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """The project's matplotlib settings, whatever the user's own are; restored afterwards."""
    with matplotlib.style.context("default"), matplotlib.rc_context(_RC):
        yield


def styled(function: Callable[P, T]) -> Callable[P, T]:
    """Run a figure function inside :func:`style`."""

    @wraps(function)
    def inside(*args: P.args, **kwargs: P.kwargs) -> T:
        with style():
            return function(*args, **kwargs)

    return inside


class Picture(Figure):
    """A matplotlib figure without pyplot: drawn in the project's style wherever it is drawn, shown once in a notebook.

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
    """Raise a ConfigError if ``figure`` holds images of a real data set and ``path`` is where results are published."""
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
    path = Path(path)
    refuse_images(figure, path)
    formats: dict[str, dict[str, Any]] = {
        "png": {"dpi": DPI, "metadata": {"Software": None}},
        "svg": {"dpi": 120, "metadata": {"Date": None, "Creator": None}},  # dpi: of pictures inside
    }
    kept = []
    for suffix, options in formats.items():
        target = path.with_name(f"{path.name}.{suffix}")
        with write_whole(target) as temporary, style():
            figure.savefig(temporary, format=suffix, **options)
        kept.append(target)
    return kept


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **kwargs: Any
) -> tuple[Picture, list[Axes]]:
    """A figure of this many inches and its axes, row by row; no axes for ``rows = 0``."""
    figure = Picture(figsize=(width, height), layout="constrained" if rows else None)
    if not rows:
        return figure, []
    return figure, list(figure.subplots(rows, columns, squeeze=False, **kwargs).flat)


def legend_below(figure: Figure, handles: Sequence[Any], labels: Sequence[str]) -> None:
    """A legend under the axes, each label once, in as many columns as fit the width of the figure."""
    known = dict(zip(reversed(labels), reversed(handles), strict=True))
    known = {label: known[label] for label in dict.fromkeys(labels)}
    size = float(_RC["legend.fontsize"])
    entry = max((text_width(label, size) for label in known), default=0) + (2.6 + 0.8 + 2.0) * size / 72
    columns = max(1, min(len(known), int((figure.get_figwidth() + 1.0 * size / 72) / entry)))
    figure.legend(list(known.values()), list(known), loc="outside lower left", ncols=columns)


def legend_of(figure: Figure, axes: Sequence[Axes]) -> None:
    """:func:`legend_below` of all that is labelled in the axes."""
    pairs = [pair for axis in axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    legend_below(figure, [handle for handle, _ in pairs], [label for _, label in pairs])


def above(figure: Figure, text: str) -> None:
    """A quiet line at the top left."""
    figure.suptitle(text, x=0.01, ha="left", fontsize=6.5, color="#666666")


def name_of(method: str) -> str:
    """A method's name as a label."""
    return METHOD_NAMES.get(method, method)


def lambda_name(name: str) -> str:
    """``lambda_sake`` as a mathematical label."""
    return {"lambda_sake": r"$\lambda_\mathrm{SAKE}$", "lambda1": r"$\lambda_1$", "lambda2": r"$\lambda_2$"}[name]


def text_width(text: str, size: float) -> float:
    """Width in inches of a text in ``FONT`` at ``size`` points."""
    from matplotlib.font_manager import FontProperties

    return float(TextPath((0, 0), text, size=size, prop=FontProperties(family=FONT)).get_extents().width) / 72


def fitted(text: str, width: float, size: float, least: float = 4.5) -> tuple[str, float]:
    """The text and the size at which it fits into ``width`` inches: smaller down to ``least``, then cut short."""
    if (now := text_width(text, size)) <= width:
        return text, size
    size = max(least, size * width / now)
    while len(text) > 1 and text_width(text, size) > width * 1.001:
        text = text.removesuffix("…")[:-1].rstrip() + "…"
    return text, size


def paler(color: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with so much white."""
    red, green, blue = (1 - share) * np.array(matplotlib.colors.to_rgb(color)) + share
    return float(red), float(green), float(blue)


def reading_axes(axes: Axes, x: str = "", y: str = "", grid: str = "y") -> None:
    """Name the axes and draw a light grid along ``grid`` (empty for none)."""
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if grid:
        axes.grid(axis=grid)  # type: ignore[arg-type]
