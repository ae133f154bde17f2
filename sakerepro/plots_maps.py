"""Figure 4: t-SNE maps of the unseen classes, photos and sketches in one embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.patheffects
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from . import methods
from .errors import ConfigError
from .plots_labels import data_line
from .plots_style import INK, MARKERS, PAGE, PALETTE, Picture, fitted, name_of, new_figure, paler, styled

if TYPE_CHECKING:
    from .runs import Run

LABEL_SIZE = 6.0  # points


@styled
def tsne_map(run: Run, seed: int = 0, max_points: int = 2000) -> Figure:
    """Figure 4, one row: the features of unseen photos (left) and sketches (right, over the photos made pale).

    Both panels are one joint t-SNE of the length-one features (retrieval is by cosine). Classes differ in colour and
    marker; their names stand just above their medoids (the point nearest to all others of its class), moved where names
    would lie over each other. Distances between groups in a t-SNE mean little.

    Args:
        run: a finished run; its queries and its gallery are shown.
        seed: of the t-SNE and of the choice of points.
        max_points: at most so many, photos and sketches in proportion, drawn at random.

    Raises:
        ConfigError: if there are fewer than 5 points.
    """
    return _maps([run], seed, max_points)


@styled
def tsne_pair(run_a: Run, run_b: Run, seed: int = 0, max_points: int = 2000) -> Figure:
    """Figure 4 as in the paper: SAKE's map above the baseline's, each a joint t-SNE of its own.

    Args:
        run_a: the finished run of the upper row.
        run_b: the finished run of the lower row.
        seed, max_points: as in :func:`tsne_map`, for each of the two maps.

    Raises:
        ConfigError: if a map has fewer than 5 points.
    """
    return _maps([run_a, run_b], seed, max_points)


def joint_tsne(
    photos: np.ndarray, sketches: np.ndarray, seed: int = 0, max_points: int = 2000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One t-SNE of photos and sketches.

    Args:
        photos, sketches: (P, d) and (S, d) features.

    Returns:
        The places (p, 2) and (s, 2), and which photos (p,) and sketches (s,) they are, in ascending order.

    Raises:
        ConfigError: if there are fewer than 5 points.
    """
    from sklearn.manifold import TSNE

    rng = np.random.default_rng(seed)
    total = len(photos) + len(sketches)
    share = min(1.0, max_points / max(total, 1))
    which = [np.sort(rng.choice(len(x), round(len(x) * share), replace=False)) for x in (photos, sketches)]
    points = np.concatenate([photos[which[0]], sketches[which[1]]]).astype(np.float64)
    if len(points) < 5:
        raise ConfigError(f"A map of {len(points)} points says nothing. Raise max_points, or use a run with more data.")
    points /= np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    tsne = TSNE(init="pca", learning_rate="auto", perplexity=min(30.0, (len(points) - 1) / 3), random_state=seed)
    places = tsne.fit_transform(points)
    return places[: len(which[0])], places[len(which[0]) :], which[0], which[1]


def _maps(runs: list[Run], seed: int, max_points: int) -> Figure:
    figure, axes = new_figure(PAGE, 3.2 * len(runs) + 0.25, len(runs), 2)
    for row, run in enumerate(runs):
        arrays, names = run.embeddings(), run.dataset().unseen
        photos, sketches, p, s = joint_tsne(arrays["gallery"], arrays["query"], seed, max_points)
        p_labels, s_labels = arrays["gallery_labels"][p], arrays["query_labels"][s]
        left, right = axes[2 * row : 2 * row + 2]
        _scatter(left, photos, p_labels)
        _scatter(right, photos, p_labels, pale=0.72)
        _scatter(right, sketches, s_labels)
        every = np.concatenate([photos, sketches])
        low, high = every.min(0), every.max(0)
        for axis, what in ((left, "Photo"), (right, "Sketch (photos pale)")):
            _frame(axis, low, high)
            axis.set_title(f"{name_of(methods.label(run.experiment))}: {what}" if len(runs) > 1 else what)
        _names(left, photos, p_labels, names)
        _names(right, sketches, s_labels, names)
    data_line(figure, runs)
    _spread_names(figure, axes)
    return figure


def _frame(axis: Axes, low: np.ndarray, high: np.ndarray) -> None:
    edge = 0.06 * (high - low)
    axis.set_xlim(low[0] - edge[0], high[0] + edge[0])
    axis.set_ylim(low[1] - edge[1], high[1] + edge[1])
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[["top", "right"]].set_visible(True)
    axis.set_xlabel("t-SNE 1 (no unit)")
    axis.set_ylabel("t-SNE 2 (no unit)")


def class_look(label: int) -> tuple[str, str]:
    """Colour and marker of a class: neighbours differ in both, and the first 49 classes in one of them."""
    return PALETTE[label % len(PALETTE)], MARKERS[(label + label // len(PALETTE)) % len(MARKERS)]


def _scatter(axis: Axes, places: np.ndarray, labels: np.ndarray, pale: float = 0.0) -> None:
    for label in np.unique(labels):
        color, marker = class_look(int(label))
        mine = places[labels == label]
        dots = axis.scatter(mine[:, 0], mine[:, 1], s=7 if pale else 8, marker=marker, color=[paler(color, pale)],
                            linewidths=0)  # fmt: skip
        dots.set_gid(f"{'pale' if pale else 'points'} class {label}")


def _names(axis: Axes, places: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> None:
    halo = [matplotlib.patheffects.withStroke(linewidth=1.6, foreground="white")]
    for label in np.unique(labels):
        x, y = _medoid(places[labels == label])
        name = fitted(names[label].replace("_", " "), 0.9, LABEL_SIZE)[0]
        text = axis.text(x, y, name, fontsize=LABEL_SIZE, color=INK, ha="center",
                         va="center", path_effects=halo, zorder=6, gid=f"name class {label}")  # fmt: skip
        text.set_in_layout(False)


def _medoid(places: np.ndarray) -> np.ndarray:
    """The (2,) point nearest to all others; a mean would lie between two groups, in neither."""
    return places[np.linalg.norm(places[:, None] - places[None], axis=2).sum(1).argmin()]


def _spread_names(figure: Picture, axes: list[Axes]) -> None:
    """Push names apart that lie over each other; the layout is fixed first, and stays."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axis in axes:
        texts = [t for t in axis.texts if str(t.get_gid()).startswith("name class")]
        _push_apart(axis, texts)


def _push_apart(axis: Axes, texts: list[Text], rounds: int = 150) -> None:
    if not texts:
        return
    boxes: list[Any] = [t.get_window_extent() for t in texts]
    size = np.array([[b.width, b.height * 0.8] for b in boxes]) + 1.0
    home = np.array([[(b.x0 + b.x1) / 2, (b.y0 + b.y1) / 2 + 0.8 * b.height] for b in boxes])  # not on the points
    place, bounds = home.copy(), axis.get_window_extent()
    low = np.array([bounds.x0, bounds.y0]) + size / 2
    high = np.array([bounds.x1, bounds.y1]) - size / 2
    for turn in range(rounds):
        place += 0.03 * (home - place) * (turn < 0.7 * rounds)
        for i in range(len(place)):
            for j in range(i):
                gap = place[i] - place[j]
                over = (size[i] + size[j]) / 2 - np.abs(gap)
                if (over > 0).all():
                    axis_of = 1 if over[1] <= over[0] else 0  # the way of the smaller overlap
                    step = over[axis_of] / 2 * (1.0 if gap[axis_of] >= 0 else -1.0)
                    place[i, axis_of] += step
                    place[j, axis_of] -= step
        place = np.clip(place, low, high)
    moved = axis.transData.inverted().transform(place)
    for text, where in zip(texts, moved, strict=True):
        text.set_position(where)
