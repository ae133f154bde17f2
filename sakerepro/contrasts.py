"""What a claim is made of: weighted sums of numbers that have to be positive, or small.

``A > B`` is the sum A - B. "A gains more than B" is (A' - A) - (B' - B).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from .rows import OURS
from .tables_spec import PAPER_SETTING

# fmt: off
Cell = dict[str, Any]
NAN = math.nan


@dataclass(frozen=True)
class Contrast:
    """A weighted sum of measured cells less a constant: ``sum(weight * cell) - minus``."""

    name: str
    terms: tuple[tuple[float, Cell], ...]
    minus: float = 0.0
    over_seeds: bool = False  # the pairs are the splits: what is asked does not change with the seed


@dataclass(frozen=True)
class Claim:
    """One sentence. It holds if every contrast is above 0 or, with a ``bound``, within plus or minus the bound."""

    id: str
    section: str
    says: str
    contrasts: tuple[Contrast, ...]
    bound: float | None = None
    absolute: bool = False  # about the paper's own figures, so it needs the paper's own data

    @property
    def item(self) -> str:
        """The table, figure or text that the claim belongs to."""
        return self.id.partition(".")[0]


def cell(method: str, **changes: Any) -> Cell:
    """A cell of the paper's main setting (TU-Berlin, CSE-ResNet-50, 64-d, mAP@all), with some columns changed."""
    lambdas = {"SAKE": PAPER_SETTING, "L_B + L_T": {"lambda_sake": 1.0, "lambda1": 1.0, "lambda2": 0.0},
               "L_B": {"lambda_sake": 0.0}}.get(method, {})
    return {
        "dataset": "tuberlin", "split": "zeroshot", "task": "ZS-SBIR", "classes": "all", "method": method,
        "backbone": "cse_resnet50" if method in OURS else "", "representation": "64-d", "metric": "mAP@all",
        "lambda_sake": NAN, "lambda1": NAN, "lambda2": NAN, **lambdas, **changes,
    }


def above(name: str, a: Cell, b: Cell, factor: float = 1.0) -> Contrast:
    """``a > factor x b``."""
    return Contrast(name, ((1.0, a), (-factor, b)))


def gain(a: Cell, b: Cell, weight: float = 1.0) -> tuple[tuple[float, Cell], ...]:
    """The terms of ``weight x (a - b)``."""
    return ((weight, a), (-weight, b))


def rising(names: list[str], cells: list[Cell], over_seeds: bool = False) -> tuple[Contrast, ...]:
    """Each cell above the one before."""
    pairs = zip(zip(names, cells, strict=True), zip(names[1:], cells[1:], strict=True), strict=False)
    return tuple(Contrast(f"{high} > {low}", ((1.0, b), (-1.0, a)), over_seeds=over_seeds)
                 for (low, a), (high, b) in pairs)
