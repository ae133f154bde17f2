"""GN-Triplet (Sangkloy et al., "The Sketchy Database", SIGGRAPH 2016): a triplet loss beside classification.

    L = T + 10 CE(s) + 10 CE(p+),    T = [m + d(s, p+) - d(s, p-)]+,    d the squared Euclidean distance

Weights as in the authors' published training files, where the classification of p- has weight 0.

Adapted: the shared backbone with gates replaces their two GoogLeNets, our optimiser and schedule replace theirs. T acts
on x / |x|, the embedding that is searched; theirs acts on a 2-output layer beside it, so their margin of 15 has no
meaning here. The auxiliary losses inside GoogLeNet are left out. p+ is any photo of the class (theirs, and ``pairs =
aligned``: the photo that the sketch was drawn from). p- is any photo of another class (theirs: mined off-line).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..data.dataset import Dataset
from ..losses import benchmark_loss
from ..training import Batch, autocast
from .contract import PAIRS, Method, Setting


def triplet_loss(sketch: Tensor, positive: Tensor, negative: Tensor, margin: float) -> Tensor:
    """T: the mean over n triplets of [m + |s - p+|^2 - |s - p-|^2]+; three (n, d) embeddings."""
    nearer, farther = ((sketch - photo).square().sum(dim=1) for photo in (positive, negative))
    return F.relu(margin + nearer - farther).mean()


class GNTriplet(Method):
    """Sketches near photos of their class and away from others, with classification beside it."""

    classifies = True
    settings = {
        "triplet": Setting(1.0, "weight of T [theirs: 1]; 0: L_B on SAKE's batches", low=0.0),
        "classification": Setting(
            20.0,
            "weight of CE over sketches and positives together [theirs: 10 each]",
            low=0.0,
            search=(2.0, 6.0, 20.0),
        ),
        "margin": Setting(
            0.5,
            "m, between squared distances on the unit sphere, at most 4 [ours]",
            low=0.0,
            search=(0.2, 0.5, 1.0, 2.0),
        ),
        **PAIRS,
    }

    @classmethod
    def canonical(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Without T, drop the margin and the pairs."""
        return settings if settings["triplet"] else {k: settings[k] for k in ("triplet", "classification")}

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """n sketches, n positive and n negative photos a step."""
        if not self.s.triplet:
            return super().plan(data, epoch)
        return self.triplets(data, epoch)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """T and CE; a batch holds positives, negatives, sketches."""
        with autocast(self.e.precision):
            x = self.student.embed(batch.images, batch.domain)
            logits = self.student.seen_head(x).float()
        if not self.s.triplet:
            ce = benchmark_loss(logits, batch.labels)
            return {"loss": self.s.classification * ce, "loss_benchmark": ce.detach()}
        positive, negative, sketch = F.normalize(x.float()).chunk(3)
        t = triplet_loss(sketch, positive, negative, self.s.margin)
        (z_positive, _, z_sketch), (y_positive, _, y_sketch) = logits.chunk(3), batch.labels.chunk(3)
        ce = benchmark_loss(torch.cat([z_positive, z_sketch]), torch.cat([y_positive, y_sketch]))
        total = self.s.triplet * t + self.s.classification * ce
        return {"loss": total, "loss_triplet": t.detach(), "loss_benchmark": ce.detach()}
