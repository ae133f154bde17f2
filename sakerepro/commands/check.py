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
        help="check a data set: counts, splits, problems, WordNet nodes, overlap with ImageNet",
        description="Check a data set by its name (such as sketchy) or a folder, with "
        "photo/<class>/* and sketch/<class>/* or in the list format of the official code. Every image is read whole. "
        "The exit code is 3 if there is a problem.",
        epilog="example: sakerepro check my-folder",
    )
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` and ``data check`` have in common."""
    parser.add_argument("data", metavar="DATA", help="a folder, or a known data set such as sketchy")
    parser.add_argument("--split", help="check only this split; by default all")
    parser.add_argument("--quick", action="store_true", help="do not read the images, only check that they are there")
    parser.add_argument("--all", action="store_true", help=f"list every problem and class, not only the first {SHOWN}")
    parser.add_argument("--json", action="store_true", help="for scripts; with every problem and class")
    parser.set_defaults(function=_check)


def _check(arguments: argparse.Namespace) -> int:
    from ..apps.check import check

    report = check(arguments.data, arguments.split, images=not arguments.quick, progress=not arguments.json)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(report.to_text(None if arguments.all else SHOWN))
    return 3 if report.problems else 0
