"""Runs side by side: their different settings and metrics. Two runs get a paired test over their common queries, more
runs the means over the seeds of each setting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from .. import methods
from ..errors import ConfigError
from ..results.rows import Queries
from ..results.verdicts import bootstrap
from ..runs import Run

KEY = ("task", "representation", "convention", "metric")  # identifies a number of a run
EXACT = 16  # most queries for which all sign patterns are tried
DRAWS = 20_000  # random sign patterns for more queries


@dataclass(frozen=True)
class Paired:
    """B against A on one task and representation, query by query."""

    task: str
    representation: str
    queries: int
    difference: float  # mean AP of B minus that of A
    low: float  # 95 % percentile bootstrap interval of the difference, queries drawn with replacement
    high: float
    p: float  # two-sided sign-flip test that the difference is symmetric around 0
    how: str  # "exact" or "20,000 random flips"
    better: int  # number of queries on which B is better
    worse: int


def by_metric(
    metrics: Sequence[dict[str, Any]], *keys: str
) -> tuple[list[str], dict[tuple[str, ...], dict[str, float]]]:
    """Names of the metrics, and the values by name for each combination of ``keys``."""
    lines: dict[tuple[str, ...], dict[str, float]] = {}
    for m in metrics:
        lines.setdefault(tuple(m[k] for k in keys), {})[m["metric"]] = m["value"]
    return list(dict.fromkeys(m["metric"] for m in metrics)), lines


@dataclass(frozen=True)
class Group:
    """A run, or runs that differ only in their seed."""

    runs: tuple[str, ...]
    seeds: tuple[int, ...]
    settings: dict[str, Any]  # all but the seed
    metrics: dict[tuple[str, ...], tuple[float, ...]]  # KEY -> the value of each run

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        metrics = [dict(zip(KEY, key, strict=True)) | {"values": values} for key, values in self.metrics.items()]
        return asdict(replace(self, metrics={})) | {"metrics": metrics}


def grouped(runs: Sequence[Run]) -> list[Group]:
    """Group runs that differ only in their seed, in the order given; a run given twice counts once.

    Two runs are always two groups.
    """
    by_setting: dict[object, list[Run]] = {}
    for number, r in enumerate(runs):
        members = by_setting.setdefault(number if len(runs) == 2 else r.experiment.but(seed=0).id, [])
        members += [r] if r not in members else []
    groups = []
    for members in by_setting.values():
        settings = {k: v for k, v in methods.flat(members[0].experiment).items() if k != "seed"}
        metrics: dict[tuple[str, ...], tuple[float, ...]] = {}
        for m in (m for r in members for m in r.metrics()):
            key = tuple(m[k] for k in KEY)
            metrics[key] = (*metrics.get(key, ()), m["value"])
        seeds = tuple(r.experiment.seed for r in members)
        groups.append(Group(tuple(r.id for r in members), seeds, settings, metrics))
    return groups


def paired_tests(a: Run, b: Run) -> tuple[list[Paired], str]:
    """A test for each common task and representation; none, and the reason, if queries or galleries differ."""
    one, two = a.embeddings(), b.embeddings()
    for name in ("query_labels", "gallery_labels"):
        if not np.array_equal(one[name], two[name]):
            return [], "the two runs have other queries or another gallery, so their queries cannot be paired."
    same_files = a.provenance()["data"] == b.provenance()["data"]
    resized = a.experiment.size != b.experiment.size and a.experiment.dataset == b.experiment.dataset
    if not same_files and not resized:
        return [], "the two runs were measured on other images, so their queries cannot be paired."
    if a.experiment.photo_queries != b.experiment.photo_queries:  # other queries and another gallery
        one = {name: array for name, array in one.items() if not name.startswith("ap/ZS-PBIR")}
    tests = []
    for name in (n for n in one if n.startswith("ap/") and n in two):
        _, task, representation = name.split("/")
        difference = two[name] - one[name]
        difference = difference[np.isfinite(difference)]
        p, how = sign_flip(difference)
        low, high = bootstrap(Queries(difference, np.arange(len(difference))), level=0.95)
        better, worse = int((difference > 0).sum()), int((difference < 0).sum())
        mean = float(difference.mean())
        tests.append(Paired(task, representation, len(difference), mean, low, high, p, how, better, worse))
    return tests, "" if tests else "the two runs share no representation."


def sign_flip(differences: np.ndarray) -> tuple[float, str]:
    """Two-sided p-value of the hypothesis that paired differences are as likely positive as negative.

    Fisher's randomisation test: the share of sign patterns for which the mean is at least as far from 0. Exact, over
    all 2^n patterns, for n <= 16; else over random patterns and the observed one.

    Args:
        differences: (n,) finite, n >= 1.

    Returns:
        The p-value in (0, 1], and "exact" or the number of random patterns.

    Raises:
        ConfigError: if there is no difference.
    """
    from scipy import stats

    d = np.asarray(differences, dtype=np.float64)
    if d.ndim != 1 or not len(d):
        raise ConfigError("A paired test needs at least one pair of queries.")
    exact = len(d) <= EXACT
    how = "exact" if exact else f"{DRAWS:,} random flips"
    if len(d) == 1:  # scipy asks for two
        return 1.0, how
    test = stats.permutation_test(
        (d,),
        lambda x, axis: np.abs(x.mean(axis=axis)),
        permutation_type="samples",
        alternative="greater",
        vectorized=True,
        n_resamples=2**EXACT if exact else DRAWS,
        batch=max(1, 4_000_000 // len(d)),
        rng=np.random.default_rng(0),
    )
    return float(test.pvalue), how
