"""``index`` and ``query``: search photos of your own with sketches."""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, DataError
from .common import print_json, print_table

if TYPE_CHECKING:
    import numpy as np

    from ..apps.photos import Collection
    from ..runs import Run


def add(commands: Any) -> None:
    """Register the commands of this module."""
    index = commands.add_parser(
        "index",
        help="embed a folder of photos, to search it with sketches",
        description="Embed every photo below a folder, with the network that ships with the package or that of a "
        "finished run. A second call embeds new and changed files only and drops removed ones; an interrupted one goes "
        "on. The index is a folder of plain files that can be copied.",
        epilog="example: sakerepro index my-photos",
    )
    index.add_argument("photos", metavar="PHOTOS", help="folder; sub-folders are searched too")
    index.add_argument(
        "--run", default="", help="id of a run (a part of it is enough), or its folder [the package's own network]"
    )
    index.add_argument("--to", help="the index's folder; by default collections/<PHOTOS>-<run>")
    index.add_argument(
        "--dtype", choices=("float16", "float32"), default="float16", help="type of the embeddings [float16]"
    )
    index.add_argument(
        "--verify", action="store_true", help="read every photo again: finds changes that length and date do not show"
    )
    index.add_argument("--json", action="store_true", help="for scripts")
    index.set_defaults(function=_index)

    query = commands.add_parser(
        "query",
        help="find the photos of an index that are nearest to sketches",
        description="Find the photos nearest to each sketch. Files that are no readable sketch are named and skipped.",
        epilog="example: sakerepro query sketch.png more-sketches -k 3 --sheet found.png",
    )
    query.add_argument(
        "sketch", nargs="+", metavar="SKETCH", help="image files, Quick, Draw! files (.ndjson), or folders of them"
    )
    query.add_argument("--index", help="the index's folder, or any part of its name; by default the only one there is")
    query.add_argument("--photos", help="where the photos are now, if they have moved since they were indexed")
    query.add_argument("--run", help="the run, if it is not found by the id in the index")
    query.add_argument("-k", type=int, default=10, help="number of photos for each sketch [10]")
    query.add_argument("--codes", action="store_true", help="compare binary codes instead of embeddings")
    query.add_argument(
        "--approximate", action="store_true", help="for millions of photos: misses some of the nearest, says what share"
    )
    query.add_argument("--photo", action="store_true", help="the queries are photos, not sketches")
    query.add_argument("--sheet", metavar="PNG", help="also write a contact sheet")
    query.add_argument("--csv", metavar="FILE", help="also write a table: sketch, rank, photo, path, distance")
    query.add_argument("--json", action="store_true", help="for scripts")
    query.set_defaults(function=_query)


def _index(arguments: argparse.Namespace) -> None:
    import dataclasses

    from .. import paths
    from ..apps.photos import index_photos
    from ..data.folders import left_out_text
    from ..runs import named_run

    run = named_run(arguments.run)
    made, changes = index_photos(
        arguments.photos,
        run,
        arguments.to,
        dtype=arguments.dtype,
        verify=arguments.verify,
        progress=not arguments.json,
    )
    size = sum(f.stat().st_size for f in made.folder.iterdir())
    if arguments.json:
        print_json(
            {
                "index": str(made.folder),
                "run": made.run,
                "photos": len(made),
                **dataclasses.asdict(changes),
                "bytes": size,
                "bad_files": made.bad,
            }
        )
        return
    for name, why in list(made.bad.items())[:20]:
        print(f"Skipped {name}: {why}")
    if changes.left_out:
        print(left_out_text(changes.left_out))
    print(
        f"{len(made):,} photos: {changes.added:,} embedded now, {changes.kept:,} kept, {changes.removed:,} removed, "
        f"{changes.bad:,} bad ones skipped."
    )
    print(f"{paths.shown(made.folder)}: {size / 1e6:.1f} MB, embedded by {made.run}")


def _query(arguments: argparse.Namespace) -> None:
    import dataclasses

    from .. import paths
    from ..apps.approximate import recall
    from ..apps.photos import named_collection, query
    from ..data.dataset import PHOTO, SKETCH

    if arguments.k < 1:
        raise ConfigError(f"-k {arguments.k}: has to be at least 1.")
    found = named_collection(arguments.index)
    if arguments.photos:
        found = dataclasses.replace(found, root=Path(arguments.photos).expanduser().resolve())
    domain = PHOTO if arguments.photo else SKETCH
    asked: list[str] = []
    run = _run_of(found, arguments.run)
    rows, distances = query(
        found,
        run,
        _images(arguments.sketch, found.size, domain, asked),
        arguments.k,
        codes=arguments.codes,
        approximate=arguments.approximate,
        domain=domain,
    )
    share = {}
    if arguments.approximate:
        k = min(arguments.k, len(found))
        share["recall"], n = recall(found.folder, run, k, domain)
        kind = "photos" if arguments.photo else "sketches"
        text = (
            f"approximate: finds {100 * share['recall']:.1f} % of the exact {k} nearest ({n} unseen {kind} of the run)"
        )
        print(text, file=sys.stderr)
    hits = [
        [(found.names[r], float(d)) for r, d in zip(*pair, strict=True)] for pair in zip(rows, distances, strict=True)
    ]
    if gone := [n for n in dict.fromkeys(n for h in hits for n, _ in h) if not (found.root / n).is_file()]:
        text = (
            f"sakerepro: {len(gone)} of the photos found are not in {found.root}, such as {gone[0]}. If they have "
            "moved, name the folder where they are with --photos; `sakerepro index` brings the index up to date."
        )
        print(text, file=sys.stderr)
    if arguments.sheet:
        from ..apps.contact_sheet import contact_sheet

        captions = [[(found.root / n, f"{i}. {d:.3g}\n{n}") for i, (n, d) in enumerate(h, 1)] for h in hits]
        contact_sheet(Path(arguments.sheet), [Path(s) for s in asked], captions)
    if arguments.csv:
        _write_csv(Path(arguments.csv), found.root, asked, hits)
    if arguments.json:
        print_json(
            [
                {
                    "sketch": s,
                    **share,
                    "found": [
                        {"rank": i, "photo": n, "path": str(found.root / n), "distance": d}
                        for i, (n, d) in enumerate(h, 1)
                    ],
                }
                for s, h in zip(asked, hits, strict=True)
            ]
        )
        return
    root = Path(paths.shown(found.root))
    for sketch, row in zip(asked, hits, strict=True):
        print(sketch)
        shown = [
            [f"  {i}", f"{d:g}" if arguments.codes else f"{d:.4f}", str(root / n)] for i, (n, d) in enumerate(row, 1)
        ]
        print_table(["rank", "bits" if arguments.codes else "distance", "photo"], shown, left=3)
    if arguments.sheet:
        print(f"Contact sheet: {arguments.sheet}")
    if arguments.csv:
        print(f"Table: {arguments.csv}")


def _images(names: Sequence[str], size: int, domain: int, asked: list[str]) -> Iterator[np.ndarray]:
    """The images in files and folders, (size, size, C) each, and each drawing in a file of drawings.

    The path of each goes into ``asked``; bad files and lines are named on stderr and skipped.

    Raises:
        DataError: if no image can be read; the error of the first file.
    """
    from ..data.dataset import SKETCH
    from ..data.folders import left_out_text, walk
    from ..data.images import decode, read_bytes
    from ..data.quickdraw import contents, is_drawings, lines

    files: dict[str, None] = {}
    notices: list[str] = []
    errors: list[DataError] = []
    for name in names:
        if Path(name).is_dir():
            inside = walk(Path(name), drawings=True)
            files |= dict.fromkeys(str(Path(name, n)) for n in inside.images)
            notices += [f"Skipped {name}/{n}: {why}" for n, why in inside.refused.items()]
            notices += filter(None, [left_out_text(inside.left_out)])
            continue
        try:
            files |= dict.fromkeys([f"{name}:{n}" for n, _ in lines(Path(name))] if is_drawings(name) else [name])
        except DataError as error:
            errors.append(error)
    listed = list(files)
    for i, line in contents(Path(), listed):
        try:
            image = decode(line or read_bytes(listed[i]), size, listed[i], drawn=domain == SKETCH)
        except DataError as error:
            errors.append(error)
            continue
        asked.append(listed[i])
        yield image
    notices += [f"Skipped {error}" for error in errors]
    if not asked:
        raise errors[0] if errors else DataError(f"{', '.join(names)}: holds no image. {' '.join(notices)}".rstrip())
    for notice in notices:
        print(f"sakerepro: {notice}", file=sys.stderr)


def _write_csv(file: Path, root: Path, asked: Iterable[str], hits: Sequence[Sequence[tuple[str, float]]]) -> None:
    from ..files import write_text

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["sketch", "rank", "photo", "path", "distance"])
    for sketch, found in zip(asked, hits, strict=True):
        table.writerows([sketch, rank, name, root / name, f"{d:.6g}"] for rank, (name, d) in enumerate(found, 1))
    write_text(file, text.getvalue())


def _run_of(found: Collection, name: str | None) -> Run:
    from ..runs import named_run

    return named_run(name or found.run)
