"""Unpack the wanted folder of an archive: nothing outside of the target, and all of it or nothing."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from ..display import bar
from ..errors import DataError, RunError
from ..files import beside, need_space, sweep

# RuntimeError: zipfile raises it for an encrypted file, or a compression that it lacks
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def unpack(archive: Path, to: Path, take: str, into: str = "") -> int:
    """Unpack the files below a folder of a zip or tar archive, and count them; what else is in ``to`` stays.

    Everything is unpacked beside the target first, and moved in only when the whole archive was read.

    Args:
        take: the folder's name, wherever it is in the archive. Hidden files in it are left out.
        into: where its files go, below ``to``.

    Raises:
        DataError: if the archive is damaged or encrypted, holds a path that leaves its folder, or nothing that is
            wanted. Nothing is changed then. RunError: if the disk has no space.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: is {'no file' if archive.exists() else 'not there'}. Name the archive itself.")
    to.mkdir(parents=True, exist_ok=True)
    sweep(to)
    room = beside(to)
    try:
        extract = _unzip if zipfile.is_zipfile(archive) else _untar
        count = extract(archive, room, lambda name: _place(name, archive, take, into))
        if not count:
            raise DataError(f"{archive}: holds nothing that belongs to {to.name}. Look into it, and unpack it by hand.")
        for path in [p.relative_to(room) for p in room.rglob("*") if p.is_file()]:
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            os.replace(room / path, to / path)
    except RunError:  # first, as it is a RuntimeError too: the disk is full, the archive may be right
        raise
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # from the disk, not from a decompressor
            raise
        text = f"{archive}: is damaged, encrypted or no zip or tar archive ({error}). Remove it and get it again."
        raise DataError(text) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return count


def _place(name: str, archive: Path, take: str, into: str) -> str | None:
    """Where a member goes; ``None`` if it is not wanted. A bad name is refused: zipfile would change it silently."""
    parts = name.split("/")
    if not name or name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or not name.isprintable():
        raise DataError(f"{archive}: {name!r} would be written outside of its folder, or has no plain name. Refused.")
    if take not in parts[:-1] or any(p.startswith((".", "__MACOSX")) for p in parts):
        return None
    return str(PurePosixPath(into, *parts[parts.index(take) + 1 :]))


def _unzip(archive: Path, room: Path, place: Callable[[str], str | None]) -> int:
    with zipfile.ZipFile(archive) as file:
        wanted = [(m, path) for m in file.infolist() if (path := place(m.filename)) and not m.is_dir()]
        need_space(room.parent, sum(m.file_size for m, _ in wanted), "unpacking")
        for member, path in bar(wanted, f"Unpacking {archive.name}", unit=" files"):
            member.filename = path
            file.extract(member, room)
    return len(wanted)


def _untar(archive: Path, room: Path, place: Callable[[str], str | None]) -> int:
    count = 0
    with tarfile.open(archive) as file:
        for member in bar(file, f"Unpacking {archive.name}", unit=" files"):
            if (path := place(member.name)) and not member.isdir():
                need_space(room.parent, member.size, "unpacking")
                file.extract(member.replace(name=path), room, filter="data")
                count += 1
        while file.fileobj and file.fileobj.read(1 << 20):  # read to the end, to have the checksum compared
            pass
    return count
