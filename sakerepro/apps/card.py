"""The model card of a finished run: facts for the sentences in ``tables/model_card.md``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from .. import methods
from ..data.known import datasets
from ..errors import SakeError
from ..experiment import Experiment, split_name
from ..results.tables_text import escape, filled
from ..runs import Run, require_images
from .compare import by_metric

SETS = {
    "train_sketch": "training sketches",
    "train_photo": "training photos",
    "query": "query sketches (unseen)",
    "gallery": "gallery photos (unseen)",
}
BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def model_card(run: Run) -> str:
    """Markdown: what a run is, how to use it, its data, numbers, limits, settings and provenance.

    Args:
        run: a finished run. Its classes are named if its data set is at hand and still the same.

    Raises:
        RunError: if a file of the run is damaged.
    """
    return filled("model_card.md", **_facts(run))


def _facts(run: Run) -> dict[str, Any]:
    """Everything that the template names."""
    e, origin, arrays = run.experiment, run.provenance(), run.embeddings()
    classes, generated = _classes(run)
    most = int(np.bincount(arrays["gallery_labels"]).max())
    head, rows = _measured(run)
    cut = sorted({int(name[2:]) for name in head if name.startswith("P@")})
    return {
        "run": run,
        "e": e,
        "label": methods.label(e),
        "own": ", ".join(f"{k} = {v}" for k, v in e.settings),
        "taught": methods.class_of(e.method).uses_teacher(e),
        "origin": origin,
        "weights": origin["files"]["weights.safetensors"],
        "generated": generated,
        "parameters": _parameters(run),
        "codes": ", ".join(str(b) for b in e.bits if b <= e.dim),
        "original": _name(e.teacher_data or e.dataset),
        "dataset": _name(e.dataset),
        "split": split_name(e) or "the usual one",
        "counts": [
            (what, len(labels), len(np.unique(labels)))
            for name, what in SETS.items()
            for labels in [arrays[f"{name}_labels"]]
        ],
        "classes": classes,
        "head": head,
        "rows": rows,
        "fewest_most": most,
        "caps": [(k, most / k) for k in cut if most < k],
        "history": run.history(),
        "settings": list(_settings(e)),
        "finished": datetime.fromtimestamp(origin["finished"], UTC).strftime("%Y-%m-%d %H:%M"),
    }


def _name(dataset: str) -> str:
    """A data set's name, or that of its folder: a card says nothing of where things lie on this machine."""
    return Path(dataset).name


def _classes(run: Run) -> tuple[list[tuple[str, tuple[str, ...]]], bool]:
    """The names of seen and unseen classes, if the run's data is here unchanged, and whether it is generated."""
    from ..plots.labels import is_generated

    try:
        data = run.dataset()
        require_images(run, data.fingerprint)
    except SakeError:
        record = datasets().get(run.experiment.dataset)
        return [], bool(record and record.generated)
    sides = (("Seen", data.seen), ("Unseen", data.unseen))
    return [(f"{side} ({len(names)})", names) for side, names in sides], is_generated(data)


def _parameters(run: Run) -> int:
    """How many numbers were trained or copied, batch norm's statistics left out; reads the file's header alone."""
    from safetensors import safe_open

    with safe_open(run.folder / "weights.safetensors", framework="np") as file:
        names = [n for n in file.keys() if n.rpartition(".")[2] not in BUFFERS]  # noqa: SIM118 (no mapping)
        return sum(math.prod(file.get_slice(n).get_shape()) for n in names)


def _measured(run: Run) -> tuple[list[str], list[list[str]]]:
    """The table of the standard convention: a row a task and representation, a column a metric."""
    standard = [m for m in run.metrics() if m["convention"] == "standard"]
    names, lines = by_metric(standard, "task", "representation")
    cells = [[*key, *(f"{line[n]:.3f}" if n in line else "-" for n in names)] for key, line in lines.items()]
    return ["task", "features", *names], cells


def _settings(e: Experiment) -> Iterator[tuple[str, str, bool, str]]:
    """Name, value, whether it is not the default, and help of every setting."""
    known = {f.name: (f.default, f.metadata["help"]) for f in dataclasses.fields(e)}
    known |= {name: (s.default, s.help) for name, s in methods.class_of(e.method).settings.items()}
    for name, value in methods.flat(e).items():
        default, help = known[name]
        text = _name(value) if name in ("dataset", "weights", "teacher_data") else value
        shown = ", ".join(map(str, text)) if isinstance(text, tuple) else str(text)
        yield name, escape(shown) or "(empty)", value != default, help
