"""The package as a wheel, installed away from the checkout: nothing is missing, and a first look works."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sakerepro import __version__, paths

FIRST_LOOK = """
import sys
from pathlib import Path
import sakerepro as sr
from sakerepro.__main__ import main

assert Path(sr.__file__).is_relative_to(sys.argv[1]), sr.__file__
assert [getattr(sr, name) for name in sr.__all__] and set(sr.__all__) <= set(dir(sr))
data = sr.example_folder()
for command in (
    f"train --dataset {data} --epochs 1 --steps 2",
    f"index {data}/photo/owl --run example",
    f"query {next(data.glob('sketch/owl/*'))} -k 3 --sheet found.png",
):
    assert main(command.split()) == 0, command
"""


def called(*command: str | Path) -> str:
    """What a command prints on standard output; it has to succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_an_installed_wheel_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, source, target = paths.root(), tmp_path / "source", tmp_path / "installed"
    shutil.copytree(root / "sakerepro", source / "sakerepro", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    called(*pip, "wheel", "--no-index", "--no-build-isolation", "--no-deps", "--wheel-dir", tmp_path, source)
    called(*pip, "install", "--no-index", "--no-deps", "--target", target, *tmp_path.glob("*.whl"))
    files = {file.relative_to(source) for file in source.glob("sakerepro/**/*") if file.is_file()}
    assert {file for file in files if not (target / file).is_file()} == set()

    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("PYTHONPATH", str(target))
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))  # nobody else runs this copy
    assert called(target / "bin" / "sakerepro", "--version") == f"sakerepro {__version__}\n"
    assert "train" in called(sys.executable, "-m", "sakerepro", "--help")
    assert "_ARGCOMPLETE" in called(sys.executable, "-m", "sakerepro", "completion", "bash")

    assert called(sys.executable, "-c", FIRST_LOOK, target).count("photo/owl/") == 3  # what the query found
    assert len(list((tmp_path / "runs").glob("*/metrics.json"))) == 1 and Path("found.png").is_file()
