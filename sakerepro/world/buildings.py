"""Plans of buildings and bridges (see :mod:`world_classes` for the traits)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, mirrored, oval, smooth


def building(f: Figure) -> None:
    """A house, barn, lighthouse, mosque or castle."""
    {"house": _house, "barn": _barn, "lighthouse": _lighthouse, "mosque": _mosque, "castle": _castle}[f.kind("kind")](f)


def _window(f: Figure, x: float, y: float, w: float, h: float, detail: bool = False) -> None:
    f.box(x - w, y - h, x + w, y + h, "glass", detail)
    f.line([(x, y - h), (x, y + h)], 0.015, "white", detail=True)


def _house(f: Figure) -> None:
    w, h, roof = f.size("wide", 0.45), f.size("high", 0.42), f.size("roof", 0.32)
    side = f.size("side", 0.4) if f.chance(0.5) else 0.0
    if f.chance(0.7):
        x = f.between(0.1, w * 0.5)
        f.box(x, h, x + 0.1, h + roof + 0.1, "brown")
    if side:
        f.box(w, 0, w + side, h, "shade")
        f.area([(0, h + roof), (w + 0.05, h - 0.02), (w + side + 0.04, h - 0.02), (side, h + roof)], "brown")
    f.box(-w, 0, w, h)
    f.area([(-w - 0.07, h - 0.02), (0, h + roof), (w + 0.07, h - 0.02)], "brown" if f.chance(0.5) or side else "grey")
    door = f.between(-0.25, 0.25) * w
    f.box(door - 0.07, 0, door + 0.07, h * 0.55, "brown")
    for x in (-0.65, 0.65):
        _window(f, x * w, h * 0.6, 0.08, 0.09)


def _barn(f: Figure) -> None:
    w, h, side = f.size("wide", 0.36), f.size("high", 0.36), f.size("side", 0.4)
    top = h + 0.34
    f.box(w, 0, w + side, h, "shade")
    f.area([(0, top), (w * 0.75, h + 0.2), (w + 0.04, h - 0.02), (w + side + 0.04, h - 0.02), (w * 0.75 + side,
        h + 0.2), (side, top)], "grey")
    f.area([(-w, 0), (w, 0), (w, h), (w * 0.7, h + 0.2), (0, top), (-w * 0.7, h + 0.2), (-w, h)])
    f.box(-0.16, 0, 0.16, 0.3, "white")
    f.line([(-0.15, 0.01), (0.15, 0.29)], 0.025, "main")
    f.line([(-0.15, 0.29), (0.15, 0.01)], 0.025, "main")
    f.box(-0.07, h + 0.06, 0.07, h + 0.18, "white", detail=True)
    if f.chance(0.4):
        f.box(-w - 0.28, 0, -w - 0.06, 0.7, "metal")
        f.area(arc(-w - 0.17, 0.7, 0.11, 0.11, 0, 180, 8), "metal")


def _lighthouse(f: Figure) -> None:
    w, h = f.size("wide", 0.17), f.size("high", 0.95)
    top = w * 0.6
    f.area(smooth([(-0.5, 0.0), (-0.25, 0.07), (0.2, 0.08), (0.5, 0.0), (0, -0.05)]), "grey")
    f.area([(-w, 0.04), (w, 0.04), (top, h), (-top, h)], "white")
    for i in range(3):
        a, b = 0.18 + 0.27 * i, 0.31 + 0.27 * i
        wa, wb = w + (top - w) * a, w + (top - w) * b
        f.area([(-wa, a * h), (wa, a * h), (wb, b * h), (-wb, b * h)], "red")
    f.box(-top * 1.4, h, top * 1.4, h + 0.04, "black")
    f.box(-top * 0.75, h + 0.04, top * 0.75, h + 0.17, "yellow")
    f.area([(-top, h + 0.17), (0, h + 0.3), (top, h + 0.17)], "red")
    f.box(-0.04, 0.05, 0.04, 0.16, "brown")
    if f.chance(0.35):
        for side in (-1, 1):
            f.area([(side * 0.1, h + 0.1), (side * 0.6, h + 0.2), (side * 0.6, h + 0.0)], "yellow", detail=True)


def _mosque(f: Figure) -> None:
    w, h, dome = f.size("wide", 0.42), f.size("high", 0.34), f.size("dome", 0.3)
    for side in (-1, 1) if f.chance(0.6) else (1,):
        x, tall = side * (w + 0.12), f.size("minaret", 0.95)
        f.box(x - 0.05, 0, x + 0.05, tall, "shade" if side < 0 else "main")
        f.box(x - 0.08, tall * 0.72, x + 0.08, tall * 0.76)
        f.area([(x - 0.065, tall), (x, tall + 0.18), (x + 0.065, tall)], "gold")
    f.area(smooth([(-dome, h), (-dome * 1.1, h + dome * 0.5), (-dome * 0.45, h + dome), (0, h + dome * 1.3),
        (dome * 0.45, h + dome), (dome * 1.1, h + dome * 0.5), (dome, h)], False),
        "gold" if f.chance(0.5) else "glass")
    f.line([(0, h + dome * 1.2), (0, h + dome * 1.2 + 0.14)], 0.025, "gold")
    f.box(-w, 0, w, h)
    for x in (-0.65, 0.0, 0.65):
        d = 0.09 if x == 0 else 0.065
        f.area(np.concatenate([[(x * w - d, 0.02), (x * w + d, 0.02)], arc(x * w, h * 0.5, d, 0.1, 0, 180, 7)]),
            "black" if x == 0 else "brown")


def _castle(f: Figure) -> None:
    w, h, tower = f.size("wide", 0.36), f.size("high", 0.4), f.size("tower", 0.72)

    def wall(x0: float, x1: float, y: float, fill: str, n: int) -> None:
        step = (x1 - x0) / (2 * n - 1)
        teeth: list[Point] = []
        for i in range(2 * n - 1):
            level = y + (0.07 if i % 2 == 0 else 0.0)
            teeth += [(x0 + i * step, level), (x0 + (i + 1) * step, level)]
        f.area([(x1, 0), (x0, 0), *teeth], fill)

    pointed = f.chance(0.45)
    if f.chance(0.7):
        wall(-0.13, 0.13, tower * 1.15, "shade", 2)
        f.line([(0, tower * 1.2), (0, tower * 1.2 + 0.22)], 0.02, "black")
        f.area([(0, tower * 1.2 + 0.22), (0.14, tower * 1.2 + 0.17), (0, tower * 1.2 + 0.12)], "red")
    wall(-w, w, h, "main", 5)
    for side in (-1, 1):
        x = side * (w + 0.08)
        if pointed:
            f.box(x - 0.12, 0, x + 0.12, tower)
            f.area([(x - 0.16, tower), (x, tower + 0.32), (x + 0.16, tower)], "red" if f.chance(0.5) else "blue")
        else:
            wall(x - 0.13, x + 0.13, tower, "main", 3)
        f.area(oval(x, tower * 0.68, 0.03, 0.06, 0, 10), "black")
    f.area(np.concatenate([[(-0.11, 0), (0.11, 0)], arc(0, 0.18, 0.11, 0.12, 0, 180, 8)]), "black")
    for _i in range(4):
        x, y = f.between(-w, w), f.between(0.1, h - 0.06)
        f.line([(x, y), (x + 0.07, y)], 0.014, "shade", detail=True)


def bridge(f: Figure) -> None:
    """A suspension bridge."""
    tall, deck = f.size("tall", 0.55), f.size("deck", 0.18)
    for x in (-0.42, 0.42):
        f.area(mirrored([(0.05, -0.08), (0.035, tall)]) + (x, 0.0))
    hang = [(-1.0, deck + 0.04), (-0.72, deck + 0.14), (-0.42, tall)]
    sag = [(-0.42, tall), (-0.22, deck + 0.14), (0.0, deck + 0.06), (0.22, deck + 0.14), (0.42, tall)]
    for path in (hang, sag, [(-x, y) for x, y in hang]):
        f.line(smooth(path, False), 0.026, "shade")
    for x in np.linspace(-0.9, 0.9, 13):
        d = abs(abs(float(x)) - 0.42)
        y = deck + 0.04 + (tall - deck) * max(0.0, 1 - d / (0.42 if abs(x) < 0.42 else 0.55)) ** 1.7
        f.line([(float(x), deck), (float(x), y)], 0.012, "shade", detail=bool(abs(x) > 0.1))
    f.box(-1.0, deck - 0.05, 1.0, deck)
    f.line(smooth([(-1.0, -0.1), (-0.5, -0.07), (0.0, -0.1), (0.5, -0.07), (1.0, -0.1)], False), 0.04, "blue")
