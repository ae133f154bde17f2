from .grid import retrieval_grid
from .maps import tsne_map
from .rows import bits_curve, comparison_bars, doodle_bars, gain_by_similarity, gain_chart, lambda_curves, table_curves
from .runs import conventions_chart, forgetting_curves, per_class_bars, semantic_heatmap, training_curves
from .style import save
from .systems import systems_chart
