"""Notebooks stay thin: parameters of literals, few short cells, no definitions, no outputs, claims at the end."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from sakerepro import paths
from sakerepro.files import read_json
from sakerepro.results.items import ITEMS

NOTEBOOKS = sorted(paths.notebooks().glob("*.ipynb"))
MOST_CELLS, MOST_LINES = 12, 15


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [c for c in read_json(path)["cells"] if c["cell_type"] == kind]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def literal(node: ast.expr | None) -> bool:
    try:
        ast.literal_eval(node)
    except ValueError:
        return False
    return True


def problems(code: list[dict[str, Any]]) -> list[str]:
    """Every rule that the code cells of a notebook break, in words."""
    broken_rules = [f"{len(code)} code cells"] if len(code) > MOST_CELLS else []
    for number, cell in enumerate(code):
        text, kinds = source(cell), (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
        broken = {
            f"has {len(text.splitlines())} lines": len(text.splitlines()) > MOST_LINES,
            "has outputs": cell["outputs"] or cell["execution_count"] is not None,
            "defines something": any(isinstance(node, kinds) for node in ast.walk(ast.parse(text))),
            "is or is not tagged parameters": ("parameters" in cell["metadata"].get("tags", [])) != (number == 0),
        }
        broken_rules += [f"code cell {number} {what}" for what, true in broken.items() if true]
    lines = source(code[0]).splitlines()
    for node in ast.parse(source(code[0])).body:
        if not isinstance(node, ast.AnnAssign) or not literal(node.value):
            broken_rules.append(f"parameters, line {node.lineno}: is no `name: type = literal`")
        elif "# " not in lines[(node.end_lineno or 1) - 1]:
            broken_rules.append(f"parameters, line {node.lineno}: has no help comment")
    return broken_rules


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_is_thin(path: Path) -> None:
    assert problems(cells(path)) == []


@pytest.mark.parametrize("item", ITEMS)
def test_item_notebook_tells_its_story(item: str) -> None:
    path = paths.notebooks() / f"{item}.ipynb"
    first = source(read_json(path)["cells"][0])
    assert first.startswith("# ") and "**The claim**" in first and "Expected time" in first
    code = [source(c) for c in cells(path)]
    assert code[0].splitlines()[0].startswith('preset: str = "mini"') and "\nseeds: list = [0]" in code[0]
    assert "sr.about(preset, seeds)" in code[1]
    assert f'sr.item_runs("{item}", preset, seeds)' in code[2]
    assert f'sr.results.claims("{item}", rows' in code[-1] and "verdicts.save(" in code[-1]
    assert code[-1].splitlines()[-1] == "verdicts"
    assert f'_ = sr.save_rows("{item}", runs, rows)' in code[2]  # what outlives the runs
