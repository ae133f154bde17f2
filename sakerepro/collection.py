"""Search photos of one's own with sketches: an index of embeddings and 64-bit codes, kept up to date file by file.

An index is a folder of plain files that can be copied: ``embeddings.npy`` (N, dim), ``codes.npy`` (N, bits / 8) packed
uint8, ``files.json`` (the name, length and time of change of each row, by name), ``itq.npz`` and ``index.json``.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import files, paths
from .data.dataset import PHOTO, SKETCH, ImageSet
from .data.folders import files_below
from .data.images import is_image_name, read_image
from .data.packing import stat_files
from .embedding import embed
from .errors import ConfigError, DataError, RunError
from .hashing import ITQ
from .retrieval import search
from .runs import Run

VERSION = 1
CHUNK = 256  # photos between two saves: what an interruption costs
DTYPES = ("float16", "float32")
Stat = tuple[int, int]  # length, time of change [ns]


@dataclass(frozen=True)
class Collection:
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
    itq: ITQ
    bad: dict[str, tuple[Stat, str]]  # photos that could not be read, and why

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class Changes:
    """What an update did."""

    kept: int
    added: int  # new or changed, embedded now
    removed: int
    bad: int


def index_photos(photos: Path | str, run: Run, to: Path | str | None = None, *, bits: int = 64,
                 dtype: str = "float16", progress: bool = True) -> tuple[Collection, Changes]:  # fmt: skip
    """Make or update the index of a folder of photos.

    Only new and changed files are embedded; rows of removed ones are dropped; bad files are listed and skipped.
    Interrupted, it goes on from the last ``CHUNK`` photos. The index is replaced whole or not at all.

    Args:
        photos: a folder; sub-folders are searched, hidden files left out.
        run: whose network embeds. The rotation of the codes is fitted on its training features.
        to: the index's folder; by default ``<photos>-<run>`` in ``paths.collections()``.
        bits: of the codes; at most the embedding's length.
        dtype: of the stored embeddings, ``"float16"`` or ``"float32"``.
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
    if photos == folder or photos in folder.parents:
        raise ConfigError(f"{folder}: lies among the photos. Keep the index outside of them, with --to.")
    with files.lock(folder.with_name(f".{folder.name}.lock"), f"Another process indexes {photos}; waiting for it."):
        files.sweep(folder)
        return _update(photos, run, folder, bits, dtype, progress)


def default_folder(photos: Path, run: Run) -> Path:
    """``<photos>-<hash of the run>`` in ``paths.collections()``."""
    return paths.collections() / f"{photos.name}-{run.id.rpartition('-')[2]}"


def _update(photos: Path, run: Run, folder: Path, bits: int, dtype: str, progress: bool) -> tuple[Collection, Changes]:
    old = open_collection(folder) if folder.is_dir() else None
    weights = run.provenance()["files"]["weights.safetensors"]["sha256"]
    if old and (old.weights != weights or old.root != photos):
        raise ConfigError(f"{folder}: is an index of {old.root} by the run {old.run}. Name another place with --to, or "
                          "remove it.")  # fmt: skip
    names = [n for n in files_below(photos) if is_image_name(n)]
    stats = {n: (int(a), int(b)) for n, (a, b) in zip(names, stat_files(photos, names), strict=True)}
    bad = {n: (s, "its name is not valid UTF-8; rename it") for n, s in stats.items() if _shown(n) != n}
    rows: dict[str, np.ndarray] = {}
    if old and old.embeddings.dtype == dtype and old.itq.bits == _bits(bits, old.embeddings.shape[1]):
        rows = {n: old.embeddings[i] for i, n in enumerate(old.names) if stats.get(n) == old.stats[i]}
        bad |= {n: entry for n, entry in old.bad.items() if stats.get(n) == entry[0]}
    kept = len(rows)
    work = folder.with_name(f".work-{folder.name}")
    todo = [n for n in names if n not in rows and n not in bad]
    for part_rows, part_bad in _embedded(photos, run, todo, stats, work, weights, dtype, progress):
        rows |= part_rows
        bad |= part_bad
    if not rows:
        first = next(iter(bad.items()), None)
        text = f"the first of {len(bad):,} bad ones is {first[0]}: {first[1][1]}" if first else "there is no image file"
        raise DataError(f"{photos}: holds no photo that can be read; {text}.")
    names = [n for n in names if n in rows]
    vectors = np.stack([rows[n] for n in names]).astype(dtype)
    itq = _rotation(run, bits)
    about = {"version": VERSION, "root": str(photos), "run": run.id, "weights": weights, "size": run.experiment.size,
             "dim": vectors.shape[1], "bits": itq.bits, "dtype": dtype, "photos": len(names),
             "bad": {_shown(n): [*s, why] for n, (s, why) in sorted(bad.items())}}  # fmt: skip
    with files.write_folder_whole(folder) as new:
        np.save(new / "embeddings.npy", vectors, allow_pickle=False)
        np.save(new / "codes.npy", itq.transform(vectors), allow_pickle=False)
        np.savez(new / "itq.npz", **itq.state())  # type: ignore[arg-type]
        files.write_json(new / "files.json", [[n, *stats[n]] for n in names])
        files.write_json(new / "index.json", about)
    shutil.rmtree(work, ignore_errors=True)
    removed = len(set(old.names) - set(names)) if old else 0
    return open_collection(folder), Changes(kept, len(names) - kept, removed, len(bad))


def _shown(name: str) -> str:
    """The name as text that can be written; what is no UTF-8 in it as backslashes."""
    return name.encode("utf-8", "backslashreplace").decode()


def _bits(bits: int, dim: int) -> int:
    return min(bits, dim // 8 * 8)


def _rotation(run: Run, bits: int) -> ITQ:
    """Fitted on the run's training features, as for the run's own codes: never on the photos that are searched."""
    arrays = run.embeddings()
    training = np.concatenate([arrays["train_photo"], arrays["train_sketch"]])
    return ITQ(bits=_bits(bits, training.shape[1]), seed=run.experiment.seed).fit(training)


Part = tuple[dict[str, np.ndarray], dict[str, tuple[Stat, str]]]  # embeddings and bad files by name


def _embedded(photos: Path, run: Run, todo: list[str], stats: dict[str, Stat], work: Path, weights: str, dtype: str,
              progress: bool) -> Iterator[Part]:  # fmt: skip
    """Embed ``todo`` chunk by chunk; what an interrupted update had embedded comes first, from its parts."""
    from tqdm import tqdm

    key = files.short_hash([VERSION, weights, dtype])
    done: set[str] = set()
    parts = sorted(work.glob(f"{key}-*.npz"))
    for part in parts:
        if (loaded := _load_part(part, stats)) is not None:
            done |= loaded[0].keys() | loaded[1].keys()
            yield loaded
    todo = [n for n in todo if n not in done]
    if not todo:
        return
    student = _placed(run)
    number = int(parts[-1].stem.rpartition("-")[2]) + 1 if parts else 0
    quiet = None if progress else True  # None: no bar where nobody watches
    with tqdm(total=len(todo), desc="Embedding", unit=" photos", file=sys.stderr, disable=quiet) as bar:
        for chunk, images, bad in _read(photos, todo, stats, run.experiment.size):
            vectors = embed_images(student, images, PHOTO, run.experiment.size).astype(dtype)
            good = [n for n in chunk if n not in bad]
            rows = dict(zip(good, vectors, strict=True))
            _save_part(work / f"{key}-{number:06d}.npz", rows, bad, stats)
            number += 1
            bar.update(len(chunk))
            yield rows, bad


def _read(photos: Path, names: list[str], stats: dict[str, Stat],
          size: int) -> Iterator[tuple[list[str], list[np.ndarray], dict[str, tuple[Stat, str]]]]:  # fmt: skip
    """Chunks of decoded photos, the next one being read while the network looks at the last."""

    def one(name: str) -> np.ndarray | str:
        try:
            return read_image(photos / name, size)
        except DataError as error:
            return str(error).removeprefix(f"{photos / name}: ")

    chunks = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        ahead = [pool.submit(one, n) for n in chunks[0]]
        for number, chunk in enumerate(chunks):
            found = [f.result() for f in ahead]
            ahead = [pool.submit(one, n) for n in chunks[number + 1]] if number + 1 < len(chunks) else []
            bad = {n: (stats[n], f) for n, f in zip(chunk, found, strict=True) if isinstance(f, str)}
            yield chunk, [f for f in found if not isinstance(f, str)], bad


def _save_part(path: Path, rows: dict[str, np.ndarray], bad: dict[str, tuple[Stat, str]],
               stats: dict[str, Stat]) -> None:  # fmt: skip
    arrays = {
        "names": np.array(list(rows), dtype=str), "stats": np.array([stats[n] for n in rows], np.int64).reshape(-1, 2),
        "vectors": np.array(list(rows.values())), "bad": np.array(list(bad), dtype=str),
        "bad_stats": np.array([s for s, _ in bad.values()], np.int64).reshape(-1, 2),
        "why": np.array([why for _, why in bad.values()], dtype=str),
    }  # fmt: skip
    with files.write_whole(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _load_part(path: Path, stats: dict[str, Stat]) -> Part | None:
    """A part, without the files that changed since; ``None`` if it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as part:
            rows = {str(n): v for n, s, v in zip(part["names"], part["stats"].tolist(), part["vectors"], strict=True)
                    if stats.get(str(n)) == tuple(s)}  # fmt: skip
            bad = {str(n): ((s[0], s[1]), str(why)) for n, s, why in
                   zip(part["bad"], part["bad_stats"].tolist(), part["why"], strict=True)
                   if stats.get(str(n)) == tuple(s)}  # fmt: skip
    except Exception:  # numpy and zipfile raise their own kinds for every sort of damage; it is embedded again
        return None
    return rows, bad


def _placed(run: Run) -> Any:
    from .loop import place

    return place(run.student())


def embed_images(student: Any, images: Sequence[np.ndarray], domain: int, size: int) -> np.ndarray:
    """(N, dim) float32 embeddings of (size, size, 3) uint8 images; (0, dim) of none."""
    if not images:
        return np.zeros((0, student.feature.out_features), np.float32)
    pixels, rows = np.stack(list(images)), np.arange(len(images))
    return embed(student, ImageSet(pixels, rows, np.zeros(len(rows), np.int64), ("",) * len(rows), domain), size, 64)


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
        codes = np.load(folder / "codes.npy", allow_pickle=False)
        with open(folder / "itq.npz", "rb") as file, np.load(file, allow_pickle=False) as state:
            itq = ITQ.from_state(dict(state))
        if embeddings.shape != (len(listed), about["dim"]) or codes.shape != (len(listed), about["bits"] // 8):
            raise ValueError(f"{len(listed)} files, {embeddings.shape} embeddings and {codes.shape} codes")
        names, stats = tuple(n for n, *_ in listed), tuple((a, b) for _, a, b in listed)
        bad = {n: ((a, b), why) for n, (a, b, why) in about["bad"].items()}
        return Collection(folder, Path(about["root"]), about["run"], about["weights"], about["size"], names, stats,
                          embeddings, codes, itq, bad)  # fmt: skip
    except Exception as error:  # numpy and zipfile raise their own kinds for every sort of damage
        raise RunError(f"{folder}: the index is damaged ({error}). Remove it, and make it again.") from error


def query(collection: Collection, run: Run, images: Sequence[Path | str], k: int = 10, *, codes: bool = False,
          domain: int = SKETCH) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """The ``k`` photos nearest to each sketch.

    Args:
        collection: an index.
        run: the one that the index was made with.
        images: files of sketches (or photos, with ``domain=PHOTO``).
        k: at most the number of photos; more is cut to it.
        codes: compare binary codes instead of embeddings.

    Returns:
        (Q, k) rows of the collection and (Q, k) distances: 1 - cosine, or differing bits.

    Raises:
        RunError: if the run is another one than the index's. DataError: if an image cannot be read.
    """
    if run.provenance()["files"]["weights.safetensors"]["sha256"] != collection.weights:
        raise RunError(f"{collection.folder}: was made with the weights of {collection.run}, not of {run.id}. "
                       "Index the photos with this run.")  # fmt: skip
    vectors = embed_images(_placed(run), [read_image(i, collection.size) for i in images], domain, collection.size)
    k = min(k, len(collection))
    if codes:
        return search(collection.itq.transform(vectors), collection.codes, k, "hamming")
    return search(vectors, np.asarray(collection.embeddings, np.float32), k)
