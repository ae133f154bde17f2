"""The path of an accelerator, run on the CPU: batches and losses are those of the usual path."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import elsewhere
import numpy as np
import pytest
import tiny
import torch
from test_training import STEPS, Toy, fit, sake, train, without_seconds
from tiny import Stop
from torch import Tensor

from sakerepro import devices, training
from sakerepro.data.batching import Batch, batch_maker, make_batch
from sakerepro.embedding import embed, top1
from sakerepro.errors import ConfigError, RunError


@pytest.fixture
def fresh() -> Iterator[None]:
    """Forget the cached device before and after the test."""
    devices._device.cache_clear()
    yield
    devices._device.cache_clear()


@pytest.fixture
def accelerated(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A second device, on which everything fits."""
    return elsewhere.use(monkeypatch)


@pytest.mark.parametrize(
    ("count", "name", "want"),
    [
        (0, "", "cpu"),
        (0, "cpu", "cpu"),
        (2, "", "cuda"),
        (2, "cpu", "cpu"),
        (2, "cuda", "cuda"),
        (2, "cuda:1", "cuda:1"),
    ],
)
def test_a_variable_chooses_the_device(count, name, want, fresh, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setenv("SAKEREPRO_DEVICE", name)
    for flag, usual in (("allow_tf32", True), ("deterministic", False)):
        monkeypatch.setattr(torch.backends.cudnn, flag, usual)
    assert devices.device() == torch.device(want) and devices.accelerated() == (want != "cpu")
    assert torch.backends.cudnn.deterministic != torch.backends.cudnn.allow_tf32 == (want == "cpu")


@pytest.mark.parametrize("name", ["cuda:2", "gpu", "mps"])
def test_a_device_that_is_not_there_is_one_clear_error(name: str, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("SAKEREPRO_DEVICE", name)
    with pytest.raises(ConfigError, match=f"SAKEREPRO_DEVICE = '{name}' is not there.*cpu, cuda, cuda:0, cuda:1"):
        devices.device()


WAITS: list[tuple[str, Callable[[Tensor], Any]]] = [
    ("aten._local_scalar_dense.default", lambda x: float(x.sum())),
    ("aten.nonzero.default", torch.nonzero),
    ("aten.index.Tensor", lambda x: x[x > 0]),
    ("aten._to_copy.default", lambda x: x.cpu()),
    ("aten.copy_.default", lambda x: torch.empty(2, 3).copy_(x)),
    ("aten.copy_.default", lambda x: torch.ones(3).to(x.device)),
    ("a copy of unpinned memory", lambda x: torch.tensor([1.0, 2.0], device=x.device)),
    ("tolist", lambda x: x.tolist()),
]


@pytest.mark.parametrize("name, call", WAITS)
def test_the_second_device_notes_what_waits(name, call, accelerated):
    x = torch.ones(2, 3, device=devices.device())
    (x @ x.T).relu().sort()
    assert not elsewhere.waits
    call(x)
    assert elsewhere.waits == [name]


@pytest.mark.parametrize("call", [lambda x: x + torch.ones(3), lambda x: torch.cat([x, torch.ones(2, 3)]), np.asarray])
def test_the_second_device_refuses_what_a_gpu_refuses(call, accelerated):
    x = torch.ones(2, 3, device=devices.device())
    assert torch.equal((x + torch.tensor(1.0)).cpu(), torch.full((2, 3), 2.0))  # a number may come from the CPU
    with pytest.raises(RuntimeError, match="two devices|numpy"):
        call(x)


def test_a_network_is_moved_where_it_embeds(tiny_data, accelerated):
    """The network of a finished run or a checkpoint is on the CPU."""
    network, here = sake()[0], sake()[0]
    embeddings, share = embed(network, tiny_data.query, 32), top1(network.seen_logits, network, tiny_data.query, 32)
    accelerated.undo()
    np.testing.assert_allclose(embeddings, embed(here, tiny_data.query, 32), rtol=1e-3, atol=1e-4)
    assert share == pytest.approx(top1(here.seen_logits, here, tiny_data.query, 32))


@pytest.mark.parametrize("free", [0, 2**40])
@pytest.mark.parametrize("style", ["centred", "official"])
def test_batches_are_those_of_the_cpu(free, style, tiny_data, accelerated):
    """With the images on the device, and with images that do not fit there."""
    accelerated.setattr(devices, "free_memory", lambda: free)
    sets, index = (tiny_data.train_photo, tiny_data.train_sketch), (np.array([5, 0, 40]), np.array([27, 3]))
    backbone = sake()[0].backbone
    make = batch_maker(sets, 24, style, backbone)
    got = make(index, np.random.default_rng(4)).to(torch.device("cpu"))
    want = make_batch(list(zip(sets, index, strict=True)), 24, style, backbone, np.random.default_rng(4))
    torch.testing.assert_close(got.images, want.images, atol=2e-3, rtol=0)  # as test_data_augmentation has it
    assert got.images.is_contiguous(memory_format=torch.channels_last)
    assert (got.photos, got.names) == (want.photos, want.names)
    assert all(torch.equal(getattr(got, name), getattr(want, name)) for name in ("labels", "domain", "rows"))


def test_training_is_that_of_the_cpu_up_to_rounding(tiny_data, tmp_path, monkeypatch):
    want = train(sake()[0], tiny_data, tmp_path / "usual")
    elsewhere.use(monkeypatch)
    method, _ = sake()
    got = train(method, tiny_data, tmp_path / "device")
    assert [row.keys() for row in got] == [row.keys() for row in want]
    for name in ("loss", "loss_benchmark", "loss_sake", "lr"):
        assert [row[name] for row in got] == pytest.approx([row[name] for row in want], rel=1e-3), name
    embedded = embed(method, tiny_data.query, 32)
    monkeypatch.undo()
    np.testing.assert_allclose(embedded, embed(method, tiny_data.query, 32), rtol=1e-3, atol=1e-4)


def test_a_stopped_training_ends_the_same_to_the_bit(tiny_data, tmp_path, accelerated):
    whole, _ = sake()
    history = train(whole, tiny_data, tmp_path / "whole")
    stopped, calls = sake()[0], []
    losses = stopped.losses

    def stop(batch: Any) -> Any:
        calls.append(1)
        if len(calls) == 4:  # the last step of the second epoch
            raise Stop
        return losses(batch)

    stopped.losses = stop
    with accelerated.context() as patch, pytest.raises(Stop):
        patch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
        train(stopped, tiny_data, tmp_path / "stopped")
    resumed, _ = sake()
    again = train(resumed, tiny_data, tmp_path / "stopped")
    assert without_seconds(again) == without_seconds(history)
    assert tiny.same(resumed.state_dict(), whole.state_dict())


@pytest.mark.parametrize("every", [1, 2, 25])
def test_losses_that_are_read_now_and_then_sum_to_the_same(every, tmp_path, monkeypatch):
    toy, again = Toy(), Toy()
    want = fit(toy, tmp_path / "usual.pt")
    monkeypatch.setattr(devices, "accelerated", lambda: True)  # on the CPU, for the same bits
    monkeypatch.setattr(training, "CHECK_STEPS", every)
    assert fit(again, tmp_path / "device.pt") == want
    assert tiny.same(again.state_dict(), toy.state_dict())


def test_the_host_waits_for_the_device_once_in_many_steps(tmp_path: Path, accelerated: pytest.MonkeyPatch) -> None:
    """60 steps need three looks at the losses."""

    class Long(Toy):
        def plan(self, epoch: int) -> list[np.ndarray]:
            return [np.arange(8)] * 60

        def measured(self) -> dict[str, float]:
            return {}

    toy = Long(epochs=1)
    accelerated.setattr(training.Progress, "_save", lambda self: None)
    elsewhere.waits.clear()
    fit(toy, tmp_path / "c.pt")
    assert elsewhere.waits == ["tolist"] * 3


def test_a_loss_that_is_not_finite_is_found_late_but_named_exactly(tmp_path, accelerated):
    batches: list[Batch] = []

    class Broken(Toy):
        def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
            batches.append(batch)
            losses = super().losses(batch)
            return losses | {"loss_twice": losses["loss_twice"] * (math.inf if len(batches) == STEPS + 2 else 1)}

    with pytest.raises(RunError, match=r"loss_twice is inf in epoch 2, step 2. Its batch: .*\b[0-9]+.png") as error:
        fit(Broken(), tmp_path / "c.pt")
    assert ", ".join(batches[STEPS + 1].names[:6]) in str(error.value) and len(batches) == 2 * STEPS
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 0)  # what stands is from before
