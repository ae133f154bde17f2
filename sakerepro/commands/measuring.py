"""``evaluate``, ``compare``: measure finished runs again, and compare them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from statistics import mean, stdev

from ..apps.compare import by_metric, grouped, paired_tests
from ..errors import ConfigError, SakeError
from ..evaluation import evaluate as measure
from ..evaluation import generalised_metrics
from ..runs import Run, experiment_data, named_run
from ..semantics import resolve_classes, same_classes
from .common import print_json, print_table
from .settings import absolute


def evaluate(arguments: argparse.Namespace) -> None:
    """Measure a run's network on its own data or on other data."""
    r = named_run(arguments.run)
    given = {name: getattr(arguments, name) for name in ("split", "photo_queries", "min_photos")}
    changes = {name: value for name, value in given.items() if value is not None}
    if arguments.dataset:
        plain = {"split": "", "random_unseen": 0, "outside_original": False, "pseudo_unseen": 0, "train_share": 1.0}
        changes = {**plain, "dataset": absolute(arguments.dataset), **changes}
    e = r.experiment.but(**changes)
    data = experiment_data(e)
    network = r.network()
    metrics, arrays = measure(network, data, e, r.embeddings() if e != r.experiment else None)
    if e != r.experiment:
        note = _trained_on(r, data.unseen, e.dataset)
    elif data.fingerprint != r.provenance()["data"]:
        note = "The images or lists changed since the run was made, so its own numbers cannot be compared with."
    else:
        pairs = zip(metrics, r.metrics(), strict=True)
        largest, metric = max(((abs(m["value"] - s["value"]), m) for m, s in pairs), key=lambda pair: pair[0])
        note = f"The run wrote the same numbers; the largest difference is {largest:.1e}."
        if not largest < 1e-3:
            note = (
                f"The run wrote other numbers; the largest difference is {largest:.3f}, of {metric['metric']}, "
                f"{metric['task']}, {metric['representation']}. Another processor rounds otherwise, and the rotation "
                "of codes is fitted anew: they may move by 0.01. More has another cause."
            )
    if arguments.generalised:
        metrics += generalised_metrics(arrays, e, network)
    if arguments.json:
        print_json({"run": r.id, "dataset": e.dataset, "split": data.split, "metrics": metrics, "note": note})
        return
    print(
        f"{r.id} on {data.name}, {data.split}: {len(data.query):,} sketches, {len(data.gallery):,} photos, "
        f"{len(data.unseen)} unseen classes"
    )
    names, lines = by_metric(metrics, "task", "representation", "convention")
    rows = [[*key, *map(line.get, names)] for key, line in lines.items()]
    print_table(["task", "features", "convention", *names], rows, left=3)
    print(note)


def _trained_on(r: Run, unseen: Sequence[str], dataset: str) -> str:
    """A sentence on whether the run was trained on some of the classes that are measured."""
    try:
        seen = r.dataset().seen
    except SakeError:
        return "The run's own data is not here, so it is unknown whether it was trained on some of these classes."
    shared = same_classes(resolve_classes(seen, r.experiment.dataset), resolve_classes(unseen, dataset))
    if shared:
        names = ", ".join(b.name if a.name == b.name else f"{b.name}, there {a.name}" for a, b in shared[:5])
        return f"Not zero-shot: the run was trained on {len(shared)} of these classes ({names})."
    return "None of these classes has the name or the synset of one that the run was trained on."


def compare(arguments: argparse.Namespace) -> None:
    """Show what differs between two runs with a test, or between groups of runs."""
    if len(arguments.runs) < 2:
        raise ConfigError("compare needs two runs or more. `sakerepro runs` lists them.")
    runs = [named_run(name) for name in arguments.runs]
    groups, two = grouped(runs), len(runs) == 2
    tests, untested = paired_tests(*runs) if two else ([], "")
    if arguments.json:
        more = {"tests": list(map(asdict, tests)), "untested": untested} if two else {}
        print_json({"groups": [g.to_dict() for g in groups], **more})
        return
    letters = [chr(ord("A") + i) if i < 26 else f"A{i}" for i in range(len(groups))]
    for letter, g in zip(letters, groups, strict=True):
        seeds = f"{len(g.seeds)} seeds: {', '.join(map(str, g.seeds))}" if len(g.seeds) > 1 else f"seed {g.seeds[0]}"
        print(f"{letter}: {g.runs[0]}{' and others' if len(g.runs) > 1 else ''} ({seeds})")
    names = dict.fromkeys(name for g in groups for name in g.settings)
    settings = [[name, *(g.settings.get(name) for g in groups)] for name in names]
    differ = [row for row in settings if len({*map(str, row[1:])}) > 1]
    print()
    print_table(["setting", *letters], differ or [["none differs", *[""] * len(groups)]])
    print()
    rows: list[list[object]] = []
    for key in dict.fromkeys(key for g in groups for key in g.metrics):
        values = [g.metrics.get(key, ()) for g in groups]
        if two and all(values) and values[0] != values[1]:
            rows.append([*key, *map(_mean, values), f"{values[1][0] - values[0][0]:+.3f}"])
        elif not two and key[2] == "standard":
            rows.append([*key, *map(_mean, values)])
    print_table(["task", "features", "convention", "metric", *letters, *["B - A"] * two], rows, left=4)
    print()
    for t in tests:
        print(
            f"{t.task}, {t.representation}: B - A = {t.difference:+.4f} mAP over {t.queries:,} queries, "
            f"95 % bootstrap interval {t.low:+.4f} ... {t.high:+.4f}; "
            f"B better on {t.better:,}, worse on {t.worse:,}; sign-flip p = {t.p:.2g} ({t.how})"
        )
    if two:
        print("One seed each: the test is about these queries, not about another training." if tests else untested)


def _mean(values: Sequence[float]) -> str:
    """``0.342 (0.010)``: mean, and standard deviation over the seeds where there are several."""
    if not values:
        return "-"
    return f"{mean(values):.3f}" + (f" ({stdev(values):.3f})" if len(values) > 1 else "")
