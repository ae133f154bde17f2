"""Search photos of one's own with sketches: an index of embeddings and 64-bit codes, kept up to date file by file.

An index is a folder of plain files that can be copied: ``embeddings.npy`` (N, dim), ``codes.npy`` (N, bits / 8) packed
uint8, ``sha256.npy`` (N, 32) of the files, ``files.json`` (the name, length and times of change of each row, by name),
``itq.npz`` and ``index.json``.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .. import files, inputs, paths
from ..data.dataset import SKETCH
from ..data.folders import left_out_text, walk
from ..data.images import read_bytes
from ..data.packing import stat_files
from ..display import Brief
from ..errors import ConfigError, DataError, RunError
from ..hashing import ITQ
from ..retrieval import search
from ..runs import Run
from .embedder import load
from .photo_files import Row, Stat, embedded

VERSION = 2  # of the format
DTYPES = ("float16", "float32")


@dataclass(frozen=True, repr=False)
class Collection(Brief):
    """An index, opened: N photos in the order of their names."""

    folder: Path
    root: Path  # where the photos are
    run: str  # id of the run whose network embeds
    weights: str  # SHA-256 of its weights
    size: int  # side of its input
    names: tuple[str, ...]  # (N,) relative to the root
    stats: tuple[Stat, ...]  # (N,)
    embeddings: np.ndarray  # (N, dim) float16 or float32, a memory map
    codes: np.ndarray  # (N, bits / 8) uint8
    sha256: np.ndarray  # (N, 32) uint8, of the files
    itq: ITQ
    bad: dict[str, str]  # photos and folders that could not be read, and why

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True, repr=False)
class Changes(Brief):
    """What an update did."""

    kept: int
    added: int  # new or changed, embedded now
    removed: int
    bad: int
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)  # no images, by kind


def index_photos(
    photos: Path | str,
    run: Run,
    to: Path | str | None = None,
    *,
    bits: int = 64,
    dtype: str = "float16",
    verify: bool = False,
    progress: bool = True,
) -> tuple[Collection, Changes]:
    """Make or update the index of a folder of photos.

    Only new and changed files are embedded; rows of removed ones are dropped; bad files are listed and skipped. Photos
    that have moved since are followed, where the folder that was indexed is gone; checksums show which they are.
    Interrupted, it goes on from the last ``CHUNK`` photos. The index is replaced whole or not at all.

    Args:
        photos: a folder; sub-folders are searched, as :func:`~sakerepro.data.folders.walk` says.
        run: whose network embeds. The rotation of the codes is fitted on its training features.
        to: the index's folder; by default ``<photos>-<run>`` in ``paths.collections()``.
        bits: of the codes; at most the embedding's length.
        dtype: of the stored embeddings, ``"float16"`` or ``"float32"``.
        verify: compare the checksums of all files; else of those alone whose length or times have changed.
        progress: show a bar on stderr meanwhile.

    Raises:
        ConfigError: for a wrong argument, or if the index there is of another run or another folder.
        DataError: if there is no photo at all.
    """
    photos = Path(photos).expanduser().resolve()
    if not photos.is_dir():
        raise DataError(f"{photos}: is not there, or not a folder. Name the folder that holds the photos.")
    if dtype not in DTYPES:
        raise ConfigError(f"dtype = {dtype!r} of stored embeddings is unknown. Known: {', '.join(DTYPES)}.")
    folder = Path(to).expanduser().resolve() if to else default_folder(photos, run)
    if any(place.exists() and place.samefile(photos) for place in (folder, *folder.parents)):
        raise ConfigError(f"{folder}: lies among the photos. Keep the index outside of them, with --to.")
    with files.lock(files.hidden(folder, ".lock"), f"Another process indexes {photos}; waiting for it."):
        files.sweep(folder)
        return _update(photos, run, folder, bits, dtype, verify, progress)


def default_folder(photos: Path, run: Run) -> Path:
    """``<photos>-<hash of the run>`` in ``paths.collections()``."""
    return paths.collections() / f"{files.short_name(photos.name)}-{run.id.rpartition('-')[2]}"


def _update(
    photos: Path, run: Run, folder: Path, bits: int, dtype: str, verify: bool, progress: bool
) -> tuple[Collection, Changes]:
    old = open_collection(folder) if _holds_index(folder) else None
    weights = run.provenance()["files"]["weights.safetensors"]["sha256"]
    if old and (old.weights != weights or (old.root.is_dir() and not old.root.samefile(photos))):
        raise ConfigError(
            f"{folder}: is an index of {old.root} by the run {old.run}. Name another place with --to, or remove it."
        )
    found = walk(photos)
    bad = {n: "its name is not valid UTF-8; rename it" for n in found.images if files.printable(n) != n}
    bad |= found.refused
    names = [n for n in found.images if n not in bad]
    stats = dict(zip(names, map(tuple, stat_files(photos, names).tolist()), strict=True))
    rows: dict[str, Row] = {}
    if old and old.embeddings.dtype == dtype and old.itq.bits == _bits(bits, old.embeddings.shape[1]):
        place = {_nfc(n): i for i, n in enumerate(old.names)}
        for name in names:
            i = place.get(_nfc(name))
            if i is not None and _unchanged(old, i, photos / name, stats[name], verify):
                rows[name] = old.embeddings[i], old.sha256[i].tobytes()
    kept = len(rows)
    work = files.hidden(folder, "-sakerepro-unfinished")
    todo = [n for n in names if n not in rows]
    key = files.short_hash([VERSION, str(photos), weights, dtype])
    for part_rows, part_bad in embedded(photos, run, todo, stats, work, key, dtype, progress):
        rows |= part_rows
        bad |= part_bad
    if not rows:
        first = next(iter(bad.items()), None)
        text = f"the first of {len(bad):,} bad ones is {first[0]}: {first[1]}" if first else "there is no image file"
        raise DataError(f"{photos}: holds no photo that can be read; {text}. {left_out_text(found.left_out)}".rstrip())
    names = [n for n in names if n in rows]
    vectors = np.stack([rows[n][0] for n in names]).astype(dtype)
    itq = _rotation(run, bits)
    about = {
        "version": VERSION,
        "root": str(photos),
        "run": run.id,
        "weights": weights,
        "size": run.experiment.size,
        "dim": vectors.shape[1],
        "bits": itq.bits,
        "dtype": dtype,
        "photos": len(names),
        "bad": {files.printable(n): why for n, why in sorted(bad.items())},
    }
    with files.write_folder_whole(folder) as new:
        np.save(new / "embeddings.npy", vectors, allow_pickle=False)
        np.save(new / "codes.npy", itq.transform(vectors), allow_pickle=False)
        np.save(new / "sha256.npy", np.stack([np.frombuffer(rows[n][1], np.uint8) for n in names]), allow_pickle=False)
        np.savez(new / "itq.npz", **itq.state())  # type: ignore[arg-type]
        files.write_json(new / "files.json", [[n, *stats[n]] for n in names])
        files.write_json(new / "index.json", about)
    shutil.rmtree(work, ignore_errors=True)
    removed = len({_nfc(n) for n in old.names} - {_nfc(n) for n in names}) if old else 0
    left_out = {kind: tuple(map(files.printable, left)) for kind, left in found.left_out.items()}
    return open_collection(folder), Changes(kept, len(names) - kept, removed, len(bad), left_out)


def _nfc(name: str) -> str:
    """One spelling of a name: macOS writes an umlaut as two characters."""
    return unicodedata.normalize("NFC", name)


def _unchanged(old: Collection, row: int, file: Path, stat: Stat, verify: bool) -> bool:
    """Whether a photo is the one that was embedded: its length and times show it, or else its bytes."""
    if stat == old.stats[row] and not verify:
        return True
    try:
        return files.digest(read_bytes(file)) == old.sha256[row].tobytes()
    except DataError:
        return False


def _bits(bits: int, dim: int) -> int:
    return min(bits, dim // 8 * 8)


def _rotation(run: Run, bits: int) -> ITQ:
    """Fitted on the run's training features, as for the run's own codes: never on the photos that are searched."""
    arrays = run.embeddings()
    training = np.concatenate([arrays["train_photo"], arrays["train_sketch"]])
    return ITQ(bits=_bits(bits, training.shape[1]), seed=run.experiment.seed).fit(training)


def _holds_index(folder: Path) -> bool:
    """Whether there is an index to go on with; a folder of something else is not touched."""
    if (folder / "index.json").is_file():
        return True
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"{folder}: is there and holds no index. Name another place with --to.")
    return False


def open_collection(folder: Path | str) -> Collection:
    """Open an index; embeddings are memory-mapped.

    Args:
        folder: of the index, as :func:`index_photos` made it.

    Raises:
        RunError: if files of it are missing, damaged, or do not fit each other (then its cause is a ValueError).
    """
    folder = Path(folder)
    about, listed = files.read_json(folder / "index.json"), files.read_json(folder / "files.json")
    try:
        embeddings = np.load(folder / "embeddings.npy", mmap_mode="r", allow_pickle=False)
        codes, sha256 = (np.load(folder / f"{n}.npy", allow_pickle=False) for n in ("codes", "sha256"))
        with open(folder / "itq.npz", "rb") as file, np.load(file, allow_pickle=False) as state:
            itq = ITQ.from_state(dict(state))
        shapes = embeddings.shape, codes.shape, sha256.shape
        if shapes != tuple((len(listed), n) for n in (about["dim"], about["bits"] // 8, 32)):
            raise ValueError(f"{len(listed)} files, and arrays of the shapes {shapes}")
        names, stats = tuple(n for n, *_ in listed), tuple((a, b, c) for _, a, b, c in listed)
        return Collection(
            folder,
            Path(about["root"]),
            about["run"],
            about["weights"],
            about["size"],
            names,
            stats,
            embeddings,
            codes,
            sha256,
            itq,
            about["bad"],
        )
    except Exception as error:  # numpy and zipfile raise their own kinds for every sort of damage
        raise RunError(
            f"{folder}: the index is damaged, or of an earlier version ({error}). Remove it, and make it again."
        ) from error


def query(
    collection: Collection,
    run: Run,
    images: Sequence[Path | str],
    k: int = 10,
    *,
    codes: bool = False,
    domain: int = SKETCH,
) -> tuple[np.ndarray, np.ndarray]:
    """The ``k`` photos nearest to each sketch.

    Args:
        collection: an index.
        run: the one that the index was made with.
        images: files of sketches (or photos, with ``domain=PHOTO``).
        k: from 1 on, at most the number of photos; more is cut to it.
        codes: compare binary codes instead of embeddings.

    Returns:
        (Q, k) rows of the collection and (Q, k) distances: 1 - cosine or Euclidean, as the run's method has it, or
        differing bits.

    Raises:
        RunError: if the run is another one than the index's. DataError: if an image cannot be
            read, or a sketch is blank.
    """
    images, k = inputs.names(images, "images", (str, Path)), inputs.whole(k, "k", 1)
    if run.provenance()["files"]["weights.safetensors"]["sha256"] != collection.weights:
        raise RunError(
            f"{collection.folder}: was made with the weights of {collection.run}, not of {run.id}. "
            "Index the photos with this run."
        )
    network = load(run)
    vectors = network.embed_sketch(images) if domain == SKETCH else network.embed_photo(images)
    k = min(k, len(collection))
    if codes:
        return search(collection.itq.transform(vectors), collection.codes, k, "hamming")
    return search(vectors, np.asarray(collection.embeddings, np.float32), k, network.distance)
