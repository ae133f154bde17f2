"""From images to embeddings, in batches, without augmentation."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from . import devices, inputs, paths
from .data.augmentation import augment, augment_on_device
from .data.dataset import ImageSet
from .devices import device
from .errors import ConfigError
from .files import write_whole
from .networks.backbones import Backbone
from .provenance import versions
from .threads import one_thread, side_by_side

Network = TypeVar("Network", bound=nn.Module)


def place(network: Network) -> Network:
    """Move a network to the device, in channels-last order: about three times as fast on a CPU.

    Raises:
        ConfigError: if it is a method that needs float64, and the device has none.
    """
    require_float64(type(network))
    return network.to(device=device(), memory_format=torch.channels_last)  # type: ignore[call-overload]


def require_float64(kind: type) -> None:
    """Raise :class:`ConfigError` if a method of this class needs float64, and the device has none."""
    if device().type == "mps" and getattr(kind, "float64", False):
        name = kind.__name__
        raise ConfigError(f"{name} computes in float64, which mps has not. Set {devices.VARIABLE}=cpu for {name}.")


def ready(network: Any) -> None:
    """Put a network on the device and in eval mode."""
    if isinstance(network, nn.Module):
        place(network)
    network.eval()


def apply(
    function: Callable[[Tensor, Tensor], Tensor],
    backbone: Backbone,
    image_set: ImageSet,
    size: int,
    batch: int | None = None,
    progress: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Call ``function(images, domain)`` on a whole set, and ``progress(number of images)`` after each batch.

    On a CPU batches are computed side by side, each on one thread: the number of cores changes no bit.

    Returns:
        (N, ...) float32, the outputs in the order of the set.
    """
    if not len(image_set):
        return np.zeros((0, 0), dtype=np.float32)
    if batch is None:
        count = len(image_set) // devices.at_once(size) or 1
    else:
        count = -(-len(image_set) // inputs.whole(batch, "batch", 1))

    @torch.inference_mode()
    def output(index: np.ndarray) -> Tensor:
        pixels = image_set.take(index)
        if devices.accelerated():
            tensor = devices.send(torch.from_numpy(pixels))
            images = augment_on_device(tensor, None, size, backbone.mean, backbone.std)
        else:
            images = augment(pixels, None, size, mean=backbone.mean, std=backbone.std)
        domain = images.new_full((len(images),), float(image_set.domain))
        return function(images, domain).float()

    outputs, map_batches = [], map if devices.accelerated() else side_by_side
    with one_thread():
        for x in map_batches(output, np.array_split(np.arange(len(image_set)), count)):
            outputs.append(x)
            if progress is not None:
                progress(len(x))
    return torch.cat(outputs).cpu().numpy()  # one transfer at the end: the device does not wait in between


def backbone_features(method: Any, image_set: ImageSet, size: int) -> np.ndarray:
    """Backbone features of a whole set; those of a frozen backbone are cached under a checksum of weights and images.

    Args:
        method: in eval mode; ``"features"`` in its ``needs`` says that its backbone is frozen.
        image_set: N photos or N sketches.
        size: side of the network's square input, in pixels.

    Returns:
        (N, F) float32 in the order of the set.
    """
    if "features" not in method.needs:
        return apply(method.features, method.backbone, image_set, size)
    backbone = method.backbone
    key = (versions(), device().type, size, image_set.domain, backbone.mean, backbone.std, backbone.body)
    digest = hashlib.sha256(repr(key).encode())
    for tensor in backbone.state_dict().values():
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    for start in range(0, len(image_set), 1024):
        digest.update(image_set.take(range(start, min(start + 1024, len(image_set)))).tobytes())
    file = paths.cache() / "features" / f"{digest.hexdigest()[:24]}.npy"
    if file.is_file():
        with contextlib.suppress(OSError, ValueError):  # a damaged file is made again
            features = np.load(file, allow_pickle=False)
            if len(features) == len(image_set):
                return features
    features = apply(method.features, backbone, image_set, size)
    with write_whole(file) as temporary, open(temporary, "wb") as out:
        np.save(out, features, allow_pickle=False)
    return features


def embed(
    network: Any,
    image_set: ImageSet,
    size: int,
    batch: int | None = None,
    progress: Callable[[int], object] | None = None,
    keep: bool = False,
) -> np.ndarray:
    """Embed a whole set; on a CPU the number of threads changes no bit.

    Args:
        network: a :class:`Student`, or anything with ``eval()``, ``embed(images, domain)`` and a ``backbone`` that has
            ``mean`` and ``std``. It is moved to the device, put in eval mode and left so.
        image_set: N photos or N sketches; the network is told its domain.
        size: side of the network's square input, in pixels; images of another size are scaled.
        batch: most images embedded at once; None: as many as fit into the cache of a CPU, or 256 on an accelerator.
        progress: called after each batch with its number of images.
        keep: keep the features of a frozen backbone in the cache, see :func:`backbone_features`.

    Returns:
        (N, d) float32 embeddings in the order of the set, not normalised; (0, 0) for an empty set.

    Raises:
        ConfigError: if the network has no ``embed``.
    """
    if not hasattr(network, "embed"):
        raise ConfigError(f"network={network!r} embeds nothing. Give a Student or Run.network().")
    ready(network)
    if not (keep and "features" in getattr(network, "needs", ()) and len(image_set)):
        return apply(network.embed, network.backbone, image_set, size, batch, progress)
    features, embeddings = torch.from_numpy(backbone_features(network, image_set, size)), []
    with torch.inference_mode():
        for part in features.split(256 if batch is None else inputs.whole(batch, "batch", 1)):
            part = part.to(device())
            domain = part.new_full((len(part),), float(image_set.domain))
            embeddings.append(network.embed_features(part, domain).float().cpu().numpy())
            if progress is not None:
                progress(len(part))
    return np.concatenate(embeddings)


def top1(logits: Callable[[Tensor, Tensor], Tensor], network: Any, image_set: ImageSet, size: int) -> float:
    """Top-1 accuracy on a set, in [0, 1]."""
    ready(network)
    predicted = apply(logits, network.backbone, image_set, size).argmax(axis=1)
    return float(np.mean(predicted == image_set.labels))
