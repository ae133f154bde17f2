"""Export a network: a run in half precision, or ONNX for programs without this package and PyTorch."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .. import files, inputs
from ..data.dataset import PHOTO, SKETCH
from ..errors import ConfigError, RunError
from ..evaluation import evaluate
from ..runs import Run, require_images, write_run
from .card import model_card
from .embedder import Embedder, embed_images

DOMAINS = {"photo": PHOTO, "sketch": SKETCH}
# entries of the provenance that the exported run keeps
_KEPT = ("data", "teacher", "imitated", "class_vectors", "seconds", "seconds_training")
OPSET = 20
CLOSE = 1e-4  # largest difference of onnxruntime from PyTorch, relative to the largest value


def export_half(run: Run, folder: Path | str) -> Run:
    """Write a run with weights and embeddings in half precision to a new folder, to share it.

    The exported run is measured anew with these weights, and its card is the folder's README.md. Commands take the
    folder in place of a run's id.

    Args:
        run: a finished run; its data has to be available.
        folder: the folder to write; new or empty.

    Raises:
        ConfigError: if the folder is not empty.
        DataError: if the data of the run is missing.
        RunError: if the data has changed since, or the run is damaged.
    """
    folder = inputs.path(folder, "folder").resolve()
    if files.taken(folder):
        raise ConfigError(f"{folder}: is there already. Name a new folder.")
    data, e, origin = run.dataset(), run.experiment, run.provenance()
    require_images(run, data.fingerprint)
    method = run.network().half().float()
    metrics, arrays = evaluate(method, data, e)
    half = write_run(
        e,
        method.half(),
        run.history().to_dict("records"),  # type: ignore[arg-type]
        metrics,
        {name: x.astype(np.float16) if x.dtype == np.float32 else x for name, x in arrays.items()},
        folder,
        command=f"sakerepro export {run.id} --half",
        trained={name: origin[name] for name in ("commit", "processor", "finished")},
        **{name: origin[name] for name in _KEPT if name in origin},
    )
    files.write_text(half.file("README.md"), model_card(half))
    return half


def export_onnx(network: Embedder, domain: str, file: Path | str) -> Path:
    """Write a network as ONNX, for images of one domain: ``images`` (N, S, S, 3) uint8 RGB to ``embeddings`` (N, d).

    Normalisation and domain are part of the file, so a search needs one file for photos and one for sketches. The file
    is written only if onnxruntime reproduces PyTorch's embeddings of random images, within ``CLOSE``.

    Args:
        network: from :func:`sakerepro.load`.
        domain: ``"photo"`` or ``"sketch"``.
        file: to write.

    Raises:
        ConfigError: for another domain, or if the packages of ``sakerepro[onnx]`` are not installed.
        RunError: if the network cannot be written as ONNX, onnxruntime finds other embeddings, or the disk is full.
    """
    code = DOMAINS[inputs.one_of(domain, tuple(DOMAINS), "domain")]
    try:
        import onnxruntime
        import onnxscript  # noqa: F401 (the exporter of PyTorch needs it)
    except ImportError as error:
        raise ConfigError(f"ONNX needs more packages ({error}): pip install 'sakerepro[onnx]'.") from error
    images = np.random.default_rng(0).integers(0, 256, (3, network.size, network.size, 3), np.uint8)
    want = embed_images(network.network, list(images), code, network.size)
    with files.write_whole(Path(file)) as temporary:
        with files.writing(Path(file)):
            _write(_Pixels(network.network, code).eval(), images, temporary)
        session = onnxruntime.InferenceSession(temporary, providers=["CPUExecutionProvider"])
        got = np.concatenate([session.run(None, {"images": part})[0] for part in (images[:1], images[1:])])
        if not np.abs(got - want).max() <= CLOSE * np.abs(want).max():
            raise RunError(f"{file}: onnxruntime is {np.abs(got - want).max():g} from PyTorch, so nothing is written.")
    return Path(file)


class _Pixels(nn.Module):
    """(N, S, S, 3) uint8 images of one domain to (N, d) embeddings."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Any, domain: int) -> None:
        super().__init__()
        self.network, self.domain = network, float(domain)
        for name in ("mean", "std"):
            value = 255 * torch.tensor(getattr(network.backbone, name)).view(1, 3, 1, 1)
            self.register_buffer(name, value.to(next(network.parameters()).device))

    def forward(self, images: Tensor) -> Tensor:
        x = (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        return self.network.embed(x, x.new_full((x.shape[0],), self.domain))


def _write(module: _Pixels, images: np.ndarray, file: Path) -> None:
    shown = torch.from_numpy(images).to(module.mean.device)
    try:
        with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its internals
            torch.onnx.export(
                module,
                (shown,),
                file,
                input_names=["images"],
                output_names=["embeddings"],
                dynamic_shapes=({0: torch.export.Dim("images")},),
                opset_version=OPSET,
                external_data=False,
                dynamo=True,
                verbose=False,
            )
    except OSError:  # of the disk, not of the network
        raise
    except Exception as error:  # the exporter raises its own kinds
        raise RunError(f"this network cannot be written as ONNX ({type(error).__name__}: {error}).") from error
