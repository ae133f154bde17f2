"""One name for each table, the rows beside those of an item, and tables and verdicts from committed rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd

from .. import paths
from ..errors import DataError
from .committed import rows_file, runs_file, saved_rows, saved_runs
from .rows import one_preset, read_rows
from .runrows import precision_of
from .tables import Table, comparison, has_table
from .verdicts import Verdicts, claims


def _table(item: str) -> Callable[..., Table]:
    made = partial(comparison, item)
    made.__doc__ = f'Short for ``comparison("{item}", frame)``, see :func:`comparison`.'
    return made


table1, table2, table3, table4, table5 = (_table(f"table{number}") for number in range(1, 6))
systems, splits, forgetting = _table("systems"), _table("splits"), _table("forgetting")


def beside(item: str, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one preset, followed by those that another item has committed for other runs.

    Args:
        item: such as ``"systems"``, whose rows Table 1 shows where the versions of now have made some.
    """
    more = saved_rows(item, one_preset(rows)) if len(rows) else rows
    return pd.concat([rows, more[~more["run"].isin(rows["run"])]], ignore_index=True) if len(more) else rows


def render(item: str, preset: str) -> tuple[Table | None, Verdicts]:
    """The table (figures have none) and the verdicts of an item from its rows in ``results/<preset>``, in seconds.

    Raises:
        DataError: if the item has not left its rows there.
    """
    for file in (rows_file(item, preset), runs_file(item, preset)):
        if not file.is_file():
            raise DataError(f"{paths.shown(file)}: is missing. `make {item} PRESET={preset}` makes it.")
    rows = read_rows(rows_file(item, preset))
    precision = precision_of({run: known["precision"] for run, known in saved_runs(item, preset).items()})
    shown = beside("systems", rows) if item == "table1" else rows
    return comparison(item, shown) if has_table(item) else None, claims(item, rows, per_query=precision)
