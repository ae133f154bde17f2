"""``check``: what a data set holds and what is wrong with it, before anything is trained."""

from __future__ import annotations

import argparse
from typing import Any

from .common import print_json

SHOWN = 20


def add(commands: Any) -> None:
    """Register the commands of this module."""
    parser = commands.add_parser(
        "check",
        help="look at a data set: counts, splits, problems, WordNet nodes, overlap with ImageNet",
        description="Look at a data set by name (such as sketchy) or at a folder, with "
        "photo/<class>/* and sketch/<class>/* or in the list format of the official code. Every image is read whole. "
        "Exit code 3 if there is a problem.",
        epilog="example: sakerepro check my-folder",
    )
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` and ``data check`` have in common."""
    parser.add_argument("data", metavar="DATA", help="a folder, or a known data set such as sketchy")
    parser.add_argument("--split", help="only this one; all of them by default")
    parser.add_argument("--quick", action="store_true", help="do not read the images, look only whether they are there")
    parser.add_argument("--all", action="store_true", help=f"list every problem and class, not only the first {SHOWN}")
    parser.add_argument("--json", action="store_true", help="for scripts; always everything")
    parser.set_defaults(function=_check)


def _check(arguments: argparse.Namespace) -> int:
    from ..apps.check import check

    report = check(arguments.data, arguments.split, images=not arguments.quick, progress=not arguments.json)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(report.to_text(None if arguments.all else SHOWN))
    return 3 if report.problems else 0
