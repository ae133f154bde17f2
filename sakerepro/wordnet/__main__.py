"""``python -m sakerepro.wordnet``: make the shipped table, or an NLTK corpus from plain WordNet files."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
import sys
from pathlib import Path

from .. import paths
from ..errors import ConfigError, DataError, SakeError
from ..files import write_folder_whole, write_whole
from . import corpus, from_nltk, wnid_of


def named_wnids() -> list[str]:
    """All synsets that the package names: ImageNet-1k, and the class tables of its data sets."""
    from ..data.known import shipped

    with open(paths.package_data("imagenet1k.csv"), encoding="utf-8", newline="") as file:
        named = {row["wnid"] for row in csv.DictReader(file)}
    return sorted(named | {wnid for record in shipped().values() for _, _, wnid, _ in record.class_rows()})


def table_bytes() -> bytes:
    """The content of ``wordnet.csv.gz``, from NLTK's WordNet; the bytes depend on the version of zlib alone."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["wnid", "synset", "lemmas", "parents", "first_for"])
    with corpus() as wordnet:
        words = sorted({word for node in from_nltk(named_wnids()).values() for word in node.lemmas})
        first = {word: wnid_of(wordnet.synsets(word, pos="n")[0]) for word in words}
        graph = from_nltk([*named_wnids(), *first.values()])
    for wnid, node in sorted(graph.items()):
        first_for = [word for word in words if first[word] == wnid]
        writer.writerow([wnid, node.synset, *map(" ".join, (node.lemmas, node.parents, first_for))])
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


def build() -> Path:
    """Write the shipped table (after a change of a class or of the world) and return its path."""
    path = paths.package_data("wordnet.csv.gz")
    content = table_bytes()
    with write_whole(path) as temporary:
        temporary.write_bytes(content)
    return path


_PARTS = ("noun", "verb", "adj", "adv")
_FILES = [f"{kind}.{part}" for kind in ("data", "index") for part in _PARTS] + [f"{part}.exc" for part in _PARTS]
_FILES += ["index.sense"]


def link(source: Path, nltk_data: Path) -> Path:
    """Make an NLTK corpus of plain WordNet 3.0 files (``/usr/share/wordnet`` on Debian) and return its folder.

    The files are copied, since NLTK reads only its data folders, and the list of lexicographer files is added. NLTK
    finds the corpus if ``nltk_data`` is ``~/nltk_data`` or is named by ``NLTK_DATA``.

    Raises:
        DataError: if a file of WordNet is missing from ``source``.
    """
    source, corpus = paths.expanded(source), paths.expanded(nltk_data) / "corpora" / "wordnet"
    if missing := [name for name in _FILES if not (source / name).is_file()]:
        raise DataError(
            f"{source}: {len(missing)} of {len(_FILES)} WordNet files are not there ({', '.join(missing[:4])}). "
            "Debian has them in the packages wordnet-base and wordnet-sense-index."
        )
    with write_folder_whole(corpus) as folder:
        for name in [*_FILES, "cntlist.rev"]:
            if (source / name).is_file():  # cntlist.rev only serves Lemma.count()
                shutil.copyfile(source / name, folder / name)
        # the lexicographer files by number (man page lexnames, section 5WN), which plain WordNet does not list
        shutil.copyfile(paths.package_data("wordnet_lexnames.txt"), folder / "lexnames")
    return corpus


def main(arguments: list[str]) -> Path:
    """Run one of the two commands; returns what it made."""
    if arguments == ["build"]:
        return build()
    if len(arguments) == 3 and arguments[0] == "link":
        return link(Path(arguments[1]), Path(arguments[2]))
    raise ConfigError("usage: python -m sakerepro.wordnet build | link SOURCE NLTK_DATA")


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except SakeError as problem:
        sys.exit(f"{type(problem).__name__}: {problem}")
