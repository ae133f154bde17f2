"""What holds for every method: whoever adds a line to METHODS has it tested here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor

from sakerepro import methods, training
from sakerepro.__main__ import main
from sakerepro.data.dataset import Dataset, ImageSet
from sakerepro.embedding import embed
from sakerepro.evaluation import evaluate, measure
from sakerepro.experiment import Experiment
from sakerepro.methods import Method
from sakerepro.metrics import retrieval_metrics
from sakerepro.runs import experiment_data, run, start
from sakerepro.training import Progress, train

pytestmark = pytest.mark.parametrize("name", methods.METHODS)


class Stop(Exception):
    """What stops a training here."""


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
    return methods.change(tiny.experiment(shared / "data", shared / "se_resnet_mini.safetensors"), method=name)


def trained(e: Experiment, data: Dataset, checkpoint: Path) -> tuple[Method, list[dict[str, float]]]:
    """A method that was trained on the data, and its history."""
    method, aligned, _ = start(e, data)
    return method, train(method, data, e, checkpoint, aligned=aligned)


def weights(method: Method) -> dict[str, Tensor]:
    return {k: v.clone() for k, v in method.state_dict().items()}


def test_steps_are_finite_and_record_the_loss(e: Experiment, tmp_path: Path) -> None:
    method, history = trained(e, experiment_data(e), tmp_path / "checkpoint.pt")
    assert len(history) == method.epochs
    for row in history:
        assert "loss" in row and np.isfinite(list(row.values())).all()
    assert all(torch.isfinite(v).all() for v in method.state_dict().values() if v.is_floating_point())


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_killed_training_goes_on_to_the_same_bits(
    e: Experiment, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Eager(Progress):
        def _save(self) -> None:
            super()._save()
            self.cost = 0.0

    steps: list[int] = []
    stop_at = None
    own = methods.class_of(e.method).step

    def step(self: Method, *arguments: object) -> dict[str, Tensor]:
        steps.append(len(steps))
        if len(steps) - 1 == stop_at:
            raise Stop
        return own(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(training, "Progress", Eager)
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(methods.class_of(e.method), "step", step)
    data = experiment_data(e)
    whole, history = trained(e, data, tmp_path / "whole.pt")
    if not steps:  # a closed form has no step to be killed in
        again, _ = trained(e, data, tmp_path / "again.pt")
        assert tiny.same(whole.state_dict(), again.state_dict())
        return
    stop_at = int(share * len(steps))
    count = len(steps)
    steps.clear()
    with pytest.raises(Stop):
        trained(e, data, tmp_path / "killed.pt")
    assert len(steps) == stop_at + 1 <= count
    stop_at = None
    resumed, rows = trained(e, data, tmp_path / "killed.pt")
    assert len(steps) == count + 1  # the step that was stopped, once more; those before it not
    assert tiny.same(whole.state_dict(), resumed.state_dict())
    assert [{**r, "seconds": 0} for r in rows] == [{**r, "seconds": 0} for r in history]


def unread(images: ImageSet, rng: np.random.Generator) -> ImageSet:
    """Random bytes without labels, in the place of images that nobody may read."""
    pixels = rng.integers(0, 256, (len(images), *images.pixels.shape[1:]), dtype=np.uint8)
    return replace(images, pixels=pixels, rows=np.arange(len(images)), labels=np.full(len(images), -1))


def test_training_never_reads_unseen_images_labels_or_names(
    e: Experiment, tmp_path: Path, rng: np.random.Generator
) -> None:
    data = experiment_data(e)
    blind = replace(
        data,
        query=unread(data.query, rng),
        gallery=unread(data.gallery, rng),
        unseen=tuple(f"no such word {i}" for i in range(len(data.unseen))),
    )
    one, _ = trained(e, data, tmp_path / "one.pt")
    other, _ = trained(e, blind, tmp_path / "other.pt")
    assert tiny.same(one.state_dict(), other.state_dict())


def test_a_run_embeds_measures_and_opens_again(e: Experiment) -> None:
    done = run(e)
    data, arrays, network = done.dataset(), done.embeddings(), done.network()
    assert network.distance in ("cosine", "euclidean")
    width = arrays["gallery"].shape[1]
    for domain, key, images in ((0, "gallery", data.gallery), (1, "query", data.query)):
        assert arrays[key].shape == (len(images), width)
        np.testing.assert_allclose(embed(network, images, e.size), arrays[key], rtol=1e-4, atol=1e-5)
        with torch.no_grad():
            assert network.embed(torch.zeros(2, 3, e.size, e.size), domain).shape == (2, width)
            assert network.embed(torch.zeros(0, 3, e.size, e.size), domain).shape == (0, width)
    kinds = {m["representation"] for m in done.metrics()}
    assert f"{width}-d" in kinds and (width < min(e.bits) or any(k.endswith("-bit") for k in kinds))
    assert run(methods.checked(Experiment.from_dict(e.to_dict()))).id == done.id


def test_the_command_line_lists_what_it_needs_and_its_settings(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["methods"]) == 0
    shown = capsys.readouterr().out
    assert main(["methods", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)[name]
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


def test_random_weights_are_near_chance(e: Experiment, tmp_path: Path) -> None:
    """Backbone and all; what is not learned by steps is fitted to random features."""
    data = experiment_data(e)
    method, aligned, _ = start(e, data)
    with torch.no_grad():
        for p in method.student.parameters():
            noise = torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel()))
            p.copy_(noise / max(p[0].numel(), 1) ** 0.5)
    method.eval()
    method.begin(lambda: training.training_features(method, data, e.size, aligned))
    measured, arrays = evaluate(method, data, e)
    found = next(m["value"] for m in measured if m["metric"] == "mAP@all" and m["task"] == "ZS-SBIR")
    shuffled = [np.random.default_rng(s).permutation(data.gallery.labels) for s in range(20)]
    by_chance = [
        retrieval_metrics(arrays["query"], arrays["gallery"], data.query.labels, y, (), method.distance).map_all
        for y in shuffled
    ]
    assert abs(found - np.mean(by_chance)) < 0.2
