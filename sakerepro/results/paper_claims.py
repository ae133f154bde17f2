"""For each testable sentence of the paper, the condition on the cells of its tables and figures.

The sentences are in ``tables/claims.csv``. Here each has one or several ids, ``item.sentence`` or
``item.sentence.where``, and for each id its contrasts: it holds if all of them do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise, product

import pandas as pd

from .. import paths
from . import paper
from .grids import NETWORKS, OTHER_SYSTEMS, Contrast, Grid, Selection, Sum, identity, rising, with_names
from .rows import records

Judged = Iterator[tuple[str, Iterable[Contrast]]]  # id, and the contrasts that have to hold
SETS = dict(zip(("tuberlin", "sketchy", "split16"), paper.DATA, strict=True))
TASKS = dict(zip(("sbir", "pbir"), paper.BOTH_TASKS, strict=True))


@dataclass(frozen=True)
class Claim:
    """One sentence. It holds if every contrast does."""

    id: str  # "table4.deeper.sbir"
    section: str  # of the paper
    judged: str  # "as printed": in the convention of the paper's figures; "by set": held-out sets are the pairs; or ""
    says: str
    contrasts: tuple[Contrast, ...]

    @property
    def item(self) -> str:
        """The table, figure or text that the claim belongs to."""
        return self.id.partition(".")[0]


NINE = Grid(
    "The nine other systems",
    paper.METRICS[:4],
    data=paper.DATA,
    method=tuple(OTHER_SYSTEMS),
    representation=tuple(dict.fromkeys(["64-d", *paper.CODES, *(p["representation"] for p in paper.systems())])),
)

PHOTOS = Grid(
    "Table 1, from photo to photo", data=paper.DATA, task="ZS-PBIR", method=("L_B", "SAKE"), representation="64-d"
)


def _published(method: str, representation: str, data: str = paper.DATA[0], metric: str = "mAP@all") -> Sum:
    return NINE.at(data=data, method=method, representation=representation, metric=metric)


def _above_published(data: str, ours: str, kind: str) -> Iterator[Contrast]:
    """SAKE above every number of another method in Table 1 on one data set, of the same kind: real-valued or codes."""
    for point in paper.systems():
        method, features, metric = (point[k] for k in ("method", "representation", "metric"))
        if point["data"] == data and features.endswith(kind):
            sake = paper.TABLE1.at(method="SAKE", representation=ours, data=data, metric=metric)
            yield sake > _published(method, features, data, metric)


def _printed(item: str) -> Iterator[Contrast]:
    """The printed figures of the methods that are trained here, each within 0.02."""
    cells = {identity(p): (g, p) for g in paper.GRIDS[item] for p in g.points() if p["metric"]}
    for name, (point, value, source) in paper.printed(item).items():
        if point["method"] not in OTHER_SYSTEMS:
            yield (Sum(((1.0, Selection(*cells[name])),)) - value).within(0.02).named(source)


def _table1() -> Judged:
    t = paper.TABLE1
    for name, data in SETS.items():
        yield f"table1.beats-others.{name}", _above_published(data, "512-d", "-d")
        yield f"table1.beats-others-binary.{name}", _above_published(data, "64-bit", "-bit")
    sake = t.at(method="SAKE", data=paper.DATA[0], representation="64-bit", metric="mAP@all")
    yield "table1.relative-gain", [sake > 1.2085 * _published("SEM-PCYC", "64-d")]
    for (name, data), features in product(SETS.items(), t.axes["representation"]):
        metric = "mAP@200" if name == "split16" else "mAP@all"
        sake, lb = (t.at(method=m, data=data, representation=features, metric=metric) for m in ("SAKE", "L_B"))
        yield f"table1.sake-beats-lb.{name}.{features}", [sake > lb]
    for name, data in SETS.items():
        yield f"table1.keeps-photos.{name}", [PHOTOS.at(method="SAKE", data=data) > PHOTOS.at(method="L_B", data=data)]
    yield "table1.numbers", _printed("table1")


def _systems() -> Judged:
    t = paper.SYSTEMS
    for (name, data), system in product(SETS.items(), OTHER_SYSTEMS):
        for metric in ("mAP@200", "P@200") if name == "split16" else ("mAP@all", "P@100"):
            kinds = [{"data": data, "metric": metric, "representation": r} for r in t.axes["representation"]]
            above = [t.at(method="SAKE", **where) > t.at(method=system, **where) for where in kinds]
            yield f"systems.sake-beats-{system.lower()}.{name}.{metric}", above


def _table2() -> Judged:
    for data in paper.TABLE2.axes["data"]:
        name, ours = data.partition("/")[0], {bits: paper.TABLE2[data, bits] for bits in paper.CODES}
        yield f"table2.longer-is-better.{name}", rising(*ours.values())
        pairs = product(("ZSH", "ZSIH"), ours)
        yield f"table2.beats-hashing.{name}", [ours[bits] > _published(m, bits, data) for m, bits in pairs]
    yield "table2.numbers", _printed("table2")


def _splits() -> Judged:
    t = paper.SPLITS
    others = [("ZSH", "64-bit"), ("ZSIH", "64-bit"), ("EMS", "512-d"), ("EMS", "64-bit")]
    others += [("SEM-PCYC", "64-d"), ("SEM-PCYC", "64-bit")]
    above = (
        (t[data, "SAKE"] > _published(m, r)).named(f"{data.partition('/')[2]}: SAKE > {m} {r}")
        for data, (m, r) in product(t.axes["data"], others)
    )
    yield "splits.beats-others", above
    yield "splits.sake-beats-lb", [t[data, "SAKE"] > t[data, "L_B"] for data in t.axes["data"]]
    yield "splits.numbers", _printed("splits")


def _table3() -> Judged:
    t, lambdas = paper.TABLE3, paper.LAMBDAS
    yield "table3.semantics-alone", [(t[0, b] - t[0, 0]).within(0.01) for b in lambdas[1:]]
    yield "table3.semantics-boost", [t[1, 0.3] > t[1, 0]]
    yield "table3.peak", [t[1, 0.3] > t[1, b] for b in lambdas if b != 0.3]
    yield "table3.teacher", [t[1, b] > t[0, b] for b in lambdas]
    yield "table3.numbers", _printed("table3")


def _table4() -> Judged:
    t, (alexnet, resnet, cse), names = paper.TABLE4, paper.NETS, NETWORKS
    nets, systems, (sbir, pbir) = t.axes["backbone"], t.axes["method"], paper.BOTH_TASKS
    for name, task in TASKS.items():
        yield f"table4.deeper.{name}", [t[task, resnet, m] > t[task, alexnet, m] for m in systems[1:]]
    yield "table4.cse", [t[sbir, cse, m] > t[sbir, resnet, m] for m in systems[1:]]
    for order, high, low in (
        ("teacher-helps", "L_B + L_T", "L_B"),
        ("semantics-help", "SAKE", "L_B + L_T"),
        ("sake-beats-lb", "SAKE", "L_B"),
    ):
        for name, task in TASKS.items():
            yield f"table4.{order}.{name}", [t[task, n, high] > t[task, n, low] for n in nets]

    gain = {(task, n, m): t[task, n, m] - t[task, n, "L_B"] for task, n, m in product((sbir, pbir), nets, systems)}
    larger = (
        (gain[sbir, b, "L_B + L_T"] > gain[sbir, a, "L_B + L_T"]).named(f"gain of {names[b]} > gain of {names[a]}")
        for a, b in pairwise(nets)
    )
    yield "table4.capacity", larger
    for name, task in TASKS.items():
        rest = [(n, m) for n, m in product(nets, systems) if (n, m) != (cse, "SAKE")]
        yield f"table4.best.{name}", [t[task, cse, "SAKE"] > t[task, n, m] for n, m in rest]
    yield "table4.pretrained-photos", [t[pbir, n, "pretrained"] > t[sbir, n, "pretrained"] for n in nets]
    for n in nets:
        yield f"table4.lb-forgets-photos.{n}", [t[pbir, n, "pretrained"] > t[pbir, n, "L_B"]]
    sketches, photos = ({n: gain[task, n, "SAKE"] for n in nets} for task in (sbir, pbir))
    share = [(photos[n] > 0.5 * sketches[n]).named(f"{names[n]}: photo gain > half the sketch gain") for n in nets]
    yield "table4.photo-share", share + [(sketches[n] > 0.0).named(f"{names[n]}: there is a sketch gain") for n in nets]
    yield "table4.numbers", _printed("table4")


def _table5() -> Judged:
    sbir = {v: paper.TABLE5[v] for v in paper.LAMBDAS}
    outside, inside = ({v: paper.TABLE5_PHOTOS[kind, v] for v in paper.LAMBDAS} for kind in ("non-IN", "IN"))
    yield "table5.sbir-rises", rising(*(sbir[v] for v in paper.LAMBDAS[:4]))
    yield "table5.sbir-peak", [sbir[1] > sbir[v] for v in paper.LAMBDAS if v != 1]
    yield "table5.in-rises", rising(*inside.values())
    yield "table5.non-in-boosted", [outside[1] > outside[0], outside[3] > outside[0]]
    wider = [(inside[3] - inside[v] > outside[3] - outside[v]).named(f"from {v} to 3") for v in (1, 0)]
    yield "table5.non-in-saturates", [inside[3] > inside[1], *wider]
    yield "table5.both-benefit", [inside[1] > inside[0], outside[1] > outside[0]]
    yield "table5.numbers", _printed("table5")


def _forgetting() -> Judged:
    t = paper.FORGETTING
    for net in t.axes["backbone"]:
        before, lb, sake = (t[net, m] for m in t.axes["method"])
        yield f"forgetting.lb-forgets.{net}", [before > lb]
        yield f"forgetting.sake-alleviates.{net}", [sake > lb]
        yield f"forgetting.sake-still-forgets.{net}", [before > sake]
    yield "forgetting.numbers", _printed("forgetting")


def _figure3() -> Judged:
    right, stray = (paper.FIGURE3.at(method="SAKE", metric=m) for m in paper.FIGURE3.axes["metric"])
    yield "figure3.mostly-right", [(right > 0.5).named("P@10 > 0.5")]
    name = "most frequent wrong class among the wrong of the top 10 > 0.5"
    yield "figure3.wrong-from-one-class", [(stray > 0.5).named(name)]


def _figure4() -> Judged:
    sake, lb = (paper.FIGURE4.at(method=m, metric="silhouette") for m in paper.PAIR)
    yield "figure4.clusters", [sake > lb]
    gap = paper.FIGURE4.at(method="SAKE", metric="domain silhouette")
    yield "figure4.domain-gap", [(gap > 0.0).named("domain silhouette > 0")]


def _figure5() -> Judged:
    confidence, gain, lch = (
        [paper.FIGURE5.at(method="SAKE", classes=level, metric=metric) for level in paper.LEVELS]
        for metric in ("confidence", "gain", "LCH")
    )
    yield "figure5.confidence", rising(*confidence)
    pairs = zip(paper.LEVELS, gain, strict=True)
    yield "figure5.every-group-gains", [(cell > 0.0).named(f"{level} gain > 0") for level, cell in pairs]
    yield "figure5.semantics", rising(*lch)


def _cost() -> Judged:
    train_time, memory, test_time = (
        paper.COST.at(method="SAKE", task=task, metric=f"{what} relative to L_B")
        for task, what in (("training", "time"), ("training", "memory"), ("test", "time"))
    )
    yield "cost.training-time", [(1.5 > train_time).named("1.5 > SAKE's training time relative to L_B's")]
    yield "cost.training-memory", [(1.5 > memory).named("1.5 > SAKE's memory in training relative to L_B's")]
    yield "cost.test-time", [(test_time - 1.0).within(0.1).named("time to embed relative to L_B's")]


def _length() -> Judged:
    def at(method: str, task: str, metric: str = paper.LAST) -> Sum:
        return paper.LENGTH.at(method=method, task=task, metric=metric)

    ends = {paper.LAST: "the last epoch", paper.LATER: "mean of the later epochs"}
    both = [(task, metric, name) for task in paper.BOTH_TASKS for metric, name in ends.items()]
    over_fits = (
        (at("L_B", t, paper.FIRST) > at("L_B", t, m)).named(f"{t}: L_B after the first epoch > {name}")
        for t, m, name in both
    )
    yield "length.lb-over-fits", over_fits
    forgets = (
        (at("pretrained", "ZS-PBIR") > at("L_B", "ZS-PBIR", m)).named(f"ZS-PBIR: pretrained > L_B, {name}")
        for m, name in ends.items()
    )
    yield "length.lb-forgets", forgets
    lasts = ((at("SAKE", t, m) > at("L_B", t, m)).named(f"{t}: SAKE > L_B, {name}") for t, m, name in both)
    yield "length.sake-lasts", lasts


def _quickdraw() -> Judged:
    for data in paper.QUICKDRAW.axes["data"]:
        name, cell = data.partition("/")[0], {}
        for method, kind in product(paper.COMPARED, ("doodles", "sketches")):
            where = {"method": method, "task": f"{kind}, unseen", "data": data, "metric": "mAP@all"}
            cell[method, kind] = paper.QUICKDRAW.at(**where)
        lead = {kind: cell["SAKE", kind] - cell["L_B", kind] for kind in ("doodles", "sketches")}
        wider = (lead["doodles"] > lead["sketches"]).named("SAKE's lead over L_B: on doodles > on own sketches")
        yield f"quickdraw.lead-grows.{name}", [wider]
        yield f"quickdraw.sake-beats-lb.{name}", [cell["SAKE", "doodles"] > cell["L_B", "doodles"]]
        yield f"quickdraw.transfers.{name}", [cell["SAKE", "doodles"] > cell["pretrained", "doodles"]]


def _generalised() -> Judged:
    for name, data in SETS.items():
        for claim, metric, high, low in (
            ("sake-beats-lb", "mAP@all", "SAKE", "L_B"),
            ("fewer-seen", "seen@100", "L_B", "SAKE"),
        ):
            where = {"data": data, "metric": metric, "representation": "real"}
            above = paper.GENERALISED.at(method=high, **where) > paper.GENERALISED.at(method=low, **where)
            yield f"generalised.{claim}.{name}", [above]


def _images() -> Judged:
    t, shares = paper.IMAGES, paper.IMAGES.axes["train_share"]
    for name, task in TASKS.items():
        lead = {s: t[task, s, "SAKE"] - t[task, s, "L_B"] for s in shares}
        above = ((lead[s] > 0.0).named(f"SAKE > L_B, {s:.0%} of the images") for s in shares)
        yield f"images.sake-beats-lb.{name}", above
        wider = (lead[shares[0]] > lead[1.0]).named(f"SAKE's lead over L_B: on {shares[0]:.0%} of the images > on all")
        yield f"images.lead-grows.{name}", [wider]


def _teachers() -> Judged:
    for name, task in TASKS.items():
        own, better, worse, shuffled = (paper.TEACHERS[task, who] for who in paper.TEACHERS.axes["teacher"])
        yield f"teachers.better-helps.{name}", rising(worse, own, better)
        yield f"teachers.knows-the-photo.{name}", [own > shuffled]


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by its id, in the order of the items."""
    tables = (_table1, _systems, _table2, _table3, _table4, _table5, _splits, _forgetting)
    others = (_figure3, _figure4, _figure5, _cost, _length, _quickdraw, _generalised, _images, _teachers)
    every = (claim for item in (*tables, *others) for claim in item())
    frame = pd.read_csv(paths.package_data("claims.csv"), dtype=str, keep_default_na=False)
    sentences = {row.pop("claim"): row for row in records(frame)}
    return {
        name: Claim(name, contrasts=with_names(tuple(contrasts)), **sentences[".".join(name.split(".")[:2])])
        for name, contrasts in every
    }
