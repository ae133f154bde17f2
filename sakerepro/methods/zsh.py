"""ZSH (Yang et al., "Zero-Shot Hashing via Transferring Supervised Knowledge", ACM Multimedia 2016).

Supervised discrete hashing with class vectors as labels, which are rotated to agree with the data:

    J = |R'Y - W'B|^2 + l |W|^2 + n |B - P'Phi|^2 + e |P|^2 + g tr(P'Phi L Phi'P),    R'R = I,  B in {-1, +1}

Y (k, N): class vectors of the labels; B (M, N): codes; R (k, k): rotation; W (M, k): codes to class vectors;
Phi (A + 1, N): exp(-|f - a_j|^2 / width) of A anchors, and 1; P (A + 1, M): the hash function; L: Laplacian of a graph
of nearest neighbours. R, W, the rows of B and P are minimised in turn, each in closed form, so J never rises.

R does not change the codes: J(R, W) = J(I, WR'), and the B-step depends on WR' only. So codes and hash function are
those of supervised discrete hashing on the class vectors. The authors' script leaves R out, too.

Search: sign(P'Phi(f)), Hamming; the real-valued row is P'Phi(f), cosine. How a sketch enters: as a photo, by one
hash function learned on both domains. The published method has one domain.

Adapted: the shared backbone's features and class vectors. Half of the samples are sketches. The Laplacian acts on P, as
in a re-implementation (on a square rotation it would be constant); its graph has an edge for every (sample, neighbour).
e and g are multiples of n, and e is given per sample, since its published value is for 10,000 samples. The width is the
mean squared distance of two samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from ..data.batches import generator
from ..data.dataset import Dataset
from ..experiment import Experiment
from ..model import Student
from ..training import Batch
from .contract import CLASS_VECTORS, FEATURES, Features, Method, Optimisers, Setting, Side


def w_step(b: Tensor, target: Tensor, ridge: float) -> Tensor:
    """W = (B B' + l I)^-1 B Y'R; ``target`` is R'Y."""
    return torch.linalg.solve(b @ b.T + ridge * torch.eye(len(b), dtype=b.dtype, device=b.device), b @ target.T)


def p_step(gram: Tensor, phi: Tensor, b: Tensor) -> Tensor:
    """P = (Phi Phi' + (e/n) I + (g/n) Phi L Phi')^-1 Phi B'; ``gram`` is the matrix that is inverted."""
    return torch.linalg.solve(gram, phi @ b.T)


def r_step(y: Tensor, b: Tensor, w: Tensor) -> Tensor:
    """R = U Z' of the singular value decomposition Y B'W = U D Z' (orthogonal Procrustes)."""
    u, _, zt = torch.linalg.svd(y @ b.T @ w)
    return u @ zt


def b_step(b: Tensor, w: Tensor, target: Tensor, hashed: Tensor, n: float) -> Tensor:
    """B bit by bit: b_l = sign(q_l - w_l'W'B + w_l'w_l b_l) with Q = W R'Y + n P'Phi; b_l stays if that is 0."""
    b, q = b.clone(), w @ target + n * hashed
    for bit in range(len(b)):
        rest = (w[bit] @ w.T) @ b - (w[bit] @ w[bit]) * b[bit]  # w_l'(sum over the other bits)
        new = torch.sign(q[bit] - rest)
        b[bit] = torch.where(new == 0, b[bit], new)
    return b


def smoothness(phi: Tensor, features: Tensor, neighbours: int) -> Tensor:
    """(A + 1, A + 1) Phi L Phi': sum of (phi_i - phi_j)(phi_i - phi_j)' over samples i and their neighbours j != i."""
    k = min(neighbours + 1, len(features))  # the nearest is the sample itself, or an equal one, which adds 0
    near = torch.cat([torch.cdist(x, features).topk(k, largest=False).indices for x in features.split(1024)])
    differences = (phi - phi[:, near[:, j]] for j in range(near.shape[1]))
    return sum((d @ d.T for d in differences), start=phi.new_zeros(len(phi), len(phi)))


class ZSH(Method):
    """Codes that fit rotated class vectors, and a kernel hash function that fits the codes."""

    needs = frozenset({"features", "class vectors"})
    float64 = True
    signs = True  # sign(P'Phi(f))
    settings = {
        **FEATURES,
        **CLASS_VECTORS,
        "code_bits": Setting(64, "M, length of the codes", choices=(8, 16, 32, 64, 128)),
        "samples": Setting(10000, "N, training images in use, half of them sketches [theirs]", low=2),
        "anchors": Setting(1000, "A, samples that the kernel compares a feature with [theirs]", low=1),
        "rounds": Setting(10, "alternations of R, W, B and P [theirs]", low=1),
        "lambda_w": Setting(1e-2, "l, ridge of W [theirs]", low=0.0),
        "nu": Setting(1e-5, "n, weight of the hash function's error [theirs]", low=1e-12, search=(1e-5, 1e-3, 1e-1)),
        "ridge": Setting(
            0.1,
            "e / (n N), ridge of P per sample [theirs: e/n = 1e3 of 10,000]",
            low=0.0,
            search=(1e-4, 1e-3, 1e-2, 0.1),
        ),
        "gamma": Setting(
            0.1, "g / n, weight of the Laplacian [a re-implementation: 1e-6 / 1e-5]", low=0.0, search=(0.01, 0.1, 1.0)
        ),
        "neighbours": Setting(10, "neighbours per sample [a re-implementation; the authors: 5]", low=1),
    }

    anchors: Tensor  # (A, F)
    width: Tensor  # scalar
    gram: Tensor  # (A + 1, A + 1)
    b: Tensor  # (M, N) int8
    w: Tensor  # (M, k)
    p: Tensor  # (A + 1, M)

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        for name in ("anchors", "width", "gram", "b", "w", "p"):
            self.register_buffer(name, torch.zeros(0))  # their sizes depend on the data

    def optimisers(self) -> Optimisers:
        """None: every step is a closed form."""
        return Optimisers()

    def rows(self, sketches: int, photos: int) -> tuple[np.ndarray, np.ndarray]:
        """(sketch rows, photo rows) of the samples: half from each domain, or all of a smaller one."""
        rng, half = generator(self.e.seed, 5), self.s.samples // 2
        sketch_rows, photo_rows = (rng.permutation(n)[:half] for n in (sketches, photos))
        return sketch_rows, photo_rows

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """The same samples in every round."""
        return [self.rows(len(data.train_sketch), len(data.train_photo))]

    def phi(self, features: Tensor) -> Tensor:
        """(A + 1, N) kernel values of (N, F) features, and a row of ones; float64."""
        squared = torch.cdist(self.anchors.double(), features.double()).square()
        return torch.cat([torch.exp(-squared / self.width.double()), squared.new_ones(1, len(features))])

    def begin(self, features: Callable[[], Features]) -> None:
        """Draw anchors and first codes; compute the width and the matrix of the P-step; fit W and P to the codes."""
        f = features()
        sketch_rows, photo_rows = self.rows(len(f.sketch), len(f.photo))
        x = torch.cat([f.photo[photo_rows], f.sketch[sketch_rows]]).double()
        rng = generator(self.e.seed, 6)
        self.anchors = x[rng.permutation(len(x))[: self.s.anchors]].float()
        self.width = 2 * (x - x.mean(dim=0)).square().sum(dim=1).mean().float()  # mean of |x_i - x_j|^2 over all pairs
        phi = self.phi(x.float())
        self.gram = phi @ phi.T + self.s.ridge * len(x) * torch.eye(len(phi), dtype=phi.dtype, device=phi.device)
        if self.s.gamma:
            self.gram += self.s.gamma * smoothness(phi, x, self.s.neighbours)
        signs = rng.integers(2, size=(self.s.code_bits, len(x)), dtype=np.int8) * 2 - 1
        self.b = torch.from_numpy(signs).to(x.device)
        labels = torch.cat([f.photo_labels[photo_rows], f.sketch_labels[sketch_rows]])
        self.w = w_step(self.b.double(), self.vectors.double()[labels].T, self.s.lambda_w)
        self.p = p_step(self.gram, phi, self.b.double()).float()

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """One round; ``loss`` is J per sample."""
        y, phi, b = self.vectors.double()[batch.labels].T, self.phi(batch.images), self.b.double()
        target = r_step(y, b, self.w).T @ y  # R'Y
        self.w = w_step(b, target, self.s.lambda_w)
        b = b_step(b, self.w, target, self.p.T.double() @ phi, self.s.nu)
        p = p_step(self.gram, phi, b)  # last, so that the hash function fits the final codes
        self.b, self.p = b.to(torch.int8), p.float()
        n, fit = len(batch.labels), (target - self.w.T @ b).square().sum() + self.s.lambda_w * self.w.square().sum()
        # |B - P'Phi|^2 + (e/n) |P|^2 + (g/n) tr(P'Phi L Phi'P)
        hash_fit = b.square().sum() - 2 * (b * (p.T @ phi)).sum() + (p * (self.gram @ p)).sum()
        return {"loss": (fit + self.s.nu * hash_fit) / n, "loss_hash": hash_fit / n}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """P'Phi(f), the same for both domains."""
        return (self.p.T.double() @ self.phi(features)).T.float()
