"""Training the teacher (only where no pretrained one is at hand) and the student."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import MethodType

import numpy as np
import torch
from torch import Tensor, nn

from .backbones import Backbone, Classifier
from .data.augmentation import augment, draw_transforms, fill_value
from .data.batches import epoch_batches
from .data.dataset import Dataset, ImageSet, OriginalDomain
from .experiment import Experiment
from .loop import Batch, Task, device, fit, generator, place
from .losses import benchmark_loss, sake_loss
from .model import Student


def autocast(precision: str) -> contextlib.AbstractContextManager[object]:
    """Autocast to bfloat16, or nothing."""
    return torch.autocast(device().type, torch.bfloat16, enabled=precision == "bfloat16")


def freeze_batch_norm(network: nn.Module) -> None:
    """Keep the statistics of batch norm as they are; its scale and shift are trained on."""
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


def slow_depthwise_in_float32(network: nn.Module) -> None:
    """Train strided and large depthwise convolutions in float32 under autocast on a CPU.

    There bfloat16 has no fast gradient for them: it takes four to six times as long as in float32, a third of a
    training step of MobileNetV2 and half of one of EfficientNet-Lite0, which has nine of 5 x 5. Without a gradient
    bfloat16 is the faster one, and stays.
    """

    def forward(conv: nn.Conv2d, x: Tensor) -> Tensor:
        if x.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or not torch.is_grad_enabled():
            return type(conv).forward(conv, x)
        with torch.autocast("cpu", enabled=False):
            return type(conv).forward(conv, x.float()).to(x.dtype)

    for module in network.modules():
        if (
            isinstance(module, nn.Conv2d)
            and module.groups == module.in_channels > 1
            and (max(module.stride) > 1 or max(module.kernel_size) > 3)
        ):
            module.forward = MethodType(forward, module)  # type: ignore[method-assign]  # a deep copy gets its own


def speed_up(network: Student | Classifier, experiment: Experiment) -> None:
    """Make training steps of a network faster, in place; what it computes stays within rounding."""
    slow_depthwise_in_float32(network)
    if experiment.compile:
        network.backbone.compile_layers(experiment.freeze)


def make_batch(
    sets: list[tuple[ImageSet, np.ndarray]], size: int, style: str, backbone: Backbone, rng: np.random.Generator
) -> Batch:
    """Augmented images of one step: ``sets`` pairs an image set with the positions to take, photos first."""
    images = np.empty((sum(len(index) for _, index in sets), size, size, 3), np.float32)
    labels, domains, names, done = [], [], [], 0
    for image_set, index in sets:
        transforms = draw_transforms(len(index), style, rng)
        augment(
            image_set.take(index), transforms, size, mean=backbone.mean, std=backbone.std,
            fill=fill_value(style, image_set.domain), out=images[done : done + len(index)],
        )  # fmt: skip
        done += len(index)
        labels.append(image_set.labels[index])
        domains.append(np.full(len(index), image_set.domain, dtype=np.float32))
        names += [image_set.names[i] for i in index]
    return Batch(
        torch.from_numpy(images).permute(0, 3, 1, 2),  # channels last
        torch.from_numpy(np.concatenate(labels)),
        torch.from_numpy(np.concatenate(domains)),
        sum(len(index) for image_set, index in sets if image_set.domain == 0),
        names,
    )


def train_teacher(
    teacher: Classifier, original: OriginalDomain, *, size: int, epochs: int, seed: int, checkpoint: Path
) -> list[dict[str, float]]:
    """Train a classifier on the photos of the original domain, in place; return its history.

    The paper takes a network pretrained on ImageNet; this stands in for that where the world is generated.
    """
    network = place(teacher)

    def plan(epoch: int) -> list[np.ndarray]:
        network.train()
        order = generator(seed, epoch, 2**31).permutation(len(original.train))
        return np.array_split(order, max(1, len(order) // 64))

    def losses(batch: Batch) -> dict[str, Tensor]:
        return {"loss": benchmark_loss(network(batch.images), batch.labels)}

    def after_epoch(epoch: int) -> dict[str, float]:
        from .embedding import top1

        return {"val_top1": top1(lambda x, d: network(x), network, original.val, size)}

    task = Task(
        network, torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.05), plan,
        lambda index, rng: make_batch([(original.train, index)], size, "centred", network.backbone, rng),
        losses, lambda epoch: 0.5 * (1 + np.cos(np.pi * epoch / epochs)), epochs, seed, after_epoch,
    )  # fmt: skip
    history = fit(task, checkpoint, "teacher")
    network.eval()
    return history


def student_losses(
    student: Student, teacher: Classifier, similarity: Tensor, experiment: Experiment
) -> Callable[[Batch], dict[str, Tensor]]:
    """The objective ``L_benchmark + lambda_SAKE * L_SAKE`` (section 3.4) as a function of a batch."""

    def losses(batch: Batch) -> dict[str, Tensor]:
        n = batch.photos
        with autocast(experiment.precision):
            shared = student.frozen_stages(batch.images)
            seen_logits, original_logits = student.from_shared(shared, batch.domain)
            if experiment.lambda_sake:
                with torch.no_grad():
                    # photos only: the teacher has never seen a sketch (section 3.4)
                    teacher_logits = teacher.from_shared(shared[:n], student.backbone.frozen)
        loss_b = benchmark_loss(seen_logits.float(), batch.labels)
        if not experiment.lambda_sake:
            return {"loss": loss_b, "loss_benchmark": loss_b.detach()}
        loss_s = sake_loss(
            original_logits[:n].float(), teacher_logits.float(), similarity[batch.labels[:n]],
            lambda1=experiment.lambda1, lambda2=experiment.lambda2,
        )  # fmt: skip
        total = loss_b + experiment.lambda_sake * loss_s
        return {"loss": total, "loss_benchmark": loss_b.detach(), "loss_sake": loss_s.detach()}

    return losses


def train_student(
    student: Student,
    teacher: Classifier,
    data: Dataset,
    similarity: np.ndarray,
    experiment: Experiment,
    checkpoint: Path,
    trace: Callable[[Student], dict[str, float]] | None = None,
) -> list[dict[str, float]]:
    """Fine-tune the student in place (section 3.4 and 4.1); return its history.

    Args:
        student: made by :func:`sakerepro.build_student`; left in eval mode, with the selected epoch's weights.
        teacher: frozen; sees the same augmented photos.
        data: its seen classes are trained on, its validation sketches give ``val_top1``.
        similarity: (C_S, C_O) semantic matrix in [0, 1].
        experiment: all settings.
        checkpoint: file to go on from.
        trace: measures more after each epoch, into the history; never used for a choice.
    """
    e = experiment
    place(student)
    place(teacher).eval().requires_grad_(False)
    speed_up(student, e)
    speed_up(teacher, e)
    head = [*student.seen_head.parameters()]
    rest = [p for p in student.parameters() if p.requires_grad and all(p is not q for q in head)]
    optimiser = torch.optim.Adam(
        [{"params": rest, "lr": e.lr}, {"params": head, "lr": e.lr * e.head_lr}], weight_decay=e.weight_decay
    )

    def ready(epoch: int) -> None:
        student.train()
        if e.batch_norm == "frozen":
            freeze_batch_norm(student)

    def plan(epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        ready(epoch)
        return epoch_batches(
            len(data.train_sketch), len(data.train_photo), e.batch_sketch, e.batch_photo,
            seed=e.seed, epoch=epoch, steps=e.steps or None,
        )  # fmt: skip

    def prepare(index: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> Batch:
        sets = [(data.train_photo, index[1]), (data.train_sketch, index[0])]
        return make_batch(sets, e.size, e.augmentation, student.backbone, rng)

    def after_epoch(epoch: int) -> dict[str, float]:
        from .embedding import top1

        measured = {}
        if len(data.val_sketch):
            measured["val_top1"] = top1(lambda x, d: student(x, d)[0], student, data.val_sketch, e.size)
        return measured | (trace(student) if trace else {})

    loss = student_losses(student, teacher, torch.from_numpy(similarity).to(device()), e)
    rate = lambda epoch: (e.lr_end / e.lr) ** (epoch / e.epochs)  # noqa: E731
    score = "val_top1" if e.select == "val" and len(data.val_sketch) else ""
    task = Task(student, optimiser, plan, prepare, loss, rate, e.epochs, e.seed, after_epoch, score)
    history = fit(task, checkpoint, e.method)
    student.eval()
    return history
