"""One thread for each sum, so that numbers do not depend on how many cores a machine has; several sums side by side."""

from __future__ import annotations

import contextlib
import os
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


def each(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """``[work(item) for item in items]`` on as many threads as torch uses; compiled loops release the lock."""
    import torch

    if torch.get_num_threads() == 1:
        return [work(item) for item in items]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return list(pool.map(work, items))


def side_by_side(call: Callable[..., T], *items: Iterable[Any]) -> Iterator[T]:
    """Like ``map`` with a network on a CPU, on all cores, each call on one thread; results come in order.

    The calls have the caller's gradient mode and autocast.
    """
    import torch

    grad, mixed, dtype = torch.is_grad_enabled(), torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")

    def work(*arguments: Any) -> T:
        with torch.set_grad_enabled(grad), torch.autocast("cpu", dtype, enabled=mixed):
            return call(*arguments)

    return map(call, *items) if cores() == 1 else _pool(cores()).map(work, *items)


@cache
def _pool(threads: int) -> Executor:
    """Threads that compute on one thread each."""
    import torch

    pool, barrier = ThreadPoolExecutor(threads), Barrier(threads, timeout=60)

    def start_thread(_: int) -> None:
        torch.get_num_threads()  # the first call in a thread takes the number of the process
        torch.set_num_threads(1)  # also sets the number of the process, which `one_thread` restores
        _cores.set(1)
        barrier.wait()  # so that each of the threads runs this once

    with one_thread():
        list(pool.map(start_thread, range(threads)))
    return pool


if hasattr(os, "register_at_fork"):  # a forked process has no threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute networks, SVD and BLAS on one thread within the block; :func:`side_by_side` uses the other cores.

    Does nothing on an accelerator, where the processor's threads change no sum of a network.
    """
    import torch
    from threadpoolctl import threadpool_limits

    from .devices import device

    if device().type != "cpu":
        yield
        return
    threads, token = torch.get_num_threads(), _cores.set(cores())
    with threadpool_limits(limits=1):
        try:
            torch.set_num_threads(1)
            yield
        finally:
            torch.set_num_threads(threads)
            _cores.reset(token)
