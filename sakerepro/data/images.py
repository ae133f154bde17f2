"""Read one image as a viewer shows it, or refuse it with an error that names it."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import inputs
from ..errors import DataError
from .quickdraw import SIDE, contents, given, parse, picture, place_of

if TYPE_CHECKING:
    from PIL import Image

EXTENSIONS = frozenset(".jpg .jpeg .png .bmp .gif .webp .tif .tiff .ppm .pgm .pbm .jfif".split())
_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF", "PPM")  # no EPS: Pillow would start a program
READABLE = "JPEG, PNG, BMP, GIF, WebP, TIFF or PPM"
MAX_PIXELS = 89_478_485  # Pillow's own limit for decompression bombs, as an error instead of a warning


def is_image_name(name: str) -> bool:
    """Whether a file name ends like an image (``.jpg``, ``.png``, ... in any case) and is not hidden."""
    return not Path(name).name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS


def read_image(path: Path | str, size: int) -> np.ndarray:
    """(size, size, 3) uint8 RGB pixels of an image file, or of a drawing ``FILE.ndjson:LINE``; see :func:`decode`.

    Raises:
        DataError: if the file is missing, empty, truncated, no image, or too large to be one.
    """
    return np.broadcast_to(decode(read_bytes(path), size, str(path)), (size, size, 3)).copy()


def read_bytes(path: Path | str) -> bytes:
    """The bytes of a file, or the line of a drawing ``FILE.ndjson:LINE``.

    Raises:
        DataError: if the file is missing, unreadable or empty, or is a pipe or a device.
    """
    if line := given(next(contents(Path(), [str(path)]))[1]):
        return line
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            raise DataError(f"{path}: cannot be read (a folder, pipe or device, not a file). Remove or rename it.")
        data = Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}). Check the path and its rights.") from error
    if not data:
        raise DataError(f"{path}: is empty (0 bytes). Replace it by a whole copy, or remove it.")
    return data


def pixels(image: Any, size: int, name: str, *, drawn: bool = False) -> np.ndarray:
    """(size, size, 1 or 3) uint8 pixels of an image in any form; see :func:`decode`.

    Args:
        image: a path; a PIL image; or an array or tensor (H, W), (H, W, 1), (H, W, 3) or (H, W, 4, the last opacity),
            uint8 or floats in [0, 1].
        name: for errors; a path is named itself.
        drawn: refuse a blank image.

    Raises:
        DataError: if it is none of these, or as :func:`decode` says.
    """
    from PIL import Image

    if isinstance(image, str | os.PathLike):
        return decode(read_bytes(Path(image)), size, str(image), drawn=drawn)
    return decode(image if isinstance(image, Image.Image) else _of_array(image, name), size, name, drawn=drawn)


def _of_array(image: Any, name: str) -> Image.Image:
    from PIL import Image

    x = inputs.as_numpy(image, name)
    if x.dtype.kind == "f" and x.size:
        if not (x.min() >= 0 and x.max() <= 1):
            raise DataError(f"{name}: floats from {x.min():g} to {x.max():g} are no pixels. Scale them to 0 ... 1.")
        x = np.rint(x * 255.0).astype(np.uint8)
    if x.dtype != np.uint8 or not x.size or x.shape[2:] not in ((), (1,), (3,), (4,)) or x.ndim < 2:
        raise DataError(
            f"{name}: what has shape {x.shape} and type {x.dtype} is no image. Give a path, a PIL image, or an array "
            "(H, W) or (H, W, 3) of uint8 or of floats from 0 to 1."
        )
    return Image.fromarray(x[..., 0] if x.shape[2:] == (1,) else x)


def decode(data: bytes | Image.Image, size: int, name: str, *, drawn: bool = False) -> np.ndarray:
    """(size, size, 1 or 3) uint8 pixels of the bytes of a file, or of a PIL image; one channel if all three are equal.

    Under a name such as ``cat.ndjson:17`` the bytes are a drawing, which is drawn with ``SIDE`` pixels or more.

    EXIF rotation is applied, transparency is laid on white (the paper of a sketch), 16-bit grey is scaled to 8 bits,
    CMYK and palettes become RGB, an animation gives its first frame. Colour profiles are ignored.
    The image is stretched to a square, as in the official code. The filter is bilinear with antialiasing; the official
    code uses none and loses thin strokes.

    Raises:
        DataError: naming ``name``, if the bytes are truncated, no image, or more than ``MAX_PIXELS`` pixels; with
            ``drawn``, for sketches, also if all pixels are of one colour.
    """
    from PIL import Image, UnidentifiedImageError

    if isinstance(data, bytes) and place_of(name)[1]:
        data = picture(parse(data, name).strokes, max(size, SIDE))
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS) if isinstance(data, bytes) else data
        if (pixels := image.width * image.height) > MAX_PIXELS:
            raise DataError(f"{name}: has {pixels:,} pixels, more than {MAX_PIXELS:,}. Shrink it first.")
        plain = _flatten(image, name)
        if drawn and np.ptp(np.reshape(plain.getextrema(), (-1, 2)), axis=1).max() == 0:
            raise DataError(
                f"{name}: is blank, one colour all over. A transparent ground becomes white, so that white "
                "lines vanish: draw dark lines, or put them on a dark ground."
            )
        if plain.size != (size, size):
            plain = plain.resize((size, size), Image.Resampling.BILINEAR)
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: is not a {READABLE} image. Replace it, or remove it.") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: has more than {MAX_PIXELS:,} pixels. Shrink it first.") from error
    except Exception as error:  # a decoder can raise almost any exception for a damaged file
        raise DataError(f"{name}: is damaged ({error}). Replace it by a whole copy, or remove it.") from error
    array = np.asarray(plain)
    if array.ndim == 3 and (array == array[..., :1]).all():
        array = array[..., 0]
    return array.reshape(size, size, -1)


def _flatten(image: Image.Image, name: str) -> Image.Image:
    """The image upright, opaque, 8 bits deep: mode L or RGB."""
    from PIL import Image, ImageOps

    deep_colours = image.mode == "RGB" and any("16B" in str(tile) for tile in getattr(image, "tile", ()))
    white_is_zero = image.format == "TIFF" and image.tag_v2.get(262) == 0  # type: ignore[attr-defined]
    image, clear = ImageOps.exif_transpose(image), image.info.get("transparency")
    if deep_colours and isinstance(clear, tuple):  # Pillow keeps one byte of a pixel, but two of this colour
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    if image.mode.startswith("I;16") or image.mode == "I":
        deep = np.asarray(image).astype(np.int64)
        if deep.min() < 0 or deep.max() > 65535:
            raise DataError(f"{name}: has 32-bit pixels of no known range. Save it with 8 or 16 bits a channel.")
        grey = (65535 - deep if white_is_zero else deep) + 128  # Pillow inverts up to 8 bits only
        image = Image.fromarray((grey // 257).astype(np.uint8))
        if isinstance(clear, int):
            image.putalpha(Image.fromarray(np.where(deep == clear, 0, 255).astype(np.uint8)))
    if image.mode == "F":
        raise DataError(f"{name}: has floating point pixels of no known range. Save it with 8 bits a channel.")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image).convert("RGB")
    return image.convert("L" if image.mode in ("1", "L") else "RGB")
