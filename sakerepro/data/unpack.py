"""Unpack an archive from the web: nothing outside its folder, no links, no bombs; whole files or none."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..errors import DataError
from ..files import beside, sweep
from .download import need_space

Place = Callable[[str], str | None]  # name in the archive -> path below the target folder, or None: not wanted


_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class Limits:
    """What no data set of ours comes near; an archive that does is refused."""

    files: int = 2_000_000
    total: int = 200 * 10**9  # bytes unpacked
    single: int = 200 * 10**6


@dataclass(frozen=True)
class _Member:
    name: str
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: Path, to: Path, place: Place, limits: Limits | None = None, progress: bool = True) -> int:
    """Unpack the wanted files of a zip or tar archive into a folder; what else is in the folder stays.

    Everything is unpacked beside the folder first and moved in only when the whole archive was right.

    Returns:
        How many files.

    Raises:
        DataError: if the archive is damaged, encrypted, or holds a link, a device, a path that leaves the folder, two
            files for one place, or more than ``limits``; if it holds nothing that is wanted. Nothing is changed then.
        RunError: if the disk has no space.
    """
    from tqdm import tqdm

    limits, to = limits or Limits(), Path(to)
    seen: dict[str, str] = {}  # path below the folder -> name in the archive
    to.mkdir(parents=True, exist_ok=True)
    sweep(to)
    room = beside(to)
    quiet = None if progress else True  # None: no bar where nobody watches
    try:
        total = 0
        for member in tqdm(_members(archive, to, limits), f"Unpacking {archive.name}", unit=" files", file=sys.stderr,
                           disable=quiet):  # fmt: skip
            path = place(_safe(member.name, archive))
            if path is None:
                continue
            if _safe(path, archive) in seen:
                raise DataError(f"{archive}: {member.name!r} and {seen[path]!r} would be the same file. Refused.")
            seen[path] = member.name
            total += _copy(member, room / path, limits, archive)
            if total > limits.total or len(seen) > limits.files:
                raise DataError(f"{archive}: unpacks to more than {limits.total:,} bytes or {limits.files:,} files.")
        if not seen:
            raise DataError(f"{archive}: holds nothing that belongs to {to.name}. Look into it, and unpack it by hand.")
        for path in seen:
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(room / path, to / path)
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # the disk's, not a decompressor's
            raise
        text = f"{archive}: is damaged or no zip or tar archive ({error}). Remove it and get it again."
        raise DataError(text) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return len(seen)


def _members(archive: Path, to: Path, limits: Limits) -> Iterator[_Member]:
    if not archive.is_file():
        raise DataError(f"{archive}: is {'no file' if archive.exists() else 'not there'}. Name the archive itself.")
    if zipfile.is_zipfile(archive):
        yield from _zip_members(archive, to, limits)
    else:
        yield from _tar_members(archive)


def _zip_members(archive: Path, to: Path, limits: Limits) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as file:
        entries = file.infolist()
        need = sum(e.file_size for e in entries)
        if need > limits.total or len(entries) > limits.files:
            raise DataError(f"{archive}: says that it unpacks to {need:,} bytes in {len(entries):,} files, more than "
                            f"{limits.total:,} or {limits.files:,}. Refused.")  # fmt: skip
        need_space(to.parent, need, "unpacking")
        for e in entries:
            kind = stat.S_IFMT(e.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise DataError(f"{archive}: {e.filename!r} is a link or a device. Refused.")
            if e.flag_bits & 1:
                raise DataError(f"{archive}: is encrypted. Unpack it by hand.")
            if not e.is_dir():
                yield _Member(e.filename, e.file_size, lambda e=e: file.open(e))  # type: ignore[misc]


def _tar_members(archive: Path) -> Iterator[_Member]:
    with tarfile.open(archive) as file:
        yield from _tar_files(archive, file)
        while file.fileobj and file.fileobj.read(1 << 20):  # to its end, where the checksum stands
            pass


def _tar_files(archive: Path, file: tarfile.TarFile) -> Iterator[_Member]:
    for t in file:
        if not (t.isfile() or t.isdir()):
            raise DataError(f"{archive}: {t.name!r} is a link or a device. Refused.")
        if t.isfile():
            yield _Member(t.name, t.size, lambda t=t: file.extractfile(t))  # type: ignore[misc,arg-type]


def _safe(name: str, archive: Path) -> str:
    """The name itself, if it is a plain relative path.

    Raises:
        DataError: if it could lie anywhere else.
    """
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or not name.isprintable():
        raise DataError(f"{archive}: {name!r} would be written outside of its folder, or has no plain name. Refused.")
    return name


def _copy(member: _Member, to: Path, limits: Limits, archive: Path) -> int:
    """Copy a member, trusting no length but the one that is counted."""
    to.parent.mkdir(parents=True, exist_ok=True)
    done = 0
    with member.open() as source, open(to, "xb") as target:
        while block := source.read(1 << 20):
            done += len(block)
            if done > min(limits.single, member.size):
                raise DataError(f"{archive}: {member.name!r} is larger than {min(limits.single, member.size):,} bytes, "
                                "which is what it says or what is allowed. Refused.")  # fmt: skip
            target.write(block)
    return done
