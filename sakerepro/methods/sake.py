"""SAKE: ``L_benchmark + lambda_SAKE * L_SAKE`` (section 3.4). Without L_SAKE it is L_benchmark alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..errors import ConfigError
from ..experiment import Experiment
from ..losses import benchmark_loss, sake_loss
from ..model import Student
from ..networks.architectures import architecture, teacher_architecture
from ..networks.backbones import Classifier
from ..semantics import semantic_similarity
from ..training import Batch, autocast, frozen
from .contract import Method, Setting, Side

OWN, SHUFFLED = "own", "shuffled"  # values of the setting ``teacher`` that name no network


def _checked_teacher(name: str, value: str) -> str:
    if value.startswith("cse_"):
        raise ConfigError(f"{name} = {value!r}: a teacher has no gates. Give {teacher_architecture(value)!r}.")
    if value not in (OWN, SHUFFLED):
        try:
            architecture(value)
        except ConfigError as error:
            raise ConfigError(f"{name} has to be {OWN}, {SHUFFLED} or a network. {error}") from error
    return value


class SAKE(Method):
    """Semantic-aware knowledge preservation (Liu et al., ICCV 2019)."""

    needs = frozenset({"teacher"})
    classifies = True
    settings = {
        "lambda_sake": Setting(
            1.0, "weight of L_SAKE; 0 trains with L_benchmark alone", low=0.0, search=(0.1, 0.3, 1.0, 3.0)
        ),
        "lambda1": Setting(1.0, "weight of the teacher's logits in the teacher's signal", low=0.0),
        "lambda2": Setting(0.3, "weight of the semantic similarity in the teacher's signal; 0: L_teacher", low=0.0),
        "semantics": Setting(
            "path",
            "WordNet similarity: path (the paper) or thresholded (the official code)",
            choices=("path", "thresholded"),
        ),
        "teacher": Setting(
            OWN,
            "whose logits are imitated: own (the network that the student starts from), shuffled (own, those of "
            "another photo of the batch, as a control), or another network by name",
            parse=_checked_teacher,
        ),
    }

    teacher: tuple[Classifier, ...] = ()  # in a tuple, to keep its weights out of state_dict
    similarity: Tensor  # A: (C_S, C_O), if there is a teacher
    to_teacher: Tensor  # (2, 3, 1, 1) scale and shift from the student's normalisation to that of another network

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__(e, student, side)
        if side.teacher is not None:
            self.teacher = (frozen(side.teacher, e.but(freeze=0) if self.imitates(e) else e),)
            parts = (getattr(x.backbone, name) for x in (student, side.teacher) for name in ("mean", "std"))
            mean, std, teacher_mean, teacher_std = (torch.tensor(part).view(3, 1, 1) for part in parts)
            self.register_buffer("to_teacher", torch.stack([std, mean - teacher_mean]) / teacher_std, persistent=False)
            a = semantic_similarity(side.seen, side.wnids, rule=self.s.semantics, dataset=e.dataset)
            self.register_buffer("similarity", torch.from_numpy(a), persistent=False)

    @classmethod
    def canonical(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Drop what has no effect: all other settings if ``lambda_sake = 0``, ``semantics`` if ``lambda2 = 0``."""
        if settings["lambda_sake"] == 0:
            return {"lambda_sake": 0.0}
        return {k: v for k, v in settings.items() if k != "semantics" or settings["lambda2"]}

    @classmethod
    def uses_teacher(cls, e: Experiment) -> bool:
        """Whether it is trained with a positive weight of L_SAKE."""
        return super().uses_teacher(e) and dict(e.settings).get("lambda_sake", 1.0) > 0

    @classmethod
    def imitates(cls, e: Experiment) -> str:
        """The setting ``teacher`` where it names another network than the one that the student starts from."""
        name = dict(e.settings).get("teacher", OWN)
        same = (OWN, SHUFFLED) if e.weights else (OWN, SHUFFLED, teacher_architecture(e.backbone))
        return "" if name in same else str(name)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """L_benchmark over sketches and photos, L_SAKE over photos."""
        n = batch.photos
        with autocast(self.e.precision):
            shared = self.student.frozen_stages(batch.images)  # for both networks; the images if no stage is frozen
            seen_logits, original_logits = self.student.from_shared(shared, batch.domain)
            if self.s.lambda_sake:
                with torch.inference_mode():  # photos only: the teacher has never seen a sketch
                    teacher_logits = self._teacher_logits(batch.images[:n], shared[:n])
        loss_b = benchmark_loss(seen_logits.float(), batch.labels)
        if not self.s.lambda_sake:
            return {"loss": loss_b, "loss_benchmark": loss_b.detach()}
        loss_s = sake_loss(
            original_logits[:n].float(),
            teacher_logits.float(),
            self.similarity[batch.labels[:n]],
            lambda1=self.s.lambda1,
            lambda2=self.s.lambda2,
        )
        total = loss_b + self.s.lambda_sake * loss_s
        return {"loss": total, "loss_benchmark": loss_b.detach(), "loss_sake": loss_s.detach()}

    def _teacher_logits(self, photos: Tensor, shared: Tensor) -> Tensor:
        """(n, C_O) logits of n photos, of which ``shared`` is the output of the student's frozen stages."""
        if self.imitates(self.e):  # another normalisation, no shared stages
            scale, shift = self.to_teacher
            return self.teacher[0](photos * scale + shift)
        logits = self.teacher[0].from_shared(shared, self.e.freeze)
        return logits.roll(1, 0) if self.s.teacher == SHUFFLED else logits
