"""Does knowledge preservation help, and whom? SAKE beside L_B by class, from committed rows."""

from __future__ import annotations

import numpy as np
import pandas as pd

from .. import inputs
from ..semantics import imagenet_wnids, semantic_similarity
from .committed import saved_rows, saved_runs
from .findings import holds
from .rows import Queries, records
from .tables_text import filled, markdown
from .verdicts import bootstrap

COMPARED = ("pretrained", "L_B", "SAKE")
TASKS = ("ZS-SBIR", "ZS-PBIR")
ORDERS = ("similarity", "pretrained")  # columns by which classes are put in groups
GROUPS = ("low", "middle", "high")


def by_class() -> pd.DataFrame:
    """The unseen classes of the committed runs of ``systems``, preset ``small``, by task: means over queries and seeds.

    Returns:
        One row a split, task (``"ZS-SBIR"``, ``"ZS-PBIR"``) and class, of embeddings, with the columns
        ``split``, ``task``, ``class``, ``similarity`` (to the nearest class of ImageNet, equation 5, in [0, 1]),
        mAP@all of ``pretrained``, ``L_B`` and ``SAKE``, and ``gain`` (SAKE less L_B). Empty without committed rows.
    """
    rows, known = saved_rows("systems", "small"), saved_runs("systems", "small")
    rows = rows[rows["method"].isin(COMPARED) & rows["representation"].str.endswith("-d") & rows["run"].isin(known)]
    found = []
    for row in records(rows.drop_duplicates(["run", "task"])):
        run = known[row["run"]]
        if not (classes := run.get("classes")):
            continue
        means = run["precision"][f"{row['task']}/{row['representation']}"]["mean"]
        of_run = {name: row[name] for name in ("dataset", "split", "task", "method")}
        found += [of_run | {"class": c, "ap": ap} for c, ap in zip(classes, means, strict=True)]
    if not found:
        return pd.DataFrame(columns=["split", "task", "class", "similarity", *COMPARED, "gain"])
    frame = pd.DataFrame(found).pivot_table("ap", ["dataset", "split", "task", "class"], "method").reset_index()
    frame["gain"] = frame["SAKE"] - frame["L_B"]
    for dataset, part in frame.groupby("dataset"):
        near = semantic_similarity([*part["class"]], imagenet_wnids(), dataset=str(dataset)).max(axis=1)
        frame.loc[part.index, "similarity"] = near
    return frame


def gain_by(frame: pd.DataFrame, by: str, task: str) -> pd.DataFrame:
    """SAKE's gain in three equal groups of classes.

    Args:
        frame: of :func:`by_class`.
        by: the column that orders the classes, ``"similarity"`` or ``"pretrained"``; equal values in the frame's order.
        task: ``"ZS-SBIR"`` or ``"ZS-PBIR"``.

    Returns:
        One row a group, lowest first, with ``group``, ``classes``, ``first`` and ``last`` (values of ``by``), means of
        ``L_B``, ``SAKE`` and ``gain``, and the ends of a 90 % bootstrap interval of the gain over classes, ``low``
        and ``high``.

    Raises:
        ConfigError: for another column or task.
    """
    inputs.one_of(by, ORDERS, "by")
    inputs.one_of(task, TASKS, "task")
    ordered = frame[frame["task"] == task].sort_values(by, kind="stable", ignore_index=True)
    lines = []
    for group, rows in zip(GROUPS, np.array_split(np.arange(len(ordered)), len(GROUPS)), strict=True):
        part = ordered.iloc[rows]
        labels = np.unique(part["class"], return_inverse=True)[1]  # a class of both splits is one
        low, high = bootstrap(Queries(part["gain"].to_numpy(), labels))
        ends = {"first": part[by].min(), "last": part[by].max()}
        means = {name: part[name].mean() for name in ("L_B", "SAKE", "gain")}
        lines.append({"group": group, "classes": len(part), **ends, **means, "low": low, "high": high})
    return pd.DataFrame(lines)


def preserving_text() -> str:
    """The section of REPRODUCING.md; empty without committed rows."""
    frame = by_class()
    if frame.empty:
        return ""
    every = {(by, task): gain_by(frame, by, task) for by in ORDERS for task in TASKS}
    tables = {key: _table(groups) for key, groups in every.items()}
    return filled("preserving.md", tables=tables, frame=frame, groups=every, holds=holds)


def _table(groups: pd.DataFrame) -> str:
    head = ["classes", "from ... to", "L_B", "SAKE", "gain", "90 % interval over classes"]
    lines = (
        [
            f"{one['classes']}, {one['group']}",
            f"{one['first']:.2f} ... {one['last']:.2f}",
            f"{one['L_B']:.3f}",
            f"{one['SAKE']:.3f}",
            f"{one['gain']:+.3f}",
            f"{one['low']:+.3f} ... {one['high']:+.3f}",
        ]
        for one in groups.to_dict("records")
    )
    return markdown(head, lines)
