"""``completion``: argcomplete's shell code, and completions for arguments without choices."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import Any

import argcomplete


def completion(arguments: argparse.Namespace) -> None:
    """Print the code for a shell."""
    print(argcomplete.shellcode(["sakerepro"], shell=arguments.shell), end="")


def complete(parser: argparse.ArgumentParser) -> None:
    """If environment variables hold a shell's request for completions, answer it and end the process."""
    argcomplete.autocomplete(parser, default_completer=_names)  # type: ignore[arg-type]  # any callable will do


def _names(prefix: str, action: argparse.Action, parser: argparse.ArgumentParser, **_: Any) -> Iterable[str]:
    """Ids of finished runs, presets, items or data sets; file names if none of these fits."""
    from .. import paths
    from ..data.known import datasets
    from ..experiment import PRESETS
    from ..results.paper import GRIDS

    names: Iterable[str] = ()
    if action.metavar == "RUN" or action.dest == "run":
        names = (file.parent.name for file in paths.runs().glob("[!.]*/experiment.json"))
    elif action.dest == "preset":
        names = PRESETS
    elif parser.prog == "sakerepro item" and action.dest == "name":
        names = GRIDS
    elif action.metavar == "DATA":
        names = datasets()
    return [n for n in names if n.startswith(prefix)] or argcomplete.completers.FilesCompleter()(prefix)
