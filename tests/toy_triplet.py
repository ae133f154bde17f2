"""A method of one's own, outside the package: a triplet loss with classification. For test_own_method.py."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sakerepro.losses import benchmark_loss
from sakerepro.methods import Method, Setting
from sakerepro.training import Batch


class ToyTriplet(Method):
    """Each sketch nearer to the mean photo of its class than to that of the next class in the batch."""

    classifies = True
    settings = {"margin": Setting(0.2, "by how much nearer, on the unit sphere", low=0.0)}

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        x = self.embed(batch.images, batch.domain)
        photos, sketches = F.normalize(x[: batch.photos]), F.normalize(x[batch.photos :])
        same = batch.labels[batch.photos :, None] == batch.labels[: batch.photos]
        distance = torch.cdist(sketches, photos).square()
        near = distance.masked_fill(~same, 0).sum(1) / same.sum(1).clamp(min=1)
        far = distance.masked_fill(same, 9).amin(1)
        triplet = F.relu(self.s.margin + near - far).mean()
        return {"loss": triplet + benchmark_loss(self.student.seen_head(x), batch.labels), "triplet": triplet.detach()}

    def seen_logits(self, images: Tensor, domain: Tensor) -> Tensor:
        return self.student(images, domain)[0]

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        return self.student.feature(features)
