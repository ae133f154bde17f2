"""``import``, ``export``: read the authors' checkpoint, write a network for others."""

from __future__ import annotations

import argparse
from typing import Any

from .runs import absolute, show_runs


def add(commands: Any) -> None:
    """Register the commands of this module."""
    importing = commands.add_parser(
        "import",
        help="make a run of the checkpoint that the authors of SAKE published",
        description="Read an official checkpoint of CSE-ResNet-50, measure it on the data it was trained on, and keep "
        "it as a run for evaluate, index, query and card. Every image of the data is embedded once: this takes minutes "
        "on a GPU, hours on a CPU. Only tensors and numbers are read from the file.",
        epilog="example: sakerepro import model_best.pth.tar --dataset tuberlin",
    )
    importing.add_argument("file", metavar="FILE", help="the .pth.tar file out of the authors' cse_resnet50.zip")
    importing.add_argument("--dataset", required=True, help="data it was trained on: tuberlin, sketchy or a folder")
    importing.add_argument("--split", default="", help="split of this data; by default its usual one")
    importing.set_defaults(function=_import)

    export = commands.add_parser(
        "export",
        help="write a run for others: its network as ONNX, or itself in half precision",
        description="With --onnx, write the network of a finished run as an ONNX file: images (N, S, S, 3), uint8 RGB, "
        "to embeddings (N, d), for photos or for sketches. The file is kept only if onnxruntime gives PyTorch's "
        "embeddings with it. Needs `pip install 'sakerepro[onnx]'`. With --half, write the run to a folder of its own, "
        "in half precision and measured anew; the folder goes wherever a run's id does.",
        epilog="example: sakerepro export RUN --onnx sketch sketch.onnx",
    )
    export.add_argument("run", metavar="RUN", help="id of a run (a part of it is enough), or its folder")
    kind = export.add_mutually_exclusive_group(required=True)
    kind.add_argument("--onnx", choices=("photo", "sketch"), help="whose images the file embeds")
    kind.add_argument("--half", action="store_true", help="the run itself, in half precision")
    export.add_argument("to", metavar="TO", help="file to write, such as sketch.onnx, or a new folder")
    export.set_defaults(function=_export)


def _import(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..apps.official import import_checkpoint

    made = import_checkpoint(arguments.file, absolute(arguments.dataset), arguments.split)
    show_runs([made])
    said = made.provenance()["official"]
    if "val_top1" in said:
        there = f"; the file says {said['best_acc1']:.1f} %" if "best_acc1" in said else ""
        print(f"Held-out sketches of seen classes: top-1 {100 * said['val_top1']:.1f} %{there}.")
    print(paths.shown(made.folder))


def _export(arguments: argparse.Namespace) -> None:
    from .. import paths
    from ..apps.embedder import load
    from ..apps.export import export_half, export_onnx
    from ..runs import named_run

    if arguments.half:
        half = export_half(named_run(arguments.run), arguments.to)
        size = sum(f.stat().st_size for f in half.folder.iterdir())
        print(f"{paths.shown(half.folder)}: {size / 1e6:.1f} MB; index, query and the others take it as --run")
        return
    network = load(arguments.run)
    made = export_onnx(network, arguments.onnx, arguments.to)
    shape = f"(N, {network.size}, {network.size}, 3)"
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB, images {shape} uint8 to embeddings")
