"""Where the paper's data sets are known to be, and how they come from there to the folders that the package reads.

The places are those that the official code and the authors of the data name; whether they still answer is theirs. No
checksum of them is published: the first download's is kept in ``downloads.json`` and later ones are held against it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .. import files, paths
from ..errors import ConfigError, DataError, SakeError, near_misses
from . import lists
from .download import agreed, download, need_space, remote_size
from .registry import KNOWN
from .unpack import Place, unpack


def _below(folder: str) -> Place:
    """Members below a folder of that name, wherever it is in the archive; no hidden files."""

    def place(name: str) -> str | None:
        parts = name.split("/")
        if folder not in parts[:-1] or any(p.startswith((".", "__MACOSX")) for p in parts):
            return None
        return "/".join(parts[parts.index(folder) + 1 :])

    return place


def _tuberlin_sketches(name: str) -> str | None:
    """``png/<class>/<n>.png`` of the TU-Berlin archive, as the official lists call it."""
    parts = name.split("/")
    return f"png_ready/{parts[-2]}/{parts[-1]}" if parts[:1] == ["png"] and len(parts) == 3 and parts[2] else None


@dataclass(frozen=True)
class Source:
    """An archive somewhere on the web."""

    file: str  # its name here, in data/downloads
    url: str
    place: Place
    holds: str
    sha256: str = ""  # nobody publishes one


_OFFICIAL = "https://cs.jhu.edu/~qliu24/ZSSBIR/dataset.zip"  # README of github.com/qliu24/SAKE
SOURCES: dict[str, tuple[Source, ...]] = {  # in the order in which they are tried
    "sketchy": (Source("dataset.zip", _OFFICIAL, _below("Sketchy"), "both data sets, resized, with lists (SAKE)"),),
    "tuberlin": (
        Source("dataset.zip", _OFFICIAL, _below("TUBerlin"), "both data sets, resized, with lists (SAKE)"),
        Source(
            "sketches_png.zip", "https://cybertron.cg.tu-berlin.de/eitz/projects/classifysketch/sketches_png.zip",
            _tuberlin_sketches, "the 20,000 sketches of TU-Berlin alone (CC BY 4.0), neither photos nor lists",
        ),
    ),
}  # fmt: skip
BY_HAND = {
    "sketchy": """\
  What to place where, below {root}:
    zeroshot1/*.txt, zeroshot2/*.txt
        lists of the official code: folder dataset/Sketchy of github.com/qliu24/SAKE
    256x256/photo/tx_000000000000_ready/<class>/*.jpg and 256x256/sketch/tx_000000000000_ready/<class>/*.png
        the Sketchy database (sketchy.eye.gatech.edu): rendered_256x256.7z, which its author linked anew in issue 9 of
        github.com/janesjanes/sketchy; unpack it with 7z, and rename tx_000000000000 to tx_000000000000_ready
    EXTEND_image_sketchy_ready/<class>/*.jpg
        the photo extension of Liu et al. (CVPR 2017, github.com/ymcidence/DeepSketchHashing), folder
        EXTEND_image_sketchy; its public links are reported closed, so ask its authors""",
    "tuberlin": """\
  What to place where, below {root}:
    zeroshot/*.txt
        lists of the official code: folder dataset/TUBerlin of github.com/qliu24/SAKE
    png_ready/<class>/<n>.png
        the sketches: sketches_png.zip of cybertron.cg.tu-berlin.de/eitz/projects/classifysketch, folder png
    ImageResized_ready/<class>/*.JPEG
        the photo extension of the data set, folder ImageResized; its public links are reported closed, so ask the
        authors who use it""",
}
AFTER = "\n  With the official archive in another place: `sakerepro data fetch {name} --archive FILE` or `--url URL`."


def fetch_dataset(name: str, *, url: str = "", archive: Path | str | None = None, yes: bool = False,
                  progress: bool = True, say: Callable[[str], None] = print, **network: float) -> Path:  # fmt: skip
    """Bring a data set to ``paths.data()``: download after asking, unpack safely, look whether it is complete.

    Args:
        name: ``"sketchy"`` or ``"tuberlin"``.
        url: another place of the official archive.
        archive: a local copy of it; nothing is downloaded then.
        yes: do not ask.
        say: told what happens.
        network: ``timeout``, ``tries`` and ``pause`` of :func:`~sakerepro.data.download.download`.

    Returns:
        The data set's folder.

    Raises:
        ConfigError: for an unknown name, or if nobody agreed.
        DataError: if every source is gone or wrong, or something is missing in the end; it says what to place where.
        RunError: if the disk has no space.
    """
    if name not in SOURCES:
        raise ConfigError(f"No source of {name!r} is known. {near_misses(name, list(SOURCES))}")
    root = paths.data() / KNOWN[name].folders[0]
    if not (url or archive) and not _missing(name, root):
        say(f"{root}: is there and complete; nothing to do.")
        return root
    sources = SOURCES[name]
    if archive or url:
        file = Path(urlsplit(url).path).name or "archive.zip"
        sources = (Source(file, url, sources[0].place, "the archive that you named"),)
    problems = []
    for source in sources:
        try:
            found = Path(archive).expanduser() if archive else _fetched(source, yes, progress, say, network)
            count = unpack(found, root, source.place, progress=progress)
        except DataError as error:
            problems.append(str(error))
            say(str(error))
            continue
        say(f"{count:,} files of {found.name} are below {root}." + ("" if archive else f" {found} can be removed."))
        if not (missing := _missing(name, root)):
            return root
        problems.append(missing)
    text = "\n  ".join(problems)
    raise DataError(f"{name} is not complete.\n  {text}\n{BY_HAND[name].format(root=root)}{AFTER.format(name=name)}")


def _fetched(source: Source, yes: bool, progress: bool, say: Callable[[str], None], network: dict[str, float]) -> Path:
    """The archive of a source, downloaded unless it is here."""
    folder = paths.data() / "downloads"
    file = folder / source.file
    if file.is_file():
        say(f"{file}: is here already.")
        return file
    size = remote_size(source.url, network.get("timeout", 30.0))
    if size:
        need_space(folder, 2 * size, "the archive with what it holds")
    shown = f"{size / 1e9:.2f} GB" if size else "an unknown number of bytes"
    if not yes and not agreed(f"Download {shown} from {source.url} ({source.holds}) to {file}? [y/N] "):
        raise ConfigError("Nothing was downloaded. Answer y, or give --yes.")
    download(source.url, file, sha256=source.sha256, begins=b"PK" if file.suffix == ".zip" else b"", progress=progress,
             **network)  # type: ignore[arg-type]
    _remember(source, file, say)
    return file


def _remember(source: Source, file: Path, say: Callable[[str], None]) -> None:
    """Keep the checksum of the first download of an address; say so if a later one differs."""
    note = paths.data() / "downloads.json"
    known = files.read_json(note) if note.is_file() else {}
    found = files.sha256(file)
    before = known.get(source.url)
    if before and before["sha256"] != found:
        say(f"{file}: differs from what {source.url} gave on {before['date']} "
            f"(SHA-256 {found}, then {before['sha256']}).")  # fmt: skip
    if not before:
        known[source.url] = {"sha256": found, "bytes": file.stat().st_size, "date": time.strftime("%Y-%m-%d")}
        files.write_json(note, known)


def _missing(name: str, root: Path) -> str:
    """What the folder lacks of the official data set, in a sentence; empty if nothing."""
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
    return f"{root}: {text}. `sakerepro data check {name} --quick` lists them." if text else ""
