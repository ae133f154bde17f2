"""Photo files to embeddings, chunk by chunk: what was embedded before an interruption is not embedded again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..data.dataset import PHOTO, ImageSet
from ..data.images import read_image
from ..embedding import embed
from ..errors import DataError
from ..runs import Run

CHUNK = 256  # photos between two saves: what an interruption costs
Stat = tuple[int, int]  # length, time of change [ns]
Part = tuple[dict[str, np.ndarray], dict[str, tuple[Stat, str]]]  # embeddings and bad files by name


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
            done |= loaded[0].keys() | loaded[1].keys()
            yield loaded
    todo = [n for n in todo if n not in done]
    if not todo:
        return
    student = placed(run)
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


def _read(
    photos: Path, names: list[str], stats: dict[str, Stat], size: int
) -> Iterator[tuple[list[str], list[np.ndarray], dict[str, tuple[Stat, str]]]]:
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


def _save_part(
    path: Path, rows: dict[str, np.ndarray], bad: dict[str, tuple[Stat, str]], stats: dict[str, Stat]
) -> None:
    arrays = {
        "names": np.array(list(rows), dtype=str),
        "stats": np.array([stats[n] for n in rows], np.int64).reshape(-1, 2),
        "vectors": np.array(list(rows.values())),
        "bad": np.array(list(bad), dtype=str),
        "bad_stats": np.array([s for s, _ in bad.values()], np.int64).reshape(-1, 2),
        "why": np.array([why for _, why in bad.values()], dtype=str),
    }
    with files.write_whole(path) as temporary:
        np.savez(temporary, **arrays)  # type: ignore[arg-type]


def _load_part(path: Path, stats: dict[str, Stat]) -> Part | None:
    """A part, without the files that changed since; ``None`` if it is damaged."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as part:
            rows = {
                str(n): v
                for n, s, v in zip(part["names"], part["stats"].tolist(), part["vectors"], strict=True)
                if stats.get(str(n)) == tuple(s)
            }
            bad = {
                str(n): ((s[0], s[1]), str(why))
                for n, s, why in zip(part["bad"], part["bad_stats"].tolist(), part["why"], strict=True)
                if stats.get(str(n)) == tuple(s)
            }
    except Exception:  # numpy and zipfile raise their own kinds for every sort of damage; it is embedded again
        return None
    return rows, bad


def placed(run: Run) -> Any:
    """The run's network, on the device."""
    from ..embedding import place

    return place(run.network())


def embed_images(method: Any, images: Sequence[np.ndarray], domain: int, size: int) -> np.ndarray:
    """(N, d) float32 embeddings of (size, size, 3) uint8 images; (0, d) of none."""
    if not images:
        return embed_images(method, [np.zeros((size, size, 3), np.uint8)], domain, size)[:0]
    pixels, rows = np.stack(list(images)), np.arange(len(images))
    return embed(method, ImageSet(pixels, rows, np.zeros(len(rows), np.int64), ("",) * len(rows), domain), size, 64)
