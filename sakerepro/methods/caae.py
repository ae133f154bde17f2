"""CAAE, the adversarial sibling of CVAE (Yelamarthi et al., ECCV 2018), an adversarial autoencoder under a condition.

In place of KL, an adversary D compares the encoder's latent vector with the prior:

    max_D  E[log D(z)] + E[log(1 - D(E(f_p, f_s)))],    z ~ N(0, I)
    min    mean_d (f_p^ - f_p)^2 + 10 mean_d (f_s^ - f_s)^2 - a E[log D(E(f_p, f_s))]    of the other networks

Decoder, side task, pairs, training, search and codes are CVAE's (``cvae.py``): a sketch enters as the mean of 100
generated photo features.

Adapted: no code was published, so these are our choices. E is deterministic and has no tanh at its end, since values in
(-1, 1) cannot have the prior's variance. D is K -> F/2 -> F/2 -> 1 with LeakyReLU .2. a = 1. One step of D is followed
by one of the other networks, both with CVAE's Adam. All else is as in ``cvae.py``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..training import Batch
from .contract import Optimisers, Setting
from .cvae import CVAE


def adversary_loss(prior: Tensor, encoded: Tensor) -> Tensor:
    """The loss of D from its logits: -E[log D(z)] - E[log(1 - D(E(.)))], in nats; 2 ln 2 for D = 1/2."""
    return F.softplus(-prior).mean() + F.softplus(encoded).mean()


class CAAE(CVAE):
    """A conditional adversarial autoencoder from sketch features to photo features."""

    settings = {k: v for k, v in CVAE.settings.items() if k != "kl"} | {
        "adversary": Setting(
            1.0, "a, weight of the encoder's adversarial loss [ours]", low=0.0, search=(0.01, 0.1, 1.0, 10.0)
        ),
    }

    def build(self, f: int, half: int, k: int) -> None:
        """CVAE's networks, with an encoder that gives one latent vector, and the adversary."""
        super().build(f, half, k)
        *layers, _, _ = self.encoder
        self.encoder = nn.Sequential(*layers, nn.Linear(half, k))
        self.adversary = nn.Sequential(
            nn.Linear(k, half), nn.LeakyReLU(0.2), nn.Linear(half, half), nn.LeakyReLU(0.2), nn.Linear(half, 1)
        )

    def optimisers(self) -> Optimisers:
        """One Adam for D and one for the other networks."""
        rest = [p for n, p in self.named_parameters() if p.requires_grad and not n.startswith("adversary.")]
        return Optimisers(autoencoder=self.adam(rest), adversary=self.adam(self.adversary.parameters()))

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """A step of D on the current latent vectors, then a step of the other networks against the new D."""
        f_p, f_s = self.pair(batch)
        code = self.encoder(torch.cat([f_p, f_s], dim=1))
        optimisers.zero_grad()
        loss_d = adversary_loss(self.adversary(torch.randn_like(code)), self.adversary(code.detach()))
        loss_d.backward()
        optimisers["adversary"].step()
        photo, sketch = self.errors(f_p, f_s, code)
        self.adversary.requires_grad_(False)
        fooled = F.softplus(-self.adversary(code)).mean()  # -E[log D(E(.))]
        self.adversary.requires_grad_(True)
        loss = photo + self.s.reconstruction * sketch + self.s.adversary * fooled
        loss.backward()
        optimisers["autoencoder"].step()
        named = {"loss": loss, "loss_photo": photo, "loss_sketch": sketch, "loss_fooled": fooled, "loss_d": loss_d}
        return {name: value.detach() for name, value in named.items()}
