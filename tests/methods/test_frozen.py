"""A method on frozen features: which features, computed once, and the side information that it asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from torch import Tensor, nn

from sakerepro import methods, training
from sakerepro.embedding import embed
from sakerepro.errors import DataError
from sakerepro.experiment import Experiment
from sakerepro.methods.contract import ALIGNED, CLASS_VECTORS, FEATURES, Method
from sakerepro.networks.backbones import Backbone
from sakerepro.runs import experiment_data, find, run, start
from sakerepro.training import Batch, Optimisers, train


class Regression(Method):
    """A linear map from features to class vectors, by squared error."""

    needs = frozenset({"features", "class vectors"})
    settings = {**FEATURES, **CLASS_VECTORS}
    batches: list[Batch] = []

    def __init__(self, e: Experiment, student: Any, side: Any) -> None:
        super().__init__(e, student, side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(e.seed)
            self.map = nn.Linear(student.backbone.num_features, side.vectors.shape[1])

    @property
    def epochs(self) -> int:
        return 3

    def optimisers(self) -> Optimisers:
        return Optimisers(adam=torch.optim.Adam(self.map.parameters(), lr=1e-2))

    def plan(self, data: Any, epoch: int) -> Any:
        return self.pairs(data, epoch, size=8)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.batches.append(batch)
        return {"loss": (self.map(batch.images) - self.vectors[batch.labels]).square().mean()}

    def embed_features(self, features: Tensor, domain: Tensor | int) -> Tensor:
        return self.map(features)


class Aligned(Regression):
    """The same on pairs of a sketch and its own photo."""

    needs = Regression.needs | {"aligned"}
    settings = {**Regression.settings, **ALIGNED}


@pytest.fixture
def e(tiny_experiment: Experiment) -> Experiment:
    Regression.batches.clear()
    return methods.change(tiny_experiment, method="test_frozen:Regression")


@pytest.mark.parametrize("base", ["L_B", "pretrained"])
def test_features_are_those_of_the_baseline_of_the_same_seed(e: Experiment, base: str) -> None:
    done = run(methods.change(e, features=base))
    below = find(methods.change(e, method=base))
    one, other = (r.network().backbone.state_dict() for r in (done, below))
    assert tiny.same(one, other)
    assert done.provenance()["class_vectors"]["kind"] == "wordnet"
    np.testing.assert_allclose(
        embed(done.network(), done.dataset().query, e.size), done.embeddings()["query"], rtol=1e-4, atol=1e-5
    )


def test_batches_hold_the_features_of_their_images(e: Experiment, tmp_path: Path) -> None:
    data = experiment_data(e)
    method, _ = start(e, data)
    history = train(method, data, e, tmp_path / "checkpoint.pt")
    assert [row["loss"] for row in history] == sorted((row["loss"] for row in history), reverse=True)
    sets = (data.train_photo, data.train_sketch)
    row_of = {name: (images, i) for images in sets for i, name in enumerate(images.names)}
    batch = Regression.batches[4]
    assert batch.photos == 8 and len(batch.names) == 16
    for name, feature, domain, label in zip(batch.names, batch.images, batch.domain, batch.labels, strict=True):
        images, i = row_of[name]
        one = images.select(np.array([i]))
        assert (one.domain, one.labels[0]) == (domain, label)
        want = training.backbone_features(method, one, e.size)[0]
        np.testing.assert_allclose(feature, want, rtol=1e-4, atol=1e-5)


def test_the_backbone_sees_every_image_once_for_all_runs(e: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    run(e)
    seen: list[int] = []
    forward = Backbone.forward

    def counting(self: Backbone, images: Tensor, domain: Tensor) -> Tensor:
        seen.append(len(images))
        return forward(self, images, domain)

    monkeypatch.setattr(Backbone, "forward", counting)
    first = run(methods.change(e, class_vectors="random"))
    assert seen == []
    for file in (Path(first.folder).parent.parent / "cache" / "features").glob("*.npy"):
        file.write_bytes(file.read_bytes()[:-40])  # damaged: made again
    second = run(methods.change(e, class_vectors="hiesim"))
    data = second.dataset()
    sets = (data.train_photo, data.train_sketch, data.query, data.gallery)
    assert sum(seen) == sum(map(len, sets))
    seen.clear()
    monkeypatch.setattr("sakerepro.embedding.versions", lambda: {"measuring": 99})  # embedded another way
    run(methods.change(e, class_vectors="means"))
    assert sum(seen) >= sum(map(len, sets))


def test_aligned_pairs_that_the_data_does_not_have_are_refused_before_anything_is_trained(e: Experiment) -> None:
    wanted = methods.change(e, method="test_frozen:Aligned")
    with pytest.raises(DataError, match="aligned pairs need"):
        run(wanted)
    assert find(methods.change(e, method="L_B")) is None
    assert run(methods.change(wanted, pairs="class")).metrics()
