"""``check``: what a data set holds and what is wrong with it, before anything is trained."""

from __future__ import annotations

import argparse

from ..apps import check as app
from .common import print_json

SHOWN = 20  # problems and classes, without --all


def check(arguments: argparse.Namespace) -> int:
    """Look at a data set; the exit code is 3 if there is a problem."""
    report = app.check(arguments.data, arguments.split, images=not arguments.quick, progress=not arguments.json)
    if arguments.json:
        print_json(report.to_dict())
    else:
        print(report.to_text(None if arguments.all else SHOWN))
    return 3 if report.problems else 0
