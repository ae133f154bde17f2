"""``demo``: from nothing to a contact sheet."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import paths
from ..errors import ConfigError
from ..methods import preset
from ..world.classes import of_role
from ..world.files import write_world
from .parser import parser

SKETCHES, PHOTOS, SIZE = 4, 10, 96  # queries, one an unseen class; images of each unseen class; their side in pixels


def demo(arguments: argparse.Namespace) -> None:
    """Train, index and query on generated images; print the command of each step."""
    to = Path(arguments.to)
    if to.exists():
        raise ConfigError(f"{to}: is there already. Remove it, or name another folder with --to.")
    unseen = [c.name for c in of_role("unseen")]
    _step("train")
    write_world(to, (), unseen, per_class=PHOTOS, size=SIZE)
    index, sheet = to / "index", to / "found.png"
    _step("index", str(to / "photo"), "--run", preset("mini").id, "--to", str(index))
    sketches = [str(to / "sketch" / name / "0000.png") for name in unseen[:SKETCHES]]
    _step("query", *sketches, "-k", "5", "--index", str(index), "--sheet", str(sheet))
    print(
        f"""
Open {paths.shown(sheet)}: a row a sketch, the nearest photos beside it. All images are generated. Next:
  sakerepro query SKETCH --index {index} --sheet mine.png   # with a drawing of yours: dark lines on white
  sakerepro data example my-folder                          # a folder to train on, as yours would be
  make lab                                                  # draw, and photos come back while you draw"""
    )


def _step(*words: str) -> None:
    """Show a command and run it."""
    print(f"$ sakerepro {' '.join(words)}", flush=True)
    step = parser(words).parse_args(words)
    step.function(step)
