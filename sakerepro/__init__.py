"""SAKE: zero-shot sketch-based image retrieval, reproduced, ready to study and to use.

``import sakerepro as sr`` gives what a study needs; each name below is loaded when it is first used, so that the import
itself and the command line's help cost next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_WHERE = {
    "data": ["Dataset", "ImageSet", "OriginalDomain", "load_dataset", "load_original", "photo_queries", "pseudo_unseen",
             "random_split"],
    "semantics": ["imagenet_overlap", "leacock_chodorow", "resolve_classes", "semantic_similarity"],
    "backbones": ["build_classifier"],
    "model": ["Student", "build_student", "factorise"],
    "losses": ["benchmark_loss", "sake_loss", "teacher_loss"],
    "teachers": ["load_teacher"],
    "embedding": ["embed"],
    "hashing": ["ITQ"],
    "retrieval": ["search"],
    "metrics": ["RetrievalMetrics", "retrieval_metrics"],
    "generalised": ["generalised_metrics"],
    "experiment": ["Experiment", "preset"],
    "runs": ["Run", "all_runs", "find", "open_run", "run"],
    "items": ["experiments", "item_rows", "item_runs", "query_precision", "run_rows", "save_rows"],
    "measures": ["class_gains"],
    "checking": ["check"],
    "own": ["example_folder"],
    "collection": ["index_photos", "open_collection"],
    "provenance": ["about"],
    "errors": ["ConfigError", "DataError", "RunError", "SakeError"],
}  # fmt: skip
_HOME = {name: module for module, names in _WHERE.items() for name in names}
_ROOMS = ("paths", "plots", "results", "widgets")  # modules that are used as sr.plots.curve(...)

__all__ = ["__version__", *_HOME, *_ROOMS]

if TYPE_CHECKING:
    from . import paths, plots, results
    from .backbones import build_classifier
    from .checking import check
    from .collection import index_photos, open_collection
    from .data import (
        Dataset,
        ImageSet,
        OriginalDomain,
        load_dataset,
        load_original,
        photo_queries,
        pseudo_unseen,
        random_split,
    )
    from .embedding import embed
    from .errors import ConfigError, DataError, RunError, SakeError
    from .experiment import Experiment, preset
    from .generalised import generalised_metrics
    from .hashing import ITQ
    from .items import experiments, item_rows, item_runs, query_precision, run_rows, save_rows
    from .losses import benchmark_loss, sake_loss, teacher_loss
    from .measures import class_gains
    from .metrics import RetrievalMetrics, retrieval_metrics
    from .model import Student, build_student, factorise
    from .own import example_folder
    from .provenance import about
    from .retrieval import search
    from .runs import Run, all_runs, find, open_run, run
    from .semantics import imagenet_overlap, leacock_chodorow, resolve_classes, semantic_similarity
    from .teachers import load_teacher


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    elif name in _ROOMS:
        value = importlib.import_module(f".{name}", __name__)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
