"""The three losses of SAKE (section 3.4), in nats, each a mean over the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from . import inputs
from .errors import ConfigError

_HINT = "torch.as_tensor makes one."
_IGNORED = -(2**63)  # no label has this value; PyTorch's default would leave out images with label -100


def benchmark_loss(seen_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy to the true class, over photos and sketches alike (section 3.4, L_benchmark).

    Args:
        seen_logits: (N, C_S) student logits over the seen classes.
        labels: (N,) int64 class ids in [0, C_S).

    Returns:
        Scalar mean over the N images; 0 for N = 0.

    Raises:
        ConfigError: if a shape or type is wrong, or a label is out of range (checked on the CPU only).
    """
    try:
        return F.cross_entropy(seen_logits, labels, reduction="sum", ignore_index=_IGNORED) / max(len(labels), 1)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:  # a check beforehand would wait for the GPU
        raise ConfigError(f"seen_logits have to be (N, C_S), labels (N,) whole numbers below C_S: {error}") from error


def sake_loss(
    original_logits: Tensor, teacher_logits: Tensor, similarity: Tensor, *, lambda1: float = 1.0, lambda2: float = 0.3
) -> Tensor:
    """Cross-entropy to the semantic-aware teacher signal (section 3.4, L_SAKE).

    The target is ``softmax(lambda1 * t + lambda2 * a)``. With ``lambda1 = 1, lambda2 = 0`` this is L_teacher.

    Args:
        original_logits: (N, C_O) student logits over the original classes, photos only.
        teacher_logits: (N, C_O) logits of the frozen teacher on the same augmented photos.
        similarity: (N, C_O) rows of the semantic matrix, in [0, 1].

    Returns:
        Scalar mean over the N photos; 0 for N = 0, so that a batch may hold sketches only.

    Raises:
        ConfigError: if an argument is no tensor, or the three shapes differ.
    """
    arguments = {"original_logits": original_logits, "teacher_logits": teacher_logits, "similarity": similarity}
    for name, x in arguments.items():
        inputs.kind(x, Tensor, name, _HINT)
    if not original_logits.shape == teacher_logits.shape == similarity.shape or original_logits.ndim != 2:
        raise ConfigError(
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
        ConfigError: if an argument is no tensor, or the two shapes differ.
    """
    similarity = torch.zeros_like(inputs.kind(teacher_logits, Tensor, "teacher_logits", _HINT))
    return sake_loss(original_logits, teacher_logits, similarity, lambda2=0.0)
