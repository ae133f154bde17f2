from .committed import render
from .doodles import doodle_frame, doodle_table, with_doodles
from .findings import by_class, gain_by
from .grids import Grid
from .paper import paper_values
from .rows import Row, code_variant, read_rows, rows_frame, write_rows
from .tables import Table, comparison, forgetting, splits, systems, table1, table2, table3, table4, table5
from .verdicts import Verdicts, claims
