"""Decoded images in one memory-mapped uint8 array per data set, domain and size; made again when a source changes.

A pack is a folder below ``paths.cache()/packs``: ``pixels.npy`` (M, S, S, C), ``sha256.npy`` (M, 32) of the source
files, and ``index.json`` with each source's name, size and time of change. It is written whole, under a lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import sys
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from .. import files, paths
from ..display import bar
from ..errors import DataError, RunError
from .images import decode, read_bytes
from .quickdraw import contents, given, place_of

VERSION = 1  # of the format and of how images are read: raise it to have all packs made again
_AHEAD = 512  # jobs queued ahead of the caller; bounds the results in memory
_ENOUGH_BAD = 100  # packing stops at so many bad images

Job = TypeVar("Job")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Pack:
    """M images in one array, sorted by name."""

    pixels: np.ndarray  # (M, S, S, C) uint8, a read-only memory map; C = 1 for sketches that are all grey
    sha256: np.ndarray  # (M, 32) uint8, of the source files
    row_of: dict[str, int]  # relative path -> row


@dataclass(frozen=True)
class _Sources:
    """The files of a pack."""

    root: Path
    names: list[str]  # sorted
    stats: np.ndarray  # (M, 3) int64, see stat_files
    listing: str  # SHA-256 over side, names, sizes and times; if it changes, the pack is made again


class _Coloured(Exception):
    """An image is not grey, so the pack needs three channels."""


def stat_files(root: Path, names: Sequence[str]) -> np.ndarray:
    """(n, 3) int64: size, time of change of content and of entry [ns] of each file; -1 for a missing file.

    A drawing has the values of its file. The time of the entry also changes with name or rights, and so reveals swapped
    files of one size and date.
    """
    stats, prefix = np.full((len(names), 3), -1, np.int64), f"{root}/"
    for i, name in enumerate(names):
        with contextlib.suppress(OSError, ValueError):  # ValueError: a name with a null byte
            entry = os.stat(prefix + place_of(name)[0])
            stats[i] = entry.st_size, entry.st_mtime_ns, entry.st_ctime_ns
    return stats


def pack_images(
    root: Path,
    names: Iterable[str],
    size: int,
    *,
    grey: bool = False,
    progress: bool = True,
    note: str = "",
    verify: bool = False,
) -> Pack:
    """Find or make the pack of these images.

    Args:
        names: paths below ``root``, in any order. Another set of names replaces the stored pack.
        size: side in pixels.
        grey: the images are sketches: keep one channel if all are grey.
        note: printed on stderr with ``progress`` when the images are packed.
        verify: compare the checksums of all files, not only of files with a changed entry.

    Raises:
        DataError: naming the files that are missing or cannot be read as images.
        RunError: if the cache has no space or cannot be written.
    """
    root, names = Path(root).resolve(), sorted(set(names))
    stats = stat_files(root, names)
    if (missing := np.flatnonzero(stats[:, 0] < 0)).size:
        first = root / names[missing[0]]
        raise DataError(f"{first}: is not there, nor are {missing.size - 1:,} more of {len(names):,} files.")
    listing = hashlib.sha256(json.dumps([VERSION, size, names, stats[:, :2].tolist()]).encode()).hexdigest()
    sources = _Sources(root, names, stats, listing)
    kind = "sketches" if grey else "photos"
    key = files.short_hash([VERSION, str(root), grey])
    folder = paths.cache() / "packs" / f"{files.short_name(root.name)}-{kind}-{size}-{key}"

    def make(new: Path) -> None:
        nonlocal verify
        if note and progress:
            print(note, file=sys.stderr)
        label = f"Packing {root.name} {kind}"
        try:
            _make(new, sources, size, 1 if grey else 3, label, progress)
        except _Coloured:
            _make(new, sources, size, 3, label, progress)
        verify = False  # all files have just been read

    waiting = f"Another process packs the {root.name} {kind}; waiting for it."
    return files.find_or_make(folder, lambda: _open(folder, sources, verify), make, waiting)


def _open(folder: Path, sources: _Sources, verify: bool) -> Pack | None:
    """The pack, or ``None`` if it is missing, made from other files, or damaged.

    Files with a changed entry are compared by checksum; with ``verify``, all files.
    """
    if not (folder / "index.json").is_file():
        return None
    names = sources.names
    try:
        index = files.read_json(folder / "index.json")
        if index["listing"] != sources.listing:
            return None
        pixels = np.load(folder / "pixels.npy", mmap_mode="r", allow_pickle=False)
        digests = np.load(folder / "sha256.npy", allow_pickle=False)
        shape = tuple(index["shape"])
        whole = pixels.shape == shape and pixels.dtype == np.uint8 and digests.shape == (len(names), 32)
        if not whole or (folder / "pixels.npy").stat().st_size != pixels.offset + pixels.size:
            raise ValueError("not of the shape in its index")
        touched = sources.stats[:, 2] != [entry for _, _, _, entry in index["files"]]
        rows = np.flatnonzero(touched | verify)
        for i, line in contents(sources.root, [names[row] for row in rows]):
            data = given(line) or read_bytes(sources.root / names[rows[i]])
            if files.digest(data) != digests[rows[i]].tobytes():
                return None
        if touched.any():  # spares the next call this reading; a read-only cache is no error
            with contextlib.suppress(RunError, OSError):
                _write_index(folder, sources, shape)
    except (OSError, ValueError, KeyError, TypeError, RunError) as error:
        print(f"{paths.shown(folder)}: is damaged ({error}); made again.", file=sys.stderr)
        return None
    return Pack(pixels, digests, {name: i for i, name in enumerate(names)})


def _make(folder: Path, sources: _Sources, size: int, channels: int, label: str, progress: bool) -> None:
    """Write the files of a pack; one error names several bad images."""
    shape, bad = (len(sources.names), size, size, channels), list[str]()
    pixels, digests = _reserve(folder / "pixels.npy", shape), np.zeros((len(sources.names), 32), np.uint8)
    images = read_images(sources.root, sources.names, size)
    with bar(None, label, progress=progress, log=True, total=len(pixels), unit=" images") as shown:
        for row, image, digest in images:
            shown.update()
            if isinstance(image, DataError):
                bad.append(str(image))
                if len(bad) >= _ENOUGH_BAD:
                    break
            elif image.shape[2] > channels:
                raise _Coloured
            else:
                pixels[row], digests[row] = image, np.frombuffer(digest, np.uint8)
    if bad:
        first = "\n  ".join(sorted(bad)[:5])
        more = f"\n  ... and {len(bad) - 5:,} more files like these." if len(bad) > 5 else ""
        raise DataError(f"{first}{more}")
    pixels.flush()
    np.save(folder / "sha256.npy", digests, allow_pickle=False)
    _write_index(folder, sources, shape)


def _write_index(folder: Path, sources: _Sources, shape: tuple[int, ...]) -> None:
    entries = [[name, *stat] for name, stat in zip(sources.names, sources.stats.tolist(), strict=True)]
    about = {"version": VERSION, "root": str(sources.root), "shape": shape, "listing": sources.listing}
    files.write_text(folder / "index.json", json.dumps({**about, "files": entries}, ensure_ascii=False))


def _reserve(path: Path, shape: tuple[int, ...]) -> np.memmap:
    """An empty array with allocated space; writing to a memory map on a full disk would kill the process."""
    need = int(np.prod(shape, dtype=np.int64)) + 2**20
    files.need_space(path.parent.parent, need, "packing", "SAKEREPRO_CACHE")
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if hasattr(os, "posix_fallocate") and array.size:
        try:
            with open(path, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, array.offset + array.size)
        except OSError as error:  # some network folders cannot allocate
            raise RunError(
                f"{path.parent.parent}: {need / 1e9:.2f} GB cannot be allocated ({error.strerror}). Free some "
                "space, or name another place, on a local disk, with SAKEREPRO_CACHE."
            ) from error
    return array


def read_images(
    root: Path, names: Sequence[str], size: int, drawn: Container[str] = ()
) -> Iterator[tuple[int, np.ndarray | DataError, bytes]]:
    """Read and decode images on all cores; files come in the order of ``names``, drawings after them.

    Args:
        names: relative to ``root``.
        size: side in pixels.
        drawn: names of sketches, which must not be blank.

    Yields:
        Position in ``names``; (size, size, 1 or 3) uint8 pixels, or the error of this image; SHA-256 of the bytes.
    """

    def one(job: tuple[int, bytes | DataError | None]) -> tuple[int, np.ndarray | DataError, bytes]:
        row, line = job
        path = root / names[row]
        try:
            data = given(line) or read_bytes(path)
            return row, decode(data, size, str(path), drawn=names[row] in drawn), files.digest(data)
        except DataError as error:
            return row, error, b""

    yield from on_all_cores(one, contents(root, names))


def on_all_cores(function: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
    """Call a function on every job, on all cores, and yield its results in order.

    Threads suffice, since Pillow decodes and resizes without the interpreter's lock.
    """
    from joblib import cpu_count
    from PIL import Image

    Image.init()  # loading the formats is not safe in threads
    jobs = iter(jobs)
    pool = ThreadPoolExecutor(cpu_count())
    try:
        window = deque(pool.submit(function, job) for job in itertools.islice(jobs, _AHEAD))
        while window:
            yield window.popleft().result()
            window.extend(pool.submit(function, job) for job in itertools.islice(jobs, 1))
    finally:
        pool.shutdown(cancel_futures=True)
