"""``evaluate``, ``compare``: measure finished runs again, and compare them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, SakeError
from .common import print_json, print_table
from .runs import absolute

if TYPE_CHECKING:
    from ..apps.compare import Group
    from ..runs import Run


def add(commands: Any) -> None:
    """Register the commands of this module."""
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a finished run's network again, on its own data or on another",
        description="Embed and measure with the weights of a finished run. On its own data, the numbers are compared "
        "with those that the run wrote. ITQ is fitted on the run's own training images, so another folder needs no "
        "seen classes: its unseen.txt may name all of them. With --generalised, the gallery also holds the photos of "
        "seen classes that the run was trained on; seen@k is their share among the first k, all of them wrong.",
        epilog="example: sakerepro evaluate RUN --dataset other-folder",
    )
    evaluate.add_argument("run", metavar="RUN", help="id of a run (a part of it is enough), or its folder")
    evaluate.add_argument("--dataset", help="measure on this data set or folder instead of the run's own")
    evaluate.add_argument("--split", help="split of this data; by default its usual one")
    evaluate.add_argument(
        "--photo-queries", type=int, metavar="INT", help="photos per class used as queries in ZS-PBIR"
    )
    evaluate.add_argument("--min-photos", type=int, metavar="INT", help="fewest photos of a random unseen class")
    evaluate.add_argument("--generalised", action="store_true", help="search among photos of seen classes, too")
    evaluate.add_argument("--json", action="store_true", help="for scripts")
    evaluate.set_defaults(function=_evaluate)

    compare = commands.add_parser(
        "compare",
        help="show what differs between runs: two with a paired test over the queries, more with their seeds grouped",
        description="Show the settings and metrics in which runs differ. For two runs, a test compares the average "
        "precision of every query: a two-sided sign-flip (randomisation) test, exact up to 16 queries and with 20,000 "
        "random flips above, and a 95 %% bootstrap interval of the mean difference. The test is about one seed only. "
        "For more than two runs, those that differ only in the seed form one column: the mean and, in brackets, the "
        "standard deviation over the seeds, in the standard convention (--json has all).",
        epilog="example: sakerepro compare A B",
    )
    compare.add_argument("runs", nargs="+", metavar="RUN", help="ids of runs (a part is enough), or their folders")
    compare.add_argument("--json", action="store_true", help="for scripts")
    compare.set_defaults(function=_compare)


def _evaluate(arguments: argparse.Namespace) -> None:
    from ..embedding import place
    from ..evaluation import evaluate
    from ..runs import experiment_data, named_run

    r = named_run(arguments.run)
    changes = {
        name: value
        for name in ("split", "photo_queries", "min_photos")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.dataset:
        plain = {"split": "", "random_unseen": 0, "outside_original": False, "pseudo_unseen": 0}
        changes = {**plain, "dataset": absolute(arguments.dataset), **changes}
    e = r.experiment.but(**changes)
    data = experiment_data(e)
    metrics, arrays = evaluate(place(r.network()), data, e, r.embeddings() if e != r.experiment else None)
    if e != r.experiment:
        note = _trained_on(r, data.unseen, e.dataset)
    elif data.fingerprint != r.provenance()["data"]:
        note = "The images or lists changed since the run was made, so its own numbers cannot be compared with."
    else:
        note = _against_stored(r, metrics)
    if arguments.generalised:
        from ..evaluation import generalised_metrics

        metrics += generalised_metrics(arrays, e)
    if arguments.json:
        print_json({"run": r.id, "dataset": e.dataset, "split": data.split, "metrics": metrics, "note": note})
        return
    print(
        f"{r.id} on {data.name}, {data.split}: {len(data.query):,} sketches, {len(data.gallery):,} photos, "
        f"{len(data.unseen)} unseen classes"
    )
    print_metrics(metrics)
    print(note)


def _against_stored(r: Run, metrics: list[dict[str, Any]]) -> str:
    stored = [m["value"] for m in r.metrics()]
    furthest = max(abs(m["value"] - v) for m, v in zip(metrics, stored, strict=True))
    return (
        f"The run wrote the same numbers; the largest difference is {furthest:.1e}."
        if furthest < 1e-3
        else f"The run wrote other numbers: they differ by up to {furthest:.3f}."
    )


def _trained_on(r: Run, unseen: Sequence[str], dataset: str) -> str:
    """A sentence on whether the run was trained on some of the classes that are measured."""
    from ..semantics import resolve_classes, same_classes

    try:
        seen = r.dataset().seen
    except SakeError:
        return "The run's own data is not here, so it is unknown whether it was trained on some of these classes."
    both = same_classes(resolve_classes(seen, r.experiment.dataset), resolve_classes(unseen, dataset))
    if both:
        names = ", ".join(b.name if a.name == b.name else f"{b.name}, there {a.name}" for a, b in both[:5])
        return f"Not zero-shot: the run was trained on {len(both)} of these classes ({names})."
    return "None of these classes has the name or the synset of one that the run was trained on."


def print_metrics(metrics: list[dict[str, Any]]) -> None:
    """A line for each task, representation and convention."""
    names = list(dict.fromkeys(m["metric"] for m in metrics))
    lines: dict[tuple[str, str, str], dict[str, float]] = {}
    for m in metrics:
        lines.setdefault((m["task"], m["representation"], m["convention"]), {})[m["metric"]] = m["value"]
    rows = [[*key, *(line.get(n) for n in names)] for key, line in lines.items()]
    print_table(["task", "features", "convention", *names], rows, left=3)


def _compare(arguments: argparse.Namespace) -> None:
    from ..apps.compare import compare_runs, grouped
    from ..runs import named_run

    if len(arguments.runs) < 2:
        raise ConfigError("compare needs two runs or more. `sakerepro runs` lists them.")
    runs = [named_run(name) for name in arguments.runs]
    if len(runs) > 2:
        _compare_groups(grouped(runs), arguments.json)
        return
    c = compare_runs(*runs)
    if arguments.json:
        print_json(c.to_dict())
        return
    print(f"A: {c.a}\nB: {c.b}\n")
    print_table(["setting", "A", "B"], [[n, *pair] for n, pair in c.settings.items()] or [["none differs", "", ""]])
    print()
    rows = [
        [m["task"], m["representation"], m["convention"], m["metric"], m["a"], m["b"], f"{m['b'] - m['a']:+.3f}"]
        for m in c.metrics
        if m["a"] != m["b"]
    ]
    print_table(["task", "features", "convention", "metric", "A", "B", "B - A"], rows, left=4)
    print()
    for t in c.tests:
        print(
            f"{t.task}, {t.representation}: B - A = {t.difference:+.4f} mAP over {t.queries:,} queries, "
            f"95 % bootstrap interval {t.low:+.4f} ... {t.high:+.4f}; "
            f"B better on {t.better:,}, worse on {t.worse:,}; sign-flip p = {t.p:.2g} ({t.how})"
        )
    print("One seed each: the test is about these queries, not about another training." if c.tests else c.untested)


def _compare_groups(groups: Sequence[Group], as_json: bool) -> None:
    if as_json:
        print_json({"groups": [g.to_dict() for g in groups]})
        return
    letters = [_letter(i) for i in range(len(groups))]
    for letter, g in zip(letters, groups, strict=True):
        seeds = f"{len(g.seeds)} seeds: {', '.join(map(str, g.seeds))}" if len(g.seeds) > 1 else f"seed {g.seeds[0]}"
        print(f"{letter}: {g.runs[0]}{' and others' if len(g.runs) > 1 else ''} ({seeds})")
    names = dict.fromkeys(name for g in groups for name in g.settings)
    rows = [[name, *(g.settings.get(name) for g in groups)] for name in names]
    print()
    differ = [r for r in rows if len({*map(str, r[1:])}) > 1]
    print_table(["setting", *letters], differ or [["none differs", *[""] * len(groups)]])
    print()
    keys = dict.fromkeys(key for g in groups for key in g.metrics if key[2] == "standard")
    rows = [[*key, *(_mean(g.metrics.get(key, ())) for g in groups)] for key in keys]
    print_table(["task", "features", "convention", "metric", *letters], rows, left=4)


def _letter(i: int) -> str:
    return chr(ord("A") + i) if i < 26 else f"A{i}"


def _mean(values: Sequence[float]) -> str:
    """``0.342 (0.010)``: mean, and standard deviation over the seeds where there are several."""
    if not values:
        return "-"
    return f"{mean(values):.3f}" + (f" ({stdev(values):.3f})" if len(values) > 1 else "")
