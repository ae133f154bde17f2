"""Data sets, from files or from the generated world, to augmented batches."""

from __future__ import annotations

from .augmentation import augment, augment_on_device, draw_transforms, fill_value
from .batches import epoch_batches
from .dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from .images import read_image
from .registry import load_dataset, load_original
from .splits import photo_queries, pseudo_unseen, random_split

__all__ = [
    "PHOTO", "SKETCH", "Dataset", "ImageSet", "OriginalDomain",
    "augment", "augment_on_device", "draw_transforms", "epoch_batches", "fill_value",
    "load_dataset", "load_original", "photo_queries", "pseudo_unseen", "random_split", "read_image",
]  # fmt: skip
