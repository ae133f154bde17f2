"""Packs hold the pixels of the files; they are made once, again after a change, and whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from data_room import write_image

from sakerepro import paths
from sakerepro.data import packing
from sakerepro.data.images import read_image
from sakerepro.data.packing import Pack, pack_images
from sakerepro.errors import DataError, RunError

SIDE = 6
Photos = tuple[Path, list[str]]


@pytest.fixture
def photos(tmp_path: Path) -> Photos:
    root = tmp_path / "set of photos"
    names = ["b/2.png", "a/ü 1.png", "a/日本 3.png", "0.png"]
    for i, name in enumerate(names):
        write_image(root / name, seed=i, side=9)
    return root, names


def packed(root: Path, names: list[str], **options: bool) -> Pack:
    return pack_images(root, names, SIDE, progress=False, **options)


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "decode", lambda *_, **__: pytest.fail("an image was decoded again"))


def the_folder() -> Path:
    (folder,) = (f for f in (paths.cache() / "packs").iterdir() if f.is_dir())
    return folder


def assert_rows_are_images(pack: Pack, root: Path, names: list[str]) -> None:
    assert pack.row_of.keys() == set(names) and len(pack.pixels) == len(names)
    for name, row in pack.row_of.items():
        want = read_image(root / name, SIDE)
        assert np.array_equal(np.broadcast_to(pack.pixels[row], want.shape), want)
        assert pack.sha256[row].tobytes() == hashlib.sha256((root / name).read_bytes()).digest()


def test_rows_are_the_images(photos: Photos) -> None:
    root, names = photos
    pack = packed(root, names)
    assert pack.pixels.shape == (4, SIDE, SIDE, 3) and not pack.pixels.flags.writeable
    assert_rows_are_images(pack, root, names)


def test_grey_sketches_take_one_channel_and_a_coloured_one_makes_it_three(photos: Photos) -> None:
    root, names = photos
    grey = [f"grey {i}.png" for i in range(3)]
    for i, name in enumerate(grey):
        write_image(root / name, seed=i, grey=True)
    pack = packed(root, grey, grey=True)
    assert pack.pixels.shape == (3, SIDE, SIDE, 1)
    mixed = packed(root, [*grey, names[0]], grey=True)
    assert mixed.pixels.shape == (4, SIDE, SIDE, 3)
    assert_rows_are_images(pack, root, grey)
    assert_rows_are_images(mixed, root, [*grey, names[0]])


def test_an_unchanged_set_is_not_decoded_again(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    root, names = photos
    first = packed(root, names)
    no_decoding(monkeypatch)
    again = packed(root, names[::-1] + names)
    assert np.array_equal(first.pixels, again.pixels) and first.row_of == again.row_of


@pytest.mark.parametrize("change", ["content", "time", "removed", "added"])
def test_a_changed_set_is_packed_again_in_its_place(photos: Photos, change: str) -> None:
    root, names = photos
    packed(root, names)
    if change == "content":
        write_image(root / names[0], seed=99, side=9)
    if change == "time":  # the same length and another content cannot be told but by the time
        os.utime(root / names[0], ns=(1, 1))
    if change == "removed":
        names = names[1:]
    if change == "added":
        write_image(root / "new.png", seed=5)
        names = [*names, "new.png"]
    assert_rows_are_images(packed(root, names), root, names)
    assert the_folder()


DAMAGE = {
    "cut": lambda pack: (pack / "pixels.npy").write_bytes((pack / "pixels.npy").read_bytes()[:-10]),
    "longer": lambda pack: (pack / "pixels.npy").write_bytes((pack / "pixels.npy").read_bytes() + b"junk"),
    "another shape": lambda pack: np.save(pack / "pixels.npy", np.zeros((4, SIDE, SIDE, 1), np.uint8)),
    "pickle": lambda pack: np.save(pack / "pixels.npy", np.array([{}], object)),
    "index": lambda pack: (pack / "index.json").write_text((pack / "index.json").read_text()[:50]),
    "gone": lambda pack: (pack / "pixels.npy").unlink(),
    "digests": lambda pack: np.save(pack / "sha256.npy", np.zeros((1, 32), np.uint8)),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_pack_is_noticed_and_made_again(photos: Photos, how: str, capsys: pytest.CaptureFixture[str]) -> None:
    root, names = photos
    want = np.array(packed(root, names).pixels)
    DAMAGE[how](the_folder())
    assert np.array_equal(packed(root, names).pixels, want)
    assert "is damaged" in capsys.readouterr().err


def test_bad_files_are_all_named_and_nothing_is_left(photos: Photos) -> None:
    root, names = photos
    (root / names[0]).write_bytes(b"")
    (root / names[2]).write_bytes((root / names[2]).read_bytes()[:60])
    with pytest.raises(DataError) as error:
        packed(root, names)
    assert f"{root / names[0]}: is empty" in str(error.value) and f"{root / names[2]}: is " in str(error.value)
    assert not [f for f in (paths.cache() / "packs").iterdir() if f.is_dir()]


def test_a_missing_file_is_named(photos: Photos) -> None:
    root, names = photos
    with pytest.raises(DataError, match=r"gone\.png: is not there, nor are 0 more of 5"):
        packed(root, [*names, "gone.png"])


def test_too_little_space_is_said_before_work_begins(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    no_decoding(monkeypatch)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(RunError, match=r"needs 0\.00 GB .* SAKEREPRO_CACHE"):
        packed(*photos)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="space is not allocated here")
def test_a_cache_that_cannot_allocate_gets_a_sentence(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    refusal = OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
    monkeypatch.setattr(os, "posix_fallocate", Mock(side_effect=refusal))
    with pytest.raises(RunError, match=r"packs: 0\.00 GB cannot be allocated .* on a local disk, with SAKEREPRO_CACHE"):
        packed(*photos)


def test_a_cache_that_cannot_be_written(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    file = photos[0] / photos[1][0]
    monkeypatch.setenv("SAKEREPRO_CACHE", str(file / "cache"))
    with pytest.raises(RunError, match="cannot be created"):
        packed(*photos)


def test_two_processes_at_once_make_one_pack(photos: Photos) -> None:
    root, names = photos
    for i in range(40):
        write_image(root / f"more {i}.png", seed=i, side=200)
        names.append(f"more {i}.png")
    code = (
        "from pathlib import Path; from sakerepro.data.packing import pack_images\n"
        f"pack = pack_images(Path({str(root)!r}), {names!r}, {SIDE}, progress=False)\n"
        "import hashlib; print(hashlib.sha256(pack.pixels.tobytes()).hexdigest())"
    )
    running = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].strip() for process in running]
    want = np.stack([read_image(root / name, SIDE) for name in sorted(names)])
    assert answers == [hashlib.sha256(want.tobytes()).hexdigest()] * 2
    assert the_folder()


def test_a_killed_process_leaves_nothing_that_counts(photos: Photos) -> None:
    root, names = photos
    code = (
        "import os, signal; from pathlib import Path; from sakerepro.data import packing\n"
        "real, seen = packing.decode, []\n"
        "def decode(*a, **k):\n"
        "    seen.append(a)\n"
        "    return real(*a, **k) if len(seen) < 3 else os.kill(os.getpid(), signal.SIGKILL)\n"
        "packing.decode = decode\n"
        f"packing.pack_images(Path({str(root)!r}), {names!r}, {SIDE}, progress=False)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == -9
    folders = [f for f in (paths.cache() / "packs").iterdir() if f.is_dir()]
    assert len(folders) == 1 and folders[0].name.startswith(".")
    assert_rows_are_images(packed(root, names), root, names)
    assert the_folder().name[0] != "."


def test_threads_work_ahead_in_order_within_a_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error is raised in its turn; jobs behind it or behind a closed generator are not begun."""
    monkeypatch.setattr(packing, "_AHEAD", 8)
    begun: list[int] = []

    def one(job: int) -> int:
        begun.append(job)
        if job == 30:
            raise ValueError("the thirtieth")
        return job

    results = packing.on_all_cores(one, itertools.count())
    for i in range(20):
        assert next(results) == i
        until = time.monotonic() + 10
        while len(begun) < i + 8 and time.monotonic() < until:  # nobody asks, and the window fills
            time.sleep(0.001)
        assert sorted(begun) == list(range(i + 8))
    threads = threading.active_count()
    assert [next(results) for _ in range(10)] == list(range(20, 30))
    with pytest.raises(ValueError, match="the thirtieth"):
        next(results)
    assert threading.active_count() < threads and max(begun) < 38
    del begun[:]
    results = packing.on_all_cores(one, itertools.count())
    assert next(results) == 0
    results.close()
    assert threading.active_count() < threads and max(begun) < 8
    assert list(packing.on_all_cores(one, [])) == []


def test_no_images_make_an_empty_pack(tmp_path: Path) -> None:
    assert packed(tmp_path, []).pixels.shape == (0, SIDE, SIDE, 3)


@pytest.mark.parametrize("entries", [True, False])
def test_swapped_files_of_one_length_and_date_are_found(entries, tmp_path, monkeypatch):
    """At once where the file system tells when an entry changed, else with ``verify``."""
    if not entries:
        stat = packing.stat_files
        monkeypatch.setattr(packing, "stat_files", lambda *a: stat(*a) * [1, 1, 0])
    names = ["a.bmp", "b.bmp"]
    for i, name in enumerate(names):
        write_image(tmp_path / name, seed=i, side=SIDE)
        os.utime(tmp_path / name, (1e9, 1e9))
    before = np.array(packed(tmp_path, names).pixels)
    for old, new in (("a.bmp", "c"), ("b.bmp", "a.bmp"), ("c", "b.bmp")):
        (tmp_path / old).rename(tmp_path / new)
    if not entries:
        assert np.array_equal(packed(tmp_path, names).pixels, before)
    assert np.array_equal(packed(tmp_path, names, verify=not entries).pixels, before[::-1])


def test_a_new_pack_is_not_verified_against_files_that_were_just_read(photos, monkeypatch):
    read, read_bytes = [], packing.read_bytes
    monkeypatch.setattr(packing, "read_bytes", lambda path: read.append(path) or read_bytes(path))
    for times in (1, 2):
        packed(*photos, verify=True)
        assert len(read) == 4 * times


def test_other_rights_alone_are_no_change(photos: Photos, monkeypatch: pytest.MonkeyPatch) -> None:
    root, names = photos
    packed(root, names)
    for name in names:
        (root / name).chmod(0o600)
    no_decoding(monkeypatch)
    packed(root, names)
    monkeypatch.setattr(packing, "read_bytes", lambda path: pytest.fail("read a second time"))
    packed(root, names)


def test_a_folder_with_a_long_name_is_packed(tmp_path: Path) -> None:
    for root in (tmp_path / ("a" * 250), tmp_path / ("名" * 83)):
        write_image(root / "a.png", side=SIDE)
        assert len(packed(root, ["a.png"]).pixels) == 1
