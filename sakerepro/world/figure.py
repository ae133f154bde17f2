"""Figures of the generated world: a list of parts in object units, and the few shapes that all plans are built from.

A figure knows nothing of pixels: x grows to the right, y upwards, and whoever draws it fits it into an image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Part:
    """An area (filled in photos, outlined in sketches) or a line; later parts cover earlier ones."""

    points: np.ndarray  # (n, 2) float64, object units
    fill: str  # "main", "second", "shade" (main in shadow), or a colour by name
    width: float = 0.0  # of a line in object units; 0 for an area
    detail: bool = False  # a sketch may leave it out


class Figure:
    """Collects parts while a plan runs; gives the plan its traits, varied for this one instance."""

    def __init__(self, look: Mapping[str, Any], rng: np.random.Generator, spread: float = 0.12) -> None:
        self.look, self.rng, self.spread = look, rng, spread
        self.parts: list[Part] = []

    def size(self, trait: str, default: float, spread: float = 1.0) -> float:
        """A measure: the class's value, or the plan's default, times a log-normal factor of this instance."""
        value = float(self.look.get(trait, default))
        return value * float(np.exp(self.spread * spread * np.clip(self.rng.standard_normal(), -2, 2)))

    def count(self, trait: str, default: int) -> int:
        """A number of things, sometimes one more or less if there are more than three."""
        value = int(self.look.get(trait, default))
        return value + int(self.rng.integers(-1, 2)) if value > 3 else value

    def kind(self, trait: str, default: str = "") -> str:
        """A named trait, as the class has it."""
        return str(self.look.get(trait, default))

    def has(self, trait: str) -> bool:
        """Whether the class has this part."""
        return bool(self.look.get(trait, 0))

    def between(self, low: float, high: float) -> float:
        """A uniform number."""
        return float(self.rng.uniform(low, high))

    def chance(self, probability: float) -> bool:
        """A biased coin."""
        return bool(self.rng.random() < probability)

    def area(self, points: Sequence[Point] | np.ndarray, fill: str = "main", detail: bool = False) -> None:
        """Add a closed polygon."""
        self.parts.append(Part(np.asarray(points, dtype=np.float64), fill, 0.0, detail))

    def line(
        self, points: Sequence[Point] | np.ndarray, width: float = 0.03, fill: str = "black", detail: bool = False
    ) -> None:
        """Add an open line."""
        self.parts.append(Part(np.asarray(points, dtype=np.float64), fill, width, detail))

    def oval(
        self, x: float, y: float, rx: float, ry: float, fill: str = "main", turn: float = 0.0, detail: bool = False
    ) -> None:
        """Add an ellipse, turned by degrees."""
        self.area(oval(x, y, rx, ry, turn), fill, detail)

    def box(self, x0: float, y0: float, x1: float, y1: float, fill: str = "main", detail: bool = False) -> None:
        """Add an upright rectangle."""
        self.area([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], fill, detail)

    def limb(self, path: Sequence[Point], start: float, end: float, fill: str = "main", detail: bool = False) -> None:
        """Add a bent tube that gets from width ``start`` to ``end``."""
        bent = smooth(path, closed=False, steps=3) if len(path) > 2 else path
        self.area(tube(bent, start, end), fill, detail)

    def wheel(self, x: float, y: float, radius: float, hub: float = 0.45) -> None:
        """Add a tyre with its rim."""
        self.oval(x, y, radius, radius, "black")
        self.oval(x, y, radius * hub, radius * hub, "grey", detail=True)


def oval(x: float, y: float, rx: float, ry: float, turn: float = 0.0, n: int = 18) -> np.ndarray:
    """(n, 2) points of an ellipse."""
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    points = np.stack([rx * np.cos(angle), ry * np.sin(angle)], axis=1)
    return turned(points, turn) + (x, y)


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float, n: int = 9) -> np.ndarray:
    """(n, 2) points on an ellipse from ``start`` to ``end`` degrees, counter-clockwise."""
    angle = np.radians(np.linspace(start, end, n))
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def turned(points: np.ndarray, degrees: float) -> np.ndarray:
    """The points turned counter-clockwise about the origin."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.asarray(points) @ np.array([[cos, sin], [-sin, cos]])


def away(start: Point, degrees: float, length: float) -> Point:
    """The point ``length`` away from ``start``."""
    angle = float(np.radians(degrees))
    return start[0] + length * float(np.cos(angle)), start[1] + length * float(np.sin(angle))


def smooth(
    points: Sequence[Point] | Sequence[Sequence[float]] | np.ndarray, closed: bool = True, steps: int = 4
) -> np.ndarray:
    """A Catmull-Rom curve through the points, (n * steps, 2) or so."""
    p = np.asarray(points, dtype=np.float64)
    q = np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([p[:1], p, p[-1:]])
    a, b, c, d = (q[i : len(q) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return curve.reshape(-1, 2) if closed else np.concatenate([curve.reshape(-1, 2), p[-1:]])


def tube(path: Sequence[Point] | np.ndarray, start: float, end: float) -> np.ndarray:
    """Outline of a line of changing width (full widths, not half)."""
    p = np.asarray(path, dtype=np.float64)
    way = np.gradient(p, axis=0)
    way /= np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    side = np.stack([-way[:, 1], way[:, 0]], axis=1) * np.linspace(start, end, len(p))[:, None] / 2
    return np.concatenate([p + side, (p - side)[::-1]])


def mirrored(points: Sequence[Point] | np.ndarray) -> np.ndarray:
    """The right half of an upright outline, from bottom to top, completed by its mirror image."""
    p = np.asarray(points, dtype=np.float64)
    return np.concatenate([p, p[::-1] * (-1.0, 1.0)])
