"""Drawings as strokes, rendered like the training sketches of a network: dark lines on white."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import paths
from ..data.dataset import ImageSet
from ..data.images import decode
from ..data.quickdraw import stroke_mask
from ..errors import DataError

Stroke = Mapping[str, Any]  # {"width": share of the side, "points": [[x, y], ...]}: shares of the side from top left
_WIDTHS = [round(0.004 + 0.001 * i, 3) for i in range(40)]  # candidates when a pen is measured


@dataclass(frozen=True)
class Pen:
    """The width and the grey of the lines in a data set's sketches."""

    width: float  # share of the image's side
    ink: int  # grey value of a line, 0 is black


SKETCHY_PEN = Pen(0.013, 0)  # result of :func:`pen_of` for the sketches of Sketchy


def pen_of(sketches: ImageSet) -> Pen:
    """The pen of a set of sketches: its lines are as thick and dark as the median of 200 sketches."""
    index = np.unique(np.linspace(0, len(sketches) - 1, min(200, len(sketches))).round().astype(int))
    greys = [grey for grey in sketches.take(index).mean(axis=3) if grey.min() < 255]
    if not greys:
        return SKETCHY_PEN
    ink, size = int(np.median([grey.min() for grey in greys])), len(greys[0])
    median = np.median([_look(grey) for grey in greys], axis=0)
    example = example_strokes()

    def miss(width: float) -> float:
        drawn = _look(render([{**s, "width": width} for s in example], size, ink=ink))
        return float(np.abs(np.log(drawn / median)).sum())

    return Pen(min(_WIDTHS, key=miss), ink)


def _look(grey: np.ndarray) -> np.ndarray:
    """The width in pixels and the mean darkness of the lines of an (S, S) sketch that is not blank.

    A line of width w and length L has the area wL and, along its two edges, the total variation 2L. Twice their
    quotient is w, for any grey, down to about one pixel. The mean darkness tells thinner lines, which are paler.
    """
    dark = np.pad(1 - grey / 255, 1)
    variation = np.hypot(np.diff(dark, axis=0)[:, :-1], np.diff(dark, axis=1)[:-1]).sum()
    return np.array([2 * dark.sum() / variation, np.square(dark).sum() / dark.sum()])


def render(strokes: Sequence[Stroke], size: int, *, ink: int = 0, bitmap: bytes = b"") -> np.ndarray:
    """A drawing as the network sees a sketch.

    Args:
        strokes: lines with round ends, in the order they were drawn; parts beyond the paper are cut off.
        size: side in pixels.
        ink: grey value of the lines.
        bitmap: bytes of an image file to lay below the lines, made grey and stretched to the square.

    Returns:
        (size, size) uint8, white where nothing was drawn.

    Raises:
        DataError: if a stroke is not as above, by its number; if the bytes are no image.
    """
    from PIL import Image

    paper = Image.new("L", (size, size), 255)
    if bitmap:
        pixels = decode(bitmap, size, "the loaded image")
        paper = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels).convert("L")
    if not strokes:
        return np.asarray(paper)
    checked = (_checked(stroke, number) for number, stroke in enumerate(strokes, start=1))
    paper.paste(ink, mask=stroke_mask([(points, width) for width, points in checked], size))
    return np.asarray(paper)


def _checked(stroke: Stroke, number: int) -> tuple[float, np.ndarray]:
    try:
        width, points = float(stroke["width"]), np.asarray(stroke["points"], np.float64)
        fits = points.ndim == 2 and points.shape[1] == 2 and len(points) and bool(np.abs(points).max() < 100)
        if fits and 0 < width <= 1:
            return width, points
    except (KeyError, TypeError, ValueError):
        pass
    raise DataError(
        f"stroke {number} is not a line. Give a width above 0 and points [[x, y], ...], all in shares of the image's "
        'side, such as {"width": 0.02, "points": [[0.1, 0.2], [0.5, 0.5]]}.'
    )


def example_strokes() -> list[dict[str, Any]]:
    """The drawing that ships with the package: an umbrella, as strokes."""
    return json.loads(paths.package_data("umbrella.json").read_text(encoding="utf-8"))
