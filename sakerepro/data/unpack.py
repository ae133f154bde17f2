"""Unpack folders of an archive: completely or not at all, and only below the target."""

from __future__ import annotations

import lzma
import os
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from ..errors import DataError, RunError
from ..files import beside, need_space, sweep

# RuntimeError: zipfile raises it for an encrypted file, or a compression that it lacks
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, RuntimeError)


def unpack(archive: Path, to: Path, takes: Mapping[str, str]) -> int:
    """Unpack the files below some folders of a zip or tar archive, and count them; other files in ``to`` stay.

    The archive is unpacked beside the target, and its files are moved there once it was read whole. The caller must
    hold a lock.

    Args:
        takes: name of a folder, at any depth of the archive -> target of its files, relative to ``to``. Hidden files
            are left out.

    Raises:
        DataError: if the archive is damaged or encrypted, holds a path that leaves its folder, or nothing that is
            wanted; ``to`` is then unchanged.
        RunError: if the disk has no space.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: is {'no file' if archive.exists() else 'not there'}. Name the archive itself.")
    to.mkdir(parents=True, exist_ok=True)
    sweep(to)
    room = beside(to)
    try:
        _extract(archive, room)
        files = {}
        for path in (p for p in room.rglob("*") if p.is_file()):
            parts = path.relative_to(room).parts
            take = next((name for name in takes if name in parts[:-1]), None)
            if take is not None and not any(p.startswith((".", "__MACOSX")) for p in parts):
                files[path] = to.joinpath(takes[take], *parts[parts.index(take) + 1 :])
        if not files:
            raise DataError(f"{archive}: holds nothing that belongs to {to.name}. Look into it, and unpack it by hand.")
        for path, place in files.items():
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, place)
    except RunError:  # is a RuntimeError too, but says that the disk is full
        raise
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # from the disk, not from a decompressor
            raise
        text = f"{archive}: is damaged, encrypted or no zip or tar archive ({error}). Remove it and get it again."
        raise DataError(text) from error
    finally:
        shutil.rmtree(room, ignore_errors=True)
    return len(files)


def _extract(archive: Path, room: Path) -> None:
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            _check(archive, room, {m.filename: m.file_size for m in file.infolist()})
            file.extractall(room)
        return
    with tarfile.open(archive) as tar:
        _check(archive, room, {m.name: m.size for m in tar})
        tar.extractall(room, filter="data")
        while tar.fileobj and tar.fileobj.read(1 << 20):  # the checksum at the end is compared once it is read
            pass


def _check(archive: Path, room: Path, sizes: dict[str, int]) -> None:
    """Refuse a name that leaves the folder: zipfile and tarfile would change some of them silently."""
    for name in sizes:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or "\\" in name or ":" in parts[0] or not name.isprintable():
            raise DataError(f"{archive}: {name!r} would be written outside of its folder. Refused.")
    need_space(room.parent, sum(sizes.values()), "unpacking")
