"""WordNet: the synset of each class, and its similarity to the classes of the original domain.

The result is the matrix A of SAKE's semantic constraint (section 3.4), seen classes by original classes. The synsets of
official class names come from a curated table, since the first sense of a word is wrong for many of them (saw is a
proverb, tiger a fierce person). NLTK looks up other class names. Without NLTK's WordNet, the nouns that come with the
package are used; they give the same synsets.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import numpy as np

from . import inputs, paths, wordnet
from .data.known import ClassRow, class_key, datasets, read_classes
from .errors import DataError

RULES = ("path", "thresholded")
Synsets = Mapping[str, str] | str | Path | None  # class name -> wnid, or a CSV file or data folder with it
Table = Mapping[str, ClassRow]  # by normalised class name
Kind = Literal["same", "wider", "narrower", "none"]  # a class is a synset of ImageNet, contains one, is in one, none
_KINDS: dict[int, Kind] = {2: "same", 1: "wider", -1: "narrower"}  # by the codes of wordnet.contains


@dataclass(frozen=True)
class Resolution:
    """The synset of a class, and the reason for it; ``wnid`` is empty if no synset was found."""

    name: str
    wnid: str
    synset: str  # such as "dog.n.01"
    source: str  # "by hand", "table", "wnid", "wordnet" or "unresolved"
    note: str  # what was chosen and what else it could be; for an unresolved name, what to try

    def __bool__(self) -> bool:
        return bool(self.wnid)


@dataclass(frozen=True)
class Overlap:
    """How a class relates to ImageNet-1k."""

    name: str
    wnid: str
    kind: Kind
    imagenet: tuple[str, ...]  # wnids of the ImageNet-1k classes that it relates to
    inside: bool  # whether it counts as inside ImageNet-1k under the given relation


def semantic_similarity(
    seen_names: Sequence[str],
    original_wnids: Sequence[str],
    rule: str = "path",
    synsets: Synsets = None,
    dataset: str | None = None,
) -> np.ndarray:
    """The semantic matrix A between seen classes and original classes (SAKE, section 3.4).

    Args:
        seen_names: C_S class names.
        original_wnids: C_O WordNet 3.0 ids of the original classes, such as ``imagenet_wnids()``.
        rule: ``"path"`` (the paper): 1 / (1 + edges of the shortest hypernym path), as NLTK's ``path_similarity``.
            ``"thresholded"`` (the official code): 1 where the synsets are equal or one is below the other at any
            depth, else the path similarity where it is above 0.2, else 0.
        synsets: ids of classes that the tables do not know, see :func:`resolve_classes`.
        dataset: a known data set such as ``"tuberlin"``, or a data folder, see :func:`resolve_classes`.

    Returns:
        (C_S, C_O) float32 in [0, 1].

    Raises:
        ConfigError: if the rule is unknown.
        DataError: if a class or an id cannot be found in WordNet.
    """
    inputs.one_of(rule, RULES, "rule")
    seen, original, graph = _classes(seen_names, original_wnids, synsets, dataset)
    edges = wordnet.distances(graph, seen, original)
    similarity = np.where(edges < wordnet.UNRELATED, 1.0 / (edges + 1.0), 0.0)
    if rule == "thresholded":
        related = wordnet.contains(graph, seen, original) != 0
        similarity = np.where(related, 1.0, np.where(similarity > 0.2, similarity, 0.0))
    return similarity.astype(np.float32)


def leacock_chodorow(
    names: Sequence[str], original_wnids: Sequence[str], synsets: Synsets = None, dataset: str | None = None
) -> np.ndarray:
    """Similarity of Leacock and Chodorow (1998), -log((edges + 1) / (2 * 19)), as in Figure 5b of SAKE.

    Args:
        names: C class names, seen or unseen.
        original_wnids, synsets, dataset: as in :func:`semantic_similarity`.

    Returns:
        (C, C_O) float32 in [0, log 38 = 3.64], equal to NLTK's ``lch_similarity``.

    Raises:
        DataError: if a class or an id cannot be found in WordNet.
    """
    rows, columns, graph = _classes(names, original_wnids, synsets, dataset)
    edges = wordnet.distances(graph, rows, columns)
    by_edges = [-math.log((e + 1) / (2.0 * wordnet.MAX_NOUN_DEPTH)) for e in range(2 * wordnet.MAX_NOUN_DEPTH + 1)]
    return np.array(by_edges)[edges].astype(np.float32)  # nouns have one root, so every pair has a path


def _classes(
    names: Sequence[str], wnids: Sequence[str], synsets: Synsets, dataset: str | None
) -> tuple[list[str], list[str], wordnet.Graph]:
    rows, wnids = [r.wnid for r in require_classes(names, dataset, synsets)], inputs.names(wnids, "original_wnids")
    return rows, wnids, wordnet.graph_with([*rows, *wnids])


def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 wnids of ImageNet-1k in ascending order, which is the order of its labels."""
    with open(paths.package_data("imagenet1k.csv"), encoding="utf-8", newline="") as file:
        return tuple(row["wnid"] for row in csv.DictReader(file))


def imagenet_overlap(
    names: Sequence[str],
    dataset: str | None = None,
    relation: Literal["synset", "related"] = "synset",
    synsets: Synsets = None,
) -> list[Overlap]:
    """How each class relates to the classes that the ImageNet-1k teacher was trained on.

    Of TU-Berlin's 30 unseen classes, 13 are synsets of ImageNet-1k and 10 more are related. Other sources count 18:
    they take the first noun sense of each name, and count it if it is an ImageNet synset or the parent of one.

    Args:
        names, dataset, synsets: as in :func:`resolve_classes`.
        relation: ``"synset"`` counts a class as inside if it is one of the 1,000 synsets; ``"related"`` also if it
            contains one or is contained in one (horse contains sorrel). ``kind`` says which it is in either case.

    Raises:
        ConfigError: if the relation is unknown.
        DataError: if a class cannot be resolved.
    """
    inputs.one_of(relation, ("synset", "related"), "relation")
    rows, imagenet, graph = _classes(names, imagenet_wnids(), synsets, dataset)
    counted = ("same",) if relation == "synset" else ("same", "wider", "narrower")
    overlaps = []
    for name, wnid, row in zip(names, rows, wordnet.contains(graph, rows, imagenet), strict=True):
        # no synset of ImageNet-1k lies below another one, so a row has one kind only
        code = next((code for code in _KINDS if code in row), 0)
        relatives = tuple(imagenet[j] for j in np.flatnonzero(row == code)) if code else ()
        kind = _KINDS.get(code, "none")
        overlaps.append(Overlap(name, wnid, kind, relatives, inside=kind in counted))
    return overlaps


def require_classes(names: Sequence[str], dataset: str | None = None, synsets: Synsets = None) -> list[Resolution]:
    """Like :func:`resolve_classes`, but a class without a synset is an error.

    Raises:
        DataError: names the classes without a synset, near misses, and how to set them by hand.
    """
    resolutions = resolve_classes(names, dataset, synsets)
    if unresolved := [r for r in resolutions if not r]:
        notes = "\n".join(f"  '{r.name}': {r.note}" for r in unresolved[:10])
        name = unresolved[0].name
        raise DataError(
            f"{len(unresolved)} of {len(resolutions)} classes have no WordNet synset:\n{notes}\n"
            "Set them by hand: a file synsets.csv in the data folder, with a line class,wnid and below it "
            f'{name},<wnid>; or, in Python, synsets={{"{name}": "<wnid>"}}.'
        )
    return resolutions


def resolve_classes(names: Sequence[str], dataset: str | None = None, synsets: Synsets = None) -> list[Resolution]:
    """The synset of each class: the one set by hand, else that of the tables, else that of WordNet.

    Args:
        names: class names; letter case, underscores, hyphens and spaces do not matter. A leading WordNet id is the
            synset (``n02121808_cat``), a leading number is left out (``001.ak47``).
        dataset: a known data set such as ``"tuberlin"``, to use its class table. For any other name all tables are
            searched; if it is a data folder, its ``synsets.csv`` is read as well.
        synsets: class name -> id such as ``"n02084071"``, or the path of a CSV file with the columns class,wnid, or
            of the folder with a ``synsets.csv``.

    Returns:
        One :class:`Resolution` for each name, in order; it is false if the name has no synset.

    Raises:
        DataError: if ``names`` is no list of texts, or ``synsets`` cannot be read, or holds an id that is no noun of
            WordNet 3.0.
    """
    names = inputs.names(names, "names")
    records = datasets()
    dataset = None if dataset is None else str(inputs.path(dataset, "dataset"))
    has_synsets = dataset is not None and dataset not in records and (Path(dataset) / "synsets.csv").is_file()
    by_hand = {**(_read_synsets(dataset) if has_synsets else {}), **_read_synsets(synsets)}
    if dataset in records and records[dataset].classes:
        tables = {"": _by_key(records[dataset].class_rows())}
    else:
        tables = {f"as in {record.name}": _by_key(record.class_rows()) for record in records.values()}
    return [_resolve(name, tables, by_hand) for name in names]


def same_classes(one: Sequence[Resolution], other: Sequence[Resolution]) -> list[tuple[Resolution, Resolution]]:
    """Pairs of classes, one from each list, with the same synset or the same name (apart from case and hyphens)."""
    by_key = {key: r for r in one for key in (class_key(r.name), r.wnid) if key}
    keys = [(r.wnid if r.wnid in by_key else class_key(r.name), r) for r in other]
    return [(by_key[key], r) for key, r in keys if key in by_key]


def require_disjoint(seen: Sequence[str], unseen: Sequence[str], folder: str) -> None:
    """Raise :class:`DataError` if a seen and an unseen class of a data folder are the same."""
    resolutions = resolve_classes([*seen, *unseen], folder)
    for a, b in same_classes(resolutions[: len(seen)], resolutions[len(seen) :]):
        raise DataError(f"{folder}: {one_thing(a, b)}")


def one_thing(seen: Resolution, unseen: Resolution) -> str:
    """The text of an error about a pair of :func:`same_classes`."""
    noun = f"one noun, {seen.wnid} {seen.synset}" if seen.wnid == unseen.wnid != "" else "one name"
    return (
        f"class {unseen.name!r} is unseen and class {seen.name!r} is trained on, and both are {noun}: that is not "
        "zero-shot. Merge them, put both on one side in unseen.txt, or set another synset in synsets.csv."
    )


def _resolve(name: str, tables: Mapping[str, Table], by_hand: Table) -> Resolution:
    """The synset of one class; the keys of ``tables`` become the notes of their synsets."""
    if row := by_hand.get(class_key(name)):
        try:
            return _resolution(name, row[2], "by hand", "")
        except DataError as error:
            raise DataError(f"{row[0]}, class {name!r}: {error}") from error
    if wnid := re.match(r"n\d{8}(?![^\W_])", name):
        return _resolution(name, wnid[0], "wnid", "")
    plain = re.sub(r"^\d+[._\s-]+(?=.*[^\W\d_])", "", name)
    for form in dict.fromkeys((name, plain)):
        for note, table in tables.items():
            if row := table.get(class_key(form)):
                return _resolution(name, row[2], "table", "; ".join(filter(None, (note, row[3]))))
    return replace(class_synset(plain), name=name)


def class_synset(name: str) -> Resolution:
    """The synset of a name that no table knows: the first noun sense, unless parentheses say more.

    Case, underscores, hyphens, spaces and plurals do not matter: "Palm-Trees", "palm_tree" and "palm tree" are one.
    Words in parentheses, as in "mouse (animal)", choose the first sense that has one of them in its definition,
    lexicographer file or hypernyms. Without NLTK's WordNet, only the nouns that come with the package are found, and
    only without parentheses.
    """
    base, _, hint = class_key(name).partition("(")
    words = base.split()
    forms = list(filter(None, ("_".join(words), "-".join(words), "".join(words))))
    try:
        with wordnet.corpus() as corpus:
            return _through_nltk(corpus, name, forms, hint)
    except DataError:
        wnids = wordnet.first_senses()
    wnid = next((wnids[form] for form in forms if form in wnids and not hint), "")
    if wnid:
        return _resolution(name, wnid, "wordnet", "its first noun sense")
    near = get_close_matches(forms[0], wnids, n=3, cutoff=0.7) if forms else ()
    offers = ", ".join(f"{wnids[n]} ({wordnet.table()[wnids[n]].synset})" for n in near)
    note = (
        "not among the nouns that come with the package, and NLTK has no WordNet "
        f"(`python -m nltk.downloader wordnet`). Near: {offers or 'none'}."
    )
    return Resolution(name, "", "", "unresolved", note)


def _through_nltk(corpus: Any, name: str, forms: list[str], hint: str) -> Resolution:
    senses: list[Any] = next(filter(None, (corpus.synsets(form, pos="n") for form in forms)), [])
    if not senses:
        return Resolution(name, "", "", "unresolved", _near_nouns(corpus, forms))
    hinted = [s for s in senses if set(re.findall(r"\w+", hint)) & _words_about(s)]
    chosen = (hinted or senses)[0]
    others = [s for s in (*hinted, *(s for s in senses if s not in hinted)) if s != chosen]
    reason = "the only noun sense"
    if others:
        candidates = f"{len(hinted)} that fit the parentheses" if hinted else f"{len(senses)} noun senses"
        listed = (f"{wordnet.wnid_of(s)} {s.name()} ({s.definition()[:50]})" for s in others[:4])
        reason = f"the first of {candidates}, others: {', '.join(listed)}"
    return Resolution(name, wordnet.wnid_of(chosen), chosen.name(), "wordnet", f"{chosen.definition()}; {reason}")


def _words_about(synset: Any) -> set[str]:
    hypernyms = synset.closure(lambda s: s.hypernyms() + s.instance_hypernyms())
    text = " ".join((synset.definition(), synset.lexname(), *(" ".join(s.lemma_names()) for s in hypernyms)))
    return set(re.findall(r"[^\W_]+", text.casefold()))


def _near_nouns(corpus: Any, forms: list[str]) -> str:
    """Suggestions for a name without a synset: its head noun, and nouns with a similar spelling."""
    if not forms:
        return "the name is empty."
    form = forms[0]
    head = corpus.synsets(form.rpartition("_")[2], pos="n")[:1] if "_" in form else []
    offers = [f"{wordnet.wnid_of(s)} ({s.name()})" for s in head]
    nouns = [n for n in corpus.all_lemma_names("n") if n[0] == form[0] and abs(len(n) - len(form)) < 4]
    for noun in get_close_matches(form, nouns, n=3, cutoff=0.7):
        sense = corpus.synsets(noun, pos="n")[0]
        offers.append(f"{wordnet.wnid_of(sense)} ({sense.name()})")
    return f"no noun of WordNet. Near: {', '.join(offers)}." if offers else "no noun of WordNet, and none is near."


def _resolution(name: str, wnid: str, source: str, note: str) -> Resolution:
    return Resolution(name, wnid, wordnet.graph_with([wnid])[wnid].synset, source, note)


def _read_synsets(synsets: Synsets) -> Table:
    """The synsets in a mapping, a CSV file or a folder with ``synsets.csv``."""
    if synsets is None:
        return {}
    if isinstance(synsets, Mapping):
        pairs = zip(inputs.names(synsets, "synsets"), inputs.names(synsets.values(), "synsets"), strict=True)
        return _by_key([("synsets", name, wnid, "") for name, wnid in pairs])
    path = inputs.path(synsets, "synsets")
    return _by_key(read_classes(path / "synsets.csv" if path.is_dir() else path))


def _by_key(rows: Sequence[ClassRow]) -> Table:
    table: dict[str, ClassRow] = {}
    for row in rows:
        where, name, wnid, _ = row
        if not wordnet.is_wnid(wnid):
            raise DataError(
                f"{where}: '{wnid}' of class '{name}' is no WordNet id; one looks like 'n02084071' (dog): the letter n "
                "and the eight-digit offset of the noun in WordNet 3.0."
            )
        if (first := table.setdefault(class_key(name), row))[2] != wnid:
            raise DataError(f"{where}: class '{name}' is set to {first[2]} in {first[0]}. Remove one of the lines.")
    return table
