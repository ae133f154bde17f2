"""Shell completion: asked as the shells ask, and in bash itself."""

from __future__ import annotations

import functools
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import argcomplete
import pytest

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.experiment import CHOICES, PRESETS
from sakerepro.results.items import ITEMS


def completed(*words: str) -> set[str]:
    """What is offered for the last of the words, by argcomplete's protocol; in this process, which has all imported."""
    line, answer = " ".join(words), io.StringIO()
    asks = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_SUPPRESS_SPACE": "1"}
    here = functools.partial(argcomplete.autocomplete, exit_method=sys.exit, output_stream=answer)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        for name, value in {**asks, "COMP_LINE": line, "COMP_POINT": str(len(line))}.items():
            patch.setenv(name, value)
        patch.setattr(argcomplete, "autocomplete", here)
        patch.setattr(argcomplete.CompletionFinder, "_init_debug_stream", lambda self: None)  # takes descriptor 9
        main([])
    assert not end.value.code
    return {word.strip() for word in answer.getvalue().splitlines()}


def test_commands_flags_and_values() -> None:
    top = completed("sakerepro", "")
    assert {"item", "train", "evaluate", "check", "index", "query", "runs", "compare", "data", "weights"} <= top
    assert completed("sakerepro", "comp") == {"compare", "completion"}
    assert completed("sakerepro", "data", "f") == {"fetch"}
    assert {"sketchy", "tuberlin"} <= completed("sakerepro", "data", "fetch", "")
    assert {"--dataset", "--batch-photo", "--lambda1"} <= completed("sakerepro", "train", "--")
    name, values = next(iter(CHOICES.items()))
    assert completed("sakerepro", "train", f"--{name.replace('_', '-')}", "") == set(values)
    assert completed("sakerepro", "train", "--zero-head", "") == {"true", "false"}
    assert completed("sakerepro", "train", "--dim", "64", "--lambda") == {"--lambda-sake", "--lambda1", "--lambda2"}


def test_items_presets_runs_and_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("mini-a1", "mini-b2", ".mini-unfinished"):
        (paths.runs() / name).mkdir(parents=True)
        (paths.runs() / name / "experiment.json").touch()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("sketch.png").touch()
    assert set(ITEMS) <= completed("sakerepro", "item", "")
    assert completed("sakerepro", "status", "--preset", "") == set(PRESETS)
    assert completed("sakerepro", "card", "mini-") == {"mini-a1", "mini-b2"}
    assert completed("sakerepro", "compare", "mini-a1", "mini-b") == {"mini-b2"}
    assert completed("sakerepro", "query", "sk") == {"sketch.png"} == completed("sakerepro", "card", "sk")


def test_each_shell_has_its_code(cli: Callable[..., Any]) -> None:
    for shell, word in (("bash", "complete "), ("zsh", "compdef "), ("fish", "complete --command sakerepro")):
        assert word in cli("completion", shell).out


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not here")
def test_bash_completes(tmp_path: Path) -> None:
    program = tmp_path / "sakerepro"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sakerepro "$@"\n')
    program.chmod(0o755)
    code = (
        "source <(sakerepro completion bash); COMP_LINE='sakerepro data fe'; COMP_POINT=${#COMP_LINE}; "
        "_python_argcomplete sakerepro; echo ${COMPREPLY[@]}"
    )
    variables = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, timeout=60, env=variables)
    assert done.stdout.split() == ["fetch"] and not done.stderr
