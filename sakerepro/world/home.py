"""Plans of furniture and tools (see :mod:`world_classes` for the traits of each class)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, away, mirrored, oval, smooth


def chair(f: Figure) -> None:
    """A chair in three-quarter view; with rockers or arms, or one that folds."""
    seat, back, d = f.size("seat", 0.42), f.size("back", 0.55), f.between(0.1, 0.2)
    w = 0.42
    if f.has("crossed"):
        for a, b in (((0.02, 0.0), (w, seat)), ((w + 0.08, 0.0), (0.0, seat + back))):
            f.limb([a, b], 0.05, 0.05)
            f.limb([(a[0] + d, a[1] + d * 0.5), (b[0] + d, b[1] + d * 0.5)], 0.05, 0.05, "shade")
        f.area([(0.02, seat), (w, seat), (w + d, seat + d * 0.5), (0.04 + d, seat + d * 0.5)], "second")
        f.area([(0.0, seat + back * 0.55), (d, seat + back * 0.6 + 0.06), (d, seat + back + 0.06), (0, seat + back)])
        return
    for x, y, fill in ((d, d * 0.5, "shade"), (w + d, d * 0.5, "shade"), (0, 0, "main"), (w, 0, "main")):
        f.limb([(x, seat + y), (x + (x - 0.3) * 0.06, y)], 0.055, 0.04, fill)
    tilt = -f.between(0.02, 0.12)
    for x, y in ((d, d * 0.5), (0.0, 0.0)):
        f.limb([(x, seat + y), (x + tilt, seat + y + back)], 0.05, 0.05)
    n = f.count("slats", 3)
    for i in range(n):
        s = 0.35 + 0.6 * i / max(n - 1, 1)
        x, y = tilt * s, seat + back * s
        f.area([(x, y - 0.035), (x + d, y + d * 0.5 - 0.035), (x + d, y + d * 0.5 + 0.04), (x, y + 0.04)], "main")
    f.area([(-0.03, seat), (w + 0.03, seat), (w + d + 0.03, seat + d * 0.5), (d, seat + d * 0.5)])
    f.area([(-0.03, seat), (w + 0.03, seat), (w + 0.03, seat - 0.05), (-0.03, seat - 0.05)], "shade")
    if f.has("arms"):
        f.limb([(tilt * 0.4, seat + 0.24), (w, seat + 0.23)], 0.05, 0.05)
        f.limb([(w - 0.03, seat), (w - 0.03, seat + 0.23)], 0.045, 0.045)
    if f.has("rockers"):
        for dx, dy in ((d, d * 0.5), (0, 0)):
            f.line(arc(w / 2 + dx, 0.5 + dy, 0.55, 0.55, 228, 315, 9), 0.05, "shade" if dx else "main")


def table(f: Figure) -> None:
    """A table in slight perspective."""
    w, h, d = f.size("width", 0.95), f.size("height", 0.5), f.between(0.1, 0.22)
    for x, y in ((d + 0.06, d * 0.6), (w + d * 0.5 - 0.08, d * 0.6)):
        f.limb([(x, h + y - 0.05), (x, y)], 0.06, 0.045, "shade")
    for x in (0.05, w - 0.05):
        f.limb([(x, h), (x + f.between(-0.02, 0.02), 0.0)], 0.075, 0.05)
    top: list[Point] = [(-0.03, h), (w + 0.03, h), (w - 0.06 + d * 0.5, h + d), (0.1 + d * 0.5, h + d)]
    if f.has("cloth"):
        drop = f.size("drop", 0.2)
        hem = [(w + 0.03 - i * (w + 0.06) / 8, h - drop + (0.04 if i % 2 else 0.0)) for i in range(9)]
        f.area([(-0.03, h), (w + 0.03, h), *hem], "second")
    else:
        f.box(-0.03, h - 0.07, w + 0.03, h, "shade")
    f.area(top, "second" if f.has("cloth") else "main")
    if f.has("dishes"):
        for x in (0.28, 0.72):
            f.oval(x * w + 0.05, h + d * 0.45, 0.1, 0.035, "white")
        f.area([(0.5 * w, h + d * 0.5), (0.47 * w, h + d * 0.5 + 0.18), (0.57 * w, h + d * 0.5 + 0.18), (0.54 * w,
            h + d * 0.5)], "glass")


def bed(f: Figure) -> None:
    """A bed from the side, with or without posts and canopy."""
    w, h, d = f.size("width", 0.95), f.size("height", 0.26), f.between(0.14, 0.26)
    posts = f.has("posts")
    if posts:
        for x in (d, w + d):
            f.limb([(x, d * 0.6), (x, 1.0 + d * 0.6)], 0.045, 0.045, "brown")
    head = f.size("head", 0.34)
    f.area([(0, 0.06), (0, h + head), (d, h + head + d * 0.6), (d, 0.06 + d * 0.6)], "brown")
    f.area([(0, h), (w, h), (w + d, h + d * 0.6), (d, h + d * 0.6)], "white")
    f.area([(w * 0.32, h), (w, h), (w + d, h + d * 0.6), (w * 0.32 + d, h + d * 0.6)])
    f.area([(w * 0.32, h), (w, h), (w, 0.1), (w * 0.32, 0.1)], "shade")
    f.area([(0, h), (w * 0.32, h), (w * 0.32, 0.1), (0, 0.1)], "cream")
    f.area(smooth([(0.05, h + 0.02), (0.22, h + 0.02), (0.2 + d, h + d * 0.6), (0.06 + d * 0.8, h + d * 0.62)]),
        "cream")
    f.area([(w, 0.04), (w, h + 0.12), (w + d, h + 0.12 + d * 0.6), (w + d, 0.04 + d * 0.6)], "brown")
    for x in (0.0, w):
        f.limb([(x, 0.0), (x, 1.0 if posts else 0.14)], 0.05, 0.05, "brown")
    if posts:
        f.area([(-0.04, 1.0), (w + 0.04, 1.0), (w + d, 1.0 + d * 0.6), (d, 1.0 + d * 0.6)])
        f.area([(-0.04, 1.0), (w + 0.04, 1.0), *[(w + 0.04 - i * (w + 0.08) / 8,
            0.86 + 0.04 * (i % 2)) for i in range(9)]], "shade")


def sofa(f: Figure) -> None:
    """A sofa from the front."""
    w, h, back = f.size("width", 1.1), f.size("height", 0.28), f.size("back", 0.34)
    for x in (0.06, w - 0.06):
        f.limb([(x, 0.0), (x, 0.1)], 0.07, 0.07, "black")
    n = 2 + int(f.rng.integers(2))
    f.area(smooth([(0.05, h), (0.06, h + back), (w * 0.5, h + back + 0.05), (w - 0.06, h + back), (w - 0.05, h)],
        False))
    for i in range(1, n):
        f.line([(w * i / n, h + 0.02), (w * i / n, h + back)], 0.02, "shade")
    f.box(0.06, 0.08, w - 0.06, h - 0.08, "shade")
    for i in range(n):
        x0, x1 = 0.08 + (w - 0.16) * i / n, 0.08 + (w - 0.16) * (i + 1) / n
        f.area(smooth([(x0 + 0.02, h - 0.08), (x1 - 0.02, h - 0.08), (x1 - 0.01, h + 0.03), (x0 + 0.01, h + 0.03)],
            steps=3))
    for x in (0.0, w):
        f.area(smooth([(x - 0.09, 0.07), (x + 0.09, 0.07), (x + 0.1, h + 0.16), (x, h + 0.22), (x - 0.1, h + 0.16)]))
    if f.chance(0.4):
        f.area(oval(w * 0.25, h + 0.14, 0.13, 0.13, 40, 4), "second")


def lamp(f: Figure) -> None:
    """A table lamp."""
    top, wide, tall = f.size("top", 0.16), f.size("shade", 0.34), f.size("shade_height", 0.36)
    foot = f.size("foot", 0.42)
    f.oval(0, 0.03, 0.2, 0.05, "shade")
    f.area(smooth(mirrored([(0.06, 0.04), (0.15, 0.16), (0.05, 0.3), (0.03, foot)])),
        "second" if f.chance(0.5) else "shade")
    f.area([(-wide, foot), (wide, foot), (top, foot + tall), (-top, foot + tall)])
    f.line([(wide * 0.6, foot), (wide * 0.6, foot - 0.16)], 0.015, "black", detail=True)


def tool(f: Figure) -> None:
    """A straight handle with a head on top."""
    kind, n, k = f.kind("head"), f.size("length", 0.9), f.size("size", 1.0)
    if kind in ("knife", "cleaver", "driver"):
        _blade(f, kind, n)
        return
    bend = f.between(-0.03, 0.03) if kind != "axe" else f.between(0.0, 0.08)
    f.limb([(0, 0), (bend, n * 0.5), (0, n)], 0.075, 0.06, "brown" if kind in ("axe", "hammer") else "main")
    if f.kind("grip") == "d":
        f.line([(0, 0.0), (-0.1, -0.06), (-0.1, -0.16), (0.1, -0.16), (0.1, -0.06), (0, 0.0)], 0.045, "black")
    if kind == "hammer":
        f.area(smooth([(0.0, n + 0.06), (-0.2, n + 0.08), (-0.34, n - 0.08), (-0.16, n - 0.02), (0, n - 0.07)],
            steps=3), "metal")
        f.area([(-0.05, n + 0.06), (0.14, n + 0.05), (0.14, n - 0.05), (-0.05, n - 0.07)], "metal")
        f.area([(0.14, n + 0.09), (0.24, n + 0.09), (0.24, n - 0.09), (0.14, n - 0.09)], "metal")
    elif kind == "axe":
        w = 0.34 * k
        f.area([(-0.08, n - 0.02), (-0.08, n - 0.14), (0.04, n - 0.14)], "metal")
        f.area(np.concatenate([[(-0.1, n - 0.03), (0.06, n - 0.02)], smooth([(w, n + 0.12 * k), (w * 1.12, n - 0.1),
            (w, n - 0.34 * k)], False), [(0.06, n - 0.17), (-0.1, n - 0.16)]]), "metal")
        f.line([(w * 0.86, n + 0.06 * k), (w * 0.94, n - 0.1), (w * 0.86, n - 0.27 * k)], 0.015, "white", detail=True)
    elif kind == "shovel":
        f.area(smooth([(-0.16, n + 0.02), (0.16, n + 0.02), (0.18, n + 0.2), (0.0, n + 0.4), (-0.18, n + 0.2)]),
            "metal")
        f.line([(0, n), (0, n + 0.16)], 0.03, "shade", detail=True)
    else:  # a broom
        w = f.size("wide", 0.22)
        f.area([(-0.07, n), (0.07, n), (w, n + 0.36), (w * 0.4, n + 0.39), (-w * 0.5, n + 0.38), (-w, n + 0.36)],
            "gold")
        for x in (-0.6, -0.2, 0.2, 0.6):
            f.line([(x * 0.1, n + 0.1), (x * w * 1.3, n + 0.36)], 0.012, "brown")
        f.line([(-0.09, n + 0.07), (0.09, n + 0.07)], 0.03, "red")


def _blade(f: Figure, kind: str, n: float) -> None:
    if kind == "driver":
        f.limb([(0, n * 0.4), (0, n)], 0.05, 0.045, "metal")
        f.area([(-0.045, n), (0.045, n), (0.06, n + 0.08), (0.03, n + 0.14), (-0.03, n + 0.14), (-0.06, n + 0.08)],
            "metal")
        f.area(smooth(mirrored([(0.06, -0.02), (0.1, 0.02), (0.085, n * 0.3), (0.1, n * 0.4), (0.05, n * 0.44)]),
            steps=3))
        for x in (-0.04, 0.03):
            f.line([(x, 0.03), (x, n * 0.34)], 0.015, "shade", detail=True)
        return
    wide, long = (0.3, 0.6) if kind == "cleaver" else (0.13, 0.75)
    wide, long = wide * f.size("wide", 1.0), long * f.size("long", 1.0)
    if kind == "cleaver":
        f.area([(-0.05, n), (wide, n - 0.02), (wide * 1.04, n + long), (-0.05, n + long * 1.03)], "metal")
        f.oval(0.02, n + long * 0.9, 0.03, 0.03, "black")
    else:
        f.area(np.concatenate([[(-0.05, n), (wide * 0.75, n)], smooth([(wide * 0.8, n + long * 0.6), (wide * 0.4,
            n + long * 0.9), (-0.05, n + long)], False)]), "metal")
    f.area(smooth([(-0.06, 0.0), (0.05, -0.02), (0.07, n * 0.3), (0.05, n), (-0.06, n), (-0.05, n * 0.4)], steps=3))
    for y in (0.25, 0.7):
        f.oval(0, n * y, 0.016, 0.016, "metal", detail=True)


def scissors(f: Figure) -> None:
    """A pair of scissors, more or less open."""
    opened, r, long = f.between(6, 26), f.size("ring", 0.14), f.size("blade", 0.62)
    for side, fill in ((-1, "metal"), (1, "metal")):
        a = 90 + side * opened
        tip, foot = away((0, 0), a, long), away((0, 0), a + 180, 0.26)
        base = away((0, 0), a + side * 90, 0.05)
        inner = away((0, 0), a - side * 90, 0.02)
        f.area([base, tip, inner], fill)
        f.limb([(0, 0), foot], 0.07, 0.06)
        ring = oval(*away(foot, a + 180 - side * 8, r * 0.95), r * 0.78, r * 1.1, a - 90, 16)
        f.line(np.concatenate([ring, ring[:1]]), 0.055, "main")
    f.oval(0, 0, 0.035, 0.035, "black")


def umbrella(f: Figure) -> None:
    """An open umbrella."""
    h, r = f.size("height", 0.8), f.size("reach", 0.62)
    f.line(np.concatenate([[(0, h), (0, 0.06)], arc(-0.08, 0.06, 0.08, 0.1, 0, -190, 8)]), 0.04, "brown")
    f.line([(0, h + 0.3), (0, h + 0.48)], 0.03, "black")
    n = 4
    hem = [arc(-r + r * (2 * i + 1) / n, h - 0.02, r / n, 0.08, 180, 0, 5) for i in range(n)]
    dome = arc(0, h, r, f.size("dome", 0.42), 0, 180, 15)
    f.area(np.concatenate([dome, *hem]))
    for x in (-0.5, 0.0, 0.5):
        f.line(smooth([(x * r, h + 0.03), (x * r * 0.8, h + 0.25), (0, h + 0.4)], False), 0.016,
            "shade" if f.chance(0.5) else "second")
