"""What the machine refuses is one sentence and exit code 1; what the code does wrong stays a traceback."""

from __future__ import annotations

import errno
import io
import json
import sys
from unittest.mock import Mock

import pytest
from fakes import full_disk

from sakerepro import files, paths
from sakerepro.__main__ import main

SETTINGS = (
    "--teacher-epochs=0 --size=32 --epochs=1 --steps=2 --batch-sketch=4 --batch-photo=4 --dim=16 --bits=8 "
    "--photo-queries=3 --split=unseen.txt"
)


@pytest.mark.usefixtures("tiny_run")  # has compiled what a training compiles, which is kept on disk too
@pytest.mark.parametrize("packed", [False, True])
def test_a_full_disk_is_a_sentence(tiny_place, tmp_path, packed, capsys):
    """While images are packed (NumPy and Python write), and while a checkpoint is saved (PyTorch writes)."""
    data, weights = tiny_place / "data", tiny_place / "se_resnet_mini.safetensors"
    if packed:
        main(["data", "pack", str(data), "--size", "32", "--min-photos", "1"])
    arguments = ["train", *SETTINGS.split(), f"--dataset={data}", f"--weights={weights}"]
    with full_disk():
        assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said and "name another place" in said
    assert said.splitlines()[-1].startswith("sakerepro: ") and ("could not be written" in said) == packed
    assert not list((tmp_path / "runs").glob("[!.]*"))  # no run that looks finished


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(13, "Permission denied", "a/b"), "a/b: Permission denied. "),
        (OSError(28, "No space left on device"), "sakerepro: No space left on device. "),
        (OSError(30, "Read-only file system", "a/b"), "a/b: Read-only file system. "),
        (OSError(errno.ENOLCK, "No locks available"), "sakerepro: No locks available. "),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "a/b"), "a/b: Is a directory. "),
    ],
)
def test_what_the_machine_refuses_is_named(error, said, monkeypatch, cli):
    monkeypatch.setattr("sakerepro.commands.runs.run_folders", Mock(side_effect=error))
    assert said in cli("runs", code=1).err


def mistake_in_a_handler() -> Exception:
    """The error that a mistake in an ``except OSError`` block raises."""
    error = KeyError("x")
    error.__context__ = OSError(28, "No space left on device")
    return error


@pytest.mark.parametrize(
    "error", [FileNotFoundError(2, "No such file", "x"), RuntimeError("a mistake"), mistake_in_a_handler()]
)
def test_a_mistake_of_the_code_stays_a_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.commands.runs.run_folders", Mock(side_effect=error))
    with pytest.raises(type(error)):
        main(["runs"])


@pytest.mark.parametrize("json_too", [False, True])
def test_a_terminal_that_is_not_utf_8_gets_what_it_can_show(json_too: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    files.write_text(paths.runs() / "café 名" / "experiment.json", "{}")  # a damaged run is named
    stdout = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    assert main(["runs", *["--json"] * json_too]) == 1
    said = stdout.buffer.getvalue().decode("ascii")
    if json_too:
        assert "café 名" in json.loads(said)["damaged"][0]["problem"]
    else:
        assert r"caf\xe9 \u540d" in said
