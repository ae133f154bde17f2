"""Download one file: an interrupted download is continued, and the file is whole or not there."""

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


def open_url(url: str, timeout: float = 30.0, have: int = 0) -> Any:
    """The response of the server, as ``urllib`` gives it, from the byte ``have`` on if the server can do that.

    Raises:
        ConfigError: for an address that is not http or https.
        DataError: if the file is gone, or is a web page. OSError: if the server cannot be reached now.
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
        ConfigError, DataError: as :func:`open_url`, and if the file cannot be fetched now; the part that is here is
            kept. RunError: if the disk has no space.
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
    """Fetch what ``part`` lacks; an OSError if the connection ends before that."""
    have = part.stat().st_size if part.exists() else 0
    try:
        response = open_url(url, timeout, have)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # no such range: the part is not of this file, so the next attempt begins anew
            part.unlink()
        raise
    with response:
        have = have if response.status == 206 else 0  # 200: a server that cannot resume
        left = response.headers.get("Content-Length")
        total = have + int(left) if left else None
        files.need_space(part.parent, (total or 0) - have, "this download")
        shown = bar(None, part.name[1:-5], total=total, initial=have, unit="B", unit_scale=True)
        with shown, open(part, "ab" if have else "wb") as file:
            while block := response.read1(1 << 18):  # what has arrived, so that a stall loses nothing
                shown.update(file.write(block))
            if total is not None and file.tell() != total:
                raise OSError(f"the connection ended after {file.tell():,} of {total:,} bytes")
