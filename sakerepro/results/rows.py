"""Result rows: one row is one number that one run measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, get_type_hints

import numpy as np
import pandas as pd

from .. import files, paths
from ..errors import ConfigError, DataError


@dataclass(frozen=True)
class Row:
    """One measured number."""

    dataset: str  #: "tuberlin", "sketchy", "mini" or a folder's name
    split: str  #: "zeroshot", "zeroshot1", "zeroshot2", "random1" ...
    method: str  #: "pretrained", "L_B", "L_B + L_T", "SAKE", or another method's name
    metric: str  #: "mAP@all", "mAP@200", "P@100", "P@25", "top-1" ...
    value: float  #: a fraction, not a percentage
    preset: str  #: "mini", "small" or "paper"
    representation: str = ""  #: "64-d" or "64-bit"
    task: str = "ZS-SBIR"  #: or "ZS-PBIR" (photos search photos), "probe" (forgetting), "clusters" (Figure 4)
    classes: str = "all"  #: "IN" and "non-IN" (Table 5), "low", "medium" and "high" (Figure 5)
    backbone: str = ""  #: as in backbones.py
    settings: str = ""  #: other settings that differ from the preset, such as "lambda_sake=0.3, batch_photo=9"
    variant: str = ""  #: a deviation by name, such as "512-d to bits"; tables show only rows without one
    convention: str = "standard"  #: of the metric, see metrics.py
    seed: int = 0
    run: str = ""
    training: int = 0  #: versions of the code that made the number, see versions.py; 0 for no run of ours
    measuring: int = 0


class Queries(NamedTuple):
    """Average precision and class of each query of a run."""

    ap: np.ndarray  # (Q,) NaN for a query without a relevant photo
    labels: np.ndarray  # (Q,) class ids


def class_means(queries: Queries) -> dict[str, list[float]]:
    """By class: ``mean`` average precision and number of ``queries``. Queries without a relevant photo are left out."""
    finite = np.isfinite(queries.ap)
    ap, labels = queries.ap[finite], queries.labels[finite]
    count = np.bincount(labels, minlength=int(queries.labels.max(initial=-1)) + 1)
    total = np.bincount(labels, ap, minlength=len(count))
    return {"mean": (total / np.maximum(count, 1)).tolist(), "queries": count.tolist()}


TYPES = get_type_hints(Row)
COLUMNS = tuple(TYPES)


def code_variant(representation: str, dim: int) -> str:
    """The variant of a row: "512-d to bits" for shorter codes of a 512-d embedding, else "".

    The paper does not say which embeddings its codes come from; d bits of d dimensions are the default here.
    """
    return f"{dim}-d to bits" if representation.endswith("-bit") and representation != f"{dim}-bit" else ""


def rows_frame(rows: Iterable[Row]) -> pd.DataFrame:
    """Rows as a data frame with the columns ``COLUMNS``; a repeated row is dropped."""
    frame = pd.DataFrame([asdict(row) for row in rows], columns=list(COLUMNS))
    return _typed(frame).drop_duplicates(ignore_index=True)


def _typed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.astype(TYPES).astype({k: object for k, t in TYPES.items() if t is str})


def write_rows(path: Path, rows: Iterable[Row] | pd.DataFrame) -> None:
    """Write rows as CSV, whole or not at all; numbers keep every digit.

    A frame is written unchanged, other rows as :func:`rows_frame` gives them. A folder that cannot be written is a
    RunError.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else rows_frame(rows)
    with files.write_whole(Path(path)) as temporary:
        frame.to_csv(temporary, index=False, columns=list(COLUMNS), lineterminator="\n")


def read_rows(path: Path) -> pd.DataFrame:
    """Read what :func:`write_rows` wrote, as a frame of :func:`rows_frame`.

    Raises:
        DataError: if the file is missing, is no such CSV, or holds a value that is not a finite number.
    """
    try:
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)[list(COLUMNS)]
        frame = _typed(frame.assign(value=frame["value"].replace("", "nan"))).drop_duplicates(ignore_index=True)
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{paths.shown(path)}: these are not result rows ({error}). The columns have to be {', '.join(COLUMNS)}; "
            "run the item's `make` target again to write them."
        ) from error
    if not (finite := np.isfinite(frame["value"])).all():
        line = finite.argmin() + 2
        raise DataError(f"{paths.shown(path)}, line {line}: the value is not a finite number. Repeat its run.")
    return frame


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows as dictionaries."""
    return [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]


def one_preset(frame: pd.DataFrame) -> str:
    """The preset of all rows, ``""`` without rows; rows of several presets are a ConfigError."""
    presets = sorted(frame["preset"].unique())
    if len(presets) > 1:
        raise ConfigError(
            f"Rows of the presets {', '.join(presets)} are mixed; they were measured on different data and cannot "
            "share a table. Select one: frame[frame['preset'] == 'mini']."
        )
    return presets[0] if presets else ""


def one_setting(settings: Iterable[str], noun: str) -> None:
    """Refuse ``"Runs"`` or ``"Rows"`` of several settings (ConfigError): their mean would not be over seeds alone."""
    names = sorted(set(settings))
    if len(names) > 1:
        raise ConfigError(f"{noun} of {' and of '.join(names)} are mixed; a mean is over seeds. Give those of one.")


def gain_groups(frame: pd.DataFrame, n: int = 3) -> pd.DataFrame:
    """Divide the classes of each ``split`` by ``gain`` (appendix A.1): column ``group``, 0 (lowest gain) ... n - 1.

    The groups of a split are equally large; the first ones take the remainder.
    """
    parts = []
    for split, part in frame.groupby("split", sort=False):
        if len(part) < n:
            raise ConfigError(f"The held-out set {split!r} has {len(part)} classes; {n} groups need at least {n}.")
        sizes = [len(members) for members in np.array_split(part.index, n)]
        parts.append(part.sort_values(["gain", "class"]).assign(group=np.repeat(range(n), sizes)))
    return pd.concat(parts, ignore_index=True)
