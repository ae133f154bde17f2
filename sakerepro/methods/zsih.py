"""ZSIH (Shen et al., "Zero-Shot Sketch-Image Hashing", CVPR 2018).

A fusion network turns a sketch and a photo of its class into stochastic codes, from which a decoder regenerates the
class vector. The encoders f of photos and g of sketches, each alone, learn to reproduce these codes:

    L = E_{b ~ q} [log q(b | p, s) - log p(v | b) + (|f - b|^2 + |g - b|^2) / (2 M)]

fusion: H = ReLU(A vec(h_p (x) h_s) W_1), logits = A H W_2: Kronecker product and two graph convolutions over the batch
affinity: A = T^-1/2 E T^-1/2,  E_jk = exp(-|v_j - v_k|^2 / t),  T = diag(row sums of E)
codes:  b = 1[sigmoid(logit) > e], e ~ U(0, 1), so that q(b_l = 1) = sigmoid(logit_l)
decoder: -log p(v | b) = |v - mu(b)|^2, mu linear, constants left out
encoders: f, g = sigmoid(linear of the backbone's features)

Search: 1[f > 1/2] and 1[g > 1/2], Hamming; the real-valued row is 2 f - 1, cosine. Fusion is for training only.

Adapted: the shared backbone replaces their networks with attention; its gates make f and g differ. Our schedule and
decay; as many images as SAKE's batches. Terms are means over pairs, and terms of bits over bits too; the weights are
ours, chosen on held-out seen classes of the generated world. Logits are balanced over the batch: without this, training
as short as ours ends with random codes, or one code for all classes. log q has the paper's sign; the public code has
the opposite. Fusion and decoder are trained first, on features that do not change yet (``fusion_first``), because
random codes draw the backbone's features to 0. The encoders' layer starts with variance 1 on the training images, since
the pretrained layer saturates the sigmoids, and it has the rate of a head. The decoder reads 2 b - 1 and starts at 0.
The factors are 64 wide (theirs: 256). With t = 0.1 classes have almost no affinity; with the mean squared distance all
have some.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.dataset import Dataset
from ..devices import seeded
from ..experiment import Experiment
from ..model import Student
from ..ranking.codes import whole_bytes
from ..training import Batch, autocast, minimise
from .contract import CLASS_VECTORS, Features, Method, Optimisers, Setting, Side, standardise


def affinity(v: Tensor, t: float) -> Tensor:
    """A from (N, k) class vectors and the width t: (N, N), symmetric, with largest eigenvalue 1."""
    e = torch.exp(-torch.cdist(v, v, compute_mode="donot_use_mm_for_euclid_dist").square() / t)
    root = e.sum(dim=1).rsqrt()
    return root[:, None] * e * root


def stochastic_neuron(logits: Tensor, e: Tensor) -> Tensor:
    """b = 1[sigmoid(logits) > e].

    Its gradient is the distributional derivative db / dlogit = p (1 - p), p = sigmoid(logit). It is unbiased for
    functions that are linear in each bit.
    """
    p = logits.sigmoid()
    return (p > e).to(p) + (p - p.detach())


def balanced(logits: Tensor) -> Tensor:
    """Logits with mean 0 and variance 1 over the batch: every bit is 1 for some pairs and 0 for others."""
    variance, mean = torch.var_mean(logits, dim=0, correction=0)
    return (logits - mean) * (variance + 1e-5).rsqrt()


def log_q(b: Tensor, logits: Tensor) -> Tensor:
    """Mean over codes and bits of log q(b), in nats."""
    return -F.binary_cross_entropy_with_logits(logits, b)


class Fusion(nn.Module):
    """Kronecker product of two projected features, then graph convolutions to M logits."""

    def __init__(self, features: int, width: int, hidden: int, bits: int) -> None:
        super().__init__()
        self.photo, self.sketch = nn.Linear(features, width), nn.Linear(features, width)
        self.first, self.second = nn.Linear(width * width, hidden), nn.Linear(hidden, bits)

    def forward(self, photo: Tensor, sketch: Tensor, a: Tensor) -> Tensor:
        """(N, M) logits of N pairs of (N, F) features; a: (N, N) affinity."""
        h_p, h_s = F.relu(self.photo(photo)), F.relu(self.sketch(sketch))
        product = (h_p[:, :, None] * h_s[:, None]).flatten(1)
        return a @ self.second(F.relu(a @ self.first(product)))


class ZSIH(Method):
    """Encoders that reproduce the stochastic codes of a fusion network, which regenerate the class vector."""

    version = 3  # the encoders' layer starts at variance 1 and has the rate of a head
    needs = frozenset({"class vectors"})
    signs = True  # 1[f > 1/2]
    settings = {
        "log_q": Setting(0.01, "weight of log q [ours; public code: -0.02 x decoder]", search=(0.01, 0.03, 0.1, 0.3)),
        "decoder": Setting(30.0, "weight of -log p(v | b) [ours]", low=0.0, search=(10.0, 30.0, 100.0)),
        "encoders": Setting(10.0, "weight of mean (f - b)^2 + (g - b)^2 [ours; theirs: 12.8 x decoder]", low=0.0),
        "fusion_lr": Setting(3.0, "rate of fusion and decoder, random at first, times lr [ours]", low=0.0),
        "fusion_first": Setting(300, "steps of fusion and decoder before the encoders learn from them [ours]", low=0),
        "width": Setting(64, "width of each factor of the Kronecker product [theirs: 256]", low=1),
        "hidden": Setting(1024, "units of the first graph convolution [theirs]", low=1),
        "bandwidth": Setting(0.1, "t [theirs]; 0: mean squared distance of vectors", low=0.0, search=(0.1, 0.3, 1.0)),
        **CLASS_VECTORS,
    }

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        whole_bytes(e.dim)
        self.t = self.s.bandwidth or float(F.pdist(self.vectors).square().mean())
        with seeded(e.seed):
            self.fusion = Fusion(student.backbone.num_features, self.s.width, self.s.hidden, e.dim)
            self.decoder = nn.Linear(e.dim, self.vectors.shape[1])
        nn.init.zeros_(self.decoder.weight)  # random weights err ten times as much as none

    @property
    def new(self) -> list[nn.Parameter]:
        """The parameters that start at random."""
        return [*self.fusion.parameters(), *self.decoder.parameters()]

    def optimisers(self) -> Optimisers:
        """Adam; fusion and decoder at ``fusion_lr`` times the rate, the encoders' layer at ``head_lr`` times."""
        groups: list[dict[str, Any]] = [
            {"params": [p for p in self.student.backbone.parameters() if p.requires_grad]},
            {"params": [*self.student.feature.parameters()], "lr": self.e.lr * self.e.head_lr},
            {"params": self.new, "lr": self.e.lr * self.s.fusion_lr},
        ]
        return Optimisers(adam=torch.optim.Adam(groups, lr=self.e.lr, weight_decay=self.e.weight_decay))

    def begin(self, features: Callable[[], Features]) -> None:
        """Scale the encoders' layer; train fusion and decoder for some steps."""
        f, rng, n = features(), np.random.default_rng(self.e.seed), (self.e.batch_sketch + self.e.batch_photo) // 2
        standardise(self.student.feature, self.student.feature(f.both))
        of_class = [np.flatnonzero(f.photo_labels.cpu() == c) for c in range(len(self.vectors))]

        def loss() -> Tensor:
            y = f.sketch_labels[s := rng.integers(len(f.sketch), size=max(1, n))]
            p = [rng.choice(of_class[c]) for c in y.tolist()]
            return self.weighted(self._fused(torch.cat([f.photo[p], f.sketch[s]]), self.vectors[y])[1])["loss"]

        with seeded(self.e.seed):
            minimise(self.new, loss, self.s.fusion_first, self.e.lr * self.s.fusion_lr)

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Pairs of one class."""
        return self.pairs(data, epoch)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The four terms; noise from PyTorch's generator, which is seeded for every step."""
        n = batch.photos
        with autocast(self.e.precision):
            features = self.features(batch.images, batch.domain)
            x = self.student.feature(features)
        f, g = x.float().sigmoid().split(n)
        b, terms = self._fused(features.float(), self.vectors[batch.labels[:n]])
        terms["encoders"] = (f - b).square().mean() + (g - b).square().mean()
        return self.weighted(terms)

    def _fused(self, features: Tensor, v: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """(N, M) codes of N pairs with class vectors v, and the two terms that need no encoder."""
        photo, sketch = F.layer_norm(features, features.shape[1:]).chunk(2)
        logits = balanced(self.fusion(photo, sketch, affinity(v, self.t)))
        b = stochastic_neuron(logits, torch.rand_like(logits))
        decoder = (self.decoder(2 * b - 1) - v).square().sum(dim=1).mean()
        return b, {"log_q": log_q(b, logits), "decoder": decoder}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """2 f - 1 of a photo, 2 g - 1 of a sketch."""
        return 2 * self.student.feature(features).sigmoid() - 1
