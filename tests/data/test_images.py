"""Reading one image: every mode as the eye sees it, every broken file refused by name."""

from __future__ import annotations

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sakerepro.data.images import decode, is_image_name, read_image
from sakerepro.errors import DataError

SIDE = 8


def random_pixels(channels: int, seed: int = 0) -> np.ndarray:
    shape = (SIDE, SIDE, channels) if channels > 1 else (SIDE, SIDE)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def as_bytes(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(image: Image.Image, kind: str = "PNG", **options: object) -> np.ndarray:
    return decode(as_bytes(image, kind, **options), SIDE, "a")


def png(width: int, height: int, depth: int, colour: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file by hand: its header, then these chunks (kind, content)."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        data += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data


def on_white(rgb: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    a = alpha[..., None] / 255
    return rgb * a + 255 * (1 - a)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_file_is_read_as_it_is_in_three_channels(channels: int, tmp_path: Path) -> None:
    pixels = random_pixels(channels)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png", SIDE), np.broadcast_to(np.atleast_3d(pixels), (SIDE, SIDE, 3)))


def test_grey_is_decoded_to_one_channel_whatever_its_mode() -> None:
    pixels = random_pixels(1)
    for image in (Image.fromarray(pixels), Image.fromarray(np.stack([pixels] * 3, axis=2))):
        assert np.array_equal(decoded(image), pixels[..., None])
    black_and_white = (pixels > 127).astype(np.uint8) * 255
    assert np.array_equal(decoded(Image.fromarray(black_and_white).convert("1")), black_and_white[..., None])


@pytest.mark.parametrize("transparency", [3, bytes([0, 255, 128, 0, 255, 7, 64])])
def test_a_palette_of_which_colours_are_transparent_lies_on_white(transparency: int | bytes) -> None:
    index, palette = random_pixels(1) % 7, np.random.default_rng(1).integers(0, 256, (7, 3), dtype=np.uint8)
    image = Image.fromarray(index)
    image.putpalette(palette.tobytes())
    assert np.array_equal(decoded(image), palette[index])
    if isinstance(transparency, int):
        alpha = np.where(np.arange(7) == transparency, 0, 255)
    else:
        alpha = np.frombuffer(transparency, np.uint8)
    got = decoded(image, transparency=transparency)
    assert np.abs(got - on_white(palette[index], alpha[index])).max() <= 1


def test_rgba_and_grey_with_alpha_lie_on_white() -> None:
    rgba = random_pixels(4)
    got = decoded(Image.fromarray(rgba))
    assert np.abs(got - on_white(rgba[..., :3], rgba[..., 3])).max() <= 1
    la = random_pixels(2)
    got = decoded(Image.merge("LA", [Image.fromarray(la[..., 0]), Image.fromarray(la[..., 1])]))
    assert np.abs(got - on_white(la[..., :1], la[..., 1])).max() <= 1


def test_what_is_transparent_all_over_is_white() -> None:
    assert (decoded(Image.new("RGBA", (50, 40), (0, 0, 0, 0))) == 255).all()
    assert (decoded(Image.new("RGB", (SIDE, SIDE), (10, 20, 30)), transparency=(10, 20, 30)) == 255).all()


def test_sixteen_bit_grey_is_scaled() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE), dtype=np.uint16)
    deep[0, :2] = 0, 65535
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(decoded(Image.fromarray(deep), kind)[..., 0], np.rint(deep / 257))


def test_pixels_without_a_range_are_refused() -> None:
    for values in (np.full((SIDE, SIDE), 70000, np.int32), np.full((SIDE, SIDE), 0.5, np.float32)):
        with pytest.raises(DataError, match=r"^odd\.tif: has .* of no known range"):
            decode(as_bytes(Image.fromarray(values), "TIFF"), SIDE, "odd.tif")


def test_cmyk() -> None:
    cmyk = random_pixels(4)
    want = (255 - cmyk[..., :3].astype(float)) * (255 - cmyk[..., 3:].astype(float)) / 255
    image = Image.merge("CMYK", [Image.fromarray(cmyk[..., i]) for i in range(4)])
    assert np.abs(decoded(image, "TIFF") - want).max() <= 1
    flat = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red
    assert np.abs(decoded(flat, "JPEG", quality=95) - np.array([255, 0, 0])).max() <= 4


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    stored = random_pixels(3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = {  # what a viewer has to do, by the EXIF standard
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored.transpose(1, 0, 2)[::-1, ::-1],
        8: np.rot90(stored, 1),
    }[orientation]
    assert np.array_equal(decoded(Image.fromarray(stored), exif=exif), upright)


@pytest.mark.parametrize(("height", "width", "size"), [(37, 61, 16), (5, 100, 8), (9, 7, 20), (64, 64, 31), (1, 1, 5)])
def test_stretched_as_by_antialiased_interpolation(height: int, width: int, size: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)[None].float()
    want = torch.nn.functional.interpolate(tensor, (size, size), mode="bilinear", antialias=True)[0].permute(1, 2, 0)
    got = decode(as_bytes(Image.fromarray(pixels)), size, "a")
    assert np.abs(got - want.numpy()).max() <= 1.1  # both passes of Pillow round to whole levels


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("L", (SIDE, SIDE), v) for v in (10, 200)]
    assert (decoded(frames[0], "GIF", save_all=True, append_images=frames[1:]) == 10).all()


def test_empty_missing_and_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "a folder.png").mkdir()
    said = {"empty.png": "is empty", "text.jpg": "is not a", "gone.png": "cannot be read"}
    for name, what in (said | {"a folder.png": "cannot be read"}).items():
        with pytest.raises(DataError, match=what) as error:
            read_image(tmp_path / name, SIDE)
        assert str(error.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated_is_refused(kind: str, share: float) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (60, 60, 3), dtype=np.uint8)
    data = as_bytes(Image.fromarray(pixels), kind)
    with pytest.raises(DataError, match="^cut: is "):
        decode(data[: int(len(data) * share)], SIDE, "cut")


@settings(max_examples=150)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "TIFF"]), st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_damage_gives_pixels_or_a_sentence(kind: str, where: int, junk: bytes) -> None:
    data = as_bytes(Image.fromarray(random_pixels(3)), kind)
    at = where % len(data)
    damaged = data[:at] + junk + data[at + len(junk) :]
    try:
        assert decode(damaged, SIDE, "x").shape[:2] == (SIDE, SIDE)
    except DataError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_decompression_bomb_is_refused_unread(side: int) -> None:
    bomb = png(side, side, 8, 0, (b"IDAT", zlib.compress(bytes(1000))))
    with pytest.raises(DataError, match=r"bomb\.png: has more than .* pixels"):
        decode(bomb, SIDE, "bomb.png")


def test_image_names() -> None:
    assert all(map(is_image_name, ("a.JPEG", "b c.png", "ü/x.jpg", "d.e.TIFF")))
    assert not any(map(is_image_name, ("a.txt", ".hidden.png", "png", "Thumbs.db", "x.eps")))


def test_sixteen_bit_tiff_with_white_as_zero() -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (SIDE, SIDE)).astype("<u2")
    tags = {256: (4, SIDE), 257: (4, SIDE), 258: (3, 16), 259: (3, 1), 262: (3, 0)}
    tags |= {273: (4, 122), 277: (3, 1), 278: (4, SIDE), 279: (4, deep.nbytes)}
    directory = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in tags.items())
    header = b"II*\0" + struct.pack("<IH", 8, len(tags)) + directory + bytes(4)
    assert len(header) == 122
    assert np.array_equal(decode(header + deep.tobytes(), SIDE, "a")[..., 0], np.rint((65535 - deep.astype(int)) / 257))


def png_of_sixteen_bits(pixels: np.ndarray, clear: tuple[int, ...]) -> bytes:
    """(H, W, 1 or 3) uint16 as a PNG whose colour ``clear`` is transparent; Pillow writes no such files."""
    height, width, channels = pixels.shape
    lines = b"".join(b"\0" + line.astype(">u2").tobytes() for line in pixels)
    transparent = (b"tRNS", np.array(clear, ">u2").tobytes())
    return png(width, height, 16, 0 if channels == 1 else 2, transparent, (b"IDAT", zlib.compress(lines)))


@pytest.mark.parametrize("clear", [(4660,), (4660, 22136, 39612)])
def test_a_transparent_value_of_sixteen_bits_lies_on_white(clear: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 60000, (SIDE, SIDE, len(clear)), dtype=np.uint16)
    pixels[1, 2] = pixels[5, 5] = clear
    want = np.where((pixels == clear).all(axis=2, keepdims=True), 255, pixels / 257)
    got = decode(png_of_sixteen_bits(pixels, clear), SIDE, "a")
    assert np.abs(got - want).max() <= 1 and (got[1, 2] == 255).all()


def test_a_blank_drawing_gets_a_sentence() -> None:
    lines = np.zeros((50, 50), np.uint8)
    lines[20, 10:40] = 255
    clear = Image.merge("LA", [Image.new("L", (50, 50), 255), Image.fromarray(lines)])  # white on nothing
    for blank in (Image.new("L", (9, 9), 255), Image.new("RGB", (9, 9), "black"), clear):
        with pytest.raises(DataError, match=r"^s\.png: is blank.*white"):
            decode(as_bytes(blank), SIDE, "s.png", drawn=True)
        decode(as_bytes(blank), SIDE, "a photo of snow")
    decode(as_bytes(Image.fromarray(255 - lines)), 2, "thin", drawn=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes there")
def test_a_pipe_is_refused_and_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"b\.png: cannot be read \(a folder, pipe or device"):
        read_image(tmp_path / "b.png", SIDE)
