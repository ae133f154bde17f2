"""``import``, ``export``, ``card``, ``weights``, ``teacher``: networks from others and for others."""

from __future__ import annotations

import argparse
from pathlib import Path

from .. import paths
from ..errors import ConfigError, near_misses
from ..files import write_text
from ..runs import named_run
from .runs import show_runs
from .settings import absolute


def import_checkpoint(arguments: argparse.Namespace) -> None:
    """Make a run of the authors' checkpoint."""
    from ..apps import official

    run = official.import_checkpoint(arguments.file, absolute(arguments.dataset), arguments.split)
    show_runs([run])
    facts = run.provenance()["official"]
    if "val_top1" in facts:
        published = f"; the file says {facts['best_acc1']:.1f} %" if "best_acc1" in facts else ""
        print(f"Held-out sketches of seen classes: top-1 {100 * facts['val_top1']:.1f} %{published}.")
    print(paths.shown(run.folder))


def export(arguments: argparse.Namespace) -> None:
    """Write a run in half precision, or its network as ONNX."""
    from ..apps.embedder import load
    from ..apps.export import export_half, export_onnx

    if arguments.half:
        half = export_half(named_run(arguments.run), arguments.to)
        size = sum(f.stat().st_size for f in half.folder.iterdir())
        print(f"{paths.shown(half.folder)}: {size / 1e6:.1f} MB; index, query and the others take it as --run")
        return
    network = load(arguments.run)
    file = export_onnx(network, arguments.onnx, arguments.to)
    shape = f"(N, {network.size}, {network.size}, 3)"
    print(f"{file}: {file.stat().st_size / 1e6:.1f} MB, images {shape} uint8 to embeddings")


def card(arguments: argparse.Namespace) -> None:
    """Write or print the model card of a run."""
    from ..apps.card import model_card

    run = named_run(arguments.run)
    if arguments.to == "-":
        print(model_card(run), end="")
        return
    write_text(file := Path(arguments.to or f"{run.id}-card.md"), model_card(run))
    print(paths.shown(file))


def weights(arguments: argparse.Namespace) -> None:
    """Download pretrained weights."""
    from ..networks.weights import fetch_weights

    print(fetch_weights(arguments.name, ask=not arguments.yes))


def teacher(arguments: argparse.Namespace) -> None:
    """Train the teachers of mini anew."""
    from ..teachers import ship_teacher, shipped_file

    known = sorted(file.stem for file in shipped_file("").parent.glob("*.safetensors"))
    for name in arguments.name or known:
        if name not in known:
            raise ConfigError(f"{name!r} is no teacher of mini. {near_misses(name, known)}")
        print(paths.shown(ship_teacher(name)))
