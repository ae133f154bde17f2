"""SEM-PCYC (Dutta and Akata, "Semantically Tied Paired Cycle Consistency for Zero-Shot Sketch-based Image Retrieval",
CVPR 2019).

Map features of sketches and of photos to one semantic space, each with a cycle back to the feature, trained against
discriminators on pairs of one class. With f_s, f_p features and c the semantic code of their class, c = E(v):

    G_s, G_p: f -> c, which is searched;  F_s, F_p: c -> f;  D_c, D_s, D_p: real or generated
    L_adv = sum over D(generated) of (D - real)^2: D_c(G_s(f_s)), D_c(G_p(f_p)), D_s(F_s(c)), D_p(F_p(c))
    L_cyc = |F_s(G_s(f_s)) - f_s|_1 + |F_p(G_p(f_p)) - f_p|_1 + |G_s(F_s(c)) - c|_1 + |G_p(F_p(c)) - c|_1
    L_cls = CE(G_s(f_s)) + CE(G_p(f_p)) + CE(F_s(c)) + CE(F_p(c))
    L_reg = 20 |G_p(f_p) - G_s(f_s)|^2 + 10 |F_p(c) - f_p|^2 + 10 |F_s(c) - f_s|^2
    generators:     L_adv + 10 L_cyc + 10 L_cls + 0.1 L_reg
    discriminators: (2 |D_c(c) - real|^2 + |D_c(G_p) - fake|^2 + |D_c(G_s) - fake|^2) / 4, and (real + fake) / 2 for D_s, D_p
    autoencoder:    |v - v^|^2 + 0.001 |E|_{2,1} / N

Norms are means; real is drawn from U(0.7, 1), fake from U(0, 0.3). Search: G(f) in R^M, Euclidean. Codes: ITQ on these
embeddings of the training images, as theirs; theirs learns it on the test sketches.

Adapted: the shared backbone's features for VGG-16's; features and codes c are divided by one number each so that their
mean square is 1, which the noise of the discriminators, 0.3, is relative to. Autoencoder and classifiers are trained
before the generators; the published classifiers stay at random weights (``classifiers = random``). A fixed number of
rounds, where theirs stops by classes that are among the test classes; rates constant. Discriminators: two layers, the
first as wide as the generators', and a sigmoid [ours].
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..data.dataset import Dataset
from ..experiment import Experiment
from ..model import Student
from ..training import Batch
from .contract import CLASS_VECTORS, FEATURES, Features, Method, Optimisers, Setting, Side

Pair = dict[str, Tensor]  # "p" of photos, "s" of the sketches of the same classes


def generator(n: int, out: int) -> nn.Sequential:
    """(N, n) to (N, out), by two hidden layers of the mean width with batch norm, LeakyReLU and dropout."""
    hidden = (n + out) // 2
    layers: list[nn.Module] = []
    for width in (n, hidden):
        layers += [nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.LeakyReLU(0.2), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Linear(hidden, out))


class Discriminator(nn.Module):
    """(N, n) to (N,) in [0, 1], 1 for real; with noise on its input while it trains."""

    def __init__(self, n: int, hidden: int, noise: float = 0.3) -> None:
        super().__init__()
        self.layers, self.noise = nn.Sequential(nn.Linear(n, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, 1)), noise

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            x = x + self.noise * torch.randn_like(x)
        return self.layers(x)[:, 0].sigmoid()


def lsgan(d: Tensor, real: bool) -> Tensor:
    """Mean of (d - label)^2 with labels from U(0.7, 1) for real, from U(0, 0.3) for generated."""
    return (d - (0.3 * torch.rand_like(d) + 0.7 * real)).square().mean()


def l21(w: Tensor) -> Tensor:
    """|w|_{2,1}: sum over rows of their Euclidean norms."""
    return w.norm(dim=1).sum()


def compress(v: Tensor, m: int, steps: int) -> Tensor:
    """(C, m) codes E(v), mean square 1, of an autoencoder with one ReLU layer that is trained here on (C, k) vectors."""
    encoder, decoder = nn.Linear(v.shape[1], m).to(v.device), nn.Linear(m, v.shape[1]).to(v.device)

    def loss() -> Tensor:
        return F.mse_loss(decoder(F.relu(encoder(v))), v) + 0.001 * l21(encoder.weight.T) / len(v)

    descend([*encoder.parameters(), *decoder.parameters()], loss, steps)
    c = F.relu(encoder(v)).detach()
    return c / c.square().mean().sqrt().clamp(min=1e-6)


def descend(parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], steps: int) -> None:
    """Adam on all data at once."""
    adam = torch.optim.Adam(parameters, lr=0.01)
    for _ in range(steps):
        adam.zero_grad()
        loss().backward()
        adam.step()


class SEMPCYC(Method):
    """Generators between features and semantic codes, with cycles, against three discriminators."""

    needs = frozenset({"features", "class vectors"})
    distance = "euclidean"
    settings = {
        "adversarial": Setting(1.0, "weight of L_adv [theirs]", low=0.0),
        "cycle": Setting(10.0, "weight of L_cyc [theirs]", low=0.0),
        "classification": Setting(10.0, "weight of L_cls [theirs]", low=0.0),
        "regression": Setting(0.1, "weight of L_reg [theirs]", low=0.0),
        "classifiers": Setting("trained", "trained, or random and frozen [theirs]", choices=("trained", "random")),
        "pretraining": Setting(200, "steps of autoencoder and classifiers [ours]", low=0),
        "rounds": Setting(100, "epochs, once through the sketches each [theirs: up to 1,000 of 100 steps]", low=1),
        "batch_pairs": Setting(128, "class-balanced pairs in a step [theirs]", low=2),
        "adam_lr": Setting(1e-3, "learning rate of the generators' Adam [theirs: 1e-4 for more steps]", low=0.0),
        "sgd_lr": Setting(1e-3, "learning rate of the discriminators' SGD, momentum 0.9 [theirs: 1e-4]", low=0.0),
        **FEATURES,
        **CLASS_VECTORS,
    }

    scale: Tensor  # root of the mean square of the training features
    c: Tensor  # (C_S, M), c of each class

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        f, m, classes = student.backbone.num_features, e.dim, len(side.seen)
        sizes = {"c": m, "p": f, "s": f}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(e.seed)
            self.to_code = nn.ModuleDict({x: generator(f, m) for x in "ps"})  # G
            self.to_feature = nn.ModuleDict({x: generator(m, f) for x in "ps"})  # F
            self.judge = nn.ModuleDict({x: Discriminator(n, (f + m) // 2) for x, n in sizes.items()})  # D
            self.classify = nn.ModuleDict({x: nn.Linear(n, classes) for x, n in sizes.items()}).requires_grad_(False)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("c", torch.zeros(classes, m))

    @property
    def epochs(self) -> int:
        """Its own length; ``e.epochs`` is that of the run that gives the features."""
        return self.s.rounds

    def rate(self, epoch: int) -> float:
        """Constant."""
        return 1.0

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """Class-balanced pairs of one class."""
        return self.pairs(data, epoch, size=self.s.batch_pairs, balanced=True)

    def optimisers(self) -> Optimisers:
        """Adam for the generators, SGD for the discriminators."""
        generators = [*self.to_code.parameters(), *self.to_feature.parameters()]
        return Optimisers(generators=torch.optim.Adam(generators, lr=self.s.adam_lr),
                          discriminators=torch.optim.SGD(self.judge.parameters(), lr=self.s.sgd_lr, momentum=0.9))

    def begin(self, features: Callable[[], Features]) -> None:
        """Scale of the features, codes of the classes, classifiers."""
        found = features()
        self.scale = torch.cat([found.photo, found.sketch]).double().square().mean().sqrt().float()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.e.seed)
            self.c = compress(self.vectors, self.e.dim, self.s.pretraining)
        known = {"c": (self.c, torch.arange(len(self.c), device=self.c.device)),
                 "p": (found.photo / self.scale, found.photo_labels),
                 "s": (found.sketch / self.scale, found.sketch_labels)}  # fmt: skip
        for name, (x, y) in known.items() if self.s.classifiers == "trained" else ():
            layer = self.classify[name].requires_grad_(True)
            descend(layer.parameters(), lambda: F.cross_entropy(layer(x), y), self.s.pretraining)  # noqa: B023
            layer.requires_grad_(False)

    def cycles(self, f: Pair, c: Tensor, codes: Pair, made: Pair) -> Tensor:
        """L_cyc; ``codes`` are G(f), ``made`` are F(c)."""
        back = [F.l1_loss(self.to_feature[x](codes[x]), f[x]) + F.l1_loss(self.to_code[x](made[x]), c) for x in "ps"]
        return back[0] + back[1]

    def generator_losses(self, f: Pair, c: Tensor, y: Tensor, codes: Pair, made: Pair) -> dict[str, Tensor]:
        """Their sum, and each without its weight."""
        terms = {
            "adversarial": sum(lsgan(self.judge["c"](codes[x]), True) + lsgan(self.judge[x](made[x]), True) for x in "ps"),
            "cycle": self.cycles(f, c, codes, made),
            "classification": sum(
                F.cross_entropy(self.classify["c"](codes[x]), y) + F.cross_entropy(self.classify[x](made[x]), y)
                for x in "ps"
            ),
            "regression": 20 * F.mse_loss(codes["p"], codes["s"]) + 10 * sum(F.mse_loss(made[x], f[x]) for x in "ps"),
        }
        loss = sum(getattr(self.s, name) * term for name, term in terms.items())
        return {"loss": loss} | {f"loss_{name}": term for name, term in terms.items()}

    def discriminator_loss(self, f: Pair, c: Tensor, codes: Pair, made: Pair) -> Tensor:
        """The three discriminators' losses on what was generated, cut off from the generators."""
        fake = {x: lsgan(self.judge["c"](codes[x].detach()), False) for x in "ps"}
        semantic = (2 * lsgan(self.judge["c"](c), True) + fake["p"] + fake["s"]) / 4
        p, s = (lsgan(self.judge[x](f[x]), True) + lsgan(self.judge[x](made[x].detach()), False) for x in "ps")
        return semantic + (p + s) / 2

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """The generators descend, then the discriminators."""
        f = dict(zip("ps", (batch.images / self.scale).split(batch.photos), strict=True))
        y = batch.labels[: batch.photos]
        c = self.c[y]
        codes, made = {x: self.to_code[x](f[x]) for x in "ps"}, {x: self.to_feature[x](c) for x in "ps"}
        optimisers.zero_grad()
        losses = self.generator_losses(f, c, y, codes, made)
        losses["loss"].backward()
        optimisers["generators"].step()
        optimisers.zero_grad()
        losses["loss_discriminators"] = self.discriminator_loss(f, c, codes, made)
        losses["loss_discriminators"].backward()
        optimisers["discriminators"].step()
        return {name: value.detach() for name, value in losses.items()}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """G_p of a photo, G_s of a sketch."""
        f, sketch = features / self.scale, torch.as_tensor(domain, device=features.device).reshape(-1, 1) > 0
        return torch.where(sketch, self.to_code["s"](f), self.to_code["p"](f))
