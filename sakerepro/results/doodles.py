"""Doodles of Quick, Draw! search a run's photos, seen and unseen classes separately.

The data set's own sketches of the same classes are measured beside them: query sketches of unseen classes, validation
sketches of seen classes (not trained on). Sketches of unseen classes search the gallery photos of all unseen classes,
sketches of seen classes the training photos of all seen classes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from ..data.dataset import Dataset, ImageSet
from ..data.registry import load_drawings
from ..embedding import embed
from ..errors import ConfigError
from ..files import digest
from ..metrics import retrieval_metrics
from ..runs import Run
from .kept import checksum, kept
from .paper import DOODLE_METRICS, DOODLE_TASKS
from .rows import Queries, class_means, one_setting
from .verdicts import bootstrap

SETTINGS = ["preset", "backbone", "representation", "settings"]  # columns that a mean over seeds must not mix
ENDS = ("low end", "high end")  # of a 90 % bootstrap interval over classes: rows such as "mAP@all, low end"


def doodle_queries(run: Run, side: str) -> dict[str, ImageSet]:
    """Doodles and sketches of the classes of one side that have both; labels index ``unseen`` or ``seen``."""
    e, data = run.experiment, run.dataset()
    classes, sketches = (data.unseen, data.query) if side == "unseen" else (data.seen, data.val_sketch)
    doodles = load_drawings(e.dataset, classes, e.size)
    shared = np.intersect1d(doodles.labels, sketches.labels)
    return {k: s.select(np.isin(s.labels, shared)) for k, s in (("doodles", doodles), ("sketches", sketches))}


def measured_doodles(run: Run) -> dict[str, dict[str, Any]]:
    """By task (``"doodles, unseen"`` ...): each metric with the ends of its interval, and average precision by class.

    Kept beside the runs; measured once for the same weights and drawings. A task without queries is left out.

    Raises:
        DataError: if the drawings are not here.
    """
    sets = {f"{kind}, {side}": s for side in ("unseen", "seen") for kind, s in doodle_queries(run, side).items()}
    sets = {task: images for task, images in sets.items() if len(images)}
    digests = {task: digest(s.take(range(len(s))).tobytes() + s.labels.tobytes()).hex() for task, s in sets.items()}
    inputs = {"weights": checksum(run), "queries": digests}

    def compute() -> dict[str, dict[str, Any]]:
        network, arrays = run.network(), run.embeddings()
        by_task: dict[str, dict[str, Any]] = {}
        for task, images in sets.items():
            x, photos = embed(network, images, run.experiment.size), "gallery" if "unseen" in task else "train_photo"
            labels = images.labels, arrays[f"{photos}_labels"]
            m = retrieval_metrics(x, arrays[photos], *labels, ks=(100,), distance=run.distance)
            values = dict(zip(DOODLE_METRICS, (m.ap, m.precision_at[100]), strict=True))
            by_task[task] = {k: [float(v.mean()), *bootstrap(Queries(v, images.labels))] for k, v in values.items()}
            by_task[task]["by class"] = class_means(Queries(m.ap, images.labels))
        return by_task

    return kept("doodles", run.id, inputs, compute)


def doodle_frame(rows: pd.DataFrame) -> pd.DataFrame:
    """One line a number: dataset, split, side, kind, method, metric, value, low, high; means over the seeds.

    Args:
        rows: as from ``item_rows("quickdraw", runs)``.

    Raises:
        ConfigError: if no row is of a doodle; for rows of several settings.
    """
    rows = rows[rows["task"].isin(DOODLE_TASKS)]
    if rows.empty:
        raise ConfigError('None of the rows is of doodles. `sr.item_rows("quickdraw", runs)` gives some.')
    one_setting((" ".join(filter(None, row)) for row in rows[SETTINGS].itertuples(index=False, name=None)), "Rows")
    keys = ["dataset", "split", "task", "method"]
    means = rows.groupby([*keys, "metric"], sort=False)["value"].mean().unstack("metric", sort=False).reset_index()
    parts = []
    for metric in DOODLE_METRICS:
        numbers = {"value": metric, **{k: f"{metric}, {end}" for k, end in zip(("low", "high"), ENDS, strict=True)}}
        parts.append(means[keys].assign(metric=metric, **{k: means[name] for k, name in numbers.items()}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.assign(kind=frame["task"].str.split(", ").str[0], side=frame["task"].str.split(", ").str[1])


def doodle_table(rows: pd.DataFrame) -> pd.DataFrame:
    """The numbers with their 90 % intervals as text, a column a method; raises what :func:`doodle_frame` raises."""
    frame = doodle_frame(rows)
    text = [f"{v:.3f} ({low:.3f} ... {high:.3f})" for v, low, high in frame[["value", "low", "high"]].to_numpy()]
    index = ["dataset", "split", "side", "metric", "kind"]
    return frame.assign(text=text).pivot_table("text", index, "method", aggfunc="first", sort=False)


@dataclass(frozen=True)
class DoodleRun(Run):
    """A run with doodles of its unseen classes in place of its queries, for figures."""

    of: Run

    def dataset(self) -> Dataset:
        return replace(self.of.dataset(), query=doodle_queries(self.of, "unseen")["doodles"])

    def embeddings(self) -> dict[str, np.ndarray]:
        query, arrays = self.dataset().query, self.of.embeddings()
        x = embed(self.of.network(), query, self.experiment.size)
        photos, labels = arrays["gallery"], arrays["gallery_labels"]
        ap = retrieval_metrics(x, photos, query.labels, labels, (), distance=self.distance).ap
        names = "query", "query_labels", "gallery", "gallery_labels", f"ap/ZS-SBIR/{self.experiment.dim}-d"
        return dict(zip(names, (x, query.labels, photos, labels, ap), strict=True))


def with_doodles(run: Run) -> Run:
    """The run for figures, with doodles of its unseen classes as queries."""
    return DoodleRun(run.folder, run.experiment, run)
