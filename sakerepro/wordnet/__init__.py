"""WordNet 3.0 nouns: the small graph that ships with the package, and all nouns through NLTK.

The shipped table (``tables/wordnet.csv.gz``) holds every synset that the package names (ImageNet-1k, TU-Berlin,
Sketchy, the generated world) with its ancestors, and the first noun sense of each of their words. These need no
download. Other nouns come from NLTK's WordNet corpus (``python -m nltk.downloader wordnet``), which
has to be version 3.0: the ids of ImageNet are byte offsets into the files of that version.

Commands::

    python -m sakerepro.wordnet build                    make the shipped table again, from NLTK's WordNet
    python -m sakerepro.wordnet link SOURCE NLTK_DATA    make an NLTK corpus of plain WordNet files, such as Debian's

WordNet 3.0 is copyright 2006 by Princeton University; its licence is in ``tables/WORDNET_LICENSE.txt``.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from .. import paths
from ..errors import DataError

MAX_NOUN_DEPTH = 19  # edges from the root to the deepest noun of WordNet 3.0: the D of Leacock and Chodorow
UNRELATED = 10_000  # more edges than any path has

_READING = threading.RLock()  # neither NLTK's lazy loader nor its reading (seek, then read) is thread-safe


@dataclass(frozen=True)
class Node:
    """A noun synset: its id, its name in NLTK, its words and its parents."""

    wnid: str  # "n" and the eight-digit offset in WordNet 3.0
    synset: str  # such as "dog.n.01"
    lemmas: tuple[str, ...]  # with underscores for spaces
    parents: tuple[str, ...]  # sorted wnids of hypernyms and instance hypernyms; empty for the root
    first_for: tuple[str, ...] = ()  # in the shipped table: the words whose first noun sense this is


Graph = dict[str, Node]  # by wnid; holds the parents of all its nodes


def is_wnid(text: str) -> bool:
    """Whether ``text`` has the form of a noun id, ``n`` and eight digits."""
    return re.fullmatch(r"n\d{8}", text) is not None


@cache
def table() -> Graph:
    """The shipped graph, some 3,400 nodes."""
    path = paths.package_data("wordnet.csv.gz")
    try:
        text = gzip.decompress(path.read_bytes()).decode()
    except (OSError, EOFError) as error:
        raise DataError(f"{path}: cannot be read ({error}). Install the package again.") from error
    rows = csv.DictReader(io.StringIO(text))
    return {
        r["wnid"]: Node(r["wnid"], r["synset"], *(tuple(r[c].split()) for c in ("lemmas", "parents", "first_for")))
        for r in rows
    }


@cache
def first_senses() -> dict[str, str]:
    """The wnid of the first noun sense of each word in the shipped table, by word in small letters."""
    return {word.casefold(): node.wnid for node in table().values() for word in node.first_for}


@contextmanager
def corpus() -> Iterator[Any]:
    """NLTK's WordNet, for one thread at a time; the first use loads it (about 5 s).

    Raises:
        DataError: if NLTK's corpus is missing or is not WordNet 3.0.
    """
    with _READING:
        try:
            from nltk.corpus import wordnet

            wordnet.ensure_loaded()
            version = wordnet.get_version()
        except (ImportError, LookupError, OSError) as error:
            raise DataError(
                "NLTK finds no usable WordNet. Get it with `python -m nltk.downloader wordnet`, or make it of Debian's "
                "files (packages wordnet-base and wordnet-sense-index) with `python -m sakerepro.wordnet link "
                "/usr/share/wordnet ~/nltk_data`."
            ) from error
        if version != "3.0":
            raise DataError(
                f"NLTK's WordNet is version {version}, but the ids of ImageNet are offsets of version 3.0. "
                "Get that with `python -m nltk.downloader wordnet`."
            )
        yield wordnet


def wnid_of(synset: Any) -> str:
    """The id of an NLTK noun synset."""
    return f"n{synset.offset():08d}"


def from_nltk(wnids: Iterable[str]) -> Graph:
    """The graph of these synsets and their ancestors, from NLTK's WordNet.

    Raises:
        DataError: if an id is not a noun of WordNet 3.0, or NLTK has no WordNet.
    """
    graph: Graph = {}
    waiting = list(wnids)
    with corpus() as wordnet:
        while waiting:
            wnid = waiting.pop()
            if wnid not in graph:
                synset = _noun(wordnet, wnid)
                # sorted, since NLTK's order changes from process to process
                parents = tuple(sorted(wnid_of(s) for s in (*synset.hypernyms(), *synset.instance_hypernyms())))
                graph[wnid] = Node(wnid, synset.name(), tuple(synset.lemma_names()), parents)
                waiting += parents
    return graph


def _noun(wordnet: Any, wnid: str) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NLTK warns of a wrong offset before it fails
            synset = wordnet.synset_from_pos_and_offset("n", int(wnid[1:]))
        if synset.offset() == int(wnid[1:]):
            return synset
    except Exception:
        pass
    raise DataError(f"'{wnid}' is no noun of WordNet 3.0; is it an id of another version?")


def graph_with(wnids: Iterable[str]) -> Graph:
    """A graph that holds all of ``wnids``: the shipped one, extended from NLTK if it lacks some.

    Raises:
        DataError: if an id is not a noun of WordNet 3.0, or is not shipped and NLTK has no WordNet.
    """
    missing = sorted(set(wnids) - set(table()))
    if odd := [wnid for wnid in missing if not is_wnid(wnid)]:
        raise DataError(f"'{odd[0]}' is no WordNet id; one looks like 'n02084071' (dog).")
    try:
        return {**table(), **from_nltk(missing)} if missing else table()
    except DataError as error:
        names = ", ".join(missing[:5])
        raise DataError(f"{names}: no noun that comes with the package. {error}") from error


def ancestors(graph: Graph, wnid: str) -> dict[str, int]:
    """``wnid`` (0) and its ancestors, with the number of edges of the shortest path."""
    edges, level = {wnid: 0}, [wnid]
    while level:
        parents = dict.fromkeys(p for w in level for p in graph[w].parents if p not in edges)
        edges |= dict.fromkeys(parents, edges[level[0]] + 1)
        level = list(parents)
    return edges


def distances(graph: Graph, rows: Iterable[str], columns: Iterable[str]) -> np.ndarray:
    """(R, C) int64 edges of the shortest path over a common ancestor; ``UNRELATED`` or more where there is none."""
    above_rows = [ancestors(graph, w) for w in rows]
    above_columns = [ancestors(graph, w) for w in columns]
    node = {w: i for i, w in enumerate(dict.fromkeys(w for above in above_columns for w in above))}
    up = np.full((len(node), len(above_columns)), UNRELATED)  # (nodes, C): edges from each column up to each node
    for j, above in enumerate(above_columns):
        up[[node[w] for w in above], j] = list(above.values())
    result = np.full((len(above_rows), len(above_columns)), UNRELATED)
    for i, above in enumerate(above_rows):
        shared = [(node[w], d) for w, d in above.items() if w in node]
        if shared:
            index, edges = np.array(shared).T
            result[i] = (up[index] + edges[:, None]).min(axis=0)
    return result


def contains(graph: Graph, rows: Sequence[str], columns: Sequence[str]) -> np.ndarray:
    """(R, C) int8: 2 where the synsets are equal, 1 where the column is a kind of the row, -1 the reverse, else 0."""
    above = {w: ancestors(graph, w) for w in {*rows, *columns}}
    pairs = [[2 if r == c else (r in above[c]) - (c in above[r]) for c in columns] for r in rows]
    return np.array(pairs, np.int8).reshape(len(rows), len(columns))
