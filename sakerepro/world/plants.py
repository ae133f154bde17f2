"""Plans of plants and fruit (see :mod:`world_classes` for the traits of each class)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, arc, away, mirrored, oval, smooth, tube


def flower(f: Figure) -> None:
    """A flower with stem and leaves, seen from the front."""
    n, core, kind = f.count("petals", 8), f.size("core", 0.12), f.kind("petal", "round")
    sway = f.between(-0.15, 0.15)
    f.line(smooth([(0, 0), (sway, -0.4), (sway * 0.6, -0.95)], False), 0.045, "green")
    for i in range(int(f.look.get("leaves", 1))):
        side, y = (1, -1)[i % 2], -0.5 - 0.2 * i
        f.area(smooth([(sway, y), (side * 0.18 + sway, y + 0.14), (side * 0.42 + sway, y + 0.16),
            (side * 0.22 + sway, y - 0.02)]), "green")
    start, flat = f.between(0, 60), f.between(0.7, 1.0)
    long, wide = {"round": (0.3, 0.17), "thin": (0.34, 0.06), "point": (0.26, 0.075)}[kind]
    for i in range(n):
        a = start + 360 * i / n
        x, y = away((0, 0), a, core * 0.6 + long * 0.6)
        if kind == "point":
            tip, left, right = away((0, 0), a, core + long), away((0, 0), a + 13, core), away((0, 0), a - 13, core)
            f.area(np.array([left, tip, right]) * (1, flat))
        else:
            f.area(oval(x, y, long * 0.6, min(wide, 1.9 * core / 0.12 / n * 0.5), a, 12) * (1, flat))
    f.oval(0, 0, core, core * flat, "yellow" if f.kind("hue") != "yellow" else "brown")


def tree(f: Figure) -> None:
    """A tree: a trunk and a crown, or a palm."""
    if f.kind("crown") == "palm":
        lean = f.between(-0.3, 0.3)
        path = smooth([(0, 0), (lean * 0.35, 0.5), (lean, 1.0)], False)
        f.area(tube(path, 0.13, 0.07), "brown")
        for i in range(8):
            a = -35 + i * 36 + f.between(-8, 8)
            top, mid = (lean, 1.0), away((lean, 1.02), a, 0.3)
            f.area(smooth([top, (mid[0], mid[1] + 0.1), (mid[0] * 2 - lean, mid[1] * 2 - 1.28), (mid[0],
                mid[1] - 0.0)]))
        f.oval(lean, 0.96, 0.05, 0.06, "brown", detail=True)
        return
    tall = f.size("trunk", 0.5)
    f.area([(-0.11, 0), (-0.06, tall), (0.06, tall), (0.12, 0)], "brown")
    for side in (-1, 1):
        f.limb([(0, tall * 0.7), (side * 0.25, tall + 0.12)], 0.06, 0.03, "brown")
    if f.chance(0.25):  # now and then a conifer
        for i in range(3):
            f.area([(-0.42 + i * 0.09, tall * 0.6 + i * 0.27), (0, tall * 0.6 + 0.5 + i * 0.27), (0.42 - i * 0.09,
                tall * 0.6 + i * 0.27)])
        return
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    bumps = int(f.rng.integers(6, 11))
    r = 1 + 0.14 * np.abs(np.sin(angle * bumps / 2)) + 0.03 * f.rng.standard_normal(48)
    wide, high = f.size("wide", 0.42), f.size("high", 0.4)
    f.area(np.stack([wide * r * np.cos(angle), tall + 0.3 + high * r * np.sin(angle)], axis=1))
    for i in range(4):
        x, y = f.between(-0.2, 0.2), tall + 0.3 + f.between(-0.2, 0.2)
        f.line(arc(x, y, 0.1, 0.07, 200 + 20 * i, 330 + 20 * i, 6), 0.02, "shade", detail=True)


def fruit(f: Figure) -> None:
    """Fruit: apple, pear, banana, strawberry, pineapple."""
    kind = f.kind("shape")
    w, h = f.size("wide", 0.46), f.size("high", 0.46)
    if kind in ("apple", "pear"):
        right = (
            [
                (0.0, -h * 0.88),
                (w * 0.4, -h),
                (w * 0.92, -h * 0.4),
                (w, h * 0.3),
                (w * 0.6, h * 0.9),
                (w * 0.2, h * 0.88),
                (0, h * 0.72),
            ]
            if kind == "apple"
            else [
                (0.0, -h * 0.95),
                (w * 0.5, -h),
                (w * 0.98, -h * 0.45),
                (w * 0.8, h * 0.1),
                (w * 0.42, h * 0.75),
                (w * 0.3, h * 1.25),
                (0, h * 1.38),
            ]
        )
        top = right[-1][1]
        lean = f.between(-0.08, 0.12)
        f.line([(0, top - 0.03), (lean * 0.4, top + 0.1), (lean, top + 0.24)], 0.04, "brown")
        f.area(smooth(mirrored(right)))
        if f.has("leaf") and f.chance(0.7):
            f.area(smooth([(0.02, top + 0.08), (0.14, top + 0.22), (0.34, top + 0.2), (0.18, top + 0.07)]), "green")
        f.area(smooth([(-w * 0.6, h * 0.1), (-w * 0.5, h * 0.4), (-w * 0.35, h * 0.3), (-w * 0.5, 0)]), "white",
            detail=True)
    elif kind == "banana":
        for turn in (0, -14) if f.chance(0.4) else (0,):
            r = f.size("bow", 0.75)
            path = arc(0, 0.6 + turn * 0.01, r, r * 0.8, 205 + turn, 325 + turn, 12)
            outline = tube(path, 0.1, 0.07)
            outline[2:10] -= (0, 0.06)
            outline[-10:-2] += (0, 0.07)
            f.area(outline)
            f.line(path[1:-1], 0.014, "shade", detail=True)
            f.limb([tuple(path[-1]), (float(path[-1][0]) + 0.05, float(path[-1][1]) + 0.12)], 0.06, 0.05, "brown")
    elif kind == "strawberry":
        f.area(smooth(mirrored([(0.0, -h * 1.2), (w * 0.5, -h * 0.65), (w * 0.95, h * 0.2), (w * 0.7, h * 0.75),
            (0.01, h * 0.8)])))
        for i in range(14):
            y = -0.8 + 1.4 * (i // 4) / 3.2
            f.oval((i % 4 - 1.5) * 0.17 * (0.75 + y * 0.4) + 0.03 * (i // 4 % 2), y * h, 0.014, 0.025, "yellow",
                detail=i % 3 == 0)
        for i in range(6):
            tip = away((0, h * 0.78), 180 + 36 * i, 0.36)
            f.area([(-0.09 + 0.03 * i, h * 0.86), (tip[0], tip[1] * 0.8 + h * 0.12), (-0.03 + 0.03 * i, h * 0.74)],
                "green")
        f.line([(0, h * 0.8), (0.04, h * 1.15)], 0.04, "green")
    else:
        for i in range(7):
            a = 90 + (i - 3) * 22
            tip = away((0, h * 0.95), a, 0.6 - 0.05 * abs(i - 3))
            f.area([(-0.07 + (3 - i) * 0.02, h * 0.9), tip, (0.07 + (3 - i) * 0.02, h * 0.9)], "green")
        f.oval(0, 0, w * 0.82, h * 1.15)
        for s in np.linspace(-0.8, 0.8, 5):
            x = float(w * 0.7 * np.sqrt(1 - s**2))
            for k in (-1, 1):
                f.line([(-x, h * (s - 0.25 * k)), (x, h * (s + 0.25 * k))], 0.018, "shade", detail=abs(s) > 0.5)
