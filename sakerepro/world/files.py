"""Generated images as files, in the layouts that real data sets come in: for tests of everything that reads files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .. import files
from ..data.dataset import PHOTO, SKETCH
from ..errors import ConfigError, DataError, near_misses
from .classes import of_role
from .draw import HELD_OUT, draw

LAYOUTS = ("folders", "sake-tuberlin", "sake-sketchy")


def write_world(folder: Path | str, layout: str = "folders", *, seen: Sequence[str] | None = None,
                unseen: Sequence[str] | None = None, per_class: int = 4, size: int = 64,
                split: str | None = None) -> Path:
    """Write a small data set of generated images.

    ``folders``: ``photo/<class>/0000.jpg``, ``sketch/<class>/0000.png`` and ``unseen.txt``, with ``per_class`` of each.
    ``sake-tuberlin`` and ``sake-sketchy``: images and lists as those of the official SAKE code, with ``per_class``
    training sketches, training photos, queries and gallery photos a class, and half as many validation sketches. In
    Sketchy's layout every second photo lies in the extension.

    Args:
        folder: where to; must not exist, or be empty.
        layout: one of :data:`LAYOUTS`.
        seen, unseen: class names; by default those of the generated world. Any name can be drawn.
        per_class: images a class.
        size: side in pixels.
        split: the folder of the lists; by default ``zeroshot`` for TU-Berlin and ``zeroshot1`` for Sketchy.

    Returns:
        The folder.

    Raises:
        ConfigError: for an unknown layout, or class names that are doubled or cannot be folders.
        DataError: if the folder already holds something.
    """
    folder = Path(folder)
    if layout not in LAYOUTS:
        raise ConfigError(f"layout = {layout!r} of generated files is unknown. {near_misses(layout, LAYOUTS)}")
    seen_names = tuple(seen) if seen is not None else tuple(c.name for c in of_role("seen"))
    unseen_names = tuple(unseen) if unseen is not None else tuple(c.name for c in of_role("unseen"))
    _check(folder, (*seen_names, *unseen_names), per_class)
    with files.write_folder_whole(folder) as temporary:
        writer = _Writer(temporary, size)
        if layout == "folders":
            writer.plain(seen_names, unseen_names, per_class)
        else:
            sketchy = layout == "sake-sketchy"
            lists = split or ("zeroshot1" if sketchy else "zeroshot")
            writer.listed(seen_names, unseen_names, per_class, sketchy, lists)
    return folder


def _check(folder: Path, names: Sequence[str], per_class: int) -> None:
    if per_class < 1:
        raise ConfigError(f"per_class = {per_class} images a class: has to be at least 1.")
    for name in names:
        if not name or name != name.strip() or name.startswith(".") or set(name) & set("/\\\0\n"):
            raise ConfigError(f"class name {name!r} cannot be a folder's name. Leave out slashes and leading dots.")
        if names.count(name) > 1:
            raise ConfigError(f"class name {name!r} is there {names.count(name)} times. Name every class once.")
    if files.taken(folder):
        raise DataError(f"{folder}: already holds something. Name a new or an empty folder for the generated files.")


class _Writer:
    """Draws and writes below one folder."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size

    def image(self, path: str, name: str, domain: int, index: int) -> None:
        """Draw one image and write it where ``path`` says."""
        from PIL import Image

        pixels = draw(name, domain, self.size, index=index)
        to = self.folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.squeeze(pixels, 2) if pixels.shape[2] == 1 else pixels).save(to, quality=92)

    def plain(self, seen: Sequence[str], unseen: Sequence[str], n: int) -> None:
        """``photo/<class>/*.jpg`` with ``sketch/<class>/*.png``."""
        for name in (*seen, *unseen):
            for i in range(n):
                self.image(f"photo/{name}/{i:04d}.jpg", name, PHOTO, i)
                self.image(f"sketch/{name}/{i:04d}.png", name, SKETCH, i)
        files.write_text(self.folder / "unseen.txt", "".join(f"{name}\n" for name in unseen))

    def listed(self, seen: Sequence[str], unseen: Sequence[str], n: int, sketchy: bool, split: str) -> None:
        """The official lists and what they name."""
        path_of, sketch_list, photo_list = (
            (_sketchy, "sketch_tx_000000000000_ready", "all_photo")
            if sketchy
            else (_tuberlin, "png_ready", "ImageResized_ready")
        )
        lists: dict[str, list[str]] = {}
        for classes, ids, ending in ((seen, "cname_cid", "train"), (unseen, "cname_cid_zero", "zero")):
            lists[ids] = [f"{name} {label}" for label, name in enumerate(classes)]
            wanted = [(SKETCH, f"{sketch_list}_filelist_{ending}", i) for i in range(n)]
            wanted += [(PHOTO, f"{photo_list}_filelist_{ending}", i) for i in range(n)]
            if ending == "train":
                held_out = range(HELD_OUT, HELD_OUT + (n + 1) // 2)
                wanted += [(SKETCH, f"{sketch_list}_filelist_test", i) for i in held_out]
            for label, name in enumerate(classes):
                for domain, file, i in wanted:
                    path = path_of(name, domain, i)
                    self.image(path, name, domain, i)
                    lists.setdefault(file, []).append(f"{path} {label}")
        for file, lines in lists.items():
            files.write_text(self.folder / split / f"{file}.txt", "".join(f"{line}\n" for line in lines))


def _tuberlin(name: str, domain: int, i: int) -> str:
    return f"png_ready/{name}/{i + 1}.png" if domain == SKETCH else f"ImageResized_ready/{name}/n{i:08d}_{i}.JPEG"


def _sketchy(name: str, domain: int, i: int) -> str:
    ready, stem = "tx_000000000000_ready", f"n00000000_{i}"
    if domain == SKETCH:
        return f"256x256/sketch/{ready}/{name}/{stem}-1.png"
    return f"EXTEND_image_sketchy_ready/{name}/{stem}.jpg" if i % 2 else f"256x256/photo/{ready}/{name}/{stem}.jpg"
