"""Bring a data set from its source on the web, or from a local archive, to the folder that the package reads.

The official code and the authors of the data name these sources; some may have closed.
"""

from __future__ import annotations

import http.client
import textwrap
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .. import files, paths
from ..display import bar
from ..errors import ConfigError, DataError, SakeError, near_misses
from . import lists
from .known import Known, Source, datasets
from .unpack import unpack


def fetch_dataset(name: str, *, url: str = "", archive: Path | str | None = None, yes: bool = False) -> Path:
    """Bring a data set to ``paths.data()``: ask, download, unpack safely, and check that it is complete.

    Args:
        name: of a known data set.
        url: another address of the official archive.
        archive: a local copy of it, in place of a download.
        yes: do not ask.

    Returns:
        The folder of the data set.

    Raises:
        ConfigError: for an unknown name, or if nobody agreed. RunError: if the disk has no space.
        DataError: if every source is gone or wrong, or files are missing in the end; it says what to place where.
    """
    fetchable = {n: record for n, record in datasets().items() if not record.reader}
    if name not in fetchable:
        raise ConfigError(f"No source of {name!r} is known. {near_misses(name, list(fetchable))}")
    record = fetchable[name]
    root = paths.data() / record.folders[0]
    if not (url or archive) and not _missing(name, root):
        print(f"{root}: is there and complete; nothing to do.")
        return root
    sources = [(source, {source.take: source.into}) for source in record.sources]
    if archive or url:  # may be the archive of any source
        takes = {source.take: source.into for source in record.sources} or {record.folders[0]: ""}
        sources = [(Source(url, "", holds="the archive that you named"), takes)]
    problems = []
    for source, takes in sources:
        try:
            local = paths.expanded(archive) if archive else _fetched(source, yes)
            print(f"Unpacking {local} ...", flush=True)
            with files.lock(files.hidden(root, ".lock"), f"Another process unpacks into {root}; waiting for it."):
                count = unpack(local, root, takes)
        except DataError as error:
            problems.append(str(error))
            print(error)
            continue
        print(f"{count:,} files of {local.name} are below {root}." + ("" if archive else f" {local} can be removed."))
        if not (missing := _missing(name, root)):
            return root
        problems.append(missing)
    raise DataError("\n  ".join([f"{name} is not complete.", *problems, *_by_hand(record, root)]))


def _by_hand(record: Known, root: Path) -> list[str]:
    """Instructions for placing the files by hand, as lines."""
    text = record.by_hand or f"{record.layout or 'the data set'}\n    {record.get or record.title}"
    return [
        f"What to place where, below {root}:",
        *textwrap.indent(text.strip(), "  ").split("\n"),
        f"With the archive in another place: `sakerepro data fetch {record.name} --archive FILE` or `--url URL`.",
    ]


def _fetched(source: Source, yes: bool) -> Path:
    """The archive of a source; downloads it if it is missing."""
    name = Path(urlsplit(source.url).path).name or "archive.zip"
    file = paths.data() / "downloads" / f"{files.digest(source.url.encode()).hex()[:8]}-{name}"  # mirrors may differ
    if file.is_file():
        print(f"{file}: is here already.")
        return file
    try:
        with open_url(source.url) as response:  # only for the size
            size = int(response.headers.get("Content-Length") or 0)
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{source.url}: cannot be reached ({error}). Check the network.") from error
    files.need_space(file.parent, 2 * size, "the archive with what it holds")
    shown = f"{size / 1e9:.2f} GB" if size else "an unknown number of bytes"
    if not yes and not agreed(f"Download {shown} from {source.url} ({source.holds}) to {file}? [y/N] "):
        raise ConfigError("Nothing was downloaded. Answer y, or give --yes.")
    return download(source.url, file)


def _missing(name: str, root: Path) -> str:
    """A sentence on what the folder lacks of the official data set; empty if it is complete."""
    if not lists.split_names(root):
        return f"{root}: has no lists, so missing images cannot be counted."
    try:
        splits = [lists.examine_split(root, split, name=name) for split in lists.split_names(root)]
    except SakeError as error:
        return str(error)
    missing = {p.text for _, problems in splits for p in problems if p.missing}
    other = [str(p) for _, problems in splits for p in problems if not p.missing]
    texts = [f"{len(missing):,} listed files are not there"] if missing else []
    texts += [f"{len(other)} problems, the first: {other[0]}"] if other else []
    text = "; ".join(texts)
    return f"{root}: {text}. `sakerepro check {name} --quick` lists them." if text else ""


def agreed(question: str) -> bool:
    """Ask on the terminal; without a terminal the answer is no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def open_url(url: str, timeout: float = 30.0, have: int = 0) -> Any:
    """The response of the server, as ``urllib`` gives it, from the byte ``have`` on if the server supports ranges.

    Raises:
        ConfigError: for an address that is not http or https.
        DataError: if the file is gone, or is a web page.
        OSError: if the server cannot be reached now.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url}: only http and https addresses can be downloaded.")
    headers = {"User-Agent": "sakerepro", "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    except urllib.error.HTTPError as error:
        if error.code in (401, 403, 404, 410, 451):
            raise DataError(f"{url}: is gone (HTTP {error.code}).") from error
        raise
    if response.headers.get_content_type() == "text/html":
        raise DataError(
            f"{url}: is a web page, not the file. The source has moved, or wants a click: open it in a browser."
        )
    return response


def download(url: str, to: Path, *, timeout: float = 30.0, tries: int = 4, pause: float = 1.0) -> Path:
    """Fetch a file; an unfinished download is continued.

    Args:
        to: the file; it appears only when it is whole.
        timeout: seconds without a byte after which a connection counts as stalled.
        tries: attempts in a row without a new byte before giving up.
        pause: seconds before the second attempt, doubled each time.

    Raises:
        ConfigError, DataError: as :func:`open_url`, and if the file cannot be fetched now; a part of it is kept.
        RunError: if the disk has no space.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    part, stuck, most = files.hidden(to, ".part"), 0, 0
    with files.lock(files.hidden(to, ".lock"), f"Another process downloads {to.name}; waiting for it."):
        while True:
            try:
                _rest(url, part, timeout)
                break
            except (OSError, http.client.HTTPException) as error:
                size = part.stat().st_size if part.exists() else 0
                stuck, most = (0, size) if size > most else (stuck + 1, most)
                if stuck >= tries:
                    raise DataError(
                        f"{url}: cannot be downloaded now ({str(error) or type(error).__name__}); {size:,} bytes are "
                        "here. The same command goes on from there."
                    ) from error
            time.sleep(pause * 2 ** max(stuck - 1, 0))
        part.replace(to)
    return to


def _rest(url: str, part: Path, timeout: float) -> None:
    """Fetch the rest of ``part``; an OSError if the connection ends before."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = open_url(url, timeout, have)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # no such range: the part is not of this file, so the next attempt begins anew
            part.unlink()
        raise
    with response:
        have = have if response.status == 206 else 0  # 200: a server that cannot resume
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        files.need_space(part.parent, (total or 0) - have, "this download")
        shown = bar(None, part.name[1:-5], total=total, initial=have, unit="B", unit_scale=True)
        with shown, open(part, "ab" if have else "wb") as file:
            while block := response.read1(1 << 18):  # takes the bytes that have arrived: a stall loses none
                shown.update(file.write(block))
            if total is not None and file.tell() != total:
                raise OSError(f"the connection ended after {file.tell():,} of {total:,} bytes")
