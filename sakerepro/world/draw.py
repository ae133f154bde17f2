"""One image of the generated world, as a function of (seed, class, domain, index, size) alone."""

from __future__ import annotations

import numpy as np

from ..data.dataset import PHOTO, SKETCH
from ..errors import ConfigError
from . import render
from .plans import figure_of, number_of, recipe

PHOTOS, SKETCHES = 2, 3  # versions: raise one with every change of its pictures, so that caches are made again
HELD_OUT = 5000  # the index of the first validation image, so that more training images change no validation image
_DOMAINS = {"photo": PHOTO, "sketch": SKETCH}


def draw(class_name: str, domain: int | str, size: int = 48, seed: int = 0, index: int = 0) -> np.ndarray:
    """One image: (size, size, 3) uint8 for a photo, (size, size, 1) for a sketch.

    Args:
        class_name: one of the world's classes; any other name gets a recipe of its own (:func:`plans.recipe`).
        domain: ``PHOTO`` or ``SKETCH``, or ``"photo"`` or ``"sketch"``.
        size: side in pixels, 8 to 512.
        seed, index: not negative; any change of either gives another image.

    Raises:
        ConfigError: for a size, seed, index or domain that cannot be.
    """
    code = _DOMAINS.get(domain, -1) if isinstance(domain, str) else domain
    if code not in (PHOTO, SKETCH):
        raise ConfigError(f"domain = {domain!r} is neither photo (0) nor sketch (1).")
    check_size(size, seed)
    if index < 0:
        raise ConfigError(f"index = {index} of a generated image has to be at least 0.")
    rng = np.random.default_rng([seed, number_of(class_name), code, index])
    figure = figure_of(recipe(class_name), rng, spread=0.12 if code == PHOTO else 0.2)
    return (render.photo if code == PHOTO else render.sketch)(figure, size, rng)


def check_size(size: int, seed: int) -> None:
    """Raise a ConfigError for a size or a seed that cannot be."""
    if not isinstance(size, int) or not 8 <= size <= 512:
        raise ConfigError(f"size = {size!r} of generated images has to be a whole number from 8 to 512.")
    if not isinstance(seed, int) or seed < 0:
        raise ConfigError(f"seed = {seed!r} of the generated world has to be a whole number, at least 0.")
