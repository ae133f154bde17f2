"""CITATION.cff, CHANGELOG.md and the conda and pip environments say what pyproject.toml says, as tools read it."""

from __future__ import annotations

import re
import tomllib

import yaml

import sakerepro
from sakerepro import paths

PROJECT = tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_file_has_what_the_format_requires() -> None:
    """Citation File Format 1.2.0: required keys, no others than the known ones, the paper as what to cite."""
    cff = yaml.safe_load((paths.root() / "CITATION.cff").read_text(encoding="utf-8"))
    required = {"cff-version", "message", "title", "authors"}
    assert required <= set(cff) and cff["cff-version"] == "1.2.0"
    assert set(cff) <= required | {"type", "version", "license", "keywords", "abstract", "preferred-citation"}
    assert cff["type"] == "software" and cff["license"] == PROJECT["license"]
    assert str(cff["version"]) == PROJECT["version"]
    paper = cff["preferred-citation"]
    assert paper["type"] == "conference-paper" and paper["year"] == 2019 and paper["conference"]["name"]
    assert [a["family-names"] for a in paper["authors"]] == ["Liu", "Xie", "Wang", "Yuille"]
    assert paper["title"] in (paths.root() / "README.md").read_text(encoding="utf-8").replace("\n", " ")


def test_one_version_everywhere() -> None:
    text = (paths.root() / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.*?)\](?: - \d{4}-\d{2}-\d{2})?$", text, re.MULTILINE)
    assert heads[0] == "Unreleased" and PROJECT["version"] == sakerepro.__version__
    assert sakerepro.__version__ in (heads[1] if len(heads) > 1 else text)
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    # of Keep a Changelog, and the versions of training and measuring
    assert kinds and set(kinds) <= {"Versions", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def split(requirement: str) -> tuple[str, str]:
    """``"torch>=2.6"`` as (name, version)."""
    name, version = re.fullmatch(r"([A-Za-z0-9_.-]+?)\s*((?:[<>=!~].*)?)", requirement.strip()).groups()
    return name.lower().replace("_", "-"), version.replace(" ", "")


def pip(*extras: str) -> dict[str, str]:
    more = [name for extra in extras for name in PROJECT["optional-dependencies"][extra]]
    return dict(map(split, [*PROJECT["dependencies"], *more]))


def test_conda_and_pip_have_the_same_packages_and_a_python_that_the_package_allows() -> None:
    text = (paths.root() / "environment.yml").read_text(encoding="utf-8").partition("dependencies:\n")[2]
    conda = dict(map(split, re.findall(r"^  - ([^:\n]+)$", text, re.MULTILINE)))
    python, low = conda.pop("python").removeprefix("="), PROJECT["requires-python"].removeprefix(">=")
    assert [*map(int, python.split("."))] >= [*map(int, low.split("."))]
    conda["torch"] = conda.pop("pytorch")
    assert conda.pop("pip") == "" and conda == pip("test") and len(conda) > 20


def test_constraints_hold_what_is_required() -> None:
    """``make setup``, ``make docs`` and export to ONNX install exact versions of everything that is required."""
    pinned = dict(split(line) for line in (paths.root() / "constraints.txt").read_text().splitlines() if "==" in line)
    missing = [name for name in pip("test", "docs", "onnx") if name not in pinned]
    assert not missing
