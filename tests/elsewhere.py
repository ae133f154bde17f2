"""A second device without hardware: its tensors lie on the CPU, but may meet the CPU's only by a copy, as on a GPU.

PyTorch's place for an own backend (``privateuseone``, as of 2.10) gives the device. Every operation goes through
``__torch_dispatch__``: it refuses two devices in one operation, and notes what would make the host wait for a GPU.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

from sakerepro import devices

aten = torch.ops.aten
NAME = "elsewhere"
COPIES = {aten.copy_.default, aten._to_copy.default}
READS = {  # what a host can only answer, or go on with, once the device has finished
    aten._local_scalar_dense.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.equal.default,
    aten._unique2.default,
    aten.unique_dim.default,
    aten.unique_consecutive.default,
    aten.bincount.default,
    aten.repeat_interleave.Tensor,
    aten._linalg_check_errors.default,
    aten._linalg_svd.default,
}
waits: list[str] = []  #: the operations since it was last cleared at which the host would have waited


class Elsewhere(torch.Tensor):
    """A tensor of the device; ``inner`` is its content."""

    inner: torch.Tensor
    float64 = True  # whether the device has it
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> Elsewhere:
        if inner.dtype == torch.float64 and not cls.float64:
            raise TypeError("the device has no float64")
        about = {"strides": inner.stride(), "storage_offset": inner.storage_offset(), "dtype": inner.dtype}
        tensor = torch.Tensor._make_wrapper_subclass(cls, inner.size(), device=torch.device(NAME, 0), **about)
        tensor.inner = inner
        return tensor

    def tolist(self) -> list[Any]:
        waits.append("tolist")
        return self.inner.tolist()

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.inner.__reduce_ex__(protocol)  # a file holds CPU tensors

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        tensors = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, torch.Tensor)]
        here = [t for t in tensors if not isinstance(t, Elsewhere)]
        if func not in COPIES and any(t.dim() for t in here):
            raise RuntimeError(f"{func}: tensors of two devices")
        target = kwargs.get("device")
        if target is not None:
            kwargs["device"] = torch.device("cpu")
        down = func in COPIES and (target is not None and target.type == "cpu" or not isinstance(args[0], Elsewhere))
        up = func is aten.copy_.default and here and not (kwargs.get("non_blocking") or args[2:] == (True,))
        if func in READS or down or up or any(t.dtype in (torch.bool, torch.uint8) for t in _indices(func, args)):
            waits.append(str(func))
        result = func(*tree_map(_inner, args), **tree_map(_inner, kwargs))
        if down:
            return args[0] if func is aten.copy_.default else result
        wrappers = {id(t.inner): t for t in tensors if isinstance(t, Elsewhere)}
        for t in wrappers.values():
            if t.inner.shape != t.shape or t.inner.stride() != t.stride():
                t.data = Elsewhere(t.inner)  # squeeze_ and its kin
        return tree_map(lambda t: wrappers.get(id(t), Elsewhere(t)) if isinstance(t, torch.Tensor) else t, result)


def _indices(func: Any, args: Any) -> list[torch.Tensor]:
    """The index tensors of an operation that takes some."""
    names = ("index", "index_put", "index_put_", "_index_put_impl_")
    return [t for t in args[1] if t is not None] if func.overloadpacket.__name__ in names else []


def _inner(value: Any) -> Any:
    return value.inner if isinstance(value, Elsewhere) else value


def _maker(op: Any) -> Any:
    return lambda *args, device=None, **kwargs: Elsewhere(op(*args, device="cpu", **kwargs))


def _upload(here: torch.Tensor, there: Elsewhere, non_blocking: bool = False) -> Elsewhere:
    waits.append("a copy of unpinned memory")
    there.inner.copy_(here)
    return there


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return []


def use(monkeypatch: pytest.MonkeyPatch, float64: bool = True) -> pytest.MonkeyPatch:
    """The package runs on the device, on which everything fits; nothing has waited yet. MPS has no float64."""
    monkeypatch.setattr(Elsewhere, "float64", float64)
    monkeypatch.setattr(devices, "_device", lambda name: torch.device(NAME, 0))
    monkeypatch.setattr(devices, "free_memory", lambda: 2**40)
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # PyTorch allows no other to tensors of this kind
    waits.clear()
    return monkeypatch


_setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
torch.autograd.set_multithreading_enabled(False)  # a thread of the device that still lives at the exit ends in abort()
_library = torch.library.Library("aten", "IMPL")
_library.impl("_copy_from", _upload, "PrivateUse1")
for name in ("empty.memory_format", "empty_strided", "eye", "arange", "arange.start", "arange.start_step"):
    packet, _, overload = name.partition(".")
    _library.impl(name, _maker(getattr(getattr(aten, packet), overload or "default")), "PrivateUse1")
