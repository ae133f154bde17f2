"""Catastrophic forgetting: how well a linear classifier reads the original classes off frozen features (section 4.3).

The paper trains "a linear classifier for ImageNet 1000 classes using features extracted from the last fully connected
layer". Its pretrained accuracies are those of the whole networks, so the features are what the pretrained classifier
reads: the backbone's (fc7 of AlexNet). The embedding that retrieval uses is probed beside it, as a variant by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch

from ..data.dataset import OriginalDomain
from ..devices import device
from ..embedding import apply, place
from ..networks.probing import STRENGTHS, choose_probe
from ..original import original_photos
from ..runs import Run
from ..threads import one_thread
from .kept import checksum, kept
from .rows import Row
from .runrows import run_row

VARIANT = "probe of the embedding"


def linear_probe(
    train: np.ndarray, train_labels: np.ndarray, val: np.ndarray, val_labels: np.ndarray, seed: int = 0
) -> dict[str, float]:
    """A linear classifier on (N, F) frozen features; its penalty is chosen on held-out training photos.

    Gives ``top-1`` in [0, 1] on the (M, F) features ``val``, the ``strength`` that was chosen, ``gradient``: near 0 if
    the solver arrived, and ``width``: F.
    """
    classes = int(max(train_labels.max(), val_labels.max())) + 1
    final, _ = choose_probe(train, train_labels, classes, seed)
    top1 = float(np.mean(final.predict(val) == val_labels))
    return {"top-1": top1, "strength": final.strength, "gradient": final.gradient, "width": train.shape[1]}


@one_thread()
def probe(run: Run, original: OriginalDomain) -> dict[str, dict[str, float]]:
    """Probe a run's network on the original domain, once: its ``features`` and, beside them, its ``embedding``."""

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
        found = probe(run, photos)
        for name, variant in (("features", ""), ("embedding", VARIANT)):
            yield run_row(run, "top-1", found[name]["top-1"], task="probe", variant=variant, representation="")
