"""From a cell of the paper to the rows that measured it here: the same data and network, or what stands in for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from .errors import ConfigError, near_misses
from .rows import COLUMNS, LAMBDAS, OURS, UNIT, one_preset
from .tables_spec import (
    BACKBONE_STAND_INS,
    BACKBONES,
    DATA_STAND_INS,
    DATASETS,
    MAIN_BACKBONE,
    PAPER_SETTING,
    TUBERLIN_STAND_INS,
)

Cell = Mapping[str, Any]  # columns of a row to their values; "" and NaN leave a column open


@dataclass(frozen=True)
class Measured:
    """The rows of one preset, asked in the paper's terms."""

    frame: pd.DataFrame
    preset: str
    setting: dict[str, float]  # the lambdas of the main runs
    data: dict[tuple[str, str], tuple[str, str]]  # the paper's (dataset, split) -> ours
    backbones: dict[str, str]  # the paper's backbone -> ours

    def translate(self, cell: Cell, varies: tuple[str, ...] = ()) -> dict[str, Any]:
        """The columns of our rows that stand for ``cell``; the lambdas not in ``varies`` are those of the main runs."""
        query = {k: v for k, v in cell.items() if k in COLUMNS and k != "value" and not _open(v)}
        query["dataset"], query["split"] = self.data.get(
            (cell["dataset"], cell["split"]), (cell["dataset"], cell["split"])
        )
        if query["method"] in OURS:
            backbone = query.get("backbone", MAIN_BACKBONE)
            query["backbone"] = self.backbones.get(backbone, backbone)
        applies = {"SAKE": LAMBDAS, "L_B + L_T": LAMBDAS[:1]}.get(query["method"], ())
        for name in LAMBDAS:
            value = query.pop(name, None)
            if name in applies:
                query[name] = value if name in varies and value is not None else self.setting[name]
        return query

    def rows(self, cell: Cell, varies: tuple[str, ...] = ()) -> pd.DataFrame:
        """The rows that measured ``cell``, one per dataset, split and seed; none if it was not run.

        Raises:
            ConfigError: if two different numbers stand for one seed.
        """
        found = self.frame
        for name, value in self.translate(cell, varies).items():
            found = found[found[name] == value]
        if (twice := found.duplicated(list(UNIT), keep=False)).any():
            same = found[twice]
            differ = [c for c in COLUMNS if c not in ("value", *UNIT) and same[c].nunique(dropna=False) > 1]
            raise ConfigError(
                f"Several numbers stand for {found['method'].iloc[0]} {found['metric'].iloc[0]}, seed "
                f"{same['seed'].iloc[0]}; they differ in {', '.join(differ) or 'their value'}. Select one of them."
            )
        return found

    def notes(self) -> list[str]:
        """What differs from the paper by choice: stand-ins and lambdas, one phrase each."""
        data = [
            f"{'/'.join(ours)} for {DATASETS.get(theirs, '/'.join(theirs))}"
            for theirs, ours in self.data.items() if ours != theirs
        ]
        nets = [f"{ours} for {BACKBONES[theirs]}" for theirs, ours in self.backbones.items() if ours != theirs]
        other = {k: v for k, v in self.setting.items() if v != PAPER_SETTING[k]}
        lambdas = [f"{k} = {v:g} (paper: {PAPER_SETTING[k]:g})" for k, v in other.items()]
        return [*data, *nets, *lambdas]


def _open(value: Any) -> bool:
    return value == "" or (isinstance(value, float) and math.isnan(value))


def measured(
    frame: pd.DataFrame, paper: pd.DataFrame, *, varies: tuple[str, ...] = (),
    setting: Mapping[str, float] | None = None, convention: str = "standard",
) -> Measured:
    """Prepare ``frame`` for questions about the cells ``paper``.

    Args:
        frame: rows of one preset; rows with a ``variant`` (a named deviation) are left out.
        paper: cells of the paper, as from :func:`~sakerepro.rows.paper_values`.
        varies: lambdas that these cells vary themselves.
        setting: lambdas of the main runs; left out, they are what all rows have, or the paper's.
        convention: of the metrics, see ``metrics.py``.

    Raises:
        ConfigError: if presets are mixed, or if the main lambdas cannot be told.
    """  # fmt: skip
    preset = one_preset(frame)
    kept = frame[(frame["variant"] == "") & (frame["convention"].isin([convention, ""]))]
    data = {}
    own = set(zip(kept["dataset"], kept["split"], strict=True))
    alone = paper["dataset"].nunique() == 1
    for pair in dict.fromkeys(zip(paper["dataset"], paper["split"], strict=True)):
        offers = DATA_STAND_INS.get(preset, {}).get(pair, ())
        if alone and pair == ("tuberlin", "zeroshot"):
            offers = (*offers, *TUBERLIN_STAND_INS.get(preset, ()))
        data[pair] = next((p for p in (pair, *offers) if p in own), pair)
    here = set(kept["backbone"])
    nets = BACKBONE_STAND_INS.get(preset, {})
    names = dict.fromkeys([*(b for b in paper["backbone"] if b), MAIN_BACKBONE])
    backbones = {b: next((c for c in (b, *nets.get(b, ())) if c in here), b) for b in names}
    return Measured(kept, preset, _setting(kept, varies, setting or {}), data, backbones)


def _setting(frame: pd.DataFrame, varies: tuple[str, ...], given: Mapping[str, float]) -> dict[str, float]:
    for name in given:
        if name not in LAMBDAS:
            raise ConfigError(f"There is no setting {name!r}. {near_misses(name, LAMBDAS)}")
    chosen = {}
    for name in LAMBDAS:
        rows = frame[frame["method"] == "SAKE"]
        values = sorted(rows[name].dropna().unique())
        if name in given:
            chosen[name] = float(given[name])
        elif name in varies or not values or PAPER_SETTING[name] in values:
            chosen[name] = PAPER_SETTING[name]
        elif len(values) == 1:
            chosen[name] = float(values[0])
        else:
            raise ConfigError(
                f"The rows hold SAKE with {name} = {', '.join(f'{v:g}' for v in values)}. Say which of them the main "
                f"runs have: setting={{'{name}': {values[0]:g}}}."
            )
    return chosen
