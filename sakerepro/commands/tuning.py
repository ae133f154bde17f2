"""``tune``: a method's settings, chosen on seen classes that are held out as if unseen."""

from __future__ import annotations

import argparse
import shlex
from typing import Any

from .common import add_engine, precision, print_table, say_slow_precision
from .runs import shown


def add(commands: Any) -> None:
    """Register the command of this module."""
    tune = commands.add_parser(
        "tune",
        help="choose a method's settings on seen classes held out as if unseen, never on unseen ones",
        description="Train a method with the preset's own settings and with others that are drawn from its grid "
        "(`sakerepro methods` shows it) and, if it trains a backbone, with other learning rates and lengths. Measure "
        "on seen classes that are held out as if unseen. Trials are runs: finished ones are found, interrupted ones "
        "continue. For a fair comparison, give every method the same number of trials.",
        epilog="example: sakerepro tune --method GN-Triplet --preset small --trials 6",
    )
    tune.add_argument("--method", required=True, help="a system of Table 1, L_B, or MODULE:CLASS of your own")
    tune.add_argument(
        "--trials", type=int, default=6, metavar="N", help="trials; the first has the preset's settings [6]"
    )
    tune.add_argument("--preset", default="small", help="mini, small (default) or paper")
    tune.add_argument("--seed", type=int, default=0, metavar="INT", help="seed for the draws and the runs [0]")
    add_engine(tune)
    tune.set_defaults(function=_tune)


def _tune(arguments: argparse.Namespace) -> None:
    from .. import methods, paths
    from ..results.tuning import NUMBERS, trial_experiments, tune, tuning_file

    method, preset = arguments.method, arguments.preset
    with precision(arguments):
        wanted = trial_experiments(method, preset, arguments.trials, arguments.seed)
        say_slow_precision(wanted)
        where = (arguments.jobs, arguments.engine, arguments.address)
        found = tune(method, preset, arguments.trials, arguments.seed, *where)
    print(f"\n{method}, preset {preset}: mAP@all on {wanted[0].pseudo_unseen} seen classes held out as if unseen\n")
    lines = found.astype(object).where(found.notna(), None).to_dict("records")
    print_table(
        ["trial", "settings", *NUMBERS],
        [[line["trial"], line["settings"] or "the preset's own", *(line[n] for n in NUMBERS)] for line in lines],
        left=2,
    )
    best = lines[0]["trial"]
    usual, flags = methods.flat(methods.preset(preset, method=method)), ["--preset", preset, "--method", method]
    for name, value in methods.flat(wanted[best]).items():
        if name not in ("pseudo_unseen", "seed") and value != usual[name]:
            flags += [f"--{name.replace('_', '-')}", shown(value)]
    print(f"\nBest is trial {best} of {len(wanted)}. To train with its settings on all seen classes:")
    print(f"  {shlex.join(['sakerepro', 'train', *flags])}\nAll trials: {paths.shown(tuning_file(preset))}")
