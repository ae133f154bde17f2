"""``card``: the model card of a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add(commands: Any) -> None:
    """Register the command of this module."""
    parser = commands.add_parser(
        "card",
        help="write the model card of a finished run: what it is, data, numbers, limits, settings, origin",
        description="Write a Markdown model card of a finished run from the files of the run. The card names the "
        "classes if the data set is here.",
        epilog="example: sakerepro card RUN --to model-card.md",
    )
    parser.add_argument("run", metavar="RUN", help="id of a run (a part of it is enough), or its folder")
    parser.add_argument("--to", metavar="FILE", help="by default <id>-card.md in the current folder; - prints it")
    parser.set_defaults(function=_card)


def _card(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..apps.card import model_card, write_card
    from ..runs import named_run

    run = named_run(arguments.run)
    if arguments.to == "-":
        print(model_card(run), end="")
        return
    print(paths.shown(write_card(run, Path(arguments.to or f"{run.id}-card.md"))))
