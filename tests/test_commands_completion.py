"""Shell completion: the scripts are run in the shells that are here."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest

from sakerepro.__main__ import main, parser
from sakerepro.commands.completion import SHELLS, script
from sakerepro.experiment import CHOICES, Experiment


def completed(tmp_path: Path, *words: str) -> list[str]:
    """What bash offers for the last of the words."""
    file = tmp_path / "completion.bash"
    file.write_text(script(parser(), "bash"))
    quoted = " ".join(f"'{w}'" for w in words)
    code = f"source {file}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _sakerepro; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_bash_completes_commands_flags_and_values(tmp_path: Path) -> None:
    top = completed(tmp_path, "sakerepro", "")
    assert {"item", "train", "evaluate", "check", "index", "query", "runs", "compare", "data", "weights"} <= set(top)
    assert completed(tmp_path, "sakerepro", "comp") == ["compare", "completion"]
    assert completed(tmp_path, "sakerepro", "data", "f") == ["fetch"]
    assert "zsh" in completed(tmp_path, "sakerepro", "completion", "")
    flags = completed(tmp_path, "sakerepro", "train", "--")
    assert {f"--{f.name.replace('_', '-')}" for f in dataclasses.fields(Experiment)} <= set(flags)
    for name, values in CHOICES.items():
        assert completed(tmp_path, "sakerepro", "train", f"--{name.replace('_', '-')}", "") == list(values)
    assert completed(tmp_path, "sakerepro", "train", "--zero-head", "") == ["true", "false"]
    assert completed(tmp_path, "sakerepro", "train", "--dim", "") == []  # a number: nothing to offer
    assert completed(tmp_path, "sakerepro", "train", "--dim", "64", "--lambda") == [
        "--lambda-sake", "--lambda1", "--lambda2",
    ]  # fmt: skip


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_are_right_for_their_shell(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    text = capsys.readouterr().out
    assert text == script(parser(), shell) and "lambda-sake" in text
    if not (program := shutil.which(shell)):
        pytest.skip(f"{shell} is not here")
    file = tmp_path / "script"
    file.write_text(text)
    done = subprocess.run([program, "-n", str(file)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr
