"""Every folder of the project. No other module builds a path from scratch.

Each folder can be moved by an environment variable; without one it lies below the checkout, or, for an installed
package, below the current folder.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable within a ``with`` block, also for processes that are started in it."""
    previous = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if previous is None:
            del os.environ[name]
        else:
            os.environ[name] = previous


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path; ``~`` becomes the home folder, ``~name`` stays if there is no such user."""
    return Path(os.path.expanduser(path))


def root() -> Path:
    """The checkout that holds this package, or the current folder if the package is installed elsewhere."""
    if home := os.environ.get("SAKEREPRO_HOME"):
        return expanded(home).resolve()
    checkout = Path(__file__).resolve().parent.parent
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def _folder(variable: str, default: str) -> Path:
    value = os.environ.get(variable)
    return expanded(value).resolve() if value else root() / default


def data() -> Path:
    """The first folder that is searched for data sets and weights (``SAKEREPRO_DATA``)."""
    return _folder("SAKEREPRO_DATA", "data")


def runs() -> Path:
    """Finished and unfinished runs (``SAKEREPRO_RUNS``)."""
    return _folder("SAKEREPRO_RUNS", "runs")


def cache() -> Path:
    """Files that can be made again: packed images, features of frozen backbones (``SAKEREPRO_CACHE``)."""
    return _folder("SAKEREPRO_CACHE", "cache")


def collections() -> Path:
    """Indexes of photo collections (``SAKEREPRO_COLLECTIONS``)."""
    return _folder("SAKEREPRO_COLLECTIONS", "collections")


def results(preset: str | None = None) -> Path:
    """Tables, figures and executed notebooks (``SAKEREPRO_RESULTS``), of one preset if named."""
    base = _folder("SAKEREPRO_RESULTS", "results")
    return base / preset if preset else base


def notebooks() -> Path:
    """The notebooks as they are committed, without outputs."""
    return root() / "notebooks"


def search_path() -> str:
    """A ``PYTHONPATH`` with which another process imports the same copy of the package, installed or not."""
    here = str(Path(__file__).resolve().parent.parent)
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def package_data(name: str) -> Path:
    """The table of that name that ships inside the package, such as ``wordnet.csv.gz``."""
    return Path(__file__).resolve().parent / "tables" / name


def models() -> Path:
    """The trained networks that ship inside the package."""
    return Path(__file__).resolve().parent / "models"


def shown(path: Path) -> str:
    """The path for display: relative if it lies below the current folder."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
