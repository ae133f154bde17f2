"""Approximate search of an index: LanceDB finds most of the k nearest of millions of photos without reading them all.

LanceDB keeps its table in the index's folder; when the index is replaced, the table is gone. It divides the vectors
into groups of some thousand by k-means, and a query reads the ``PROBES`` nearest groups (IVF_FLAT). On 200,000
generated rows, PQ, SQ and RQ were no faster at the same recall; HNSW found 1 % more in the same time, and took 160 s of
processor time to build instead of 0.7.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .. import files
from ..data.dataset import SKETCH
from ..errors import ConfigError, RunError
from ..retrieval import search
from ..runs import Run

PROBES = 40  # groups that a query reads
SAMPLE = 100  # queries on which recall is measured


def nearest(folder: Path, query: np.ndarray, k: int, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Like :func:`sakerepro.search` over the embeddings of an index, but some photos are missed.

    Makes the table if needed.

    Args:
        folder: of the index.
        query: (Q, dim) float32.
        k: from 1 to the number of photos.
        distance: ``"cosine"`` or ``"euclidean"``.

    Returns:
        (Q, k) rows, nearest first, and (Q, k) their distances, which are exact.

    Raises:
        ConfigError: if LanceDB is not installed. RunError: if the table is damaged, or cannot be written.
    """
    made, gallery = _made(folder, distance), np.load(folder / "embeddings.npy", mmap_mode="r")
    rows, distances = np.empty((len(query), k), np.int64), np.empty((len(query), k))
    try:
        table = _lancedb().connect(made.parent).open_table(made.stem)
        for i, vector in enumerate(query):
            asked = table.search(vector).nprobes(PROBES).select(["row", "_distance"]).limit(k)
            if len(found := asked.to_arrow()) < k:  # more than these groups hold
                found = asked.bypass_vector_index().to_arrow()
            rows[i] = np.sort(found["row"].to_numpy())
    except Exception as error:  # LanceDB raises its own kinds for every sort of damage
        raise RunError(f"{made.parent}: is damaged ({error}). Remove it; the same command makes it anew.") from error
    for i, found in enumerate(rows):
        order, distances[i : i + 1] = search(query[i : i + 1], gallery[found].astype(np.float32), k, distance)
        rows[i] = found[order]
    return rows, distances


def recall(folder: Path, run: Run, k: int, domain: int = SKETCH) -> tuple[float, int]:
    """The share of the exact k nearest that :func:`nearest` finds, and the number of queries it was measured on.

    The queries are images of the run's unseen classes, not the user's own: these would need an exact search each time,
    which approximate search avoids. The share is measured once for each table, k and domain.

    Args:
        folder, k: as of :func:`nearest`.
        run: the one that the index was made with.
        domain: of the queries.
    """
    _made(folder, run.distance)
    vectors = run.embeddings()["query" if domain == SKETCH else "gallery"]
    vectors = vectors[np.unique(np.linspace(0, len(vectors) - 1, SAMPLE).astype(int))]
    file, key = folder / "lance/recall.json", f"{k} nearest, domain {domain}"
    known = files.read_json(file) if file.exists() else {}
    if key not in known:
        gallery = np.load(folder / "embeddings.npy").astype(np.float32, copy=False)
        exact, found = search(vectors, gallery, k, run.distance)[0], nearest(folder, vectors, k, run.distance)[0]
        known[key] = float(np.mean([np.isin(*pair).mean() for pair in zip(exact, found, strict=True)]))
        files.write_json(file, known)
    return known[key], len(vectors)


def _lancedb() -> Any:
    try:
        import lancedb
    except ModuleNotFoundError:
        raise ConfigError("approximate search needs a package: `pip install 'sakerepro[lance]'`.") from None
    return lancedb


def _made(folder: Path, distance: str) -> Path:
    """The folder of the table of the current embeddings; makes it if needed."""
    lancedb, place, file = _lancedb(), folder / "lance", folder / "embeddings.npy"
    made = place / f"{file.stat().st_size}-{file.stat().st_mtime_ns}.lance"
    if made.is_dir():
        return made
    import pyarrow as pa

    with files.lock(files.hidden(place, ".lock"), f"Another process makes {place}; waiting for it."):
        files.sweep(place)
        if not made.is_dir():
            x = np.load(file).astype(np.float32, copy=False)
            if distance == "cosine":  # at length 1, Euclidean distance orders them the same
                x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
            vectors = pa.FixedSizeListArray.from_arrays(x.ravel(), x.shape[1])
            with files.write_folder_whole(place) as new:
                rows = pa.table({"row": np.arange(len(x)), "vector": vectors})
                table = lancedb.connect(new).create_table(made.stem, rows)
                table.create_index("vector", config=lancedb.index.IvfFlat())
    return made
