"""Figure 3: pictures in rows."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from ..data.dataset import ImageSet
from ..retrieval import search
from .data import pick_queries, query_ap
from .labels import about, is_generated
from .style import COLUMN, PAGE, finish, fitted, new_figure, style

if TYPE_CHECKING:
    from ..runs import Run

_TICK, _CROSS = "✓", "✗"


@style()
def retrieval_grid(
    run: Run,
    n_queries: int = 6,
    k: int = 10,
    cases: str = "mixed",
    images: bool | None = None,
    claim: str = "Figure 3. The paper's claim: in most cases the nearest photos show the sketch's class",
) -> Figure:
    """Figure 3: a query sketch a row and its ``k`` nearest photos (by embeddings).

    A right photo has a tick and a solid frame, a wrong one a cross, a dashed frame and its class's name below. Queries
    are chosen by rule, at most one a class, never by hand (:func:`sakerepro.plots.data.pick_queries`): ``"bad"`` are
    the failure cases, the queries of the lowest average precision, ``"good"`` those of the highest, ``"mixed"`` even
    steps from best to worst.

    Args:
        run: a finished run; its unseen classes are shown.
        n_queries: rows; fewer if fewer classes have queries.
        k: photos a row.
        cases: ``"mixed"``, ``"bad"`` or ``"good"``, see above.
        images: show the pictures, or tiles with class names instead. ``None``: pictures of the generated world only.
            Pictures of a real data set are for your own eyes: ``save`` refuses to put them below ``results/``.
        claim: the title.

    Raises:
        ConfigError: for an unknown rule, ``n_queries`` below 1, or ``k`` not in 1 ... gallery.
    """
    arrays, data = run.embeddings(), run.dataset()
    generated = is_generated(data)
    images = generated if images is None else images
    ap, labels = query_ap(run), arrays["query_labels"]
    chosen = pick_queries(ap, labels, n_queries, cases)
    top = search(arrays["query"][chosen], arrays["gallery"], k, run.distance)[0]
    side = min(0.9, PAGE / (k + 1) - 0.07)  # of a tile, in inches
    height = (side + 0.18) * len(chosen) + 0.65  # with a line of words below each row
    layout = ConstrainedLayoutEngine(compress=True, w_pad=0.025, h_pad=0.02, wspace=0, hspace=0)
    figure, axes = new_figure(max(COLUMN, (side + 0.07) * (k + 1)), height, len(chosen), k + 1, layout)
    figure.images_of = data.name if images and not generated else ""
    for axis in axes:
        axis.set(xticks=[], yticks=[], box_aspect=1)
        axis.spines[:].set(visible=True, color="#999999", linewidth=0.5)
    tiles = np.array(axes).reshape(len(chosen), k + 1)
    for query, nearest, (axis, *photos) in zip(chosen, top, tiles, strict=True):
        name = data.unseen[labels[query]]
        axis.set_gid(f"query {query}")
        _fill(axis, data.query, int(query), name if not images else "", side)
        score = f"AP {ap[query]:.2f}"
        _caption(axis, f"{name}, {score}" if images else score, side)
        for rank, (axis, photo) in enumerate(zip(photos, nearest, strict=True), start=1):
            taken_for = data.unseen[arrays["gallery_labels"][photo]]
            right = bool(arrays["gallery_labels"][photo] == labels[query])
            axis.set_gid(f"query {query} rank {rank} photo {photo} {'right' if right else 'wrong'}")
            _fill(axis, data.gallery, int(photo), taken_for if not images else "", side)
            _mark(axis, right)
            if images and not right:
                _caption(axis, taken_for, side)
    for column, axis in enumerate(tiles[0]):
        axis.set_title(column or "query", loc="center")
    below = "its class below" if images else "its class on the tile"
    legend = f"{_TICK}, solid frame: right class. {_CROSS}, dashed frame: wrong class, {below}. 1 to {k}: rank"
    figure.supxlabel(legend, x=0.01, ha="left", fontsize=6.5, wrap=True)
    rule = {"bad": "the lowest AP", "good": "the highest AP", "mixed": "even steps from best to worst AP"}[cases]
    return finish(figure, claim, f"{about([run])}; queries: {rule}")


def _caption(axis: Axes, text: str, side: float) -> None:
    text, size = fitted(text, side + 0.03, 5.5)
    axis.set_xlabel(text, fontsize=size, labelpad=2)


def _fill(axis: Axes, images: ImageSet, index: int, tile: str, side: float) -> None:
    """The picture, or a tile with the class's name in at most three lines."""
    if not tile:
        axis.imshow(images.take([index])[0].squeeze(), cmap="gray", vmin=0, vmax=255, aspect="auto")
        return
    axis.set_facecolor("#f4f4f4")
    lines = textwrap.wrap(tile, 12, max_lines=3, placeholder="…")
    size = min(fitted(line, side * 0.92, 6.0)[1] for line in lines)
    axis.text(0.5, 0.42, "\n".join(lines), transform=axis.transAxes, ha="center", va="center", fontsize=size)


def _mark(axis: Axes, right: bool) -> None:
    """A frame and a symbol in the corner for right or wrong, readable in grey."""
    color = "C2" if right else "C1"
    axis.spines[:].set(color=color, linewidth=1.5, linestyle="-" if right else (0, (2.2, 1.4)))
    badge = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": "#d9d9d9", "linewidth": 0.4}
    place: dict[str, Any] = {"transform": axis.transAxes, "ha": "left", "va": "top"}
    axis.text(0.05, 0.95, _TICK if right else _CROSS, fontsize=6.5, color=color, weight="bold", bbox=badge, **place)
