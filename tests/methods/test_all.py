"""What holds for every method: whoever adds a line to METHODS has it tested here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import elsewhere
import frozen
import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from sakerepro import methods, training
from sakerepro.data.dataset import Dataset, ImageSet
from sakerepro.embedding import embed
from sakerepro.evaluation import evaluate, measure
from sakerepro.experiment import Experiment
from sakerepro.metrics import retrieval_metrics
from sakerepro.runs import experiment_data, run, start

pytestmark = pytest.mark.parametrize("name", methods.METHODS)


# seconds in place of minutes; test_full_size.py has the sizes of each
SMALL = {"rounds": 3, "batch_pairs": 16, "pretraining": 5, "fusion_first": 5, "width": 8, "hidden": 32}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny task on disk, with sketches that name their photos as Sketchy's do."""
    place = tmp_path_factory.mktemp("methods")
    tiny.write_folder(place / "data")
    tiny.write_weights(place / "se_resnet_mini.safetensors")
    for file in (place / "data" / "sketch").glob("*/*.png"):
        file.rename(file.with_name(f"{file.stem}-1.png"))
    return place


@pytest.fixture
def e(name: str, shared: Path, own_places: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """The method on the tiny task; its runs, and the L_B run below frozen features, are made once for all tests."""
    for place in ("RUNS", "CACHE"):
        monkeypatch.setenv(f"SAKEREPRO_{place}", str(shared / place.lower()))
    small = {k: v for k, v in SMALL.items() if k in methods.class_of(name).settings}
    return methods.change(tiny.experiment(shared / "data", shared / "se_resnet_mini.safetensors"), method=name, **small)


@pytest.fixture
def data(e: Experiment) -> Dataset:
    return experiment_data(e)


@pytest.fixture(scope="module")
def finished() -> dict[str, tuple[dict[str, Tensor], list[dict[str, float]], int]]:
    """What :func:`whole` trained, by method."""
    return {}


@pytest.fixture
def whole(name: str, e: Experiment, data: Dataset, finished: dict[str, Any], tmp_path: Path) -> Any:
    """Weights, history and number of steps of a training that nothing stopped; made once for all tests."""
    if name not in finished:
        method, _ = start(e, data)
        history, steps = frozen.trained(method, data, tmp_path / "whole.pt")
        assert len(history) == method.epochs
        finished[name] = method.state_dict(), history, steps
    return finished[name]


def test_steps_are_finite_and_record_the_loss(whole: Any) -> None:
    state, history, _ = whole
    for row in history:
        assert "loss" in row and np.isfinite(list(row.values())).all()
    assert all(torch.isfinite(v).all() for v in state.values() if v.is_floating_point())


def test_a_killed_training_goes_on_to_the_same_bits(e: Experiment, data: Dataset, whole: Any, tmp_path: Path) -> None:
    """Killed inside the second epoch, so that what came before it and before the first is in the checkpoint."""
    state, history, steps = whole
    stop_at, trained = int(0.7 * steps), []

    def again(stop: int = -1) -> tuple[list[dict[str, float]], int]:
        method, _ = start(e, data)
        trained.append(method)
        return frozen.trained(method, data, tmp_path / "killed.pt", stop)

    if steps:  # a closed form has no step to be killed in
        with pytest.raises(tiny.Stop):
            again(stop_at)
    assert again() == (history, steps - stop_at)  # those before the kill are not made again
    assert tiny.same(trained[-1].state_dict(), state)


def test_another_device_trains_the_same_and_no_step_waits_for_it(name, e, data, whole, tmp_path, monkeypatch):
    elsewhere.use(monkeypatch, float64=methods.class_of(name).float64)
    method, _ = start(e, data)
    step, waited = method.step, []

    def watched(*arguments: Any) -> dict[str, Tensor]:
        elsewhere.waits.clear()
        losses = step(*arguments)
        waited.extend(elsewhere.waits)
        return losses

    monkeypatch.setattr(method, "step", watched)
    history, steps = frozen.trained(method, data, tmp_path / "there.pt")
    assert steps == whole[2] and (not waited or name == "ZSH")  # its ten rounds solve and decompose
    for row, want in zip(history, whole[1], strict=True):
        assert row == pytest.approx(want, rel=0.1)  # augmentation rounds otherwise, which turns a few signs of codes
    if not history:  # solved in closed form
        for key, value in method.state_dict().items():
            torch.testing.assert_close(value.cpu(), whole[0][key], rtol=1e-3, atol=1e-4)
    assert all(0 <= m["value"] <= 1 for m in evaluate(method, data, e)[0])


def unread(images: ImageSet, rng: np.random.Generator) -> ImageSet:
    """Random bytes without labels, in the place of images that nobody may read."""
    pixels = rng.integers(0, 256, (len(images), *images.pixels.shape[1:]), dtype=np.uint8)
    return replace(images, pixels=pixels, rows=np.arange(len(images)), labels=np.full(len(images), -1))


def test_training_never_reads_unseen_images_labels_or_names(e, data, whole, tmp_path, rng):
    blind = replace(
        data,
        query=unread(data.query, rng),
        gallery=unread(data.gallery, rng),
        unseen=tuple(f"no such word {i}" for i in range(len(data.unseen))),
    )
    method, _ = start(e, blind)
    frozen.trained(method, blind, tmp_path / "blind.pt")
    assert tiny.same(method.state_dict(), whole[0])


def test_a_run_embeds_measures_and_opens_again(e: Experiment) -> None:
    done = run(e)
    data, arrays, network = done.dataset(), done.embeddings(), done.network()
    assert network.distance in ("cosine", "euclidean")
    width = arrays["gallery"].shape[1]
    frozen.check_embed(network, width, e.size)
    for key, images in (("gallery", data.gallery), ("query", data.query)):
        assert arrays[key].shape == (len(images), width)
        np.testing.assert_allclose(embed(network, images, e.size), arrays[key], rtol=1e-4, atol=1e-5)
    kinds = {m["representation"] for m in done.metrics()}
    assert f"{width}-d" in kinds and (width < min(e.bits) or any(k.endswith("-bit") for k in kinds))
    assert run(methods.checked(Experiment.from_dict(e.to_dict()))).id == done.id


def test_the_command_line_lists_what_it_needs_and_its_settings(name: str, cli: Callable[..., Any]) -> None:
    shown = cli("methods").out
    listed = json.loads(cli("methods", "--json").out)[name]
    cls = methods.class_of(name)
    assert listed["needs"] == sorted(cls.needs) and listed["settings"].keys() == cls.settings.keys()
    assert f"{name}: {(cls.__doc__ or '').splitlines()[0]}\n" in shown
    assert all(f"  --{key.replace('_', '-')}: {s.help} [" in shown for key, s in cls.settings.items())


def test_relabelled_classes_measure_the_same(e: Experiment) -> None:
    done = run(e)
    data = done.dataset()
    swapped = replace(
        data,
        query=replace(data.query, labels=1 - data.query.labels),
        gallery=replace(data.gallery, labels=1 - data.gallery.labels),
    )
    before, after = (measure(done.embeddings(), d, e, done.network())[0] for d in (data, swapped))
    assert [m["value"] for m in after] == pytest.approx([m["value"] for m in before])


def test_random_weights_are_near_chance(e: Experiment, data: Dataset) -> None:
    """Backbone and all; what is not learned by steps is fitted to random features."""
    method, _ = start(e, data)
    with torch.no_grad():
        for p in method.student.parameters():
            noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
            p.copy_(noise / max(p[0].numel(), 1) ** 0.5)
    method.eval()
    method.begin(lambda: training.training_features(method, data, e.size))
    measured, arrays = evaluate(method, data, e)
    map_all = next(m["value"] for m in measured if m["metric"] == "mAP@all" and m["task"] == "ZS-SBIR")
    shuffled = [np.random.default_rng(s).permutation(data.gallery.labels) for s in range(20)]
    by_chance = [
        retrieval_metrics(arrays["query"], arrays["gallery"], data.query.labels, y, (), method.distance).map_all
        for y in shuffled
    ]
    assert abs(map_all - np.mean(by_chance)) < 0.2
