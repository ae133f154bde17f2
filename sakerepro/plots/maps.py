"""Figure 4: t-SNE maps of the unseen classes, photos and sketches in one embedding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from .. import methods
from ..errors import ConfigError
from .labels import about
from .style import PAGE, Look, finish, fitted, marks, new_figure, paler, style

if TYPE_CHECKING:
    from ..runs import Run

LABEL_SIZE = 6.0  # points


@style()
def tsne_map(*runs: Run, seed: int = 0, max_points: int = 2000) -> Figure:
    """Figure 4, a row a run: embeddings of unseen photos (left) and sketches (right, over the photos made pale).

    Both panels of a row are one joint t-SNE of the embeddings at norm 1 (retrieval is by cosine). Classes differ in
    colour and marker. The name of a class stands just above its medoid (the point nearest to all others of its class);
    names that would overlap are moved, and a line leads back. Distances between groups in a t-SNE mean little.

    Args:
        runs: finished runs, as SAKE and the baseline in the paper; their queries and galleries are shown.
        seed: of the t-SNE and of the choice of points.
        max_points: largest number of points a row; photos and sketches are sampled in proportion.

    Raises:
        ConfigError: if there is no run, or a map has fewer than 5 points.
    """
    if not runs:
        raise ConfigError("There is no run to draw. Give one or more finished runs, as from sr.run or sr.item_runs.")
    figure, axes = new_figure(PAGE, 3.2 * len(runs) + 0.45, len(runs), 2)
    claim = "Figure 4. The paper's claim: SAKE's classes are more compact and better apart, sketches among photos"
    finish(figure, claim, about(runs))
    panels = []
    for row, run in enumerate(runs):
        arrays, names = run.embeddings(), run.dataset().unseen
        photos, sketches, p, s = joint_tsne(arrays["gallery"], arrays["query"], seed, max_points)
        p_labels, s_labels = arrays["gallery_labels"][p], arrays["query_labels"][s]
        left, right = axes[2 * row : 2 * row + 2]
        _scatter(left, photos, p_labels)
        _scatter(right, photos, p_labels, pale=0.72)
        _scatter(right, sketches, s_labels)
        points = np.concatenate([photos, sketches])
        edge = 0.06 * np.ptp(points, axis=0)
        x, y = zip(points.min(axis=0) - edge, points.max(axis=0) + edge, strict=True)
        for axis, title in ((left, "photos"), (right, "sketches (photos pale)")):
            axis.set(xlim=x, ylim=y, xticks=[], yticks=[], xlabel="t-SNE 1 (no unit)", ylabel="t-SNE 2 (no unit)")
            axis.spines[["top", "right"]].set_visible(True)
            axis.set_title(f"{methods.label(run.experiment)}: {title}")
        panels += [(left, photos, p_labels, names), (right, sketches, s_labels, names)]
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # names are placed in pixels, so the layout must not change any more
    for axis, places, labels, names in panels:
        _names(axis, places, labels, names)
    return figure


def joint_tsne(
    photos: np.ndarray, sketches: np.ndarray, seed: int = 0, max_points: int = 2000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """One t-SNE of photos and sketches.

    Args:
        photos, sketches: (P, d) and (S, d) embeddings.

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


def class_look(label: int) -> Look:
    """The look of a class: neighbours differ in colour and marker, and the first 49 classes in one of them."""
    return Look(f"C{label % 7}", "", "os^DvPX"[(label + label // 7) % 7])


def _scatter(axis: Axes, places: np.ndarray, labels: np.ndarray, pale: float = 0.0) -> None:
    looks = marks({label: class_look(label) for label in np.unique(labels).tolist()})
    looks["palette"] = {label: paler(color, pale) for label, color in looks["palette"].items()}
    x, y = places.T
    seaborn.scatterplot(x=x, y=y, hue=labels, style=labels, s=8, linewidth=0, legend=False, ax=axis, **looks)


def _names(axis: Axes, places: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> None:
    """Write each class's name just above its medoid; a line leads back from a name that was moved."""
    classes = np.unique(labels).tolist()
    medoids = np.array([_medoid(places[labels == label]) for label in classes])
    texts = []
    for c in classes:
        color = tuple(0.7 * np.array(to_rgb(class_look(c).color)))
        edge: dict[str, Any] = {"color": color, "path_effects": [withStroke(linewidth=1.6, foreground="white")]}
        middle: dict[str, Any] = {"ha": "center", "va": "center", "zorder": 6, "in_layout": False}
        texts.append(axis.text(0, 0, fitted(names[c], 0.9, LABEL_SIZE)[0], fontsize=LABEL_SIZE, **edge, **middle))
    size = np.array([text.get_window_extent().size for text in texts])
    above = axis.transData.transform(medoids) + size * (0, 0.8)  # not on the points
    frame = axis.get_window_extent()
    moved = _apart(above, size, frame.min + size / 2, frame.max - size / 2)
    for text, medoid, place in zip(texts, medoids, axis.transData.inverted().transform(moved), strict=True):
        text.set_position(place)
        axis.plot(*zip(medoid, place, strict=True), color="#888888", linewidth=0.4, zorder=5)


def _apart(centre: np.ndarray, size: np.ndarray, low: np.ndarray, high: np.ndarray, rounds: int = 300) -> np.ndarray:
    """Centres of boxes, moved until none lies over another; all (N, 2) in pixels, within ``low`` and ``high``."""
    centre = np.clip(centre, low, high)
    for _ in range(rounds):
        gap = centre[:, None] - centre
        over = (size[:, None] + size) / 2 + 1 - np.abs(gap)
        hit = (over > 0).all(-1) & ~np.eye(len(centre), dtype=bool)
        if not hit.any():
            break
        side = np.where(gap == 0, np.sign(np.subtract.outer(np.arange(len(gap)), np.arange(len(gap))))[..., None], gap)
        short = over == over.min(-1, keepdims=True)  # along the smaller overlap
        centre = np.clip(centre + (hit[..., None] * short * np.sign(side) * over / 2).sum(1), low, high)
    return centre


def _medoid(places: np.ndarray) -> np.ndarray:
    """The (2,) point nearest to all others; a mean would lie between two groups, in neither."""
    return places[np.linalg.norm(places[:, None] - places[None], axis=2).sum(1).argmin()]
