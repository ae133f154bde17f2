"""``make lab``: its very command line, started without a browser, serves the index notebook."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from sakerepro import paths

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]
TOKEN = "0123456789abcdef"


def command() -> list[str]:
    """What ``make lab`` would run, with this interpreter in place of the Makefile's."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    dry = ["make", "-n", "-C", str(paths.root()), "--no-print-directory", "lab", "PYTHON=python"]
    lines = subprocess.run(dry, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    assert len(lines) == 1
    words = shlex.split(lines[0])
    assert words[:3] == ["python", "-m", "jupyterlab"]
    return [sys.executable, *words[1:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a JupyterLab that ``make lab`` started, on a free port of this machine."""
    pytest.importorskip("jupyterlab", reason="JupyterLab is not here")
    place = tmp_path_factory.mktemp("jupyter")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = [
        "--no-browser",
        "--allow-root",
        f"--port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={TOKEN}",
    ]
    folders = {f"JUPYTER_{n}_DIR": str(place / n.lower()) for n in ("CONFIG", "DATA", "RUNTIME")}
    with open(place / "log", "w") as log:
        process = subprocess.Popen([*command(), *more], cwd=paths.root(), env={**os.environ, **folders}, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            wait(address, process, place / "log")
            yield address
        finally:
            process.terminate()
            process.wait(30)


def wait(address: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < end:
        try:
            get(f"{address}/api/status")
            return
        except urllib.error.URLError:
            time.sleep(0.2)
    pytest.fail(f"JupyterLab did not answer:\n{log.read_text()[-2000:]}")


def get(address: str) -> str:
    request = urllib.request.Request(address, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer.read().decode()


def test_the_index_notebook_is_served(server: str) -> None:
    found = json.loads(get(f"{server}/api/contents/notebooks/00_index.ipynb"))
    assert found["type"] == "notebook" and "where everything is" in found["content"]["cells"][0]["source"]
    assert "jupyter" in get(f"{server}/lab/tree/notebooks/00_index.ipynb").lower()


def test_what_the_board_links_to_is_served(server: str) -> None:
    """The board stands in notebooks/ and links to its neighbours and to ``../results``: both are below the root."""
    for name in ("notebooks/train_your_own.ipynb", "notebooks/table1.ipynb", "results/mini/table1.ipynb"):
        assert json.loads(get(f"{server}/api/contents/{name}?content=0"))["name"] == Path(name).name


def test_lab_opens_the_index() -> None:
    """The last word of the command is the notebook that the browser is sent to."""
    assert command()[-1] == "notebooks/00_index.ipynb" and (paths.root() / command()[-1]).is_file()
