"""CVAE (Yelamarthi et al., "A Zero-Shot Framework for Sketch-Based Image Retrieval", ECCV 2018).

Generate the photo's feature from the sketch's feature and noise; search with the mean of the generated features.

    L = mean_d (f_p^ - f_p)^2 + KL(N(mu, exp(lv)) | N(0, I)) + 10 mean_d (f_s^ - f_s)^2
    mu, lv = E(f_p, f_s),   z ~ N(mu, exp(lv)),   f_p^ = D(z, f_s),   f_s^ = side task(f_p^)

Networks, widths as multiples of the F features (theirs: F = 4096): E: 2F -> F -> F/2, batch norm and ReLU, dropout .3
after the first -> mu, lv of F/4, tanh; D: F/4 + F -> F/2 -> F, ReLU; side task: F -> F/2 -> F. No labels.

Search: a photo is its feature f_p. A sketch enters as the mean of 100 generated f_p^ with z ~ N(0, I), always the same
100. Cosine distance. Codes: ITQ on these embeddings of the training images; the method has no codes.

Adapted: the shared backbone's features in place of VGG-16's fc7. They are divided by one number so that their mean
square is 1; so their scale does not change the balance between the errors (means over F) and KL (a sum). If features
can be below 0, f_p^ has no ReLU at its end. Noise is drawn for each pair (theirs: for each batch). ``pairs = aligned``
(theirs) needs the photo that each sketch was drawn from, which Sketchy names and TU-Berlin does not; ``class`` takes
any photo of the class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.dataset import Dataset
from ..devices import seeded
from ..experiment import Experiment
from ..model import Student
from ..training import Batch
from .contract import ALIGNED, FEATURES, Features, Method, Optimisers, Setting, Side, is_sketch, root_mean_square

DRAWS = 100


def kl_to_normal(mu: Tensor, lv: Tensor) -> Tensor:
    """Mean over N of KL(N(mu, exp(lv)) | N(0, I)) = 1/2 sum_j (exp(lv_j) + mu_j^2 - 1 - lv_j); (N, K) each, nats."""
    return 0.5 * (lv.exp() + mu.square() - 1 - lv).sum(dim=1).mean()


class CVAE(Method):
    """A conditional variational autoencoder from sketch features to photo features."""

    needs = frozenset({"features", "aligned"})
    settings = {
        **FEATURES,
        **ALIGNED,
        "noise": Setting(0, "K, dimension of z; 0: F/4 [theirs: 1024 for F = 4096]", low=0),
        "reconstruction": Setting(10.0, "weight of the error of f_s^ [theirs]", low=0.0, search=(1.0, 3.0, 10.0, 30.0)),
        "kl": Setting(1.0, "weight of KL [theirs]", low=0.0, search=(0.001, 0.01, 0.1, 1.0)),
        "rounds": Setting(25, "epochs on features [theirs]", low=1),
        "batch_pairs": Setting(128, "pairs in a step [theirs]", low=2),
        "adam_lr": Setting(2e-4, "learning rate of Adam, beta1 0.5, constant [theirs]", low=0.0),
    }

    encoder: nn.Sequential
    noise: Tensor  # (DRAWS, K), the draws of z for queries
    scale: Tensor  # root of the mean square of the training features
    floor: Tensor  # 0 if no training feature is below 0, else -inf

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        f = student.backbone.num_features
        k = self.s.noise or f // 4
        with seeded(e.seed):
            self.build(f, f // 2, k)
            self.register_buffer("noise", torch.randn(DRAWS, k))
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("floor", torch.zeros(()))

    def build(self, f: int, half: int, k: int) -> None:
        """Make the networks."""
        self.encoder = nn.Sequential(
            nn.Linear(2 * f, f),
            nn.BatchNorm1d(f),
            nn.ReLU(),
            nn.Dropout(0.3),
            nn.Linear(f, half),
            nn.BatchNorm1d(half),
            nn.ReLU(),
            nn.Linear(half, 2 * k),
            nn.Tanh(),
        )
        self.from_sketch, self.from_noise = nn.Linear(f, half), nn.Linear(k, half, bias=False)  # one layer of [z, f_s]
        self.to_photo = nn.Linear(half, f)
        self.side_task = nn.Sequential(nn.Linear(f, half), nn.ReLU(), nn.Linear(half, f))

    def optimisers(self) -> Optimisers:
        """Adam on all but the backbone."""
        return Optimisers(adam=self.adam(p for p in self.parameters() if p.requires_grad))

    def adam(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Adam:
        """Adam as published."""
        return torch.optim.Adam(parameters, lr=self.s.adam_lr, betas=(0.5, 0.999))

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Pairs, once through the sketches."""
        return self.pairs(data, epoch, size=self.s.batch_pairs)

    def begin(self, features: Callable[[], Features]) -> None:
        """Find the scale of the features, and whether they can be negative."""
        x = features().both
        self.scale = root_mean_square(x)
        self.floor = self.floor.new_tensor(-torch.inf if x.min() < 0 else 0.0)

    def pair(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """f_p and f_s of a batch of pairs, (N, F) each, at mean square 1."""
        f_p, f_s = (batch.images / self.scale).chunk(2)
        return f_p, f_s

    def decode(self, z: Tensor, f_s: Tensor) -> Tensor:
        """f_p^ = D(z, f_s): (..., F) of (..., K) and (..., F)."""
        hidden = F.relu(self.from_noise(z) + self.from_sketch(f_s))
        return torch.maximum(self.to_photo(hidden), self.floor)

    def errors(self, f_p: Tensor, f_s: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
        """Squared errors of f_p^ and f_s^, means over pairs and features."""
        photo = self.decode(z, f_s)
        return F.mse_loss(photo, f_p), F.mse_loss(self.side_task(photo), f_s)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L."""
        f_p, f_s = self.pair(batch)
        mu, lv = self.encoder(torch.cat([f_p, f_s], dim=1)).chunk(2, dim=1)
        photo, sketch = self.errors(f_p, f_s, mu + (lv / 2).exp() * torch.randn_like(mu))
        kl = kl_to_normal(mu, lv)
        total = photo + self.s.kl * kl + self.s.reconstruction * sketch
        return {"loss": total, "loss_photo": photo.detach(), "loss_sketch": sketch.detach(), "loss_kl": kl.detach()}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """f_p for photos, the mean of the generated f_p^ for sketches: (N, F)."""
        sketch, x = is_sketch(domain, features), features.clone()
        photos = [self.decode(self.noise[:, None], f_s).mean(dim=0) for f_s in (x[sketch] / self.scale).split(64)]
        x[sketch] = self.scale * torch.cat(photos)
        return x
