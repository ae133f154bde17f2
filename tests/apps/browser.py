"""JupyterLab or voila on a free port of this machine, and a headless Chromium that drives it; tests skip without."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import documents
import pytest

import sakerepro

BROWSERS, DRIVERS = ("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1300,1100"),
)
LAB_FLAGS = ("--no-browser", "--allow-root", "--ip=127.0.0.1", "--ServerApp.port_retries=0")
SETTINGS = {  # every cell stays in the page, whether one sees it or not
    "notebook-extension/tracker": {"windowingMode": "none"},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


def needed() -> tuple[str, str]:
    """Paths of Chromium and its driver; the test is skipped with what to install where something is missing."""
    pytest.importorskip("selenium", reason="the browser tests need `pip install selenium`")
    pytest.importorskip("jupyterlab", reason="the browser tests need JupyterLab")
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    driver = next(filter(None, map(shutil.which, DRIVERS)), None)
    if not browser or not driver:
        pytest.skip("the browser tests need Chromium and chromedriver (Debian: packages chromium, chromium-driver)")
    return browser, driver


def made(target: str) -> list[str]:
    """The arguments that ``make`` would give to Python for a target."""
    *_, last = documents.make(target, "PYTHON=python").stdout.splitlines()
    python, *words = shlex.split(last)
    assert python == "python"
    return words


@contextlib.contextmanager
def jupyter_lab(folder: Path, theme: str = "JupyterLab Light", **environment: str) -> Iterator[str]:
    """Serve ``folder/notebooks``; gives the address with its token, and stops the server and its kernels at the end."""
    for name, values in {**SETTINGS, "apputils-extension/themes": {"theme": theme}}.items():
        file = folder / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    token = secrets.token_hex(16)
    command = [sys.executable, "-m", "jupyterlab", *LAB_FLAGS, "--expose-app-in-browser"]
    command += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    settings = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), **environment}
    with served(command, folder, f"api/status?token={token}", settings) as address:
        yield f"{address}/lab/tree/{{}}?token={token}"


@contextlib.contextmanager
def served(
    command: list[str], folder: Path, ready: str, environment: dict[str, str], cwd: Path | None = None
) -> Iterator[str]:
    """Start a Jupyter server on a free port; gives its address once ``ready`` answers, and stops it at the end.

    Its settings and its log are in ``folder``, and so is the server unless ``cwd`` says otherwise.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    variables = {
        **os.environ,
        **environment,
        "PYTHONPATH": str(Path(sakerepro.__file__).parent.parent),
        **{f"JUPYTER_{n}_DIR": str(folder / n.lower()) for n in ("CONFIG", "DATA", "RUNTIME")},
    }
    with open(folder / "server.log", "wb") as log:
        server = subprocess.Popen(
            [*command, f"--port={port}"], env=variables, stdout=log, stderr=log, cwd=cwd or folder
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/{ready}", server, folder / "server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()  # the server ends its kernels
            server.wait(30)


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except urllib.error.HTTPError as error:  # the server is there, whatever it thinks of the address
            error.close()
            return
        except OSError:
            pass
        time.sleep(0.3)
    raise AssertionError(f"The server did not start:\n{log.read_text()[-3000:]}")


@contextlib.contextmanager
def chromium(folder: Path) -> Iterator[Any]:
    """A headless Chromium with a profile of its own, as a selenium driver."""
    browser, driver = needed()
    from selenium.webdriver import Chrome, ChromeOptions, ChromeService

    options = ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=ChromeService(driver))
    # a page without focus has no current notebook
    chrome.execute_cdp_cmd("Emulation.setFocusEmulationEnabled", {"enabled": True})
    try:
        yield chrome
    finally:
        chrome.quit()
