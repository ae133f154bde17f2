"""Ranking and ITQ on an accelerator, which sorts and multiplies; the CPU applies conventions and rules for ties.

All sums are in float64, which TF32 and autocast do not change. Codes are ranked on the CPU: a histogram of their
distances takes less time than the transfer to the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .. import devices
from . import ranks
from .counting import BEYOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

FROM = 10_000_000  # fewest keys or features for the device: an estimate, until `make gpu` measures it
CHUNK = 1 << 24  # keys sorted at a time
BYTES = 240  # device memory for each key if all photos are relevant: a generous estimate
LAST = torch.iinfo(torch.int64).max  # sorts behind every note of `counting`
FEATURE = 40  # device memory in bytes for each feature, with its copies in float64 and in another order


def worthwhile(values: int, need: int) -> bool:
    """Whether the device is faster for so many values, and half of its free memory holds ``need`` bytes."""
    if values < FROM or not devices.accelerated() or devices.device().type == "mps":  # which has no float64
        return False
    return need <= devices.free_memory() // 2


def takes(task: ranks.Task) -> bool:
    """Whether :func:`rank_features` should rank this task."""
    need = BYTES * max(CHUNK, len(task.gallery)) + FEATURE * (task.gallery.size + task.query.size)
    return worthwhile(len(task.query) * len(task.gallery), need)


def rank_features(task: ranks.Task) -> np.ndarray:
    """The rows of a task; the device sorts and counts `CHUNK` keys at a time."""
    rows, step = np.empty((len(task.query), 2 + 4 * len(task.ks))), max(1, CHUNK // len(task.gallery))
    for start, keys in zip(range(0, len(rows), step), _keys(task, step), strict=True):
        rows[start : start + step] = _rank(task, task.wanted[start : start + step], keys)
    return rows


def _keys(task: ranks.Task, step: int) -> Iterator[Tensor]:
    """Yield (step, G) keys of ``step`` queries at a time.

    Equal photos have to tie exactly, but the order of sums in a large matrix product may differ between columns. So the
    product has one column for each distinct photo.
    """
    query, gallery = (_send(x) for x in (task.query, task.gallery))
    distinct, column_of = torch.unique(gallery, dim=0, return_inverse=True)
    del gallery
    query, distinct = (_unit(x.double()) if task.unit else x.double() for x in (query, distinct))
    kind = torch.float32 if task.query.dtype == np.float32 else torch.float64
    for part in query.neg().split(step):
        yield (part @ distinct.T).to(kind)[:, column_of]


def _rank(task: ranks.Task, wanted: np.ndarray, keys: Tensor) -> np.ndarray:
    """Rows of queries of the ``wanted`` classes: sort all keys, then count between and on those of relevant photos."""
    counts = task.last[wanted] - task.first[wanted]
    begin, sizes, by_class = (_send(x)[:, None] for x in (task.first[wanted], counts, task.by_class))
    column = torch.arange(counts.max() + BEYOND, device=keys.device)
    relevant = by_class[(begin + column).clamp(max=len(by_class) - 1), 0].long()  # then photos of another class
    keys, order = keys.sort(dim=1, stable=True)
    every = torch.arange(keys.shape[1], device=keys.device).expand_as(order)
    place = torch.empty_like(order).scatter_(1, order, every).gather(1, relevant)
    place = place.masked_fill_(column >= sizes, keys.shape[1] - 1).sort(dim=1).values  # the other ones come last
    thresholds = keys.gather(1, place).masked_fill_(column >= sizes, torch.inf)
    before, behind = (torch.searchsorted(keys, thresholds, right=right) for right in (False, True))
    first, last = (torch.searchsorted(thresholds, thresholds, right=right) for right in (False, True))
    passed = torch.nn.functional.pad(behind[:, :-1], (1, 0))
    equal = (behind - before - last + first).clamp_(min=0)  # nothing equals infinity
    counters = torch.stack([before - passed, equal], dim=2) * (column == first)[:, :, None]
    others = place - before - column + first  # of equal key, in front
    notes = torch.where((others > 0) & (column < sizes), first << 32 | others, LAST).sort(dim=1).values
    notes[notes == LAST] = 0
    used = column < sizes + BEYOND
    at, overflows = np.concatenate([[0], np.cumsum(counts + BEYOND)]), np.zeros((len(keys), 1), np.uint32)
    marks, counted, noted = (x[used].flatten().cpu().numpy() for x in (thresholds, counters, notes))
    return ranks.rows_of(task, at, marks, counted, overflows, noted.view(np.uint64))


def _send(x: np.ndarray) -> Tensor:
    whole = np.require(x, requirements=["C", "W"])  # PyTorch warns of read-only arrays
    return devices.send(torch.from_numpy(whole))


def _unit(x: Tensor) -> Tensor:
    """Rows of length 1; rows of zeros stay. The largest entry is divided by first, so that no square overflows."""
    x = (x / x.abs().amax(dim=1, keepdim=True)).nan_to_num_()
    return x / x.norm(dim=1, keepdim=True).clamp_(min=1)


def scatter(x: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(d, d) sum of the products of centred features, as in `hashing` on the CPU."""
    total = torch.zeros(x.shape[1], x.shape[1], dtype=torch.float64, device=devices.device())
    for part in _send(x).split(max(1, CHUNK // x.shape[1])):
        centred = part.double() - _send(mean)
        total += centred.T @ centred
    return total.cpu().numpy()


class Signs:
    """B = sign(V R) and V^T B as whole products; the updates that save time on the CPU save little here."""

    def __init__(self, v: np.ndarray) -> None:
        self.v = _send(v).double()

    def of(self, rotation: np.ndarray) -> np.ndarray:
        """V^T sign(V R) in float64."""
        positive = self.v @ _send(rotation) > 0
        return (self.v.T @ (2 * positive.double() - 1)).cpu().numpy()
