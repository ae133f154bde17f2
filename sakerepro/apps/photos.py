"""Search the user's photos with sketches: an index of embeddings that is updated file by file.

An index is a folder that can be copied: ``embeddings.npy`` (N, dim), and ``photos.sqlite`` with the name, size, times
of change and SHA-256 of each photo by row, the bad files, and the run of the network.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import files, inputs, paths
from ..data.dataset import PHOTO, SKETCH
from ..data.folders import left_out_text, walk
from ..data.images import read_bytes, read_image
from ..data.packing import read_images, stat_files
from ..display import Brief, bar
from ..errors import ConfigError, DataError, RunError
from ..retrieval import search
from ..runs import Run
from .approximate import nearest
from .embedder import CHUNK, embed_images, load

VERSION = 3  # of the format
DTYPES = ("float16", "float32")
DATABASE = "photos.sqlite"
# a row that this version never writes
_WRONG = " OR ".join(
    [f"typeof({column}) != 'integer'" for column in ("bytes", "changed", "entry")]
    + ["typeof(name) != 'text'", "typeof(sha256) != 'blob'", "length(sha256) != 32"]
)
SAVE = 30.0  # seconds between saves; a killed process loses no more


@dataclass(frozen=True, repr=False)
class Collection(Brief):
    """An open index: N photos in the order of their names."""

    folder: Path
    root: Path  # folder of the photos
    run: str  # id of the run of the network
    weights: str  # SHA-256 of its weights
    size: int  # side of its input
    names: tuple[str, ...]  # (N,) relative to the root
    embeddings: np.ndarray  # (N, dim) float16 or float32, a memory map
    bad: dict[str, str]  # photo or folder that could not be read -> reason

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, repr=False)
class Changes(Brief):
    """The counts of an update."""

    kept: int
    added: int  # new or changed, embedded now
    removed: int
    bad: int
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)  # kind -> files that are no images


def index_photos(
    photos: Path | str,
    run: Run,
    to: Path | str | None = None,
    *,
    dtype: str = "float16",
    verify: bool = False,
    progress: bool = True,
) -> tuple[Collection, Changes]:
    """Make or update the index of a folder of photos.

    Only new and changed files are embedded; rows of removed files are dropped; bad files are listed and skipped. If the
    indexed folder is gone, moved photos are recognised by their checksums. After an interruption, the same call goes
    on; after a kill, at most the last ``SAVE`` seconds are lost. The index is replaced whole or not at all.

    Args:
        photos: a folder; sub-folders are searched, as :func:`~sakerepro.data.folders.walk` says.
        run: the run of the network.
        to: folder of the index; by default ``<photos>-<checksum of the run>`` in ``paths.collections()``.
        dtype: of the stored embeddings, one of ``DTYPES``.
        verify: compare the checksums of all files, not only of files with a changed size or time.
        progress: show a bar on stderr.

    Raises:
        ConfigError: for a wrong argument, or if ``to`` holds an index of another run or another folder, or of a folder
            that is gone and had none of these photos.
        DataError: if the folder holds no photo that can be read.
        RunError: if the index is damaged or cannot be written.
    """
    inputs.kind(run, Run, "run", "sr.open_run and sr.all_runs() give one.")
    photos = inputs.path(photos, "photos").resolve()
    if not photos.is_dir():
        raise DataError(f"{photos}: is not there, or not a folder. Name the folder that holds the photos.")
    inputs.one_of(dtype, DTYPES, "dtype")
    usual = paths.collections() / f"{files.short_name(photos.name)}-{run.id.rpartition('-')[2]}"
    folder = paths.expanded(to).resolve() if to else usual
    if any(place.exists() and place.samefile(photos) for place in (folder, *folder.parents)):
        raise ConfigError(f"{folder}: lies among the photos. Keep the index outside of them, with --to.")
    with files.lock(files.hidden(folder, ".lock"), f"Another process indexes {photos}; waiting for it."):
        files.sweep(folder)
        if not is_index(folder) and files.taken(folder):
            raise ConfigError(f"{folder}: is there and holds no index. Name another place with --to.")
        return _update(photos, run, folder, dtype, verify, progress)


def _update(
    photos: Path, run: Run, folder: Path, dtype: str, verify: bool, progress: bool
) -> tuple[Collection, Changes]:
    old = open_collection(folder) if is_index(folder) else None
    weights = run.provenance()["files"]["weights.safetensors"]["sha256"]
    if old and (old.weights != weights or (old.root.is_dir() and not old.root.samefile(photos))):
        raise ConfigError(
            f"{folder}: is an index of {old.root} by the run {old.run}. Name another place with --to, or remove it."
        )
    listing = walk(photos)
    bad = {n: "its name is not valid UTF-8; rename it" for n in listing.images if files.printable(n) != n}
    bad |= listing.refused
    listed = [n for n in listing.images if n not in bad]
    names, stats = np.array(listed, object), stat_files(photos, listed)
    dim = run.embeddings()["gallery"].shape[1]
    vectors, digests = np.zeros((len(names), dim), dtype), np.zeros((len(names), 32), np.uint8)
    done = np.zeros(len(names), bool)

    def take_over(index: Collection) -> bool:
        """Copy the embeddings of unchanged photos if network and type are the same; whether a photo is unchanged."""
        if index.weights != weights:
            return False
        require_width(index, dim)
        at, same, old_digests = _unchanged(index, photos, names, stats, verify)
        if index.embeddings.dtype == dtype:
            vectors[same], digests[same], done[same] = index.embeddings[at], old_digests[at], True
        return bool(same.any())

    def save(to: Path) -> None:
        about = {"version": VERSION, "root": str(photos), "run": run.id, "weights": weights}
        rows = zip(names[done], *stats[done].T.tolist(), map(bytes, digests[done]), strict=True)
        with files.writing(to, (OSError, sqlite3.Error)), files.write_folder_whole(to) as new:
            file, rows_done = new / "embeddings.npy", vectors[done]
            np.save(file, rows_done, allow_pickle=False)
            if file.stat().st_size < rows_done.nbytes:  # numpy ignores an error when it closes the file
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            texts = {files.printable(n): why for n, why in sorted(bad.items())}
            _write(new / DATABASE, {**about, "size": run.experiment.size}, rows, texts)
            if to.is_dir():  # keeps the user's files, such as a contact sheet
                replaced = {str(to): ("embeddings.npy", DATABASE, "lance")}
                shutil.copytree(to, new, symlinks=True, ignore=lambda at, _: replaced.get(at, ()), dirs_exist_ok=True)

    if old and not take_over(old) and len(old) and not old.root.is_dir():
        raise ConfigError(
            f"{folder}: is an index of {old.root}, which is not there, and {photos} has none of its photos. Name "
            "another place with --to, or remove it."
        )
    unchanged, due = int(done.sum()), time.monotonic() + SAVE
    work = files.hidden(folder, "-sakerepro-unfinished")  # an index of the photos that are done
    files.sweep(work)
    with contextlib.suppress(RunError):  # it is damaged or, mostly, not there
        take_over(open_collection(work))
    todo = np.flatnonzero(~done)
    try:
        for rows, x, sha256, why_bad in _embedded(photos, run, names[todo].tolist(), progress):
            at = todo[rows]
            vectors[at], digests[at], done[at] = x, sha256, True
            bad |= why_bad
            if rows and (begun := time.monotonic()) >= due:
                save(work)
                took = time.monotonic() - begun
                due = begun + took + SAVE * max(1.0, took / 3)  # saving takes at most a tenth of the time
    except KeyboardInterrupt:
        if done.any():
            save(work)
        raise
    if not done.any():
        first_bad = next(iter(bad.items()), None)
        text = (
            f"the first of {len(bad):,} bad ones is {first_bad[0]}: {first_bad[1]}"
            if first_bad
            else "there is no image file"
        )
        raise DataError(
            f"{photos}: holds no photo that can be read; {text}. {left_out_text(listing.left_out)}".rstrip()
        )
    save(folder)
    shutil.rmtree(work, ignore_errors=True)
    removed = len({_nfc(n) for n in old.names} - {_nfc(n) for n in names[done]}) if old else 0
    left_out = {kind: tuple(map(files.printable, skipped)) for kind, skipped in listing.left_out.items()}
    return open_collection(folder), Changes(unchanged, int(done.sum()) - unchanged, removed, len(bad), left_out)


def _embedded(
    photos: Path, run: Run, names: list[str], progress: bool
) -> Iterator[tuple[list[int], np.ndarray, np.ndarray, dict[str, str]]]:
    """Embed photos chunk by chunk.

    Yields:
        n positions in ``names``, (n, dim) embeddings, (n, 32) checksums; bad photos of the chunk and reasons.
    """
    network = None  # loaded for the first image
    with bar(None, "Embedding", progress=progress, total=len(names), unit=" photos") as shown:
        read = read_images(photos, names, run.experiment.size)
        while chunk := list(itertools.islice(read, CHUNK)):
            errors = {names[i]: str(image) for i, image, _ in chunk if isinstance(image, DataError)}
            bad = {name: error.removeprefix(f"{photos / name}: ") for name, error in errors.items()}
            images = [image for _, image, _ in chunk if not isinstance(image, DataError)]
            rows = [i for i, _, _ in chunk if names[i] not in bad]
            sha256 = np.frombuffer(b"".join(digest for _, _, digest in chunk), np.uint8).reshape(-1, 32)
            x = np.zeros((0, 1))
            if images:
                network = run.network() if network is None else network
                x = embed_images(network, images, PHOTO, run.experiment.size)
            shown.update(len(chunk))
            yield rows, x, sha256, bad


def _nfc(name: str) -> str:
    """A name in one Unicode form: macOS writes an umlaut as two characters."""
    return unicodedata.normalize("NFC", name)


def _unchanged(
    old: Collection, photos: Path, names: np.ndarray, stats: np.ndarray, verify: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the photos of an old index by their size and times, or else by their bytes.

    Returns:
        (K,) rows of the old index; (N,) mask of ``names``, true for these K; (M, 32) checksums of the old index.
    """
    with _opened(old.folder) as db:
        photo_rows = db.execute("SELECT name, bytes, changed, entry, sha256 FROM photos ORDER BY row").fetchall()
    row_of = {_nfc(name): i for i, (name, *_) in enumerate(photo_rows)}
    at = np.array([row_of.get(_nfc(name), -1) for name in names], np.int64)
    digests = np.frombuffer(b"".join(sha for *_, sha in photo_rows), np.uint8).reshape(-1, 32)
    same = (at >= 0) & (np.array([stat for _, *stat, _ in photo_rows], np.int64)[at] == stats).all(axis=1)
    for i in np.flatnonzero((at >= 0) & (~same | verify)):
        try:
            same[i] = files.digest(read_bytes(photos / names[i])) == photo_rows[at[i]][-1]
        except DataError:
            same[i] = False
    return at[same], same, digests


def is_index(folder: Path) -> bool:
    """Whether a folder holds an index."""
    return (folder / DATABASE).is_file()


def _write(file: Path, about: dict[str, Any], rows: Iterator[tuple], bad: dict[str, str]) -> None:
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("CREATE TABLE about (key PRIMARY KEY, value)")
        db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        db.execute("CREATE TABLE photos (row INTEGER PRIMARY KEY, name, bytes, changed, entry, sha256)")
        db.executemany("INSERT INTO photos VALUES (NULL, ?, ?, ?, ?, ?)", rows)
        db.execute("CREATE TABLE bad (name, why)")
        db.executemany("INSERT INTO bad VALUES (?, ?)", bad.items())


@contextlib.contextmanager
def _opened(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of an index, read-only; every error in the block becomes a :class:`RunError`."""
    try:
        uri = f"{(folder.resolve() / DATABASE).as_uri()}?mode=ro&immutable=1"  # SQLite makes no file beside it
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as db:
            yield db
    except Exception as error:  # numpy and sqlite3 raise their own kinds for every sort of damage
        raise RunError(
            f"{folder}: the index is damaged, or of an earlier version ({error}). Remove it, and make it anew with "
            "`sakerepro index`."
        ) from error


def open_collection(folder: Path | str) -> Collection:
    """Open the index that :func:`index_photos` made in a folder; embeddings are memory-mapped.

    Raises:
        RunError: if its files are missing, damaged, or do not fit each other.
    """
    folder = inputs.path(folder, "folder")
    with _opened(folder) as db:
        about, bad = (dict(db.execute(f"SELECT * FROM {table}").fetchall()) for table in ("about", "bad"))
        if row := db.execute(f"SELECT row FROM photos WHERE {_WRONG}").fetchone():
            raise ValueError(f"row {row[0]} of its table of photos lacks a value, or has one of another type")
        if None in (*about.values(), *bad, *bad.values()):
            raise ValueError("a value is missing in its tables `about` or `bad`")
        names = tuple(name for (name,) in db.execute("SELECT name FROM photos ORDER BY row"))
        embeddings = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        fits = embeddings.ndim == 2 and len(embeddings) == len(names) and embeddings.dtype in DTYPES
        if about.pop("version") != VERSION or not fits:
            raise ValueError(f"{len(names)} photos, embeddings of the shape {embeddings.shape}")
        return Collection(folder, Path(about.pop("root")), **about, names=names, embeddings=embeddings, bad=bad)


def named_collection(name: str | None) -> Collection:
    """An index by its folder or its name in ``paths.collections()``; ``None`` for the only one.

    Raises:
        ConfigError: if no index or several fit; it names them.
    """
    for folder in (paths.expanded(name), paths.collections() / name) if name else ():
        if is_index(folder):
            return open_collection(folder)
    names = sorted(f.name for f in paths.collections().glob("[!.]*/") if is_index(f))
    matches = [n for n in names if (name or "") in n]
    if len(matches) == 1:
        return open_collection(paths.collections() / matches[0])
    if name and matches:
        raise ConfigError(f"{name}: could be {', '.join(matches)}. Write more of it.")
    problem = f"{name}: is no index." if name else f"{len(names)} indexes are in {paths.shown(paths.collections())}."
    advice = f"Known: {', '.join(names)}" if names else "`sakerepro index PHOTOS` makes one"
    raise ConfigError(f"{problem} Name one with --index. {advice}.")


def require_run(collection: Collection, run: Run) -> None:
    """Raise a RunError if the index was made by other weights than those of the run."""
    if run.provenance()["files"]["weights.safetensors"]["sha256"] != collection.weights:
        raise RunError(
            f"{collection.folder}: was made with the weights of {collection.run}, not of {run.id}. "
            "Index the photos with this run."
        )


def require_width(collection: Collection, dim: int) -> None:
    """Raise a RunError if the index has not ``dim`` numbers for each photo."""
    if (width := collection.embeddings.shape[1]) != dim:
        raise RunError(
            f"{collection.folder / 'embeddings.npy'}: has {width} numbers a photo, and the network of {collection.run} "
            f"gives {dim}. Remove the index, and make it anew with `sakerepro index`."
        )


def query(
    collection: Collection,
    run: Run,
    images: Iterable[Path | str | np.ndarray],
    k: int = 10,
    *,
    codes: bool = False,
    approximate: bool = False,
    domain: int = SKETCH,
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` photos nearest to each sketch.

    Args:
        collection: an index.
        run: the run that made the index.
        images: files of sketches (or photos, with ``domain=PHOTO``), or their pixels from ``decode``; of an iterator, a
            few hundred are in memory at a time.
        k: at least 1; reduced to the number of photos if it is larger.
        codes: compare the binary codes of the run's metrics instead of embeddings.
        approximate: search with LanceDB, for millions of photos; it misses some
            (:func:`sakerepro.apps.approximate.recall`).

    Returns:
        (Q, k) rows of the index and (Q, k) distances: 1 - cosine or Euclidean, by the run's method, or differing bits.

    Raises:
        RunError: if another run made the index, or the index is damaged.
        DataError: if an image cannot be read, or a sketch is blank.
        ConfigError: if the run has no codes, for ``approximate`` codes, or if LanceDB is not installed.
    """
    if codes and approximate:
        raise ConfigError("codes are compared exactly, which is fast. Leave out `codes` or `approximate`.")
    if not isinstance(images, Iterator):
        images = inputs.names(images, "images", (str, Path, np.ndarray))
    k = inputs.whole(k, "k", 1)
    require_run(collection, run)
    network = load(run)
    embed = network.embed_sketch if domain == SKETCH else network.embed_photo
    vectors, k = embed(images), min(k, len(collection))
    require_width(collection, vectors.shape[1])
    if approximate:
        return nearest(collection.folder, vectors, k, network.distance)
    gallery = np.asarray(collection.embeddings, np.float32)
    if codes:
        code = network.coder()
        return search(code(vectors, domain), code(gallery, PHOTO), k, "hamming")
    return search(vectors, gallery, k, network.distance)


def contact_sheet(to: Path, queries: Sequence[Path], found: Sequence[Sequence[tuple[Path, str]]]) -> None:
    """Write a contact sheet as PNG: a row for each query, first the query, then the photos found, with name, distance.

    Args:
        to: the file.
        queries: (Q,) image files.
        found: for each query, (file, caption) of its nearest photos, nearest first. A file that cannot be read becomes
            a grey square with its caption.
    """
    from matplotlib import get_data_path  # its font has more letters than Pillow's
    from PIL import Image, ImageDraw, ImageFont

    side, margin, line = 128, 8, 28  # a picture's side, the space around it, its caption
    columns = 1 + max((len(row) for row in found), default=0)
    width, height = columns * (side + margin) + 2 * margin, len(queries) * (side + line + margin) + margin
    sheet = Image.new("RGB", (width, height), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.truetype(Path(get_data_path(), "fonts/ttf/DejaVuSans.ttf"), 10)
    for row, (query, hits) in enumerate(zip(queries, found, strict=True)):
        y = margin + row * (side + line + margin)
        for column, (file, caption) in enumerate([(query, query.name), *hits]):
            x = margin + column * (side + margin) + (margin if column else 0)
            sheet.paste(Image.fromarray(picture(file, side)), (x, y))
            pen.rectangle((x - 1, y - 1, x + side, y + side), outline="black" if column == 0 else "#bbbbbb")
            for number, text in enumerate(caption.split("\n")[:2]):
                pen.text((x, y + side + 2 + 12 * number), _short(text, side), fill="black", font=font)
    with files.write_whole(to) as temporary:
        sheet.save(temporary, format="PNG")


def picture(file: Path, side: int) -> np.ndarray:
    """(side, side, 3) uint8 of an image file; grey if it cannot be read."""
    try:
        return read_image(file, side)
    except DataError:
        return np.full((side, side, 3), 235, np.uint8)


def _short(text: str, side: int) -> str:
    most = side // 6  # a letter has six pixels
    text = "".join(c if c.isprintable() and ord(c) < 0x250 else "?" for c in text)  # what the font has
    return text if len(text) <= most else f"...{text[3 - most :]}"
