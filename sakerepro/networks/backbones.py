"""Networks from timm and torchvision without their classifiers, and under a linear one: the teacher.

A :class:`Backbone` turns ``images (N, 3, S, S)`` and ``domain (N,)`` into ``features (N, F)``. Without gates it
ignores the domain. ``cse_<name>`` is ``<name>`` with gates, ``cse_resnet50`` being the paper's CSE-ResNet-50:
timm's ``legacy_seresnet50`` (Caffe style, as the official code) whose SE modules are given one more input, the domain.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .. import inputs
from ..errors import ConfigError, DataError
from .architectures import architecture
from .gates import DomainCode, add_gates
from .parts import in_parts


class Backbone(nn.Module):
    """A network without its classifier: ``(N, 3, S, S)`` images and ``(N,)`` domains to ``(N, num_features)``.

    Its first stages can be frozen (:meth:`freeze`). Frozen stages do not read the domain, so a student and its teacher
    share their output: ``rest(stem(images, k), domain, k)`` is ``forward(images, domain)`` for any k.
    """

    def __init__(self, body: nn.Module, num_features: int, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.body, self.num_features, self.mean, self.std = body, num_features, mean, std
        self.code: DomainCode | None = None
        self.frozen = 0
        self.chain = _chain
        self.part = 0  #: images in a part of a training batch, at least; 0: batches are not divided

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        return self.rest(self.stem(images, self.frozen), domain, self.frozen)

    def stem(self, images: Tensor, stages: int) -> Tensor:
        """The output of the first stages, without a gradient; for 0 stages the images themselves.

        Args:
            images: (N, 3, S, S) normalised images.
            stages: how many; below the number of the network's stages.

        Returns:
            (N, C, H, W) features, or (N, tokens, C) of a ViT.

        Raises:
            ConfigError: if the network has no such stages.
        """
        layers = self._split(stages)[0]
        with torch.no_grad():
            return in_parts(partial(self.chain, layers), layers, self.part, images) if layers else images

    def rest(self, features: Tensor, domain: Tensor, stages: int) -> Tensor:
        """The output of :meth:`stem` and (N,) domains to (N, num_features)."""
        layers = self._split(stages)[1]

        def of_part(features: Tensor, domain: Tensor) -> Tensor:
            if self.code is not None:
                self.code.value = domain
            return self.chain(layers, features)

        return in_parts(of_part, layers, self.part, features, domain)

    def _split(self, stages: int) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers of the first stages, and the layers that follow; for 0 stages the network in one piece."""
        if not stages:
            return [], [self.body]
        layers, ends = _layers(self.body)
        kind = type(self.body).__name__
        if not ends:
            raise ConfigError(
                f"freeze = {stages}: {kind} has no stages that could be frozen. Set it to 0, or choose a ResNet, "
                "EfficientNet, MobileNet, SqueezeNet or ViT as the backbone."
            )
        if stages >= len(ends):
            raise ConfigError(
                f"freeze = {stages}: this {kind} has {len(ends)} stages, and the last is always trained. Choose 0 to "
                f"{len(ends) - 1}."
            )
        end = ends[stages - 1]
        return layers[:end], layers[end:]

    def freeze(self, stages: int) -> Backbone:
        """Freeze the first stages, in place: no gradient, and the statistics of batch norm stay in train mode, too.

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

    def compile_layers(self) -> None:
        """Compile the layers of :meth:`stem` and those of :meth:`rest`, each in one piece."""
        torch.compiler.reset()  # drop the graphs of other networks: a process has room for eight
        self.chain = torch.compile(_chain)

    def with_gates(self, frozen: int = 0) -> Backbone:
        """A copy with a gate or token of the domain in every block; its output is still the same for both domains.

        Args:
            frozen: number of first stages that get no gates.

        Raises:
            ConfigError: if the network has no blocks to put gates into.
        """
        gated = copy.deepcopy(self)
        gated.code = DomainCode()
        if not add_gates(nn.ModuleList(gated._split(frozen)[1]), gated.code):
            raise ConfigError(
                f"{type(self.body).__name__} has neither SE modules (without a batch norm) nor residual blocks with a "
                "last batch norm nor a ViT's blocks, so there is no place for CSE gates. Use its name without 'cse_'."
            )
        return gated


def _layers(body: nn.Module) -> tuple[list[nn.Module], list[int]]:
    """A network as layers that are called in turn, and the number of layers up to the end of each stage.

    Stages are the residual ones, the blocks of a ViT, or the parts of SqueezeNet up to each max pooling; layers before
    the first stage belong to it. Other networks have no stages here, since their ``forward`` may do more than call the
    layers in turn.
    """
    from timm.models.efficientnet import EfficientNet
    from timm.models.mobilenetv3 import MobileNetV3
    from timm.models.resnet import ResNet
    from timm.models.senet import SENet
    from timm.models.vision_transformer import VisionTransformer as ViT
    from torchvision.models import SqueezeNet

    if isinstance(body, ViT):
        before = "patch_embed", "cls_token", "reg_token", "pos_embed", "norm_pre"
        first = _Part(lambda vit, x: vit.norm_pre(vit._pos_embed(vit.patch_embed(x))), body, *before)
        last = _Part(lambda vit, x: vit.forward_head(vit.norm(x)), body, "norm", "attn_pool", "fc_norm")
        return [first, *body.blocks, last], [2 + i for i in range(len(body.blocks))]
    if isinstance(body, SqueezeNet):
        pools = [index for index, layer in enumerate(body.features, 1) if isinstance(layer, nn.MaxPool2d)]
        return [*body.features, body.classifier, nn.Flatten()], [*pools, len(body.features)]
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


class _Part(nn.Module):
    """A part of a network's ``forward`` as a layer, with the parameters that it uses."""

    def __init__(self, call: Callable[[Any, Tensor], Tensor], network: Any, *names: str) -> None:
        super().__init__()
        self.call = partial(call, network)
        for name in names:
            setattr(self, name, getattr(network, name))

    def forward(self, x: Tensor) -> Tensor:
        return self.call(x)


def _chain(layers: list[nn.Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


class Classifier(nn.Module):
    """A backbone with the linear classifier over the original classes: the teacher, and where a student starts."""

    def __init__(self, name: str, backbone: Backbone, head: nn.Linear) -> None:
        super().__init__()
        self.name, self.backbone, self.head = name, backbone, head

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, S, S) to (N, C_O) logits."""
        return self.from_shared(images, 0)

    def from_shared(self, features: Tensor, stages: int) -> Tensor:
        """The output of the first stages (0: the images) to (N, C_O) logits."""
        return self.head(self.backbone.rest(features, features.new_zeros(len(features)), stages))


def build_classifier(
    name: str, num_classes: int, state: dict[str, Tensor] | None = None, *, size: int = 0, head: str = "own"
) -> Classifier:
    """Build an ungated classifier, optionally with weights named as timm or torchvision name them, loaded strictly.

    Args:
        name: one of ``ARCHITECTURES`` or any model of timm, without ``cse_``.
        num_classes: C_O, the outputs of the classifier; with ``state``, as many as its weights have.
        state: all weights, by name, the classifier's included; only the counters of batch norm may be missing. Those
            of EfficientNet-Lite may have the names of their packages. ``None`` leaves the random weights that the
            network is made with.
        size: side of the images, in pixels. A network whose weights fit one size only is adapted: its position
            embedding is interpolated. 0: no change.
        head: ``"own"``, or ``"probe"``: a linear layer with random weights replaces the last layer of the network.

    Raises:
        ConfigError: for an unknown name, a size that the network cannot take, or a network without a linear classifier.
        DataError: for weights of another network or shape.
    """
    spec = architecture(name)
    network: Any = spec.make(inputs.whole(num_classes, "num_classes", 0))
    all_names = network.state_dict().keys()
    last: Any = _linear(_cut_classifier(network))
    names = all_names - network.state_dict().keys()  # of the classifier's weights
    why = "" if isinstance(last, nn.Linear) else f"it ends in {type(last).__name__}"
    if state is not None:
        state = _timm_names(state, network) if "_conv_stem.weight" in state else state
        if problem := _load_strictly(network, {k: v for k, v in state.items() if k not in names}):
            raise DataError(f"The weights do not fit {name}: {problem}. Give weights of the same architecture.")
        if head == "own" and not why:
            why = _load_strictly(last, _flat({k.rpartition(".")[2]: state[k] for k in names & state.keys()}))
    if head == "own" and why:
        raise ConfigError(
            f"{name} has no linear classifier over {num_classes} classes ({why}): set --teacher-head probe, which fits "
            "one on labelled photos of the original domain."
        )
    if head == "probe" or size and spec.size not in (0, size):
        width = _resize(network, name, size or spec.size or 224, spec.size)
        last = nn.Linear(width, num_classes) if head == "probe" else last
    return Classifier(name, Backbone(network, last.in_features, tuple(spec.mean), tuple(spec.std)), last)


def _cut_classifier(network: Any) -> nn.Module:
    """Take the last layer with weights off a network and return it; the features of the AlexNet family are fc7."""
    layers = getattr(network, "classifier", None)
    if not isinstance(layers, nn.Sequential):
        last = network.get_classifier()
        network.reset_classifier(0)
        return last
    index = max(i for i, layer in enumerate(layers) if list(layer.parameters()))
    last, layers[index] = layers[index], nn.Identity()
    return last


def _linear(last: nn.Module) -> nn.Module:
    """A 1 x 1 convolution as a linear layer on pooled features; other layers as they are.

    This leaves out the ReLU that SqueezeNet has between its convolution and the pooling.
    """
    if not isinstance(last, nn.Conv2d) or last.kernel_size != (1, 1):
        return last
    layer = nn.Linear(last.in_channels, last.out_channels, last.bias is not None)
    layer.load_state_dict(_flat(last.state_dict()))
    return layer


def _flat(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a 1 x 1 convolution as those of a linear layer; weights of a linear layer as they are."""
    return {k: v.flatten(1) if v.ndim == 4 else v for k, v in state.items()}


def _resize(network: Any, name: str, size: int, native: int) -> int:
    """Set a network to images of ``size`` px; return the width of its features."""
    try:
        if native not in (0, size):
            network.set_input_size(img_size=size)
        with torch.no_grad():
            return network.eval()(torch.zeros(1, 3, size, size)).shape[1]
    except (AttributeError, AssertionError, RuntimeError) as error:
        raise ConfigError(f"{name} takes no images of {size} px: set size to {native or 224}.") from error


def _timm_names(state: dict[str, Tensor], network: Any) -> dict[str, Tensor]:
    """EfficientNet weights under timm's names: the packages number the blocks in one row and rename the layers."""
    blocks = [f"blocks.{i}.{j}" for i, stage in enumerate(network.blocks) for j in range(len(stage))]
    norms = {"_bn0": "bn1", "_bn1": "bn2", "_bn2": "bn3"}
    outside = {"_conv_stem": "conv_stem", "_conv_head": "conv_head", "_fc": "classifier", **norms}
    expanding = {"_expand_conv": "conv_pw", "_depthwise_conv": "conv_dw", "_project_conv": "conv_pwl", **norms}
    plain = {"_depthwise_conv": "conv_dw", "_project_conv": "conv_pw", "_bn1": "bn1", "_bn2": "bn2"}

    def timm_name(name: str) -> str:
        part, *rest = name.split(".")
        if part != "_blocks" or not rest[0].isdigit() or int(rest[0]) >= len(blocks):
            return ".".join([outside.get(part, part), *rest])
        block, layer, *parameter = rest
        layers = expanding if f"_blocks.{block}._expand_conv.weight" in state else plain
        return ".".join([blocks[int(block)], layers.get(layer, layer), *parameter])

    return {timm_name(name): tensor for name, tensor in state.items()}


def _load_strictly(network: nn.Module, state: dict[str, Tensor]) -> str:
    """Load all weights, or none if one does not fit; returns the reason as :func:`misfit` does."""
    want = network.state_dict()
    if problem := misfit(want, state):
        return problem
    network.load_state_dict({k: v.to(want[k].dtype) for k, v in state.items()}, strict=False)
    return ""


def misfit(want: dict[str, Tensor], state: dict[str, Tensor]) -> str:
    """A sentence on why the weights in ``state`` do not fit a network with the state ``want``; empty if they fit.

    Only the counters of batch norm may be missing, since nothing reads them.
    """
    missing = [k for k in want if k not in state and not k.endswith("num_batches_tracked")]
    extra = [k for k in state if k not in want]
    shapes = [k for k in want if k in state and state[k].shape != want[k].shape]
    if missing or extra or shapes:
        first = missing and f"{missing[0]!r} is missing" or extra and f"{extra[0]!r} is not part of the network"
        first = first or f"{shapes[0]!r} has shape {tuple(state[shapes[0]].shape)}, not {tuple(want[shapes[0]].shape)}"
        return f"{first}; {len(missing)} missing, {len(extra)} unknown, {len(shapes)} of another shape"
    return ""
