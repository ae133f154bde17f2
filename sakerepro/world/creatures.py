"""Plans of fish, reptiles, insects and spiders (see :mod:`world_classes` for the traits)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .figure import Figure, Point, arc, away, oval, smooth, tube


def fish(f: Figure) -> None:
    """A fish or a whale from the side, facing right."""
    g, arch = f.size("girth", 0.32) / 2, f.size("arch", 0.0) + f.between(-0.04, 0.04)
    nose = 0.5 + f.size("snout", 0.1) * 0.6

    def bent(points: list[Point]) -> np.ndarray:
        p = np.asarray(points, dtype=np.float64)
        return np.stack([p[:, 0], p[:, 1] - arch * p[:, 0] ** 2 * 2], axis=1)

    _fish_tail(f, bent, g)
    top = f.kind("dorsal", "triangle")
    if top == "triangle":
        f.area(bent([(-0.08, g * 0.8), (-0.1, g + 0.2), (0.16, g * 0.85)]), "shade")
    elif top == "hook":
        f.area(smooth(bent([(-0.1, g * 0.8), (-0.16, g + 0.16), (0.0, g + 0.1), (0.12, g * 0.85)])), "shade")
    elif top == "long":
        f.area(bent([(-0.25, g * 0.6), (-0.25, g + 0.12), (0.0, g + 0.18), (0.2, g * 0.7)]), "shade")
    if f.has("beak"):
        f.area(smooth(bent([(0.4, g * 0.35), (0.68, g * 0.1), (0.7, -g * 0.15), (0.4, -g * 0.4)])))
    front = g * (0.85 if f.has("blunt") else 0.45)
    f.area(smooth(bent([(nose, 0.0), (nose - 0.08, front), (0.1, g), (-0.25, g * 0.65), (-0.5, g * 0.22), (-0.5,
        -g * 0.22), (-0.25, -g * 0.7), (0.1, -g), (nose - 0.08, -front)])))
    f.area(smooth(bent([(nose - 0.03, -front * 0.4), (0.1, -g * 0.9), (-0.3, -g * 0.5), (0.1, -g * 0.45)])), "white",
        True)
    _fish_marks(f, bent, g, nose)


def _fish_tail(f: Figure, bent: Callable[[list[Point]], np.ndarray], g: float) -> None:
    s = f.size("fin", 0.24)
    shapes: dict[str, list[Point]] = {
        "lunate": [(-0.42, 0.02), (-0.62, s * 1.25), (-0.54, 0.0), (-0.62, -s * 0.85), (-0.42, -0.02)],
        "fan": [
            (-0.42, 0.03),
            (-0.7, s * 1.2),
            (-0.8, s * 0.5),
            (-0.64, 0),
            (-0.8, -s * 0.5),
            (-0.7, -s * 1.2),
            (-0.42, -0.03),
        ],
        "fluke": [
            (-0.42, 0.04),
            (-0.62, s * 0.9),
            (-0.74, s * 0.9),
            (-0.63, s * 0.2),
            (-0.8, -s * 0.1),
            (-0.66, -s * 0.3),
            (-0.42, -0.04),
        ],
    }
    f.area(bent(shapes[f.kind("tail", "fan")]), "shade")


def _fish_marks(f: Figure, bent: Callable[[list[Point]], np.ndarray], g: float, nose: float) -> None:
    if f.has("scales"):
        for x in (-0.25, -0.12, 0.01):
            for y in (-0.4, 0.1, 0.6):
                f.line(bent([(x + 0.05, (y + 0.2) * g), (x, y * g), (x + 0.05, (y - 0.2) * g)]), 0.012, "shade",
                    detail=True)
        f.line(bent([(0.2, g * 0.75), (0.26, 0.0), (0.2, -g * 0.75)]), 0.02, "shade")
    if f.has("gills"):
        for x in (0.2, 0.25, 0.3):
            f.line(bent([(x, g * 0.4), (x - 0.03, -g * 0.3)]), 0.014, "black", detail=True)
    long = 0.22 if not f.has("scales") else 0.12
    f.area(smooth(bent([(0.16, -g * 0.35), (-0.02, -g - long * 0.7), (-0.08, -g - long * 0.75), (0.02, -g * 0.5)])),
        "shade")
    mouth = bent([(nose - 0.02, -g * 0.25), (nose - 0.12, -g * 0.42), (nose - 0.2, -g * 0.3)])
    f.line(mouth, 0.016, "black")
    if f.has("teeth"):
        for x in (0.1, 0.14):
            f.area(mouth[:1] + np.array([[-x, 0.0], [-x - 0.04, 0.0], [-x - 0.02, -0.04]]), "white", detail=True)
    eye = bent([(nose - 0.14, g * 0.2)])[0]
    f.oval(float(eye[0]), float(eye[1]), 0.022, 0.022, "black")
    if f.has("spout") and f.chance(0.75):
        for side in (-1, 1):
            f.line([(0.3, g), (0.3 + side * 0.03, g + 0.16), (0.3 + side * 0.12, g + 0.2), (0.3 + side * 0.16,
                g + 0.12)], 0.025, "glass")


def turtle(f: Figure) -> None:
    """A turtle or tortoise from the side."""
    dome, flippers = f.size("dome", 0.45), f.kind("feet") == "flipper"
    for x in (-0.3, 0.28):
        if flippers:
            f.area(smooth([(x, 0.16), (x + 0.12, 0.12), (x - 0.05, -0.16), (x - 0.28, -0.2), (x - 0.14, 0.0)]),
                "second")
        else:
            f.limb([(x, 0.15), (x + f.between(-0.06, 0.06), -0.08)], 0.17, 0.14, "shade")
    f.area([(-0.45, 0.14), (-0.62, 0.06), (-0.45, 0.06)], "shade")
    up = f.between(0.0, 0.16)
    f.limb([(0.4, 0.12), (0.52, 0.14 + up * 0.6), (0.64, 0.2 + up)], 0.14, 0.12, "shade")
    f.oval(0.68, 0.22 + up, 0.11, 0.085, "shade")
    f.oval(0.72, 0.25 + up, 0.02, 0.022, "black")
    f.area(np.concatenate([arc(0, 0.1, 0.52, dome, 0, 180, 14), [(-0.5, 0.05), (0.5, 0.05)]]))
    f.line([(-0.52, 0.1), (0.52, 0.1)], 0.03, "shade")
    for x, y, r in ((0, 0.62, 0.14), (-0.27, 0.45, 0.11), (0.27, 0.45, 0.11), (-0.12, 0.3, 0.09), (0.13, 0.3, 0.09)):
        f.area(oval(x, 0.1 + (y - 0.1) * dome / 0.5 * 0.75, r, r * 0.8, 0, 6), "gold", detail=True)


def lizard(f: Figure) -> None:
    """A lizard or crocodile from the side, facing right."""
    g, leg, snout, tail = f.size("girth", 0.2), f.size("leg", 0.18), f.size("snout", 0.2), f.size("tail", 0.75)
    y, wave = leg + g / 2, f.between(-0.1, 0.2)
    for x in (-0.28, 0.3):
        f.limb([(x, y), (x + 0.1, y * 0.5), (x + 0.04, 0.0), (x + 0.14, 0.0)], 0.1, 0.04, "shade")
    if f.has("ridge") or f.has("spikes"):
        for x in np.linspace(-0.9, 0.4, 14):
            top = y + g * (0.42 if x > -0.4 else 0.42 + 0.5 * (x + 0.4))
            f.area([(x - 0.05, top - 0.04), (x - 0.02, top + (0.13 if f.has("spikes") else 0.06)), (x + 0.05,
                top - 0.03)], "shade")
    path = smooth([(0.48, y + 0.03), (0.2, y), (-0.3, y), (-0.4 - tail * 0.4, y - g * 0.4 + wave * 0.3),
        (-0.4 - tail, y - g * 0.5 + wave)], False)
    outline = tube(path, g * 0.8, 0.02)
    f.area(outline)
    f.oval(0, y, 0.42, g * 0.55)
    head = (0.52, y + 0.06)
    f.limb([(0.42, y + 0.02), head, (head[0] + 0.1 + snout, head[1] - 0.03)], g * 0.85, 0.08)
    f.line([(head[0] + 0.1 + snout, head[1] - 0.04), (head[0] + 0.02, head[1] - 0.05)], 0.016, "black")
    if f.has("teeth"):
        for x in np.linspace(0.1, 0.08 + snout, 5):
            f.area([(head[0] + x, head[1] - 0.04), (head[0] + x + 0.04, head[1] - 0.04), (head[0] + x + 0.02,
                head[1] - 0.08)], "white", True)
    f.oval(head[0] + 0.0, head[1] + g * 0.36, 0.035, 0.035, "main")
    f.oval(head[0] + 0.01, head[1] + g * 0.38, 0.018, 0.02, "black")
    for x in (-0.2, 0.34):
        f.limb([(x, y - g * 0.1), (x - 0.1, y * 0.5), (x - 0.02, 0.0), (x + 0.1, 0.0)], 0.12, 0.05)


def snake(f: Figure) -> None:
    """A snake that winds."""
    n, high = 3 + int(f.rng.integers(0, 2)), f.size("wave", 0.16)
    x = np.linspace(-0.8, 0.6, 40)
    y = high * np.sin((x + 0.8) / 1.4 * np.pi * n) * np.linspace(0.5, 1.1, 40)
    lift = np.clip((x - 0.35) * f.between(0.3, 1.0), 0, 1)
    path = np.stack([x, y + lift], axis=1)
    half, width = 20, f.size("thick", 0.12)
    f.area(tube(path[:half], 0.01, width))
    f.area(tube(path[half - 1 :], width, width * 0.75))
    for i in range(6, 36, 3):
        f.oval(float(path[i, 0]), float(path[i, 1]), 0.025, 0.04, "yellow", detail=True)
    hx, hy = map(float, path[-1])
    f.line([(hx + 0.05, hy), (hx + 0.2, hy - 0.01), (hx + 0.26, hy + 0.03)], 0.014, "red")
    f.oval(hx + 0.05, hy, 0.11, 0.075)
    f.oval(hx + 0.08, hy + 0.03, 0.018, 0.02, "black")


def butterfly(f: Figure) -> None:
    """A butterfly or dragonfly from above, wings spread."""
    k, narrow = f.size("wing", 1.0), f.has("narrow")
    close = f.between(0.7, 1.05)
    for side in (-1, 1):
        if narrow:
            for y, turn in ((0.16, 8), (0.04, -12)):
                a = f.size("sweep", turn + 0.01)
                tip = away((0.0, y), a, 0.72)
                f.area(smooth([(0.03 * side, y), (side * tip[0] * 0.6, tip[1] + 0.07), (side * tip[0],
                    tip[1] + 0.03), (side * tip[0], tip[1] - 0.04), (side * tip[0] * 0.5, tip[1] - 0.07)]), "glass")
                f.line([(0.03 * side, y), (side * tip[0] * 0.9, tip[1])], 0.01, "black", detail=True)
            continue
        rim, w = f.kind("rim", "second"), k * close * side
        lower = [(0.02 * side, 0.02), (w * 0.38, 0.04), (w * 0.5, -0.18), (w * 0.36, -0.44 * k), (w * 0.16, -0.36 * k)]
        upper = [(0.02 * side, 0.08), (w * 0.3, 0.4 * k), (w * 0.66, 0.52 * k), (w * 0.68, 0.26 * k), (w * 0.42, 0.04)]
        for shape in (lower, upper):
            outline = smooth(shape)
            middle = outline.mean(axis=0)
            f.area(outline, rim if rim != "second" else "shade")
            f.area(middle + (outline - middle) * 0.78 - (0.02 * side, 0), "main", detail=True)
            if f.has("veins"):
                for i in (1, 2, 3):
                    f.line([shape[0], shape[i]], 0.014, "black", detail=True)
            if f.has("spots"):
                f.oval(float(middle[0]) + 0.08 * side, float(middle[1]), 0.06, 0.06, "second")
    long = f.size("abdomen", 0.34)
    f.limb([(0, 0.18), (0, 0.0), (f.between(-0.04, 0.04), -long)], 0.1, 0.05, "main" if narrow else "black")
    f.oval(0, 0.23, 0.075, 0.065, "black")
    if not narrow:
        for side in (-1, 1):
            f.line(smooth([(0, 0.26), (side * 0.08, 0.4), (side * 0.2, 0.48)], False), 0.014, "black")


def bug(f: Figure) -> None:
    """An insect: a ladybug from above, a bee or an ant from the side."""
    if f.has("shell"):
        _beetle(f)
        return
    g, n = f.size("girth", 0.32), 3
    centres = [(-0.34, 0.22), (0.06, 0.24), (0.36, 0.27)]
    radii = [(0.27, g * 0.62), (0.17, g * (0.62 if f.has("wings") else 0.36)), (0.13, g * 0.42)]
    for i in range(n):
        for dx, fill in ((-0.03, "shade"), (0.04, "black")):
            x = -0.02 + 0.07 * i + dx
            knee = (x + (i - 1) * 0.2 + f.between(-0.04, 0.04), 0.22)
            f.line([(x, 0.2), knee, (knee[0] + (i - 1) * 0.12 + 0.02, -0.06)], 0.028, fill)
    if f.has("wings"):
        for turn in (0, 24):
            root = (0.04, 0.34)
            f.area(smooth([root, away(root, 95 + turn, 0.35), away(root, 118 + turn, 0.55), away(root, 145 + turn,
                0.42)]), "glass")
    else:
        f.limb([(-0.2, 0.22), (0.25, 0.25)], 0.07, 0.07)
    for (x, y), (rx, ry) in zip(centres, radii, strict=True):
        f.oval(x, y, rx * f.size("seg", 1), ry, "main", turn=6)
    if f.has("bands"):
        for x in (-0.5, -0.38, -0.26):
            tall = radii[0][1] * float(np.sqrt(max(0.1, 1 - ((x + 0.34) / 0.27) ** 2)))
            f.limb([(x, 0.22 - tall), (x + 0.02, 0.22 + tall)], 0.055, 0.055, "black")
    f.oval(0.41, 0.31, 0.025, 0.03, "white")
    for dx in (0.1, 0.2):
        f.line([(0.4, 0.36), (0.42 + dx * 0.6, 0.5), (0.45 + dx, 0.44 + dx * 0.4)], 0.02, "black")


def _beetle(f: Figure) -> None:
    g = f.size("girth", 0.6)
    for side in (-1, 1):
        for y in (-0.2, 0.05, 0.28):
            f.line([(0, y), (side * g * 0.72, y + 0.04), (side * g * 0.9, y + f.between(-0.1, 0.1))], 0.04, "black")
        f.line([(0, 0.5), (side * 0.1, 0.66), (side * 0.2, 0.7)], 0.02, "black")
    f.oval(0, 0.44, 0.2, 0.16, "black")
    f.oval(0, 0, g * 0.7, 0.48)
    f.line([(0, 0.46), (0, -0.47)], 0.025, "black")
    for side in (-1, 1):
        for x, y in ((0.2, 0.22), (0.3, -0.08), (0.14, -0.26)):
            f.oval(side * x * g / 0.6, y, 0.065, 0.07, "black")


def spider(f: Figure) -> None:
    """Many legs around a body, from above: spiders and crabs."""
    body, n, thick = f.size("body", 0.25), int(f.look.get("legs", 4)), 0.028 * f.size("thick", 1.0)
    for side in (-1, 1):
        for i in range(n):
            a = 62 - 124 * i / (n - 1) + f.between(-6, 6)
            reach = f.between(0.42, 0.5)
            knee = away((0, 0), a * 0.9 + 12, reach)
            foot = away(knee, a - 42 if a < 20 else a + 22, reach * 0.72)
            f.line([(0, 0), (side * knee[0], knee[1]), (side * foot[0], foot[1])], thick, "shade")
        if f.has("claws"):
            f.line([(side * 0.2, 0.1), (side * 0.46, 0.28), (side * 0.34, 0.46)], 0.07, "shade")
            f.area(smooth([(side * 0.4, 0.4), (side * 0.5, 0.62), (side * 0.38, 0.8), (side * 0.36, 0.62),
                (side * 0.24, 0.72), (side * 0.26, 0.5)]))
    if f.has("shell"):
        f.area(smooth([(0, -body * 0.62), (body * 0.8, -body * 0.4), (body * 1.1, body * 0.2), (body * 0.5,
            body * 0.6), (-body * 0.5, body * 0.6), (-body * 1.1, body * 0.2), (-body * 0.8, -body * 0.4)]))
        for side in (-1, 1):
            f.line([(side * 0.08, body * 0.5), (side * 0.1, body * 0.85)], 0.03, "shade")
            f.oval(side * 0.1, body * 0.9, 0.035, 0.035, "black")
        return
    f.oval(0, -body * 0.85, body * 0.85, body * 1.0)
    f.oval(0, body * 0.3, body * 0.6, body * 0.55, "shade")
    for side in (-1, 1):
        f.oval(side * body * 0.2, body * 0.6, 0.02, 0.02, "white", detail=True)
        if f.has("hairy"):
            for y in np.linspace(-1.6, -0.2, 5):
                f.line([(side * body * 0.7, body * y), (side * body * 1.0, body * (y + 0.1))], 0.015, "black",
                    detail=True)
