"""Plan of birds (see :mod:`world_classes` for the traits of each class)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, away, mirrored, smooth, tube


def bird(f: Figure) -> None:
    """A bird from the side, facing right (or, ``front``, an owl that looks at you)."""
    if f.has("front"):
        _owl(f)
        return
    leg, body, girth = f.size("leg", 0.2), f.size("body", 0.7), f.size("girth", 0.34)
    tilt = f.size("tilt", 15, 0.5) + f.between(-8, 8)
    h, g = body / 2, girth / 2
    low = leg + abs(h * np.sin(np.radians(tilt))) * 0.8 + g * 0.6
    at: Point = (0.0, float(low))
    _bird_tail(f, away(at, tilt + 180, h * 0.8), tilt, g)
    if not f.has("water"):
        for dx in (-0.02, 0.08):
            top, foot = (dx, float(low) - g * 0.6), (dx + 0.02 + f.between(-0.04, 0.04), 0.0)
            f.line([top, foot], 0.03, "orange")
            toes = 0.12 if f.has("web") else 0.09
            f.line([(foot[0] - 0.05, 0.0), foot, (foot[0] + toes, -0.01)], 0.035 if f.has("web") else 0.025, "orange")
    egg = [away(at, tilt + a, d) for a, d in ((0, h), (35, h * 0.72 + g * 0.2), (90, g), (150, h * 0.7), (180, h),
        (215, h * 0.62), (270, g), (325, h * 0.75 + g * 0.25))]
    f.area(smooth(egg))
    if f.kind("breast"):
        f.area(smooth([away(at, tilt + a, d) for a, d in ((-4, h * 0.92), (-45, g * 1.15), (-90, g * 0.95), (-135,
            h * 0.5), (-60, g * 0.35), (-15, h * 0.5))]), f.kind("breast"))
    _wing(f, at, tilt, h, g)
    _bird_head(f, away(at, tilt, h * 0.78), tilt)
    if f.has("water"):
        f.line([(-0.65, low - g * 0.6), (-0.3, low - g * 0.66), (0.1, low - g * 0.6), (0.6, low - g * 0.66)], 0.04,
            "blue")


def _wing(f: Figure, at: Point, tilt: float, h: float, g: float) -> None:
    k = f.size("wing", 1.0)
    if f.has("flipper"):
        root = away(at, tilt, h * 0.55)
        f.limb([root, away(root, 240, h * 0.5), away(root, 235, h * 1.0)], g * 0.45, g * 0.2, "shade")
        return
    root = away(at, tilt, h * 0.4)
    f.area(smooth([away(root, tilt + 60, g * 0.45), away(root, tilt + 175, h * 0.7 * k), away(root, tilt + 184,
        h * 1.35 * k), away(root, tilt + 208, h * 0.9 * k), away(root, tilt + 250, g * 0.75)]), "shade")
    for a in (188, 197):
        f.line([away(root, tilt + a, h * 0.5 * k), away(root, tilt + a, h * 1.1 * k)], 0.015, "black", detail=True)


def _bird_tail(f: Figure, at: Point, tilt: float, g: float) -> None:
    kind, back = f.kind("tail", "short"), tilt + 180
    if kind == "sickle":
        for a, long in ((-75, 0.5), (-55, 0.55), (-35, 0.45), (-15, 0.35)):
            end = away(at, back + a, f.size("sickle", long))
            f.limb([at, away(at, back + a - 14, long * 0.7), (end[0] - 0.1, end[1] - 0.06)], 0.13, 0.05,
                "black" if a % 10 else "main")
        return
    long, wide, lift = {"short": (0.2, 0.8, 0), "straight": (0.38, 0.55, 0), "fan": (0.34, 1.2, 5), "long": (0.75,
        0.5, 4), "puff": (0.2, 1.3, 10), "up": (0.26, 0.7, -32)}[kind]
    start, mid = away(at, back, -0.08), back + lift
    f.area([away(start, back + 90, g * 0.4), away(start, mid + 9 * wide, long + 0.08), away(start, mid, long + 0.1),
        away(start, mid - 9 * wide, long + 0.08), away(start, back - 90, g * 0.4)], "shade")


def _bird_head(f: Figure, base: Point, tilt: float) -> None:
    neck, r, hood = f.size("neck", 0.1), f.size("head", 0.13), f.kind("hood") or "main"
    up = f.between(65, 85)
    tip = away(base, up, neck + r * 0.8)
    if f.has("curve") and neck > 0.3:
        bow = f.between(0.6, 1.0)
        path = smooth([base, (base[0] + 0.16 * bow, base[1] + neck * 0.25), (tip[0] - 0.08 * bow,
            base[1] + neck * 0.6), (tip[0] - 0.06 * bow, tip[1] - 0.02), tip], closed=False)
        f.area(tube(path, 0.17, 0.09))
    elif neck > 0.05:
        f.limb([away(base, up, -0.06), away(base, up - 8, neck * 0.5), tip], 0.13 + r, r * 1.1, hood)
    if f.kind("crest") == "comb":
        for dx in (-0.08, -0.02, 0.05):
            f.oval(tip[0] + dx, tip[1] + r * 1.05, 0.045, 0.06, "red")
        f.oval(tip[0] + r * 0.75, tip[1] - r * 1.1, 0.035, 0.07, "red")
    _bill(f, tip, r)
    f.oval(tip[0], tip[1], r, r * 0.9, hood)
    f.oval(tip[0] + r * 0.35, tip[1] + r * 0.2, 0.02, 0.022,
        "black" if hood != "main" or f.kind("hue") != "black" else "white")


def _bill(f: Figure, tip: Point, r: float) -> None:
    x, y = tip[0] + r * 0.75, tip[1]
    shapes: dict[str, list[Point]] = {
        "short": [(x, y + 0.05), (x + 0.12, y - 0.01), (x, y - 0.05)],
        "thin": [(x, y + 0.04), (x + 0.22, y + 0.02), (x, y - 0.03)],
        "hook": [
            (x - 0.02, y + 0.08),
            (x + 0.09, y + 0.06),
            (x + 0.12, y - 0.08),
            (x + 0.05, y - 0.02),
            (x - 0.02, y - 0.06),
        ],
        "flat": [(x - 0.02, y + 0.05), (x + 0.09, y + 0.0), (x + 0.18, y + 0.0), (x + 0.18, y - 0.04), (x, y - 0.06)],
        "huge": [
            (x - 0.04, y + 0.1),
            (x + 0.2, y + 0.13),
            (x + 0.38, y + 0.03),
            (x + 0.41, y - 0.1),
            (x + 0.3, y - 0.05),
            (x - 0.04, y - 0.09),
        ],
        "bent": [
            (x - 0.02, y + 0.06),
            (x + 0.1, y + 0.04),
            (x + 0.14, y - 0.12),
            (x + 0.06, y - 0.06),
            (x - 0.02, y - 0.06),
        ],
    }
    f.area(shapes[f.kind("bill", "short")], "orange" if f.kind("hue") != "pink" else "black")


def _owl(f: Figure) -> None:
    wide, tall, r = f.size("wide", 0.3), f.size("tall", 0.42), f.size("eyes", 0.1)
    for dx in (-0.1, 0.1):
        for d in (-0.04, 0.0, 0.04):
            f.oval(dx + d, 0.0, 0.025, 0.05, "orange")
    f.area(smooth([(-wide * 0.5, 0.02), (wide * 0.5, 0.02), (wide, tall), (wide * 0.9, tall * 1.7), (0, tall * 1.95),
        (-wide * 0.9, tall * 1.7), (-wide, tall)]))
    f.area(mirrored([(0.01, 0.1), (wide * 0.55, tall * 0.6), (0.03, tall * 1.2)]), "cream", detail=True)
    for i in range(7):
        f.line(arc((i % 3 - 1) * 0.1, 0.25 + i * 0.045, 0.04, 0.03, 200, 340, 5), 0.015, "black", detail=True)
    top = tall * 1.62
    for side in (-1, 1):
        f.area(smooth([(side * wide * 0.95, tall * 1.25), (side * wide * 1.2, tall * 0.6), (side * wide * 0.75,
            tall * 0.12), (side * wide * 0.62, tall * 0.8)]), "shade")
        f.area([(side * wide * 0.95, top), (side * wide * 0.8, top + 0.24), (side * wide * 0.3, top + 0.12)])
        f.oval(side * wide * 0.42, top - 0.02, r * 1.25, r * 1.25, "cream")
        f.oval(side * wide * 0.42, top - 0.02, r * 0.8, r * 0.8, "yellow")
        f.oval(side * wide * 0.42, top - 0.02, r * 0.4, r * 0.4, "black")
    f.area([(-0.04, top - 0.06), (0.04, top - 0.06), (0, top - 0.18)], "orange")
