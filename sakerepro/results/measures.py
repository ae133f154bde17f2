"""Measurements of single items on finished runs: Tables 2 and 5, probe, Figures 3, 4, 5, doodles, larger galleries."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch

from .. import inputs, methods
from ..data.dataset import OriginalDomain
from ..data.splits import photo_queries
from ..devices import device
from ..embedding import apply, embed, place, top1
from ..errors import ConfigError, DataError
from ..evaluation import generalised_metrics
from ..experiment import Experiment, split_name
from ..hashing import ITQ
from ..metrics import retrieval_metrics
from ..networks.architectures import teacher_architecture
from ..networks.probing import STRENGTHS, choose_probe
from ..original import original_photos, original_wnids, outside_original
from ..retrieval import search
from ..runs import Run
from ..semantics import leacock_chodorow
from ..teachers import load_teacher
from ..threads import one_thread
from .doodles import ENDS, measured_doodles
from .kept import checksum, kept
from .paper import BEST, BEST_EPOCH, BOTH_TASKS, DOODLE_METRICS, FIRST, LATER, LEVELS
from .rows import Row, code_variant, gain_groups, one_setting
from .runrows import metric_row, run_row, settings_text

TOP = 10  # photos of Figure 3
MOSTLY_WRONG = 5  # wrong photos among the TOP that make a query a negative case
PROBED_EMBEDDING = "probe of the embedding"  # the variant of its rows
MOST_POINTS = 5000  # of a silhouette; a larger set is sampled


def code_rows(runs: Iterable[Run], bits: Sequence[int]) -> Iterator[Row]:
    """Codes of all lengths from one embedding of a higher dimension (Table 2: the paper does not say which it used).

    The runs of Table 2 themselves measure the other reading: a code of d bits from an embedding of dimension d.
    """
    for run in runs:
        e = run.experiment
        for length in (b for b in bits if e.dim > max(bits) and b not in e.bits):
            name, inputs = f"{length}-bit", {"features": checksum(run, "embeddings.npz"), "seed": e.seed}
            value = kept(name, run.id, inputs, partial(_code_map, run, length))
            yield run_row(run, "mAP@all", value, representation=name, variant=code_variant(name, e.dim))


def _code_map(run: Run, bits: int) -> float:
    a = run.embeddings()
    itq = ITQ(bits=bits, seed=run.experiment.seed).fit(np.concatenate([a["train_photo"], a["train_sketch"]]))
    query, gallery = itq.transform(a["query"]), itq.transform(a["gallery"])
    return retrieval_metrics(query, gallery, a["query_labels"], a["gallery_labels"], (), "hamming").map_all


def generalised_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Retrieval from a gallery of unseen and of seen classes: see :func:`sakerepro.generalised_metrics`."""
    for run in runs:
        for m in generalised_metrics(run.embeddings(), run.experiment, run.network()):
            yield metric_row(run, m)


def domain_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """ZS-PBIR of classes inside (IN) and outside (non-IN) the original domain (Table 5).

    The gallery holds all unseen classes; the mean is over the photo queries of one kind of classes. If no unseen class
    is inside (the generated world), IN is photo retrieval among the original domain's own held-out photos.
    """
    for run in runs:
        e, data = run.experiment, run.dataset()
        outside = outside_original(data.unseen, original_wnids(e), e.dataset)
        is_outside = np.array([name in outside for name in data.unseen])
        ap = run.embeddings()[f"ap/ZS-PBIR/{e.dim}-d"]
        query_outside = is_outside[photo_queries(data, e.photo_queries)[0].labels]
        for classes, of_kind in {"non-IN": ap[query_outside], "IN": ap[~query_outside]}.items():
            if len(of_kind):
                yield run_row(run, "mAP@all", np.nanmean(of_kind), task="ZS-PBIR", classes=classes)
        if is_outside.all():
            yield run_row(run, "mAP@all", _original_map(run), task="ZS-PBIR", classes="IN")


def _original_map(run: Run) -> float:
    original = original_photos(run.experiment)

    def compute() -> float:
        x, labels = embed(run.network(), original.val, run.experiment.size), original.val.labels
        place_in_class = pd.Series(labels).groupby(labels).cumcount().to_numpy()
        is_query = place_in_class < min(10, np.bincount(labels).min() // 2)
        return retrieval_metrics(x[is_query], x[~is_query], labels[is_query], labels[~is_query], ks=()).map_all

    inputs = {"weights": checksum(run), "photos": original.fingerprint}
    return float(kept("original-pbir", run.id, inputs, compute))


def top_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Figure 3: ``P@10``, and in the negative cases the share of wrong photos that come from one class.

    ``top wrong class@10``: over the queries with at least 5 wrong photos of 10, the mean share of the most frequent
    wrong class among the wrong ones. No row where there is no such query.
    """
    for run in runs:
        a = run.embeddings()
        k = min(TOP, len(a["gallery_labels"]))
        top_labels = a["gallery_labels"][search(a["query"], a["gallery"], k, run.distance)[0]]
        wrong = top_labels != a["query_labels"][:, None]
        yield run_row(run, f"P@{TOP}", np.mean(~wrong))
        bad = wrong.sum(axis=1) >= MOSTLY_WRONG
        shares = [np.bincount(f[w]).max() / w.sum() for f, w in zip(top_labels[bad], wrong[bad], strict=True)]
        if shares:
            yield run_row(run, f"top wrong class@{TOP}", np.mean(shares))


def length_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """mAP@all of traced runs after the first epoch, its mean over the later epochs, and its value at the best epoch.

    The best epoch is chosen and measured on the same queries, so its value is too high; claims use the mean.
    """
    for run in runs:
        history = run.history()
        for task in (t for t in BOTH_TASKS if t in history):
            values = history[task].to_numpy()
            best = int(values.argmax())
            yield run_row(run, FIRST, values[0], task=task)
            if len(values) > 1:
                yield run_row(run, LATER, values[1:].mean(), task=task)
            yield run_row(run, BEST, values[best], task=task)
            yield run_row(run, BEST_EPOCH, history["epoch"].iloc[best], task=task)


def cluster_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Figure 4 as numbers: silhouettes by cosine of the embeddings themselves, not of their t-SNE.

    ``silhouette``: photos and sketches of the unseen classes together, by class. ``domain silhouette``: photo against
    sketch within a class, mean over the classes; above 0 there is a margin between the two.
    """
    from sklearn.metrics import silhouette_score

    for run in runs:
        a = run.embeddings()
        x = np.concatenate([a["gallery"], a["query"]])
        labels = np.concatenate([a["gallery_labels"], a["query_labels"]])
        is_sketch = np.repeat([0, 1], [len(a["gallery"]), len(a["query"])])
        drawn = np.random.default_rng(0).permutation(len(x))[:MOST_POINTS]
        clusters = silhouette_score(x[drawn], labels[drawn], metric="cosine")
        yield run_row(run, "silhouette", clusters, task="clusters")
        gaps = [
            silhouette_score(x[of_class], is_sketch[of_class], metric="cosine")
            for of_class in (labels == label for label in np.unique(labels))
            if min(np.bincount(is_sketch[of_class], minlength=2)) > 1
        ]
        if gaps:
            yield run_row(run, "domain silhouette", np.mean(gaps), task="clusters")


def linear_probe(
    train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """Train a linear classifier on (N, F) frozen features; its penalty is chosen on held-out photos.

    Returns:
        ``top-1`` in [0, 1] on the (M, F) features ``val``, the chosen ``strength`` of the penalty, ``gradient`` (near
        0 if the solver converged), and ``width`` (F).
    """
    classes = int(max(train_labels.max(), val_labels.max())) + 1
    final, _ = choose_probe(train, train_labels, classes, seed)
    top1 = float(np.mean(final.predict(val) == val_labels))
    return {"top-1": top1, "strength": final.strength, "gradient": final.gradient, "width": train.shape[1]}


@one_thread()
def probe(run: Run, original: OriginalDomain) -> dict[str, dict[str, float]]:
    """Catastrophic forgetting (section 4.3): accuracy of a run's network on the original domain, measured once.

    The paper trains "a linear classifier for ImageNet 1000 classes using features extracted from the last fully
    connected layer". Its pretrained accuracies are those of the whole networks, so ``features`` are the inputs of the
    pretrained classifier: the backbone's (fc7 of AlexNet). The ``embedding``, which retrieval uses, is probed too.
    """

    def compute() -> dict[str, dict[str, float]]:
        method, size = place(run.network()), run.experiment.size
        student = method.student
        train, val = (apply(student.backbone, student.backbone, s, size) for s in (original.train, original.val))
        with torch.inference_mode():
            short = [student.feature(torch.as_tensor(x, device=device())).cpu().numpy() for x in (train, val)]
        labels = original.train.labels, original.val.labels
        return {
            "features": linear_probe(train, labels[0], val, labels[1]),
            "embedding": linear_probe(short[0], labels[0], short[1], labels[1]),
        }

    inputs: dict[str, Any] = {"weights": checksum(run), "photos": original.fingerprint, "strengths": STRENGTHS}
    return kept("probe", run.id, inputs, compute)


def probe_rows(runs: Iterable[Run], original: str = "") -> Iterator[Row]:
    """Top-1 of the probe of every run as rows; ``original`` may be a folder of ``train/<wnid>/*``, ``val/<wnid>/*``."""
    for run in runs:
        photos = original_photos(run.experiment, original)
        probes = probe(run, photos)
        for name, variant in (("features", ""), ("embedding", PROBED_EMBEDDING)):
            yield run_row(run, "top-1", probes[name]["top-1"], task="probe", variant=variant, representation="")


def teacher_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Top-1 of the network that each run imitates, on photos of the original domain and among the network's classes.

    Without such photos there is no row.
    """
    for run in runs:
        e, origin = methods.imitated(run.experiment), run.provenance()
        try:
            photos = original_photos(e)
        except DataError:
            return
        network = origin.get("imitated", origin["teacher"])["sha256"]
        used = {"network": network, "photos": photos.fingerprint, "size": e.size}
        value = kept("top-1", teacher_architecture(e.backbone), used, partial(_teacher_top1, e, photos))
        yield run_row(run, "top-1", value, task="teacher", representation="")


def _teacher_top1(e: Experiment, photos: OriginalDomain) -> float:
    classifier, wnids, _ = load_teacher(e)
    shared = [c for c, wnid in enumerate(photos.wnids) if wnid in wnids]
    columns = [wnids.index(photos.wnids[c]) for c in shared]
    shared_photos = photos.val.of_classes(shared)
    return top1(lambda images, domain: classifier(images)[:, columns], classifier, shared_photos, e.size)


def pairs(runs: Iterable[Run]) -> list[tuple[Run, Run]]:
    """Runs of SAKE with the L_B run that differs in nothing but the loss; one without a partner is a ConfigError."""
    runs = inputs.names(runs, "runs", object)
    baselines = {r.experiment: r for r in runs if methods.label(r.experiment) == "L_B"}
    paired = []
    for run in (r for r in runs if methods.label(r.experiment) == "SAKE"):
        if (partner := methods.baseline(run.experiment)) not in baselines:
            raise ConfigError(f"{run.id} has no run with L_B beside it, and its gain is over that one. Give both.")
        paired.append((run, baselines[partner]))
    return paired


def class_gains(runs: Iterable[Run]) -> pd.DataFrame:
    """Figure 5: one row an unseen class of each held-out set, means over the seeds.

    Columns: ``dataset``, ``split``, ``class``, ``gain`` (mAP@all of SAKE less that of L_B), ``confidence`` (the
    teacher's largest probability, mean over the class's gallery photos), ``LCH`` (Leacock-Chodorow similarity to the
    nearest original class, in nats).

    Args:
        runs: one or more of SAKE, each with the L_B run that differs in ``lambda_sake`` alone; others are left out.

    Raises:
        ConfigError: if a run of SAKE has no such partner, or there is none; for runs of several settings.
    """
    if not (paired := pairs(runs)):
        raise ConfigError("None of these runs is one of SAKE, whose gain over L_B is asked for. Give some, with L_B's.")
    experiments = [sake.experiment for sake, _ in paired]
    one_setting((f"{e.preset} {e.backbone} {e.dim}-d {settings_text(e)}".strip() for e in experiments), "Runs")
    frames = pd.concat(_gains(*pair) for pair in paired)
    return frames.groupby(["dataset", "split", "class"], sort=False, as_index=False).mean()


def _gains(sake: Run, baseline: Run) -> pd.DataFrame:
    e, data = sake.experiment, sake.dataset()
    name, labels = f"ap/ZS-SBIR/{e.dim}-d", sake.embeddings()["query_labels"]
    gain = sake.embeddings()[name] - baseline.embeddings()[name]
    return pd.DataFrame(
        {
            "dataset": e.dataset,
            "split": split_name(e),
            "class": data.unseen,
            "gain": [np.nanmean(gain[labels == c]) for c in range(len(data.unseen))],
            "confidence": _confidence(sake),
            "LCH": leacock_chodorow(data.unseen, original_wnids(e), dataset=e.dataset).max(axis=1),
        }
    )


def _confidence(run: Run) -> list[float]:
    """(C,) mean over a class's gallery photos of the teacher's largest probability."""
    e, data = run.experiment, run.dataset()
    teacher, _, source = load_teacher(e)

    def compute() -> list[float]:
        network = place(teacher)
        top = apply(lambda x, domain: network(x).softmax(dim=1).amax(dim=1), network.backbone, data.gallery, e.size)
        return [float(top[data.gallery.labels == c].mean()) for c in range(len(data.unseen))]

    inputs = {"teacher": source["sha256"], "data": data.fingerprint, "size": e.size}
    return kept("confidence", f"{e.preset}-{split_name(e)}", inputs, compute)


def group_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Figure 5 as numbers: the classes of each held-out set in three equal groups by SAKE's gain (appendix A.1)."""
    for sake, baseline in pairs(runs):
        groups = gain_groups(_gains(sake, baseline), len(LEVELS)).groupby("group")
        for level, (_, members) in zip(LEVELS, groups, strict=True):
            for metric in ("gain", "confidence", "LCH"):
                value = members[metric].to_numpy().mean()
                yield run_row(sake, metric, value, task="groups", classes=level)


def doodle_rows(runs: Iterable[Run]) -> Iterator[Row]:
    """Metrics with the ends of their intervals, of doodles of another data set and of the data set's own sketches."""
    for run in runs:
        for task, values in measured_doodles(run).items():
            for metric in DOODLE_METRICS:
                for name, value in zip((metric, *(f"{metric}, {end}" for end in ENDS)), values[metric], strict=True):
                    yield run_row(run, name, value, task=task)
