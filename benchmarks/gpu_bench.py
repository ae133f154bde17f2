"""``python -m benchmarks.gpu_bench``: training, ranking and ITQ on a GPU, in less than four minutes; needs no setup.

Training is the paper's (CSE-ResNet-50 with its teacher at 224 px) and that of the preset ``small``: our loop, with
images resident on the device and augmented there, beside the bare loop of the same networks on tensors that are there
already, and beside the bare loop in float32 (with all its bits, no TF32), not compiled. Ranking and ITQ run on the
device, on the CPU, and by plain PyTorch on the device, in two sizes: from the size on at which the device wins,
`on_device.FROM` should choose it. Images are random; so are weights that are not at hand.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sakerepro import devices, paths
from sakerepro.experiment import Experiment
from sakerepro.files import write_json
from sakerepro.methods import preset
from sakerepro.provenance import provenance
from sakerepro.ranking import on_device

from . import itq, ranking, training
from .__main__ import table
from .common import OURS, Clock, Lap, Row
from .training import BARE, Setup

EAGER, PLAIN, ON_CPU = "bare loop, float32, not compiled", "plain PyTorch on the device", "sakerepro on the CPU"
EPOCHS, IMAGES = 20, 3850 * 40  # over TU-Berlin: steps of an epoch, images of a step (4 sketches and 36 photos)
MINUTES = 35  # that they should take
SECONDS = 200.0  # no part starts later
TINY: dict[str, Any] = {"backbone": "cse_resnet_mini", "size": 32, "batch_photo": 3, "batch_sketch": 2, "freeze": 0}


def with_peak(run: Callable[[Setup], Lap], setup: Setup) -> tuple[Lap, float]:
    """The lap, and the MiB of the device that were taken at its peak, inputs included."""
    import torch

    device = devices.device()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    lap = run(setup)
    return lap, devices.peak_memory() / 2**20


def measured(
    e: Experiment, seen: int, steps: int, turns: int, sides: dict[str, Callable[[Setup], Lap]]
) -> tuple[dict[str, Row], Setup]:
    """Rows without work or bar: each side once to warm up, then all in turn; medians."""
    setup = training.maker(e, seen, steps)(1.0)
    laps: dict[str, list[tuple[Lap, float]]] = {who: [] for who in sides}
    for _ in range(turns + 1):
        for who, run in sides.items():
            laps[who].append(with_peak(run, setup))
    rows = {}
    for who, peaks in laps.items():
        seconds = statistics.median(lap.seconds for lap, _ in peaks[1:])
        note = f"{setup.images / seconds:,.0f} images/s, loss {peaks[-1][0].answer:.2f}, {setup.weights}"
        rows[who] = Row("", who, seconds, peak_mib=max(peak for _, peak in peaks), note=note)
    return rows, setup


def judged(rows: dict[str, Row], images: int, paper: bool) -> tuple[str, bool]:
    """The bar of training: beside the bare loop and beside float32; of the paper's, how long the whole takes."""
    seconds = {who: row.seconds or 0.0 for who, row in rows.items()}
    share, gain = seconds[BARE] / seconds[OURS], seconds[EAGER] / seconds[OURS]
    text = f"at least 95% of the bare loop: {share:.1%}; at least 3 x float32, not compiled: {gain:.1f} x"
    if not paper:
        return text, share >= 0.95 and gain >= 3
    minutes = EPOCHS * IMAGES / images * seconds[OURS] / 60
    speed = images / seconds[OURS]
    text += f"; 20 epochs over TU-Berlin in under {MINUTES} minutes: {minutes:.0f}, at {speed:,.0f} images/s"
    return text, share >= 0.95 and gain >= 3 and minutes < MINUTES


def training_rows(name: str, e: Experiment, seen: int, steps: int, turns: int) -> list[Row]:
    """Our loop, the bare loop and float32 on one experiment."""
    rows, setup = measured(e, seen, steps, turns, {OURS: training.ours, BARE: training.bare})
    images = setup.images
    del setup  # the next one needs its memory
    eager = e.but(precision="float32", compile=False)
    rows[EAGER] = measured(eager, seen, steps, 1, {EAGER: training.bare})[0][EAGER]
    bar, holds = judged(rows, images, name == "paper")
    rows[OURS] = replace(rows[OURS], bar=bar, holds=holds)
    kind = f"{e.precision}{', compiled' * e.compile}"
    work = f"training, {name}: {steps} steps, {e.backbone}, {e.size} px, {kind}"
    return [replace(row, work=work) for row in rows.values()]


def compared(work: str, inputs: Any, sides: dict[str, Callable[[Any], Any]], remark: Callable[..., str]) -> list[Row]:
    """Each side twice on the same inputs; the second counts."""
    rows = []
    for who, run in sides.items():
        answer = run(inputs)
        devices.wait()
        clock = Clock()
        run(inputs)
        devices.wait()
        rows.append(Row(work, who, clock.lap().seconds, note=remark(who, inputs, answer)))
    return rows


def parts(tiny: bool) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """What is measured, the most wanted first."""
    steps, turns, share = (2, 1, 0.004) if tiny else (60, 3, 1.0)
    for name, compiled, seen in (("paper", False, 220), ("small", False, 100), ("paper", True, 220)):
        e = preset(name, compile=compiled and not tiny).but(**TINY if tiny else {})
        yield f"{name}{', compiled' * compiled}", lambda n=name, e=e, s=seen: training_rows(n, e, s, steps, turns)
        if name == "small":
            yield "ranking", lambda: rankings(share)
            yield "ITQ", lambda: itqs(share)


def rankings(share: float) -> list[Row]:
    """Ranking in two sizes, by the number of keys that have to be sorted or counted."""
    rows = []
    for queries, photos in ((600, 7000), (2400, 27_989)):
        work = f"metrics, cosine, {queries:,} x {photos:,} x 64: {queries * photos / 1e6:.0f} million keys"
        sides = {OURS: at(ranking.ours, 0), ON_CPU: at(ranking.ours, sys.maxsize), PLAIN: rank_on_device}
        rows += compared(work, ranking.features(queries, photos, 30)(share), sides, ranking.value)
    return rows


def itqs(share: float) -> list[Row]:
    """ITQ in two sizes."""
    rows = []
    for images in (20_000, 200_000):
        work = f"ITQ, {images:,} x 512 to 64 bits: {images * 512 / 1e6:.0f} million features"
        sides = {OURS: at(itq.ours, 0), ON_CPU: at(itq.ours, sys.maxsize), PLAIN: itq_on_device}
        rows += compared(work, itq.features(share * images / 200_000), sides, itq.loss)
    return rows


def at(run: Callable[[Any], Any], size: int) -> Callable[[Any], Any]:
    """``run`` as if the device took over from another size on: from 0 always, from `sys.maxsize` never."""

    def run_at(inputs: Any) -> Any:
        previous, on_device.FROM = on_device.FROM, size
        try:
            return run(inputs)
        finally:
            on_device.FROM = previous

    return run_at


def rank_on_device(task: ranking.Task) -> dict[str, float]:
    """All four metrics and both kinds of AP of :func:`ranking.of_order`, by sorting on the device."""
    import torch

    from sakerepro.devices import device

    query, gallery, ql, gl = (
        torch.from_numpy(x).to(device()) for x in (task.query, task.gallery, task.query_labels, task.gallery_labels)
    )
    ranks = torch.arange(1, len(gl) + 1, device=device())
    sums: dict[str, float] = {}
    for q, label in zip(query.split(256), ql.split(256), strict=True):
        good = gl[(q @ gallery.T).argsort(dim=1, descending=True)] == label[:, None]
        precision = good.cumsum(1) / ranks
        metrics = {f"P@{k}": good[:, :k].double().mean(1) for k in (100, 200)}
        for name, k in (("all", len(gl)), ("200", 200)):
            p, g = precision[:, :k], good[:, :k]
            divisor = good.sum(1).clamp(max=k)
            metrics[f"mAP@{name}"] = (p * g).sum(1, dtype=torch.float64) / divisor
            envelope = p.flip(1).cummax(1).values.flip(1)
            metrics[f"interpolated mAP@{name}"] = (envelope * g).sum(1, dtype=torch.float64) / divisor
        for name, values in metrics.items():
            sums[name] = sums.get(name, 0.0) + float(values.sum())
    return {name: total / len(query) for name, total in sums.items()}


def itq_on_device(x: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Principal directions, then 50 times signs and the nearest rotation; answers with the projection."""
    import torch

    from sakerepro.devices import device

    def to(array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(device())

    features = to(x)
    mean = features.mean(0)
    _, vectors = torch.linalg.eigh(torch.cov((features - mean).T).double())
    components = vectors[:, -64:].float()
    v = (features - mean) @ components
    rotation = to(np.linalg.qr(np.random.default_rng(0).standard_normal((64, 64)))[0].astype(np.float32))
    for _ in range(50):
        u, _, vt = torch.linalg.svd(v.T @ (v @ rotation).sign())
        rotation = u @ vt
    return lambda y: ((to(y) - mean) @ components @ rotation).cpu().numpy()


def out(name: str) -> Path:
    """Where a record goes: to the folder ``$OUT``, else to ``results/bench``."""
    return Path(os.environ["OUT"]) / name if os.environ.get("OUT") else paths.results("bench") / name


def begin(
    description: str | None, add: Callable[[argparse.ArgumentParser], object] = lambda parser: None
) -> argparse.Namespace | None:
    """The arguments of a script for a GPU; None, after saying so, where there is none."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rehearse", action="store_true", help="on any machine, tiny; says nothing of speed")
    add(parser)
    arguments = parser.parse_args()
    if devices.device().type == "cpu" and not arguments.rehearse:
        print("no GPU: PyTorch finds none on this machine, so nothing was run. --rehearse runs it tiny on the CPU.")
        return None
    return arguments


def main() -> None:
    arguments = begin(__doc__)
    if arguments is None:
        return
    if devices.device().type == "cpu":  # the path of the accelerator all the same
        devices.accelerated, devices.free_memory = lambda: True, lambda: 2**33
    started, rows = time.monotonic(), []
    for name, run in parts(arguments.rehearse):
        if time.monotonic() - started > (0.4 * SECONDS if name.endswith("compiled") else SECONDS):
            print(f"{name}: left out, the four minutes are nearly over", flush=True)
            continue
        rows += [replace(row, bar="") for row in run()] if arguments.rehearse else run()
        print(f"{name}: done after {time.monotonic() - started:.0f} s", flush=True)
        write_json(out("gpu-bench.json"), {"about": provenance(), "rows": [vars(row) for row in rows]})
    print(f"{devices.accelerator() or 'rehearsed on the CPU'}\n{table(rows)}")


if __name__ == "__main__":
    main()
