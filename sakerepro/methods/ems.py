"""EMS, Euclidean margin softmax (Lu et al., "Learning Large Euclidean Margin for Sketch-based Image Retrieval", 2018).

    l_c = -|x - a_c|^2 for c != y,    l_y = -m^2 |x - a_y|^2,    L = CE(l, y)

a_c are learned class centres; m grows linearly from 1 over the first half of the training. EMS also introduced the
gates that read the domain; SAKE took them over (section 3.3), so they are part of our backbone.

Adapted: the pretrained feature layer is scaled so that |x| is 1 on average at the start. Our networks start at |x| = 35
and more, where m = 4 makes the squared distances so steep that nothing is learned. The centres start at the class means
of x (theirs: random unit vectors), so that the first steps do not undo what the network knows. Gates (with a ReLU
instead of a sigmoid), augmentation and schedule are ours. Distances are to the photo alone (theirs: the smaller of
those to the photo and to its mirror image; no other method does this). Codes are by ITQ, as SAKE's (theirs: by a
layer). The equations are those of the public code, which belongs to a later version (ACM MM 2021, seen classes); Table
1 quotes the preprint, which gives no equations.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..experiment import Experiment
from ..losses import benchmark_loss
from ..model import Student
from ..training import Batch, Optimisers, autocast
from .contract import Features, Method, Setting, Side, class_sums


def margin_logits(x: Tensor, centres: Tensor, labels: Tensor | None = None, m: Tensor | float = 1.0) -> Tensor:
    """The logits l: minus the squared distances to the centres; the one to the centre of the image's class, times m^2.

    Args:
        x: (N, d) embeddings.
        centres: (C, d), a.
        labels: (N,) int64, y; None for no margin.
        m: at least 1.

    Returns:
        (N, C) logits.
    """
    logits = -(x[:, None] - centres).square().sum(dim=2)
    if labels is None:
        return logits
    return torch.where(F.one_hot(labels, len(centres)).bool(), m**2 * logits, logits)


class EMS(Method):
    """Classification by the squared distance to class centres, with a multiplicative margin."""

    version = 2  # the centres start at class means
    distance = "euclidean"
    classifies = True
    settings = {
        "margin": Setting(
            4.0, "m at the end [theirs: 4; with AlexNet 2]; 1: no margin", low=1.0, search=(1.5, 2.0, 3.0, 4.0)
        ),
    }

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        self.centres = nn.Parameter(torch.zeros(len(side.seen), e.dim))
        self.m: Tensor
        self.register_buffer("m", torch.ones(()))

    def optimisers(self) -> Optimisers:
        """Adam; the centres, as a head, at ``head_lr`` times the rate and without weight decay."""
        rest = [*self.student.backbone.parameters(), *self.student.feature.parameters()]
        groups = [
            {"params": rest, "lr": self.e.lr, "weight_decay": self.e.weight_decay},
            {"params": [self.centres], "lr": self.e.lr * self.e.head_lr, "weight_decay": 0.0},
        ]
        return Optimisers(adam=torch.optim.Adam(groups))

    def begin(self, features: Callable[[], Features]) -> None:
        """Scale the feature layer to mean |x| = 1 over the training images, and set the centres to class means."""
        f, layer = features(), self.student.feature
        y = torch.cat([f.photo_labels, f.sketch_labels])
        with torch.no_grad():
            x = layer(f.both)
            length = x.norm(dim=1).mean()
            layer.weight.div_(length)
            layer.bias.div_(length)
            sums = class_sums(x / length, y, len(self.centres))
            self.centres.copy_(sums / y.bincount(minlength=len(sums)).clamp(min=1)[:, None])

    def before_epoch(self, epoch: int, features: Any) -> None:
        """m grows from 1 to ``margin`` over the first half of the epochs, then stays."""
        self.m.fill_(1 + (self.s.margin - 1) * min(1.0, 2 * epoch / self.epochs))

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L over sketches and photos."""
        with autocast(self.e.precision):
            x = self.student.embed(batch.images, batch.domain)
        loss = benchmark_loss(margin_logits(x.float(), self.centres, batch.labels, self.m), batch.labels)
        return {"loss": loss, "m": self.m.clone()}

    def seen_logits(self, images: Tensor, domain: Tensor) -> Tensor:
        """(N, C_S) logits without a margin."""
        return margin_logits(self.student.embed(images, domain), self.centres)
