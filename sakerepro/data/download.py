"""One file from the web: resumed after a cut, checked, whole or not there, and never without consent."""

from __future__ import annotations

import http.client
import re
import shutil
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import files
from ..errors import ConfigError, DataError, RunError

_BLOCK = 1 << 18
_GONE = (401, 403, 404, 410, 451)


@dataclass
class Progress:
    """What is known of an unfinished download beside its bytes: is it still the same file on the server?"""

    url: str = ""
    total: int | None = None  # bytes, as the server said
    mark: str = ""  # ETag or date: the server's name for this version of the file


class _Again(Exception):
    """This attempt brought no whole file, and another one may."""


def agreed(question: str) -> bool:
    """Ask on the terminal; nobody there is a no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def need_space(folder: Path, need: int, what: str) -> None:
    """Refuse early what would fill the disk.

    Raises:
        RunError: with what is needed and what is free.
    """
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free
    if free < need:
        raise RunError(f"{folder}: {what} needs {need / 1e9:.2f} GB and only {free / 1e9:.2f} GB are free. Free some "
                       "space, or name another place with SAKEREPRO_DATA.")  # fmt: skip


def remote_size(url: str, timeout: float = 30.0) -> int | None:
    """Bytes of a remote file; ``None`` if the server does not say.

    Raises:
        DataError: if the file is not there or the server cannot be reached.
    """
    try:
        with _open(url, {}, timeout, "HEAD") as response:
            return _number(response.headers.get("Content-Length"))
    except urllib.error.HTTPError as error:
        if error.code in _GONE:
            raise DataError(f"{url}: is gone (HTTP {error.code}).") from error
        return None  # some servers refuse HEAD and serve GET
    except (OSError, http.client.HTTPException) as error:
        raise DataError(f"{url}: cannot be reached ({_why(error)}). Check the network.") from error


def download(url: str, to: Path, *, sha256: str = "", begins: bytes = b"", timeout: float = 30.0, tries: int = 4,
             pause: float = 1.0, most: int = 100 * 10**9, progress: bool = True) -> Path:  # fmt: skip
    """Fetch a file; what an earlier call left unfinished is gone on with.

    Args:
        url: http or https.
        to: the file; it appears only when it is whole.
        sha256: of the whole file, hexadecimal; empty if nobody knows it.
        begins: the first bytes that a file of this kind has, such as ``b"PK"``: a web page in its place is refused.
        timeout: seconds without a byte after which a connection counts as stalled.
        tries: attempts in a row that bring nothing new before it is given up.
        pause: seconds before the second of them, doubled each time.
        most: bytes that are taken at the most.

    Raises:
        ConfigError: for another kind of address.
        DataError: if the file is gone, is another one, or cannot be had now; what was had is kept, and the same call
            goes on from there. RunError: if the disk has no space.
    """
    if not re.match(r"https?://", url):
        raise ConfigError(f"{url}: only http and https addresses can be downloaded.")
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    stuck, most_had = 0, _size(part)
    with files.lock(to.with_name(f".{to.name}.lock"), f"Another process downloads {to.name}; waiting for it."):
        while stuck < tries:
            try:
                _attempt(url, part, begins, timeout, most, progress)
                break
            except _Again as error:
                why = str(error)
            except urllib.error.HTTPError as error:
                if error.code in _GONE:
                    raise DataError(f"{url}: is gone (HTTP {error.code}).") from error
                why = f"HTTP {error.code}"
            except (OSError, http.client.HTTPException) as error:
                why = _why(error)
            stuck = 0 if _size(part) > most_had else stuck + 1  # to begin anew and come as far is no progress
            most_had = max(most_had, _size(part))
            if stuck < tries:
                time.sleep(pause * 2 ** max(stuck - 1, 0))
        else:
            raise DataError(f"{url}: cannot be downloaded now ({why}); {_size(part):,} bytes are here. "
                            "The same command goes on from there.")  # fmt: skip
        found = files.sha256(part)
        if sha256 and found != sha256:
            part.unlink()
            raise DataError(f"{url}: is another file than expected (SHA-256 {found}, not {sha256}). It was removed; "
                            "look for another source.")  # fmt: skip
        part.replace(to)
        _note(part).unlink(missing_ok=True)
    return to


def _attempt(url: str, part: Path, begins: bytes, timeout: float, most: int, progress: bool) -> None:
    """Bring ``part`` to its end, from where it is."""
    state = _state(part, url)
    have = _size(part) if state.mark or state.total else 0  # bytes of a file that nobody can name again are not used
    headers = {"Range": f"bytes={have}-", **({"If-Range": state.mark} if state.mark else {})} if have else {}
    try:
        response = _open(url, headers, timeout)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not have:
            raise
        if have == state.total:
            return
        _forget(part)
        raise _Again(f"the server has no bytes after {have:,}") from error
    with response:
        total = _number(response.headers.get("Content-Length"))
        if response.status == 206:
            start, whole = _range(response.headers.get("Content-Range", ""))
            if start != have or (state.total is not None and whole not in (None, state.total)):
                _forget(part)
                raise _Again("the file changed on the server")
            total = whole if whole is not None else None if total is None else have + total
        else:
            have = 0  # the whole file: the server cannot go on, or its file changed
        if (total or 0) > most:
            raise DataError(f"{url}: has {total:,} bytes, more than the {most:,} that are expected at the most.")
        need_space(part.parent, (total or 0) - have, "this download")
        mark = response.headers.get("ETag") or response.headers.get("Last-Modified") or ""
        files.write_json(_note(part), asdict(Progress(url, total, "" if mark.startswith("W/") else mark)))
        _save(response, part, have, total, begins, most, progress)
    if total is not None and _size(part) != total:
        raise _Again(f"the connection ended after {_size(part):,} of {total:,} bytes")


def _save(response: Any, part: Path, have: int, total: int | None, begins: bytes, most: int, progress: bool) -> None:
    from tqdm import tqdm

    quiet = None if progress else True  # None: no bar where nobody watches
    bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=part.name[1:-5], file=sys.stderr,
               disable=quiet)  # fmt: skip
    with bar, open(part, "ab" if have else "wb") as file:
        while block := response.read1(_BLOCK):  # what there is, so that a stall loses nothing
            if file.tell() == 0 and not block.startswith(begins[: len(block)]):
                start = " ".join(block[:60].decode("utf-8", "replace").split())
                raise DataError(f"{response.url}: is not the archive but something that begins with {start!r}. The "
                                "source has moved, or wants a click: open it in a browser.")  # fmt: skip
            file.write(block)
            bar.update(len(block))
            if file.tell() > most:
                raise DataError(f"{response.url}: sends more than {most:,} bytes. Stopped.")


def _open(url: str, headers: dict[str, str], timeout: float, method: str = "GET") -> Any:
    request = urllib.request.Request(
        url, headers={"User-Agent": "sakerepro", "Accept-Encoding": "identity", **headers}, method=method
    )
    return urllib.request.urlopen(request, timeout=timeout)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _state(part: Path, url: str) -> Progress:
    try:
        state = Progress(**files.read_json(_note(part)))
    except (RunError, TypeError):
        return Progress()
    return state if state.url == url else Progress()


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() else None


def _range(text: str) -> tuple[int, int | None]:
    """Start and total of ``bytes 100-199/200``."""
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", text.strip())
    return (int(found[1]), _number(found[2])) if found else (-1, None)


def _why(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return "no byte came for too long" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
