"""Result rows: one row is one number that one run measured. Also the paper's own numbers, and means over seeds."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from . import files, paths
from .errors import ConfigError, DataError, near_misses

OURS = ("pretrained", "L_B", "L_B + L_T", "SAKE")  # the methods that this package trains; others are other systems
LAMBDAS = ("lambda_sake", "lambda1", "lambda2")


@dataclass(frozen=True)
class Row:
    """One measured number. Fields left empty do not apply: a pretrained network has no lambdas."""

    dataset: str  # "tuberlin", "sketchy", "mini" or a folder's name
    split: str  # "zeroshot", "zeroshot1", "zeroshot2", "random1" ...
    method: str  # one of OURS, or the name of another system as in Table 1
    metric: str  # "mAP@all", "mAP@200", "P@100", "P@25", "top-1" ...
    value: float  # a fraction, not a percentage
    preset: str  # "mini", "small" or "paper"
    representation: str = ""  # "64-d" or "64-bit"
    task: str = "ZS-SBIR"  # or "ZS-PBIR" (photos search photos), "probe" (forgetting), "clusters" (Figure 4)
    classes: str = "all"  # "IN" and "non-IN" (Table 5), "low", "medium" and "high" (Figure 5)
    backbone: str = ""  # as in backbones.py
    lambda_sake: float = math.nan
    lambda1: float = math.nan
    lambda2: float = math.nan
    variant: str = ""  # a deviation by name, such as "512-d to bits"; tables show only rows without one
    convention: str = "standard"  # of the metric, see metrics.py
    seed: int = 0
    run: str = ""
    training: int = 0  # versions of the code that made the number, see versions.py; 0 for no run of ours
    measuring: int = 0


class Queries(NamedTuple):
    """What every query of a run found."""

    ap: np.ndarray  # (Q,) average precision; NaN where nothing is relevant
    labels: np.ndarray  # (Q,) its class


COLUMNS = tuple(field.name for field in fields(Row))
NUMBERS = ("value", *LAMBDAS)
WHOLE = ("seed", "training", "measuring")
UNIT = ("dataset", "split", "seed")  # what is measured once; several units in one cell are its spread


def code_variant(representation: str, dim: int) -> str:
    """The variant of a row: "" for features, and for codes as long as their features, else "512-d to bits".

    The paper does not say which features its codes come from; equal lengths are the default here.

    Args:
        representation: of the row, such as ``"64-d"`` or ``"64-bit"``.
        dim: length of the run's embedding.
    """
    return f"{dim}-d to bits" if representation.endswith("-bit") and representation != f"{dim}-bit" else ""


def rows_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame with the columns ``COLUMNS``, each number once, each setting under one name.

    ``SAKE`` with ``lambda_sake = 0`` is ``L_B``, and with ``lambda1 = 1, lambda2 = 0`` it is ``L_B + L_T`` (section
    3.4), so that tables find the runs they share.

    Args:
        rows: in any number and order; of equal ones the first is kept.
    """
    return _canonical(pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS)))


def _canonical(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.astype(dict.fromkeys(NUMBERS, float)).astype(dict.fromkeys(WHOLE, int))
    trained = frame["method"].isin(OURS[1:])
    frame.loc[trained & (frame["lambda_sake"] == 0), "method"] = "L_B"
    teacher = (frame["method"] == "SAKE") & (frame["lambda1"] == 1) & (frame["lambda2"] == 0)
    frame.loc[teacher, "method"] = "L_B + L_T"
    frame.loc[frame["method"] == "L_B + L_T", ["lambda1", "lambda2"]] = [1.0, 0.0]
    frame.loc[frame["method"] == "L_B", list(LAMBDAS)] = [0.0, math.nan, math.nan]
    frame.loc[frame["method"] == "pretrained", list(LAMBDAS)] = math.nan
    return frame.drop_duplicates(ignore_index=True)


def write_rows(path: Path, rows: Iterable[Row] | pd.DataFrame) -> None:
    """Write rows as CSV, whole or not at all; numbers keep every digit.

    Args:
        path: of the file; folders that are missing are made.
        rows: a frame with the columns ``COLUMNS`` is written as it is, other rows as :func:`rows_frame` gives them.

    Raises:
        RunError: if the folder cannot be written.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else rows_frame(rows)
    with files.write_whole(Path(path)) as temporary:
        frame.to_csv(temporary, index=False, columns=list(COLUMNS), lineterminator="\n")


def read_rows(path: Path) -> pd.DataFrame:
    """Read what :func:`write_rows` wrote.

    Args:
        path: of the CSV file.

    Returns:
        A frame as of :func:`rows_frame`.

    Raises:
        DataError: if the file is missing, is no such CSV, or holds a value that is not a finite number.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)[list(COLUMNS)]
        frame[list(NUMBERS)] = frame[list(NUMBERS)].replace("", "nan")
        frame = _canonical(frame)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{paths.shown(path)}: these are not result rows ({error}). The columns have to be {', '.join(COLUMNS)}; "
            "run the item's `make` target again to write them."
        ) from error
    for line, value in enumerate(frame["value"], start=2):
        if not math.isfinite(value):
            raise DataError(f"{paths.shown(path)}, line {line}: the value is not a finite number. Repeat its run.")
    return frame


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def one_preset(frame: pd.DataFrame) -> str:
    """The preset of all rows; ``""`` without rows.

    Raises:
        ConfigError: if rows of several presets are mixed.
    """
    presets = sorted(frame["preset"].unique())
    if len(presets) > 1:
        raise ConfigError(
            f"Rows of the presets {', '.join(presets)} are mixed; they were measured on different data and cannot "
            "share a table. Select one: frame[frame['preset'] == 'mini']."
        )
    return presets[0] if presets else ""


def paper_values(item: str | None = None) -> pd.DataFrame:
    """The numbers of the paper (``sakerepro/tables/paper.csv``), of one item if named; a lost number is NaN.

    Args:
        item: ``"table1"`` ... ``"table5"``, ``"splits"``, ``"forgetting"`` or ``"text"``; ``None`` for all.

    Raises:
        ConfigError: for an unknown item.
    """
    frame = pd.read_csv(paths.package_data("paper.csv"), dtype=str, keep_default_na=False)
    frame[list(NUMBERS)] = frame[list(NUMBERS)].replace("", "nan").astype(float)
    if item is None:
        return frame
    if item not in set(frame["item"]):
        raise ConfigError(f"The paper has no item {item!r}. {near_misses(item, tuple(frame['item'].unique()))}")
    return frame[frame["item"] == item].reset_index(drop=True)
