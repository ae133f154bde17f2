"""Data sets by name or by folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .. import paths
from ..errors import ConfigError, DataError, near_misses
from . import folders, lists
from .dataset import PHOTO, Dataset, OriginalDomain
from .images import is_image_name
from .listing import Listed, assemble, fingerprint_of, image_set
from .packing import pack_images
from .splits import MIN_PHOTOS


@dataclass(frozen=True)
class _Known:
    folders: tuple[str, ...]  # names it may have in one of paths.data_places()
    what: str  # to get
    layout: str  # of the folder


KNOWN = {
    "sketchy-125x25": _Known(
        ("sketchy-125x25",),
        "the real subset of 25 sketches and 25 photos a class of the Sketchy database",
        "zeroshot1/*.txt, 256x256/photo/tx_000000000000_ready/<class>/*.jpg, "
        "256x256/sketch/tx_000000000000_ready/<class>/*.png",
    ),
    "sketchy": _Known(
        ("Sketchy", "sketchy"),
        "the Sketchy database (256x256), its photo extension and the lists of the official SAKE code",
        "zeroshot1/*.txt, 256x256/photo/tx_000000000000_ready/<class>/*.jpg, "
        "256x256/sketch/tx_000000000000_ready/<class>/*.png, EXTEND_image_sketchy_ready/<class>/*.jpg",
    ),
    "tuberlin": _Known(
        ("TUBerlin", "TU-Berlin", "tuberlin"),
        "the TU-Berlin sketches, the photos of their extension and the lists of the official SAKE code",
        "zeroshot/*.txt, png_ready/<class>/*.png, ImageResized_ready/<class>/*.JPEG",
    ),
    "tiny-imagenet-40": _Known(
        ("tiny-imagenet-40",),
        "labelled ImageNet photos in the layout of an ImageFolder",
        "train/<wnid>/*.JPEG, val/<wnid>/*.JPEG",
    ),
}
_HELP = {
    "sketchy-125x25": "`sakerepro data subset sketchy --per-class 25` makes it out of the full Sketchy data.",
    "sketchy": "`sakerepro data fetch sketchy` downloads it where its source still is, after asking.",
    "tuberlin": "`sakerepro data fetch tuberlin` downloads it where its source still is, after asking.",
}
_ORIGINAL = ("tiny-imagenet-40",)


def load_dataset(name: str | Path, split: str | None = None, *, size: int = 224, dedupe: bool = False,
                 root: Path | str | None = None, progress: bool = True, seed: int = 0, n_unseen: int | None = None,
                 min_photos: int = MIN_PHOTOS) -> Dataset:  # fmt: skip
    """A zero-shot retrieval task: its five image sets, decoded once and memory-mapped ever after.

    Args:
        name: ``"mini"`` (the generated world), ``"sketchy-125x25"``, ``"sketchy"``, ``"tuberlin"``, or a folder: either
            in the list format of the official code, or ``photo/<class>/*`` with ``sketch/<class>/*``.
        split: a folder of lists such as ``"zeroshot1"``; for a plain folder ``"unseen.txt"`` or ``"random"``.
            ``None`` for the usual one.
        size: side of the packed images; the size of the network's input, or a little more.
        dedupe: drop the photos that Sketchy's lists hold twice.
        root: the data set's folder, if it is not in one of ``paths.data_places()``.
        progress: show a bar while images are packed.
        seed: of the generated world, and of a plain folder's random split and validation sketches.
        n_unseen, min_photos: of a plain folder's random split: how many classes (a fifth), with how many photos each.

    Raises:
        ConfigError: for an unknown name or split, with the closest known ones.
        DataError: if the data is missing (what to get, and where to put it), or not what it has to be.
    """
    if not isinstance(size, int) or size < 1:
        raise ConfigError(f"size = {size!r} has to be a whole number of pixels, at least 1.")
    if name == "mini":
        from .world import load_world

        if split not in (None, "zeroshot"):
            raise ConfigError(f"the generated world has no split {split!r}. Known: zeroshot.")
        return load_world(size, seed, progress=progress)
    folder = _locate(str(name), root, [n for n in KNOWN if n not in _ORIGINAL])
    label = str(name) if name in KNOWN else folder.resolve().name
    if lists.split_names(folder) or not folders.is_plain(folder):
        listing = lists.read_split(folder, split, name=label, dedupe=dedupe)
    else:
        listing = folders.read_folder(folder, split, seed=seed, n_unseen=n_unseen, min_photos=min_photos)
    return assemble(listing, size, progress)


def load_original(name: str | Path, size: int, *, root: Path | str | None = None, progress: bool = True, seed: int = 0,
                  per_class: int | None = None) -> OriginalDomain:  # fmt: skip
    """Labelled photos of the original domain.

    Args:
        name: ``"mini"``, ``"tiny-imagenet-40"``, or a folder with ``train/<wnid>/*`` and ``val/<wnid>/*``.
        size: side of the packed images.
        root: the folder of ``"tiny-imagenet-40"``, or the one that holds it, if it is not in one of
            ``paths.data_places()``.
        progress: show a bar while images are packed or drawn.
        seed: of the generated world; photos from a folder do not depend on it.
        per_class: only the first so many training photos of each class, by name (ImageNet has 1,300).

    Raises:
        ConfigError, DataError: as :func:`load_dataset`.
    """
    if name == "mini":
        from .world import load_world_original

        return load_world_original(size, seed, progress=progress)
    folder = _locate(str(name), root, list(_ORIGINAL))
    train, wnids = _image_folder(folder / "train", per_class)
    val, val_wnids = _image_folder(folder / "val", None)
    if odd := sorted(set(wnids) ^ set(val_wnids)):
        raise DataError(f"{folder}: class {odd[0]} is in only one of train/ and val/ ({len(odd)} such). Both need all.")
    label = str(name) if name in KNOWN else folder.resolve().name
    pack = pack_images(folder, [*train.names, *val.names], size, progress=progress)
    sets = [image_set(pack, part, PHOTO) for part in (train, val)]
    fingerprint = fingerprint_of(size, [wnids], sets, [pack.sha256[s.rows] for s in sets])
    return OriginalDomain(label, wnids, sets[0], sets[1], fingerprint)


def find_folder(name: str) -> Path:
    """The folder of a data set that :func:`load_dataset` knows by name, or the named folder itself.

    Raises:
        ConfigError, DataError: as :func:`load_dataset`.
    """
    return _locate(name, None, [n for n in KNOWN if n not in _ORIGINAL])


def _locate(name: str, root: Path | str | None, known: list[str]) -> Path:
    """The folder of a named data set, or the named folder itself."""
    if root is not None:
        root = Path(root).expanduser()
        inside = [root / f for f in KNOWN[name].folders] if name in known else []
        found = next((f for f in [*inside, root] if f.is_dir()), None)
        if found is None:
            raise DataError(f"{root}: is not there, or not a folder. Name the folder that holds {name!r}.")
        return found
    if name in known:
        return paths.find_data(*KNOWN[name].folders) or _not_here(name)
    if Path(name).expanduser().is_dir():
        return Path(name).expanduser()
    if "/" in name or "\\" in name:
        raise DataError(f"{name}: is not there, or not a folder. Check the path.")
    raise ConfigError(f"data set {name!r} is unknown, and no folder. {near_misses(name, ['mini', *known])}")


def _not_here(name: str) -> Path:
    entry = KNOWN[name]
    places = "\n".join(f"    {place / f}" for place in paths.data_places() for f in entry.folders)
    raise DataError(
        f"data set {name!r} is not here. Looked for\n{places}\n"
        f"  Get {entry.what}, and put it at {paths.shown(paths.data() / entry.folders[0])}: {entry.layout}.\n"
        f"  Or name the folder that holds {entry.folders[0]} with SAKEREPRO_REAL_DATA or SAKEREPRO_DATA.\n"
        f"  {_HELP.get(name, '')}".rstrip()
    )


def _image_folder(folder: Path, per_class: int | None) -> tuple[Listed, tuple[str, ...]]:
    """The files of ``folder/<wnid>/**``, relative to the folder's parent, and the wnids in order."""
    if not folder.is_dir():
        raise DataError(f"{folder}: is not there. The original domain is train/<wnid>/* and val/<wnid>/*.")
    classes = sorted(f.name for f in folder.iterdir() if f.is_dir() and not f.name.startswith("."))
    if odd := [c for c in classes if not re.fullmatch(r"n\d{8}", c)]:
        raise DataError(f"{folder / odd[0]}: is not named by a WordNet id such as n02084071 ({len(odd)} such folders).")
    names: list[str] = []
    labels: list[int] = []
    for label, wnid in enumerate(classes):
        inside = [n for n in folders.files_below(folder / wnid) if is_image_name(n)][:per_class]
        if not inside:
            raise DataError(f"{folder / wnid}: holds no image. Add some, or remove the class from train/ and val/.")
        names += [f"{folder.name}/{wnid}/{n}" for n in inside]
        labels += [label] * len(inside)
    if not names:
        raise DataError(f"{folder}: holds no class folder. The original domain is train/<wnid>/* and val/<wnid>/*.")
    return Listed(tuple(names), np.array(labels, np.int64)), tuple(classes)
