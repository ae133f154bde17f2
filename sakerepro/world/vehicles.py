"""Plans of vehicles, aircraft and vessels, from the side and facing right (see :mod:`world_classes` for the traits)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, away, oval, smooth


def car(f: Figure) -> None:
    """Anything on four wheels: cars, buses, trucks."""
    wheel, h, rake = f.size("wheel", 0.14), f.size("height", 0.24), f.size("rake", 0.1)
    base, top = wheel * 0.7, wheel * 0.7 + h
    nose = f.between(0.0, 0.06)
    body: list[Point] = [(0, base), (1, base), (1, base + h * 0.6), (1 - nose, top), (0.01, top)]
    x0, x1 = f.look.get("cabin", (0.2, 0.8))
    roof = top + f.size("cabin_height", 0.2)
    if f.has("hood"):  # a bus: tall body with a hood before it
        hood = f.size("hood", 0.14)
        f.area([(1 - hood * 1.1, base), (1, base), (1, base + h * 0.5), (1 - hood * 1.1, base + h * 0.55)])
        f.area([(0, base), (1 - hood, base), (1 - hood, top), (0.03, top + 0.01)])
        n = f.count("windows", 6)
        for x in np.linspace(0.06, 1 - hood - 0.13, n):
            f.box(float(x), base + h * 0.55, float(x) + 0.62 * (0.9 - hood) / n, base + h * 0.85, "glass")
        f.line([(0, base + h * 0.35), (1 - hood, base + h * 0.35)], 0.03, "black")
    else:
        f.area(smooth(body, steps=2) if rake > 0.08 else body)
        cabin = [(x0 - rake * 0.3, top - 0.01), (x0 + rake * 0.8, roof), (x1 - rake, roof), (x1 + rake * 0.5,
            top - 0.01)]
        f.area(cabin)
        split, low = (x0 + x1) / 2, top + (roof - top) * 0.12
        high = roof - (roof - top) * 0.15
        if x1 - x0 > 0.35:
            f.area([(x0 + rake * 0.4, low), (x0 + rake, high), (split - 0.02, high), (split - 0.02, low)], "glass")
        f.area([(split + 0.02, low), (split + 0.02, high), (x1 - rake * 1.1, high), (x1 - 0.01, low)], "glass")
        f.line([(split, low), (split, base + 0.04)], 0.012, "shade", detail=True)
    _load(f, base, top, x0)
    f.oval(0.97, base + h * 0.5, 0.025, 0.035, "yellow", detail=True)
    for x in np.linspace(0.2, 0.8, 2) if not f.look.get("wheels") else (0.16, 0.36, 0.83):
        f.wheel(float(x) + f.between(-0.02, 0.02), wheel * 0.75, wheel * 0.78)


def _load(f: Figure, base: float, top: float, x0: float) -> None:
    if f.has("box"):
        f.box(-0.02, base + 0.06, x0 - 0.05, base + f.size("box", 0.5), "second")
    if f.has("bed"):
        f.box(0.03, top - 0.1, x0 - 0.06, top - 0.03, "shade")
    if f.has("spoiler"):
        f.area([(0.02, top), (-0.03, top + 0.1), (0.12, top + 0.1), (0.1, top)], "shade")


def tractor(f: Figure) -> None:
    """A farm tractor: one large wheel, one small, a cab and a chimney."""
    big, small = f.size("big", 0.32), f.size("small", 0.17)
    f.line([(0.62, 0.5), (0.62, 0.82)], 0.04, "black")
    f.box(0.25, small * 1.2, 0.95, 0.52)
    f.area([(0.0, 0.4), (0.06, 0.95), (0.4, 0.95), (0.42, 0.45)], "glass")
    f.line([(0.0, 0.4), (0.06, 0.95), (0.4, 0.95), (0.42, 0.45)], 0.05, "main")
    f.area([(-0.02, 0.93), (-0.02, 1.0), (0.46, 1.0), (0.46, 0.93)])
    for y in (0.3, 0.37, 0.44):
        f.line([(0.84, y), (0.94, y)], 0.015, "black", detail=True)
    f.wheel(0.15, big, big, 0.5)
    f.wheel(0.82, small, small, 0.5)


def bicycle(f: Figure) -> None:
    """A bicycle, or a moped."""
    r, tyre = f.size("wheel", 0.3), 0.022 * f.size("tyre", 1.0)
    left, right = (0.0, r), (f.size("base", 0.86), r)
    pedal, seat, head = (0.34, r * 0.95), (0.24, r + 0.4), (right[0] - 0.16, r + 0.38)
    for x, y in (left, right):
        if f.has("scooter"):
            f.wheel(x, y, r, 0.5)
            continue
        circle = oval(x, y, r, r, 0, 22)
        f.line(np.concatenate([circle, circle[:1]]), tyre, "black")
        for a in (10, 70, 130):
            f.line([away((x, y), a, r), away((x, y), a + 180, r)], 0.008, "metal", detail=True)
    if f.has("scooter"):
        f.area(smooth([(-0.12, r + 0.12), (0.02, r + 0.34), (0.36, r + 0.3), (0.42, r * 0.7), (0.2, r * 0.5)]))
        f.limb([(0.35, r * 0.6), (0.62, r * 0.55)], 0.1, 0.1)
        f.area([(0.55, r * 0.4), (0.62, r + 0.4), (0.74, r + 0.42), (0.72, r * 0.4)])
        f.limb([(0.0, r + 0.36), (0.32, r + 0.36)], 0.09, 0.07, "black")
    else:
        for path in ((left, seat, head), (left, pedal, head), (pedal, seat), (head, right)):
            f.line(list(path), 0.035, "main")
        f.oval(*pedal, 0.055, 0.055, "black")
        f.limb([(seat[0] - 0.1, seat[1] + 0.08), (seat[0] + 0.1, seat[1] + 0.07)], 0.06, 0.03, "black")
        f.line([seat, (seat[0], seat[1] + 0.07)], 0.03, "main")
    up = (head[0] - 0.04, head[1] + 0.14)
    f.line([(right[0], r), head, up], 0.035, "metal")
    if f.kind("bar") == "drop":
        f.line(np.concatenate([[up], arc(up[0] + 0.08, up[1] - 0.07, 0.08, 0.08, 90, -80, 7)]), 0.028, "black")
    else:
        f.line([(up[0] - 0.1, up[1] + 0.04), up, (up[0] + 0.07, up[1] + 0.02)], 0.032, "black")


def plane(f: Figure) -> None:
    """An airliner from the side, a little from above."""
    g, sweep = f.size("girth", 0.14), f.size("sweep", 0.3)
    f.area([(0.5, 0.0), (0.5 - sweep, f.size("far", 0.3)), (0.4 - sweep, 0.3), (0.34, 0.0)], "shade")
    f.area([(0.02, g * 0.3), (-0.1, 0.36), (0.02, 0.36), (0.18, g * 0.45)], "second" if f.chance(0.5) else "main")
    f.area(smooth([(1.02, -0.02), (0.9, g * 0.42), (0.6, g * 0.5), (0.15, g * 0.48), (-0.08, g * 0.42), (-0.06,
        g * 0.2), (0.2, -g * 0.45), (0.8, -g * 0.5), (0.97, -g * 0.35)]))
    f.area([(0.03, g * 0.22), (-0.18, 0.08), (-0.1, 0.06), (0.16, g * 0.12)], "shade")
    for x in np.linspace(0.16, 0.82, f.count("windows", 9)):
        f.oval(float(x), g * 0.16, 0.016, 0.02, "black", detail=True)
    f.area([(0.9, g * 0.36), (0.97, g * 0.14), (0.88, g * 0.16)], "black")
    f.area([(0.58, -g * 0.1), (0.32 - sweep * 0.6, -f.size("near", 0.4)), (0.22 - sweep * 0.6, -0.4), (0.34,
        -g * 0.1)], "metal")
    f.oval(0.42, -0.19, 0.09, 0.04, "shade")


def helicopter(f: Figure) -> None:
    """A helicopter: cabin, boom, two rotors, skids."""
    cabin, boom = f.size("cabin", 0.26), f.size("boom", 0.62)
    f.limb([(0, 0.06), (-0.2 - boom * 0.5, 0.1), (-0.2 - boom, 0.16)], 0.17, 0.05)
    f.area([(-0.14 - boom, 0.12), (-0.28 - boom, 0.36), (-0.18 - boom, 0.36), (-0.06 - boom, 0.14)])
    r = f.size("tail", 0.13)
    for a in (20 + f.between(0, 50), 110 + f.between(0, 50)):
        f.line([away((-0.2 - boom, 0.22), a, r), away((-0.2 - boom, 0.22), a + 180, r)], 0.022, "black")
    for x in (-0.1, 0.16):
        f.line([(x, -0.1), (x, -0.3)], 0.025, "black")
    f.line(smooth([(-0.3, -0.3), (0.3, -0.3), (0.38, -0.25)], False), 0.035, "black")
    f.area(smooth([(-0.3, 0.0), (-0.22, cabin * 0.8), (0.1, cabin), (0.32, cabin * 0.45), (0.38, -0.06), (0.2,
        -0.18), (-0.2, -0.16)]))
    f.area(smooth([(0.08, cabin * 0.8), (0.27, cabin * 0.35), (0.32, -0.02), (0.06, 0.0)]), "glass")
    f.box(-0.16, 0.0, 0.0, cabin * 0.62, "glass", detail=True)
    f.line([(-0.02, cabin * 0.9), (-0.02, cabin + 0.14)], 0.05, "black")
    droop = f.between(-0.05, 0.05)
    f.line([(-0.75, cabin + 0.14 + droop), (-0.02, cabin + 0.15), (0.72, cabin + 0.14 - droop)], 0.03, "black")


def train(f: Figure) -> None:
    """A steam locomotive."""
    boiler = f.size("boiler", 0.26)
    f.area([(0.0, 0.2), (0.0, 0.72), (0.3, 0.72), (0.3, 0.2)])
    f.area([(-0.05, 0.72), (-0.03, 0.79), (0.34, 0.79), (0.36, 0.72)], "shade")
    f.box(0.06, 0.48, 0.22, 0.66, "glass")
    f.area([(0.84, 0.46), (0.8, 0.78), (0.96, 0.78), (0.91, 0.46)], "shade")
    f.oval(0.56, 0.24 + boiler, 0.07, 0.1, "shade")
    f.box(0.28, 0.24, 1.0, 0.24 + boiler)
    f.oval(1.0, 0.24 + boiler / 2, 0.05, boiler / 2, "shade")
    for x in (0.44, 0.72):
        f.line([(x, 0.24), (x, 0.24 + boiler)], 0.018, "gold", detail=True)
    f.area([(0.98, 0.2), (1.16, 0.02), (0.98, 0.02)], "shade")
    f.box(-0.04, 0.16, 1.04, 0.24, "shade")
    for x, r in ((0.14, 0.15), (0.45, 0.15), (0.72, 0.1), (0.92, 0.1)):
        f.wheel(x, r, r, 0.5)
    f.line([(0.14, 0.13), (0.72, 0.11)], 0.03, "metal")
    if f.chance(0.7):
        for i in range(3):
            f.oval(0.82 - 0.16 * i, 0.88 + 0.1 * i, 0.09 + 0.03 * i, 0.07 + 0.02 * i, "white", detail=i == 2)


def tank(f: Figure) -> None:
    """An army tank: tracks, hull, turret, gun."""
    lift = f.between(0.0, 0.1)
    gun = (0.62, 0.52)
    f.limb([gun, (1.1 * f.size("gun", 1.0), 0.54 + lift)], 0.055, 0.045)
    f.area([(0.05, 0.34), (0.92, 0.34), (0.84, 0.44), (0.14, 0.44)])
    f.area([(0.22, 0.43), (0.3, 0.62), (0.58, 0.62), (0.7, 0.43)])
    f.limb([(0.38, 0.62), (0.5, 0.62)], 0.1, 0.1, "shade")
    f.area(smooth([(0.02, 0.3), (0.1, 0.05), (0.25, 0.0), (0.78, 0.0), (0.92, 0.05), (1.0, 0.28), (0.9, 0.36), (0.1,
        0.36)]), "black")
    for x in np.linspace(0.16, 0.84, f.count("wheels", 5)):
        f.oval(float(x), 0.14, 0.08, 0.09, "main")


def boat(f: Figure) -> None:
    """A boat: a hull, and masts with sails or a paddle."""
    depth, sheer, masts = f.size("depth", 0.2), f.size("sheer", 0.06), int(f.look.get("masts", 1))
    if masts:
        _sails(f, masts)
    hull: list[Point] = [(-0.52, sheer), (0.0, 0.0), (0.6, sheer * 1.4), (0.42, -depth), (-0.42, -depth)]
    if not masts:
        f.area(smooth([(-0.6, 0.02), (0.0, -0.08), (0.6, 0.02), (0, 0.01)]), "shade")
        hull = [(-0.7, sheer), (-0.45, 0.03), (0.0, 0.0), (0.45, 0.03), (0.7, sheer), (0.5, -depth * 0.9), (0,
            -depth), (-0.5, -depth * 0.9)]
        f.area(smooth(hull))
        for x in (-0.25, 0.2):
            f.line([(x, 0.01), (x, -0.05)], 0.03, "cream", detail=True)
        f.line([(-0.1, 0.38), (0.28, -depth * 1.3)], 0.025, "brown")
        f.oval(0.31, -depth * 1.5, 0.05, 0.12, "brown", turn=38)
    else:
        f.area(hull)
        f.line([(-0.5, sheer - 0.04), (0.0, -0.04), (0.57, sheer * 1.4 - 0.04)], 0.025, "second", detail=True)
    f.line([(-0.75, -depth), (-0.4, -depth - 0.03), (0.1, -depth), (0.45, -depth - 0.03), (0.8, -depth)], 0.04, "blue")


def _sails(f: Figure, masts: int) -> None:
    tall, belly = f.size("mast", 1.0), f.between(0.02, 0.1)
    fill = "white" if f.chance(0.6) else "main"
    x = 0.08
    f.line([(x, 0.0), (x, tall)], 0.03, "brown")
    f.area(smooth([(x - 0.02, 0.1), (x - 0.02, tall * 0.97)], False).tolist() + smooth([(x - 0.02, tall * 0.97),
        (x - 0.26 - belly, tall * 0.5), (x - 0.46, 0.1)], False).tolist(), fill)
    f.area([(x + 0.04, tall * 0.86), (x + 0.22 + belly, tall * 0.4), (x + 0.45, 0.12), (x + 0.04, 0.16)], "cream")
    if masts > 1:
        f.line([(-0.42, 0.0), (-0.42, tall * 0.62)], 0.025, "brown")
        f.area([(-0.44, 0.1), (-0.44, tall * 0.6), (-0.72, 0.12)], fill)
    if f.chance(0.5):
        f.area([(x, tall), (x - 0.16, tall + 0.04), (x, tall + 0.09)], "red", detail=True)


def submarine(f: Figure) -> None:
    """A submarine under water: a long hull, tower, periscope, screw."""
    g = f.size("girth", 0.17)
    f.line([(0.1, 0.3), (0.1, 0.5), (0.17, 0.5)], 0.035, "shade")
    f.area([(-0.08, 0.05), (-0.04, g + 0.2), (0.2, g + 0.2), (0.24, 0.05)], "shade")
    f.area([(-0.52, 0.02), (-0.78, g + 0.06), (-0.8, -g - 0.02), (-0.6, -0.05)], "shade")
    f.oval(-0.82, 0, 0.03, g * 0.9, "metal", detail=True)
    f.area(smooth([(0.78, 0), (0.68, g * 0.75), (0.4, g), (-0.3, g), (-0.7, g * 0.3), (-0.7, -g * 0.3), (-0.3, -g),
        (0.4, -g), (0.68, -g * 0.75)]))
    for x in (-0.15, 0.1, 0.35):
        f.oval(x, g * 0.2, 0.045, 0.045, "glass")
    f.line([(-0.5, -g * 0.45), (0.6, -g * 0.45)], 0.015, "black", detail=True)
