"""Approximate search of an index: LanceDB finds most of the k nearest of millions of photos without reading them all.

The table of LanceDB lies in the folder of the index and goes when the index is replaced. K-means divides the vectors
into groups of some thousand, and a query reads the ``PROBES`` nearest groups (IVF_FLAT). On 200,000 generated rows, PQ,
SQ and RQ were no faster at the same recall; HNSW found 1 % more in the same time, but took 160 s of processor time to
build instead of 0.7.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..data.dataset import SKETCH
from ..errors import ConfigError, RunError
from ..retrieval import search
from ..runs import Run

PROBES = 40  # groups that a query reads
SAMPLE = 100  # queries for measuring the recall


def nearest(folder: Path, query: np.ndarray, k: int, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`sakerepro.search` over the embeddings of an index, but it misses some photos.

    The table is made if it is missing.

    Args:
        folder: of the index.
        query: (Q, dim) float32.
        k: from 1 to the number of photos.
        distance: ``"cosine"`` or ``"euclidean"``.

    Returns:
        (Q, k) rows, nearest first, and (Q, k) their exact distances.

    Raises:
        ConfigError: if LanceDB is not installed.
        RunError: if the table is damaged, or cannot be written.
    """
    path, gallery = _table(folder, distance), np.load(folder / "embeddings.npy", mmap_mode="r")
    rows, distances = np.empty((len(query), k), np.int64), np.empty((len(query), k))
    try:
        table = _lancedb().connect(path.parent).open_table(path.stem)
        for i, vector in enumerate(query):
            request = table.search(vector).nprobes(PROBES).select(["row", "_distance"]).limit(k)
            if len(hits := request.to_arrow()) < k:  # the groups that were read hold fewer than k
                hits = request.bypass_vector_index().to_arrow()
            rows[i] = np.sort(hits["row"].to_numpy())
    except Exception as error:  # LanceDB raises its own kinds for every sort of damage
        raise RunError(f"{path.parent}: is damaged ({error}). Remove it; the same command makes it anew.") from error
    for i, candidates in enumerate(rows):
        order, distances[i : i + 1] = search(query[i : i + 1], gallery[candidates].astype(np.float32), k, distance)
        rows[i] = candidates[order]
    return rows, distances


def recall(folder: Path, run: Run, k: int, domain: int = SKETCH) -> tuple[float, int]:
    """The share of the exact k nearest that :func:`nearest` finds, and the number of queries for which it was measured.

    The queries are images of the run's unseen classes, not those of the user, which would each need an exact search.
    The share is measured once for each table, k and domain.

    Args:
        folder, k: as in :func:`nearest`.
        run: the run whose network made the index.
        domain: of the queries.

    Raises:
        RunError: as :func:`nearest`, and if the file of the shares is damaged.
    """
    _table(folder, run.distance)
    vectors = run.embeddings()["query" if domain == SKETCH else "gallery"]
    vectors = vectors[np.unique(np.linspace(0, len(vectors) - 1, SAMPLE).astype(int))]
    file, key = folder / "lance/recall.json", f"{k} nearest, domain {domain}"
    if key not in (shares := _shares(file)):
        gallery = np.load(folder / "embeddings.npy").astype(np.float32, copy=False)
        exact, near = search(vectors, gallery, k, run.distance)[0], nearest(folder, vectors, k, run.distance)[0]
        share = float(np.mean([np.isin(*pair).mean() for pair in zip(exact, near, strict=True)]))
        with _lock(file.parent):  # another process may have added a share meanwhile
            files.write_json(file, shares := {key: share} | _shares(file))
    return shares[key], len(vectors)


def _shares(file: Path) -> dict[str, float]:
    """The measured recall by k and domain; empty if the file is not there."""
    advice = "Remove it; the same command measures the recall anew."
    shares = files.read_json(file, advice) if file.exists() else {}
    if not isinstance(shares, dict) or not all(isinstance(share, int | float) for share in shares.values()):
        raise RunError(
            f'{file}: has to be one JSON object of numbers, such as {{"10 nearest, domain 1": 0.98}}. {advice}'
        )
    return shares


def _lock(place: Path) -> AbstractContextManager[None]:
    return files.lock(files.hidden(place, ".lock"), f"Another process makes {place}; waiting for it.")


def _lancedb() -> Any:
    try:
        import lancedb
    except ModuleNotFoundError:
        raise ConfigError("approximate search needs a package: `pip install 'sakerepro[lance]'`.") from None
    return lancedb


def _table(folder: Path, distance: str) -> Path:
    """The folder of the table of the current embeddings; it is made if it is missing."""
    lancedb, place, file = _lancedb(), folder / "lance", folder / "embeddings.npy"
    path = place / f"{file.stat().st_size}-{file.stat().st_mtime_ns}.lance"
    if path.is_dir():
        return path
    import pyarrow as pa

    with _lock(place):
        files.sweep(place)
        if not path.is_dir():
            x = np.load(file).astype(np.float32, copy=False)
            if distance == "cosine":  # at length 1, Euclidean distance orders them the same
                x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            vectors = pa.FixedSizeListArray.from_arrays(x.ravel(), x.shape[1])
            # LanceDB reports a full disk by RuntimeError or OSError
            with files.writing(place, (OSError, RuntimeError)), files.write_folder_whole(place) as new:
                rows = pa.table({"row": np.arange(len(x)), "vector": vectors})
                table = lancedb.connect(new).create_table(path.stem, rows)
                table.create_index("vector", config=lancedb.index.IvfFlat())
    return path
