"""``export``: networks for other programs."""

from __future__ import annotations

import argparse
from typing import Any


def add(commands: Any) -> None:
    """Register the commands of this module."""
    export = commands.add_parser(
        "export",
        help="write the network of a run as ONNX, for photos or for sketches",
        description="Write the network of a finished run as an ONNX file: images (N, S, S, 3), uint8 RGB, to "
        "embeddings (N, d), for photos or for sketches. onnxruntime has to find PyTorch's embeddings with it. Needs "
        "`pip install 'sakerepro[onnx]'`.",
    )
    export.add_argument("run", metavar="RUN", help="id of a run (a part of it is enough), or its folder")
    export.add_argument("--onnx", required=True, choices=("photo", "sketch"), help="whose images the file embeds")
    export.add_argument("file", metavar="FILE", help="to write, such as sketch.onnx")
    export.set_defaults(function=_export)


def _export(arguments: argparse.Namespace) -> None:
    from ..apps.embedder import load
    from ..apps.export import export_onnx

    network = load(arguments.run)
    made = export_onnx(network, arguments.onnx, arguments.file)
    shape = f"(N, {network.size}, {network.size}, 3)"
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB, images {shape} uint8 to embeddings")
