"""The original domain: its classes, its photos, and which classes of a task lie outside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from . import wordnet
from .data import places
from .data.dataset import OriginalDomain
from .data.known import datasets, records
from .data.registry import load_original
from .errors import DataError
from .experiment import Experiment
from .semantics import imagenet_wnids, require_classes

PHOTOS_PER_CLASS = 100  # of the training photos in a folder that the user names


def original_wnids(e: Experiment) -> tuple[str, ...]:
    """The WordNet ids of the classes that an experiment's teacher knows."""
    if e.teacher_head == "probe":
        return original_photos(e).wnids
    if not e.teacher_epochs:
        return imagenet_wnids()
    record = datasets().get(e.teacher_data or e.dataset)
    if record and record.original_wnids:
        return record.named("original_wnids")
    return load_original(e.teacher_data or e.dataset, size=e.size).wnids


def outside_original(names: Sequence[str], wnids: Sequence[str], dataset: str | None = None) -> tuple[str, ...]:
    """The classes that lie outside the original domain, in the order given.

    A class lies outside if it is no original synset, contains none and lies in none: a teacher that was trained on
    sorrels has seen horses.

    Raises:
        DataError: if a class cannot be resolved.
    """
    rows = [r.wnid for r in require_classes(names, dataset)]
    inside = np.any(wordnet.contains(wordnet.graph_with([*rows, *wnids]), rows, wnids) != 0, axis=1)
    return tuple(name for name, is_inside in zip(names, inside, strict=True) if not is_inside)


def original_photos(e: Experiment, folder: str = "") -> OriginalDomain:
    """Labelled photos of the original domain, on which forgetting is measured and a teacher's head fitted.

    Args:
        e: the experiment. A teacher that is trained here has an original domain of its own; for a fitted head,
            ``teacher_data`` names the folder. Otherwise the record of the data set lists original domains, such as
            ``"imagenet"``, and the first that is here is used.
        folder: a folder to use instead, with ``train/<wnid>/*`` and ``val/<wnid>/*``; at most 100 training photos a
            class are used.

    Raises:
        DataError: if there are no photos, with what to get and where to put it.
    """
    if folder := folder or (e.teacher_data if e.teacher_head == "probe" else ""):
        return load_original(folder, size=e.size, per_class=PHOTOS_PER_CLASS)
    if e.teacher_epochs:
        return load_original(e.teacher_data or e.dataset, size=e.size)
    originals, record = records("originals"), datasets().get(e.dataset)
    names = (record and record.original) or tuple(originals)
    available = [name for name in names if name in originals and places.find_data(*originals[name].folders)]
    if e.teacher_head == "probe" and not available:
        raise DataError(
            f"--teacher-head probe needs labelled photos of the original domain, and {' or '.join(names)} is not here: "
            "name a folder with train/<wnid>/* and val/<wnid>/* as --teacher-data."
        )
    return load_original((available or names)[0], size=e.size)
