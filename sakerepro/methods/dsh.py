"""DSH (Liu et al., "Deep Sketch Hashing: Fast Free-hand Sketch-Based Image Retrieval", CVPR 2017).

Two steps alternate: discrete codes are fitted to class agreement and class vectors, the network is fitted to the codes.

    J = |M W - B_P'B_S|^2 + l (|V_P - D B_P|^2 + |V_S - D B_S|^2) + g (|F_P - B_P|^2 + |F_S - B_S|^2)

B_P (M, N_P), B_S (M, N_S): codes in {-1, +1}; W (N_P, N_S): agreement of classes; V (k, N): class vectors of the
labels; D (k, M): maps codes to class vectors; F (M, N): outputs of the network. Before each epoch J is minimised in
closed form over D, then over the bits of B_P and B_S one by one, so J never rises. In the epoch the network descends
|F - B|^2.

Search: sign(F), Hamming; the real-valued row is F, cosine. W is never formed: (W u)_i needs only sums of u by class.

Adapted: the shared backbone with gates, one linear layer, our optimiser and schedule; g is 1 in the network's step. The
published network has a second stream, which takes edge maps of photos through the layers of sketches. It is off
(``tokens``, with Sobel edges), because it costs a second pass of every photo. The codes cost one pass of all training
images an epoch. W is +1 for the same class and -1/(C_S - 1) for others. The published -1 (``balanced = False``) has a
bad minimum of J: almost all photos get one code and all sketches its complement, which is right for all but 1/C_S of
the pairs. The first codes are the signs of class means of the pretrained F at variance 1. The layer starts at the ridge
regression of these codes, since large errors in the first steps draw the backbone's features to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..experiment import Experiment
from ..model import Student
from ..ranking.codes import whole_bytes
from ..training import Batch, autocast
from .contract import CLASS_VECTORS, Features, Method, Setting, Side, class_sums, is_sketch, regress, standardise


@dataclass
class Domain:
    """Codes, outputs and labels of all training images of a domain."""

    b: Tensor  # (M, N) float64, B
    f: Tensor  # (M, N) float64, F
    y: Tensor  # (N,) int64

    def class_sums(self, of: Tensor, classes: int) -> Tensor:
        """(C, rows) sums of the columns of (rows, N) by class."""
        return class_sums(of.T, self.y, classes)


def d_step(p: Domain, s: Domain, v: Tensor) -> Tensor:
    """D = (V_P B_P' + V_S B_S')(B_P B_P' + B_S B_S')^-1, with the pseudo-inverse; v: (k, C)."""
    sums = p.class_sums(p.b, v.shape[1]) + s.class_sums(s.b, v.shape[1])
    return v @ sums @ torch.linalg.pinv(p.b @ p.b.T + s.b @ s.b.T, hermitian=True)


def b_step(bit: int, one: Domain, other: Domain, d: Tensor, v: Tensor, w: float, lam: float, g: float) -> None:
    """Set one bit of all codes of a domain to the minimum of J; a bit stays if both values are equally good.

    b = sign(M W u - Bbar'Ubar u + l (V'd - Bbar'Dbar'd) + g f). U holds the codes of the other domain, u is the row of
    U for this bit, d the column of D. A bar stands for "without this bit". w is the entry of W for two classes.
    """
    b, u, d_bit = one.b[bit], other.b[bit], d[:, bit]
    wu = (1 - w) * other.class_sums(u[None], v.shape[1])[one.y, 0] + w * u.sum()
    codes = one.b.T @ (other.b @ u) - len(u) * b
    words = (v.T @ d_bit)[one.y] - (one.b.T @ (d.T @ d_bit) - (d_bit @ d_bit) * b)
    score = len(one.b) * wu - codes + lam * words + g * one.f[bit]
    one.b[bit] = torch.where(score == 0, b, score.sign())


def edge_map(images: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """Sobel edges of normalised photos, drawn dark on white and normalised: (N, 3, S, S) to the same."""
    mu, sigma = (images.new_tensor(x)[:, None, None] for x in (mean, std))
    grey = F.pad((images * sigma + mu).mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    sobel = images.new_tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])
    strength = F.conv2d(grey, torch.stack([sobel, sobel.T])[:, None]).norm(dim=1, keepdim=True)
    return (1 - strength / strength.amax((2, 3), keepdim=True).clamp(min=0.01) - mu) / sigma


class DSH(Method):
    """Discrete codes by alternation, and a network that regresses to them."""

    version = 2  # the layer of F starts at the least squares fit of the first codes
    needs = frozenset({"class vectors"})
    float64 = True
    signs = True  # sign(F)
    settings = {
        "words": Setting(
            0.01, "l, weight of the class vectors [a re-implementation]", low=0.0, search=(0.01, 1e4, 1e5, 1e6)
        ),
        "outputs": Setting(
            1e-5, "g, weight of the outputs in the B-step [as l]", low=0.0, search=(1e-5, 1e2, 1e3, 1e4)
        ),
        "sweeps": Setting(5, "how often all bits are updated before an epoch [ours]", low=1),
        "balanced": Setting(True, "W for two classes: -1/(C_S - 1) [ours]; False: -1 [theirs], codes collapse"),
        "tokens": Setting(False, "second stream: the edge map of each photo, taken as a sketch [theirs: True]"),
        **CLASS_VECTORS,
    }

    codes_p: Tensor  # (M, N_P) int8, B_P
    codes_s: Tensor  # (M, N_S) int8, B_S
    distinct: Tensor  # number of different codes

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        whole_bytes(e.dim)
        self.register_buffer("codes_p", torch.zeros(e.dim, 0, dtype=torch.int8))
        self.register_buffer("codes_s", torch.zeros(e.dim, 0, dtype=torch.int8))
        self.register_buffer("distinct", torch.zeros(()))
        if self.s.tokens:
            self.token = nn.Linear(student.backbone.num_features, e.dim, bias=False)
            nn.init.zeros_(self.token.weight)

    @classmethod
    def canonical(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """With l = 0, drop the class vectors."""
        return {k: v for k, v in settings.items() if k != "class_vectors" or settings["words"]}

    @torch.no_grad()
    def before_epoch(self, epoch: int, features: Callable[[], Features]) -> None:
        """D- and B-steps with the outputs of the current network."""
        x, v = features(), self.vectors.double().T
        if epoch == 0:
            standardise(self.student.feature, self.embed_features(x.both, 0))
        f_p, f_s = (self.embed_features(f, 0).double().T for f in (x.photo, x.sketch))
        p = Domain(self.codes_p.double(), f_p, x.photo_labels)
        s = Domain(self.codes_s.double(), f_s, x.sketch_labels)
        if epoch == 0:  # one code a class
            sums = p.class_sums(f_p, v.shape[1]) + s.class_sums(f_s, v.shape[1])
            p.b, s.b = (torch.where(sums >= 0, 1.0, -1.0).to(sums)[one.y].T.contiguous() for one in (p, s))
        w = -1 / max(1, v.shape[1] - 1) if self.s.balanced else -1.0
        for _ in range(self.s.sweeps):
            d = d_step(p, s, v)
            for one, other in ((p, s), (s, p)):
                for bit in range(self.e.dim):
                    b_step(bit, one, other, d, v, w, self.s.words, self.s.outputs)
        if epoch == 0:
            layer = self.student.feature
            regress(layer, x.both[:, : layer.in_features], torch.cat([p.b, s.b], dim=1).T)
        self.codes_p, self.codes_s = (one.b.to(torch.int8).contiguous() for one in (p, s))
        self.distinct.fill_(torch.cat([p.b, s.b], dim=1).unique(dim=1).shape[1])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """|F - B|^2 as a mean over images and bits."""
        with autocast(self.e.precision):
            f = self.embed(batch.images, batch.domain)
        assert batch.rows is not None
        p, s = batch.rows.split([batch.photos, len(batch.rows) - batch.photos])
        b = torch.cat([self.codes_p[:, p], self.codes_s[:, s]], dim=1).T
        return {"loss": F.mse_loss(f.float(), b.float()), "distinct_codes": self.distinct.clone()}

    def features(self, images: Tensor, domain: Tensor | int) -> Tensor:
        """(N, F), or with tokens (N, 2F): those of a photo's edge map follow; a sketch's features are repeated."""
        f = super().features(images, domain)
        if not self.s.tokens:
            return f
        photo, token = ~is_sketch(domain, f), f.clone()
        if photo.any():
            token[photo] = super().features(edge_map(images[photo], self.backbone.mean, self.backbone.std), 1).to(f)
        return torch.cat([f, token], dim=1)

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """F, from the feature layer."""
        if not self.s.tokens:
            return self.student.feature(features)
        f, token = features.chunk(2, dim=1)
        return self.student.feature(f) + self.token(token)
