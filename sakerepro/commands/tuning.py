"""``tune``: choose a method's settings on seen classes that are held out as if unseen."""

from __future__ import annotations

import argparse
import shlex

from .. import methods, paths
from ..results import tuning
from ..runs import find
from .common import precision, print_table, say_slow_precision
from .settings import shown


def tune(arguments: argparse.Namespace) -> None:
    """Make the trials, list them, and show how to train with the best."""
    method, preset = arguments.method, arguments.preset
    trials = (method, preset, arguments.trials, arguments.seed)
    with precision(arguments):
        wanted = tuning.trial_experiments(*trials)
        kept = tuning.kept_trials(preset)
        say_slow_precision(e for e in wanted if find(e) is None and e.id not in kept)
        found = tuning.tune(*trials, arguments.jobs, arguments.engine, arguments.address)
    print(f"\n{method}, preset {preset}: mAP@all on {wanted[0].pseudo_unseen} seen classes held out as if unseen\n")
    lines = found.astype(object).where(found.notna(), None).to_dict("records")
    print_table(
        ["trial", "settings", *tuning.NUMBERS],
        [[t["trial"], t["settings"] or "the preset's own", *(t[n] for n in tuning.NUMBERS)] for t in lines],
        left=2,
    )
    best = lines[0]["trial"]
    usual, flags = methods.flat(methods.preset(preset, method=method)), ["--preset", preset, "--method", method]
    for name, value in methods.flat(wanted[best]).items():
        if name not in ("pseudo_unseen", "seed") and value != usual[name]:
            flags += [f"--{name.replace('_', '-')}", shown(value)]
    print(f"\nBest is trial {best} of {len(wanted)}. To train with its settings on all seen classes:")
    print(f"  {shlex.join(['sakerepro', 'train', *flags])}\nAll trials: {paths.shown(tuning.tuning_file(preset))}")
