"""The semantic matrix of 250 classes x 1,000 original ones, once WordNet is loaded, beside NLTK."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sakerepro import wordnet
from sakerepro.data.known import datasets
from sakerepro.errors import DataError
from sakerepro.semantics import imagenet_wnids, semantic_similarity

from .common import OURS, Case, Clock, Contender, Lap, Row, run_cases

NLTK = "NLTK path_similarity"
CLASSES, EVERY = 250, 25  # NLTK works on every 25th class: the whole takes it minutes
EQUAL, DIFFERENT = "equal to the last bit on them", "NOT EQUAL on them"


@dataclass(frozen=True)
class Task:
    """Classes of TU-Berlin by name and id, and the ids of ImageNet-1k."""

    names: list[str]
    wnids: list[str]
    original: tuple[str, ...]


def classes(share: float) -> Task:
    rows = datasets()["tuberlin"].class_rows()[: max(1, int(CLASSES * share))]
    wordnet.table()  # loaded
    return Task([name for _, name, _, _ in rows], [wnid for _, _, wnid, _ in rows], imagenet_wnids())


def ours(task: Task) -> np.ndarray:
    return semantic_similarity(task.names, task.original, dataset="tuberlin")


def with_nltk(task: Task) -> Lap:
    """Pair by pair, a sample of the classes; the time of all is taken as so many times that of the sample."""
    with wordnet.corpus() as corpus:
        sample = task.wnids[::EVERY]
        rows, columns = (
            [corpus.synset_from_pos_and_offset("n", int(w[1:])) for w in wnids] for wnids in (sample, task.original)
        )
        clock = Clock()
        answer = np.array([[row.path_similarity(column) for column in columns] for row in rows], dtype=np.float32)
        return clock.lap(answer, times=len(task.wnids) / len(sample))


def no_corpus() -> str:
    try:
        with wordnet.corpus():
            pass
    except DataError as error:
        return str(error)
    return ""


def compared(who: str, task: Task, answer: Any) -> str:
    """What was asked of NLTK, and whether we say the same."""
    if who != NLTK:
        return ""
    same = np.array_equal(answer, ours(task)[::EVERY])
    return f"{len(answer)} of {len(task.names)} classes, scaled linearly; {EQUAL if same else DIFFERENT}"


def under_a_second(rows: dict[str, Row]) -> tuple[str, bool]:
    seconds, peer = rows[OURS].seconds or 0.0, rows[NLTK]
    if peer.seconds is None:
        return f"under 1 s and equal to NLTK: {seconds:.3f} s; not compared, NLTK has no WordNet here", False
    verdict = EQUAL if EQUAL in peer.note else DIFFERENT
    return f"under 1 s and equal to NLTK: {seconds:.3f} s, {verdict}", seconds < 1 and verdict == EQUAL


CONTENDERS = {OURS: Contender(ours), NLTK: Contender(with_nltk, "nltk", hindrance=no_corpus)}
CASES = [Case("semantic matrix, 250 x 1,000 classes, once loaded", classes, CONTENDERS, under_a_second, compared)]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case."""
    return run_cases(__name__, quick)
