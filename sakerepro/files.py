"""Files that are written whole or not at all, locks between processes, checksums."""

from __future__ import annotations

import contextlib
import glob
import gzip
import hashlib
import json
import os
import secrets
import shutil
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from .errors import DataError, RunError

Value = TypeVar("Value")


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder}: cannot be created ({error.strerror}). Make it, or name another place.") from error
    if not os.access(folder, os.W_OK):
        raise RunError(f"{folder}: is not writable. Change its rights, or name another place (see sakerepro/paths.py).")


def short_name(name: str, most: int = 100) -> str:
    """A user's name, cut to ``most`` bytes to be part of a file name: file systems allow 255 bytes in all."""
    return name if len(data := os.fsencode(name)) <= most else data[:most].decode(errors="ignore")


def hidden(path: Path, ending: str) -> Path:
    """The hidden file beside ``path`` that has its name, such as its lock."""
    return path.with_name(f".{short_name(path.name, 200)}{ending}")


@contextlib.contextmanager
def write_whole(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path``; rename it to ``path`` when the block ends well, else remove it.

    The umask determines the file's permissions, not its writer.

    Raises:
        RunError: if the folder cannot be written, or ``path`` is itself a folder.
    """
    _writable(path.parent)
    if path.is_dir():
        raise RunError(f"{path}: is a folder, and a file is to be written. Name a file.")
    temporary = hidden(path.with_name(path.stem), f"-{secrets.token_hex(4)}.tmp{path.suffix}")
    temporary.touch(exist_ok=False)
    rights = temporary.stat().st_mode & 0o777
    try:
        yield temporary
        with open(temporary, "rb") as file:  # on disk before it is visible: a power cut leaves old or new, not half
            os.fsync(file.fileno())
        temporary.chmod(rights)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path, kinds: tuple[type[Exception], ...] = (OSError,)) -> Iterator[None]:
    """Raise a RunError that names ``path`` where the block cannot write, as on a full disk.

    Args:
        kinds: the errors that a failed write raises.
    """
    try:
        yield
    except kinds as error:
        why = getattr(error, "strerror", None) or error
        raise RunError(
            f"{path}: could not be written ({why}). Make room on the disk, or name another place."
        ) from error


def beside(path: Path, what: str = "") -> Path:
    """Make a hidden folder beside ``path`` under a unique name; :func:`sweep` removes it."""
    folder = hidden(path, f"-sakerepro-{what}{secrets.token_hex(4)}")
    folder.mkdir()
    return folder


@contextlib.contextmanager
def write_folder_whole(path: Path) -> Iterator[Path]:
    """Like :func:`write_whole` for a folder; an existing ``path`` is replaced only once the new one is complete."""
    _writable(path.parent)
    temporary = beside(path)
    rights = temporary.stat().st_mode & 0o666
    try:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():  # safetensors gives its files to the owner alone
                file.chmod(rights)
        if path.exists():
            old = beside(path, "old-")
            path.replace(old / "was")
            temporary.replace(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.replace(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def find_or_make(
    folder: Path, find: Callable[[], Value | None], make: Callable[[Path], object], waiting: str = ""
) -> Value:
    """Return the value of ``find()``; if it is None, first make a folder of the cache, once for all processes.

    Args:
        folder: is replaced whole.
        find: reads the folder; returns ``None`` if it is not there, damaged or out of date.
        make: writes the files into an empty folder.
        waiting: printed if another process is making the folder.

    Raises:
        RunError: if the folder cannot be written, or ``find`` still returns None afterwards.
    """
    if (value := find()) is not None:
        return value
    with lock(folder.parent / f"{folder.name}.lock", waiting):
        if (value := find()) is None:
            sweep(folder)
            with write_folder_whole(folder) as new:
                make(new)
            value = find()
    if value is None:
        raise RunError(f"{folder}: cannot be read back after writing. Check the disk, or set SAKEREPRO_CACHE.")
    return value


def need_space(folder: Path, need: int, what: str, variable: str = "SAKEREPRO_DATA") -> None:
    """Raise a RunError if fewer than ``need`` bytes are free; ``variable`` can name another place for the files."""
    free = shutil.disk_usage(next(p for p in (folder, *folder.parents) if p.exists())).free
    if free < need:
        raise RunError(
            f"{folder}: {what} needs {need / 1e9:.2f} GB and only {free / 1e9:.2f} GB are free. Free some "
            f"space, or name another place with {variable}."
        )


def taken(path: Path) -> bool:
    """Whether ``path`` exists and is not an empty folder."""
    return path.exists() and not (path.is_dir() and not any(path.iterdir()))


def sweep(path: Path) -> None:
    """Remove the temporary files that killed processes left beside ``path``. The caller must hold the lock."""
    file, folder = hidden(path.with_name(path.stem), "-").name, hidden(path, "-sakerepro-").name
    for leftover in path.parent.glob(f"{glob.escape(file)}????????.tmp{glob.escape(path.suffix)}"):
        leftover.unlink(missing_ok=True)
    for ending in ("", "old-") if path.exists() else ("",):  # without ``path``, the old folder is the only copy
        for leftover in path.parent.glob(f"{glob.escape(folder)}{ending}????????"):
            shutil.rmtree(leftover, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8, whole or not at all."""
    with write_whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON with sorted keys, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def read_json(path: Path, advice: str = "Mend it, or remove it and make it again.") -> Any:
    """Read JSON; a damaged file is named, with what to do.

    Raises:
        RunError: if the file is not there or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}). {advice}") from error


def lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """Number, from 1, and content of each line that is not blank; the file, gzipped or not, is read as a stream.

    Raises:
        DataError: if the file cannot be read, or is no whole gzip file.
    """
    try:
        with gzip.open(file) if file.suffix.lower() == ".gz" else open(file, "rb") as stream:
            for number, line in enumerate(stream, 1):
                if line := line.strip():
                    yield number, line
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or error
        raise DataError(f"{file}: cannot be read ({why}). Replace it by a whole copy, or remove it.") from error


@contextlib.contextmanager
def lock(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold ``path`` as a lock between processes; say ``waiting`` once, on stderr, if somebody else holds it.

    The lock ends with its process; a killed process holds no lock.

    Raises:
        RunError: if the folder cannot be written, or its file system has no locks (some network folders).
    """
    _writable(path.parent)
    if (file_lock := _acquired(path, 0)) is None:
        if waiting:
            print(waiting, file=sys.stderr, flush=True)
        file_lock = _acquired(path, -1)
    try:
        yield
    finally:
        file_lock.release()


def locked(path: Path) -> bool:
    """Whether somebody else holds :func:`lock` on ``path`` at this moment."""
    if not path.exists():
        return False
    if (file_lock := _acquired(path, 0)) is not None:
        file_lock.release()
    return file_lock is None


def _acquired(path: Path, timeout: float) -> Any:
    """The acquired lock; ``None`` if somebody else holds it for ``timeout`` seconds (-1: wait for ever)."""
    from filelock import FileLock, Timeout

    file_lock = FileLock(str(path))
    try:
        file_lock.acquire(timeout=timeout)
    except Timeout:
        return None
    except (OSError, NotImplementedError) as error:  # earlier versions of filelock raise the second
        raise RunError(
            f"{path}: cannot be locked ({error}). If its folder is on a network, name one on a local disk "
            "(see sakerepro/paths.py)."
        ) from error
    return file_lock


def printable(name: str) -> str:
    """A file name as text that can be written anywhere; bytes that are no UTF-8 become backslash escapes."""
    return name.encode("utf-8", "backslashreplace").decode()


def digest(data: bytes) -> bytes:
    """The 32 bytes of SHA-256."""
    return hashlib.sha256(data).digest()


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def short_hash(value: Any) -> str:
    """12 hexadecimal digits of the SHA-256 of ``value`` as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
