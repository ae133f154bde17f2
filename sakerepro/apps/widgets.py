"""Draw and retrieve: a sketch pad for notebooks, and the nearest photos of a run.

:class:`Retriever` and :meth:`DrawAndRetrieve.picture` need no browser; ``sketch_pad.js`` is the pad.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import numpy as np
import pandas as pd
import traitlets

from .. import inputs, methods
from ..errors import ConfigError, SakeError
from ..methods import preset as preset_experiment
from ..plots.labels import about
from ..plots.style import PAGE, Picture, finish, fitted, new_figure, style
from ..runs import Run, find, named_run
from ..runs import run as find_or_make
from .drawing import Stroke, example_strokes, render
from .photos import Collection, named_collection
from .retriever import REAL, Retriever

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["DrawAndRetrieve", "Retriever", "choose_runs", "draw_and_retrieve"]


COLUMNS = 10  # photos in a row of the picture
NAMES = {"L_B": "baseline without L_SAKE"}  # titles of methods for readers who do not know the paper


class DrawAndRetrieve(anywidget.AnyWidget):
    """A sketch pad with the nearest photos of one run or two beside it; made by :func:`draw_and_retrieve`.

    It has pen, undo, clear, image loading and the number of photos. Each change of the drawing is sent to Python.
    Without a browser, a picture of the same photos is shown instead.

    Attributes:
        retrievers: one for each run.
        frames: the photos for the present drawing, one frame for each run; empty for an empty paper.
        strokes: the lines, in shares of the paper's side (see :func:`sakerepro.apps.drawing.render`).
        bitmap: bytes of an image file below the lines, or empty.
        pen: width of the next line, as a share of the side.
        ink: grey value of the lines.
        version: number of the drawing; each change in the browser raises it.
        example: whether the drawing is an example, which the first new line removes.
        k: number of photos to show, from 1 to ``most``.
        representation: the representation for the search.
        representations: (representation, text of its button) pairs.
    """

    _esm = Path(__file__).with_name("sketch_pad.js")
    _css = Path(__file__).with_name("sketch_pad.css")
    strokes: Any = traitlets.List().tag(sync=True)
    bitmap = traitlets.Bytes(b"").tag(sync=True, from_json=lambda value, _: bytes(value or b""))
    pen = traitlets.Float(0.015).tag(sync=True)
    ink = traitlets.Int(0).tag(sync=True)
    version = traitlets.Int(0).tag(sync=True)
    example = traitlets.Bool(False).tag(sync=True)
    k = traitlets.Int(10).tag(sync=True)
    most = traitlets.Int(50).tag(sync=True)
    representation = traitlets.Unicode().tag(sync=True)
    representations: Any = traitlets.List().tag(sync=True)

    def __init__(
        self, retrievers: Sequence[Retriever], k: int = 10, representation: str = REAL, strokes: Sequence[Stroke] = ()
    ) -> None:
        self.retrievers = list(retrievers)
        self.frames: list[pd.DataFrame] = []
        common = [r for r in self.retrievers[0].representations if all(r in o.representations for o in retrievers)]
        inputs.one_of(representation, tuple(common), "representation")
        most = min(50, *(len(r.photos) for r in retrievers))
        if not 1 <= k <= most:
            raise ConfigError(f"k = {k} photos cannot be shown. Use 1 to {most}.")
        pen = self.retrievers[0].pen
        dims = {f"{r.run.experiment.dim}-d" for r in retrievers}
        super().__init__(
            strokes=list(strokes),
            example=bool(strokes),
            pen=pen.width,
            ink=pen.ink,
            k=k,
            most=most,
            representation=representation,
            representations=[(r, " or ".join(sorted(dims)) if r == REAL else r) for r in common],
        )
        self.retrieve()
        # `version`, not `strokes`: the browser waits for an answer to each version, also of the same lines
        self.observe(self._answer, ["version", "k", "representation"])
        self.on_msg(lambda _, content, __: self._answer() if content.get("kind") == "ready" else None)

    def sketch(self, size: int) -> np.ndarray:
        """(size, size) uint8 of the drawing, as the network sees a sketch."""
        return render(self.strokes, size, ink=self.ink, bitmap=self.bitmap)

    def retrieve(self) -> list[pd.DataFrame]:
        """Search with the drawing and keep the answer in ``frames``; an empty paper has no answer."""
        retrievers = self.retrievers if self.strokes or self.bitmap else []
        self.frames = [r.search(self.sketch(r.size), self.k, self.representation) for r in retrievers]
        return self.frames

    def titles(self) -> list[str]:
        """Method and representation of each strip of photos."""
        labels = [methods.label(r.run.experiment) for r in self.retrievers]
        titles = []
        for r, label in zip(self.retrievers, labels, strict=True):
            name = NAMES.get(label, label) + (f" {r.run.id.rpartition('-')[2]}" if labels.count(label) > 1 else "")
            real = f"{r.run.experiment.dim}-d real-valued"
            titles.append(f"{name}, {real if self.representation == REAL else f'{self.representation} codes'}")
        return titles

    def _answer(self, *_: Any) -> None:
        """Called for every change in the browser, which also shows the user's mistakes.

        Photos are sent but not stored, so that a saved notebook holds no photo of a data set.
        """
        text, wrong = "Draw something, or load an image.", False
        try:
            frames = self.retrieve()
        except SakeError as error:
            frames, text, wrong = [], str(error), True
        if frames:
            text = f"{len(frames[0])} of {len(self.retrievers[0].photos):,} photos ({self.retrievers[0].about})"
            text = f"An example; it goes away with your first line. {text}" if self.example else text
        strips: list[dict[str, Any]] = []
        buffers: list[bytes] = []
        for title, frame, retriever in zip(self.titles(), frames, self.retrievers, strict=False):
            photos = [
                {"rank": r["rank"], "label": r["class"], "distance": distance_text(r["distance"])}
                for r in frame.to_dict("records")
            ]
            strips.append({"title": title, "photos": photos})
            buffers += map(retriever.thumbnail, frame["photo"])
        self.send({"version": self.version, "text": text, "wrong": wrong, "strips": strips}, buffers)

    def picture(self, images: bool | None = None) -> Picture:
        """A figure of the drawing and its nearest photos, ten at most, with a row for each run.

        Args:
            images: show photos, not tiles with class names. ``None``: only photos of the generated world, since those
                of a real data set must not be published with the results.
        """
        generated = all(r.generated for r in self.retrievers)
        images = generated if images is None else images
        columns = min(COLUMNS, self.k)
        shown = [frame.head(columns) for frame in self.frames] or [pd.DataFrame() for _ in self.retrievers]
        width = PAGE / (1 + COLUMNS)
        with style():
            height = (width + 0.42) * len(shown) + 0.15
            figure, axes = new_figure(width * (columns + 1), height, len(shown), columns + 1)
            figure.images_of = "" if generated or not images else self.retrievers[0].run.experiment.dataset
            for axis in axes:
                axis.axis("off")
            for row, (retriever, frame, title) in enumerate(zip(self.retrievers, shown, self.titles(), strict=True)):
                line = axes[row * (columns + 1) : (row + 1) * (columns + 1)]
                line[0].imshow(self.sketch(retriever.size), cmap="gray", vmin=0, vmax=255)
                line[0].set_title(title, loc="left").set_in_layout(False)  # a title may be wider than its column
                for axis, photo in zip(line[1:], frame.to_dict("records"), strict=False):
                    _tile(axis, photo, retriever.photos.take([photo["photo"]])[0] if images else None, width)
            finish(figure, "A drawing and its nearest photos", about([r.run for r in self.retrievers]))
        return figure

    def __repr__(self) -> str:
        return f"A sketch and its {self.k} nearest photos: {'; '.join(self.titles())}"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget, and for programs without a browser a picture and a line of text."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle:
            bundle[0]["image/png"] = self.picture()._repr_png_()
        return bundle


def distance_text(distance: float) -> str:
    """A distance as text: three decimals, or a number of bits."""
    return f"{distance:.3f}" if isinstance(distance, float) else f"{distance} bits"


def _tile(axis: Axes, photo: Mapping[Hashable, Any], pixels: np.ndarray | None, width: float) -> None:
    text, size = fitted(f"{photo['rank']} {photo['class']}", width * 0.92, 6.0)
    axis.imshow(np.full((1, 1), 244) if pixels is None else pixels.squeeze(), cmap="gray", vmin=0, vmax=255)
    words = f"{text}\n{distance_text(photo['distance'])}"
    axis.text(0.5, -0.06, words, transform=axis.transAxes, ha="center", va="top", fontsize=size)


def draw_and_retrieve(
    run: Run,
    other: Run | None = None,
    *,
    collection: Collection | Path | str | None = None,
    k: int = 10,
    representation: str = REAL,
    strokes: Sequence[Stroke] | None = None,
) -> DrawAndRetrieve:
    """A sketch pad that shows the nearest photos of a run, and of another run beside it.

    Args:
        run, other: finished runs, such as SAKE and L_B.
        collection: an index that ``run`` made (``sakerepro index``), or its folder or name, to search its photos in
            place of the run's unseen classes.
        k: photos for each run, at most 50.
        representation: ``"real"``, ``"32-bit"``, ``"64-bit"`` or ``"128-bit"``.
        strokes: the first drawing; ``None`` for the umbrella that ships with the package.

    Raises:
        ConfigError: for a ``k`` or representation that the runs do not have, or an unknown index.
        RunError: if the index was made with another run.
    """
    photos = named_collection(str(collection)) if isinstance(collection, str | Path) else collection
    retrievers = [Retriever(r, photos) for r in (run, other) if r is not None]
    return DrawAndRetrieve(retrievers, k, representation, example_strokes() if strokes is None else strokes)


def choose_runs(preset: str = "mini", run: str = "", other: str = "", collection: str = "") -> list[Run]:
    """One or two finished runs to draw with.

    Args:
        preset: its SAKE run is the first run if ``run`` is empty; it is trained if it is missing.
        run: id of a finished run, as ``sakerepro runs`` lists it, or a unique part of it.
        other: id of a second run; ``"none"`` for none; empty for L_B with the same settings. This run is trained if it
            is missing beside a preset's run, and left out beside a named run.
        collection: folder or name of an index; its run is then the only run.

    Raises:
        ConfigError: for an unknown preset or id, with the closest known ones.
    """
    if collection:
        return [named_run(run or named_collection(collection).run)]
    first = named_run(run) if run else find_or_make(preset_experiment(preset))
    if other == "none":
        return [first]
    if other:
        return [first, named_run(other)]
    plain = methods.baseline(first.experiment)
    second = find(plain) if run or plain == first.experiment else find_or_make(plain)
    return [first] if second is None or second.id == first.id else [first, second]
