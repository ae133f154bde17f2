"""``index`` and ``query``: search photos of your own with sketches."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .. import paths
from ..apps.approximate import recall
from ..apps.photos import contact_sheet, index_photos, named_collection
from ..apps.photos import query as nearest
from ..data.dataset import PHOTO, SKETCH
from ..data.folders import left_out_text, walk
from ..data.packing import read_images
from ..data.quickdraw import is_drawings, lines
from ..errors import ConfigError, DataError
from ..files import write_text
from ..runs import named_run
from .common import print_json, print_table


def index(arguments: argparse.Namespace) -> None:
    """Make or update the index of a folder of photos."""
    choices = {"dtype": arguments.dtype, "verify": arguments.verify, "progress": not arguments.json}
    photos, changes = index_photos(arguments.photos, named_run(arguments.run), arguments.to, **choices)
    size = sum(f.stat().st_size for f in photos.folder.iterdir())
    if arguments.json:
        about = {"index": str(photos.folder), "run": photos.run, "photos": len(photos)}
        print_json({**about, **dataclasses.asdict(changes), "bytes": size, "bad_files": photos.bad})
        return
    for name, why in list(photos.bad.items())[:20]:
        print(f"Skipped {name}: {why}")
    if changes.left_out:
        print(left_out_text(changes.left_out))
    print(
        f"{len(photos):,} photos: {changes.added:,} embedded now, {changes.kept:,} kept, {changes.removed:,} removed, "
        f"{changes.bad:,} bad ones skipped."
    )
    print(f"{paths.shown(photos.folder)}: {size / 1e6:.1f} MB, embedded by {photos.run}")


def query(arguments: argparse.Namespace) -> None:
    """Find the photos nearest to sketches; show them, and write a contact sheet and a table if asked for."""
    if arguments.k < 1:
        raise ConfigError(f"-k {arguments.k}: has to be at least 1.")
    photos = named_collection(arguments.index)
    root = paths.expanded(arguments.photos).resolve() if arguments.photos else photos.root
    run, domain, sketches = named_run(arguments.run or photos.run), PHOTO if arguments.photo else SKETCH, list[str]()
    images = _images(arguments.sketch, photos.size, domain, sketches)
    choices = {"codes": arguments.codes, "approximate": arguments.approximate, "domain": domain}
    answers = zip(*nearest(photos, run, images, arguments.k, **choices), strict=True)
    rankings = [
        [(rank, photos.names[row], float(d)) for rank, (row, d) in enumerate(zip(*answer, strict=True), 1)]
        for answer in answers
    ]
    answered = list(zip(sketches, rankings, strict=True))
    share = {}
    if arguments.approximate:
        k = min(arguments.k, len(photos))
        share["recall"], n = recall(photos.folder, run, k, domain)
        percent, kind = f"{100 * share['recall']:.1f} %", "photos" if arguments.photo else "sketches"
        print(f"approximate: finds {percent} of the exact {k} nearest ({n} unseen {kind} of the run)", file=sys.stderr)
    distinct = dict.fromkeys(photo for hits in rankings for _, photo, _ in hits)  # many sketches share a photo
    if gone := [photo for photo in distinct if not (root / photo).is_file()]:
        print(
            f"sakerepro: {len(gone)} of the photos found are not in {root}, such as {gone[0]}. If they have "
            "moved, name the folder where they are with --photos; `sakerepro index` brings the index up to date.",
            file=sys.stderr,
        )
    if arguments.sheet:
        captions = [
            [(root / photo, f"{rank}. {distance:.3g}\n{photo}") for rank, photo, distance in hits] for hits in rankings
        ]
        contact_sheet(Path(arguments.sheet), [Path(s) for s in sketches], captions)
    if arguments.csv:
        import pandas as pd

        table = pd.DataFrame([{"sketch": s, **hit} for s, hits in answered for hit in _entries(hits, root)])
        write_text(Path(arguments.csv), table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    if arguments.json:
        print_json([{"sketch": s, **share, "found": _entries(hits, root)} for s, hits in answered])
        return
    shown, digits = Path(paths.shown(root)), "g" if arguments.codes else ".4f"
    for sketch, hits in answered:
        print(sketch)
        rows = [[f"  {rank}", f"{distance:{digits}}", str(shown / photo)] for rank, photo, distance in hits]
        print_table(["rank", "bits" if arguments.codes else "distance", "photo"], rows, left=3)
    if arguments.sheet:
        print(f"Contact sheet: {arguments.sheet}")
    if arguments.csv:
        print(f"Table: {arguments.csv}")


def _entries(hits: Sequence[tuple[int, str, float]], root: Path) -> list[dict[str, Any]]:
    """Rank, photo and distance of each photo found, as --json and --csv have them."""
    return [{"rank": rank, "photo": p, "path": str(root / p), "distance": distance} for rank, p, distance in hits]


def _images(names: Sequence[str], size: int, domain: int, sketches: list[str]) -> Iterator[np.ndarray]:
    """The images in files and folders, (size, size, C) each, and each drawing in a file of drawings.

    The path of each is appended to ``sketches``; bad files and lines are named on stderr and skipped.

    Raises:
        DataError: if no image can be read; the error of the first file.
    """
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
    for row, image, _ in read_images(Path(), listed, size, set(listed) if domain == SKETCH else ()):
        if isinstance(image, DataError):
            errors.append(image)
        else:
            sketches.append(listed[row])
            yield image
    notices += [f"Skipped {error}" for error in errors]
    if not sketches:
        raise errors[0] if errors else DataError(f"{', '.join(names)}: holds no image. {' '.join(notices)}".rstrip())
    for notice in notices:
        print(f"sakerepro: {notice}", file=sys.stderr)
