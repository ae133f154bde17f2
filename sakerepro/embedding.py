"""From images to embeddings, in batches, without augmentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from . import _inputs
from .backbones import Backbone
from .data.augmentation import augment
from .data.dataset import ImageSet
from .threads import one_thread

Network = TypeVar("Network", bound=nn.Module)


def device() -> torch.device:
    """The accelerator if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def place(network: Network) -> Network:
    """Move a network to the device, channels last: about three times as fast on a CPU."""
    return network.to(device=device(), memory_format=torch.channels_last)  # type: ignore[call-overload]


def apply(
    function: Callable[[Tensor, Tensor], Tensor], backbone: Backbone, image_set: ImageSet, size: int, batch: int = 256,
    progress: Callable[[int], object] | None = None,
) -> np.ndarray:  # fmt: skip
    """Call ``function(images, domain)`` on a whole set, and ``progress(number of images)`` after each batch.

    Returns:
        (N, ...) float32, the outputs in the order of the set.
    """
    out, batch = [], _inputs.whole(batch, "batch", 1)
    with one_thread(), torch.inference_mode():
        for start in range(0, len(image_set), batch):
            pixels = image_set.take(range(start, min(start + batch, len(image_set))))
            images = augment(pixels, None, size, mean=backbone.mean, std=backbone.std)
            images = images.to(device(), memory_format=torch.channels_last)
            domain = images.new_full((len(images),), float(image_set.domain))
            out.append(function(images, domain).float().cpu().numpy())
            if progress is not None:
                progress(len(images))
    if not out:
        return np.zeros((0, 0), dtype=np.float32)
    return np.concatenate(out)


def embed(
    network: Any, image_set: ImageSet, size: int, batch: int = 256,
    progress: Callable[[int], object] | None = None,
) -> np.ndarray:  # fmt: skip
    """Embed a whole set.

    Args:
        network: a :class:`Student`, or anything with ``eval()``, ``embed(images, domain)`` and a ``backbone`` that has
            ``mean`` and ``std``; on the GPU if there is one. It is put in eval mode and left there.
        image_set: N photos or N sketches; the network is told its domain.
        size: side of the network's square input, in pixels; images of another size are scaled.
        batch: images embedded at once.
        progress: called after each batch with its number of images.

    Returns:
        (N, d) float32 embeddings in the order of the set, as the network gives them; (0, 0) of an empty set.
    """
    network.eval()
    return apply(network.embed, network.backbone, image_set, size, batch, progress)


def top1(logits: Callable[[Tensor, Tensor], Tensor], network: Any, image_set: ImageSet, size: int) -> float:
    """Share of a set's images, in [0, 1], whose largest logit is their label."""
    network.eval()
    predicted = apply(logits, network.backbone, image_set, size).argmax(axis=1)
    return float(np.mean(predicted == image_set.labels))
