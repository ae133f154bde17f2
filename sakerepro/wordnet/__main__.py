"""The commands of ``python -m sakerepro.wordnet``."""

from __future__ import annotations

import sys
from pathlib import Path

from .. import paths
from ..errors import ConfigError, DataError
from . import table
from .make import build, link


def _main(arguments: list[str]) -> None:
    if arguments == ["build"]:
        path = build()
        print(f"{paths.shown(path)}: {len(table()):,} synsets, {path.stat().st_size:,} bytes")
    elif len(arguments) == 3 and arguments[0] == "link":
        print(link(Path(arguments[1]), Path(arguments[2])))
    else:
        raise ConfigError("usage: python -m sakerepro.wordnet build | link SOURCE NLTK_DATA")


if __name__ == "__main__":
    try:
        _main(sys.argv[1:])
    except (ConfigError, DataError) as problem:
        sys.exit(f"{type(problem).__name__}: {problem}")
