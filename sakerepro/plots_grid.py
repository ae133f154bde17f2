"""Figure 3 and the contact sheet of the miniature world: pictures in rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .data.dataset import Dataset, ImageSet
from .errors import ConfigError
from .plots_data import pick_queries, query_ap
from .plots_labels import data_title, is_generated, run_data
from .plots_style import INK, PAGE, PALE, RIGHT, WRONG, Picture, fitted, new_figure, styled, text_width
from .retrieval import search

if TYPE_CHECKING:
    from .data.world import World
    from .runs import Run

_TICK, _CROSS = "✓", "✗"


@styled
def retrieval_grid(
    run: Run, n_queries: int = 6, k: int = 10, cases: str = "mixed", images: bool | None = None
) -> Figure:
    """Figure 3: a query sketch a row and its ``k`` nearest photos (cosine, real-valued features).

    A right photo has a tick and a solid frame, a wrong one a cross, a dashed frame and its class's name below. Queries
    are chosen by rule, at most one a class, never by hand (:func:`sakerepro.plots_data.pick_queries`): ``"bad"`` are
    the failure cases, the queries of the lowest average precision, ``"good"`` those of the highest, ``"mixed"`` even
    steps from best to worst.

    Args:
        run: a finished run; its unseen classes are shown.
        n_queries: rows; fewer if fewer classes have queries.
        k: photos a row.
        cases: ``"mixed"``, ``"bad"`` or ``"good"``, see above.
        images: show the pictures, or tiles with class names instead. ``None``: pictures of the generated world only.
            Pictures of a real data set are for your own eyes: ``save`` refuses to put them below ``results/``.

    Raises:
        ConfigError: for an unknown rule, ``n_queries`` below 1, or ``k`` not in 1 ... gallery.
    """
    arrays, data = run.embeddings(), run.dataset()
    generated = is_generated(data)
    images = generated if images is None else images
    ap, labels = query_ap(run), arrays["query_labels"]
    chosen = pick_queries(ap, labels, n_queries, cases)
    top = search(arrays["query"][chosen], arrays["gallery"], k)[0]
    grid = _Grid(columns=k + 1, rows=len(chosen), caption=0.13, head=0.16, foot=0.2, gap_after_first=0.12)
    figure = grid.figure
    figure.images_of = data.name if images and not generated else ""
    grid.heading(0, "query")
    for rank in range(k):
        grid.heading(rank + 1, str(rank + 1))
    for row, query in enumerate(chosen):
        name = data.unseen[labels[query]]
        score = f"AP {ap[query]:.2f}"
        axis = grid.tile(row, 0, gid=f"query {query}", caption=f"{name}, {score}" if images else score)
        _fill(axis, data.query, int(query), name if not images else "", grid.side)
        for rank, photo in enumerate(top[row]):
            taken_for = data.unseen[arrays["gallery_labels"][photo]]
            right = bool(arrays["gallery_labels"][photo] == labels[query])
            gid = f"query {query} rank {rank + 1} photo {photo} {'right' if right else 'wrong'}"
            axis = grid.tile(row, rank + 1, gid=gid, caption="" if right or not images else taken_for)
            _fill(axis, data.gallery, int(photo), taken_for if not images else "", grid.side)
            _mark(axis, right)
    below = "its class below" if images else "its class on the tile"
    grid.note(f"{_TICK}, solid frame: right class    {_CROSS}, dashed frame: wrong class, {below}    1-{k}: rank")
    grid.note(run_data(run), right=True)
    return figure


@styled
def world_sheet(world: Dataset | World, n: int = 12, images: bool | None = None) -> Figure:
    """A contact sheet: ``n`` classes of each role, a photo and a sketch of each (photos only of the original domain).

    Classes are taken in even steps of their order, and the first image of each.

    Args:
        world: what ``load_world`` or ``make_world`` gives, or any data set.
        images: as in :func:`retrieval_grid`.

    Raises:
        ConfigError: if ``n`` is below 1.
    """
    if n < 1:
        raise ConfigError(f"n = {n} classes has to be at least 1.")
    dataset, original = (world, None) if isinstance(world, Dataset) else (world.dataset, world.original)
    generated = is_generated(dataset)
    images = generated if images is None else images
    blocks: list[tuple[str, Sequence[str], list[ImageSet]]] = [
        ("seen classes (photos and sketches)", dataset.seen, [dataset.train_photo, dataset.train_sketch]),
        ("unseen classes (photos and sketches)", dataset.unseen, [dataset.gallery, dataset.query]),
    ]
    if original is not None:
        known = _names_of(original.wnids)
        blocks.insert(0, ("original domain (photos only; the teacher knows these)", known, [original.train]))
    columns = max(min(n, len(names)) for _, names, _ in blocks)
    heights = [len(sets) for *_, sets in blocks]
    grid = _Grid(columns, rows=sum(heights), caption=0.12, foot=0.15, blocks=heights)
    grid.figure.images_of = dataset.name if images and not generated else ""
    row = 0
    for title, names, sets in blocks:
        classes = np.unique(np.linspace(0, len(names) - 1, min(n, len(names))).round().astype(int))
        grid.title(row, f"{title}: {len(classes)} of {len(names)}")
        for images_of in sets:
            last = images_of is sets[-1]
            for column, label in enumerate(classes):
                axis = grid.tile(row, column, gid=f"class {names[label]}", caption=names[label] if last else "")
                found = np.flatnonzero(images_of.labels == label)
                if len(found):
                    _fill(axis, images_of, int(found[0]), names[label] if not images else "", grid.side)
            row += 1
    grid.note(data_title(dataset.name, dataset.split), right=True)
    return grid.figure


def _names_of(wnids: Sequence[str]) -> list[str]:
    """What the world calls the classes of its original domain; any other by its id."""
    from .data.world_classes import CLASSES

    known = {c.wnid: c.name for c in CLASSES}
    return [known.get(w, w) for w in wnids]


class _Grid:
    """Square tiles placed to the point, page wide: captions below, headings above, a note at the foot."""

    def __init__(self, columns: int, rows: int, caption: float, head: float = 0.0, foot: float = 0.0,
                 gap_after_first: float = 0.0, blocks: Sequence[int] = ()) -> None:  # fmt: skip
        self.edge, self.between, self.caption, self.gap = 0.04, 0.045, caption, gap_after_first
        free = PAGE - 2 * self.edge - gap_after_first - (columns - 1) * self.between
        self.side = min(0.9, free / columns)
        starts = [sum(blocks[:i]) for i in range(len(blocks))]
        self.tops: list[float] = []  # of each row, inches from the top of the figure
        y = head
        for row in range(rows):
            y += 0.17 if row in starts else 0.0
            self.tops.append(y)
            inside = bool(blocks) and row + 1 < rows and row + 1 not in starts
            y += self.side + (self.between if inside else caption + 0.03)
        self.height = y + foot
        width = 2 * self.edge + gap_after_first + columns * self.side + (columns - 1) * self.between
        self.width = max(width, 3.3)
        self.figure: Picture = new_figure(self.width, self.height, 0)[0]

    def left(self, column: int) -> float:
        """Inches from the left of the figure."""
        return self.edge + column * (self.side + self.between) + (self.gap if column else 0.0)

    def tile(self, row: int, column: int, gid: str, caption: str = "") -> Axes:
        """An empty square with a caption below."""
        x, y = self.left(column), self.height - self.tops[row] - self.side
        axis = self.figure.add_axes((x / self.width, y / self.height, self.side / self.width, self.side / self.height))
        axis.set_xticks([])
        axis.set_yticks([])
        axis.set_gid(gid)
        for spine in axis.spines.values():
            spine.set(visible=True, color="#999999", linewidth=0.5)
        if caption:
            text, size = fitted(caption, self.side + (self.between * 0.8 if column else self.gap), 5.5)
            wide = not column and text_width(text, size) > self.side  # into the gap after the first column
            self._text(x if wide else x + self.side / 2, self.tops[row] + self.side + 0.03, text, size,
                       ha="left" if wide else "center", va="top")  # fmt: skip
        return axis

    def heading(self, column: int, text: str) -> None:
        """A word above a column."""
        self._text(self.left(column) + self.side / 2, self.tops[0] - 0.03, text, 6.5, ha="center", va="bottom")

    def title(self, row: int, text: str) -> None:
        """A line above a row, from the left edge."""
        self._text(self.edge, self.tops[row] - 0.03, text, 7, ha="left", va="bottom")

    def note(self, text: str, right: bool = False) -> None:
        """A line at the foot, at the left or the right."""
        x, side = (self.width - self.edge, "right") if right else (self.edge, "left")
        self._text(x, self.height - 0.04, text, 6.5, ha=side, va="bottom")

    def _text(self, x: float, down: float, text: str, size: float, **how: Any) -> None:
        self.figure.text(x / self.width, 1 - down / self.height, text, fontsize=size, color=INK, **how)


def _fill(axis: Axes, images: ImageSet, index: int, tile: str, side: float) -> None:
    """The picture, or a tile with the class's name in at most three lines."""
    if not tile:
        pixels = images.take([index])[0]
        grey = pixels.shape[2] == 1
        axis.imshow(pixels[..., 0] if grey else pixels, cmap="gray" if grey else None, vmin=0, vmax=255, aspect="auto")
        return
    axis.set_facecolor("#f4f4f4")
    words = tile.replace("_", " ").replace("-", "- ").split()
    sized = [fitted(word, side * 0.92, 6.0) for word in words[:3]]
    text = "\n".join(word for word, _ in sized)
    axis.text(0.5, 0.42, text, transform=axis.transAxes, ha="center", va="center", fontsize=min(s for _, s in sized))


def _mark(axis: Axes, right: bool) -> None:
    """A frame and a symbol in the corner that say right or wrong, in grey as well."""
    color = RIGHT if right else WRONG
    for spine in axis.spines.values():
        spine.set_visible(False)
    frame = Rectangle((0, 0), 1, 1, transform=axis.transAxes, fill=False, edgecolor=color, clip_on=False, zorder=5,
                      linewidth=1.5, linestyle="-" if right else (0, (2.2, 1.4)))  # fmt: skip
    axis.add_patch(frame)
    badge = {"boxstyle": "circle,pad=0.12", "facecolor": "white", "edgecolor": PALE, "linewidth": 0.4}
    axis.text(0.05, 0.95, _TICK if right else _CROSS, transform=axis.transAxes, ha="left", va="top", fontsize=6.5,
              color=color, weight="bold", zorder=6, bbox=badge)  # fmt: skip
