"""The paper's training on a GPU, and what ranking and ITQ could gain there. Where there is none, it says so.

Training is CSE-ResNet-50 with its teacher at 224 px: bfloat16, channels last, compiled, images resident on the device
and augmented there. It is measured beside the bare loop of the same networks, beside a run as a run does it
today (batches made on the CPU), and beside the same networks in float32, not compiled. Ranking and ITQ of the package
run on the CPU; beside them stands what plain PyTorch does on the device.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from sakerepro.data.dataset import SKETCH
from sakerepro.experiment import Experiment
from sakerepro.methods import preset

from . import itq, ranking, training
from .common import OURS, Case, Contender, Lap, Row, run_cases
from .training import BARE, Setup

if TYPE_CHECKING:
    import torch

ON_CPU, EAGER, ON_DEVICE = "batches made on the CPU", "bare loop, float32, not compiled", "plain PyTorch on the device"
EPOCHS, IMAGES = 20, 3850 * 40  # over TU-Berlin: steps of an epoch, images of a step (4 sketches and 36 photos)
MINUTES = 35


@dataclass
class Pair:
    """The fast setup, with its images on the device, and the one that is neither autocast nor compiled."""

    fast: Setup
    eager: Setup


def resident(setup: Setup) -> Setup:
    """The same with a data preparation that never leaves the device but for the drawing of the transforms."""
    import torch

    from sakerepro.data.augmentation import augment_on_device, draw_transforms, fill_value
    from sakerepro.embedding import device
    from sakerepro.training import Batch

    e, backbone = setup.experiment, setup.method.backbone
    sets = (setup.data.train_photo, setup.data.train_sketch)  # photos first
    pixels = [torch.from_numpy(s.take(np.arange(len(s)))).to(device()) for s in sets]
    labels = [torch.from_numpy(s.labels).to(device()) for s in sets]

    def images(number: int, index: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        transforms = draw_transforms(len(index), e.augmentation, rng)
        chosen = pixels[number][torch.from_numpy(index).to(device())]
        fill = fill_value(e.augmentation, sets[number].domain)
        return augment_on_device(chosen, transforms, e.size, backbone.mean, backbone.std, fill=fill)

    def make(index: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> Batch:
        both = (index[1], index[0])
        joined = torch.cat([images(number, i, rng) for number, i in enumerate(both)])
        chosen = torch.cat([known[torch.from_numpy(i).to(device())] for known, i in zip(labels, both, strict=True)])
        domain = torch.zeros(len(joined), device=device())
        domain[len(both[0]) :] = SKETCH
        names = [s.names[i] for s, index in zip(sets, both, strict=True) for i in index]
        return Batch(joined.contiguous(memory_format=torch.channels_last), chosen, domain, len(both[0]), names)

    return replace(setup, make=make)


def with_peak(run: Callable[[Setup], Lap], of: Callable[[Pair], Setup]) -> Callable[[Pair], Lap]:
    """The run on one of the pair; it answers with its loss and the MiB that it took of the device at its peak."""

    def measured(pair: Pair) -> Lap:
        import torch

        if not torch.cuda.is_available():
            lap = run(of(pair))
            return replace(lap, answer=(lap.answer, 0.0))
        torch.cuda.reset_peak_memory_stats()
        lap = run(of(pair))
        return replace(lap, answer=(lap.answer, torch.cuda.max_memory_allocated() / 2**20))

    return measured


def described(who: str, pair: Pair, answer: tuple[float, float]) -> str:
    loss, peak = answer
    setup = pair.eager if who == EAGER else pair.fast
    return f"{training.described(who, setup, loss)}; {peak:,.0f} MiB of the device, inputs included"


def training_case(experiment: Experiment, seen: int, steps: int) -> Case:
    """Training of an experiment (bfloat16 and compiled, if it says so) on the device."""
    fast, eager = (
        training.maker(e, seen, steps) for e in (experiment, experiment.but(precision="float32", compile=False))
    )

    def make(share: float) -> Pair:
        return Pair(fast(share), eager(share))

    def judge(rows: dict[str, Row]) -> tuple[str, bool]:
        seconds = {who: row.seconds or 0.0 for who, row in rows.items()}
        images = steps * (experiment.batch_photo + experiment.batch_sketch)
        minutes = EPOCHS * IMAGES / images * seconds[OURS] / 60
        share, gain = seconds[BARE] / seconds[OURS], seconds[EAGER] / seconds[OURS]
        text = (
            f"at least 95% of the bare loop: {share:.1%}; at least 3 x float32, not compiled: {gain:.1f} x; 20 epochs "
            f"over TU-Berlin in under {MINUTES} minutes: {minutes:.0f}, at {images / seconds[OURS]:,.0f} images/s"
        )
        return text, share >= 0.95 and gain >= 3 and minutes < MINUTES

    contenders = {
        OURS: Contender(with_peak(training.ours, lambda p: resident(p.fast)), note="images resident, augmented there"),
        BARE: Contender(with_peak(training.bare, lambda p: p.fast)),
        ON_CPU: Contender(with_peak(training.ours, lambda p: p.fast), note="as a run does it"),
        EAGER: Contender(with_peak(training.bare, lambda p: p.eager), note="TF32 as PyTorch has it by default"),
    }
    work = f"GPU: {steps} steps, {experiment.backbone}, {experiment.size} px, {experiment.precision}, compiled"
    return Case(work, make, contenders, judge, described, training.TURNS, memory=False)


def rank_on_device(task: ranking.Task) -> dict[str, float]:
    """All four metrics and both kinds of AP of :func:`ranking.of_order`, by sorting on the device."""
    import torch

    from sakerepro.embedding import device

    query, gallery, ql, gl = (
        torch.from_numpy(x).to(device())
        for x in (task.query, task.gallery, task.query_labels, task.gallery_labels)
    )  # fmt: skip
    ranks = torch.arange(1, len(gl) + 1, device=device())
    sums: dict[str, float] = {}
    for q, label in zip(query.split(256), ql.split(256), strict=True):
        good = gl[(q @ gallery.T).argsort(dim=1, descending=True)] == label[:, None]
        precision = good.cumsum(1) / ranks
        found = {f"P@{k}": good[:, :k].double().mean(1) for k in (100, 200)}
        for name, k in (("all", len(gl)), ("200", 200)):
            p, g = precision[:, :k], good[:, :k]
            divisor = good.sum(1).clamp(max=k)
            found[f"mAP@{name}"] = (p * g).sum(1, dtype=torch.float64) / divisor
            envelope = p.flip(1).cummax(1).values.flip(1)
            found[f"interpolated mAP@{name}"] = (envelope * g).sum(1, dtype=torch.float64) / divisor
        for name, values in found.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    return {name: total / len(query) for name, total in sums.items()}


def itq_on_device(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Principal directions, then 50 times signs and the nearest rotation; answers with the projection."""
    import torch

    from sakerepro.embedding import device

    def to(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device())

    features = to(x)
    mean = features.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov((features - mean).T).double())
    components = vectors[:, -64:].float()
    v = (features - mean) @ components
    rotation = to(np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0].astype(np.float32))
    for _ in range(50):
        left, _, right = torch.linalg.svd(v.T @ (v @ rotation).sign())
        rotation = left @ right
    return lambda y: ((to(y) - mean) @ components @ rotation).cpu().numpy()


HOST = "on the CPU: the package has no device path"
CASES = [
    training_case(preset("paper", compile=True), seen=220, steps=50),
    Case("GPU: metrics, cosine, TU-Berlin", ranking.features(2400, 27_989, 30),
         {OURS: Contender(ranking.ours, note=HOST), ON_DEVICE: Contender(rank_on_device, note="a full sort")},
         remark=ranking.value, memory=False),
    Case("GPU: ITQ, 200,000 x 512 to 64 bits", itq.features,
         {OURS: Contender(itq.ours, note=HOST), ON_DEVICE: Contender(itq_on_device)}, remark=itq.loss, memory=False),
]  # fmt: skip


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each side, case by case; or one that says that there is no GPU."""
    import torch

    if torch.cuda.is_available():
        return run_cases(__name__, quick)
    return iter([[Row("GPU: training, ranking, ITQ", OURS, note="not run: PyTorch finds no GPU on this machine")]])
