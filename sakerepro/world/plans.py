"""The plan of each class, and the figure of any class name."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from . import birds, buildings, creatures, goods, home, mammals, plants, vehicles
from .classes import BY_NAME, CLASSES, WorldClass
from .figure import Figure

_MODULES = (mammals, birds, creatures, plants, vehicles, home, goods,
            buildings)
PLANS: dict[str, Callable[[Figure], None]] = {
    plan: next(getattr(m, plan) for m in _MODULES if hasattr(m, plan)) for plan in {c.plan for c in CLASSES}
}


def number_of(text: str) -> int:
    """A number of 64 bits that depends on the text alone (Python's ``hash`` differs between processes)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def recipe(name: str) -> WorldClass:
    """The class of that name; for any other name a class that shares a word with it, or a variant of some class.

    A name always gives the same recipe, so that drawings can fill a data set with other class names.
    """
    words = re.findall(r"[^\W\d_]+", name.lower())
    for candidate in (name, " ".join(words), *reversed(words)):
        if candidate in BY_NAME:
            return BY_NAME[candidate]
    number = number_of(name)
    like = CLASSES[number % len(CLASSES)]
    return WorldClass(name, like.wnid, like.role, like.plan, _varied(like.look, np.random.default_rng(number)))


def _varied(look: Mapping[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    factors = {trait: float(np.exp(0.3 * rng.standard_normal())) for trait in look}
    return {t: v * factors[t] if isinstance(v, float) else v for t, v in look.items()}


def figure_of(of: WorldClass, rng: np.random.Generator, spread: float) -> Figure:
    """One instance of a class, as parts; ``spread`` is the log-normal variation of its measures."""
    figure = Figure(of.look, rng, spread)
    PLANS[of.plan](figure)
    return figure
