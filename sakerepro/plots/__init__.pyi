from .gain import gain_chart
from .grid import retrieval_grid, world_sheet
from .maps import tsne_map
from .rows import bits_curve, comparison_bars, doodle_bars, gain_by_similarity, lambda_curves, table_curves
from .runs import (
    conventions_chart,
    forgetting_curves,
    per_class_bars,
    precision_recall,
    semantic_heatmap,
    training_curves,
)
from .style import save
from .systems import systems_chart
