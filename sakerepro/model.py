"""The SAKE student: one gated backbone, one feature layer, two linear heads (Figure 2 of the paper)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from . import inputs
from .devices import seeded
from .errors import ConfigError
from .networks.architectures import teacher_architecture
from .networks.backbones import Backbone, Classifier


class Student(nn.Module):
    """One network for photos and sketches: an embedding x for retrieval, and two linear heads to train it with."""

    def __init__(self, backbone: Backbone, dim: int, num_seen: int, num_original: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.feature = nn.Linear(backbone.num_features, dim)
        self.seen_head = nn.Linear(dim, num_seen)  # the benchmark head; W^B (alpha, beta) in the paper
        self.original_head = nn.Linear(dim, num_original)  # W^I: zeta, eta

    def features(self, images: Tensor, domain: Tensor | int) -> Tensor:
        """(N, F) backbone features, the input of the feature layer; arguments as in :meth:`embed`."""
        if not isinstance(domain, Tensor):
            domain = images.new_full((len(images),), float(domain))
        return self.backbone(images, domain)

    def embed(self, images: Tensor, domain: Tensor | int) -> Tensor:
        """Embed images.

        Args:
            images: (N, 3, S, S) normalised images.
            domain: 0 for photo, 1 for sketch, as in the paper; one number for all images, or (N,) numbers.

        Returns:
            (N, dim) embeddings, not normalised, because the cosine distance normalises them.
        """
        return self.feature(self.features(images, domain))

    def frozen_stages(self, images: Tensor) -> Tensor:
        """The output of the frozen stages for (N, 3, S, S) images; the images themselves if no stage is frozen."""
        return self.backbone.stem(images, self.backbone.frozen)

    def from_shared(self, features: Tensor, domain: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of :meth:`forward`, computed from the output of :meth:`frozen_stages` and (N,) domains."""
        x = self.feature(self.backbone.rest(features, domain, self.backbone.frozen))
        return self.seen_head(x), self.original_head(x)

    def forward(self, images: Tensor, domain: Tensor | int) -> tuple[Tensor, Tensor]:
        """Logits over the seen classes (N, C_S) and over the original classes (N, C_O)."""
        x = self.embed(images, domain)
        return self.seen_head(x), self.original_head(x)


def factorise(weight: Tensor, dim: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Split a classifier into a feature layer and a head by truncated SVD (section 4.3, "Why SAKE?").

    With W = U S V^T the feature weight is ``S_d V_d^T`` and the head is ``U_d``. Their product is the best
    approximation of W with rank d. If d exceeds C_O, the product is W itself: the extra dimensions of the embedding are
    random directions, orthogonal to the others and scaled by the smallest singular value; their head weights are 0.

    Args:
        weight: (C_O, F) weight of the pretrained classifier.
        dim: d, from 1 to F.
        seed: seed for the random directions; no effect unless d exceeds C_O.

    Returns:
        Feature weight (d, F) and head weight (C_O, d), float32.

    Raises:
        ConfigError: if d is below 1 or larger than F.
    """
    num_classes, width = inputs.kind(weight, Tensor, "weight", "Give the classifier's (C_O, F) weight.").shape
    if inputs.whole(dim, "dim", 1) > width:
        raise ConfigError(f"dim = {dim} is not possible with a backbone of {width} features. Choose 1 to {width}.")
    u, s, vt = torch.linalg.svd(weight.double(), full_matrices=False)
    rank = min(dim, len(s))
    feature, head = s[:rank, None] * vt[:rank], u[:, :rank]
    if dim > rank:
        noise = torch.randn(width, dim - rank, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        extra = torch.linalg.qr(torch.cat([vt[:rank].T, noise], dim=1))[0][:, rank:]
        feature = torch.cat([feature, s[rank - 1] * extra.T])
        head = torch.cat([head, head.new_zeros(num_classes, dim - rank)], dim=1)
    return feature.float(), head.float()


def build_student(
    name: str,
    *,
    dim: int,
    num_seen: int,
    teacher: Classifier,
    keep_bias: bool = True,
    zero_head: bool = False,
    freeze: int = 0,
    seed: int = 0,
) -> Student:
    """Build a student from a copy of its teacher.

    Args:
        name: name of the backbone; the prefix ``cse_`` adds domain gates, or domain tokens in a ViT.
        dim: dimension of the embedding (the paper: 64 or 512).
        num_seen: C_S, the number of seen classes.
        teacher: the pretrained classifier of the same architecture; it is copied, not changed.
        keep_bias: keep the pretrained classifier's bias in the original head (the official code drops it).
        zero_head: start the benchmark head at zero instead of PyTorch's default. On features of norm 40 to 50, the
            gradients of a random head can wreck a pretrained network in the first steps.
        freeze: number of stages to freeze, counted from the input; at least one stage must remain. Frozen stages get no
            gates.
        seed: seed for the weights that are not pretrained.

    Raises:
        ConfigError: if the teacher has another architecture, or the backbone has too few features or stages.
    """
    inputs.kind(teacher, Classifier, "teacher", "sr.load_teacher and sr.build_classifier give one.")
    inputs.whole(num_seen, "num_seen", 1)
    if teacher_architecture(inputs.kind(name, str, "name", "Give the name of a backbone.")) != teacher.name:
        raise ConfigError(
            f"A {name} student starts from {teacher_architecture(name)}, but the teacher is {teacher.name}."
        )
    feature, head = factorise(teacher.head.weight.detach(), dim, seed)
    with seeded(seed):
        plain = teacher.backbone
        backbone = plain.with_gates(freeze) if name.startswith("cse_") else copy.deepcopy(plain)
        student = Student(backbone, dim, num_seen, teacher.head.out_features)
    with torch.no_grad():
        student.feature.weight.copy_(feature)
        student.feature.bias.zero_()
        student.original_head.weight.copy_(head)
        student.original_head.bias.zero_()
        if keep_bias and teacher.head.bias is not None:
            student.original_head.bias.copy_(teacher.head.bias)
        if zero_head:
            student.seen_head.weight.zero_()
            student.seen_head.bias.zero_()
    student.requires_grad_(True)  # the teacher may be frozen
    backbone.freeze(freeze)
    return student


def freeze_batch_norm(network: nn.Module) -> None:
    """Stop updating the statistics of batch norm; its scale and shift are still trained."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
