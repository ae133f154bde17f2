"""Photo files to embeddings, chunk by chunk: what was embedded before an interruption is not embedded again."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .. import files
from ..data.dataset import PHOTO
from ..data.images import decode, read_bytes
from ..display import bar
from ..embedding import place
from ..errors import DataError
from ..runs import Run
from .embedder import embed_images

CHUNK = 256  # photos between two saves: what an interruption costs
Stat = tuple[int, ...]  # length and times, as `data.packing.stat_files` has them
Row = tuple[np.ndarray, bytes]  # embedding, SHA-256 of the file
Part = tuple[dict[str, Row], dict[str, str]]  # by name: rows, and why files are bad


def embedded(photos: Path, run: Run, todo: dict[str, Stat], work: Path, dtype: str, progress: bool) -> Iterator[Part]:
    """Embed photos chunk by chunk; what an interrupted call had embedded comes first.

    Args:
        photos: folder that their names are relative to.
        todo: their names, with length and times; a row of a file that changed since is not used.
        work: database of the rows so far; it stays until the caller removes it.
        dtype: of the embeddings.
    """
    db, saved = _unfinished(work)
    with contextlib.closing(db):
        done = {n: (np.frombuffer(x, dtype), sha) for n, *stat, sha, x in saved if todo.get(n) == tuple(stat)}
        yield done, {}
        names = [n for n in todo if n not in done]
        network = None  # loaded only if there is an image for it
        with bar(None, "Embedding", progress=progress, total=len(names), unit=" photos") as shown:
            for chunk, bad in _read(photos, names, run.experiment.size):
                rows: dict[str, Row] = {}
                if chunk:
                    network = place(run.network()) if network is None else network
                    images = [image for image, _ in chunk.values()]
                    vectors = embed_images(network, images, PHOTO, run.experiment.size).astype(dtype)
                    rows = {n: (x, sha) for (n, (_, sha)), x in zip(chunk.items(), vectors, strict=True)}
                    new = [(n, *todo[n], sha, x.tobytes()) for n, (x, sha) in rows.items()]
                    with db:
                        db.executemany("INSERT OR REPLACE INTO photos VALUES (?, ?, ?, ?, ?, ?)", new)
                shown.update(len(chunk) + len(bad))
                yield rows, bad


def _unfinished(file: Path) -> tuple[sqlite3.Connection, list[tuple]]:
    """The database of an interrupted call and its rows; an empty one if there is none, or it is damaged."""
    file.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(file)
    try:
        db.execute("CREATE TABLE IF NOT EXISTS photos (name PRIMARY KEY, bytes, changed, entry, sha256, embedding)")
        return db, db.execute("SELECT * FROM photos").fetchall()
    except sqlite3.OperationalError:  # a full disk and the like
        raise
    except sqlite3.DatabaseError:
        db.close()
        file.unlink()
        return _unfinished(file)


def _read(photos: Path, names: list[str], size: int) -> Iterator[Part]:
    """Chunks of decoded photos with their checksums, the next one being read while the network looks at the last."""

    def one(name: str) -> Row | str:
        try:
            data = read_bytes(photos / name)
            return decode(data, size, str(photos / name)), files.digest(data)
        except DataError as error:
            return str(error).removeprefix(f"{photos / name}: ")

    chunks = [names[i : i + CHUNK] for i in range(0, len(names), CHUNK)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        ahead = [pool.submit(one, n) for n in chunks[0]] if chunks else []
        for number, chunk in enumerate(chunks):
            found = dict(zip(chunk, [f.result() for f in ahead], strict=True))
            ahead = [pool.submit(one, n) for n in chunks[number + 1]] if number + 1 < len(chunks) else []
            bad = {n: f for n, f in found.items() if isinstance(f, str)}
            yield {n: f for n, f in found.items() if not isinstance(f, str)}, bad
