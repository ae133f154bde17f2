"""Files that are whole or not there, locks that die with their process, folders that cannot be written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import Stop

from sakerepro import files, paths
from sakerepro.data import places
from sakerepro.errors import RunError


def test_a_file_is_replaced_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "ä file.txt"
    files.write_text(path, "old")
    with pytest.raises(Stop), files.write_whole(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old" and temporary.suffix == ".txt"
        raise Stop
    assert path.read_text() == "old" and list(path.parent.iterdir()) == [path]
    files.write_text(path, "new ü")
    assert path.read_text(encoding="utf-8") == "new ü" and list(path.parent.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_folder_is_replaced_only_when_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    for content in ("one", "two"):
        with files.write_folder_whole(path) as temporary:
            (temporary / "a").write_text(content)
        assert (path / "a").read_text() == content
    with pytest.raises(Stop), files.write_folder_whole(path) as temporary:
        (temporary / "a").write_text("half")
        raise Stop
    assert (path / "a").read_text() == "two" and list(tmp_path.iterdir()) == [path]


def test_sweep_removes_the_leftovers_of_this_path_alone(tmp_path: Path) -> None:
    keep = ["run[1]", ".run[1].lock", ".run[1]-settings", ".work-run[1]", ".c-abcdefgh.tmp.txt"]
    keep += [".run[1]-more-sakerepro-abcdefgh", ".run1-sakerepro-abcdefgh"]  # of other paths
    go = [".run[1]-sakerepro-abcdefgh", ".run[1]-sakerepro-old-abcdefgh", ".c-abcdefgh.tmp.pt"]
    for name in keep + go:
        (tmp_path / name).mkdir() if "run" in name else (tmp_path / name).write_text("x")
    files.sweep(tmp_path / "run[1]")
    files.sweep(tmp_path / "c.pt")
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(keep)
    files.sweep(tmp_path / "nowhere" / "c.pt")


def test_what_a_kill_left_of_an_old_folder_goes_when_the_folder_is_made_anew(tmp_path: Path) -> None:
    folder, old = tmp_path / "pack", tmp_path / ".pack-sakerepro-old-abcdefgh" / "was"
    old.mkdir(parents=True)
    files.sweep(folder)
    assert old.is_dir()  # killed before the new one was in place: there is no other
    folder.mkdir()
    complete = files.find_or_make(folder, lambda: (folder / "a").is_file() or None, lambda new: (new / "a").touch())
    assert complete and {p.name for p in tmp_path.iterdir()} - {"pack.lock"} == {"pack"}


def test_json_round_trip_is_canonical(tmp_path: Path) -> None:
    files.write_json(tmp_path / "a.json", {"b": [1, 2.5, None], "ä": "ü"})
    assert files.read_json(tmp_path / "a.json") == {"ä": "ü", "b": [1, 2.5, None]}
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) and text.index("b") < text.index("ä") and text.endswith("}\n")


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe\x00", None])
def test_json_that_cannot_be_read_is_named(content: bytes | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(RunError, match=r"a\.json: cannot be read.*Mend it, or remove"):
        files.read_json(tmp_path / "a.json")


@pytest.mark.parametrize("write", [lambda p: files.write_text(p, "x"), lambda p: files.lock(p).__enter__()])
def test_a_folder_that_cannot_be_made_is_named(write, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    for path in (tmp_path / "taken" / "x", tmp_path / "taken" / "deeper" / "x"):
        with pytest.raises(RunError, match="taken.*cannot be created .*(File exists|Not a directory).*another place"):
            write(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(RunError, match="is not writable. Change its rights"):
        files.write_text(tmp_path / "x", "x")
    assert not list(tmp_path.iterdir())


HOLD = """
import sys, time
from pathlib import Path
from sakerepro.files import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_goes_with_its_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other process holds it until it is killed; this one waits, says so once, and then has it."""
    path = tmp_path / "deep" / "x.lock"
    environment = {**os.environ, "PYTHONPATH": str(Path(files.__file__).parent.parent)}
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as other:
        assert other.stdout.readline() == "held\n"
        threading.Timer(1, other.kill).start()
        with files.lock(path, "somebody works on it; waiting"):
            assert other.wait(timeout=60) == -9
    assert capsys.readouterr() == ("", "somebody works on it; waiting\n")
    with files.lock(path, "never said"):
        pass
    assert capsys.readouterr() == ("", "")


def test_checksums(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc" * 100_000)
    assert files.sha256(tmp_path / "x") == hashlib.sha256(b"abc" * 100_000).hexdigest()
    assert files.short_hash({"b": 1, "a": [2]}) == files.short_hash({"a": [2], "b": 1}) != files.short_hash({"a": [2]})
    assert len(files.short_hash("x")) == 12


def test_every_place_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in (("RUNS", paths.runs), ("CACHE", paths.cache), ("RESULTS", paths.results), ("DATA", paths.data)):
        monkeypatch.setenv(f"SAKEREPRO_{name}", str(tmp_path / name))
        assert place() == tmp_path / name
    assert paths.results("mini") == tmp_path / "RESULTS" / "mini"
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SAKEREPRO_RUNS")
    assert paths.runs() == tmp_path / "home" / "runs" and paths.notebooks() == tmp_path / "home" / "notebooks"


def test_data_is_found_in_the_order_of_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path / "real"))
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path / "data"))
    assert places.find_data("nothing of this name") is None
    (tmp_path / "data" / "A").mkdir(parents=True)
    assert places.find_data("B", "A") == tmp_path / "data" / "A"
    (tmp_path / "real" / "A").mkdir(parents=True)
    assert places.find_data("B", "A") == tmp_path / "real" / "A"
    (tmp_path / "real" / "B").mkdir()
    assert places.find_data("B", "A") == tmp_path / "real" / "B"


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_rights_are_those_that_the_umask_leaves(mask: int, tmp_path: Path) -> None:
    before = os.umask(mask)
    try:
        files.write_text(tmp_path / "a.txt", "a")
        with files.write_folder_whole(tmp_path / "folder") as new:
            (new / "inner").mkdir()
            save_file({"x": torch.zeros(1)}, new / "inner" / "weights.safetensors")
            np.save(new / "x.npy", np.zeros(1))
        with files.write_whole(tmp_path / "alone.safetensors") as temporary:
            save_file({"x": torch.zeros(1)}, temporary)
    finally:
        os.umask(before)
    rights = {p.name: p.stat().st_mode & 0o777 for p in tmp_path.rglob("*")}
    folders = {"folder", "inner"}
    assert rights == {name: (0o777 if name in folders else 0o666) & ~mask for name in rights} and len(rights) == 6


def test_names_made_from_a_user_s_name_fit_and_stay_text(tmp_path: Path) -> None:
    assert files.short_name("名" * 40) == "名" * 33 and files.short_name("é x") == "é x"  # 3 bytes a letter
    for name in ("a" * 255, "名" * 85):
        files.write_text(tmp_path / name, "x")
        with files.lock(files.hidden(tmp_path / name, ".lock")):
            files.sweep(tmp_path / name)
        (tmp_path / name).unlink()
        for _ in range(2):
            with files.write_folder_whole(tmp_path / name) as new:
                (new / "a").touch()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_folder_without_locks_gets_a_sentence(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(handle: int, operation: int) -> None:
        if not operation & fcntl.LOCK_UN:
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(RunError, match=r"x\.lock: cannot be locked .* on a local disk"),
        files.lock(tmp_path / "x.lock"),
    ):
        pass


def test_a_folder_where_a_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is a folder, and a file is to be written"):
        files.write_text(tmp_path, "x")
