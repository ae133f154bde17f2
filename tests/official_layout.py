"""Generated images in the two layouts of the official SAKE code: its folders and its lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.world.draw import HELD_OUT
from sakerepro.world.files import write_image


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
                write_image(folder / path, name, domain, i, size)
                lists.setdefault(file, []).append(f"{path} {label}")
    (folder / (split or usual)).mkdir()
    for file, lines in lists.items():
        (folder / (split or usual) / f"{file}.txt").write_text("".join(f"{line}\n" for line in lines))
    return folder


def _tuberlin(name: str, domain: int, i: int) -> str:
    return f"png_ready/{name}/{i + 1}.png" if domain == SKETCH else f"ImageResized_ready/{name}/n{i:08d}_{i}.JPEG"


def _sketchy(name: str, domain: int, i: int) -> str:
    ready, stem = "tx_000000000000_ready", f"n00000000_{i}"
    if domain == SKETCH:
        return f"256x256/sketch/{ready}/{name}/{stem}-1.png"
    return f"EXTEND_image_sketchy_ready/{name}/{stem}.jpg" if i % 2 else f"256x256/photo/{ready}/{name}/{stem}.jpg"
