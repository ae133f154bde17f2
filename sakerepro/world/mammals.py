"""Plan of four-legged animals (see :mod:`world_classes` for the traits of each class)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, away, oval, smooth, tube


def quadruped(f: Figure) -> None:
    """A mammal from the side, facing right."""
    leg, body, girth = f.size("leg", 0.45), f.size("body", 0.9), f.size("girth", 0.36)
    thick = 0.11 * f.size("legs_wide", 1.0) * (0.5 + girth)
    middle = leg + girth / 2
    gait = f.between(-1, 1) * 0.16 * min(leg, 0.5)
    hips, shoulders = -body / 2 + girth * 0.3, body / 2 - girth * 0.32
    _tail(f, (-body / 2 + 0.02, middle + girth * 0.28))
    for x, swing in ((hips + 0.08, -gait), (shoulders - 0.08, gait)):
        _leg(f, x, middle, swing, thick, "shade")
    _body(f, body, girth, leg)
    for x, swing in ((hips, gait), (shoulders, -gait)):
        _leg(f, x, middle - girth * 0.1, swing, thick, "main")
    _head(f, (shoulders + girth * 0.08, middle + girth * 0.22 + f.size("slope", 0) / 2), girth)


def _leg(f: Figure, x: float, top: float, swing: float, thick: float, fill: str) -> None:
    f.limb([(x, top), (x + swing * 0.2, top * 0.5), (x + swing, 0.0)], thick * 1.35, thick * 0.75, fill)
    if f.kind("hue") != "white" or fill == "main":
        f.limb([(x + swing - 0.01, 0.0), (x + swing + 0.05, 0.0)], 0.05, 0.05, "black", detail=True)


def _body(f: Figure, body: float, girth: float, leg: float) -> None:
    h, g, low = body / 2, girth, leg
    tuck, slope, coat = f.size("tuck", 0.12) * g, f.size("slope", 0), f.kind("coat")
    back = g + f.size("hump", 0) * (0.5 if not f.has("humps") else 0)
    outline = [(-h, low + g * 0.6), (-h * 0.85, low + g * 0.15), (-h * 0.3, low + tuck), (h * 0.45, low), (h * 0.9,
        low + g * 0.22), (h, low + g * 0.65 + slope), (h * 0.7, low + back + slope), (0.0,
        low + g * 0.93 + slope * 0.4), (-h * 0.7, low + g)]
    if f.has("humps"):
        hump = f.size("hump", 0.3)
        f.area(smooth([(-h * 0.6, low + g * 0.8), (-h * 0.2, low + g + hump * 0.8), (0.05, low + g + hump),
            (h * 0.25, low + g + hump * 0.7), (h * 0.6, low + g * 0.8)]))
    if f.has("spines"):
        for angle in np.linspace(20, 185, 17):
            a = arc(0, low + g * 0.4, h, g * 0.5, angle, angle, 1)[0]
            b = away((float(a[0]), float(a[1])), angle + 25, f.between(0.16, 0.28))
            f.area([(a[0] - 0.035, a[1]), b, (a[0] + 0.035, a[1])], "second" if f.chance(0.5) else "main")
    if coat == "wool":
        angle = np.linspace(0, 2 * np.pi, 44, endpoint=False)
        bump = 1 + 0.07 * np.abs(np.sin(angle * 6.5)) + 0.02 * f.rng.standard_normal(44)
        f.area(np.stack([h * 1.04 * bump * np.cos(angle), low + g / 2 + g * 0.56 * bump * np.sin(angle)], axis=1))
    elif coat == "shaggy":
        curve = smooth(outline, steps=4)
        f.area(curve + 0.022 * f.rng.standard_normal(curve.shape) * (1, 1.4))
    else:
        f.area(smooth(outline))
    if f.has("udder"):
        f.oval(-h * 0.45, low + 0.02, 0.09, 0.07, "pink", detail=True)
    _coat(f, h, g, low + g / 2 + slope * 0.3)


def _coat(f: Figure, h: float, g: float, y: float) -> None:
    kind = f.kind("coat")
    if kind in ("stripes", "bands"):
        for x in np.linspace(-0.8, 0.8, 9 if kind == "bands" else 7) * h:
            tall = g * 0.46 * float(np.sqrt(1 - (x / h) ** 2)) * f.between(0.8, 1.0)
            low = -tall if kind == "bands" else f.between(-0.1, 0.3) * tall
            path = [(x, y + low), (x + f.between(-0.03, 0.03), y + (tall + low) / 2), (x + 0.02, y + tall)]
            f.area(tube(path, 0.02, 0.07), "black" if kind == "bands" else "shade", detail=kind == "stripes")
    elif kind in ("spots", "patches", "cells"):
        n, low, high = {"spots": (18, 0.02, 0.035), "patches": (4, 0.09, 0.17), "cells": (14, 0.045, 0.07)}[kind]
        fill = {"spots": "black", "patches": "second", "cells": "brown"}[kind]
        for i in range(n):
            angle, far = i * 2.4 + f.between(0, 0.6), 0.88 * float(np.sqrt((i + 0.5) / n)) * (0.75 if n == 4 else 1)
            r, turn = f.between(low, high), f.between(0, 90)
            n_points = 6 if kind == "cells" else 9
            f.area(oval(far * h * 0.9 * np.cos(angle), y + far * g * 0.42 * np.sin(angle), r * 1.2, r, turn,
                n_points), fill, detail=i % 2 == 0)


def _head(f: Figure, base: Point, girth: float) -> None:
    neck, rise, r = f.size("neck", 0.2), f.size("rise", 40, 0.6) + f.between(-12, 12), f.size("head", 0.2) * 0.5
    tip = away(base, rise, neck + r * 0.9)
    wide = min(girth * 0.62, 0.34)
    mane = f.kind("mane")
    if mane == "ruff":
        angle = np.linspace(0, 360, 24, endpoint=False)
        ruff = [away(tip, float(a), r * (2.0 + 0.25 * (i % 2))) for i, a in enumerate(angle)]
        f.area(ruff, "brown")
    if neck > 0.03:
        f.limb([base, away(base, rise, neck * 0.6), tip], wide, max(r * 1.25, wide * 0.4))
    if mane == "crest":
        start, end = away(base, rise + 90, wide * 0.45), away(tip, rise + 90, r * 0.7)
        f.limb([start, ((start[0] + end[0]) / 2 - 0.02, (start[1] + end[1]) / 2 + 0.02), end], 0.1, 0.08, "black")
    if f.kind("coat") == "cells":
        for s in np.linspace(0.2, 0.9, 5):
            x, y = away(base, rise, neck * float(s))
            f.oval(x + f.between(-0.02, 0.02), y, 0.04, 0.03, "brown", detail=True)
    if f.kind("coat") == "bands" and neck > 0.1:
        for s in np.linspace(0.25, 0.85, 3):
            p = away(base, rise, neck * float(s))
            f.limb([away(p, rise + 90, wide * 0.3), away(p, rise - 90, wide * 0.3)], 0.05, 0.03, "black")
    _face(f, tip, r)


def _face(f: Figure, tip: Point, r: float) -> None:
    x, y = tip
    _ear(f, (x - r * 0.35, y + r * 0.75), r, "shade")
    _horn(f, (x, y + r * 0.8), r)
    snout, fill = f.size("snout", 0.14), "second" if f.kind("coat") == "patches" and f.chance(0.4) else "main"
    drop = f.between(-30, -8) if snout > 0.12 else -10
    if snout > 0.03:
        end = away(tip, drop, r * 0.75 + snout)
        f.limb([away(tip, drop, r * 0.2), away(tip, drop, r * 0.5 + snout * 0.4), end], r * 1.35, r * 0.75, fill)
        f.oval(end[0] - 0.005, end[1] + (0 if f.has("disc") else r * 0.12), 0.028 if not f.has("disc") else 0.03,
            0.028 if not f.has("disc") else r * 0.45, "black" if not f.has("disc") else "pink")
    f.oval(x, y, r, r * 0.92, fill)
    if f.has("trunk"):
        long = f.size("trunk", 0.6)
        curl = f.between(-0.1, 0.35)
        path = smooth([(x + r * 0.6, y - r * 0.1), (x + r * 1.25, y - long * 0.4), (x + r * 1.2, y - long * 0.75),
            (x + r * 1.4 + curl * 0.7, y - long + curl)], closed=False)
        f.limb([(float(a), float(b)) for a, b in path], r * 0.85, r * 0.3)
        if f.has("tusk"):
            f.limb([(x + r * 0.6, y - r * 0.6), (x + r * 1.3, y - r * 1.1), (x + r * 1.9, y - r * 0.9)], 0.06, 0.01,
                "white")
    _ear(f, (x - r * 0.15, y + r * 0.7), r, "main")
    f.oval(x + r * 0.35, y + r * 0.2, 0.024, 0.028, "black")
    if f.has("whiskers"):
        for a in (-25, 0, 20):
            f.line([away(tip, a, r * 0.9), away(tip, a, r * 1.9)], 0.008, "white", detail=True)


def _ear(f: Figure, at: Point, r: float, fill: str) -> None:
    kind, k = f.kind("ear", "point"), f.size("ear_size", 1.0)
    if kind == "mixed":
        kind = "flop" if f.rng.integers(2) else "point"
    x, y = at
    if kind == "point":
        f.area([(x - r * 0.4, y - r * 0.2), (x + r * 0.02, y + r * 0.85 * k), (x + r * 0.4, y - r * 0.1)], fill)
    elif kind == "round":
        f.oval(x, y + r * 0.1, r * 0.38 * k, r * 0.38 * k, fill)
    elif kind == "long":
        f.oval(x - r * 0.3 * k, y + r * 0.9 * k, r * 0.26, r * 1.0 * k, fill, turn=18)
    elif kind == "flop":
        f.area(smooth([(x - r * 0.1, y), (x - r * 0.75 * k, y - r * 0.4), (x - r * 0.65 * k, y - r * 1.5 * k),
            (x - r * 0.1, y - r * 0.9 * k)]), "second" if f.kind("coat") == "patches" else "shade")
    elif kind == "fold":
        f.area([(x, y), (x - r * 0.9, y + r * 0.1), (x - r * 0.7, y - r * 0.35)], fill)
    elif kind == "side":
        f.oval(x - r * 0.65, y - r * 0.05, r * 0.55, r * 0.24, fill, turn=-15)
    elif kind == "fan" and fill == "main":
        f.area(smooth([(x + r * 0.1, y + r * 0.1), (x - r * 0.9 * k, y + r * 0.3), (x - r * 1.3 * k, y - r * 0.7),
            (x - r * 0.6 * k, y - r * 1.7 * k), (x, y - r * 0.9)]), "shade")


def _horn(f: Figure, at: Point, r: float) -> None:
    x, y = at
    kind = f.kind("horn")
    if kind == "straight":
        for dx in (-0.03, 0.05):
            f.limb([(x + dx, y), (x + dx - 0.02, y + r * 1.6), (x + dx - 0.1, y + r * 3.0)], 0.05, 0.012, "black")
    elif kind in ("out", "short"):
        k = 2.4 if kind == "out" else 1.2
        f.limb([(x, y - 0.02), (x + r * 0.45 * k, y + r * 0.2), (x + r * 0.6 * k, y + r * 0.75 * k)], 0.07, 0.015,
            "cream")
        f.limb([(x, y - 0.02), (x - r * 0.4 * k, y + r * 0.25), (x - r * 0.45 * k, y + r * 0.8 * k)], 0.07, 0.015,
            "cream")
    elif kind == "coil":
        angle = np.linspace(0.3, 2.1 * np.pi, 15)
        far = np.linspace(1.15, 0.35, 15) * r
        path = np.stack([x - r * 0.55 - far * np.sin(angle) * 0.9, y - r * 0.5 + far * np.cos(angle)], axis=1)
        f.area(tube(path, r * 0.7, r * 0.12), "tan")
    elif kind == "knob":
        for dx in (-0.03, 0.03):
            f.line([(x + dx, y), (x + dx, y + 0.1)], 0.025, "brown")
            f.oval(x + dx, y + 0.11, 0.025, 0.02, "brown", detail=True)


def _tail(f: Figure, at: Point) -> None:
    kind, k, (x, y) = f.kind("tail", "thin"), f.size("tail_size", 1.0), at
    if kind in ("thin", "tuft"):
        sway = f.between(-0.06, 0.1)
        f.limb([(x + 0.03, y), (x - 0.1, y - 0.08), (x - 0.12 - sway, y - 0.36)], 0.045, 0.025)
        if kind == "tuft":
            f.oval(x - 0.12 - sway, y - 0.4, 0.035, 0.07, "black")
    elif kind == "cat":
        lift = f.between(-0.2, 0.5)
        path = smooth([(x + 0.05, y), (x - 0.2, y + lift * 0.3), (x - 0.32, y + lift), (x - 0.22, y + lift + 0.14)],
            False)
        f.limb([(float(a), float(b)) for a, b in path], 0.08, 0.05)
    elif kind == "up":
        f.limb([(x + 0.05, y - 0.03), (x - 0.1, y + 0.1), (x - f.between(0.02, 0.16), y + 0.32)], 0.08, 0.03)
    elif kind == "bush":
        f.area(smooth([(x + 0.05, y + 0.03), (x - 0.15 * k, y + 0.0), (x - 0.38 * k, y - 0.12), (x - 0.52 * k,
            y - 0.3), (x - 0.25 * k, y - 0.27), (x, y - 0.08)]))
        f.area(smooth([(x - 0.38 * k, y - 0.14), (x - 0.52 * k, y - 0.3), (x - 0.32 * k, y - 0.26)]), "white",
            detail=True)
    elif kind == "plume":
        f.area(smooth([(x + 0.05, y - 0.15), (x - 0.25, y - 0.05), (x - 0.3, y + 0.35), (x - 0.15, y + 0.6),
            (x - 0.4, y + 0.65), (x - 0.6, y + 0.4), (x - 0.5, y - 0.1), (x - 0.2, y - 0.28)]), "main")
    elif kind == "hair":
        f.area(smooth([(x + 0.05, y + 0.02), (x - 0.1, y), (x - 0.22, y - 0.25), (x - 0.2, y - 0.55), (x - 0.08,
            y - 0.35), (x + 0.02, y - 0.08)]), "black")
    elif kind == "curl":
        f.line(arc(x - 0.05, y + 0.02, 0.06, 0.06, -60, 300, 12), 0.03, "main")
    elif kind in ("stub", "puff"):
        r = 0.05 if kind == "stub" else 0.1
        f.oval(x - 0.01, y - 0.05, r, r, "white" if kind == "puff" else "main")
