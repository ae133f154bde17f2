"""One thread for each sum, so that numbers do not depend on how many cores a machine has; several sums side by side."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache
from threading import Barrier
from typing import Any, TypeVar

T = TypeVar("T")
_cores: ContextVar[int] = ContextVar("cores")


def cores() -> int:
    """How many threads may compute side by side: as many as PyTorch had outside of :func:`one_thread`."""
    import torch

    return _cores.get(0) or torch.get_num_threads()


def side_by_side(call: Callable[..., T], *items: Iterable[Any]) -> Iterator[T]:
    """Like ``map`` with a network on a CPU, on all cores, each call on one thread; results come in order.

    A call has gradients, and autocast, if they are on here.
    """
    import torch

    grad, mixed, dtype = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def work(*of_call: Any) -> T:
        with torch.set_grad_enabled(grad), torch.autocast("cpu", dtype, enabled=mixed):
            return call(*of_call)

    return map(call, *items) if cores() == 1 else _pool(cores()).map(work, *items)


@cache
def _pool(threads: int) -> Executor:
    """Threads that compute on one thread each."""
    import torch

    pool, all_here = ThreadPoolExecutor(threads), Barrier(threads)

    def begin(_: int) -> None:
        torch.set_num_threads(1)  # changes this thread's number, and that of the process, which is then given back
        all_here.wait()

    with one_thread():
        list(pool.map(begin, range(threads)))
    return pool


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute networks, SVD and BLAS on one thread within the block; :func:`side_by_side` uses the other cores.

    On an accelerator the processor's threads change no sum of a network, and none are taken away.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from .devices import device

    if device().type != "cpu":
        yield
        return
    before = torch.get_num_threads()
    outside = _cores.set(cores())
    with threadpool_limits(limits=1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
            _cores.reset(outside)
