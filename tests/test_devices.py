"""The path of an accelerator, run on the CPU: batches and losses are those of the usual path."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from test_training import STEPS, Toy, fit, sake, train, without_seconds
from tiny import Stop

from sakerepro import devices, training
from sakerepro.data.batching import Batch, batch_maker, make_batch
from sakerepro.embedding import embed
from sakerepro.errors import ConfigError, RunError


@pytest.fixture
def fresh() -> Iterator[None]:
    """Nothing that is known of the real devices stays, nor of those of a test."""
    devices._device.cache_clear()
    yield
    devices._device.cache_clear()


@pytest.fixture
def accelerated(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The CPU is taken for an accelerator on which everything fits."""
    monkeypatch.setattr(devices, "accelerated", lambda: True)
    monkeypatch.setattr(devices, "free_memory", lambda: 2**40)
    return monkeypatch


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
    assert devices.device() == torch.device(want) and devices.accelerated() == (want != "cpu")


@pytest.mark.parametrize("name", ["cuda:2", "gpu", "mps"])
def test_a_device_that_is_not_there_is_one_clear_error(name: str, fresh: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setenv("SAKEREPRO_DEVICE", name)
    with pytest.raises(ConfigError, match=f"SAKEREPRO_DEVICE = '{name}' is not there.*cpu, cuda, cuda:0, cuda:1"):
        devices.device()


@pytest.mark.parametrize("free", [0, 2**40])
@pytest.mark.parametrize("style", ["centred", "official"])
def test_batches_are_those_of_the_cpu(free, style, tiny_data, accelerated):
    """With the images on the device, and with images that do not fit there."""
    accelerated.setattr(devices, "free_memory", lambda: free)
    sets, index = (tiny_data.train_photo, tiny_data.train_sketch), (np.array([5, 0, 40]), np.array([27, 3]))
    backbone = sake()[0].backbone
    make = batch_maker(sets, 24, style, backbone)
    got = make(index, np.random.default_rng(4))
    want = make_batch(list(zip(sets, index, strict=True)), 24, style, backbone, np.random.default_rng(4))
    torch.testing.assert_close(got.images, want.images, atol=2e-3, rtol=0)  # as test_data_augmentation has it
    assert got.images.is_contiguous(memory_format=torch.channels_last)
    assert (got.photos, got.names) == (want.photos, want.names)
    assert all(torch.equal(getattr(got, name), getattr(want, name)) for name in ("labels", "domain", "rows"))


def test_training_is_that_of_the_cpu_up_to_rounding(tiny_data, tmp_path, monkeypatch):
    want = train(sake()[0], tiny_data, tmp_path / "usual")
    monkeypatch.setattr(devices, "accelerated", lambda: True)
    monkeypatch.setattr(devices, "free_memory", lambda: 2**40)
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
    monkeypatch.setattr(devices, "accelerated", lambda: True)
    monkeypatch.setattr(training, "CHECK_STEPS", every)
    assert fit(again, tmp_path / "device.pt") == want
    assert tiny.same(again.state_dict(), toy.state_dict())


def test_the_host_waits_for_the_device_once_in_many_steps(tmp_path: Path, accelerated: pytest.MonkeyPatch) -> None:
    """Every way to a number in Python is counted; 60 steps of plain descent need three looks at the losses."""

    class Long(Toy):
        def plan(self, epoch: int) -> list[np.ndarray]:
            return [np.arange(8)] * 60

        def measured(self) -> dict[str, float]:
            return {}

    toy, calls = Long(epochs=1), []
    toy.optimiser = torch.optim.SGD(toy.parameters(), lr=0.01)  # Adam reads its step counters, on the CPU
    for name in ("item", "tolist", "__bool__", "__float__", "numpy", "cpu"):
        real = getattr(torch.Tensor, name)
        accelerated.setattr(
            torch.Tensor, name, lambda *a, _real=real, _name=name, **k: (calls.append(_name), _real(*a, **k))[1]
        )
    accelerated.setattr(training.Progress, "_save", lambda self: None)
    fit(toy, tmp_path / "c.pt")
    assert calls == ["tolist"] * 3


def test_a_loss_that_is_not_finite_is_found_late_but_named_exactly(tmp_path, accelerated):
    batches: list[Batch] = []

    class Broken(Toy):
        def losses(self, batch: Batch) -> dict[str, torch.Tensor]:
            batches.append(batch)
            found = super().losses(batch)
            return found | {"loss_twice": found["loss_twice"] * (math.inf if len(batches) == STEPS + 2 else 1)}

    with pytest.raises(RunError, match=r"loss_twice is inf in epoch 2, step 2. Its batch: .*\b[0-9]+.png") as error:
        fit(Broken(), tmp_path / "c.pt")
    assert ", ".join(batches[STEPS + 1].names[:6]) in str(error.value) and len(batches) == 2 * STEPS
    state = torch.load(tmp_path / "c.pt", weights_only=True)
    assert (state["epoch"], state["step"]) == (1, 0)  # what stands is from before
