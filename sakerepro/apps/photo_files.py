"""Photo files to embeddings, chunk by chunk: what was embedded before an interruption is not embedded again."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .. import files
from ..data.dataset import PHOTO
from ..data.images import decode, read_bytes
from ..data.packing import on_all_cores
from ..display import bar
from ..embedding import place
from ..errors import DataError
from ..runs import Run
from .embedder import embed_images

CHUNK = 256  # photos between two saves: what an interruption costs
Stat = tuple[int, ...]  # size and times, as `data.packing.stat_files` has them
Row = tuple[np.ndarray, bytes]  # embedding, SHA-256 of the file
Part = tuple[dict[str, Row], dict[str, str]]  # by name: rows, and why files are bad


def embedded(photos: Path, run: Run, todo: dict[str, Stat], work: Path, dtype: str, progress: bool) -> Iterator[Part]:
    """Embed photos chunk by chunk; what an interrupted call had embedded comes first.

    Args:
        photos: folder that their names are relative to.
        todo: their names, with size and times; a row of a file that changed since is not used.
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
            read = on_all_cores(lambda name: _read(photos / name, run.experiment.size), iter(names))
            for start in range(0, len(names), CHUNK):
                found = dict(zip(names[start : start + CHUNK], read, strict=False))
                bad = {n: why for n, why in found.items() if isinstance(why, str)}
                chunk = {n: row for n, row in found.items() if not isinstance(row, str)}
                rows: dict[str, Row] = {}
                if chunk:
                    network = place(run.network()) if network is None else network
                    images = [image for image, _ in chunk.values()]
                    vectors = embed_images(network, images, PHOTO, run.experiment.size).astype(dtype)
                    rows = {n: (x, sha) for (n, (_, sha)), x in zip(chunk.items(), vectors, strict=True)}
                    new = [(n, *todo[n], sha, x.tobytes()) for n, (x, sha) in rows.items()]
                    with db:
                        db.executemany("INSERT OR REPLACE INTO photos VALUES (?, ?, ?, ?, ?, ?)", new)
                shown.update(len(found))
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


def _read(file: Path, size: int) -> Row | str:
    """The decoded photo and its checksum, or why it is bad."""
    try:
        data = read_bytes(file)
        return decode(data, size, str(file)), files.digest(data)
    except DataError as error:
        return str(error).removeprefix(f"{file}: ")
