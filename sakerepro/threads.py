"""One thread a run: sums are added in one order, so that numbers do not depend on how many cores a machine has."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute networks, SVD and BLAS on one thread within the block; cores are used by running several runs at a time.

    On an accelerator the processor's threads change no sum of a network, and none are taken away.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from .devices import device

    if device().type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
