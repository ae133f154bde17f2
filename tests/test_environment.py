"""The conda environment and the pip requirements name the same packages in the same versions."""

from __future__ import annotations

import re
import tomllib

from sakerepro import paths

CONDA_NAMES = {"pytorch": "torch"}
ONLY_CONDA = {"python", "pip"}


def split(requirement: str) -> tuple[str, str]:
    """``"torch>=2.6"`` as (name, version)."""
    name, version = re.fullmatch(r"([A-Za-z0-9_.-]+?)\s*((?:[<>=!~].*)?)", requirement.strip()).groups()
    return name.lower().replace("_", "-"), version.replace(" ", "")


def conda() -> dict[str, str]:
    lines = (paths.root() / "environment.yml").read_text(encoding="utf-8").split("dependencies:\n")[1].splitlines()
    found = dict(split(m[1]) for line in lines if (m := re.fullmatch(r"  - ([^:]+)", line)))
    return {CONDA_NAMES.get(name, name): version for name, version in found.items() if name not in ONLY_CONDA}


def pip(*extras: str) -> dict[str, str]:
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    more = [name for extra in extras for name in project["optional-dependencies"][extra]]
    return dict(map(split, [*project["dependencies"], *more]))


def test_both_name_the_same_packages_and_versions() -> None:
    assert conda() == pip("test") and len(conda()) > 20


def test_python_is_one_that_the_package_allows() -> None:
    project = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    low = project["requires-python"].removeprefix(">=").split(".")
    text = (paths.root() / "environment.yml").read_text(encoding="utf-8")
    (version,) = re.findall(r"- python=([\d.]+)", text)
    assert [int(n) for n in version.split(".")] >= [int(n) for n in low]


def test_constraints_hold_what_is_required() -> None:
    """``make setup``, ``make docs`` and export to ONNX install exact versions of everything that is required."""
    pinned = dict(split(line) for line in (paths.root() / "constraints.txt").read_text().splitlines() if "==" in line)
    missing = [name for name in pip("test", "docs", "onnx") if name not in pinned]
    assert not missing
