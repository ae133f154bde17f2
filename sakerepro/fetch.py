"""Downloading pretrained weights: only when asked to, and only as numbers (nothing is unpickled into objects)."""

from __future__ import annotations

from pathlib import Path

from . import paths
from .backbones import architecture
from .errors import ConfigError, DataError
from .files import write_whole


def fetch_weights(name: str, ask: bool = True) -> Path:
    """Download the ImageNet weights of an architecture to ``data/weights/<name>.safetensors``.

    Args:
        name: one of the package's architectures or a timm model.
        ask: ask on the terminal before anything is downloaded.

    Raises:
        ConfigError: if the name is unknown or has no pretrained weights. DataError: if the download fails.
    """
    from safetensors.torch import save_file

    target = paths.data() / "weights" / f"{name}.safetensors"
    hub = architecture(name).hub
    if target.is_file():
        return target
    if hub is None:
        raise ConfigError(f"There is no known source of pretrained weights for {name}; put them at {target}.")
    if ask and not _agreed(f"Download {hub} (10 to 250 MB) to {target}? [y/N] "):
        raise ConfigError("Nothing was downloaded. Answer y, or give --yes.")
    try:
        if hub.startswith("torchvision/"):
            from torchvision.models import AlexNet_Weights

            state = AlexNet_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
        else:
            import timm

            state = timm.create_model(hub, pretrained=True).state_dict()
    except Exception as error:  # the hub's clients raise their own kinds
        raise DataError(
            f"{hub} could not be downloaded ({error}). Get it by another way, and put it as safetensors at {target}."
        ) from error
    with write_whole(target) as temporary:
        save_file({k: v.contiguous() for k, v in state.items()}, temporary)
    return target


def _agreed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:  # nobody is there to answer
        return False
