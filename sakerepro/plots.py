"""Every figure of the study, one call each: ``sr.plots.retrieval_grid(run)`` and so on, then ``sr.plots.save``.

Each function returns a matplotlib ``Figure`` that shows itself in a notebook; none opens a pyplot figure.
"""

from __future__ import annotations

from .plots_grid import retrieval_grid, world_sheet
from .plots_maps import tsne_map
from .plots_rows import bits_curve, comparison_bars, gain_by_similarity, lambda_curves, table_curves
from .plots_runs import forgetting_curves, per_class_bars, precision_recall, semantic_heatmap, training_curves
from .plots_style import save
from .plots_systems import systems_chart

__all__ = [
    "bits_curve", "comparison_bars", "forgetting_curves", "gain_by_similarity", "lambda_curves", "per_class_bars",
    "precision_recall", "retrieval_grid", "save", "semantic_heatmap", "systems_chart", "table_curves",
    "training_curves", "tsne_map", "world_sheet",
]  # fmt: skip
