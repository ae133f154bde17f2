"""Packed uint8 images to augmented, normalised 224 px batches on one core, beside torchvision's transforms.

All draw the official augmentation: with probability 0.7 a flip, a scale, a rotation and a shift, each with 0.5.
torchvision's one scale for both axes and its turning about the centre cost the same as the official ones. A batch is
let go when the next one is due, as in training: to keep them all would time how fast the system hands out memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sakerepro.data.dataset import PHOTO, SKETCH, ImageSet

from .common import OURS, Case, Contender, Row, run_cases

BATCHES, PHOTOS, SKETCHES, SIZE = 10, 36, 4, 224  # batches of the paper on TU-Berlin
IMAGES = BATCHES * (PHOTOS + SKETCHES)
BAR = 1300


@dataclass(frozen=True)
class Task:
    photos: ImageSet
    sketches: ImageSet
    batches: int


def packed(count: int, domain: int, size: int = SIZE, classes: int = 1) -> ImageSet:
    """Random images as a pack holds them: photos in colour, sketches in one channel."""
    channels = 1 if domain == SKETCH else 3
    pixels = np.random.default_rng(domain).integers(0, 256, (count, size, size, channels), dtype=np.uint8)
    names = tuple(f"{i}.png" for i in range(count))
    return ImageSet(pixels, np.arange(count), np.arange(count) % classes, names, domain)


def images(share: float) -> Task:
    batches = max(1, int(BATCHES * share))
    return Task(packed(batches * PHOTOS, PHOTO), packed(batches * SKETCHES, SKETCH), batches)


def one_core(run: Callable[[Task], Any]) -> Callable[[Task], Any]:
    def alone(task: Task) -> Any:
        import torch

        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run(task)
        finally:
            torch.set_num_threads(threads)

    return alone


def let_go(batch: Any) -> float:
    """The mean of every 16th row: all that is kept of a batch."""
    return float(batch[:, :, ::16].mean())


def ours(task: Task) -> list[float]:
    from torch import nn

    from sakerepro.data.batches import generator
    from sakerepro.data.batching import make_batch
    from sakerepro.networks.architectures import IMAGENET_MEAN, IMAGENET_STD
    from sakerepro.networks.backbones import Backbone

    backbone = Backbone(nn.Identity(), 1, IMAGENET_MEAN, IMAGENET_STD)  # only says how its input is normalised
    means = []
    for i in range(task.batches):
        sets = [(task.photos, np.arange(PHOTOS) + i * PHOTOS), (task.sketches, np.arange(SKETCHES) + i * SKETCHES)]
        means.append(let_go(make_batch(sets, SIZE, "official", backbone, generator(0, i)).images))
    return means


def with_torchvision(pil: bool) -> Callable[[Task], list[float]]:
    def run(task: Task) -> list[float]:
        import torch
        from PIL import Image

        transform = _transform()
        means = []
        for i in range(task.batches):
            batch = []
            for images, count in ((task.photos, PHOTOS), (task.sketches, SKETCHES)):
                for pixels in images.take(np.arange(count) + i * count):
                    rgb = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
                    batch.append(transform(Image.fromarray(rgb.copy()) if pil else torch.tensor(rgb).permute(2, 0, 1)))
            means.append(let_go(torch.stack(batch).contiguous(memory_format=torch.channels_last)))
        return means

    return run


def _transform() -> Any:
    import torch
    from torchvision.transforms import InterpolationMode, v2

    from sakerepro.data.augmentation import IMAGENET_MEAN, IMAGENET_STD, SHIFT

    def affine(degrees: float, **arguments: Any) -> Any:
        moved = v2.RandomAffine(degrees, interpolation=InterpolationMode.BILINEAR, **arguments)
        return v2.RandomApply([moved], p=0.5)

    steps = [v2.RandomHorizontalFlip(0.5), affine(0, scale=(0.7, 1.3)), affine(30), affine(0, translate=(SHIFT, SHIFT))]
    return v2.Compose(
        [
            v2.RandomApply([v2.Compose(steps)], p=0.7),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
    )


def fast_enough(rows: dict[str, Row]) -> tuple[str, bool]:
    speed = IMAGES / rows[OURS].seconds  # type: ignore[operator]
    return f"at least {BAR:,} images/s on one core: {speed:,.0f}", speed >= BAR


def moments(who: str, task: Task, answer: list[float]) -> str:
    """The mean of the output, nearly the same if all sides do the same work."""
    return f"{len(answer) * (PHOTOS + SKETCHES)} images, mean {np.mean(answer):.2f}"


CONTENDERS = {
    OURS: Contender(one_core(ours)),
    "torchvision v2 on tensors": Contender(one_core(with_torchvision(pil=False)), "torchvision"),
    "torchvision v2 on PIL images": Contender(one_core(with_torchvision(pil=True)), "torchvision"),
}
CASES = [Case(f"{IMAGES} packed images to augmented batches, one core", images, CONTENDERS, fast_enough, moments)]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
