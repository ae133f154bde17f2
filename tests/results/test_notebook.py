"""Notebooks: parameters are checked before anything runs; a result is there whole, or as it was."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from sakerepro import paths
from sakerepro.errors import ConfigError, RunError
from sakerepro.results.notebook import check_parameters, execute, notebook_path

PARAMETERS = 'preset: str = "mini"  # mini, small or paper\nseeds: list = [0]  # one run each\n'


def write(name: str, *cells: str) -> Path:
    """A notebook of a parameters cell and these cells."""
    first = new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    notebook = new_notebook(cells=[first, *map(new_code_cell, cells)])
    notebook.metadata["kernelspec"] = {"name": "another", "display_name": "another", "language": "python"}
    path = paths.notebooks() / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def results_in(folder: Path) -> list[Path]:
    """What is there besides the locks."""
    return [file for file in folder.iterdir() if file.suffix != ".lock"]


@pytest.fixture(autouse=True)
def own_notebooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "notebooks", lambda: tmp_path / "notebooks")


@pytest.mark.parametrize(
    ("name", "parameters", "words"),
    [
        ("tabel1", {}, "There is no notebook 'tabel1'. Did you mean 'table1'"),
        ("table1", {"seed": [0]}, "table1.ipynb has no parameter 'seed'. Did you mean 'seeds'"),
        ("table1", {"preset": "small", "xyz": 1}, "has no parameter 'xyz'. Known: preset, seeds"),
    ],
)
def test_what_cannot_work_is_refused(name: str, parameters: dict[str, object], words: str) -> None:
    write("table1")
    with pytest.raises(ConfigError, match=words):
        check_parameters(notebook_path(name), parameters)


def test_executed_and_then_failed(capfd: pytest.CaptureFixture[str]) -> None:
    """A result with its parameters; a later failure leaves it as it was and shows where it is."""
    says = "import os, sys\nprint(preset, seeds, flush=True)\nprint(os.path.basename(os.getcwd()), sys.prefix)"
    interrupted = "get_ipython().kernel.log.error('KeyboardInterrupt caught')"  # as one does that is busy at the end
    write("table1", says, f"print('x', file=sys.stderr)\n{interrupted}")
    done = execute("table1", "small", seeds=[3, 4])
    assert done == paths.results("small") / "table1.ipynb"
    result = nbformat.read(done, as_version=4)
    assert [o["text"] for cell in result.cells for o in cell.get("outputs", [])] == [
        f"small [3, 4]\nnotebooks {sys.prefix}\n"  # one text; the kernel is this interpreter's
    ]
    assert all(cell.execution_count for cell in result.cells)  # nbval compares nothing without
    assert "papermill" not in result.metadata and "papermill" not in str([c.metadata for c in result.cells])
    assert [c.id for c in result.cells] == [f"cell-{i}" for i in range(4)]  # parameters, injected, two
    assert str(paths.results()) not in done.read_text() and results_in(done.parent) == [done]
    assert not capfd.readouterr().err  # nothing that a kernel says of itself
    before = done.read_bytes()

    write("table1", "print('so far')", "1 / 0")
    with pytest.raises(RunError, match="table1: cell 4 failed with ZeroDivisionError: division by zero") as error:
        execute("table1", "small")
    assert done.read_bytes() == before and results_in(done.parent) == [done]
    failed = paths.cache() / "failed" / "table1.ipynb"
    assert str(failed) in str(error.value) and "so far" in failed.read_text()


def test_a_kernel_that_dies_gets_a_sentence() -> None:
    write("table1", "import os\nos._exit(9)")
    with pytest.raises(RunError, match="table1: the notebook's kernel did not start or died.*Earlier results"):
        execute("table1", "mini")
    assert not results_in(paths.results("mini"))


def test_what_a_killed_execution_left_is_swept() -> None:
    write("table1", "1")
    paths.results("mini").mkdir(parents=True)
    (paths.results("mini") / ".table1-0123abcd.tmp.ipynb").write_text("{}")
    (kept := paths.results("mini") / ".table10-0123abcd.tmp.ipynb").write_text("{}")  # somebody else's
    assert set(results_in(execute("table1", "mini").parent)) == {paths.results("mini") / "table1.ipynb", kept}


@pytest.mark.parametrize(
    ("program", "why"), [("false", "RuntimeError: Kernel died"), ("/no/python", "FileNotFoundError")]
)
def test_a_kernel_that_does_not_start_gets_a_sentence(program, why, tmp_path, monkeypatch):
    """Of the user's own kernels, the first that is called python3 is taken."""
    spec = {"argv": [program, "{connection_file}"], "display_name": "old", "language": "python"}
    (tmp_path / "kernels/python3").mkdir(parents=True)
    (tmp_path / "kernels/python3/kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    write("table1", "1")
    with pytest.raises(RunError, match=f"kernel did not start or died .{why}.*kernelspec list.*Earlier results"):
        execute("table1", "mini")


def test_results_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("table1")
    monkeypatch.setattr("papermill.execute_notebook", lambda *_, **__: pytest.fail("the notebook was run"))
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("SAKEREPRO_RESULTS", str(tmp_path / "taken"))
    with pytest.raises(RunError, match="taken/mini: cannot be created"):
        execute("table1", "mini")
