"""``tune``: choose a method's settings on seen classes that are held out as if unseen."""

from __future__ import annotations

import argparse
import shlex

from .. import paths
from ..results import tuning
from .common import precision, print_table


def tune(arguments: argparse.Namespace) -> None:
    """Make the trials, list them, and show how to train with the best."""
    method, preset = arguments.method, arguments.preset
    with precision(arguments):
        where = arguments.jobs, arguments.engine, arguments.address
        found = tuning.tune(method, preset, arguments.trials, arguments.seed, *where)
    print(f"\n{method}, preset {preset}: mAP@all on {found['data'][0]}, seen classes held out as if unseen\n")
    lines = found.astype(object).where(found.notna(), None).to_dict("records")
    print_table(
        ["trial", "settings", *tuning.NUMBERS],
        [[t["trial"], t["settings"] or "the preset's own", *(t[n] for n in tuning.NUMBERS)] for t in lines],
        left=2,
    )
    flags = ["--preset", preset, "--method", method]
    for setting in filter(None, lines[0]["settings"].split(", ")):
        name, value = setting.split("=")
        flags += [f"--{name.replace('_', '-')}", value]
    print(f"\nBest is trial {lines[0]['trial']} of {len(lines)}. To train with its settings on all seen classes:")
    print(f"  {shlex.join(['sakerepro', 'train', *flags])}\nAll trials: {paths.shown(tuning.tuning_file(preset))}")
