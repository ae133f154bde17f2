"""CITATION.cff and CHANGELOG.md say what pyproject.toml says, in the forms that tools read."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

import sakerepro
from sakerepro import paths


def project() -> dict[str, Any]:
    return tomllib.loads((paths.root() / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_file_has_what_the_format_requires() -> None:
    """Citation File Format 1.2.0: required keys, no others than the known ones, the paper as what to cite."""
    cff = yaml.safe_load((paths.root() / "CITATION.cff").read_text(encoding="utf-8"))
    required = {"cff-version", "message", "title", "authors"}
    assert required <= set(cff) and cff["cff-version"] == "1.2.0"
    assert set(cff) <= required | {"type", "version", "license", "keywords", "abstract", "preferred-citation"}
    assert cff["type"] == "software" and cff["license"] == project()["license"]
    assert str(cff["version"]) == project()["version"]
    paper = cff["preferred-citation"]
    assert paper["type"] == "conference-paper" and paper["year"] == 2019 and paper["conference"]["name"]
    assert [a["family-names"] for a in paper["authors"]] == ["Liu", "Xie", "Wang", "Yuille"]
    assert paper["title"] in (paths.root() / "README.md").read_text(encoding="utf-8").replace("\n", " ")


def test_one_version_everywhere() -> None:
    text = (paths.root() / "CHANGELOG.md").read_text(encoding="utf-8")
    heads = re.findall(r"^## \[(.*?)\](?: - \d{4}-\d{2}-\d{2})?$", text, re.MULTILINE)
    assert heads[0] == "Unreleased" and project()["version"] == sakerepro.__version__
    assert sakerepro.__version__ in (heads[1] if len(heads) > 1 else text)
    kinds = re.findall(r"^### (.*)$", text, re.MULTILINE)
    # of Keep a Changelog, and the versions of training and measuring
    assert kinds and set(kinds) <= {"Versions", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
