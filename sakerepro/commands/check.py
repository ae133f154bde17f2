"""``check``: what a data set holds and what is wrong with it, before anything is trained."""

from __future__ import annotations

import argparse
import ast
from collections import Counter
from typing import TYPE_CHECKING, Any

from .common import print_json, print_table

if TYPE_CHECKING:
    from ..checking import Report, Split

SHOWN = 20
_SETS = {"train_sketch": "training sketches", "val_sketch": "validation sketches", "query": "query sketches",
         "train_photo": "training photos", "gallery": "gallery photos"}  # fmt: skip


def add(commands: Any) -> None:
    """Register the commands of this module."""
    parser = commands.add_parser(
        "check", help="look at a data set: counts, splits, problems, WordNet nodes, overlap with ImageNet",
        description="Look at a data set by name (sketchy, tuberlin, sketchy-125x25) or at a folder, with "
        "photo/<class>/* and sketch/<class>/* or in the list format of the official code. Every image is read whole. "
        "Exit code 3 if there is a problem.",
    )  # fmt: skip
    add_arguments(parser)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What ``check`` and ``data check`` have in common."""
    parser.add_argument("data", metavar="DATA", help="a folder, or sketchy, tuberlin, sketchy-125x25")
    parser.add_argument("--split", help="only this one; all of them by default")
    parser.add_argument("--quick", action="store_true", help="do not read the images, look only whether they are there")
    parser.add_argument("--all", action="store_true", help=f"list every problem and class, not only the first {SHOWN}")
    parser.add_argument("--json", action="store_true", help="for scripts; always everything")
    parser.set_defaults(function=_check)


def _check(arguments: argparse.Namespace) -> int:
    from ..checking import check

    report = check(arguments.data, arguments.split, images=not arguments.quick, progress=not arguments.json)
    if arguments.json:
        print_json(report.to_dict())
    else:
        _show(report, None if arguments.all else SHOWN)
    return 3 if report.problems else 0


def _show(report: Report, most: int | None) -> None:
    from .. import paths

    print(f"{report.name}: {paths.shown(report.root)} ({'lists' if report.layout == 'lists' else 'plain folders'})")
    for split in report.splits:
        _show_split(split)
    _show_classes(report, most)
    for note in report.notes:
        print(f"Note: {note}")
    read = f", {report.decoded:,} images read" if report.decoded else ""
    print(f"{len(report.problems):,} problems{read}.")
    if missing := [p for p in report.problems if p.missing]:
        _show_missing([ast.literal_eval(p.text.partition(" is listed")[0]) for p in missing])
    shown = report.problems if most is None else report.problems[:most]
    for problem in shown:
        print(f"  {problem}")
    if len(shown) < len(report.problems):
        print(f"  ... and {len(report.problems) - len(shown):,} more; --all lists them.")
    if not report.problems:
        print(f"Train on it: {report.train_command()}")


def _show_split(split: Split) -> None:
    print(f"\n{split.name}: {split.counts['seen']} seen, {split.counts['unseen']} unseen classes")
    rows = []
    for name, what in _SETS.items():
        low, median, high = split.per_class.get(name, (0, 0, 0))
        row = [what, f"{split.counts[name]:,}", f"{low} / {median:g} / {high}"]
        rows.append([*row, f"{split.published[name]:,}"] if split.published else row)
    head = ["", "images", "a class: fewest / median / most"]
    print_table([*head, "published"] if split.published else head, rows)
    for side in ("seen", "unseen"):
        kinds = Counter(o.kind for o in split.overlap.get(side, ()))
        names = ", ".join(o.name for o in split.overlap.get(side, ()) if o.kind == "same")
        more = f": {names}" if side == "unseen" and names else ""
        print(f"{side}: {kinds['same']} of {split.counts[side]} classes are ImageNet-1k synsets, "
              f"{kinds['wider'] + kinds['narrower']} more contain one or lie in one{more}")  # fmt: skip


def _show_classes(report: Report, most: int | None) -> None:
    if not report.classes:
        return
    by = Counter(r.source for r in report.classes)
    print("\nWordNet: " + ", ".join(f"{n} {source}" for source, n in by.most_common()))
    unsure = [r for r in report.classes if most is None or r.source in ("wordnet", "unresolved", "by hand")]
    shown = unsure if most is None else unsure[:most]
    for r in shown:
        print(f"  {r.name}: {' '.join(filter(None, (r.wnid, r.synset))) or 'none'} ({r.source})"
              f"{'; ' if r.note else ''}{r.note}")  # fmt: skip
    if len(shown) < len(unsure):
        print(f"  ... and {len(unsure) - len(shown)} more; --all lists them.")
    if unsure:
        print(f"  To set one by hand: lines 'class,wnid' and '{unsure[0].name},n02084071' in "
              f"{report.root / 'synsets.csv'}.")  # fmt: skip


def _show_missing(names: list[str]) -> None:
    """How many files are missing, by folder: they come by the thousand."""
    by = Counter("/".join(n.split("/")[:-1]) for n in names)
    top = Counter(n.split("/")[0] for n in names)
    rows = by if len(by) <= SHOWN else top
    print(f"  {len(names):,} listed files are missing: "
          + ", ".join(f"{count:,} below {folder}" for folder, count in rows.most_common(SHOWN)))  # fmt: skip
