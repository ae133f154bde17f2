"""What each table of the paper shows, and what takes the place of the paper's data and networks in a smaller preset."""

from __future__ import annotations

from dataclasses import dataclass, field

DATA_LABEL = {
    "mini": "generated miniature world: shows that the pipeline works, not evidence for the paper",
    "small": "25 + 25 images a class of Sketchy; not comparable with the paper's absolute figures",
    "paper": "the paper's data sets at full size",
    "": "No runs: the paper's numbers alone",
}
DATASETS = {
    ("tuberlin", "zeroshot"): "TU-Berlin Ext.",
    ("sketchy", "zeroshot1"): "Sketchy Ext.",
    ("sketchy", "zeroshot2"): "Sketchy Ext. ([16] split)",
}
BACKBONES = {
    "alexnet": "AlexNet",
    "resnet50": "ResNet-50",
    "se_resnet50": "SE-ResNet-50",
    "cse_resnet50": "CSE-ResNet-50",
}
PAPER_SETTING = {"lambda_sake": 1.0, "lambda1": 1.0, "lambda2": 0.3}  # section 4.1, unless stated otherwise
MAIN_BACKBONE = "cse_resnet50"  # section 3.3
ALL = None  # in `extra`: every value that the rows hold


@dataclass(frozen=True)
class TableSpec:
    """One table: a block per ``blocks``, a line per ``lines``, three columns (paper, ours, difference) per metric."""

    title: str
    blocks: tuple[str, ...]
    lines: tuple[str, ...]
    varies: tuple[str, ...] = ()  # the lambdas that the table itself varies; the others are those of the main runs
    extra: dict[str, tuple[str, ...] | None] = field(default_factory=dict)  # lines and metrics that only we measure
    decimals: int = 3


TABLES = {
    "table1": TableSpec(
        "Table 1: ZS-SBIR, SAKE and nine other systems",
        blocks=("dataset", "split"),
        lines=("method", "representation"),
        extra={
            "method": ("pretrained", "L_B", "SAKE"), "representation": ALL,
            "metric": ("mAP@all", "P@100", "mAP@200", "P@200", "P@25"),
        },
    ),
    "table2": TableSpec(
        "Table 2: ZS-SBIR mAP@all by the length of the binary code",
        blocks=("dataset", "split"),
        lines=("method", "representation"),
        extra={"method": ("pretrained", "L_B", "SAKE")},
    ),
    "table3": TableSpec(
        "Table 3: ZS-SBIR mAP@all, weight of the teacher (lambda1) and of the semantics (lambda2)",
        blocks=("dataset", "split"),
        lines=("lambda1", "lambda2"),
        varies=("lambda1", "lambda2"),
    ),
    "table4": TableSpec(
        "Table 4: ZS-SBIR and ZS-PBIR mAP@all, backbones and losses, 64-d",
        blocks=("task",),
        lines=("backbone", "method"),
        extra={"backbone": ALL},
    ),
    "table5": TableSpec(
        "Table 5: mAP@all by lambda_SAKE, classes inside (IN) and outside (non-IN) the original domain",
        blocks=("task", "classes"),
        lines=("lambda_sake",),
        varies=("lambda_sake",),
    ),
    "splits": TableSpec(
        "Section 4.2: three random splits, 64 bits",
        blocks=("task",),
        lines=("split", "method"),
        extra={"method": ("pretrained", "L_B", "SAKE")},
    ),
    "forgetting": TableSpec(
        "Sections 1, 3.2, 4.3: accuracy of a linear probe on the original domain",
        blocks=("task",),
        lines=("backbone", "method"),
        extra={"backbone": ALL},
        decimals=4,
    ),
}

_Pair = tuple[str, str]
_SUBSET = "sketchy-125x25"
# What stands in for (dataset, split): candidates, best first. Tables 1 and 2 have a column for every data set of their
# own; the other items look at TU-Berlin alone, so a preset without it shows the data set that it has.
DATA_STAND_INS: dict[str, dict[_Pair, tuple[_Pair, ...]]] = {
    "mini": {
        ("tuberlin", "zeroshot"): (("mini", "zeroshot"),),
        **{("tuberlin", f"random{i}"): (("mini", f"random{i}"),) for i in range(3)},
    },
    "small": {
        ("sketchy", "zeroshot1"): ((_SUBSET, "zeroshot1"),),
        ("sketchy", "zeroshot2"): ((_SUBSET, "zeroshot2"),),
        **{("tuberlin", f"random{i}"): ((_SUBSET, f"random{i}"),) for i in range(3)},
    },
}
TUBERLIN_STAND_INS: dict[str, tuple[_Pair, ...]] = {
    "small": ((_SUBSET, "zeroshot1"), (_SUBSET, "zeroshot2")),
}
BACKBONE_STAND_INS: dict[str, dict[str, tuple[str, ...]]] = {
    "mini": {
        "alexnet": ("alexnet_mini",), "resnet50": ("resnet_mini",), "cse_resnet50": ("cse_resnet_mini",),
        "se_resnet50": ("se_resnet_mini", "cse_resnet_mini"),
    },
    "small": {
        "resnet50": ("mobilenetv2_100",), "cse_resnet50": ("cse_mobilenetv2_100",),
        "se_resnet50": ("mobilenetv2_100", "cse_mobilenetv2_100"),
    },
    "paper": {"se_resnet50": ("se_resnet50", "cse_resnet50")},
}  # fmt: skip
