"""Data sets, from files or from the generated world, to augmented batches (:mod:`.augmentation`, which needs torch)."""

from __future__ import annotations

from .batches import epoch_batches
from .dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from .images import read_image
from .registry import load_dataset, load_original
from .splits import fewer, photo_queries, pseudo_unseen, random_split

__all__ = [
    "PHOTO",
    "SKETCH",
    "Dataset",
    "ImageSet",
    "OriginalDomain",
    "epoch_batches",
    "fewer",
    "load_dataset",
    "load_original",
    "photo_queries",
    "pseudo_unseen",
    "random_split",
    "read_image",
]
