"""The paper's tables and figures as grids, and the numbers that it prints."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import pandas as pd

from .. import inputs, methods
from ..errors import ConfigError, near_misses
from .grids import MEASURING, OTHER_SYSTEMS, PRINTED, WORDS, Grid, Point, identity

COMPARED = ("pretrained", "L_B", "SAKE")
ABLATION = ("pretrained", "L_B", "L_B + L_T", "SAKE")
PAIR = ("SAKE", "L_B")
BOTH_TASKS = ("ZS-SBIR", "ZS-PBIR")
DATA = ("tuberlin/zeroshot", "sketchy/zeroshot1", "sketchy/zeroshot2")
DATA_NAMES = dict(zip(DATA, ("TU-Berlin Ext.", "Sketchy Ext.", "Sketchy Ext. ([16] split)"), strict=True))
DATA_NAMES["tuberlin/slow"] = "TU-Berlin Ext., a tenth of the rate"
BITS = (32, 64, 128)
CODES = tuple(f"{b}-bit" for b in BITS)
LAMBDAS = (0.0, 0.1, 0.3, 1.0, 3.0)
METRICS = ("mAP@all", "P@100", "mAP@200", "P@200", "P@25")
NETS = ("alexnet", "resnet50", "cse_resnet50")
LEVELS = ("low", "medium", "high")  # of the gain, in Figure 5
LAST, FIRST, LATER = "mAP@all", "mAP@all after epoch 1", "mAP@all, mean of the later epochs"  # of the item length
BEST, BEST_EPOCH = "mAP@all at the best epoch", "best epoch"
DOODLE_METRICS = ("mAP@all", "P@100")
DOODLE_TASKS = tuple(f"{kind}, {side}" for side in ("unseen", "seen") for kind in ("doodles", "sketches"))

TABLE1 = Grid(
    "Table 1: ZS-SBIR, SAKE and nine other systems",
    METRICS,
    data=DATA,
    representation=("512-d", "64-d", "64-bit"),
    method=COMPARED,
)
# Table 1 on equal terms: data, network, start, number of images, frozen features and seed are the same for all methods.
SYSTEMS = Grid(
    "Table 1 on equal terms: all ten systems with the same data, network and budget",
    METRICS[:4],
    data=DATA,
    method=("pretrained", "L_B", *OTHER_SYSTEMS, "SAKE"),
    representation=("real", "64-bit"),
)
GENERALISED = Grid(
    "Beyond the paper: all ten systems with photos of seen classes in the gallery, too",
    ("mAP@all", "seen@25", "seen@100"),
    data=DATA,
    task="GZS-SBIR",
    method=SYSTEMS.axes["method"],
    representation=("real", "64-bit"),
)
# Only SAKE has a run for every length; the baselines share their runs with Table 1. TABLE2_LONG is another reading:
# codes of all lengths from a 512-d embedding. The paper does not say which of the two it used.
TABLE2 = Grid("Table 2: ZS-SBIR mAP@all by the length of the binary code", data=DATA[:2], representation=CODES)
TABLE2_BASELINES = Grid("Table 2, baselines", data=DATA[:2], representation="64-bit", method=("pretrained", "L_B"))
TABLE2_LONG = Grid("Table 2, 512-d to bits", (), data=DATA[:2], representation="512-d")
TABLE3 = Grid(
    "Table 3: ZS-SBIR mAP@all, weight of the teacher (lambda1) and of the semantics (lambda2)",
    lambda1=(0.0, 1.0),
    lambda2=LAMBDAS,
)
TABLE4 = Grid(
    "Table 4: ZS-SBIR and ZS-PBIR mAP@all, backbones and losses, 64-d", task=BOTH_TASKS, backbone=NETS, method=ABLATION
)
TABLE5 = Grid(
    "Table 5: mAP@all by lambda_SAKE, classes inside (IN) and outside (non-IN) the original domain", lambda_sake=LAMBDAS
)
TABLE5_PHOTOS = Grid("Table 5, photos", task="ZS-PBIR", classes=("non-IN", "IN"), lambda_sake=LAMBDAS)
SPLITS = Grid(
    "Section 4.2: three random splits, 64 bits",
    data=tuple(f"tuberlin/random{i}" for i in range(3)),
    representation="64-bit",
    method=COMPARED,
)
FORGETTING = Grid(
    "Sections 1, 3.2, 4.3: accuracy of a linear probe on the original domain",
    ("top-1",),
    task="probe",
    representation="",  # embeddings of any dimension
    backbone=("alexnet", "se_resnet50"),
    method=COMPARED,
)
FORGETTING_SLOW = Grid(
    "Not in the paper: the same at a tenth of the rate",
    ("top-1",),
    data="tuberlin/slow",
    task="probe",
    representation="",
    backbone="alexnet",
    method=("L_B", "SAKE"),
)
FIGURE3 = Grid("Figure 3: the ten nearest photos", ("P@10", "top wrong class@10"), method=PAIR)
FIGURE4 = Grid(
    "Figure 4: t-SNE maps of the unseen classes", ("silhouette", "domain silhouette"), task="clusters", method=PAIR
)
FIGURE5 = Grid(
    "Figure 5: SAKE's gain by similarity to the original domain",
    ("gain", "confidence", "LCH"),
    data=tuple(f"tuberlin/outside{i}" for i in range(3)),
    task="groups",
    classes=LEVELS,
    method=("L_B", "SAKE"),
)
COST = Grid(
    "Section 1: what L_SAKE costs in training",
    ("time relative to L_B", "memory relative to L_B"),
    task=("training", "test"),
    method=PAIR,
)
LENGTH = Grid(
    "Section 1: forgetting over the epochs of a longer training, on classes held out of the seen ones",
    (LAST, FIRST, LATER, BEST, BEST_EPOCH),
    data="tuberlin/long",
    task=BOTH_TASKS,
    method=("L_B", "SAKE", "pretrained"),
)
QUICKDRAW = Grid(
    "Beyond its own data set: doodles of Quick, Draw! search photos of seen and of unseen classes",
    DOODLE_METRICS,
    data=DATA[:2],
    task=DOODLE_TASKS,
    method=COMPARED,
)
IMAGES = Grid(
    "Beyond the paper: fewer training images of each class", task=BOTH_TASKS, train_share=(0.2, 0.4, 1.0), method=PAIR
)
TEACHERS = Grid(
    "Beyond the paper: SAKE with other teachers",
    task=BOTH_TASKS,
    teacher=("own", "better", "worse", "shuffled"),
)
TEACHERS_ALONE = Grid(
    "The teachers on photos of the original domain",
    ("top-1",),
    task="teacher",
    representation="",
    teacher=TEACHERS.axes["teacher"],
)
GRIDS: dict[str, tuple[Grid, ...]] = {
    "table1": (TABLE1,),
    "systems": (SYSTEMS,),
    "table2": (TABLE2, TABLE2_BASELINES, TABLE2_LONG),
    "table3": (TABLE3,),
    "table4": (TABLE4,),
    "table5": (TABLE5, TABLE5_PHOTOS),
    "splits": (SPLITS,),
    "forgetting": (FORGETTING, FORGETTING_SLOW),
    "figure3": (FIGURE3,),
    "figure4": (FIGURE4,),
    "figure5": (FIGURE5,),
    "cost": (COST,),
    "length": (LENGTH,),
    "quickdraw": (QUICKDRAW,),
    "generalised": (GENERALISED,),
    "images": (IMAGES,),
    "teachers": (TEACHERS, TEACHERS_ALONE),
}
RETRIEVAL = ("table1", "systems", "table3", "table4", "splits", "images")  # a run has the same rows in each of these
OUR_TABLES = ("generalised", "images", "teachers")  # tables that the paper does not have
TITLES = {item: grids[0].title for item, grids in GRIDS.items()}


def grids_of(item: str) -> tuple[Grid, ...]:
    """The grids of an item: of one in ``GRIDS``, or of ``module:NAME``, a grid of one's own or a tuple of them."""
    if item in GRIDS:
        return GRIDS[item]
    if ":" not in item:
        raise ConfigError(f"Unknown item {item!r}. {near_misses(item, list(GRIDS))} Or MODULE:NAME of a grid.")
    if (name := file_name(item)) in (*GRIDS, "tuning"):
        raise ConfigError(f"item {item!r}: its files would be those of {name!r}. Give the grid another name.")
    own = methods.of_ones_own(item, "item")
    grids = own if isinstance(own, tuple) else (own,)
    if not grids or not all(isinstance(g, Grid) for g in grids):
        raise ConfigError(f"item {item!r}: is no sakerepro.results.Grid.")
    return grids


def file_name(item: str) -> str:
    """The name of an item's files: the item's own, or ``batch`` for ``ablations:BATCH``."""
    return item.rpartition(":")[2].lower()


def paper_values(item: str | None = None) -> pd.DataFrame:
    """The numbers of the paper (``sakerepro/tables/paper.csv``), of one item if named.

    Raises:
        ConfigError: for an unknown item.
    """
    numbers = ["lambda_sake", "lambda1", "lambda2", "value"]
    frame = PRINTED.assign(**PRINTED[numbers].replace("", "nan").astype(float))
    if item is None:
        return frame
    inputs.one_of(item, tuple(frame["item"].unique()), "item")
    return frame[frame["item"] == item].reset_index(drop=True)


QUOTED = "quoted"  # begins the source of a number that our text of the paper has lost and others quote


@cache
def printed(item: str) -> dict[tuple[Any, ...], tuple[Point, float, str]]:
    """The paper's numbers of an item by :func:`~sakerepro.results.grids.identity`: point, value and source.

    A source begins with ``QUOTED`` if our text of the paper lacks the number. Empty for an item without a table in the
    paper.
    """
    rows = paper_values().query("item == @item").to_dict("records")
    if item == "systems":  # it has the cells of Table 1 except SAKE's 512-d embedding
        left_out = {"method": "SAKE", "representation": "512-d"}.items()
        return {name: one for name, one in printed("table1").items() if not left_out <= one[0].items()}
    numbers = {}
    for row in rows:
        lambdas = {k: row[k] for k in ("lambda_sake", "lambda1", "lambda2") if not math.isnan(row[k])}
        point = {
            **WORDS,
            **MEASURING,
            **lambdas,
            "data": f"{row['dataset']}/{row['split']}",
            "backbone": row["backbone"] or None,
            **{k: row[k] for k in ("method", "representation", "task", "classes", "metric")},
        }
        numbers[identity(point)] = (point, float(row["value"]), str(row["source"]))
    return numbers


@cache
def all_printed() -> dict[tuple[Any, ...], float]:
    """Every number of the paper's tables by :func:`~sakerepro.results.grids.identity`."""
    return {k: v for item in GRIDS for k, (_, v, _) in printed(item).items()}


def systems() -> Iterator[Point]:
    """The numbers of the nine other methods in Table 1, as points of the paper."""
    yield from (point for point, _, _ in printed("table1").values() if point["method"] in OTHER_SYSTEMS)
