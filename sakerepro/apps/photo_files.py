"""Photo files to embeddings, chunk by chunk: what was embedded before an interruption is not embedded again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from .. import files
from ..data.dataset import PHOTO
from ..data.images import decode, read_bytes
from ..embedding import place
from ..errors import DataError
from ..runs import Run
from .embedder import embed_images

CHUNK = 256  # photos between two saves: what an interruption costs
Stat = tuple[int, ...]  # as `data.packing.stat_files` has it
Row = tuple[np.ndarray, bytes]  # embedding, SHA-256 of the file
Part = tuple[dict[str, Row], dict[str, str]]  # by name: rows, and why files are bad


def embedded(
    photos: Path, run: Run, todo: list[str], stats: dict[str, Stat], work: Path, key: str, dtype: str, progress: bool
) -> Iterator[Part]:
    """Embed ``todo`` chunk by chunk; what an interrupted call had embedded comes first, from its parts.

    Args:
        photos: folder that the names in ``todo`` are relative to.
        stats: of each file, as `data.packing.stat_files` has them; a part of a file that changed since is not used.
        work: folder of the parts; they stay until the caller removes it.
        key: in the names of the parts; parts of another key are left alone.
        dtype: of the embeddings.
    """
    from tqdm import tqdm

    done: set[str] = set()
    parts = sorted(work.glob(f"{key}-*.npz"))
    for part in parts:
        if (loaded := _load_part(part, stats)) is not None:
            done |= loaded.keys()
            yield loaded, {}
    todo = [n for n in todo if n not in done]
    number = int(parts[-1].stem.rpartition("-")[2]) + 1 if parts else 0
    student = None  # loaded only if there is an image for it
    quiet = None if progress else True  # None: no bar where nobody watches
    with tqdm(total=len(todo), desc="Embedding", unit=" photos", file=sys.stderr, disable=quiet) as bar:
        for chunk, bad in _read(photos, todo, run.experiment.size):
            rows: dict[str, Row] = {}
            if chunk:
                images = [image for image, _ in chunk.values()]
                student = place(run.network()) if student is None else student
                vectors = embed_images(student, images, PHOTO, run.experiment.size).astype(dtype)
                rows = {n: (x, digest) for (n, (_, digest)), x in zip(chunk.items(), vectors, strict=True)}
                _save_part(work / f"{key}-{number:06d}.npz", rows, stats)
                number += 1
            bar.update(len(chunk) + len(bad))
            yield rows, bad


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


def _save_part(path: Path, rows: dict[str, Row], stats: dict[str, Stat]) -> None:
    arrays = {
        "names": np.array(list(rows), dtype=str),
        "stats": np.array([stats[n] for n in rows], np.int64),
        "vectors": np.array([x for x, _ in rows.values()]),
        "sha256": np.array([np.frombuffer(d, np.uint8) for _, d in rows.values()]),
    }
    with files.write_whole(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _load_part(path: Path, stats: dict[str, Stat]) -> dict[str, Row] | None:
    """A part, without the files that changed since; ``None`` if it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as part:
            columns = (part["names"].tolist(), part["stats"].tolist(), part["vectors"], part["sha256"])
            return {n: (x, d.tobytes()) for n, s, x, d in zip(*columns, strict=True) if stats.get(n) == tuple(s)}
    except Exception:  # numpy and zipfile raise their own kinds for every sort of damage; it is embedded again
        return None
