"""A contact sheet: a row for each query, first the query, then the photos found, with name and distance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..data.images import read_image
from ..errors import DataError
from ..files import write_whole


def contact_sheet(to: Path, queries: Sequence[Path], found: Sequence[Sequence[tuple[Path, str]]]) -> None:
    """Write a contact sheet as PNG.

    Args:
        to: the file.
        queries: (Q,) image files.
        found: for each query, (file, caption) of the photos found, nearest first. A file that cannot be read any more
            becomes an empty frame with its caption.
    """
    from PIL import Image, ImageDraw, ImageFont

    side, margin, line = 128, 8, 28  # a picture's side, the space around it, its caption
    columns = 1 + max((len(row) for row in found), default=0)
    width, height = columns * (side + margin) + 2 * margin, len(queries) * (side + line + margin) + margin
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for row, (query, hits) in enumerate(zip(queries, found, strict=True)):
        y = margin + row * (side + line + margin)
        for column, (file, caption) in enumerate([(query, query.name), *hits]):
            x = margin + column * (side + margin) + (margin if column else 0)
            sheet.paste(Image.fromarray(picture(file, side)), (x, y))
            pen.rectangle((x - 1, y - 1, x + side, y + side), outline="black" if column == 0 else "#bbbbbb")
            for number, text in enumerate(caption.split("\n")[:2]):
                pen.text((x, y + side + 2 + 12 * number), _short(text, side), fill="black", font=font)
    with write_whole(to) as temporary:
        sheet.save(temporary, format="PNG")


def picture(file: Path, side: int) -> np.ndarray:
    """(side, side, 3) uint8 of an image file; grey if it cannot be read."""
    try:
        return np.broadcast_to(read_image(file, side), (side, side, 3))
    except DataError:
        return np.full((side, side, 3), 235, np.uint8)


def _short(text: str, side: int) -> str:
    most = side // 6  # a letter has six pixels
    text = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in text)  # what the font has
    return text if len(text) <= most else f"...{text[3 - most :]}"
