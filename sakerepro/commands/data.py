"""``data``: get, check, pack and cut the data sets; ``weights``: pretrained networks."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from . import check


def add(commands: Any) -> None:
    """Register the commands of this module."""
    actions = commands.add_parser("data", help="fetch, check, pack or subset the real data sets").add_subparsers(
        dest="action", required=True, metavar="ACTION"
    )
    fetch = actions.add_parser(
        "fetch",
        help="download and unpack a data set, after asking; an interrupted download is continued",
        description="Download a data set from the sources that the official code and the authors of the data name, "
        "after asking, and unpack it safely. The same command continues an interrupted download. If a source is gone, "
        "the command says what to place where.",
        epilog="example: sakerepro data fetch sketchy",
    )
    fetch.add_argument("name", metavar="DATA", help="sketchy, tuberlin, or another data set with a record")
    fetch.add_argument("--yes", action="store_true", help="do not ask")
    fetch.add_argument("--archive", help="a local copy of the archive, instead of a download")
    fetch.add_argument("--url", default="", help="another address of the archive")
    fetch.set_defaults(function=_fetch)

    check.add_arguments(
        actions.add_parser(
            "check", help="the same as `sakerepro check`", epilog="example: sakerepro data check sketchy --quick"
        )
    )

    example = actions.add_parser(
        "example",
        help="write generated photos and sketches as a folder to train on",
        description="Write photo/<class>/*, sketch/<class>/* and unseen.txt: 18 generated classes of 16 photos and 16 "
        "sketches. They show what a folder of your own has to be, and how training on it goes.",
        epilog="example: sakerepro data example my-folder",
    )
    example.add_argument("folder", metavar="DIR", help="a new folder")
    example.set_defaults(function=_example)

    pack = actions.add_parser(
        "pack",
        help="decode the images of a data set ahead of the first run",
        epilog="example: sakerepro data pack sketchy --size 224",
    )
    pack.add_argument("data", metavar="DATA", help="a folder, or a known data set such as sketchy")
    pack.add_argument("--size", type=int, default=224, help="side in pixels, as in `train --size` [224]")
    pack.add_argument("--min-photos", type=int, default=1, help="fewest photos of a random unseen class [1]")
    pack.add_argument("--verify", action="store_true", help="compare packed images with the checksums of all files")
    pack.add_argument(
        "--to",
        metavar="FILE",
        help="write the data and its preset's weights to one file of at most 36 MB; "
        "SAKEREPRO_REAL_DATA and `make DATA=FILE` take this file in place of a folder",
    )
    pack.set_defaults(function=_pack)

    subset = actions.add_parser(
        "subset",
        help="the first photos and sketches of every class, resized: the input of the preset small",
        description="`sakerepro data subset sketchy --per-class 25` makes sketchy-125x25, the input of the preset "
        "small. It takes the first files of every class, by name, from the files of all splits (without photos of the "
        "extension), resizes them to 224 px, and filters the official lists to them.",
        epilog="example: sakerepro data subset sketchy --per-class 25",
    )
    subset.add_argument("data", metavar="DATA", help="sketchy, tuberlin or a folder with lists")
    subset.add_argument("--per-class", type=int, default=25, help="number of photos and of sketches per class [25]")
    subset.add_argument("--size", type=int, default=224, help="side in pixels [224]")
    subset.add_argument("--to", help="a new folder; by default data/<name>-<classes>x<per class>")
    subset.set_defaults(function=_subset)


def _fetch(arguments: argparse.Namespace) -> None:
    from ..data.fetch import fetch_dataset

    print(fetch_dataset(arguments.name, url=arguments.url, archive=arguments.archive, yes=arguments.yes))


def _example(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..world.example import example_folder

    made = paths.shown(example_folder(arguments.folder))
    print(f"{made}: 18 classes, 16 photos and 16 sketches each. Next: sakerepro check {made}")


def _pack(arguments: argparse.Namespace) -> None:
    from ..data import load_dataset

    if arguments.to:
        from ..apps.carry import carry

        made = carry(arguments.data, Path(arguments.to), arguments.size)
        print(f"{made}: {made.stat().st_size / 1e6:.1f} MB")
        return
    data = load_dataset(arguments.data, size=arguments.size, min_photos=arguments.min_photos, verify=arguments.verify)
    for what, pixels in (("photos", data.gallery.pixels), ("sketches", data.query.pixels)):
        print(f"{what}: {len(pixels):,} images of {arguments.size} px, {pixels.nbytes / 1e6:,.1f} MB")
    print(f"{data.name} is packed; any split of it starts at once.")


def _subset(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..data import lists
    from ..data.registry import find_folder
    from ..data.subset import write_subset

    root = find_folder(arguments.data)
    classes = {
        c
        for split in lists.split_names(root)
        for listing in [lists.examine_split(root, split, images=False)[0]]
        for c in (*listing.seen, *listing.unseen)
    }
    label = arguments.data if Path(arguments.data).name == arguments.data else root.resolve().name
    to = Path(arguments.to) if arguments.to else paths.data() / f"{label}-{len(classes)}x{arguments.per_class}"
    made = write_subset(root, to, arguments.per_class, arguments.size)
    print(f"{paths.shown(made)}: {sum(1 for _ in made.rglob('*.*'))} files")
