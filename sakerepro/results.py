"""What is made of result rows: tables paper | ours | difference, claims and their verdicts.

Everything here works on a CSV of rows (:func:`read_rows`): nothing trains, nothing needs a GPU.
``table1(frame)`` ... ``forgetting(frame)`` give a table, ``claims("table1", frame)`` the verdicts behind it; both show
themselves in a notebook and on a terminal.
"""

from __future__ import annotations

from functools import partial

from .claims import Verdicts, claims, verdict_lines
from .comparison import Table, comparison
from .rows import Row, aggregate, code_variant, paper_values, read_rows, rows_frame, write_rows

table1 = partial(comparison, "table1")
table2 = partial(comparison, "table2")
table3 = partial(comparison, "table3")
table4 = partial(comparison, "table4")
table5 = partial(comparison, "table5")
splits = partial(comparison, "splits")
forgetting = partial(comparison, "forgetting")

__all__ = [
    "Row", "Table", "Verdicts", "aggregate", "claims", "code_variant", "comparison", "forgetting", "paper_values",
    "read_rows", "rows_frame", "splits", "table1", "table2", "table3", "table4", "table5", "verdict_lines",
    "write_rows",
]  # fmt: skip
