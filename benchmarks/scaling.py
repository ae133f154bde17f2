"""1,000 queries over 10^4 ... 10^6 photos: time and memory as the gallery grows, with a curve.

All sizes take turns, since their times are compared: what else the machine does then hits them alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sakerepro.files import write_whole

from .common import CURVE, OURS, ROUNDS, Case, Contender, Row, file_of_machine, machine, run_cases
from .ranking import argsort, features, ours, value

PHOTOS = (10_000, 31_623, 100_000, 316_228, 1_000_000)
PEER = "numpy argsort, chunked"


def _case(photos: int) -> Case:
    contenders = {OURS: Contender(ours)} | ({PEER: Contender(argsort)} if photos <= 100_000 else {})
    return Case(f"scaling, 1,000 x {photos:,} x 64", features(1000, photos, 30), contenders, remark=value, turns=ROUNDS)


CASES = [_case(photos) for photos in PHOTOS]


def rows(quick: bool) -> Iterator[list[Row]]:
    """One row for each gallery and side; the last of ours carries the bar, and the curve is drawn."""
    finished: list[Row] = []
    for case in run_cases(__name__, quick, together=True):
        finished += case
        if len(finished) == sum(len(c.contenders) for c in CASES) and not quick:
            _draw(finished)
            case = [_judged(finished)]
        yield case


def _judged(table: list[Row]) -> Row:
    ours = [row for row in table if row.who == OURS]
    first, last = ours[2], ours[-1]
    growth = last.seconds / first.seconds / (PHOTOS[-1] / PHOTOS[2])  # type: ignore[operator]
    spread = (last.peak_mib or 0) - (first.peak_mib or 0)
    slope = np.polyfit(np.log(PHOTOS), np.log([row.seconds for row in ours]), 1)[0]  # type: ignore[misc]
    text = (
        f"time linear, memory constant: {growth:.2f} x the time a photo of 10^5, {spread:+.0f} MiB; over all sizes the "
        f"time grows as the photos to the power of {slope:.2f}"
    )
    return replace(last, bar=text, holds=growth <= 1.25 and spread <= 32)


def _draw(table: list[Row]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
    for who in (OURS, PEER):
        points = [(int(row.work.split(" x ")[1].replace(",", "")), row) for row in table if row.who == who]
        photos = [n for n, _ in points]
        panels[0].loglog(photos, [row.seconds for _, row in points], "o-", label=who)
        panels[1].loglog(photos, [max(row.peak_mib or 0, 0.1) for _, row in points], "o-", label=who)
    ends = np.array([PHOTOS[0], PHOTOS[-1]])
    anchor = next(row.seconds for row in table if row.who == OURS and f"{PHOTOS[2]:,}" in row.work)
    panels[0].loglog(ends, anchor * ends / PHOTOS[2], ":", color="grey", label="linear")
    for panel, name in zip(panels, ("seconds", "peak memory above the inputs (MiB)"), strict=True):
        panel.set(xlabel="photos", ylabel=name)
        panel.grid(alpha=0.3)
    panels[0].legend()
    figure.suptitle(f"Four metrics, both kinds of AP: 1,000 queries, 64 dimensions; {machine()}")
    with write_whole(file_of_machine(CURVE)) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)
