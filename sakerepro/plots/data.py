"""The numbers behind the figures of runs: average precision per query, cases chosen by rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from .. import inputs
from ..errors import ConfigError
from ..retrieval import search

if TYPE_CHECKING:
    from ..runs import Run

CASES = ("good", "bad", "mixed")


def query_ap(run: Run) -> np.ndarray:
    """(Q,) average precision of every sketch query (ZS-SBIR, embeddings, standard convention)."""
    return run.embeddings()[f"ap/ZS-SBIR/{run.experiment.dim}-d"]


def pick_queries(ap: np.ndarray, labels: np.ndarray, n: int, cases: str = "mixed") -> np.ndarray:
    """Choose example queries by rule, at most one a class, so that nobody chooses by hand.

    ``"bad"``: the lowest AP, worst first. ``"good"``: the highest, best first. ``"mixed"``: from best to worst in even
    steps of the order of all queries; each step takes the nearest query of a class that has none yet.
    Of equal APs the earlier query comes first.

    Args:
        ap: (Q,) average precision; NaN (no relevant photo) is never chosen.
        labels: (Q,) class ids.
        n: number of queries; at most one a class.

    Returns:
        Positions of the queries, in the order of the rule.
    """
    inputs.one_of(cases, CASES, "cases")
    inputs.whole(n, "n_queries", 1)
    best_first = np.argsort(-ap, kind="stable")
    best_first = best_first[~np.isnan(ap[best_first])]
    n = min(n, len(np.unique(labels[best_first])))
    if cases == "mixed":
        wanted = np.round(np.linspace(0, len(best_first) - 1, n)).astype(int)
        orders = [best_first[np.argsort(np.abs(np.arange(len(best_first)) - w), kind="stable")] for w in wanted]
    else:
        orders = [best_first if cases == "good" else np.lexsort((np.arange(len(ap)), ap))[: len(best_first)]] * n
    chosen: list[int] = []
    for order in orders:
        chosen.append(order[~np.isin(labels[order], labels[chosen])][0])
    return np.array(chosen, dtype=np.int64)


def class_frame(run: Run, other: Run | None = None, k: int = 10) -> pd.DataFrame:
    """One row a class of queries, best first: its precision, its failure case, and its most frequent wrong class.

    Columns: ``class``, ``ap`` (mean), ``low`` and ``high`` (quartiles over its queries), ``worst_query`` (position; the
    case that ``retrieval_grid(cases="bad")`` shows of this class), ``taken_for`` (the most frequent wrong class among
    its top ``k``; empty if there is none), ``taken_share`` (of the top ``k``), and with ``other`` its ``other_ap``.

    Raises:
        ConfigError: if ``other`` was measured on other queries.
    """
    arrays, data = run.embeddings(), run.dataset()
    labels, gallery_labels, ap = arrays["query_labels"], arrays["gallery_labels"], query_ap(run)
    k = min(k, len(gallery_labels))
    top = gallery_labels[search(arrays["query"], arrays["gallery"], k, run.distance)[0]]
    worst = {int(labels[q]): int(q) for q in pick_queries(ap, labels, len(data.unseen), "bad")}
    rows = []
    for label, query in worst.items():
        of_class = labels == label
        wrong = np.bincount(top[of_class].ravel(), minlength=len(data.unseen))
        wrong[label] = 0
        taken = data.unseen[wrong.argmax()] if wrong.any() else "", wrong.max() / (of_class.sum() * k)
        quartiles = np.nanquantile(ap[of_class], [0.25, 0.75])
        rows.append((data.unseen[label], np.nanmean(ap[of_class]), *quartiles, query, *taken))
    frame = pd.DataFrame(rows, columns=["class", "ap", "low", "high", "worst_query", "taken_for", "taken_share"])
    if other:
        other_ap = _same_queries(run, other)
        frame["other_ap"] = [np.nanmean(other_ap[labels == label]) for label in worst]
    return frame.sort_values(["ap", "class"], ascending=[False, True], ignore_index=True)


def _same_queries(run: Run, other: Run) -> np.ndarray:
    """The average precisions of the other run; a ConfigError if its queries are others."""
    differ = [k for k, value in run.experiment.group("data").items() if value != getattr(other.experiment, k)]
    if differ or not np.array_equal(run.embeddings()["query_labels"], other.embeddings()["query_labels"]):
        raise ConfigError(
            f"{run.id} and {other.id} were measured on different queries ({', '.join(differ) or 'labels'} differ). "
            "Compare runs of one data set and split."
        )
    return query_ap(other)
