"""``make lab``: its very command line, started without a browser, serves the index notebook."""

from __future__ import annotations

import json
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import LAB_FLAGS, made, served

from sakerepro import paths

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
TOKEN = "0123456789abcdef"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that ``make lab`` started, on a free port of this machine."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not here")
    command = [sys.executable, *made("lab"), *LAB_FLAGS, f"--IdentityProvider.token={TOKEN}"]
    with served(command, tmp_path_factory.mktemp("jupyter"), "api/status", {}, cwd=paths.root()) as address:
        yield address


def get(address: str) -> str:
    request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def test_the_index_notebook_is_served(server: str) -> None:
    notebook = json.loads(get(f"{server}/api/contents/notebooks/00_index.ipynb"))
    assert notebook["type"] == "notebook" and "where everything is" in notebook["content"]["cells"][0]["source"]
    assert "jupyter" in get(f"{server}/lab/tree/notebooks/00_index.ipynb").lower()


def test_what_the_board_links_to_is_served(server: str) -> None:
    """The board stands in notebooks/ and links to its neighbours and to ``../results``: both are below the root."""
    for name in ("notebooks/train_your_own.ipynb", "notebooks/table1.ipynb", "results/mini/table1.ipynb"):
        assert json.loads(get(f"{server}/api/contents/{name}?content=0"))["name"] == Path(name).name


def test_lab_opens_the_index() -> None:
    """The last word of the command is the notebook that the browser is sent to."""
    *command, notebook = made("lab")
    assert command[:2] == ["-m", "jupyterlab"]
    assert notebook == "notebooks/00_index.ipynb" and (paths.root() / notebook).is_file()
