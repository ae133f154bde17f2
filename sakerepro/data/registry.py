"""Data sets by name or by folder."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from .. import inputs, paths
from ..errors import ConfigError, DataError, near_misses
from ..files import lines, read_json
from . import folders, lists, places
from .dataset import PHOTO, SKETCH, Dataset, ImageSet, OriginalDomain
from .images import decode
from .known import Known, class_key, datasets, records
from .listing import Problem, assemble, fingerprint_of, image_set, listed, unread
from .packing import pack_images
from .quickdraw import is_drawings, parse
from .splits import MIN_PHOTOS


def load_dataset(
    name: str | Path,
    split: str | None = None,
    *,
    size: int = 224,
    dedupe: bool = False,
    progress: bool = True,
    seed: int = 0,
    min_photos: int = MIN_PHOTOS,
    verify: bool = False,
    pack: bool = True,
) -> Dataset:
    """Load a zero-shot retrieval task: five image sets, decoded once and memory-mapped from then on.

    Args:
        name: ``"mini"`` (the generated world), ``"sketchy-125x25"``, ``"sketchy"``, ``"tuberlin"``, another data set
            with a record in a ``known.toml`` (:class:`~sakerepro.data.known.Known`), or a folder: either in the list
            format of the official code, or ``photo/<class>/*`` with ``sketch/<class>/*``.
        split: a folder of lists such as ``"zeroshot1"``; for a plain folder ``"unseen.txt"`` or ``"random"``.
            ``None`` for the default.
        size: side of the packed images; the size of the network's input, or a little more.
        dedupe: drop the second copy of photos that Sketchy's lists hold twice.
        seed: seed for the generated world, and for a plain folder's random split and validation sketches.
        min_photos: fewest photos of each unseen class in such a split, a fifth of its classes.
        verify: compare decoded images with the checksums of all files, not only with their sizes and times.
        pack: ``False`` gives white pixels and reads no image of a folder; to check settings, names, labels and classes
            are enough.

    Raises:
        ConfigError: for an unknown name or split, with the closest known ones.
        DataError: if the data is missing (with what to get and where to put it) or wrong.
    """
    inputs.whole(size, "size", 1)
    inputs.whole(min_photos, "min_photos", 0)
    record = datasets().get(str(name))
    if record and record.reader:
        if split not in (None, *record.splits):
            raise ConfigError(f"{record.title} has no split {split!r}. {near_misses(str(split), record.splits)}")
        return record.named("reader")(size, seed, progress=progress)
    folder = find_folder(name)
    label = record.name if record else folder.resolve().name
    split = record.splits[0] if split is None and record and record.splits else split
    if lists.split_names(folder) or not folders.is_plain(folder):
        listing = lists.read_split(folder, split, name=label, dedupe=dedupe)
    else:
        listing = folders.read_folder(folder, split, seed=seed, min_photos=min_photos)
    return assemble(listing, size, progress, verify) if pack else unread(listing, size)


def load_original(
    name: str | Path,
    size: int,
    *,
    progress: bool = True,
    seed: int = 0,
    per_class: int | None = None,
) -> OriginalDomain:
    """Labelled photos of the original domain.

    Args:
        name: ``"mini"``, ``"imagenet"``, ``"tiny-imagenet-40"``, another one with a record, or a folder with
            ``train/<wnid>/*`` and ``val/<wnid>/*``.
        seed: seed for the generated world; photos from a folder do not depend on it.
        per_class: at most so many training photos of a class, the first by name; ``None``: the number in its record
            (100 of ImageNet's 1,300), else all.

    Raises:
        ConfigError, DataError: as :func:`load_dataset`.
    """
    tasks, originals = datasets(), records("originals")
    if (record := tasks.get(str(name))) and record.original_reader:
        return record.named("original_reader")(size, seed, progress=progress)
    folder = find_folder(name, originals)
    record = originals.get(str(name))
    per_class = inputs.whole(per_class or 0, "per_class", 0) or (record.per_class if record else 0) or None
    left_out: folders.LeftOut = defaultdict(list)
    train, val = (_image_folder(folder, part, left_out) for part in ("train", "val"))
    if unpaired := sorted(train.keys() ^ val.keys()):
        raise DataError(
            f"{folder}: class {unpaired[0]} is in only one of train/ and val/ ({len(unpaired)} such). Both need it."
        )
    label = record.name if record else folder.resolve().name
    wnids = tuple(train)
    parts = [listed({c: train[c][:per_class] for c in wnids}, wnids), listed(val, wnids)]
    names = [name for part in parts for name in part.names]
    pack = pack_images(folder, names, size, progress=progress, note=folders.left_out_text(left_out))
    sets = [image_set(pack, part, PHOTO) for part in parts]
    fingerprint = fingerprint_of(size, [wnids], sets, [pack.sha256[s.rows] for s in sets])
    return OriginalDomain(label, wnids, sets[0], sets[1], fingerprint)


def load_drawings(dataset: str, classes: Sequence[str], size: int) -> ImageSet:
    """Doodles for a task: the first 25 drawings of each class that Quick, Draw! has too.

    A file ``<data set>_classes.json`` beside the drawings (``sketchy_classes.json`` for ``sketchy-125x25``, too) gives
    Quick, Draw!'s name of each class; other classes have no drawings. Without this file, equal names are one class.
    Drawings that the game did not recognise are included. The generated world has drawings of its own.

    Args:
        dataset: name of the task's data set.
        classes: of the task; labels index them.

    Raises:
        DataError: if the drawings are missing (with what to get and where to put it) or wrong.
    """
    return _drawings(find_drawings(dataset), dataset, tuple(classes), size)


@lru_cache(maxsize=4)  # the runs of an item have the same drawings as queries
def _drawings(folder: Path | None, dataset: str, classes: tuple[str, ...], size: int) -> ImageSet:
    quickdraw = records("drawings")["quickdraw"]
    if folder is None:
        words = {c: c for c in classes}
        drawings: Iterable[tuple[str, bytes]] = datasets()[dataset].named("drawings_reader")()
    else:
        table = folder / f"{Path(dataset).name.partition('-')[0]}_classes.json"
        words = read_json(table) if table.is_file() else {c: c for c in classes}
        if not isinstance(words, dict) or not all(isinstance(word, str) for word in words.values()):
            raise DataError(f'{table}: has to be one JSON object of names, such as {{"songbird": "bird"}}.')
        files = sorted(f for f in folder.iterdir() if is_drawings(f.name))
        drawings = ((f"{f}:{number}", line) for f in files for number, line in lines(f))
    label_of = {class_key(word): label for label, word in enumerate(map(words.get, classes)) if word}
    taken: dict[int, list[tuple[str, np.ndarray]]] = {label: [] for label in label_of.values()}
    for name, line in drawings:
        drawing = parse(line, name)
        label = label_of.get(class_key(drawing.word))
        if label is not None and len(taken[label]) < quickdraw.per_class:
            taken[label].append((name, decode(line, size, name)))
    if not any(taken.values()):
        raise DataError(
            f"{quickdraw.title} has none of the {len(classes)} classes of {dataset}, such as {classes[0]!r}."
        )
    names, images = zip(*(one for many in taken.values() for one in many), strict=True)
    labels = np.repeat(list(taken), [len(many) for many in taken.values()])
    return ImageSet(np.stack(images), np.arange(len(images)), labels, names, SKETCH)


def find_drawings(dataset: str) -> Path | None:
    """The folder of Quick, Draw!; ``None`` for a data set with its own drawings. Raises as :func:`load_drawings`."""
    task = datasets().get(dataset)
    return None if task and task.drawings_reader else find_folder("quickdraw", records("drawings"))


def find_folder(name: str | Path, known: Mapping[str, Known] | None = None) -> Path:
    """The folder of a data set with a record, or the folder of that name.

    Args:
        name: as in :func:`load_dataset`.
        known: the records by name; ``None`` for those of the tasks.

    Raises:
        ConfigError, DataError: as :func:`load_dataset`.
    """
    inputs.path(name, "name")
    name = str(name)
    known = datasets() if known is None else known
    record = known.get(name)
    if record and record.reader:
        raise ConfigError(f"{name} is no folder of files but the {record.title}. Name another data set, or a folder.")
    if record:
        if folder := places.find_data(*record.folders):
            return folder
        raise DataError(_not_here(record))
    if (folder := paths.expanded(name)).is_dir():
        return folder
    if "/" in name or "\\" in name:
        raise DataError(f"{name}: is not there, or not a folder. Check the path.")
    raise ConfigError(f"data set {name!r} is unknown, and no folder. {near_misses(name, list(known))}")


def _not_here(record: Known) -> str:
    searched = "\n".join(f"    {place / f}" for place in places.data_places() for f in record.folders)
    return (
        f"data set {record.name!r} is not here. Looked for\n{searched}\n"
        f"  Get {record.get or 'it'}, and put it at {paths.shown(paths.data() / record.folders[0])}"
        f"{': ' * bool(record.layout)}{record.layout}.\n"
        f"  Or name the folder that holds {record.folders[0]} with SAKEREPRO_REAL_DATA or SAKEREPRO_DATA.\n"
        f"  {record.hint}".rstrip()
    )


def _image_folder(root: Path, part: str, left_out: folders.LeftOut) -> dict[str, list[str]]:
    """The files of ``root/part/<wnid>/**`` by wnid, relative to ``root``; both sorted."""
    problems: list[Problem] = []
    layout = "The original domain is train/<wnid>/* and val/<wnid>/*."
    by_wnid = folders.class_folders(root, part, problems, left_out, layout)
    for place in (root / part / name for name in by_wnid if not re.fullmatch(r"n\d{8}", name)):
        raise DataError(f"{place}: is not named by a WordNet id such as n02084071. Rename or remove it.")
    if problems:
        raise DataError(str(problems[0]))
    return by_wnid
