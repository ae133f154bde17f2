"""Download one file: an interrupted download is continued, the file is checked, and it is whole or not there."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from .. import files
from ..display import bar
from ..errors import ConfigError, DataError


def agreed(question: str) -> bool:
    """Ask on the terminal; without a terminal the answer is no."""
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def open_url(url: str, timeout: float = 30.0, **headers: str) -> Any:
    """The response of the server, as ``urllib`` gives it.

    Raises:
        ConfigError: for an address that is not http or https.
        DataError: if the file is gone, or is a web page. OSError: if the server cannot be reached now.
    """
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"{url}: only http and https addresses can be downloaded.")
    headers = {"User-Agent": "sakerepro", "Accept-Encoding": "identity", **headers}
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


def download(
    url: str, to: Path, *, sha256: str = "", timeout: float = 30.0, tries: int = 4, pause: float = 1.0
) -> Path:
    """Fetch a file. An unfinished download is continued if the server still has the same file.

    Args:
        to: the file; it appears only when it is whole.
        sha256: checksum of the whole file in hexadecimal, or its first digits; empty if unknown.
        timeout: seconds without a byte after which a connection counts as stalled.
        tries: attempts in a row without a new byte before giving up.
        pause: seconds before the second attempt, doubled each time.

    Raises:
        ConfigError, DataError: as :func:`open_url`, and if the file cannot be fetched now (the part that is here is
            kept) or has another checksum (it is removed). RunError: if the disk has no space.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    part, stuck, most = files.hidden(to, ".part"), 0, 0
    with files.lock(files.hidden(to, ".lock"), f"Another process downloads {to.name}; waiting for it."):
        while why := _rest(url, part, timeout):
            size = part.stat().st_size if part.exists() else 0
            stuck, most = (0, size) if size > most else (stuck + 1, most)
            if stuck >= tries:
                raise DataError(
                    f"{url}: cannot be downloaded now ({why}); {size:,} bytes are here. The same command "
                    "goes on from there."
                )
            time.sleep(pause * 2 ** max(stuck - 1, 0))
        if sha256 and not (found := files.sha256(part)).startswith(sha256):
            part.unlink()
            _mark(part).unlink()
            raise DataError(
                f"{url}: is another file than expected (SHA-256 {found}, not {sha256}). It was removed; "
                "look for another source."
            )
        part.replace(to)
        _mark(part).unlink(missing_ok=True)
    return to


def _mark(part: Path) -> Path:
    """The file that holds the server's name for this version of the file (its ETag or date)."""
    return part.with_name(f"{part.name}.mark")


def _rest(url: str, part: Path, timeout: float) -> str:
    """Fetch what ``part`` lacks; return why it is not whole, or an empty string if it is."""
    mark = _mark(part)
    have = part.stat().st_size if part.exists() and mark.exists() else 0
    resume = {"Range": f"bytes={have}-"} if have else {}
    if have and (same := mark.read_text()):
        resume["If-Range"] = same
    try:
        with open_url(url, timeout, **resume) as response:
            have = have if response.status == 206 else 0  # 200: another file, or a server that cannot resume
            left = response.headers.get("Content-Length")
            total = have + int(left) if left else None
            files.need_space(part.parent, (total or 0) - have, "this download")
            tag = response.headers.get("ETag", "W/")
            mark.write_text(response.headers.get("Last-Modified", "") if tag.startswith("W/") else tag)
            shown = bar(None, part.name[1:-5], total=total, initial=have, unit="B", unit_scale=True)
            with shown, open(part, "ab" if have else "wb") as file:
                while block := response.read1(1 << 18):  # what has arrived, so that a stall loses nothing
                    shown.update(file.write(block))
                short = total is not None and file.tell() != total
                return f"the connection ended after {file.tell():,} of {total:,} bytes" if short else ""
    except urllib.error.HTTPError as error:
        if error.code == 416 and error.headers.get("Content-Range") == f"bytes */{have}":
            return ""
        if error.code == 416:
            part.unlink()
        return f"HTTP {error.code}"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
