"""SEM-PCYC (Dutta and Akata, "Semantically Tied Paired Cycle Consistency for Zero-Shot SBIR", CVPR 2019).

Generators map features of sketches and of photos to one semantic space and back (a cycle). They are trained against
discriminators, on pairs of one class. f_s, f_p: features of a pair; c = E(v): semantic vector of its class.

    G_s, G_p: f -> c, which is searched;  F_s, F_p: c -> f;  D_c, D_s, D_p: real or generated
    L_adv = |D_c(G_s(f_s)) - real|^2 + |D_c(G_p(f_p)) - real|^2 + |D_s(F_s(c)) - real|^2 + |D_p(F_p(c)) - real|^2
    L_cyc = |F_s(G_s(f_s)) - f_s|_1 + |F_p(G_p(f_p)) - f_p|_1 + |G_s(F_s(c)) - c|_1 + |G_p(F_p(c)) - c|_1
    L_cls = CE(G_s(f_s)) + CE(G_p(f_p)) + CE(F_s(c)) + CE(F_p(c))
    L_reg = 20 |G_p(f_p) - G_s(f_s)|^2 + 10 |F_p(c) - f_p|^2 + 10 |F_s(c) - f_s|^2
    generators:     L_adv + 10 L_cyc + 10 L_cls + 0.1 L_reg
    discriminators: (2 real(c) + fake(G_p) + fake(G_s)) / 4 for D_c, (real(f) + fake(F)) / 2 for D_s and D_p
    autoencoder:    |v - v^|^2 + 0.001 |E|_{2,1} / N

Norms are means. Search: G(f) in R^M, Euclidean. Codes: ITQ on the training images' G(f) (theirs: the test sketches').

Adapted: the shared backbone's features. Features and semantic vectors c are each divided by one number, so that their
mean square is 1, the scale that the discriminators' noise of 0.3 is for. Autoencoder and classifiers are trained before
the generators, for fixed numbers of steps. Theirs trains the autoencoder beside the generators and the classifiers
never, and test classes decide when it stops. D has two layers [ours].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.dataset import Dataset
from ..devices import seeded
from ..experiment import Experiment
from ..model import Student
from ..training import Batch, minimise
from .contract import CLASS_VECTORS, FEATURES, Features, Method, Optimisers, Setting, Side, is_sketch, root_mean_square

Pair = dict[str, Tensor]  # "p": of photos, "s": of sketches of the same classes


def both(term: Callable[[str], Tensor]) -> Tensor:
    """The sum of a term over both domains, photos and sketches."""
    return term("p") + term("s")


def generator(n: int, out: int) -> nn.Sequential:
    """(N, n) to (N, out), by two hidden layers of the mean width."""
    layers, h = [], (n + out) // 2
    for width in (n, h):
        layers += [nn.Linear(width, h), nn.BatchNorm1d(h), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(h, out))


def lsgan(judge: nn.Module, x: Tensor, real: bool) -> Tensor:
    """Mean of (D(x + noise) - label)^2, with labels from U(0.7, 1) for real and from U(0, 0.3) for fake."""
    d = judge(x + 0.3 * torch.randn_like(x))
    return (d - (0.3 * torch.rand_like(d) + 0.7 * real)).square().mean()


def l21(w: Tensor) -> Tensor:
    """|w|_{2,1}: the sum over rows of their Euclidean norms."""
    return w.norm(dim=1).sum()


def compress(v: Tensor, m: int, steps: int = 500) -> Tensor:
    """(C, m) semantic vectors c of (C, k) class vectors, at mean square 1, by an autoencoder with one ReLU layer."""
    encoder, decoder = nn.Linear(v.shape[1], m).to(v.device), nn.Linear(m, v.shape[1]).to(v.device)

    def loss() -> Tensor:
        return F.mse_loss(decoder(F.relu(encoder(v))), v) + 0.001 * l21(encoder.weight.T) / len(v)

    minimise((*encoder.parameters(), *decoder.parameters()), loss, steps)
    c = F.relu(encoder(v)).detach()
    return c / c.square().mean().sqrt()


class SEMPCYC(Method):
    """Generators between features and semantic vectors, with cycles, against three discriminators."""

    needs = frozenset({"features", "class vectors"})
    distance = "euclidean"
    settings = {
        "adversarial": Setting(1.0, "weight of L_adv [theirs]", low=0.0),
        "cycle": Setting(10.0, "weight of L_cyc [theirs]", low=0.0, search=(1.0, 3.0, 10.0, 30.0)),
        "classification": Setting(10.0, "weight of L_cls [theirs]", low=0.0, search=(1.0, 3.0, 10.0, 30.0)),
        "regression": Setting(0.1, "weight of L_reg [theirs]", low=0.0, search=(0.01, 0.1, 1.0, 10.0)),
        "pretraining": Setting(200, "steps of the classifiers [ours]; 0: frozen at random weights [theirs]", low=0),
        "rounds": Setting(40, "epochs, each once through the sketches [theirs: up to 1,000 of 100 steps]", low=1),
        "batch_pairs": Setting(128, "class-balanced pairs in a step [theirs]", low=2),
        "adam_lr": Setting(1e-3, "rate of the generators' Adam, constant [theirs: 1e-4 for more steps]", low=0.0),
        "sgd_lr": Setting(1e-3, "rate of the discriminators' SGD, momentum 0.9 [theirs: 1e-4]", low=0.0),
        **FEATURES,
        **CLASS_VECTORS,
    }

    scale: Tensor  # root of the mean square of the training features
    c: Tensor  # (C_S, M)

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        f, m, classes = student.backbone.num_features, e.dim, len(side.seen)
        sizes, h = {"c": m, "p": f, "s": f}, (f + m) // 2
        with seeded(e.seed):
            self.g, self.f = (nn.ModuleDict({x: generator(*n) for x in "ps"}) for n in ((f, m), (m, f)))
            d = {x: [nn.Linear(n, h), nn.LeakyReLU(0.2), nn.Linear(h, 1), nn.Sigmoid()] for x, n in sizes.items()}
            self.d = nn.ModuleDict({x: nn.Sequential(*layers) for x, layers in d.items()})
            self.cls = nn.ModuleDict({x: nn.Linear(n, classes) for x, n in sizes.items()}).requires_grad_(False)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("c", torch.zeros(classes, m))

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Class-balanced pairs."""
        return self.pairs(data, epoch, size=self.s.batch_pairs, balanced=True)

    def optimisers(self) -> Optimisers:
        """Adam for G and F, SGD for D."""
        generators = [*self.g.parameters(), *self.f.parameters()]
        return Optimisers(
            generators=torch.optim.Adam(generators, lr=self.s.adam_lr),
            discriminators=torch.optim.SGD(self.d.parameters(), lr=self.s.sgd_lr, momentum=0.9),
        )

    def begin(self, features: Callable[[], Features]) -> None:
        """Find the scale of the features; make c of the classes; train the classifiers."""
        f = features()
        self.scale = root_mean_square(f.both)
        with seeded(self.e.seed):
            self.c = compress(self.vectors, self.e.dim)
        p, s = (f.photo / self.scale, f.photo_labels), (f.sketch / self.scale, f.sketch_labels)
        for name, (x, y) in {"p": p, "s": s, "c": (self.c, torch.arange(len(self.c)).to(p[1]))}.items():
            layer = self.cls[name].requires_grad_(True)
            minimise(layer.parameters(), lambda: F.cross_entropy(layer(x), y), self.s.pretraining)  # noqa: B023
            layer.requires_grad_(False)

    def generator_losses(self, f: Pair, c: Tensor, y: Tensor, codes: Pair, made: Pair) -> dict[str, Tensor]:
        """The four terms, and "loss", their weighted sum; ``codes`` are G(f), ``made`` are F(c)."""
        d, cls, ce = self.d, self.cls, F.cross_entropy
        terms = {
            "adversarial": both(lambda x: lsgan(d["c"], codes[x], True) + lsgan(d[x], made[x], True)),
            "cycle": both(lambda x: F.l1_loss(self.f[x](codes[x]), f[x]) + F.l1_loss(self.g[x](made[x]), c)),
            "classification": both(lambda x: ce(cls["c"](codes[x]), y) + ce(cls[x](made[x]), y)),
            "regression": 20 * F.mse_loss(codes["p"], codes["s"]) + 10 * both(lambda x: F.mse_loss(made[x], f[x])),
        }
        return self.weighted(terms)

    def discriminator_loss(self, f: Pair, c: Tensor, codes: Pair, made: Pair) -> Tensor:
        """The loss of D_c, D_p and D_s together; no gradient flows to the generators."""
        d = self.d
        loss = (2 * lsgan(d["c"], c, True) + both(lambda x: lsgan(d["c"], codes[x].detach(), False))) / 4
        return loss + both(lambda x: lsgan(d[x], f[x], True) + lsgan(d[x], made[x].detach(), False)) / 2

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """The generators descend, then the discriminators."""
        photo, sketch = (batch.images / self.scale).split(batch.photos)
        f, y = {"p": photo, "s": sketch}, batch.labels[: batch.photos]
        c = self.c[y]
        codes, generated = {x: self.g[x](f[x]) for x in f}, {x: self.f[x](c) for x in f}
        losses = self.generator_losses(f, c, y, codes, generated)
        losses["loss_discriminators"] = self.discriminator_loss(f, c, codes, generated)
        for optimiser, loss in (("generators", "loss"), ("discriminators", "loss_discriminators")):
            optimisers.zero_grad()
            losses[loss].backward()
            optimisers[optimiser].step()
        return {name: loss.detach() for name, loss in losses.items()}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """G_p of a photo, G_s of a sketch."""
        f = features / self.scale
        return torch.where(is_sketch(domain, f)[:, None], self.g["s"](f), self.g["p"](f))
