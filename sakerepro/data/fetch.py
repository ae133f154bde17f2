"""From a data set's source on the web, or a local archive, to the folder that the package reads.

The sources are those that the official code and the authors of the data name; they may no longer answer.
"""

from __future__ import annotations

import textwrap
from pathlib import Path
from urllib.parse import urlsplit

from .. import files, paths
from ..errors import ConfigError, DataError, SakeError, near_misses
from . import lists
from .download import agreed, download, open_url
from .known import Known, Source, datasets
from .unpack import unpack


def fetch_dataset(name: str, *, url: str = "", archive: Path | str | None = None, yes: bool = False) -> Path:
    """Bring a data set to ``paths.data()``: ask, download, unpack safely, and check that it is complete.

    Args:
        name: of a known data set, whose folder is returned.
        url: another address of the official archive.
        archive: a local copy of it; nothing is downloaded then.
        yes: do not ask.

    Raises:
        ConfigError: for an unknown name, or if nobody agreed. RunError: if the disk has no space.
        DataError: if every source is gone or wrong, or files are missing in the end; it says what to place where.
    """
    known = {n: record for n, record in datasets().items() if not record.reader}
    if name not in known:
        raise ConfigError(f"No source of {name!r} is known. {near_misses(name, list(known))}")
    record = known[name]
    root = paths.data() / record.folders[0]
    if not (url or archive) and not _missing(name, root):
        print(f"{root}: is there and complete; nothing to do.")
        return root
    sources = record.sources
    if archive or url:
        first = sources[0] if sources else Source("", record.folders[0])
        sources = (Source(url, first.take, first.into, "the archive that you named"),)
    problems = []
    for source in sources:
        try:
            found = Path(archive).expanduser() if archive else _fetched(source, yes)
            print(f"Unpacking {found} ...", flush=True)
            count = unpack(found, root, source.take, source.into)
        except DataError as error:
            problems.append(str(error))
            print(error)
            continue
        print(f"{count:,} files of {found.name} are below {root}." + ("" if archive else f" {found} can be removed."))
        if not (missing := _missing(name, root)):
            return root
        problems.append(missing)
    raise DataError("\n  ".join([f"{name} is not complete.", *problems, *_by_hand(record, root)]))


def _by_hand(record: Known, root: Path) -> list[str]:
    """What to place where, in lines."""
    text = record.by_hand or f"{record.layout or 'the data set'}\n    {record.get or record.title}"
    lines = textwrap.indent(text.strip(), "  ").split("\n")
    command = f"sakerepro data fetch {record.name}"
    return [
        f"What to place where, below {root}:",
        *lines,
        f"With the archive in another place: `{command} --archive FILE` or `--url URL`.",
    ]


def _fetched(source: Source, yes: bool) -> Path:
    """The archive of a source, downloaded unless it is here."""
    file = paths.data() / "downloads" / (Path(urlsplit(source.url).path).name or "archive.zip")
    if file.is_file():
        print(f"{file}: is here already.")
        return file
    try:
        with open_url(source.url) as response:  # for its size alone
            size = int(response.headers.get("Content-Length") or 0)
    except OSError as error:
        raise DataError(f"{source.url}: cannot be reached ({error}). Check the network.") from error
    files.need_space(file.parent, 2 * size, "the archive with what it holds")
    shown = f"{size / 1e9:.2f} GB" if size else "an unknown number of bytes"
    if not yes and not agreed(f"Download {shown} from {source.url} ({source.holds}) to {file}? [y/N] "):
        raise ConfigError("Nothing was downloaded. Answer y, or give --yes.")
    return download(source.url, file)


def _missing(name: str, root: Path) -> str:
    """What the folder lacks of the official data set, in a sentence; empty if it is complete."""
    if not lists.split_names(root):
        return f"{root}: has no lists, so what is missing beside them cannot be told."
    try:
        found = [lists.examine_split(root, split, name=name) for split in lists.split_names(root)]
    except SakeError as error:
        return str(error)
    gone = {p.text for _, problems in found for p in problems if p.missing}
    other = [str(p) for _, problems in found for p in problems if not p.missing]
    texts = [f"{len(gone):,} listed files are not there"] if gone else []
    texts += [f"{len(other)} problems, the first: {other[0]}"] if other else []
    text = "; ".join(texts)
    return f"{root}: {text}. `sakerepro check {name} --quick` lists them." if text else ""
