"""Files that are written whole or not at all, locks between processes, checksums."""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .errors import RunError


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be created ({error.strerror}). Make it, or name another place.") from error
    if not os.access(folder, os.W_OK):
        raise RunError(f"{folder}: is not writable. Change its rights, or name another place (see sakerepro/paths.py).")


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    Raises:
        RunError: if the folder cannot be written.
    """
    path = Path(path)
    _writable(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=f".tmp{path.suffix}")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with open(temporary, "rb") as done:  # on disk before it is visible: a power cut leaves old or new, not half
            os.fsync(done.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def beside(path: Path, what: str = "") -> Path:
    """Make a hidden folder beside ``path`` under a unique name; :func:`sweep` removes it."""
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-sakerepro-{what}"))


@contextlib.contextmanager
def write_folder_whole(path: Path) -> Iterator[Path]:
    """The same for a folder; an existing ``path`` is replaced only once the new one is complete."""
    path = Path(path)
    _writable(path.parent)
    temporary = beside(path)
    try:
        yield temporary
        temporary.chmod(0o755)
        if path.exists():
            old = beside(path, "old-")
            path.replace(old / "was")
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sweep(path: Path) -> None:
    """Remove what killed processes left of writing ``path``. The caller must hold the lock."""
    path = Path(path)
    name, stem, suffix = (glob.escape(part) for part in (path.name, path.stem, path.suffix))
    for left in path.parent.glob(f".{stem}-????????.tmp{suffix}"):
        left.unlink(missing_ok=True)
    for left in path.parent.glob(f".{name}-sakerepro-????????"):
        shutil.rmtree(left, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read JSON; a damaged file is named.

    Raises:
        RunError: if the file is not there or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}). Remove its folder and run the command again.") from error


@contextlib.contextmanager
def lock(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold ``path`` as a lock between processes; print ``waiting`` once if somebody else holds it.

    The lock goes with its process: one that was killed holds nothing.
    """
    from filelock import FileLock, Timeout

    _writable(Path(path).parent)
    held = FileLock(str(path))
    try:
        held.acquire(timeout=0)
    except Timeout:
        if waiting:
            print(waiting, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def locked(path: Path) -> bool:
    """Whether somebody else holds :func:`lock` on ``path`` at this moment."""
    from filelock import FileLock, Timeout

    if not Path(path).exists():
        return False
    held = FileLock(str(path))
    try:
        held.acquire(timeout=0)
    except Timeout:
        return True
    held.release()
    return False


def printable(name: str) -> str:
    """A file name as text that can be written anywhere; what is no UTF-8 in it as backslashes."""
    return name.encode("utf-8", "backslashreplace").decode()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
