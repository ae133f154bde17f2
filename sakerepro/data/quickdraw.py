"""Drawings as strokes: files of Quick, Draw! (``.ndjson``, also gzipped), one drawing a line.

A drawing is named ``FILE:LINE``, such as ``cat.ndjson:17``; it can be used like an image file. The format is
Google's simplified one (github.com/googlecreativelab/quickdraw-dataset): ``{"word": "cat", "drawing": [[[x, ...],
[y, ...]], ...], ...}``; of the raw format, the times are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..files import lines

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".ndjson", ".ndjson.gz")
SIDE, MARGIN, WIDTH = 224, 12, 3  # of a drawing, in pixels, as in Sketchy's sketches
_FINE = 768  # least side in pixels at which lines are drawn, before they are averaged
_FAR = 1e6  # limit of coordinates


class Drawing(NamedTuple):
    """One line of a file."""

    word: str  # the word that was to be drawn; empty if the line has none
    strokes: list[np.ndarray]  # (n, 2) float64 each, n from 1: x to the right and y down, in any unit


def is_drawings(name: str) -> bool:
    """Whether a file name ends like a file of drawings and is not hidden."""
    return name.lower().endswith(SUFFIXES) and not name.rpartition("/")[2].startswith(".")


def class_of(name: str) -> str:
    """``"cat"`` of ``"cat.ndjson.gz"``: Google has one file for each class."""
    return name[: -len(next(s for s in SUFFIXES if name.lower().endswith(s)))]


def place_of(name: str) -> tuple[str, int]:
    """File and line of a drawing; for any other image, its file and 0."""
    file, _, line = name.rpartition(":")
    return (file, int(line)) if line.isdecimal() and is_drawings(file) else (name, 0)


def contents(root: Path, names: Sequence[str]) -> Iterator[tuple[int, bytes | DataError | None]]:
    """The position of each image in ``names``; for a drawing also its line of the file, or the error that prevents it.

    A file of drawings is read once, as a stream. Image files come first, with ``None``: the caller may read several at
    a time.
    """
    files: dict[str, dict[int, int]] = {}
    for i, name in enumerate(names):
        file, number = place_of(name)
        if number:
            files.setdefault(file, {})[number] = i
        else:
            yield i, None
    for file, wanted in files.items():
        unread = None
        try:
            for number, line in lines(root / file):
                if number in wanted:
                    yield wanted.pop(number), line
        except DataError as error:
            unread = error
        for number, i in wanted.items():
            gone = "is blank, or not there. Name a line that holds a drawing."
            yield i, unread or DataError(f"{root / file}, line {number}: {gone}")


def given(line: bytes | DataError | None) -> bytes | None:
    """The line of a drawing, or ``None`` for an image file, from :func:`contents`; an error is raised."""
    if isinstance(line, DataError):
        raise line
    return line


def parse(line: bytes, name: str) -> Drawing:
    """The drawing in a line of a file; ``name`` is its ``FILE:LINE``, for errors.

    Raises:
        DataError: names file, line and value if the line is no JSON or a stroke is no list of coordinates.
    """
    place, strokes = "{}, line {}".format(*place_of(name)), []
    try:
        value = json.loads(line)
        word, drawing = str(value.get("word", "")), list(value["drawing"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DataError(f"{place}: {_short(line.decode(errors='replace'))!r} is no drawing. {_MEND}") from None
    for number, stroke in enumerate(drawing, 1):
        try:
            points = np.array([stroke[0], stroke[1]], np.float64).T
        except (ValueError, TypeError, LookupError, OverflowError):
            points = np.zeros(0)
        if points.ndim != 2 or not len(points) or not np.abs(points).max() < _FAR:
            raise DataError(f"{place}: stroke {number} is {_short(str(stroke))}, no line. {_MEND}")
        strokes.append(points)
    if not strokes:
        raise DataError(f"{place}: the drawing has no stroke. {_MEND}")
    return Drawing(word, strokes)


_MEND = 'Write {"word": "cat", "drawing": [[[x, ...], [y, ...]], ...]} with numbers, or remove the line.'


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def picture(strokes: Sequence[np.ndarray], size: int) -> Image.Image:
    """A grey image of a drawing, black on white, centred, in its own proportions.

    Its longer side reaches to the margin, and lines are antialiased; both scale with the side of ``size`` pixels.
    """
    from PIL import ImageOps

    points = np.concatenate(strokes)
    low, high = points.min(axis=0), points.max(axis=0)
    room = (1 - 2 * MARGIN / SIDE) / max(float((high - low).max()), 1e-9)  # a dot has no extent
    placed = [((s - (low + high) / 2) * room + 0.5, WIDTH / SIDE) for s in strokes]
    return ImageOps.invert(stroke_mask(placed, size))


def stroke_mask(strokes: Sequence[tuple[np.ndarray, float]], size: int) -> Image.Image:
    """A grey image of lines with round ends, 255 where there is ink, antialiased.

    Args:
        strokes: points (n, 2) from the top left, and width, both in shares of the side; parts beyond are cut off.
        size: side in pixels.
    """
    from PIL import Image, ImageDraw

    times = max(3, -(-_FINE // size))
    mask = Image.new("L", (times * size, times * size), 0)
    draw = ImageDraw.Draw(mask)
    for points, width in strokes:
        _line(draw, points * (times * size), max(1, round(width * times * size)))
    return mask.reduce(times)


def _line(draw: Any, points: np.ndarray, width: int) -> None:
    """A polyline with round joints and ends; PIL's own ``joint="curve"`` leaves the ends square."""
    draw.line([tuple(p) for p in points.tolist()], fill=255, width=width)
    if width > 2:
        low, high = (points - width / 2).tolist(), (points + width / 2 - 1).tolist()
        for (left, top), (right, bottom) in zip(low, high, strict=True):
            draw.ellipse((left, top, right, bottom), fill=255)
    elif len(points) == 1:
        draw.point(tuple(points[0].tolist()), fill=255)
