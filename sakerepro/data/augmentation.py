"""Random flips, scales, rotations and shifts, drawn as matrices and applied in one pass to the network's input.

A transform is a (2, 3) matrix that maps a place in the output to a place in the input, both in units of the image's
side: (0, 0) is the top-left corner, (1, 1) the bottom-right one. So the same transforms fit packs and networks of any
size, on the CPU (:func:`augment`) and on a device (:func:`augment_on_device`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import inputs
from ..devices import send
from .dataset import SKETCH

STYLES = ("official", "centred", "none")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SHIFT = 10 / 256  # the official +-10 px, of Sketchy's 256 px images


def fill_value(style: str, domain: int) -> int:
    """The grey value beyond the image's edge: black in the official code, white for sketches in style ``"centred"``."""
    inputs.one_of(style, STYLES, "augmentation")
    return 255 if style == "centred" and domain == SKETCH else 0


def draw_transforms(n: int, style: str, rng: np.random.Generator) -> np.ndarray:
    """(n, 2, 3) float64 matrices, output place to input place, drawn as in the official code.

    With probability 0.7, an image is flipped (0.5), scaled by 0.7 ... 1.3 per axis (0.5), rotated by up to 30 degrees
    (0.5) and shifted by up to 10 px of 256 per axis (0.5), in this order.

    Args:
        style: ``"official"``: scale and rotation about the top-left corner; ``"centred"``: about the centre;
            ``"none"``: identities, and ``rng`` is left alone.
    """
    inputs.one_of(style, STYLES, "augmentation")
    matrices = np.tile(np.eye(3), (n, 1, 1))
    if style == "none":
        return matrices[:, :2]
    moved, flipped, scaled, rotated, shifted = (rng.random((5, n)).T < (0.7, 0.5, 0.5, 0.5, 0.5)).T
    scale = np.where((moved & scaled)[:, None], rng.uniform(0.7, 1.3, (n, 2)), 1.0)
    angle = np.where(moved & rotated, np.deg2rad(rng.uniform(-30, 30, n)), 0.0)
    shift = np.where((moved & shifted)[:, None], rng.uniform(-SHIFT, SHIFT, (n, 2)), 0.0)
    centre = 0.5 if style == "centred" else 0.0

    forward = np.tile(np.eye(3), (n, 1, 1))  # input to output: rotation @ scale about the centre, then shift
    cos, sin = np.cos(angle), np.sin(angle)
    forward[:, 0, 0], forward[:, 0, 1] = scale[:, 0] * cos, -scale[:, 1] * sin
    forward[:, 1, 0], forward[:, 1, 1] = scale[:, 0] * sin, scale[:, 1] * cos
    forward[:, :2, 2] = centre - forward[:, :2, :2].sum(axis=2) * centre + shift
    matrices[moved & flipped] = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])  # the flip comes first
    return (matrices @ np.linalg.inv(forward))[:, :2]


def augment(
    pixels: np.ndarray,
    transforms: np.ndarray | None,
    size: int,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    *,
    fill: int = 0,
    out: np.ndarray | None = None,
) -> Tensor:
    """Sample, widen grey to three channels and normalise, in one compiled pass on the CPU.

    Args:
        pixels: (N, H, W, C) uint8, C = 1 or 3.
        transforms: (N, 2, 3) from :func:`draw_transforms`; ``None`` for none.
        size: side of the output. Sampling is bilinear without antialiasing, so pack images at about this size.
        mean, std: per channel, of values scaled to [0, 1].
        fill: 0 ... 255, the grey value beyond the edges (see :func:`fill_value`).
        out: (N, size, size, 3) float32 array for the result, such as a part of a batch; ``None`` for a new one.

    Returns:
        (N, 3, size, size) float32 in ``channels_last`` memory.
    """
    from .warp import warp

    transforms = _checked(pixels.shape, transforms)
    out = np.empty((len(pixels), size, size, 3), np.float32) if out is None else out
    gain = (1 / (255 * np.asarray(std, np.float64))).astype(np.float32)
    bias = (-np.asarray(mean, np.float64) / np.asarray(std, np.float64)).astype(np.float32)
    height, width = pixels.shape[1:3]
    matrices = _on_pixels(transforms, height, width, size)
    warp(np.ascontiguousarray(pixels), matrices, gain, bias, np.float32(fill), out)
    return torch.from_numpy(out).permute(0, 3, 1, 2)


def augment_on_device(
    pixels: Tensor,
    transforms: np.ndarray | None,
    size: int,
    mean: Sequence[float] = IMAGENET_MEAN,
    std: Sequence[float] = IMAGENET_STD,
    *,
    fill: int = 0,
) -> Tensor:
    """Like :func:`augment`, on the device of the pixels: (N, H, W, C) uint8 on any torch device."""
    transforms = _checked(tuple(pixels.shape), transforms)
    theta = transforms.copy()  # torch's grid runs from -1 to 1: u = 2x - 1
    theta[:, :, 2] = transforms[:, :, :2].sum(axis=2) + 2 * transforms[:, :, 2] - 1
    values = pixels.permute(0, 3, 1, 2).float() - fill  # outside, grid_sample sees zeros
    at = send(torch.from_numpy(theta).float(), pixels.device)
    grid = torch.nn.functional.affine_grid(at, [len(pixels), 1, size, size], align_corners=False)
    sampled = torch.nn.functional.grid_sample(values, grid, align_corners=False)
    scale = 255 * send(torch.tensor(std), pixels.device).view(1, 3, 1, 1)
    shift = 255 * send(torch.tensor(mean), pixels.device).view(1, 3, 1, 1) - fill
    return ((sampled - shift) / scale).contiguous(memory_format=torch.channels_last)


def _checked(shape: tuple[int, ...], transforms: np.ndarray | None) -> np.ndarray:
    """The transforms, identities for ``None``; a ValueError if the kernel cannot read them or the pixels."""
    if len(shape) != 4 or shape[3] not in (1, 3):
        raise ValueError(f"pixels have shape {shape}, not (N, H, W, 1 or 3)")
    if transforms is None:
        return np.tile(np.eye(3)[:2], (shape[0], 1, 1))
    if transforms.shape != (shape[0], 2, 3):
        raise ValueError(f"transforms have shape {transforms.shape}, not ({shape[0]}, 2, 3)")
    return transforms


def _on_pixels(transforms: np.ndarray, height: int, width: int, size: int) -> np.ndarray:
    """(n, 2, 3) matrices from output pixel indices to input pixel indices; pixel i has its centre at i + 0.5."""
    side = np.array([width, height], np.float64)[:, None]
    matrices = np.empty(transforms.shape)
    matrices[:, :, :2] = transforms[:, :, :2] * side / size
    matrices[:, :, 2] = (transforms[:, :, 2] + transforms[:, :, :2].sum(axis=2) * 0.5 / size) * side[:, 0] - 0.5
    return matrices
