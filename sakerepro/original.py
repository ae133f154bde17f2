"""The original domain: its classes, its photos, and which classes of a task lie outside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import paths, wordnet
from .data import OriginalDomain, load_original, world
from .errors import DataError
from .experiment import Experiment
from .semantics import imagenet_wnids, require_classes

PHOTOS_PER_CLASS = 100  # of the original domain's training photos: ImageNet has 1,300, which is 190 GB of pixels
FOLDERS = ("ImageNet", "imagenet", "ILSVRC2012")


def original_wnids(e: Experiment) -> tuple[str, ...]:
    """The WordNet ids of the classes that an experiment's teacher knows."""
    if not e.teacher_epochs:
        return imagenet_wnids()
    name = e.teacher_data or e.dataset
    return world.original_wnids() if name == "mini" else load_original(name, size=e.size).wnids


def outside_original(names: Sequence[str], wnids: Sequence[str], dataset: str | None = None) -> tuple[str, ...]:
    """The classes that the original domain does not know, in the order given.

    Outside is a class that is none of the original synsets, contains none, and is contained in none: a teacher that
    knows the sorrel has seen horses.

    Raises:
        DataError: if a class cannot be resolved.
    """
    rows = [r.wnid for r in require_classes(names, dataset)]
    related = wordnet.contains(wordnet.graph_with([*rows, *wnids]), rows, wnids) != 0
    return tuple(name for name, r in zip(names, np.any(related, axis=1), strict=True) if not r)


def original_photos(e: Experiment, folder: str = "") -> OriginalDomain:
    """Labelled photos of the original domain, on which forgetting is measured.

    Args:
        e: the experiment; mini has a world with an original domain of its own, small takes ``tiny-imagenet-40``.
        folder: another one, with ``train/<wnid>/*`` and ``val/<wnid>/*``; at most 100 training photos a class are used.

    Raises:
        DataError: if there is none, with what to get and where to put it.
    """
    if folder:
        return load_original(folder, size=e.size, per_class=PHOTOS_PER_CLASS)
    if e.teacher_epochs:
        return load_original(e.teacher_data or e.dataset, size=e.size)
    if e.preset == "small":
        return load_original("tiny-imagenet-40", size=e.size)
    if found := paths.find_data(*FOLDERS):
        return load_original(found, size=e.size, per_class=PHOTOS_PER_CLASS)
    raise DataError(
        "Forgetting is measured on ImageNet photos, and there are none. Put the folders train/<wnid>/*.JPEG and "
        f"val/<wnid>/*.JPEG at {paths.shown(paths.data() / FOLDERS[0])} (a part of the training photos is enough: "
        f"{PHOTOS_PER_CLASS} a class are used), or name a folder: -p original=<folder>."
    )
