"""``evaluate``, ``remeasure``, ``alike``, ``repeat``, ``compare``: what finished runs are worth, now and together."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from .. import paths
from ..errors import SakeError
from .common import print_json, print_table
from .runs import absolute

if TYPE_CHECKING:
    from ..runs import Run

Made = TypeVar("Made")


def add(commands: Any) -> None:
    """Register the commands of this module."""
    evaluate = commands.add_parser(
        "evaluate", help="measure a finished run's network again, on its own data or on another",
        description="Embed and measure with the weights of a finished run. On its own data, the numbers are compared "
        "with those that the run wrote. Binary codes are fitted on the training images of the data measured on. With "
        "--generalised, sketches of unseen classes also search among the photos of both unseen and seen classes (the "
        "training photos of the data measured on); seen@k is the share of seen classes, all wrong, among the first k.",
    )  # fmt: skip
    evaluate.add_argument("run", metavar="RUN", help="id of a run (a part of it is enough), or its folder")
    evaluate.add_argument("--dataset", help="measure on this data set or folder instead of the run's own")
    evaluate.add_argument("--split", help="of that data; by default its usual one")
    evaluate.add_argument("--photo-queries", type=int, metavar="INT", help="photos of each class that ask in ZS-PBIR")
    evaluate.add_argument("--min-photos", type=int, metavar="INT", help="of a random unseen class of a folder")
    evaluate.add_argument("--generalised", action="store_true", help="search among photos of seen classes, too")
    evaluate.add_argument("--json", action="store_true", help="for scripts")
    evaluate.set_defaults(function=_evaluate)

    again = commands.add_parser(
        "remeasure", help="measure finished runs again after a change of metrics or codes, without training",
        description="Hash, rank and measure the kept embeddings of finished runs with the code of now, and put the "
        "numbers in the place of the old ones. By default the runs whose measuring code changed since. What training "
        "made stays; make the items again afterwards (make all).",
    )  # fmt: skip
    again.add_argument("run", metavar="RUN", nargs="*", help="id of a run (a part of it is enough), or its folder")
    again.add_argument("--json", action="store_true", help="for scripts")
    again.set_defaults(function=_remeasure)

    other = commands.add_parser(
        "alike", help="show that the measuring code of now gives the numbers of an earlier commit's",
        description="Measure embeddings (of every finished run at hand, and seeded ones with ties, equal photos and a "
        "large gallery) by the code of an earlier commit and by that of now. Where no number differs in any bit, that "
        "is kept in results/alike.json (commit it with the change), and results whose runs are gone stay done. Else "
        "the exit code is 3. Name the commit before the change, whose measuring code the results were made with. For "
        "a change that makes measuring faster; one that is meant to change numbers needs `remeasure`.",
    )  # fmt: skip
    other.add_argument("commit", metavar="COMMIT", help="any name that git knows it by, such as HEAD~1")
    other.add_argument("--json", action="store_true", help="for scripts")
    other.set_defaults(function=_alike)

    second = commands.add_parser(
        "repeat", help="make finished runs a second time and compare: weights, embeddings, numbers",
        description="Train and measure finished runs again from their settings, beside the first, which stay. On one "
        "machine with the same versions and threads the two are the same to the last bit; the run then notes that it "
        "was found again, and by which code. Where they differ, the second run is kept to be looked at, what changed "
        "since the first is named, and the exit code is 3. A teacher that was trained here is trained again, too.",
    )  # fmt: skip
    second.add_argument("run", metavar="RUN", nargs="+", help="id of a run (a part of it is enough), or its folder")
    second.add_argument("--json", action="store_true", help="for scripts")
    second.set_defaults(function=_repeat)

    compare = commands.add_parser(
        "compare", help="what differs between two runs, with a paired test over the queries",
        description="Settings and metrics of two runs that differ. The test pairs the average precision of every "
        "query: a two-sided sign-flip (randomisation) test, exact up to 16 queries and by 20,000 random flips above, "
        "with a 95 %% bootstrap interval of the mean difference. It knows of one seed only.",
    )  # fmt: skip
    compare.add_argument("a", metavar="A", help="id of a run (a part of it is enough), or its folder")
    compare.add_argument("b", metavar="B", help="the other run")
    compare.add_argument("--json", action="store_true", help="for scripts")
    compare.set_defaults(function=_compare)


def _evaluate(arguments: argparse.Namespace) -> None:
    from ..embedding import place
    from ..evaluation import evaluate
    from ..runs import experiment_data, named_run

    r = named_run(arguments.run)
    changes = {name: value for name in ("split", "photo_queries", "min_photos")
               if (value := getattr(arguments, name)) is not None}  # fmt: skip
    if arguments.dataset:
        plain = {"split": "", "random_unseen": 0, "outside_original": False, "pseudo_unseen": 0}
        changes = {**plain, "dataset": absolute(arguments.dataset), **changes}
    e = r.experiment.but(**changes)
    data = experiment_data(e)
    metrics, arrays = evaluate(place(r.network()), data, e)
    if e != r.experiment:
        note = _trained_on(r, data.unseen)
    elif data.fingerprint != r.provenance()["data"]:
        note = "The images or lists changed since the run was made, so its own numbers cannot be compared with."
    else:
        note = _against_stored(r, metrics)
    if arguments.generalised:
        from ..generalised import generalised_metrics

        metrics += generalised_metrics(arrays, e)
    if arguments.json:
        print_json({"run": r.id, "dataset": e.dataset, "split": data.split, "metrics": metrics, "note": note})
        return
    print(f"{r.id} on {data.name}, {data.split}: {len(data.query):,} sketches, {len(data.gallery):,} photos, "
          f"{len(data.unseen)} unseen classes")  # fmt: skip
    print_metrics(metrics)
    print(note)


def _remeasure(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from ..remeasure import furthest, outdated, remeasure
    from ..runs import all_runs, named_run

    chosen = [named_run(name) for name in arguments.run] or [r for r in all_runs() if outdated(r)]

    def one(r: Run) -> dict[str, Any]:
        why, before = outdated(r), r.metrics()
        return {"run": r.id, "changed_code": why, "furthest": furthest(before, remeasure(r).metrics())}

    done, failed = _each(one, tqdm(chosen, "runs", disable=None, leave=False))
    if arguments.json:
        print_json({"measured": done, "failed": failed})
        return 1 if failed else 0
    if done:
        rows = [[d["run"], f"{d['furthest']:.1e}", " ".join(d["changed_code"]) or "none"] for d in done]
        print_table(["run", "largest change", "code that changed"], rows)
    elif not failed:
        print("Every finished run was measured by the code of now.")
    for entry in failed:
        print(f"Not measured: {entry['run']}: {entry['problem']}")
    return 1 if failed else 0


def _alike(arguments: argparse.Namespace) -> int:
    from .. import alike

    found = alike.alike(arguments.commit)
    if arguments.json:
        print_json(found.to_dict())
        return 0 if found.same else 3
    changed = ", ".join(found.changed) or "none"
    print(f"Measuring modules that changed since {found.commit[:12]}: {changed}.")
    compared = f"{found.numbers:,} numbers of {found.cases} cases, in {found.seconds:.0f} s"
    if found.same:
        kept = f" Kept in {paths.shown(alike.file())}." if found.changed else ""
        print(f"The same to the last bit: {compared}.{kept}")
        return 0
    print(f"Not the same: {compared}; furthest apart by {found.furthest:.1e}, {found.where}. Nothing was kept.")
    return 3


def _each(work: Callable[[Run], Made], chosen: Iterable[Run]) -> tuple[list[Made], list[dict[str, str]]]:
    """What ``work`` makes of each run, and what it fails on: one run keeps no other from it."""
    done, failed = [], []
    for r in chosen:
        try:
            done.append(work(r))
        except SakeError as error:
            failed.append({"run": r.id, "problem": str(error)})
    return done, failed


def _repeat(arguments: argparse.Namespace) -> int:
    from ..repeat import repeat
    from ..runs import named_run

    done, failed = _each(lambda r: (r, repeat(r)), [named_run(name) for name in arguments.run])
    differ = [(r, d) for r, d in done if not d.same]
    if arguments.json:
        print_json({"repeated": [d.to_dict() for _, d in done], "failed": failed})
        return 1 if failed else 3 if differ else 0
    if done:
        print_table(["largest difference of", "weights", "embeddings", "metrics", "seconds", "changed since"], [
            [d.run, *(f"{v:.1e}" for v in (d.weights, d.embeddings, d.metrics)), f"{d.seconds:.0f}",
             ", ".join(d.changed) or "nothing"] for _, d in done
        ])  # fmt: skip
        print(f"The same to the last bit: {len(done) - len(differ)} of {len(done)}.")
    for r, d in differ:
        print("To see what the difference makes of each query: sakerepro compare "
              f"{paths.shown(r.folder)} {paths.shown(Path(d.kept))}")  # fmt: skip
    for entry in failed:
        print(f"Not repeated: {entry['run']}: {entry['problem']}")
    return 1 if failed else 3 if differ else 0


def _against_stored(r: Run, metrics: list[dict[str, Any]]) -> str:
    stored = [m["value"] for m in r.metrics()]
    furthest = max(abs(m["value"] - v) for m, v in zip(metrics, stored, strict=True))
    return f"The run wrote the same numbers; the largest difference is {furthest:.1e}."\
        if furthest < 1e-3 else f"The run wrote other numbers: they differ by up to {furthest:.3f}."


def _trained_on(r: Run, unseen: Iterable[str]) -> str:
    """Whether the classes that are measured are unseen at all."""
    try:
        seen = set(r.dataset().seen)
    except SakeError:
        return "The run's own data is not here, so whether it was trained on some of these classes cannot be said."
    both = sorted(seen & set(unseen))
    if both:
        return f"Not zero-shot: the run was trained on {len(both)} of these classes ({', '.join(both[:5])})."
    return "None of these classes has the name of one that the run was trained on."


def print_metrics(metrics: list[dict[str, Any]]) -> None:
    """A line for each task, representation and convention."""
    names = list(dict.fromkeys(m["metric"] for m in metrics))
    lines: dict[tuple[str, str, str], dict[str, float]] = {}
    for m in metrics:
        lines.setdefault((m["task"], m["representation"], m["convention"]), {})[m["metric"]] = m["value"]
    rows = [[*key, *(line.get(n) for n in names)] for key, line in lines.items()]
    print_table(["task", "features", "convention", *names], rows, left=3)


def _compare(arguments: argparse.Namespace) -> None:
    from ..paired import compare_runs
    from ..runs import named_run

    c = compare_runs(named_run(arguments.a), named_run(arguments.b))
    if arguments.json:
        print_json(c.to_dict())
        return
    print(f"A: {c.a}\nB: {c.b}\n")
    print_table(["setting", "A", "B"], [[n, *pair] for n, pair in c.settings.items()] or [["none differs", "", ""]])
    print()
    rows = [[m["task"], m["representation"], m["convention"], m["metric"], m["a"], m["b"], f"{m['b'] - m['a']:+.3f}"]
            for m in c.metrics if m["a"] != m["b"]]  # fmt: skip
    print_table(["task", "features", "convention", "metric", "A", "B", "B - A"], rows, left=4)
    print()
    for t in c.tests:
        print(f"{t.task}, {t.representation}: B - A = {t.difference:+.4f} mAP over {t.queries:,} queries, "
              f"95 % bootstrap interval {t.low:+.4f} ... {t.high:+.4f}; "
              f"B better on {t.better:,}, worse on {t.worse:,}; sign-flip p = {t.p:.2g} ({t.how})")  # fmt: skip
    print("One seed each: the test is about these queries, not about another training." if c.tests else c.untested)
