"""Downloads from a local server that stalls, cuts the connection or serves a wrong file; malicious archives."""

from __future__ import annotations

import io
import shutil
import socket
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_room import write_official
from web import BODY, Server

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.data import known
from sakerepro.data.fetch import download, open_url
from sakerepro.data.unpack import unpack
from sakerepro.errors import ConfigError, DataError, RunError

FAST = {"timeout": 20.0, "pause": 0.0}  # a busy machine is no stalling server


def left(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


RESUMED = [None, "bytes=100000-", "bytes=200000-", "bytes=300000-"]


@pytest.mark.parametrize(
    ("way", "then", "timeout", "requests"),
    [
        ("well", "", 20.0, [None]),
        ("cuts", "", 20.0, RESUMED),
        ("stalls", "", 1.0, RESUMED),
        ("cuts", "no ranges", 20.0, RESUMED[:2]),  # everything is sent anew
    ],
)
def test_a_whole_file_arrives(server, tmp_path, way, then, timeout, requests):
    server.way, server.then = way, then
    assert download(server.url, tmp_path / "x.zip", **{**FAST, "timeout": timeout}).read_bytes() == BODY
    assert server.requests == requests and left(tmp_path) == ["x.zip"]


@pytest.mark.parametrize(("part", "last"), [(BODY[:100_000], "bytes=100000-"), (BODY + b"more", None)])
def test_a_later_call_goes_on_where_an_earlier_one_gave_up(server, tmp_path, part, last):
    """With more bytes than the file has, it begins anew."""
    server.way, server.then = "cuts", "broken"
    with pytest.raises(DataError, match="100,000 bytes are here. The same command goes on"):
        download(server.url, tmp_path / "x.zip", **FAST)
    (tmp_path / ".x.zip.part").write_bytes(part)
    server.way = server.then = "well"
    assert download(server.url, tmp_path / "x.zip", **FAST).read_bytes() == BODY
    assert server.requests[-1] == last


@pytest.mark.parametrize(
    ("way", "kind", "says", "tries"),
    [
        ("claims more", "application/zip", "cannot be downloaded now", 5),
        ("well", "text/html; charset=utf-8", "is a web page, not the file.*moved, or wants a click", 1),
        ("gone", "application/zip", r"is gone \(HTTP 404\)", 1),
        ("broken", "application/zip", "HTTP Error 503", 4),
    ],
)
def test_what_cannot_be_had_is_told(server: Server, tmp_path: Path, way: str, kind: str, says: str, tries: int) -> None:
    server.way, server.kind = way, kind
    with pytest.raises(DataError, match=says):
        download(server.url, tmp_path / "x.zip", **FAST)
    assert len(server.requests) == tries
    assert left(tmp_path) == ([".x.zip.part"] if way == "claims more" else [])


def test_unreachable_sources_and_other_addresses_are_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be downloaded now.*refused"):
        download("http://127.0.0.1:9/x", tmp_path / "x", **FAST)
    with pytest.raises(ConfigError, match="only http"):
        open_url("file:///etc/passwd")


def test_disk_space_is_looked_at_first(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(RunError, match="0.00 GB and only 0.00 GB are free"):
        download(server.url, tmp_path / "x.zip", **FAST)
    with pytest.raises(RunError, match="unpacking needs"):
        unpack(archive(tmp_path, {"a/b.txt": b"x" * 5000}), tmp_path / "out", {"a": ""})


def archive(folder: Path, members: dict[str, bytes], change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    """A zip archive; ``change`` is done to the last entry before it is written."""
    path = folder / "archive.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for number, (name, data) in enumerate(members.items()):
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            if change and number == len(members) - 1:
                change(entry)
            file.writestr(entry, data)
    return path


def tar(folder: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as file:
        for entry, data in entries:
            entry.size = len(data)
            file.addfile(entry, io.BytesIO(data))
    return path


def test_wanted_files_are_unpacked_and_what_was_there_stays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    members = {"d/Sketchy/a b/1.png": b"one", "d/Other/2.png": b"two", "d/Sketchy/.hidden": b"", "d/": b""}
    path = archive(tmp_path, members)
    assert unpack(path, out, {"Sketchy": ""}) == 1
    assert (out / "a b/1.png").read_bytes() == b"one" and (out / "mine.txt").read_text() == "mine"
    assert sorted(p.name for p in out.rglob("*")) == ["1.png", "a b", "mine.txt"]
    entry = tarfile.TarInfo("Sketchy/x/2.png")
    assert unpack(tar(tmp_path, (entry, b"two")), out, {"Sketchy": ""}) == 1
    assert (out / "x/2.png").read_bytes() == b"two"


@pytest.mark.parametrize("name", ["/d/evil", "d/../../evil", "d\\..\\evil", "C:/d/evil", "d/\x07b"])
def test_paths_that_leave_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="outside of its folder"):
        unpack(archive(tmp_path, {"d/good": b"1", name: b"2"}), tmp_path / "out", {"d": ""})
    entry = tarfile.TarInfo(name)
    with pytest.raises(DataError, match="outside of its folder"):
        bad = tar(tmp_path, (tarfile.TarInfo("d/good"), b"1"), (entry, b"2"))
        unpack(bad, tmp_path / "out", {"d": ""})
    assert not list((tmp_path / "out").iterdir()) and not (tmp_path / "evil").exists()


@pytest.mark.parametrize(
    ("kind", "to"),
    [(tarfile.SYMTYPE, "../../x"), (tarfile.LNKTYPE, "/etc/passwd"), (tarfile.FIFOTYPE, "")],
)
def test_links_out_of_the_folder_and_devices_are_refused(tmp_path: Path, kind: bytes, to: str) -> None:
    entry = tarfile.TarInfo("d/link")
    entry.type, entry.linkname = kind, to
    with pytest.raises(DataError, match="is damaged"):
        bad = tar(tmp_path, (tarfile.TarInfo("d/good"), b"1"), (entry, b""))
        unpack(bad, tmp_path / "out", {"d": ""})
    assert not list((tmp_path / "out").iterdir())


def test_a_link_in_a_zip_becomes_a_plain_file(tmp_path: Path) -> None:
    def link(info: zipfile.ZipInfo) -> None:
        info.external_attr = (stat.S_IFLNK | 0o777) << 16

    unpack(archive(tmp_path, {"d/link": b"/etc/passwd"}, link), tmp_path / "out", {"d": ""})
    assert not (tmp_path / "out" / "link").is_symlink() and (tmp_path / "out" / "link").read_bytes() == b"/etc/passwd"


def test_damage_and_the_wrong_archive_change_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match="holds nothing that belongs to out"):
        unpack(archive(tmp_path, {"a": b"1"}), out, {"d": ""})
    whole = archive(tmp_path, {"d/a": BODY, "d/b": BODY}).read_bytes()
    encrypted = whole.replace(b"PK\x03\x04\x14\x00\x00", b"PK\x03\x04\x14\x00\x01").replace(
        b"PK\x01\x02\x14\x03\x14\x00\x00", b"PK\x01\x02\x14\x03\x14\x00\x01"
    )
    assert encrypted != whole
    for damaged in (whole[:-30_000], whole[:1000] + b"\0" * 100 + whole[1100:], b"no archive at all", encrypted):
        (tmp_path / "bad.zip").write_bytes(damaged)
        with pytest.raises(DataError, match="damaged, encrypted or no zip or tar"):
            unpack(tmp_path / "bad.zip", out, {"d": ""})
    with pytest.raises(DataError, match="is not there"):
        unpack(tmp_path / "none.zip", out, {"d": ""})
    with pytest.raises(DataError, match="is no file. Name the archive itself"):
        unpack(tmp_path, out, {"d": ""})
    assert not list(out.iterdir())
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".out-")]


def test_files_of_another_folder_get_the_names_of_the_lists(tmp_path: Path) -> None:
    path = archive(tmp_path, {"png/alarm clock/81.png": b"1", "__MACOSX/png/a/1.png": b"2", "other/3.png": b"3"})
    assert unpack(path, tmp_path / "out", {"png": "png_ready"}) == 1
    assert (tmp_path / "out/png_ready/alarm clock/81.png").read_bytes() == b"1"


@pytest.fixture
def official(tmp_path: Path, own_data: Path) -> Path:
    """An archive laid out like the official one, with small generated data sets, and an empty data folder."""
    place = tmp_path / "made" / "dataset"
    write_official(place / "Sketchy", "sketchy", seen=["cat", "cup"], unseen=["bear"], per_class=2, size=8)
    write_official(place / "TUBerlin", "tuberlin", seen=["cat", "cup"], unseen=["bear (animal)"], per_class=2, size=8)
    return Path(shutil.make_archive(str(tmp_path / "dataset"), "zip", tmp_path / "made"))


@pytest.mark.parametrize("way", ["gz", "xz", "bz2"])
def test_a_tar_archive_with_a_flipped_bit_is_refused(tmp_path: Path, way: str) -> None:
    """The bit is in the content, of which tar has no checksum; only the compression around it has one."""
    noise, path, out = np.random.default_rng(0).bytes(200_000), tmp_path / f"a.tar.{way}", tmp_path / "out"
    with tarfile.open(path, f"w:{way}") as file:
        entry = tarfile.TarInfo("d/noise.bin")
        entry.size = len(noise)
        file.addfile(entry, io.BytesIO(noise))
    whole = path.read_bytes()
    assert unpack(path, out, {"d": ""}) == 1 and (out / "noise.bin").read_bytes() == noise
    (out / "noise.bin").write_bytes(b"mine")
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(DataError, match="is damaged, encrypted or no zip or tar archive"):
        unpack(path, out, {"d": ""})
    assert [f.read_bytes() for f in out.iterdir()] == [b"mine"]


def test_space_is_asked_for_where_the_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, needs = archive(tmp_path, {"d/a": b"1"}), []
    monkeypatch.setattr("sakerepro.data.unpack.need_space", lambda place, need, what: needs.append((place, need)))
    (tmp_path / "disk").mkdir()
    unpack(path, tmp_path / "disk" / "out", {"d": ""})
    assert needs == [(tmp_path / "disk", 1)]


def test_fetch_asks_downloads_and_unpacks(official, server, monkeypatch, cli):
    server.body = official.read_bytes()
    monkeypatch.setattr("builtins.input", lambda question: "n")
    assert "Nothing was downloaded" in cli("data", "fetch", "sketchy", "--url", server.url, code=2).err
    assert not [p for p in (paths.data()).rglob("*") if p.is_file()]
    questions: list[str] = []
    monkeypatch.setattr("builtins.input", lambda question: questions.append(question) or "y")
    assert main(["data", "fetch", "sketchy", "--url", server.url]) == 0
    assert "0.00 GB from http://127.0.0.1" in questions[0]
    root = paths.data() / "Sketchy"
    assert len(list(root.rglob("*.png"))) == 2 * 3 + 2 * 1 and len(list(root.rglob("*.jpg"))) == 6
    requests = len(server.requests)
    assert main(["data", "fetch", "sketchy"]) == 0  # complete: nobody is asked, nothing is fetched
    assert main(["data", "fetch", "tuberlin", "--url", server.url, "--yes"]) == 0  # the archive is here already
    assert len(server.requests) == requests and (paths.data() / "TUBerlin/zeroshot/cname_cid.txt").is_file()


def test_an_archive_of_another_address_is_not_the_one_that_is_here(official: Path, server: Server) -> None:
    server.body = official.read_bytes()
    for mirror in ("one", "other"):
        requests = len(server.requests)
        assert main(["data", "fetch", "sketchy", "--url", f"{server.root}/{mirror}/data.zip", "--yes"]) == 0
        assert len(server.requests) > requests


def test_a_server_that_speaks_no_http_is_one_clear_error(cli: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            with door.accept()[0] as line:
                line.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{door.getsockname()[1]}/x.zip"
        assert f"{url}: cannot be reached" in cli("data", "fetch", "sketchy", "--url", url, "--yes", code=3).err


def test_an_archive_is_any_of_the_official_ones(tmp_path: Path, official: Path) -> None:
    """TU-Berlin's sketches alone are in another archive, in another folder."""
    sketches = archive(tmp_path, {"png/cat/1.png": b"x"})
    assert main(["data", "fetch", "tuberlin", "--archive", str(sketches)]) == 3  # not complete
    assert [p.relative_to(paths.data() / "TUBerlin").parts[1:] for p in paths.data().rglob("*.png")] == [
        ("cat", "1.png")
    ]


def test_a_local_archive_needs_no_network(official: Path, cli: Callable[..., Any]) -> None:
    assert main(["data", "fetch", "tuberlin", "--archive", str(official)]) == 0
    out = cli("check", str(paths.data() / "TUBerlin"), "--quick", code=3).out
    assert "train sketch: 4 are listed, and the official lists have 15,400" in out


def test_when_the_sources_are_gone_it_says_what_to_place_where(official, server, monkeypatch, cli):
    server.way = "gone"
    record = known.datasets()["tuberlin"]
    gone = tuple(replace(source, url=server.url) for source in record.sources)
    monkeypatch.setattr("sakerepro.data.fetch.datasets", lambda: {"tuberlin": replace(record, sources=gone)})
    said = cli("data", "fetch", "tuberlin", "--yes", code=3).err
    assert said.count("is gone (HTTP 404)") == 2
    for place in ("zeroshot/*.txt", "png_ready/<class>/<n>.png", "ImageResized_ready/<class>/*.JPEG", "--archive FILE"):
        assert place in said


def test_an_archive_with_missing_files_names_them(official: Path, cli: Callable[..., Any]) -> None:
    folder = official.parent / "made" / "dataset" / "Sketchy"
    next(iter(sorted(folder.rglob("*.jpg")))).unlink()
    partial = shutil.make_archive(str(official.parent / "partial"), "zip", official.parent / "made")
    assert "1 listed files are not there" in cli("data", "fetch", "sketchy", "--archive", partial, code=3).err
