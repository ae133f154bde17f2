"""Completion as zsh and fish give it, where those shells are installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sakerepro.__main__ import parser
from sakerepro.commands.completion import script
from sakerepro.experiment import CHOICES

# What a word, still empty, can become after these words. zsh's own completer drops what does not fit the prefix.
CASES = {
    ("data", ""): {"fetch", "check", "pack", "subset"},
    ("completion", ""): {"bash", "zsh", "fish"},
    ("train", "--semantics", ""): set(CHOICES["semantics"]),
    ("train", "--dim", "64", "--zero-head", ""): {"true", "false"},
}
ZSH = """
source {file}
try() {{ emulate -L sh; COMP_WORDS=(sakerepro "$@"); COMP_CWORD=$#; _sakerepro; echo "${{COMPREPLY[@]}}"; }}
{calls}
"""


def shell(name: str, code: str, place: Path) -> str:
    """Run code in a shell without start-up files; its standard output."""
    if not (program := shutil.which(name)):
        pytest.skip(f"{name} is not here")
    plain = {"zsh": "-f", "fish": "-N"}[name]
    home = {"HOME": str(place), "ZDOTDIR": str(place), "PATH": "/usr/bin:/bin", "TERM": "dumb"}
    done = subprocess.run(
        [program, plain, "-c", code], capture_output=True, text=True, timeout=60, env=home, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout


def test_zsh_completes(tmp_path: Path) -> None:
    file = tmp_path / "completion.zsh"
    file.write_text(script(parser(), "zsh"))
    calls = "\n".join("try " + " ".join(f"'{w}'" for w in words) for words in CASES)
    lines = shell("zsh", ZSH.format(file=file, calls=calls), tmp_path).splitlines()
    found = [{w for w in line.split() if not w.startswith("-")} for line in lines]
    assert found == list(CASES.values())


def test_fish_completes(tmp_path: Path) -> None:
    file = tmp_path / "completion.fish"
    file.write_text(script(parser(), "fish"))
    (tmp_path / "sketch.png").touch()
    ask = "complete -C 'sakerepro {}'; echo =="
    code = "\n".join([f"source {file}", f"cd {tmp_path}", *(ask.format(" ".join(words)) for words in CASES),
                      ask.format("comp"), ask.format("query sk")])  # fmt: skip
    parts = [{line.partition("\t")[0] for line in part.splitlines() if line}
             for part in shell("fish", code, tmp_path).split("==\n")]  # fmt: skip
    assert parts[:-3] == list(CASES.values())
    assert parts[-3] == {"compare", "completion"} and parts[-2] == {"sketch.png"}
