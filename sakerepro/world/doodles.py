"""Doodles of the generated world: its figures by another hand, in the format of Quick, Draw!."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from .classes import of_role
from .plans import figure_of, number_of, recipe

PER_CLASS = 15


def lines() -> Iterator[tuple[str, bytes]]:
    """Name and line of each drawing: few straight strokes, nothing hidden, half of the details; the same every time."""
    number = 0
    for known in (*of_role("seen"), *of_role("unseen")):
        for index in range(PER_CLASS):
            number += 1
            drawing = [[x, y] for x, y in (stroke.T.tolist() for stroke in _strokes(known.name, index))]
            line = json.dumps({"word": known.name, "key_id": str(number), "recognized": True, "drawing": drawing})
            yield f"mini.ndjson:{number}", line.encode()


def _strokes(name: str, index: int) -> list[np.ndarray]:
    """(n, 2) whole numbers from 0 to 255 each, y down, as in Google's simplified files."""
    rng = np.random.default_rng([number_of(name), 2, index])  # 0 and 1 are photos and sketches
    parts = [p for p in figure_of(recipe(name), rng, spread=0.3).parts if not p.detail or rng.random() < 0.5]
    flip = (-1.0 if rng.random() < 0.5 else 1.0, -1.0)
    strokes = []
    for part in parts:
        points = part.points[:: max(1, len(part.points) // 9)] * flip
        strokes.append(points if part.width else np.concatenate([points, points[:1]]))
    every = np.concatenate(strokes)
    low, unit = every.min(axis=0), float(np.ptp(every, axis=0).max()) / 255
    shaken = [(s - low) / unit + 4 * rng.standard_normal(s.shape) for s in strokes]
    return [np.clip(s, 0, 255).round().astype(int) for s in shaken]
