"""Every sentence of the paper that can be tested, as contrasts that have to be positive, or small.

Cells are written in the paper's terms; what stands in for its data and networks in a smaller preset is in
``tables_spec.py``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from .contrasts import Cell, Claim, Contrast, above, cell, gain, rising
from .rows import OURS, paper_values, records
from .tables_spec import BACKBONES

# fmt: off


def _others(dataset: str, split: str, binary: bool) -> tuple[Contrast, ...]:
    """SAKE above every other system of Table 1 on one data set, at the same kind of features."""
    ours = cell("SAKE", dataset=dataset, split=split, representation="64-bit" if binary else "512-d")
    return tuple(
        above(f"SAKE > {r['method']} {r['representation']}, {r['metric']}", {**ours, "metric": r["metric"]},
               cell(r["method"], dataset=dataset, split=split, representation=r["representation"], metric=r["metric"]))
        for r in records(paper_values("table1"))
        if r["method"] not in OURS and (r["dataset"], r["split"]) == (dataset, split)
        and r["representation"].endswith("-bit") == binary
    )


def _numbers(item: str) -> Claim:
    ours = [r for r in records(paper_values(item)) if r["method"] in OURS and not math.isnan(r["value"])]
    contrasts = tuple(Contrast(r["source"], ((1.0, r),), minus=r["value"]) for r in ours)
    return Claim(f"{item}.numbers", item, "the printed figures, each within 0.02, in the official code's convention",
                 contrasts, 0.02, absolute=True)


def _table1() -> Iterable[Claim]:
    places = {"tuberlin": ("tuberlin", "zeroshot"), "sketchy": ("sketchy", "zeroshot1"),
              "split16": ("sketchy", "zeroshot2")}
    for name, place in places.items():
        yield Claim(f"table1.beats-others.{name}", "4.2", "SAKE outperforms the other systems by a large margin",
                    _others(*place, binary=False))
        yield Claim(f"table1.beats-others-binary.{name}", "1", "the gains persist with binary codes (ITQ)",
                    _others(*place, binary=True))
    yield Claim(
        "table1.relative-gain", "4.2", "20.9% relative improvement of mAP@all on TU-Berlin with 64 bits",
        (above("SAKE 64-bit > 1.2085 x SEM-PCYC", cell("SAKE", representation="64-bit"), cell("SEM-PCYC"), 1.2085),),
    )
    for name, (dataset, split) in places.items():
        metric = "mAP@200" if split == "zeroshot2" else "mAP@all"
        for features in ("512-d", "64-d", "64-bit"):
            where = {"dataset": dataset, "split": split, "representation": features, "metric": metric}
            yield Claim(
                f"table1.sake-beats-lb.{name}.{features}", "abstract", "preserved knowledge benefits zero-shot SBIR",
                (above(f"SAKE > L_B, {features}", cell("SAKE", **where), cell("L_B", **where)),),
            )


def _table2() -> Iterable[Claim]:
    for name, split in (("tuberlin", "zeroshot"), ("sketchy", "zeroshot1")):
        bits = [f"{b}-bit" for b in (32, 64, 128)]
        ours = [cell("SAKE", dataset=name, split=split, representation=b) for b in bits]
        yield Claim(f"table2.longer-is-better.{name}", "4.2", "longer codes retrieve better", rising(bits, ours))
        yield Claim(
            f"table2.beats-hashing.{name}", "4.2", "SAKE beats ZSH and ZSIH at every length",
            tuple(above(f"SAKE > {m}, {c['representation']}", c, {**cell(m), **_place(c)})
                  for m in ("ZSH", "ZSIH") for c in ours),
        )


def _place(cell: Cell) -> Cell:
    return {k: cell[k] for k in ("dataset", "split", "representation")}


def _splits() -> Iterable[Claim]:
    previous = ("ZSH", "64-bit"), ("ZSIH", "64-bit"), ("EMS", "512-d"), ("EMS", "64-bit"), ("SEM-PCYC", "64-d"), (
        "SEM-PCYC", "64-bit")
    ours = [cell("SAKE", split=f"random{i}", representation="64-bit") for i in range(3)]
    yield Claim(
        "splits.beats-others", "4.2", "on each of three random splits SAKE outperforms the previous models",
        tuple(above(f"{c['split']}: SAKE > {m} {r}", c, cell(m, representation=r))
              for c in ours for m, r in previous),
    )
    yield Claim(
        "splits.sake-beats-lb", "4.2", "the gain of SAKE is not by chance or by split bias",
        tuple(above(f"{c['split']}: SAKE > L_B", c, {**cell("L_B"), **_place(c)}) for c in ours),
    )


def _table3() -> Iterable[Claim]:
    grid = {(a, b): cell("L_B + L_T" if (a, b) == (1, 0) else "SAKE", lambda1=float(a), lambda2=b)
            for a in (0, 1) for b in (0.0, 0.1, 0.3, 1.0, 3.0)}
    alone = (above(f"lambda2 = {b:g} and 0", grid[0, b], grid[0, 0.0]) for b in (0.1, 0.3, 1.0, 3.0))
    yield Claim("table3.semantics-alone", "4.3", "without the teacher, semantics barely affect the results",
                tuple(alone), bound=0.01)
    yield Claim("table3.semantics-boost", "4.3", "with the teacher, semantics give a mild boost",
                (above("lambda2 = 0.3 > 0", grid[1, 0.3], grid[1, 0.0]),))
    peak = (above(f"lambda2 = 0.3 > {b:g}", grid[1, 0.3], grid[1, b]) for b in (0.0, 0.1, 1.0, 3.0))
    yield Claim("table3.peak", "4.3", "with the teacher, the peak is at lambda2 = 0.3", tuple(peak))
    teacher = (above(f"lambda1 = 1 > 0, lambda2 = {b:g}", grid[1, b], grid[0, b]) for b in (0.0, 0.1, 0.3, 1.0, 3.0))
    yield Claim("table3.teacher", "4.3", "the teacher's signal is what helps, at every lambda2", tuple(teacher))


def _table4() -> Iterable[Claim]:
    nets = {b: BACKBONES[b] for b in ("alexnet", "resnet50", "cse_resnet50")}
    c = {(b, m, t): cell(m, backbone=b, task=t) for b in nets for m in OURS for t in ("ZS-SBIR", "ZS-PBIR")}
    tasks = {"sbir": "ZS-SBIR", "pbir": "ZS-PBIR"}
    for short, task in tasks.items():
        yield Claim(f"table4.deeper.{short}", "4.3", "ResNet-50 reaches better performance than AlexNet",
                    tuple(above(m, c["resnet50", m, task], c["alexnet", m, task]) for m in OURS[1:]))
    cse = (above(m, c["cse_resnet50", m, "ZS-SBIR"], c["resnet50", m, "ZS-SBIR"]) for m in OURS[1:])
    yield Claim("table4.cse", "4.3", "the CSE module enhances cross-modal mapping", tuple(cse))
    orders = {
        "teacher-helps": ("the unconstrained teacher's signal improves every backbone", "L_B + L_T", "L_B"),
        "semantics-help": ("semantic awareness brings an extra boost over the teacher's signal", "SAKE", "L_B + L_T"),
        "sake-beats-lb": ("knowledge preservation improves every backbone", "SAKE", "L_B"),
    }
    for name, (says, high, low) in orders.items():
        for short, task in tasks.items():
            contrasts = (above(f"{nets[b]}: {high} > {low}", c[b, high, task], c[b, low, task]) for b in nets)
            yield Claim(f"table4.{name}.{short}", "4.3", says, tuple(contrasts))
    gains = {b: gain(c[b, "L_B + L_T", "ZS-SBIR"], c[b, "L_B", "ZS-SBIR"]) for b in nets}
    lost = {b: gain(c[b, "L_B + L_T", "ZS-SBIR"], c[b, "L_B", "ZS-SBIR"], -1.0) for b in nets}
    more = (Contrast(f"gain of {nets[b]} > gain of {nets[a]}", gains[b] + lost[a])
            for a, b in (("alexnet", "resnet50"), ("resnet50", "cse_resnet50")))
    yield Claim("table4.capacity", "4.3", "the teacher helps larger and more flexible networks most", tuple(more))
    for short, task in tasks.items():
        best = (above(f"CSE-ResNet-50 SAKE > {nets[b]} {m}", c["cse_resnet50", "SAKE", task], c[b, m, task])
                for b in nets for m in OURS if (b, m) != ("cse_resnet50", "SAKE"))
        yield Claim(f"table4.best.{short}", "4.3", "the full model reaches the best retrieval results", tuple(best))
    photos = (above(nets[b], c[b, "pretrained", "ZS-PBIR"], c[b, "pretrained", "ZS-SBIR"]) for b in nets)
    yield Claim("table4.pretrained-photos", "4.3", "pretrained networks retrieve photos reasonably (above sketches)",
                tuple(photos))
    for b in nets:
        yield Claim(f"table4.lb-forgets-photos.{b}", "4.3", "photo retrieval is vulnerable to benchmark training",
                    (above("pretrained > L_B", c[b, "pretrained", "ZS-PBIR"], c[b, "L_B", "ZS-PBIR"]),))
    share = [Contrast(f"{nets[b]}: photo gain > half the sketch gain",
                      gain(c[b, "SAKE", "ZS-PBIR"], c[b, "L_B", "ZS-PBIR"])
                      + gain(c[b, "SAKE", "ZS-SBIR"], c[b, "L_B", "ZS-SBIR"], -0.5)) for b in nets]
    share += [above(f"{nets[b]}: there is a sketch gain", c[b, "SAKE", "ZS-SBIR"], c[b, "L_B", "ZS-SBIR"])
              for b in nets]
    yield Claim("table4.photo-share", "abstract, 4.3", "a large part of the gain comes from better features of photos",
                tuple(share))


def _table5() -> Iterable[Claim]:
    steps = (0.0, 0.1, 0.3, 1.0, 3.0)
    names = [f"{v:g}" for v in steps]

    def line(**where: str) -> list[Cell]:
        return [cell("SAKE", **{**where, "lambda_sake": v}) if v else cell("L_B", **where) for v in steps]

    sbir, outside, inside = line(), *(line(task="ZS-PBIR", classes=k) for k in ("non-IN", "IN"))
    yield Claim("table5.sbir-rises", "4.3", "ZS-SBIR increases up to lambda_SAKE = 1", rising(names[:4], sbir[:4]))
    yield Claim("table5.sbir-peak", "4.3", "ZS-SBIR peaks at lambda_SAKE = 1",
                tuple(above(f"1 > {names[i]}", sbir[3], sbir[i]) for i in (0, 1, 2, 4)))
    yield Claim("table5.in-rises", "4.3", "ZS-PBIR on ImageNet classes keeps rising with lambda_SAKE",
                rising(names, inside))
    yield Claim("table5.non-in-boosted", "4.3", "ZS-PBIR on other classes is gently boosted",
                (above("1 > 0", outside[3], outside[0]), above("3 > 0", outside[4], outside[0])))
    yield Claim("table5.non-in-saturates", "4.3", "ZS-PBIR on other classes saturates faster than on ImageNet's", (
        above("IN: 3 > 1", inside[4], inside[3]),
        Contrast("from 1 to 3", gain(inside[4], inside[3]) + gain(outside[4], outside[3], -1.0)),
        Contrast("from 0 to 3", gain(inside[4], inside[0]) + gain(outside[4], outside[0], -1.0)),
    ))
    yield Claim("table5.both-benefit", "A.2", "ImageNet and other classes both benefit from knowledge preservation",
                (above("IN: 1 > 0", inside[3], inside[0]), above("non-IN: 1 > 0", outside[3], outside[0])))


def _forgetting() -> Iterable[Claim]:
    for backbone in ("alexnet", "se_resnet50"):
        before, lb, sake = (
            cell(m, backbone=backbone, task="probe", metric="top-1", representation="")
            for m in ("pretrained", "L_B", "SAKE")
        )
        yield Claim(f"forgetting.lb-forgets.{backbone}", "1, 3.2, 4.3", "benchmark training loses original knowledge",
                    (above("pretrained > L_B", before, lb),))
        yield Claim(f"forgetting.sake-alleviates.{backbone}", "4.3", "SAKE alleviates forgetting effectively",
                    (above("SAKE > L_B", sake, lb),))
        yield Claim(f"forgetting.sake-still-forgets.{backbone}", "4.3", "SAKE stays below the pretrained network",
                    (above("pretrained > SAKE", before, sake),))


def _figures() -> Iterable[Claim]:
    right, stray = cell("SAKE", metric="P@10"), cell("SAKE", metric="top wrong class@10")
    yield Claim("figure3.mostly-right", "4.4", "in most cases SAKE retrieves photos with the right label",
                (Contrast("P@10 > 0.5", ((1.0, right),), 0.5),))
    yield Claim("figure3.wrong-from-one-class", "4.4", "wrong photos come from another category that looks similar",
                (Contrast("most frequent wrong class among the wrong of the top 10 > 0.5", ((1.0, stray),), 0.5),))
    sake, lb = (cell(m, task="clusters", metric="silhouette") for m in ("SAKE", "L_B"))
    yield Claim("figure4.clusters", "4.4", "SAKE's map of object classes is more clearly clustered",
                (above("silhouette: SAKE > L_B", sake, lb),))
    gap = cell("SAKE", task="clusters", metric="domain silhouette")
    yield Claim("figure4.domain-gap", "4.4", "margins remain between photos and sketches",
                (Contrast("domain silhouette > 0", ((1.0, gap),)),))

    def groups(metric: str) -> list[Cell]:
        everywhere = {"task": "groups", "dataset": "", "split": "", "metric": metric}
        return [cell("SAKE", **everywhere, classes=g) for g in ("low", "medium", "high")]

    levels = ("low", "medium", "high")
    yield Claim("figure5.confidence", "A.2", "SAKE's gain is larger on classes of higher ImageNet confidence",
                rising([f"teacher's confidence at {level} gain" for level in levels], groups("confidence"), True))
    gains = (Contrast(f"{level} gain > 0", ((1.0, c),), over_seeds=True)
             for level, c in zip(levels, groups("gain"), strict=True))
    yield Claim("figure5.every-group-gains", "A.2", "each of the three groups gains", tuple(gains))
    yield Claim("figure5.semantics", "A.3", "SAKE's gain is larger on classes closer to ImageNet in WordNet",
                rising([f"LCH similarity at {level} gain" for level in levels], groups("LCH"), True))


def _cost() -> Iterable[Claim]:
    ratio = cell("SAKE", task="training", metric="time relative to L_B", representation="64-d")
    yield Claim("cost.training-time", "1", "moderate extra computation in training (read as: at most half more)",
                (Contrast("1.5 > SAKE's training time relative to L_B's", ((-1.0, ratio),), -1.5),))
    memory = {**ratio, "metric": "memory relative to L_B"}
    yield Claim("cost.training-memory", "1", "little memory in training (read as: at most half more)",
                (Contrast("1.5 > SAKE's memory in training relative to L_B's", ((-1.0, memory),), -1.5),))
    yield Claim("cost.test-time", "1", "no extra resources in testing (read as: embedding takes the same time)",
                (Contrast("time to embed relative to L_B's", ((1.0, {**ratio, "task": "test"}),), 1.0),), bound=0.1)


def _length() -> Iterable[Claim]:
    def at(method: str, task: str, metric: str = "mAP@all") -> Cell:
        return cell(method, dataset="", split="", task=task, metric=metric)

    tasks, first = ("ZS-SBIR", "ZS-PBIR"), "mAP@all after epoch 1"
    ends = {"mAP@all": "the last epoch", "mAP@all, mean of the later epochs": "mean of the later epochs"}
    yield Claim("length.lb-over-fits", "1", "fine-tuning over-fits the features to the source domain", tuple(
        above(f"{t}: L_B after the first epoch > {name}", at("L_B", t, first), at("L_B", t, m))
        for t in tasks for m, name in ends.items()
    ))
    yield Claim("length.lb-forgets", "1, 3.2", "fine-tuning loses what was learned before (read as: of photos)", tuple(
        above(f"ZS-PBIR: pretrained > L_B, {name}", at("pretrained", "ZS-PBIR"), at("L_B", "ZS-PBIR", m))
        for m, name in ends.items()
    ))
    yield Claim("length.sake-lasts", "abstract, 3.2", "preserved knowledge benefits the classes never seen", tuple(
        above(f"{t}: SAKE > L_B, {name}", at("SAKE", t, m), at("L_B", t, m)) for t in tasks for m, name in ends.items()
    ))


def all_claims() -> dict[str, Claim]:
    """Every claim by its id, in the order of the paper's items; each table ends with its printed figures."""
    claims: list[Claim] = []
    makers = {"table1": _table1, "splits": _splits, "table2": _table2, "table3": _table3, "table4": _table4,
              "table5": _table5, "forgetting": _forgetting}
    for item, make in makers.items():
        claims += [*make(), _numbers(item)]
    claims += [*_figures(), *_cost(), *_length()]
    return {claim.id: claim for claim in claims}
