"""From a cell of the paper to the rows that measured it here: the same data and network, or what stands in for them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from .errors import ConfigError, near_misses
from .experiment import PRESETS
from .rows import COLUMNS, LAMBDAS, OURS, UNIT, one_preset
from .tables_spec import (
    BACKBONE_STAND_INS,
    BACKBONES,
    DATA_LABEL,
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

    @cached_property
    def columns(self) -> dict[str, np.ndarray]:
        """The columns as arrays: a table asks them a hundred times."""
        return {name: self.frame[name].to_numpy(dtype=object) for name in COLUMNS}

    def translate(self, cell: Cell, varies: tuple[str, ...] = ()) -> dict[str, Any]:
        """The columns of our rows that stand for ``cell``; the lambdas not in ``varies`` are those of the main runs."""
        query = {k: v for k, v in cell.items() if k in COLUMNS and k != "value" and not _open(v)}
        if pair := self.data.get((cell["dataset"], cell["split"])):
            query["dataset"], query["split"] = pair
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
        mask = np.ones(len(self.frame), dtype=bool)
        for name, value in self.translate(cell, varies).items():
            mask &= self.columns[name] == value
        found = self.frame[mask]
        if len(found) < 2:
            return found
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

    def label(self, used: pd.DataFrame, convention: str, *more: str) -> tuple[str, ...]:
        """Lines that say what numbers are, and which seeds and runs the rows ``used`` come from."""
        if not self.preset:
            return (DATA_LABEL[""],)
        label = [f"Preset {self.preset}: {DATA_LABEL.get(self.preset, 'not the data of the paper')}", *more]
        if len(used):
            seeds = ", ".join(map(str, sorted(used["seed"].unique())))
            runs = list(dict.fromkeys(used["run"]))
            shown = ", ".join(runs[:4]) + (f" and {len(runs) - 4} more" if len(runs) > 4 else "")
            label.append(f"Seeds {seeds}; runs {shown}; metrics: {convention} convention")
        if notes := self.notes():
            label.append(f"In place of the paper's: {'; '.join(notes)}")
        return tuple(label)


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
        setting: lambdas of the main runs; left out, they are the preset's, or what all rows have.
        convention: of the metrics, see ``metrics.py``.

    Raises:
        ConfigError: if presets are mixed, or if the main lambdas cannot be told.
    """  # fmt: skip
    preset = one_preset(frame)
    kept = frame[(frame["variant"] == "") & (frame["convention"].isin([convention, ""]))]
    data = {}
    asked = kept[kept["task"].isin(set(paper["task"]))]  # only what the cells ask for can choose a stand-in
    own = set(zip(asked["dataset"], asked["split"], strict=True))
    alone = paper["dataset"].nunique() == 1
    for pair in dict.fromkeys(p for p in zip(paper["dataset"], paper["split"], strict=True) if p[0]):
        offers = DATA_STAND_INS.get(preset, {}).get(pair, ())
        if alone and pair == ("tuberlin", "zeroshot"):
            offers = (*offers, *TUBERLIN_STAND_INS.get(preset, ()))
        data[pair] = next((p for p in (pair, *offers) if p in own), pair)
    here = set(asked["backbone"])
    nets = BACKBONE_STAND_INS.get(preset, {})
    names = dict.fromkeys([*(b for b in paper["backbone"] if b), MAIN_BACKBONE])
    backbones = {b: next((c for c in (b, *nets.get(b, ())) if c in here), b) for b in names}
    return Measured(kept, preset, _setting(kept, preset, varies, setting or {}), data, backbones)


def _setting(
    frame: pd.DataFrame, preset: str, varies: tuple[str, ...], given: Mapping[str, float]
) -> dict[str, float]:  # fmt: skip
    for name in given:
        if name not in LAMBDAS:
            raise ConfigError(f"There is no setting {name!r}. {near_misses(name, LAMBDAS)}")
    chosen = {}
    for name in LAMBDAS:
        values = sorted(frame[frame["method"] == "SAKE"][name].dropna().unique())
        usual = PRESETS.get(preset, {}).get(name, PAPER_SETTING[name])
        if name in given:
            chosen[name] = float(given[name])
        elif name in varies or not values or usual in values:
            chosen[name] = usual
        elif len(values) == 1:
            chosen[name] = float(values[0])
        else:
            raise ConfigError(
                f"The rows hold SAKE with {name} = {', '.join(f'{v:g}' for v in values)}. Say which of them the main "
                f"runs have: setting={{'{name}': {values[0]:g}}}."
            )
    return chosen
