"""Augmentation: matrices against their definition, the kernel against torch and a naive loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sakerepro.data.augmentation import SHIFT, STYLES, augment, augment_on_device, draw_transforms, fill_value
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.errors import ConfigError

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
ONE = dict(mean=(0.0, 0.0, 0.0), std=(1 / 255,) * 3)  # leaves the grey values as they are


def random_pixels(n: int, height: int, width: int, channels: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, channels), dtype=np.uint8)


def naive(pixels: np.ndarray, transforms: np.ndarray, size: int, fill: int) -> np.ndarray:
    """(N, 3, size, size): each output pixel's centre through the matrix; bilinear, ``fill`` around the image."""
    n, height, width, channels = pixels.shape
    padded = np.full((n, height + 200, width + 200, channels), float(fill))
    padded[:, 100:-100, 100:-100] = pixels
    out = np.empty((n, 3, size, size))
    for i in range(n):
        for y in range(size):
            for x in range(size):
                u, v = transforms[i] @ ((x + 0.5) / size, (y + 0.5) / size, 1)
                px = np.clip(u * width - 0.5 + 100, 0, width + 198)
                py = np.clip(v * height - 0.5 + 100, 0, height + 198)
                x0, y0 = int(px), int(py)
                fx, fy = px - x0, py - y0
                top = padded[i, y0, x0] * (1 - fx) + padded[i, y0, x0 + 1] * fx
                low = padded[i, y0 + 1, x0] * (1 - fx) + padded[i, y0 + 1, x0 + 1] * fx
                out[i, :, y, x] = top * (1 - fy) + low * fy
    return out


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (5, 9, 9, 1), (3, 17, 12, 3), (2, 2, 3, 1)])
@pytest.mark.parametrize("size", [1, 8, 13])
@pytest.mark.parametrize("fill", [0, 255, 77])
def test_equals_a_naive_loop(shape: tuple[int, int, int, int], size: int, fill: int) -> None:
    pixels = random_pixels(*shape)
    transforms = draw_transforms(shape[0], "centred", np.random.default_rng(1))
    transforms[0] += np.random.default_rng(2).normal(0, 0.4, (2, 3))  # one far from what is drawn
    got = augment(pixels, transforms, size, fill=fill, **ONE)
    assert np.abs(got.numpy() - naive(pixels, transforms, size, fill)).max() < 0.02  # of 255 grey values


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("style", STYLES)
def test_the_device_version_is_the_same(channels: int, style: str) -> None:
    pixels = random_pixels(40, 33, 33, channels)
    transforms = draw_transforms(40, style, np.random.default_rng(0))
    for size, fill in ((33, 0), (20, 255)):
        on_cpu = augment(pixels, transforms, size, fill=fill)
        on_device = augment_on_device(torch.from_numpy(pixels), transforms, size, fill=fill)
        torch.testing.assert_close(on_cpu, on_device, atol=2e-3, rtol=0)  # of a standard deviation


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_it_is_the_same() -> None:
    pixels = random_pixels(16, 64, 64, 3)
    transforms = draw_transforms(16, "official", np.random.default_rng(0))
    got = augment_on_device(torch.from_numpy(pixels).cuda(), transforms, 64)
    torch.testing.assert_close(augment(pixels, transforms, 64), got.cpu(), atol=2e-3, rtol=0)


@pytest.mark.parametrize("channels", [1, 3])  # grey is repeated
def test_identity_is_normalisation_per_channel_alone(channels: int) -> None:
    pixels = random_pixels(3, 7, 7, channels)
    want = (pixels / 255 - MEAN) / STD
    for transforms in (None, draw_transforms(3, "none", np.random.default_rng(0))):
        got = augment(pixels, transforms, 7, MEAN, STD).permute(0, 2, 3, 1)
        np.testing.assert_allclose(got.numpy(), want, atol=1e-5)


def test_output_is_float32_in_channels_last_memory() -> None:
    got = augment(random_pixels(3, 8, 8, 3), None, 5)
    assert got.shape == (3, 3, 5, 5) and got.dtype == torch.float32
    assert got.is_contiguous(memory_format=torch.channels_last)


def test_non_contiguous_or_read_only_pixels_change_nothing() -> None:
    pixels = random_pixels(9, 16, 16, 3)
    transforms = draw_transforms(9, "official", np.random.default_rng(0))
    want = augment(pixels, transforms, 11)
    frozen = pixels.copy()
    frozen.flags.writeable = False
    assert torch.equal(augment(frozen, transforms, 11), want)
    wide = np.repeat(pixels, 2, axis=2)
    assert torch.equal(augment(wide[:, :, ::2], transforms, 11), want)


def test_no_images() -> None:
    assert augment(np.zeros((0, 4, 4, 3), np.uint8), None, 5).shape == (0, 3, 5, 5)
    assert draw_transforms(0, "official", np.random.default_rng(0)).shape == (0, 2, 3)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="pixels have shape"):
        augment(np.zeros((2, 4, 4, 4), np.uint8), None, 5)
    with pytest.raises(ValueError, match="transforms have shape"):
        augment(np.zeros((2, 4, 4, 3), np.uint8), np.zeros((1, 2, 3)), 5)


def parts(transforms: np.ndarray, centre: float) -> dict[str, np.ndarray]:
    """Flip, scales, angle and shift of each matrix, read back from its forward direction."""
    forward = np.linalg.inv(np.concatenate([transforms, np.tile([[[0.0, 0, 1]]], (len(transforms), 1, 1))], axis=1))
    flip = np.linalg.det(forward[:, :2, :2]) < 0
    mirror = np.array([[-1.0, 0, 1], [0, 1, 0], [0, 0, 1]])
    forward[flip] = forward[flip] @ mirror
    scale = np.linalg.norm(forward[:, :2, :2], axis=1)  # of the columns: rotation @ scale
    angle = np.rad2deg(np.arctan2(forward[:, 1, 0], forward[:, 0, 0]))
    point = np.array([centre, centre, 1.0])
    return dict(flip=flip, scale=scale, angle=angle, shift=(forward @ point)[:, :2] - centre)


@pytest.mark.parametrize(("style", "centre"), [("official", 0.0), ("centred", 0.5)])
def test_drawn_as_often_and_as_far_as_the_official_code_does(style: str, centre: float) -> None:
    n = 20_000
    drawn = parts(draw_transforms(n, style, np.random.default_rng(0)), centre)
    done = {"flip": drawn["flip"]} | {
        k: np.abs(drawn[k] - b).reshape(n, -1).max(1) > 1e-9 for k, b in (("scale", 1), ("angle", 0), ("shift", 0))
    }
    for what in done.values():  # 0.7 * 0.5, five standard deviations
        assert abs(what.mean() - 0.35) < 5 * np.sqrt(0.35 * 0.65 / n)
    some = np.any(list(done.values()), axis=0)
    assert abs(some.mean() - 0.7 * (1 - 0.5**4)) < 0.017
    for value, low, high in ((drawn["scale"], 0.7, 1.3), (drawn["angle"], -30, 30), (drawn["shift"], -SHIFT, SHIFT)):
        assert low - 1e-9 <= value.min() < low + 0.02 * (high - low)
        assert high - 0.02 * (high - low) < value.max() <= high + 1e-9


def test_transforms_come_from_the_generator_alone() -> None:
    a, b = (draw_transforms(5, "official", np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(a, b)
    rng = np.random.default_rng(7)
    draw_transforms(5, "official", rng)
    assert not np.array_equal(draw_transforms(5, "official", rng), a)


def test_fill_and_names() -> None:
    assert [fill_value(s, d) for s in STYLES for d in (PHOTO, SKETCH)] == [0, 0, 0, 255, 0, 0]
    with pytest.raises(ConfigError, match="Did you mean 'centred'"):
        draw_transforms(1, "centered", np.random.default_rng(0))
