"""``check`` and ``data``: report contents and problems of a data set; fetch, pack and subset data sets."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import paths
from ..data import lists
from ..data.dataset import SKETCH
from ..data.fetch import fetch_dataset
from ..data.registry import find_folder, load_dataset
from ..data.subset import write_subset
from .common import print_json

SHOWN = 20  # problems and classes that `check` shows without --all


def check(arguments: argparse.Namespace) -> int:
    """Report on a data set; the exit code is 3 if it has a problem."""
    from ..apps.check import check

    report = check(arguments.data, arguments.split, images=not arguments.quick, progress=not arguments.json)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(report.to_text(None if arguments.all else SHOWN))
    return 3 if report.problems else 0


def fetch(arguments: argparse.Namespace) -> None:
    """Download and unpack a data set."""
    print(fetch_dataset(arguments.name, url=arguments.url, archive=arguments.archive, yes=arguments.yes))


def example(arguments: argparse.Namespace) -> None:
    """Write generated images as a folder to train on."""
    from ..world.example import example_folder

    folder = paths.shown(example_folder(arguments.folder))
    print(f"{folder}: 18 classes, 16 photos and 16 sketches each. Next: sakerepro check {folder}")


def pack(arguments: argparse.Namespace) -> None:
    """Decode the images of a data set, or write it with its weights to one file."""
    if arguments.to:
        from ..apps.carry import carry

        file = carry(arguments.data, Path(arguments.to), arguments.size)
        print(f"{file}: {file.stat().st_size / 1e6:.1f} MB")
        return
    data = load_dataset(arguments.data, size=arguments.size, min_photos=arguments.min_photos, verify=arguments.verify)
    for what, pixels in (("photos", data.gallery.pixels), ("sketches", data.query.pixels)):
        print(f"{what}: {len(pixels):,} images of {arguments.size} px, {pixels.nbytes / 1e6:,.1f} MB")
    print(f"{data.name} is packed; any split of it starts at once.")


def subset(arguments: argparse.Namespace) -> None:
    """Write the first images of every class."""
    root = find_folder(arguments.data)
    classes = {name.rpartition("/")[0] for name in lists.listed_names(root)[SKETCH]}
    label = arguments.data if Path(arguments.data).name == arguments.data else root.resolve().name
    to = Path(arguments.to) if arguments.to else paths.data() / f"{label}-{len(classes)}x{arguments.per_class}"
    folder = write_subset(root, to, arguments.per_class, arguments.size)
    print(f"{paths.shown(folder)}: {sum(1 for _ in folder.rglob('*.*'))} files")
