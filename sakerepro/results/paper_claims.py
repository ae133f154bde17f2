"""Every sentence of the paper that can be tested, as what has to hold between cells of its tables and figures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from .grids import NETWORKS, OTHER_SYSTEMS, Contrast, Grid, Selection, Sum, identity, rising, with_names
from .paper import (
    BOTH_TASKS,
    CODES,
    COST,
    DATA,
    FIGURE3,
    FIGURE4,
    FIGURE5,
    FIRST,
    FORGETTING,
    GRIDS,
    LAMBDAS,
    LAST,
    LATER,
    LENGTH,
    LEVELS,
    NETS,
    SPLITS,
    SYSTEMS,
    TABLE1,
    TABLE2,
    TABLE3,
    TABLE4,
    TABLE5,
    TABLE5_PHOTOS,
    printed,
    systems,
)


@dataclass(frozen=True)
class Claim:
    """One sentence. It holds if every contrast does."""

    id: str
    section: str
    says: str
    contrasts: tuple[Contrast, ...]
    absolute: bool = field(default=False, kw_only=True)  # about the paper's own figures, so it needs the paper's data
    over_seeds: bool = field(default=False, kw_only=True)  # what is asked does not change with the seed

    def __post_init__(self) -> None:
        object.__setattr__(self, "contrasts", with_names(tuple(self.contrasts)))

    @property
    def item(self) -> str:
        """The table, figure or text that the claim belongs to."""
        return self.id.partition(".")[0]


_SYSTEMS = Grid(
    "The nine other systems",
    ("mAP@all", "P@100", "mAP@200", "P@200"),
    data=DATA,
    method=tuple(OTHER_SYSTEMS),
    representation=tuple(dict.fromkeys(["64-d", *CODES, *(p["representation"] for p in systems())])),
)


def _others(data: str, binary: bool) -> Iterator[Contrast]:
    """SAKE above every number of another system in Table 1 on one data set, at the same kind of features."""
    for point in systems():
        features = point["representation"]
        if point["data"] == data and features.endswith("-bit") == binary:
            where = {"data": data, "metric": point["metric"]}
            ours = TABLE1.at(method="SAKE", representation="64-bit" if binary else "512-d", **where)
            yield ours > _SYSTEMS.at(method=point["method"], representation=features, **where)


def _numbers(item: str) -> Claim:
    """The printed figures of the methods that are trained here."""
    found, points = printed(item), {identity(p): (g, p) for g in GRIDS[item] for p in g.points() if p["metric"]}
    contrasts = [
        (abs(Sum(((1.0, Selection(*points[name])),), value)) <= 0.02).named(source)
        for name, (point, value, source) in found.items()
        if point["method"] not in OTHER_SYSTEMS and not math.isnan(value)
    ]
    says = "the printed figures, each within 0.02, in the official code's convention"
    return Claim(f"{item}.numbers", item, says, tuple(contrasts), absolute=True)


def _table1() -> Iterator[Claim]:
    short = dict(zip(("tuberlin", "sketchy", "split16"), DATA, strict=True))
    for name, data in short.items():
        says = "SAKE outperforms the other systems by a large margin"
        yield Claim(f"table1.beats-others.{name}", "4.2", says, tuple(_others(data, binary=False)))
        says = "the gains persist with binary codes (ITQ)"
        yield Claim(f"table1.beats-others-binary.{name}", "1", says, tuple(_others(data, binary=True)))
    sake = TABLE1.at(method="SAKE", data=DATA[0], representation="64-bit", metric="mAP@all")
    best = _SYSTEMS.at(method="SEM-PCYC", data=DATA[0], representation="64-d", metric="mAP@all")
    says = "20.9% relative improvement of mAP@all on TU-Berlin with 64 bits"
    yield Claim("table1.relative-gain", "4.2", says, (sake > 1.2085 * best,))
    for name, data in short.items():
        metric = "mAP@200" if name == "split16" else "mAP@all"
        for features in TABLE1.axes["representation"]:
            sake, lb = (TABLE1.at(method=m, data=data, representation=features, metric=metric) for m in ("SAKE", "L_B"))
            says = "preserved knowledge benefits zero-shot SBIR"
            yield Claim(f"table1.sake-beats-lb.{name}.{features}", "abstract", says, (sake > lb,))


def _systems() -> Iterator[Claim]:
    names = zip(("tuberlin", "sketchy", "split16"), DATA, strict=True)
    for (name, data), system in itertools.product(names, OTHER_SYSTEMS):
        for metric in ("mAP@200", "P@200") if name == "split16" else ("mAP@all", "P@100"):

            def at(method: str, features: str, data: str = data, metric: str = metric) -> Sum:
                return SYSTEMS.at(method=method, data=data, representation=features, metric=metric)

            above = tuple(at("SAKE", kind) > at(system, kind) for kind in SYSTEMS.axes["representation"])
            says = f"SAKE outperforms {system}; here with everything else equal"
            yield Claim(f"systems.sake-beats-{system.lower()}.{name}.{metric}", "4.2", says, above)


def _table2() -> Iterator[Claim]:
    for data in TABLE2.axes["data"]:
        name, ours = data.partition("/")[0], {bits: TABLE2[data, bits] for bits in CODES}
        yield Claim(f"table2.longer-is-better.{name}", "4.2", "longer codes retrieve better", rising(*ours.values()))
        above = tuple(
            ours[bits] > _SYSTEMS.at(method=m, data=data, representation=bits, metric="mAP@all")
            for m in ("ZSH", "ZSIH")
            for bits in CODES
        )
        yield Claim(f"table2.beats-hashing.{name}", "4.2", "SAKE beats ZSH and ZSIH at every length", above)


def _splits() -> Iterator[Claim]:
    previous = [("ZSH", "64-bit"), ("ZSIH", "64-bit"), ("EMS", "512-d"), ("EMS", "64-bit")]
    previous += [("SEM-PCYC", "64-d"), ("SEM-PCYC", "64-bit")]
    above = tuple(
        (SPLITS[data, "SAKE"] > _SYSTEMS.at(method=m, representation=r, data=DATA[0], metric="mAP@all")).named(
            f"{data.partition('/')[2]}: SAKE > {m} {r}"
        )
        for data in SPLITS.axes["data"]
        for m, r in previous
    )
    says = "on each of three random splits SAKE outperforms the previous models"
    yield Claim("splits.beats-others", "4.2", says, above)
    gains = tuple(SPLITS[data, "SAKE"] > SPLITS[data, "L_B"] for data in SPLITS.axes["data"])
    yield Claim("splits.sake-beats-lb", "4.2", "the gain of SAKE is not by chance or by split bias", gains)


def _table3() -> Iterator[Claim]:
    t, more = TABLE3, LAMBDAS[1:]
    says = "without the teacher, semantics barely affect the results"
    yield Claim("table3.semantics-alone", "4.3", says, tuple(abs(t[0, b] - t[0, 0]) <= 0.01 for b in more))
    yield Claim(
        "table3.semantics-boost", "4.3", "with the teacher, semantics give a mild boost", (t[1, 0.3] > t[1, 0],)
    )
    peak = tuple(t[1, 0.3] > t[1, b] for b in LAMBDAS if b != 0.3)
    yield Claim("table3.peak", "4.3", "with the teacher, the peak is at lambda2 = 0.3", peak)
    says = "the teacher's signal is what helps, at every lambda2"
    yield Claim("table3.teacher", "4.3", says, tuple(t[1, b] > t[0, b] for b in LAMBDAS))


def _table4() -> Iterator[Claim]:
    t, (sbir, _) = TABLE4, BOTH_TASKS
    short = dict(zip(("sbir", "pbir"), BOTH_TASKS, strict=True))
    trained = t.axes["method"][1:]
    alexnet, resnet, cse = NETS
    for name, task in short.items():
        deeper = tuple(t[task, resnet, m] > t[task, alexnet, m] for m in trained)
        yield Claim(f"table4.deeper.{name}", "4.3", "ResNet-50 reaches better performance than AlexNet", deeper)
    gates = tuple(t[sbir, cse, m] > t[sbir, resnet, m] for m in trained)
    yield Claim("table4.cse", "4.3", "the CSE module enhances cross-modal mapping", gates)
    orders = {
        "teacher-helps": ("the unconstrained teacher's signal improves every backbone", "L_B + L_T", "L_B"),
        "semantics-help": ("semantic awareness brings an extra boost over the teacher's signal", "SAKE", "L_B + L_T"),
        "sake-beats-lb": ("knowledge preservation improves every backbone", "SAKE", "L_B"),
    }
    for (order, (says, high, low)), (name, task) in itertools.product(orders.items(), short.items()):
        yield Claim(f"table4.{order}.{name}", "4.3", says, tuple(t[task, n, high] > t[task, n, low] for n in NETS))

    def gain(task: str, net: str, method: str) -> Sum:
        return t[task, net, method] - t[task, net, "L_B"]

    capacity = tuple(
        (gain(sbir, large, "L_B + L_T") > gain(sbir, small, "L_B + L_T")).named(
            f"gain of {NETWORKS[large]} > gain of {NETWORKS[small]}"
        )
        for small, large in itertools.pairwise(NETS)
    )
    yield Claim("table4.capacity", "4.3", "the teacher helps larger and more flexible networks most", capacity)
    for name, task in short.items():
        rest = [(n, m) for n in NETS for m in t.axes["method"] if (n, m) != (cse, "SAKE")]
        best = tuple(t[task, cse, "SAKE"] > t[task, n, m] for n, m in rest)
        yield Claim(f"table4.best.{name}", "4.3", "the full model reaches the best retrieval results", best)
    photos = tuple(t["ZS-PBIR", n, "pretrained"] > t[sbir, n, "pretrained"] for n in NETS)
    says = "pretrained networks retrieve photos reasonably (above sketches)"
    yield Claim("table4.pretrained-photos", "4.3", says, photos)
    for n in NETS:
        forgets = t["ZS-PBIR", n, "pretrained"] > t["ZS-PBIR", n, "L_B"]
        says = "photo retrieval is vulnerable to benchmark training"
        yield Claim(f"table4.lb-forgets-photos.{n}", "4.3", says, (forgets,))
    share = [
        (gain("ZS-PBIR", n, "SAKE") > 0.5 * gain(sbir, n, "SAKE")).named(
            f"{NETWORKS[n]}: photo gain > half the sketch gain"
        )
        for n in NETS
    ]
    share += [(gain(sbir, n, "SAKE") > 0.0).named(f"{NETWORKS[n]}: there is a sketch gain") for n in NETS]
    says = "a large part of the gain comes from better features of photos"
    yield Claim("table4.photo-share", "abstract, 4.3", says, tuple(share))


def _table5() -> Iterator[Claim]:
    sbir = {v: TABLE5[v] for v in LAMBDAS}
    outside, inside = ({v: TABLE5_PHOTOS[kind, v] for v in LAMBDAS} for kind in ("non-IN", "IN"))
    up = rising(*(sbir[v] for v in LAMBDAS[:4]))
    yield Claim("table5.sbir-rises", "4.3", "ZS-SBIR increases up to lambda_SAKE = 1", up)
    peak = tuple(sbir[1] > sbir[v] for v in LAMBDAS if v != 1)
    yield Claim("table5.sbir-peak", "4.3", "ZS-SBIR peaks at lambda_SAKE = 1", peak)
    says = "ZS-PBIR on ImageNet classes keeps rising with lambda_SAKE"
    yield Claim("table5.in-rises", "4.3", says, rising(*inside.values()))
    boosted = (outside[1] > outside[0], outside[3] > outside[0])
    yield Claim("table5.non-in-boosted", "4.3", "ZS-PBIR on other classes is gently boosted", boosted)
    saturates = (
        inside[3] > inside[1],
        (inside[3] - inside[1] > outside[3] - outside[1]).named("from 1 to 3"),
        (inside[3] - inside[0] > outside[3] - outside[0]).named("from 0 to 3"),
    )
    says = "ZS-PBIR on other classes saturates faster than on ImageNet's"
    yield Claim("table5.non-in-saturates", "4.3", says, saturates)
    both = (inside[1] > inside[0], outside[1] > outside[0])
    says = "ImageNet and other classes both benefit from knowledge preservation"
    yield Claim("table5.both-benefit", "A.2", says, both)


def _forgetting() -> Iterator[Claim]:
    for net in FORGETTING.axes["backbone"]:
        before, lb, sake = (FORGETTING[net, m] for m in FORGETTING.axes["method"])
        says = "benchmark training loses original knowledge"
        yield Claim(f"forgetting.lb-forgets.{net}", "1, 3.2, 4.3", says, (before > lb,))
        yield Claim(f"forgetting.sake-alleviates.{net}", "4.3", "SAKE alleviates forgetting effectively", (sake > lb,))
        says = "SAKE stays below the pretrained network"
        yield Claim(f"forgetting.sake-still-forgets.{net}", "4.3", says, (before > sake,))


def _figures() -> Iterator[Claim]:
    right, stray = (FIGURE3.at(method="SAKE", metric=m) for m in FIGURE3.axes["metric"])
    says = "in most cases SAKE retrieves photos with the right label"
    yield Claim("figure3.mostly-right", "4.4", says, ((right > 0.5).named("P@10 > 0.5"),))
    name = "most frequent wrong class among the wrong of the top 10 > 0.5"
    says = "wrong photos come from another category that looks similar"
    yield Claim("figure3.wrong-from-one-class", "4.4", says, ((stray > 0.5).named(name),))
    clusters = FIGURE4.at(method="SAKE", metric="silhouette") > FIGURE4.at(method="L_B", metric="silhouette")
    yield Claim("figure4.clusters", "4.4", "SAKE's map of object classes is more clearly clustered", (clusters,))
    gap = (FIGURE4.at(method="SAKE", metric="domain silhouette") > 0.0).named("domain silhouette > 0")
    yield Claim("figure4.domain-gap", "4.4", "margins remain between photos and sketches", (gap,))

    def groups(metric: str) -> list[Sum]:
        return [FIGURE5.at(method="SAKE", classes=level, metric=metric) for level in LEVELS]

    says = "SAKE's gain is larger on classes of higher ImageNet confidence"
    yield Claim("figure5.confidence", "A.2", says, rising(*groups("confidence")), over_seeds=True)
    gains = tuple((g > 0.0).named(f"{level} gain > 0") for level, g in zip(LEVELS, groups("gain"), strict=True))
    yield Claim("figure5.every-group-gains", "A.2", "each of the three groups gains", gains, over_seeds=True)
    says = "SAKE's gain is larger on classes closer to ImageNet in WordNet"
    yield Claim("figure5.semantics", "A.3", says, rising(*groups("LCH")), over_seeds=True)


def _cost() -> Iterator[Claim]:
    def ratio(task: str, metric: str) -> Sum:
        return COST.at(method="SAKE", task=task, metric=f"{metric} relative to L_B")

    time = (1.5 > ratio("training", "time")).named("1.5 > SAKE's training time relative to L_B's")
    says = "moderate extra computation in training (read as: at most half more)"
    yield Claim("cost.training-time", "1", says, (time,))
    memory = (1.5 > ratio("training", "memory")).named("1.5 > SAKE's memory in training relative to L_B's")
    says = "little memory in training (read as: at most half more)"
    yield Claim("cost.training-memory", "1", says, (memory,))
    test = (abs(ratio("test", "time") - 1.0) <= 0.1).named("time to embed relative to L_B's")
    says = "no extra resources in testing (read as: embedding takes the same time)"
    yield Claim("cost.test-time", "1", says, (test,))


def _length() -> Iterator[Claim]:
    def at(method: str, task: str, metric: str = LAST) -> Sum:
        return LENGTH.at(method=method, task=task, metric=metric)

    ends = {LAST: "the last epoch", LATER: "mean of the later epochs"}
    over_fits = tuple(
        (at("L_B", t, FIRST) > at("L_B", t, m)).named(f"{t}: L_B after the first epoch > {name}")
        for t in BOTH_TASKS
        for m, name in ends.items()
    )
    says = "fine-tuning over-fits the features to the source domain"
    yield Claim("length.lb-over-fits", "1", says, over_fits)
    forgets = tuple(
        (at("pretrained", "ZS-PBIR") > at("L_B", "ZS-PBIR", m)).named(f"ZS-PBIR: pretrained > L_B, {name}")
        for m, name in ends.items()
    )
    says = "fine-tuning loses what was learned before (read as: of photos)"
    yield Claim("length.lb-forgets", "1, 3.2", says, forgets)
    lasts = tuple(
        (at("SAKE", t, m) > at("L_B", t, m)).named(f"{t}: SAKE > L_B, {name}")
        for t in BOTH_TASKS
        for m, name in ends.items()
    )
    says = "preserved knowledge benefits the classes never seen"
    yield Claim("length.sake-lasts", "abstract, 3.2", says, lasts)


@cache
def all_claims() -> dict[str, Claim]:
    """Every claim by its id, in the order of the paper's items; each table ends with its printed figures."""
    tables: dict[str, Iterable[Claim]] = {
        "table1": _table1(),
        "splits": _splits(),
        "table2": _table2(),
        "table3": _table3(),
        "table4": _table4(),
        "table5": _table5(),
        "forgetting": _forgetting(),
    }
    claims = [c for item, found in tables.items() for c in (*found, _numbers(item))]
    claims += _systems()
    return {c.id: c for c in (*claims, *_figures(), *_cost(), *_length())}
