"""Notebooks stay thin: parameters of literals, few short cells, no definitions, no outputs, claims at the end."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from sakerepro import paths
from sakerepro.results.items import ITEMS

NOTEBOOKS = sorted(paths.notebooks().glob("*.ipynb"))
MOST_CELLS, MOST_LINES = 12, 15


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def problems(path: Path) -> list[str]:
    """Every rule that a notebook breaks, in words."""
    found, code = [], cells(path)
    if len(code) > MOST_CELLS:
        found.append(f"{len(code)} code cells")
    for number, cell in enumerate(code):
        text, lines = source(cell), len(source(cell).splitlines())
        if lines > MOST_LINES:
            found.append(f"code cell {number} has {lines} lines")
        if cell["outputs"] or cell["execution_count"] is not None:
            found.append(f"code cell {number} has outputs")
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        if any(isinstance(node, kinds) for node in ast.walk(ast.parse(text))):
            found.append(f"code cell {number} defines something")
    tagged = [c for c in code if "parameters" in c["metadata"].get("tags", [])]
    if len(tagged) != 1 or tagged[0] is not code[0]:
        return [*found, f"{len(tagged)} cells are tagged parameters; it has to be the first code cell"]
    return found + parameter_problems(source(tagged[0]))


def parameter_problems(text: str) -> list[str]:
    found, lines = [], text.splitlines()
    for node in ast.parse(text).body:
        if not isinstance(node, ast.AnnAssign) or node.value is None:
            found.append(f"parameters, line {node.lineno}: is no `name: type = literal`")
            continue
        try:
            ast.literal_eval(node.value)
        except ValueError:
            found.append(f"parameters, line {node.lineno}: is no literal")
        if "# " not in lines[(node.end_lineno or 1) - 1]:
            found.append(f"parameters, line {node.lineno}: has no help comment")
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_thin(path: Path) -> None:
    assert problems(path) == []


@pytest.mark.parametrize("item", ITEMS)
def test_item_notebook_tells_its_story(item: str) -> None:
    path = paths.notebooks() / f"{item}.ipynb"
    first = source(json.loads(path.read_text(encoding="utf-8"))["cells"][0])
    assert first.startswith("# ") and "**The claim**" in first and "Expected time" in first
    code = [source(c) for c in cells(path)]
    assert code[0].splitlines()[0].startswith('preset: str = "mini"') and "\nseeds: list = [0]" in code[0]
    assert "sr.about(preset, seeds)" in code[1]
    assert f'sr.item_runs("{item}", preset, seeds)' in code[2]
    assert f'sr.results.claims("{item}", rows' in code[-1] and "verdicts.save(" in code[-1]
    assert code[-1].splitlines()[-1] == "verdicts"
    assert f'_ = sr.save_rows("{item}", runs, rows)' in code[2]  # what outlives the runs


def notebook(tmp_path: Path, *code: str, tags: tuple[str, ...] = ("parameters",), **more: Any) -> Path:
    made = [{"cell_type": "code", "source": c, "outputs": [], "execution_count": None, "metadata": {}} for c in code]
    made[0]["metadata"] = {"tags": list(tags)}
    made[-1] |= more
    (tmp_path / "n.ipynb").write_text(json.dumps({"cells": made}))
    return tmp_path / "n.ipynb"


@pytest.mark.parametrize(
    "code, more, said",
    [
        (["a: int = 1"], {}, "no help comment"),
        (["a = 1  # one"], {}, "name: type = literal"),
        (["a: int = 1 + b  # sum"], {}, "no literal"),
        (["a: int = 1  # one", "def f():\n    pass"], {}, "defines"),
        (["a: int = 1  # one", "class A: pass"], {}, "defines"),
        (["a: int = 1  # one", "f = lambda: 0"], {}, "defines"),
        (["a: int = 1  # one", *["b"] * 12], {}, "13 code cells"),
        (["a: int = 1  # one", "\n".join(["b"] * 16)], {}, "16 lines"),
        (["a: int = 1  # one", "b"], {"outputs": [{}]}, "outputs"),
        (["a: int = 1  # one"], {"metadata": {}}, "0 cells are tagged"),
    ],
)
def test_a_notebook_that_breaks_a_rule_is_found(tmp_path: Path, code: list[str], more: dict, said: str) -> None:
    assert any(said in problem for problem in problems(notebook(tmp_path, *code, **more)))


def test_a_good_notebook_has_no_problem(tmp_path: Path) -> None:
    assert problems(notebook(tmp_path, 'a: int = 1  # one\nb: list = [0, "x"]  # two', "print(a)")) == []
