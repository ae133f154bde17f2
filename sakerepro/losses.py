"""The three losses of SAKE (section 3.4), in nats, each a mean over the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def benchmark_loss(seen_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy to the true class, over photos and sketches alike (section 3.4, L_benchmark).

    Args:
        seen_logits: (N, C_S) student logits over the seen classes.
        labels: (N,) int64 class ids in [0, C_S).

    Returns:
        Scalar mean over the N images; 0 for N = 0.
    """
    return F.cross_entropy(seen_logits, labels, reduction="sum") / max(len(labels), 1)


def sake_loss(
    original_logits: Tensor,
    teacher_logits: Tensor,
    similarity: Tensor,
    *,
    lambda1: float = 1.0,
    lambda2: float = 0.3,
) -> Tensor:
    """Cross-entropy to the semantic-aware teacher signal (section 3.4, L_SAKE).

    The target is ``softmax(lambda1 * t + lambda2 * a)``. With ``lambda1 = 1, lambda2 = 0`` this is L_teacher.

    Args:
        original_logits: (N, C_O) student logits over the original classes, photos only.
        teacher_logits: (N, C_O) logits of the frozen teacher on the same augmented photos.
        similarity: (N, C_O) rows of the semantic matrix, in [0, 1].

    Returns:
        Scalar mean over the N photos; 0 for N = 0, so that a batch of sketches only is valid.

    Raises:
        ValueError: if the three shapes differ.
    """
    if not original_logits.shape == teacher_logits.shape == similarity.shape:
        raise ValueError(
            "original_logits, teacher_logits and similarity must have the same shape (N, C_O), not "
            f"{tuple(original_logits.shape)}, {tuple(teacher_logits.shape)} and {tuple(similarity.shape)}."
        )
    target = torch.softmax(lambda1 * teacher_logits + lambda2 * similarity, dim=1)
    return F.cross_entropy(original_logits, target, reduction="sum") / max(len(target), 1)


def teacher_loss(original_logits: Tensor, teacher_logits: Tensor) -> Tensor:
    """Cross-entropy to the teacher's own prediction (section 3.4, L_teacher): L_SAKE without semantics.

    Args:
        original_logits: (N, C_O) student logits over the original classes, photos only.
        teacher_logits: (N, C_O) logits of the frozen teacher on the same augmented photos.

    Returns:
        Scalar mean over the N photos; 0 for N = 0.

    Raises:
        ValueError: if the two shapes differ.
    """
    return sake_loss(original_logits, teacher_logits, torch.zeros_like(teacher_logits), lambda2=0.0)
