"""The interface between a method and the training, the evaluation and the applications.

A method is an ``nn.Module`` made from an experiment, a student network and side information. Everything that changes
during the training must be a parameter or a buffer: then a checkpoint of its ``state_dict`` and its optimisers is
enough to resume with the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..data.batches import epoch_batches, pair_batches, triplet_batches, zipped_steps
from ..experiment import Experiment, valid
from ..model import Student, freeze_batch_norm
from ..training import Batch, Features, Optimisers, descend
from .vectors import identified

if TYPE_CHECKING:
    from ..data.dataset import Dataset
    from ..networks.backbones import Backbone, Classifier


@dataclass(frozen=True)
class Setting:
    """One setting of a method; its type is that of the default."""

    default: Any
    help: str
    low: float | None = None  #: the lowest allowed value
    choices: tuple[Any, ...] = ()
    parse: Callable[[str, Any], Any] | None = None  #: (name, value) -> its canonical form, or ConfigError
    search: tuple[Any, ...] = ()  #: values that `sakerepro tune` tries, if any

    def check(self, name: str, value: Any) -> Any:
        """Check a value and convert it to the type of the default.

        Raises:
            ConfigError: names the setting, the value and what is possible.
        """
        value = valid(name, value, type(self.default), self.low, self.choices)
        return self.parse(name, value) if self.parse else value


# Settings that several methods share; a method merges those that it needs: ``settings = {**FEATURES, ...}``.
FEATURES = {
    "features": Setting(
        "L_B",
        "frozen backbone: L_B (of the L_B run with the same seed) or pretrained",
        choices=("L_B", "pretrained"),
    ),
}
CLASS_VECTORS = {
    "class_vectors": Setting(
        "wordnet",
        "vectors of the seen classes: wordnet, hiesim, glove, means, random, or a file of word vectors",
        parse=identified,
    ),
}
PAIRS = {
    "pairs": Setting(
        "class",
        "photo for each sketch: class (any of its class) or aligned (the one it was drawn from; Sketchy)",
        choices=("class", "aligned"),
    ),
}
ALIGNED = {"pairs": replace(PAIRS["pairs"], default="aligned")}


@dataclass(frozen=True)
class Side:
    """The side information of a method, besides images and labels; about seen classes only."""

    seen: tuple[str, ...]  #: names of the C_S seen classes
    teacher: Classifier | None = None  #: the frozen network that is imitated; None if a finished run is opened
    wnids: tuple[str, ...] = ()  #: the original classes, in the order of the teacher's outputs
    vectors: Tensor | None = None  #: (C_S, k) class vectors, where the method needs them


class Method(nn.Module):
    """A network that embeds photos and sketches, and its training. Subclasses override what differs from SAKE.

    Args:
        e: the experiment; ``self.s`` holds the method's own settings, defaults filled in.
        student: pretrained backbone, feature layer and heads, from which the training starts.
        side: names of the seen classes, teacher, class vectors.
    """

    version: ClassVar[int] = 1  #: raised when this method's numbers change; the results of others stay
    needs: ClassVar[frozenset[str]] = frozenset()  #: of "teacher", "class vectors", "aligned", "features"
    float64: ClassVar[bool] = False  #: whether it computes in float64, which mps has not
    distance: ClassVar[str] = "cosine"  #: between real-valued embeddings
    classifies: ClassVar[bool] = False  #: whether seen_logits is trained to classify
    signs: ClassVar[bool] = False  #: whether codes are the signs of embeddings; if not, :meth:`code` or ITQ makes them
    by_parts: ClassVar[bool] = True  #: whether the backbone may compute parts of a batch side by side, in threads
    settings: ClassVar[dict[str, Setting]] = {}

    vectors: Tensor  #: (C_S, k), for methods that need class vectors

    def __init__(self, e: Experiment, student: Student, side: Side) -> None:
        super().__init__()
        self.e, self.student = e, student
        self.s = SimpleNamespace(**{n: s.default for n, s in self.settings.items()} | dict(e.settings))
        self.register_buffer("vectors", side.vectors)

    @classmethod
    def canonical(cls, settings: dict[str, Any]) -> dict[str, Any]:
        """Drop settings that have no effect, so that equal experiments are one run; called for trained methods only."""
        return settings

    @classmethod
    def uses_teacher(cls, e: Experiment) -> bool:
        """Whether the training uses the teacher."""
        return e.epochs > 0 and "teacher" in cls.needs

    @classmethod
    def imitates(cls, e: Experiment) -> str:
        """Name of another network whose logits the method imitates; empty: those of its own teacher."""
        return ""

    @property
    def backbone(self) -> Backbone:
        """The student's backbone, with the mean and standard deviation of its input."""
        return self.student.backbone

    @property
    def epochs(self) -> int:
        """Number of epochs, the setting ``rounds`` of a method that has one and ``e.epochs`` of the others."""
        return getattr(self.s, "rounds", self.e.epochs)

    def optimisers(self) -> Optimisers:
        """Adam on everything that requires gradients; the benchmark head at ``head_lr`` times the rate."""
        head = [*self.student.seen_head.parameters()]
        rest = [p for p in self.parameters() if p.requires_grad and all(p is not q for q in head)]
        groups = [{"params": rest, "lr": self.e.lr}, {"params": head, "lr": self.e.lr * self.e.head_lr}]
        return Optimisers(adam=torch.optim.Adam(groups, weight_decay=self.e.weight_decay))

    def rate(self, epoch: int) -> float:
        """Factor on all learning rates: decay from ``lr`` to ``lr_end`` (section 4.1), or 1 on frozen features."""
        return 1.0 if "features" in self.needs else (self.e.lr_end / self.e.lr) ** (epoch / self.epochs)

    def plan(self, data: Dataset, epoch: int) -> Sequence[tuple[np.ndarray, np.ndarray]]:
        """(sketch rows, photo rows) of each step of an epoch; by default SAKE's two loaders, zipped."""
        e = self.e
        return epoch_batches(
            len(data.train_sketch),
            len(data.train_photo),
            e.batch_sketch,
            e.batch_photo,
            seed=e.seed,
            epoch=epoch,
            steps=e.steps or None,
        )

    def pairs(
        self, data: Dataset, epoch: int, *, size: int = 0, balanced: bool = False
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """A plan of :func:`~sakerepro.data.batches.pair_batches`, aligned if the setting ``pairs`` says so.

        Without that setting, the pairs are aligned if ``needs`` has "aligned".

        Args:
            data, epoch: as in :meth:`plan`.
            size: pairs in a step; an epoch goes once through the sketches. 0: as many images and steps as SAKE's.
            balanced: as in ``pair_batches``.
        """
        steps = -(-len(data.train_sketch) // size) if size else self._steps(data)
        size = size or max(1, (self.e.batch_sketch + self.e.batch_photo) // 2)
        return pair_batches(data, size, steps, self.e.seed, epoch, aligned=self._aligned, balanced=balanced)

    def triplets(self, data: Dataset, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """A plan of triplets with as many images and steps as SAKE's; positive photos first, then negative ones."""
        size = max(1, (self.e.batch_sketch + self.e.batch_photo) // 3)
        return triplet_batches(data, size, self._steps(data), self.e.seed, epoch, aligned=self._aligned)

    @property
    def _aligned(self) -> bool:
        return getattr(self.s, "pairs", "aligned" if "aligned" in self.needs else "class") == "aligned"

    def _steps(self, data: Dataset) -> int:
        e = self.e
        return e.steps or zipped_steps(len(data.train_sketch), len(data.train_photo), e.batch_sketch, e.batch_photo)

    def begin(self, features: Callable[[], Features]) -> None:
        """Called once before the first epoch, for closed forms, anchors, first codes; see :meth:`before_epoch`."""

    def before_epoch(self, epoch: int, features: Callable[[], Features]) -> None:
        """Called before each epoch, for margins and discrete steps; ``features()`` uses the current network."""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The losses of a batch: ``"loss"`` is minimised, the others are recorded."""
        raise NotImplementedError

    def weighted(self, terms: dict[str, Tensor]) -> dict[str, Tensor]:
        """``"loss"``, the terms weighted by the settings of their names, and each as ``loss_<name>``."""
        loss = torch.stack([getattr(self.s, name) * term for name, term in terms.items()]).sum()
        return {"loss": loss} | {f"loss_{name}": term for name, term in terms.items()}

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        """One gradient step on ``"loss"``; returns all losses, detached. Adversarial methods override it."""
        return descend(self.losses, batch, optimisers)

    def train(self, mode: bool = True) -> Method:
        """Like ``nn.Module.train``; with ``batch_norm = frozen`` the pretrained statistics of batch norm stay."""
        super().train(mode)
        if mode and self.e.batch_norm == "frozen":
            freeze_batch_norm(self.student)
        return self

    def seen_logits(self, images: Tensor, domain: Tensor) -> Tensor:
        """(N, C_S) logits over seen classes; if ``classifies``, they give the accuracy on held-out sketches."""
        return self.student.seen_head(self.student.embed(images, domain))

    def features(self, images: Tensor, domain: Tensor | int) -> Tensor:
        """(N, F) features of the shared backbone; (N, 3, S, S) images, domain 0 photo, 1 sketch."""
        return self.student.features(images, domain)

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        """(N, d) embeddings x of (N, F) features, by default from the feature layer (Figure 2)."""
        return self.student.feature(features)

    def embed(self, images: Tensor, domain: Tensor | int) -> Tensor:
        """(N, d) embeddings of (N, 3, S, S) normalised images; domain 0 photo, 1 sketch, or (N,) of them.

        Batches are embedded side by side, so neither this nor a method that it calls may store anything of a batch.
        """
        return self.embed_features(self.features(images, domain), domain)

    def code(self, x: Tensor, domain: int) -> Tensor | None:
        """(N, bits) codes in {0, 1} of (N, d) embeddings of one domain, or None: ITQ on training embeddings."""
        return (x > 0).to(torch.uint8) if self.signs else None

    def load_state_dict(self, state: Any, strict: bool = True, assign: bool = False) -> Any:
        """Like ``nn.Module.load_state_dict``; buffers made by :meth:`begin` take the saved shape."""
        for module_name, module in self.named_modules():
            for name, value in list(module._buffers.items()):
                saved = state.get(f"{module_name}.{name}".lstrip("."))
                if saved is not None and (value is None or value.shape != saved.shape):
                    module._buffers[name] = torch.empty_like(saved)
        return super().load_state_dict(state, strict, assign)


def is_sketch(domain: Tensor | int, x: Tensor) -> Tensor:
    """(N,) whether each of the N rows of x is a sketch's; ``domain`` as in :meth:`Method.embed`."""
    return torch.as_tensor(domain, device=x.device).expand(len(x)) > 0


def class_sums(x: Tensor, labels: Tensor, classes: int) -> Tensor:
    """(C, d) sums of (N, d) rows over each class, the same in every call."""
    sums = x.new_zeros(classes, x.shape[1])
    if x.device.type == "cpu":
        return sums.index_add_(0, labels, x)
    return sums.index_put_((labels,), x, accumulate=True)  # on a GPU, index_add_ adds in any order


def root_mean_square(x: Tensor) -> Tensor:
    """The root of the mean square of all entries, summed in float64 on the CPU, since MPS has no float64."""
    return x.cpu().double().square().mean().sqrt().to(x)


@torch.no_grad()
def standardise(layer: nn.Linear, outputs: Tensor) -> None:
    """Bring a layer's (N, d) outputs on the training images to mean 0 and variance 1."""
    std = outputs.std(dim=0).clamp(min=1e-6)
    layer.weight.div_(std[:, None])
    layer.bias.copy_((layer.bias - outputs.mean(dim=0)) / std)


@torch.no_grad()
def regress(layer: nn.Linear, x: Tensor, y: Tensor) -> None:
    """Set a layer to the ridge regression of (N, M) y on (N, F) x; the penalty is 1 % of the mean variance of x."""
    x, y = x.double(), y.double()
    covariance = torch.cov(x.T, correction=0)
    covariance.diagonal().add_(0.01 * covariance.diagonal().mean())
    w = torch.linalg.solve(covariance, (x - x.mean(dim=0)).T @ y / len(y)).T
    layer.weight.copy_(w)
    layer.bias.copy_(y.mean(dim=0) - w @ x.mean(dim=0))
