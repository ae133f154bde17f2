"""Where data sets and weights are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from .. import paths


def data_places() -> list[Path]:
    """Folders that are searched for data sets and weights, in this order.

    ``SAKEREPRO_REAL_DATA``, then :func:`sakerepro.paths.data`, then ``shared/data`` beside the checkout.
    """
    first = [Path(named).expanduser().resolve()] if (named := os.environ.get("SAKEREPRO_REAL_DATA")) else []
    return [*first, paths.data(), paths.root().parent / "shared" / "data"]


def find_data(*names: str) -> Path | None:
    """The first of ``place/name`` that exists, over all places and then all names; ``None`` if there is none."""
    return next((p / n for p in data_places() for n in names if (p / n).exists()), None)
