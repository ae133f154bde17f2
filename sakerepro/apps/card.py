"""The model card of a finished run; the template ``tables/model_card.md`` has the sentences."""

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
    """Markdown on a run: its use, data, numbers, limits, settings and provenance.

    Args:
        run: a finished run. Its classes are named if its data set is available and unchanged.

    Raises:
        RunError: if a file of the run is damaged.
    """
    return filled("model_card.md", **_facts(run))


def _facts(run: Run) -> dict[str, Any]:
    """The values of all names in the template."""
    e, origin, arrays = run.experiment, run.provenance(), run.embeddings()
    classes, generated = _classes(run)
    most = int(np.bincount(arrays["gallery_labels"]).max())
    head, rows = _measured(run)
    cut_offs = sorted({int(name[2:]) for name in head if name.startswith("P@")})
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
            (kind, len(labels), len(np.unique(labels)))
            for name, kind in SETS.items()
            for labels in [arrays[f"{name}_labels"]]
        ],
        "classes": classes,
        "head": head,
        "rows": rows,
        "fewest_most": most,
        "caps": [(k, most / k) for k in cut_offs if most < k],
        "history": run.history(),
        "settings": list(_settings(e)),
        "finished": datetime.fromtimestamp(origin["finished"], UTC).strftime("%Y-%m-%d %H:%M"),
    }


def _name(dataset: str) -> str:
    """The name of a data set or of its folder; a card holds no paths of this machine."""
    return Path(dataset).name


def _classes(run: Run) -> tuple[list[tuple[str, tuple[str, ...]]], bool]:
    """The names of seen and unseen classes, if the data is available and unchanged; and whether it is generated."""
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
    """The number of parameters without the statistics of batch norm; only the header of the file is read."""
    from safetensors import safe_open

    with safe_open(run.folder / "weights.safetensors", framework="np") as file:
        names = [n for n in file.keys() if n.rpartition(".")[2] not in BUFFERS]  # noqa: SIM118 (no mapping)
        return sum(math.prod(file.get_slice(n).get_shape()) for n in names)


def _measured(run: Run) -> tuple[list[str], list[list[str]]]:
    """The metrics of the standard convention: rows are tasks and representations, columns are metrics."""
    standard = [m for m in run.metrics() if m["convention"] == "standard"]
    names, lines = by_metric(standard, "task", "representation")
    cells = [[*key, *(f"{line[n]:.3f}" if n in line else "-" for n in names)] for key, line in lines.items()]
    return ["task", "features", *names], cells


def _settings(e: Experiment) -> Iterator[tuple[str, str, bool, str]]:
    """Name, value, whether the value differs from the default, and help of every setting."""
    documented = {f.name: (f.default, f.metadata["help"]) for f in dataclasses.fields(e)}
    documented |= {name: (s.default, s.help) for name, s in methods.class_of(e.method).settings.items()}
    for name, value in methods.flat(e).items():
        default, help = documented[name]
        text = _name(value) if name in ("dataset", "weights", "teacher_data") else value
        shown = ", ".join(map(str, text)) if isinstance(text, tuple) else str(text)
        yield name, escape(shown) or "(empty)", value != default, help
