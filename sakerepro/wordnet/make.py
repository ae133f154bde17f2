"""Make the shipped table anew, or an NLTK corpus of plain WordNet files."""

from __future__ import annotations

import csv
import gzip
import io
import shutil
from pathlib import Path

from .. import paths
from ..errors import DataError
from ..files import write_folder_whole, write_whole
from . import corpus, first_senses, from_nltk, table, wnid_of


def named_wnids() -> list[str]:
    """Every synset that the package itself names: ImageNet-1k, and the class tables of its data sets."""
    from ..data.known import shipped

    with open(paths.package_data("imagenet1k.csv"), encoding="utf-8", newline="") as file:
        named = {row["wnid"] for row in csv.DictReader(file)}
    return sorted(named | {wnid for record in shipped().values() for _, _, wnid, _ in record.class_rows()})


def table_bytes() -> bytes:
    """The content of ``wordnet.csv.gz``, made from NLTK's WordNet; the same bytes on every machine of one zlib."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["wnid", "synset", "lemmas", "parents", "first_for"])
    with corpus() as wordnet:
        words = sorted({word for node in from_nltk(named_wnids()).values() for word in node.lemmas})
        first = {word: wnid_of(wordnet.synsets(word, pos="n")[0]) for word in words}
        graph = from_nltk([*named_wnids(), *first.values()])
    for wnid, node in sorted(graph.items()):
        own = [word for word in words if first[word] == wnid]
        writer.writerow([wnid, node.synset, *map(" ".join, (node.lemmas, node.parents, own))])
    return gzip.compress(text.getvalue().encode(), compresslevel=9, mtime=0)


def build(path: Path | None = None) -> Path:
    """Write the shipped table again (after a change of a class or of the world) and return where it is."""
    path = path or paths.package_data("wordnet.csv.gz")
    content = table_bytes()
    with write_whole(path) as temporary:
        temporary.write_bytes(content)
    table.cache_clear()
    first_senses.cache_clear()
    return path


# The lexicographer files in the order of their numbers (man page lexnames, section 5WN): NLTK's corpus has them as a
# file, plain WordNet does not.
_LEXNAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition "
    "noun.communication noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object "
    "noun.person noun.phenomenon noun.plant noun.possession noun.process noun.quantity noun.relation noun.shape "
    "noun.state noun.substance noun.time verb.body verb.change verb.cognition verb.communication verb.competition "
    "verb.consumption verb.contact verb.creation verb.emotion verb.motion verb.perception verb.possession "
    "verb.social verb.stative verb.weather adj.ppl"
).split()
_PARTS = {"noun": 1, "verb": 2, "adj": 3, "adv": 4}
_FILES = [f"{kind}.{part}" for kind in ("data", "index") for part in _PARTS] + [f"{part}.exc" for part in _PARTS]
_FILES += ["index.sense"]


def link(source: Path, nltk_data: Path) -> Path:
    """Make an NLTK corpus of plain WordNet 3.0 files (``/usr/share/wordnet`` on Debian) and return its folder.

    The files are copied, since NLTK refuses what lies outside its data folders, and the list of lexicographer files
    is added. NLTK finds the corpus if ``nltk_data`` is ``~/nltk_data`` or is named by ``NLTK_DATA``.

    Raises:
        DataError: if a file of WordNet is missing from ``source``.
    """
    source, corpus = Path(source).expanduser(), Path(nltk_data).expanduser() / "corpora" / "wordnet"
    if missing := [name for name in _FILES if not (source / name).is_file()]:
        raise DataError(
            f"{source}: {len(missing)} of {len(_FILES)} WordNet files are not there ({', '.join(missing[:4])}). "
            "Debian has them in the packages wordnet-base and wordnet-sense-index."
        )
    with write_folder_whole(corpus) as folder:
        for name in [*_FILES, "cntlist.rev"]:
            if (source / name).is_file():  # cntlist.rev only serves Lemma.count()
                shutil.copyfile(source / name, folder / name)
        lines = [f"{i:02d}\t{name}\t{_PARTS[name.split('.')[0]]}\n" for i, name in enumerate(_LEXNAMES)]
        (folder / "lexnames").write_text("".join(lines), encoding="utf-8")
    return corpus
