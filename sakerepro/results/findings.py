"""Fill templates with committed rows: docs/findings.md, sections of README.md, choices.md and REPRODUCING.md.

A template checks with ``holds`` what its sentences assume; if a new row contradicts them, mend the template.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .. import inputs, paths
from ..errors import DataError
from ..experiment import preset as experiment
from ..files import write_text
from ..metrics import CONVENTIONS, retrieval_metrics
from ..runs import Run, named_run
from ..semantics import imagenet_wnids, semantic_similarity
from .committed import saved_claims, saved_rows, saved_runs
from .paper import BOTH_TASKS, COMPARED, LEVELS
from .rows import Queries, records
from .tables import comparison
from .tables_text import filled
from .tuning import NUMBERS, read_trials, tuning_file
from .verdicts import bootstrap, t_interval

FROM, TO = "<!-- from rows -->\n", "<!-- to here -->\n"
METRICS = ("mAP@all", "mAP@100", "mAP@200", "P@100")
FROM_ITEMS = ("table1", "systems", "quickdraw")  # items whose rows the sentences use
TABLES = ("generalised", "forgetting", "splits", "table3", "table4", "table5")  # items whose cells they quote
JUDGED = ("table1", "quickdraw", "forgetting", "table3", "table4", "table5")  # items whose verdicts they quote
OTHER = "squeezenet1_0"  # they quote trials of this network beside those of the preset's own
ORDERS = ("similarity", "pretrained")  # columns that put classes in groups


def write_findings(root: Path | None = None) -> list[Path]:
    """Write ``docs/findings.md``, the README's section and that of ``results/small/choices.md`` anew; return the files.

    Outside a checkout, write nothing.

    Raises:
        DataError: if a row that a sentence needs is missing, or a sentence no longer holds.
    """
    small = root / "results" / "small" if root else paths.results("small")
    root = root or paths.root()
    readme, choices = root / "README.md", small / "choices.md"
    if not readme.is_file():
        return []
    facts = _facts()
    texts = {root / "docs" / "findings.md": filled("findings.md", **facts)}
    for file, template in ((readme, "real_data.md"), (choices, "trials.md")):
        before, begin, rest = file.read_text(encoding="utf-8").partition(FROM)
        _, end, after = rest.partition(TO)
        if not (begin and end):
            raise DataError(f"{paths.shown(file)}: has no {FROM.strip()} and {TO.strip()}. Put a line of each back.")
        texts[file] = before + begin + filled(template, **facts) + end + after
    for file, text in texts.items():
        write_text(file, text)
    return [*texts]


def conventions(run: Run) -> pd.DataFrame:
    """The same ranking under three conventions, from sketch to photo: a row a convention, a column a metric."""
    x = run.embeddings()
    arrays = x["query"], x["gallery"], x["query_labels"], x["gallery_labels"]
    summaries = {c: retrieval_metrics(*arrays, convention=c, distance=run.distance).summary() for c in CONVENTIONS}
    return pd.DataFrame(summaries).T[list(METRICS)].rename_axis("convention")


def lead(frame: pd.DataFrame, one: str, other: str, number: str = "value") -> pd.Series:
    """``mean``, ``low``, ``high`` and ``n`` of a method's lead over another: pairs of split and seed, 90 % t-interval.

    Args:
        frame: a row a method, split and seed, with a column ``number``; at least two pairs.
    """
    wide = frame.pivot(index=["split", "seed"], columns="method", values=number)
    differences = (wide[one] - wide[other]).dropna().to_numpy()
    ends = t_interval(differences)
    return pd.Series([differences.mean(), *ends, len(differences)], ["mean", "low", "high", "n"])


def _facts() -> dict[str, Any]:
    rows = pd.concat([saved_rows(item, "small") for item in FROM_ITEMS]).drop_duplicates()
    by_item = {item: saved_rows(item, "small") for item in TABLES}

    def value(
        method: str,
        codes: bool = False,
        task: str = "ZS-SBIR",
        split: str = "zeroshot1",
        backbone: str = "",
        settings: str = "",
        item: str = "",
    ) -> float:
        """Mean over seeds of mAP@all; with a ``backbone``, from the rows of ``forgetting``."""
        part = by_item[item or "forgetting"] if item or backbone else rows
        part = part.query("backbone == @backbone and settings == @settings") if backbone else part
        part = part.query("method == @method and task == @task and split == @split")
        part = part.query("metric == 'mAP@all' and convention == 'standard'")
        part = part[part["representation"].str.endswith("-bit") == codes]
        if part.empty:
            raise DataError(
                f"results/small: no row of {method}, {task}, {split} there; `make {' '.join(FROM_ITEMS)} PRESET=small`."
            )
        return float(part["value"].mean())

    def seeds(method: str, split: str = "zeroshot1") -> int:
        """Number of seeds."""
        return rows.query("method == @method and split == @split")["seed"].nunique()

    trials = read_trials(tuning_file("small"))
    trials = trials[trials["method"].isin(("L_B", "SAKE"))]
    trials = trials[trials["data"].str.startswith(f"{experiment('small').dataset}/")].copy()
    parts = trials["settings"].str.extract("^(?:backbone=(?P<network>[^,]*)(?:, )?)?(?P<settings>.*)").fillna("")
    trials[["network", "settings"]] = parts
    for name in NUMBERS:
        trials[name] = pd.to_numeric(trials[name], errors="coerce")  # NaN: the training failed
    trials["split"] = trials["data"].str.split("/").str[-1]
    held_out = trials["split"].str.contains("-pseudo")
    if not {"", OTHER} <= {*trials["network"][held_out]} & {*trials["network"][~held_out]}:
        file = paths.shown(tuning_file("small"))
        raise DataError(f"{file}: lacks trials of L_B and SAKE. Restore it, or make them with `sakerepro tune`.")
    confirmed = trials[~held_out].sort_values(["split", "method", "seed"])
    of_seeds = {**dict.fromkeys(NUMBERS, "mean"), "settings": "first", "seed": "nunique"}
    hidden = by_item["generalised"].query("split == 'zeroshot2' and task == 'GZS-SBIR' and metric == 'mAP@all'")
    verdicts = pd.concat(saved_claims(item, "small")["verdict"] for item in JUDGED).to_dict()

    def verdict(claim: str) -> str:
        if claim not in verdicts:
            item = claim.partition(".")[0]
            raise DataError(f"results/small: no verdict of {claim} there; `make {item} PRESET=small` makes it.")
        return str(verdicts[claim])

    return {
        **{item: comparison(item, frame).cells for item, frame in by_item.items()},
        "v": value,
        "verdict": verdict,
        "n": seeds,
        "lead": lead,
        "hidden": hidden[hidden["representation"].str.endswith("-d")],
        "trials": dict(list(trials[held_out & trials["seed"].eq(0)].groupby("network"))),
        "confirmed": dict(list(confirmed.groupby("network"))),
        "means": {k: part.groupby(["method", "split"]).agg(of_seeds) for k, part in confirmed.groupby("network")},
        "conventions": conventions(named_run()),
        "epochs": _epochs(),
    }


def by_class() -> pd.DataFrame:
    """The unseen classes of the committed runs of ``table1``, preset ``small``, by task: means over queries and seeds.

    Returns:
        One row a split, task (``"ZS-SBIR"``, ``"ZS-PBIR"``) and class, of embeddings, with the columns
        ``split``, ``task``, ``class``, ``similarity`` (to the nearest class of ImageNet, equation 5, in [0, 1]),
        mAP@all of ``pretrained``, ``L_B`` and ``SAKE``, and ``gain`` (SAKE less L_B). Empty without committed rows.
    """
    rows, lines = saved_rows("table1", "small"), saved_runs("table1", "small")
    rows = rows[rows["method"].isin(COMPARED) & rows["representation"].str.endswith("-d") & rows["run"].isin(lines)]
    class_rows = []
    for row in records(rows.drop_duplicates(["run", "task"])):
        run = lines[row["run"]]
        if not (classes := run.get("classes")):
            continue
        means = run["precision"][f"{row['task']}/{row['representation']}"]["mean"]
        of_run = {name: row[name] for name in ("dataset", "split", "task", "method")}
        class_rows += [of_run | {"class": c, "ap": ap} for c, ap in zip(classes, means, strict=True)]
    if not class_rows:
        return pd.DataFrame(columns=["split", "task", "class", "similarity", *COMPARED, "gain"])
    frame = pd.DataFrame(class_rows).pivot_table("ap", ["dataset", "split", "task", "class"], "method").reset_index()
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
    inputs.one_of(task, BOTH_TASKS, "task")
    ordered = frame[frame["task"] == task].sort_values(by, kind="stable", ignore_index=True)
    lines = []
    for group, rows in zip(LEVELS, np.array_split(np.arange(len(ordered)), len(LEVELS)), strict=True):
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
    groups = {(by, task): gain_by(frame, by, task) for by in ORDERS for task in BOTH_TASKS}
    cells = {item: comparison(item, saved_rows(item, "small")).cells for item in ("images", "teachers")}
    return filled("preserving.md", frame=frame, groups=groups, epochs=_epochs(), **cells)


def _epochs() -> pd.Series:
    """mAP@all over a longer training by (task, method, metric); empty without committed rows of ``length``."""
    rows = saved_rows("length", "small").query("representation == '64-d' and convention == 'standard'")
    return rows.set_index(["task", "method", "metric"])["value"]
