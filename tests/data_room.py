"""Small data sets on disk, of random pixels or of drawings, in every layout that the data room reads."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sakerepro.data import places
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.world.draw import HELD_OUT
from sakerepro.world.files import write_image as draw_image

OFFICIAL_PHOTO = "256x256/photo/tx_000000000000_ready"
OFFICIAL_SKETCH = "256x256/sketch/tx_000000000000_ready"


def real_data(name: str) -> Path:
    """A folder of real data, or the test is skipped."""
    folder = places.find_data(name)
    if folder is None:
        pytest.skip(f"{name} is not in any of {', '.join(map(str, places.data_places()))}")
    return folder


def write_image(path: Path, seed: int = 0, side: int = 12, grey: bool = False) -> np.ndarray:
    """A random lossless image; (side, side) or (side, side, 3) uint8."""
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side) if grey else (side, side, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


def plain_folder(
    root: Path, classes: tuple[str, ...] = ("ant", "bee", "cow", "dog", "elk"), photos: int = 4, sketches: int = 9
) -> Path:
    """``photo/<class>/*`` and ``sketch/<class>/*``."""
    for c, name in enumerate(classes):
        for i in range(photos):
            write_image(root / "photo" / name / f"p {i}.png", seed=100 * c + i)
        for i in range(sketches):
            write_image(root / "sketch" / name / f"s{i}.png", seed=5000 + 100 * c + i, grey=True)
    return root


def write_lists(root: Path, split: str, lists: dict[str, list[str]]) -> None:
    """``lists``: file name without .txt -> lines."""
    (root / split).mkdir(parents=True, exist_ok=True)
    for name, lines in lists.items():
        (root / split / f"{name}.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def sketchy_like(
    root: Path,
    seen: tuple[str, ...] = ("ant", "bee", "cow"),
    unseen: tuple[str, ...] = ("dog", "elk"),
    split: str = "zeroshot1",
    images: bool = True,
) -> Path:
    """Sketchy's official layout, with two photos of its own, one in the extension, and four sketches a class."""
    lists: dict[str, list[str]] = {"cname_cid": [], "cname_cid_zero": []}
    for kind, ids, classes in (("train", "cname_cid", seen), ("zero", "cname_cid_zero", unseen)):
        lists[ids] = [f"{name} {label}" for label, name in enumerate(classes)]
        for label, name in enumerate(classes):
            photos = [f"{OFFICIAL_PHOTO}/{name}/n0_{i}.png" for i in range(2)]
            photos += [f"EXTEND_image_sketchy_ready/{name}/n0_1.png", f"EXTEND_image_sketchy_ready/{name}/ext_1.png"]
            sketches = [f"{OFFICIAL_SKETCH}/{name}/n0_{i}-1.png" for i in range(4)]
            held = sketches[3:] if kind == "train" else []
            lists.setdefault(f"all_photo_filelist_{kind}", []).extend(f"{p} {label}" for p in photos)
            train = [s for s in sketches if s not in held]
            lists.setdefault(f"sketch_tx_000000000000_ready_filelist_{kind}", []).extend(f"{s} {label}" for s in train)
            lists.setdefault("sketch_tx_000000000000_ready_filelist_test", []).extend(f"{s} {label}" for s in held)
            for path in photos + sketches if images else ():
                write_image(root / path, seed=zlib.crc32(path.encode()), grey="sketch/" in path)
    write_lists(root, split, lists)
    return root


def write_official(
    folder: Path,
    layout: str,
    *,
    seen: Sequence[str],
    unseen: Sequence[str],
    per_class: int = 4,
    size: int = 64,
    split: str = "",
) -> Path:
    """Write images and lists as ``tuberlin`` or ``sketchy`` have them; return the folder.

    A class has ``per_class`` training sketches, training photos, queries and gallery photos, and half as many
    validation sketches. In Sketchy every second photo lies in the extension. ``split`` is the folder of the lists.
    """
    path_of, sketch_list, photo_list, usual = {
        "tuberlin": (_tuberlin, "png_ready", "ImageResized_ready", "zeroshot"),
        "sketchy": (_sketchy, "sketch_tx_000000000000_ready", "all_photo", "zeroshot1"),
    }[layout]
    lists: dict[str, list[str]] = {}
    for classes, ids, ending in ((seen, "cname_cid", "train"), (unseen, "cname_cid_zero", "zero")):
        lists[ids] = [f"{name} {label}" for label, name in enumerate(classes)]
        wanted = [(SKETCH, f"{sketch_list}_filelist_{ending}", i) for i in range(per_class)]
        wanted += [(PHOTO, f"{photo_list}_filelist_{ending}", i) for i in range(per_class)]
        if ending == "train":
            held_out = range(HELD_OUT, HELD_OUT + (per_class + 1) // 2)
            wanted += [(SKETCH, f"{sketch_list}_filelist_test", i) for i in held_out]
        for label, name in enumerate(classes):
            for domain, file, i in wanted:
                path = path_of(name, domain, i)
                draw_image(folder / path, name, domain, i, size)
                lists.setdefault(file, []).append(f"{path} {label}")
    write_lists(folder, split or usual, lists)
    return folder


def _tuberlin(name: str, domain: int, i: int) -> str:
    return f"png_ready/{name}/{i + 1}.png" if domain == SKETCH else f"ImageResized_ready/{name}/n{i:08d}_{i}.JPEG"


def _sketchy(name: str, domain: int, i: int) -> str:
    ready, stem = "tx_000000000000_ready", f"n00000000_{i}"
    if domain == SKETCH:
        return f"256x256/sketch/{ready}/{name}/{stem}-1.png"
    return f"EXTEND_image_sketchy_ready/{name}/{stem}.jpg" if i % 2 else f"256x256/photo/{ready}/{name}/{stem}.jpg"
