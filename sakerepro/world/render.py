"""From a figure to pixels: a photo (filled, lit, textured, cluttered) or a sketch (wobbly strokes on white)."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .figure import Figure, Part

Colour = tuple[int, int, int]

COLOURS: dict[str, Colour] = {
    "black": (42, 40, 42), "white": (232, 230, 225), "grey": (135, 137, 140), "brown": (112, 72, 44),
    "tan": (188, 150, 104), "sand": (205, 172, 118), "cream": (228, 214, 182), "orange": (216, 122, 42),
    "red": (186, 44, 40), "pink": (228, 150, 152), "yellow": (228, 192, 52), "gold": (196, 152, 58),
    "green": (62, 126, 62), "lime": (142, 182, 62), "olive": (104, 108, 62), "blue": (58, 96, 168),
    "purple": (122, 72, 142), "glass": (148, 182, 202), "metal": (172, 176, 182),
}
_PAINT = ("red", "blue", "green", "yellow", "orange", "purple", "brown", "grey", "white", "black", "pink", "cream")


def photo(figure: Figure, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) uint8 photo of the figure: filled parts, light, grain, clutter behind and before it."""
    fine = 2 * size if size <= 112 else size
    fit = _placing(figure.parts, fine, rng, scale=(0.5, 0.95), turn=14.0, squeeze=0.2)
    picture, palette = _background(size, rng).resize((fine, fine), Image.Resampling.BILINEAR), _palette(figure, rng)
    mask = Image.new("L", (fine, fine))
    on_picture, on_mask = ImageDraw.Draw(picture), ImageDraw.Draw(mask)
    _shadow(on_picture, figure.parts, fit, rng)
    for part in figure.parts:
        points = _placed(part.points, fit)
        colour = _shaken(palette.get(part.fill) or COLOURS[part.fill], rng, 7)
        if part.width:
            width = max(1, round(part.width * fine * fit[2]))
            on_picture.line(points, fill=colour, width=width, joint="curve")
            on_mask.line(points, fill=255, width=width)
        else:
            on_picture.polygon(points, fill=colour)
            on_mask.polygon(points, fill=255)
    if rng.random() < 0.4:
        _clutter(on_picture, fine, rng, n=1, big=0.2)
    if fine != size:
        picture, mask = (i.resize((size, size), Image.Resampling.BOX) for i in (picture, mask))
    return _exposed(_lit(picture, mask, size, rng), size, rng)


def sketch(figure: Figure, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 1) uint8 sketch of the figure: dark strokes on white in one of several hands."""
    fine = 3 * size if size <= 112 else size
    hand = _Hand(fine, rng)
    fit = _placing(figure.parts, fine, rng, scale=(0.68, 0.93), turn=9.0, squeeze=0.2)
    paper = Image.new("L", (fine, fine), 255)
    draw = ImageDraw.Draw(paper)
    whole = max(float(np.ptp(p.points, axis=0).prod()) for p in figure.parts)
    for part in figure.parts:
        small = part.width > 0 or float(np.ptp(part.points, axis=0).prod()) < 0.4 * whole
        if small and rng.random() < (hand.skip_detail if part.detail else hand.skip):
            continue  # the largest parts are always there
        hand.part(draw, part, fit)
    if fine != size:
        paper = paper.resize((size, size), Image.Resampling.BOX)
    return np.asarray(paper)[:, :, None]


Placing = tuple[np.ndarray, np.ndarray, float]  # matrix, offset and mean scale, as a share of the image


def _placing(
    parts: list[Part], fine: int, rng: np.random.Generator, scale: tuple[float, float], turn: float, squeeze: float
) -> Placing:
    """An affine map that fits the figure into the image: mirrored or not, turned, squeezed, somewhere."""
    points = np.concatenate([p.points for p in parts])
    a = np.radians(turn * np.clip(rng.standard_normal(), -2, 2))
    aspect = np.exp(squeeze * np.clip(rng.standard_normal(), -1.6, 1.6) / 2)
    flip = -1.0 if rng.random() < 0.5 else 1.0
    matrix = np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) @ np.diag([flip * aspect, -1 / aspect])
    matrix = matrix @ np.array([[1.0, 0.08 * rng.standard_normal()], [0.0, 1.0]])
    where = points @ matrix.T
    low, high = where.min(axis=0), where.max(axis=0)
    share = rng.uniform(*scale) / float((high - low).max())
    room = 1 - share * (high - low)
    corner = room * rng.uniform(-0.02, 1.02, 2)
    matrix *= share * fine
    return matrix, corner * fine - low * share * fine, share


def _placed(points: np.ndarray, fit: Placing) -> list[tuple[float, float]]:
    return list(map(tuple, (points @ fit[0].T + fit[1]).tolist()))


def _shaken(colour: Colour, rng: np.random.Generator, amount: float) -> Colour:
    r, g, b = np.clip(np.asarray(colour) + amount * rng.standard_normal() + amount * 0.4 * rng.standard_normal(3), 0,
        255)
    return int(r), int(g), int(b)


def _palette(figure: Figure, rng: np.random.Generator) -> dict[str, Colour]:
    hues = figure.kind("hue", "any").split()
    hue = hues[int(rng.integers(len(hues)))]
    if hue == "any" or rng.random() < 0.08:  # now and then an odd one: colour helps, it does not decide
        hue = _PAINT[int(rng.integers(len(_PAINT)))]
    main = _shaken(COLOURS[hue], rng, 22)
    second = _shaken(COLOURS["brown" if hue in ("white", "cream") else "white"], rng, 22)
    shade = tuple(int(c * 0.72) for c in main)
    return {"main": main, "second": second, "shade": (shade[0], shade[1], shade[2])}


def _noise(fine: int, cells: int, rng: np.random.Generator, channels: int = 1) -> np.ndarray:
    """(fine, fine, channels) float32 smooth noise of about unit variance."""
    coarse = rng.standard_normal((channels, cells, cells), dtype=np.float32)
    layers = [Image.fromarray(c).resize((fine, fine), Image.Resampling.BICUBIC) for c in coarse]
    return np.stack([np.asarray(layer) for layer in layers], axis=2)


def _background(size: int, rng: np.random.Generator) -> Image.Image:
    sky, ground = (np.asarray(COLOURS[s], np.float32) for s in rng.choice(_SCENES, 2))
    level, width = rng.uniform(0.3, 0.95), rng.uniform(0.02, 0.5)
    edge = np.clip((np.arange(size, dtype=np.float32) / size - level) / width + 0.5, 0, 1).astype(np.float32)
    image = (sky + (ground - sky) * edge[:, None])[:, None, :]
    image = image + np.float32(rng.uniform(8, 30)) * _noise(size, int(rng.integers(3, 14)), rng)
    image += np.float32(rng.uniform(2, 12)) * _noise(size, 3, rng, 3)
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    _clutter(ImageDraw.Draw(picture), size, rng, n=int(rng.integers(1, 8)), big=0.45)
    return picture.filter(ImageFilter.BoxBlur(size / 48 * rng.uniform(0.15, 1.1)))


_SCENES = (
    "green", "olive", "sand", "tan", "glass", "blue", "grey", "brown", "cream", "white", "black", "lime", "metal",
)


def _clutter(draw: ImageDraw.ImageDraw, fine: int, rng: np.random.Generator, n: int, big: float) -> None:
    """Things that are not the object: boxes, blobs, blades and bars."""
    for _ in range(n):
        colour = _shaken(COLOURS[(*_SCENES, *_PAINT)[int(rng.integers(25))]], rng, 20)
        x, y = rng.uniform(0, fine, 2)
        w, h = rng.uniform(0.03, big, 2) * fine
        kind = int(rng.integers(5))
        if kind == 0:
            draw.rectangle((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=colour)
        elif kind == 1:
            draw.ellipse((x - w / 2, y - h / 2, x + w / 2, y + h / 2), fill=colour)
        elif kind == 2:
            corners = np.array([x, y]) + rng.uniform(-0.5, 0.5, (int(rng.integers(3, 7)), 2)) * (w + h)
            draw.polygon(list(map(tuple, corners.tolist())), fill=colour)
        elif kind == 3:
            draw.line((x, y, *rng.uniform(0, fine, 2)), fill=colour, width=int(rng.integers(1, max(2, fine // 20))))
        else:
            for _ in range(6):
                bx = x + rng.uniform(-w, w)
                draw.line((bx, y + h, bx + rng.uniform(-w, w) / 2, y - h), fill=colour, width=max(1, fine // 64))


def _shadow(draw: ImageDraw.ImageDraw, parts: list[Part], fit: Placing, rng: np.random.Generator) -> None:
    if rng.random() < 0.6:
        points = np.concatenate([p.points for p in parts]) @ fit[0].T + fit[1]
        (x0, _), (x1, y1) = points.min(axis=0), points.max(axis=0)
        thick = (x1 - x0) * 0.06
        draw.ellipse((x0, y1 - thick, x1, y1 + thick), fill=_shaken((70, 68, 62), rng, 12))


def _lit(picture: Image.Image, mask: Image.Image, size: int, rng: np.random.Generator) -> Image.Image:
    """Light from one side, rounder towards the rim, with a texture on the object."""
    solid = np.asarray(mask.filter(ImageFilter.BoxBlur(size / 24)), dtype=np.float32) / 255
    inside = np.asarray(mask, dtype=np.float32) / 255
    angle, relief = rng.uniform(0, 2 * np.pi), np.zeros((size, size), np.float32)
    relief[1:-1, 1:-1] = np.cos(angle) * (solid[1:-1, 2:] - solid[1:-1, :-2])
    relief[1:-1, 1:-1] += np.sin(angle) * (solid[2:, 1:-1] - solid[:-2, 1:-1])
    grain = _noise(size, int(rng.integers(6, max(8, size // 2))), rng)[:, :, 0]
    light = 1 + inside * (rng.uniform(0.2, 0.6) * size / 48 * relief + rng.uniform(0.02, 0.12) * grain)
    return Image.fromarray(np.clip(np.asarray(picture) * light[:, :, None], 0, 255).astype(np.uint8))


def _exposed(picture: Image.Image, size: int, rng: np.random.Generator) -> np.ndarray:
    """The camera: focus, exposure, white balance, grain."""
    if rng.random() < 0.3:
        picture = picture.filter(ImageFilter.BoxBlur(size / 48 * rng.uniform(0.1, 0.6)))
    image = np.asarray(picture, dtype=np.float32)
    gain = (rng.uniform(0.7, 1.25) * (1 + 0.07 * rng.standard_normal(3))).astype(np.float32)
    grain = rng.standard_normal((size, size, 1), dtype=np.float32) * np.float32(rng.uniform(1, 7))
    return np.clip((image - 118) * np.float32(rng.uniform(0.75, 1.15)) + 118 * gain + grain, 0, 255).astype(np.uint8)


class _Hand:
    """How one person draws: stroke width, wobble, corners, retraced lines, what is left out."""

    def __init__(self, fine: int, rng: np.random.Generator) -> None:
        self.fine, self.rng = fine, rng
        self.width = max(1, round(fine * rng.uniform(0.012, 0.026)))
        self.ink = int(rng.integers(0, 90))
        self.wobble = fine * rng.uniform(0.003, 0.014)
        self.shift = fine * rng.uniform(0.0, 0.018)
        self.skip, self.skip_detail = rng.uniform(0.0, 0.1), rng.uniform(0.05, 0.75)
        self.gap = rng.uniform(0.0, 0.14)
        self.retraced = 2 if rng.random() < 0.2 else 1
        self.corners = rng.random() < 0.2  # draws curves as a few straight strokes
        self.through = rng.random() < 0.15  # does not hide what is behind
        self.blacken = rng.random() < 0.3  # fills what is black

    def part(self, draw: ImageDraw.ImageDraw, part: Part, fit: Placing) -> None:
        """Draw the outline of an area, or a line."""
        points = part.points @ fit[0].T + fit[1]
        points += self.shift * self.rng.standard_normal(2)
        middle = points.mean(axis=0)
        points = middle + (points - middle) * np.exp(0.06 * self.rng.standard_normal(2))
        if not part.width:
            points = np.concatenate([points, points[:1]])
        if self.corners and len(points) > 12 and _is_curve(points):
            points = points[:: 3 if part.width else len(points) // 7]
            points = points if part.width else np.concatenate([points, points[:1]])
        line = _resampled(points, self.fine / 16)
        if not part.width and len(line) > 2 and not self.through:
            dark = self.blacken and part.fill == "black"
            draw.polygon(list(map(tuple, line.tolist())), fill=self.ink if dark else 255)
        for _ in range(self.retraced):
            self._stroke(draw, line)

    def _stroke(self, draw: ImageDraw.ImageDraw, line: np.ndarray) -> None:
        n = len(line)
        drift = self.rng.standard_normal((n, 2)).cumsum(axis=0)
        drift -= np.linspace(0, 1, n)[:, None] * drift[-1]  # a walk that comes back, so that outlines nearly close
        line = line + self.wobble * (0.45 * drift + 0.25 * self.rng.standard_normal((n, 2)))
        if n > 5 and self.rng.random() < self.gap * 3:
            start, missing = int(self.rng.integers(n)), max(1, int(n * self.gap))
            line = np.roll(line[:-1], -start, axis=0)[missing:] if np.allclose(line[0], line[-1]) else line[missing:]
        draw.line(list(map(tuple, line.tolist())), fill=self.ink, width=self.width, joint="curve")


def _is_curve(points: np.ndarray) -> bool:
    """Whether no corner of the polyline turns by more than about 70 degrees."""
    way = np.diff(points, axis=0)
    way /= np.maximum(np.hypot(way[:, 0], way[:, 1])[:, None], 1e-9)
    return bool((way[1:] * way[:-1]).sum(axis=1).min() > 0.35)


def _resampled(points: np.ndarray, step: float) -> np.ndarray:
    """The same polyline with a vertex about every ``step`` pixels, corners kept.

    Lengths are whole 1/256 pixels: processors differ in their last bits, and then in which vertices are the same one.
    """
    lengths = np.hypot(*np.diff(points, axis=0).T)
    along = np.round(256 * np.concatenate([[0.0], np.cumsum(lengths)])) / 256
    if along[-1] <= step:
        return points
    at = np.union1d(along, np.round(256 * np.linspace(0, along[-1], int(along[-1] / step) + 2)) / 256)
    return np.stack([np.interp(at, along, points[:, 0]), np.interp(at, along, points[:, 1])], axis=1)
