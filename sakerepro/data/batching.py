"""Batches of augmented images, made on the CPU, or on an accelerator that holds the packed images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from .. import devices
from .augmentation import augment, augment_on_device, draw_transforms, fill_value
from .dataset import PHOTO, ImageSet

if TYPE_CHECKING:
    from ..networks.backbones import Backbone

RESIDENT = 0.6  # share of the device's free memory for the training images; the rest is for the networks


@dataclass
class Batch:
    """The images of one step, photos first."""

    images: Tensor  # (N, 3, S, S) normalised; (N, F) features for methods on frozen features
    labels: Tensor  # (N,) int64
    domain: Tensor  # (N,) float, 0 photo, 1 sketch
    photos: int  # number of photos among the N
    names: list[str] = field(repr=False)  # (N,) for error messages
    rows: Tensor | None = None  # (N,) int64 rows of the training photos, then of the training sketches

    def to(self, device: torch.device) -> Batch:
        """The same on another device."""
        images, labels, domain = (devices.send(t, device) for t in (self.images, self.labels, self.domain))
        rows = self.rows if self.rows is None else devices.send(self.rows, device)
        return Batch(images, labels, domain, self.photos, self.names, rows)


Sets = Sequence[tuple[ImageSet, np.ndarray]]  # image sets with the positions to take, photos first


def batch_maker(
    sets: Sequence[ImageSet], size: int, style: str, backbone: Backbone
) -> Callable[[Sequence[np.ndarray], np.random.Generator], Batch]:
    """Return a function (positions in each set, random generator) -> augmented batch.

    On an accelerator the images are copied there first, if they fit.

    Args:
        sets: photos first.
        size: side of the network's input.
        style: of the augmentation, one of ``STYLES``.
        backbone: has ``mean`` and ``std`` of its input.
    """
    if not devices.accelerated():
        return lambda index, rng: make_batch(list(zip(sets, index, strict=True)), size, style, backbone, rng)
    pixels = resident(sets)

    def make(index: Sequence[np.ndarray], rng: np.random.Generator) -> Batch:
        chosen = list(zip(sets, index, strict=True))
        images = []
        for number, (image_set, rows) in enumerate(chosen):
            if pixels:
                packed = pixels[number][devices.send(torch.from_numpy(rows))]
            else:
                packed = devices.send(torch.from_numpy(image_set.take(rows)))
            transforms = draw_transforms(len(rows), style, rng)
            fill = fill_value(style, image_set.domain)
            images.append(augment_on_device(packed, transforms, size, backbone.mean, backbone.std, fill=fill))
        return batch_of(torch.cat(images), chosen).to(devices.device())

    return make


def resident(sets: Sequence[ImageSet]) -> list[Tensor]:
    """(N, H, W, C) uint8 of each set on the device; an empty list if its free memory is too small."""
    if sum(len(s) * math.prod(s.pixels.shape[1:]) for s in sets) > RESIDENT * devices.free_memory():
        return []
    on_device = []
    for image_set in sets:
        pixels = torch.empty((len(image_set), *image_set.pixels.shape[1:]), dtype=torch.uint8, device=devices.device())
        for start in range(0, len(pixels), 1024):
            part = range(start, min(start + 1024, len(pixels)))
            pixels[part.start : part.stop] = torch.from_numpy(image_set.take(part))
        on_device.append(pixels)
    return on_device


def make_batch(sets: Sets, size: int, style: str, backbone: Backbone, rng: np.random.Generator) -> Batch:
    """Augmented images of one step, made on the CPU."""
    images, done = np.empty((sum(len(index) for _, index in sets), size, size, 3), np.float32), 0
    for image_set, index in sets:
        transforms = draw_transforms(len(index), style, rng)
        fill = fill_value(style, image_set.domain)
        part = images[done : done + len(index)]
        augment(image_set.take(index), transforms, size, backbone.mean, backbone.std, fill=fill, out=part)
        done += len(index)
    return batch_of(torch.from_numpy(images).permute(0, 3, 1, 2), sets)  # channels last


def batch_of(images: Tensor, sets: Sets) -> Batch:
    """The batch of images, or of features, at these positions of these sets."""
    return Batch(
        images,
        torch.from_numpy(np.concatenate([image_set.labels[index] for image_set, index in sets])),
        torch.from_numpy(np.concatenate([np.full(len(index), s.domain, dtype=np.float32) for s, index in sets])),
        sum(len(index) for image_set, index in sets if image_set.domain == PHOTO),
        [image_set.names[i] for image_set, index in sets for i in index],
        torch.from_numpy(np.concatenate([index for _, index in sets])),
    )
