"""Plans of vessels, clothes and instruments (see :mod:`world_classes` for the traits of each class)."""

from __future__ import annotations

import numpy as np

from .figure import Figure, Point, arc, mirrored, oval, smooth

_PROFILES: dict[str, list[Point]] = {  # right half of a container, from its foot to its rim, height 1
    "bottle": [(0.17, 0), (0.18, 0.06), (0.18, 0.55), (0.14, 0.66), (0.07, 0.76), (0.06, 0.94), (0.075, 0.96),
               (0.07, 1.0)],
    "mug": [(0.36, 0), (0.4, 0.05), (0.4, 0.5), (0.4, 0.98), (0.38, 1.0)],
    "cup": [(0.2, 0), (0.24, 0.08), (0.46, 0.4), (0.6, 0.85), (0.64, 1.0)],
    "pot": [(0.28, 0), (0.4, 0.1), (0.56, 0.4), (0.48, 0.75), (0.26, 0.95), (0.24, 1.0)],
    "goblet": [(0.22, 0), (0.2, 0.04), (0.04, 0.1), (0.035, 0.4), (0.12, 0.48), (0.26, 0.66), (0.28, 0.88),
               (0.25, 1.0)],
    "bucket": [(0.38, 0), (0.4, 0.02), (0.56, 0.96), (0.58, 1.0)],
}


def vessel(f: Figure) -> None:
    """A container turned on a wheel: a profile, with handle, spout, lid."""
    kind, h = f.kind("profile"), f.size("height", 0.8)
    profile = np.asarray(_PROFILES[kind]) * (f.size("width", 1.0) * (h if h < 0.8 else 0.9), h)
    middle = float(np.interp(h * 0.55, profile[:, 1], profile[:, 0]))
    rim = float(profile[-1, 0])
    if f.has("saucer"):
        f.oval(0, 0.01, rim * 1.35, 0.06, "second" if f.chance(0.3) else "shade")
    if f.has("handle"):
        side = -1 if f.has("spout") else 1
        loop = arc(side * middle * 0.95, h * 0.55, h * 0.34, h * 0.3, 90 * (2 - side) - 180 - 10,
            90 * (2 - side) + 10, 12)
        f.line(loop, 0.07, "main")
    if f.has("spout"):
        f.area(smooth([(middle * 0.8, h * 0.2), (middle * 1.35, h * 0.5), (middle * 1.75, h * 0.98), (middle * 1.5,
            h * 0.95), (middle * 1.15, h * 0.66), (middle * 0.8, h * 0.55)], steps=3), "shade")
    if f.has("bail"):
        f.line(arc(0, h, rim, h * f.between(0.4, 0.75), 0, 180, 12), 0.03, "black")
    f.area(mirrored(smooth(profile, False) if kind not in ("bucket", "mug") else profile))
    _finish(f, kind, h, rim, middle)


def _finish(f: Figure, kind: str, h: float, rim: float, middle: float) -> None:
    if f.has("lid"):
        f.area(np.concatenate([arc(0, h, rim * 1.15, h * 0.2, 0, 180, 9)]), "shade")
        f.oval(0, h * 1.24, 0.05, 0.045, "main")
    elif kind != "bottle":
        f.oval(0, h, rim, 0.05 * (1.4 if kind == "bucket" else 1), "shade" if kind != "goblet" else "main")
    else:
        f.box(-0.07, h * 0.97, 0.07, h * 1.05, "second" if f.has("label") else "shade")
    if f.has("label"):
        f.box(-middle * 0.98, h * 0.14, middle * 0.98, h * 0.46, "cream")
        f.line([(-middle * 0.6, h * 0.3), (middle * 0.6, h * 0.3)], 0.05, "red", detail=True)
    if f.has("steam") and f.chance(0.6):
        for x in (-0.08, 0.1):
            f.line(smooth([(x, h + 0.1), (x + 0.05, h + 0.18), (x - 0.03, h + 0.26), (x + 0.03, h + 0.36)], False),
                0.025, "white", True)
    if kind in ("mug", "cup", "pot") and f.chance(0.5):
        f.area(oval(0, h * 0.5, middle * 0.35, h * 0.16, 0, 7), "second", detail=True)


def shirt(f: Figure) -> None:
    """A T-shirt, laid flat."""
    w, h, s = f.size("wide", 0.34), f.size("high", 0.8), f.size("sleeve", 0.35)
    f.area(mirrored([(w, 0), (w, h * 0.62), (w + s * 0.6, h * 0.62 - s * 0.3), (w + s, h * 0.66), (w * 0.85,
        h * 0.96), (0.14, h), (0.07, h * 0.92)]))
    f.line(arc(0, h, 0.13, 0.1, 180, 360, 7), 0.03, "shade")
    for side in (-1, 1):
        f.line([(side * w, h * 0.62), (side * w * 0.98, h * 0.78)], 0.015, "shade", detail=True)
    if f.chance(0.6):
        if f.chance(0.5):
            f.oval(0, h * 0.55, 0.13, 0.13, "second", detail=True)
        else:
            for y in (0.2, 0.36, 0.52):
                f.box(-w, h * y, w, h * (y + 0.07), "second", detail=True)


def dress(f: Figure) -> None:
    """A long gown."""
    w, h, hem = f.size("wide", 0.17), f.size("high", 1.1), f.size("hem", 0.45)
    bust = h * 0.78
    f.area(mirrored(np.concatenate([[(hem, 0)], smooth([(hem * 0.8, h * 0.1), (w * 1.1, h * 0.42), (w * 0.75,
        h * 0.58)], False), [(w, bust), (w * 0.75, h), (w * 0.55, h), (0.01, bust * 1.04)]])))
    f.line([(-w * 0.75, h * 0.58), (w * 0.75, h * 0.58)], 0.035, "second")
    for x in (-0.5, 0.0, 0.5):
        f.line([(x * w, h * 0.5), (x * hem * 1.4, h * 0.04)], 0.016, "shade", detail=x == 0)


def shoe(f: Figure) -> None:
    """A shoe from the side, toe to the right."""
    sole, heel, h = f.size("sole", 0.07), f.size("heel", 0.0), f.size("high", 0.36)
    f.area(np.concatenate([[(-0.02, heel)], smooth([(0.0, heel + h), (0.1, heel + h * 1.02), (0.3, heel + h * 0.94),
        (0.5, sole + h * 0.62), (0.8, sole + h * 0.48), (1.0, sole + 0.06), (1.0, sole * 0.5)], False)]))
    f.area([(-0.03, heel + sole), (0.3, heel * 0.7 + sole), (0.45, sole), (1.02, sole), (1.0, 0), (0.42, 0), (0.28,
        heel * 0.6), (-0.03, heel)], "white" if f.has("laces") else "black")
    if f.has("heel"):
        f.area([(-0.03, 0), (0.2, 0), (0.24, heel + 0.02), (-0.03, heel + 0.02)], "black")
    f.oval(0.15, heel + h * 0.98, 0.14, 0.04, "black")
    if f.has("laces"):
        for i in range(4):
            x, y = 0.34 + 0.085 * i, heel + h * (0.9 - 0.14 * i)
            f.line([(x - 0.02, y - 0.1), (x + 0.07, y + 0.02)], 0.025, "white")
        for i in range(int(f.look.get("stripes", 0))):
            f.line([(0.3 + 0.09 * i, sole + 0.04), (0.22 + 0.09 * i, sole + h * 0.5)], 0.03, "second", detail=i == 1)
    else:
        f.line(smooth([(0.5, sole + h * 0.62), (0.58, sole + h * 0.3), (0.52, sole)], False), 0.016, "shade",
            detail=True)


def hat(f: Figure) -> None:
    """A hat from the side."""
    w, h, brim = f.size("wide", 0.32), f.size("high", 0.36), f.size("brim_width", 0.62)
    if f.kind("brim") == "curl":
        f.area(smooth([(-brim, 0.16), (-brim * 0.6, -0.02), (0, -0.07), (brim * 0.6, -0.02), (brim, 0.16),
            (brim * 0.5, 0.08), (0, 0.06), (-brim * 0.5, 0.08)]))
        f.area(smooth([(-w, 0.04), (-w * 0.85, h), (-w * 0.5, h * 1.18), (0, h * 0.95), (w * 0.5, h * 1.18),
            (w * 0.85, h), (w, 0.04), (0, 0)], steps=3))
    else:
        f.oval(0, 0, brim, f.size("flat", 0.09))
        tall = h * (1.3 if f.chance(0.3) else 0.9)
        f.area(smooth([(-w, 0.02), (-w * 0.9, tall * 0.75), (0, tall), (w * 0.9, tall * 0.75), (w, 0.02), (0,
            -0.03)], steps=3))
    f.limb([(-w * 0.97, 0.07), (0, 0.03), (w * 0.97, 0.07)], 0.07, 0.07, "black" if f.chance(0.6) else "second")


def lute(f: Figure) -> None:
    """A stringed instrument with a neck: violin, guitar, banjo."""
    neck, w = f.size("neck", 0.6), f.size("wide", 0.3 if f.has("big") else 0.24)
    head = 0.42 + neck
    if f.kind("body") == "round":
        f.oval(0, 0.1, w * 1.2, w * 1.2, "brown")
        f.oval(0, 0.1, w * 1.03, w * 1.03, "cream")
    else:
        f.area(smooth(mirrored([(0.02, -0.32), (w * 0.8, -0.28), (w, -0.08), (w * 0.62, 0.12), (w * 0.78, 0.3),
            (w * 0.4, 0.43), (0.02, 0.42)])))
    f.limb([(0, 0.2), (0, head)], 0.075, 0.055, "brown" if f.kind("body") == "round" else "black")
    if f.has("scroll"):
        f.oval(0, head + 0.05, 0.06, 0.065, "brown")
    else:
        f.area([(-0.04, head - 0.02), (-0.07, head + 0.16), (0.07, head + 0.16), (0.04, head - 0.02)], "brown")
    for y in (0.02, 0.09):
        f.line([(-0.1, head + y), (0.1, head + y)], 0.022, "black", detail=True)
    if f.has("hole"):
        f.oval(0, 0.1, 0.08, 0.08, "black")
        f.limb([(-0.1, -0.16), (0.1, -0.16)], 0.04, 0.04, "black")
    elif f.kind("body") == "waist":
        for side in (-1, 1):
            f.line(smooth([(side * 0.08, 0.12), (side * 0.12, 0.03), (side * 0.09, -0.06), (side * 0.14, -0.14)],
                False), 0.02, "black")
    else:
        f.limb([(-0.1, -0.06), (0.1, -0.06)], 0.03, 0.03, "black")
    for x in (-0.012, 0.012):
        f.line([(x, -0.16), (x, head)], 0.008, "white", detail=True)
    if f.has("bow") and f.chance(0.7):
        f.line([(-0.45, -0.2), (0.5, f.between(0.2, 0.5))], 0.025, "brown")


def horn(f: Figure) -> None:
    """A cornet or trumpet from the side."""
    long, bell = f.size("long", 0.9), f.size("bell", 0.2)
    f.area(smooth([(long * 0.45, 0.03), (long * 0.8, 0.06), (long, bell), (long, -bell), (long * 0.8, -0.06),
        (long * 0.45, -0.03)], steps=3))
    loop = smooth([(long * 0.7, 0.0), (long * 0.78, -0.12), (long * 0.66, -0.22), (0.12, -0.22), (0.04, -0.12),
        (0.12, 0.0)], False)
    f.line(loop, 0.05, "main")
    f.limb([(-0.16, 0.0), (long * 0.5, 0.0)], 0.045, 0.055)
    f.area([(-0.22, 0.045), (-0.14, 0.02), (-0.14, -0.02), (-0.22, -0.045)], "shade")
    for i in range(3):
        x = 0.28 + 0.1 * i
        f.box(x, -0.28, x + 0.07, 0.06, "shade")
        f.limb([(x + 0.035, 0.06), (x + 0.035, 0.14)], 0.025, 0.05, "metal")
