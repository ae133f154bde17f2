"""SAE (Kodirov et al., "Semantic Autoencoder for Zero-Shot Learning", CVPR 2017): one linear map in closed form.

    min_W  |X - W'S|^2 + l |W X - S|^2        W: (k, F) maps a feature to a class vector, W' reconstructs the feature
    S S' W + l W X X' = (1 + l) S X'          its minimum: a Sylvester equation

X (F, N) holds frozen features and S (k, N) the class vectors v_y of their labels, one column an image, of length 1.

Search: W f in R^k, by cosine distance. Codes: ITQ on training embeddings; the method has no codes.
How a sketch enters: no source says. Here sketches have a map W_s of their own, learned as W_p is on photos; both maps
end in the space of the class vectors. ``maps = one`` learns a single W on both domains.

Adapted: the shared backbone's features and class vectors; features are scaled to length 1 in training and test (the
authors' demo: in training only); sums over classes replace S; W is 0 in directions that neither S nor X has.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..experiment import Experiment
from ..model import Student
from .contract import CLASS_VECTORS, FEATURES, Features, Method, Setting, Side, class_sums, is_sketch


def sylvester(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """W with A W + W B = C, for symmetric (k, k) A >= 0 and (F, F) B >= 0; C, W: (k, F).

    With A = U diag(a) U' and B = Q diag(b) Q', the entries of U'WQ are (U'CQ)_ij / (a_i + b_j). Entries with a_i = b_j
    = 0, which the equation leaves open, are 0: W is the solution of least norm.
    """
    alpha, u = torch.linalg.eigh(a)
    beta, q = torch.linalg.eigh(b)
    sums = alpha[:, None] + beta
    return u @ ((u.T @ c @ q) / sums).where(sums > 1e-10 * sums.max(), 0) @ q.T


class SAE(Method):
    """Features mapped to class vectors by a linear map whose transpose reconstructs them."""

    needs = frozenset({"features", "class vectors"})
    float64 = True
    settings = {
        **FEATURES,
        **CLASS_VECTORS,
        "lambda_sae": Setting(
            0.2,
            "l, weight of the error in the class vectors [theirs: 5e5, 0.2 or 5, by data set]",
            low=0.0,
            search=(0.002, 0.006, 0.02, 0.06, 0.2, 0.6, 2.0, 6.0, 20.0),
        ),
        "maps": Setting(
            "two", "two: a map for photos and one for sketches [ours]; one: for both", choices=("two", "one")
        ),
    }

    w: Tensor  # (2, k, F): W_p, W_s

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        self.register_buffer("w", torch.zeros(2, self.vectors.shape[1], student.backbone.num_features))

    @property
    def epochs(self) -> int:
        """0, since W is a closed form."""
        return 0

    def begin(self, features: Callable[[], Features]) -> None:
        """Solve for W_p and W_s, or for one W on both."""
        x = features()
        if self.s.maps == "one":
            self.w.copy_(self.solve(x.both, torch.cat([x.photo_labels, x.sketch_labels])))
        else:
            self.w[0] = self.solve(x.photo, x.photo_labels)
            self.w[1] = self.solve(x.sketch, x.sketch_labels)

    def solve(self, features: Tensor, labels: Tensor) -> Tensor:
        """(k, F) W of (N, F) features, float64.

        S enters as sums over classes: S S' = V diag(n_c) V' and S X' = V (sums of X over each class)'.
        """
        x, v, weight = F.normalize(features.double()), self.vectors.double().T, self.s.lambda_sae  # (N, F), (k, C_S)
        count = torch.bincount(labels, minlength=v.shape[1])
        sums = class_sums(x, labels, v.shape[1])
        return sylvester((v * count) @ v.T, weight * (x.T @ x), (1 + weight) * (v @ sums))

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """W f of features of length 1, with the map of the domain."""
        f = F.normalize(features)
        return torch.where(is_sketch(domain, f)[:, None], f @ self.w[1].T, f @ self.w[0].T)
