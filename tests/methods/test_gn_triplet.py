"""GN-Triplet against torch's own triplet loss."""

from __future__ import annotations

from pathlib import Path

import frozen
import pytest
import tiny
import torch

from sakerepro import methods
from sakerepro.data.dataset import Dataset
from sakerepro.experiment import Experiment
from sakerepro.methods.gn_triplet import triplet_loss
from sakerepro.training import Batch


@pytest.mark.parametrize("margin", [0.1, 0.5, 15.0])
def test_equals_torch(margin: float) -> None:
    s, p, n = torch.randn(3, 17, 5, generator=torch.Generator().manual_seed(17), dtype=torch.float64)
    squared = torch.nn.TripletMarginWithDistanceLoss(
        distance_function=lambda a, b: torch.pairwise_distance(a, b, eps=0) ** 2, margin=margin
    )
    assert triplet_loss(s, p, n, margin).item() == pytest.approx(squared(s, p, n).item(), rel=1e-12)


def test_without_triplets_it_is_the_benchmark_loss_on_sake_s_batches(tiny_data: Dataset, tmp_path: Path) -> None:
    """Bit for bit, which also says that weights, heads, optimiser and batches start the same."""
    results = []
    for method in (frozen.make("L_B"), frozen.make("GN-Triplet", triplet=0.0, classification=1.0)):
        history, _ = frozen.trained(method, tiny_data, tmp_path / f"{method.e.method}.pt")
        results.append((method.state_dict(), [row["loss"] for row in history]))
    assert tiny.same(results[0][0], results[1][0]) and results[0][1] == results[1][1]


def test_settings_that_do_nothing_make_no_run_of_their_own(tiny_experiment: Experiment) -> None:
    def of(**own: object) -> str:
        return methods.change(tiny_experiment, method="GN-Triplet", **own).id

    assert of(triplet=0.0, margin=0.1) == of(triplet=0.0) == of(triplet=0.0, pairs="aligned")
    assert len({of(), of(margin=0.1), of(pairs="aligned"), of(triplet=0.0)}) == 4


def test_the_negative_is_not_classified() -> None:
    """Whatever class the negatives are said to be of, the loss is the same; the positives' class counts."""
    method = frozen.make("GN-Triplet")
    images = torch.randn(9, 3, tiny.SIDE, tiny.SIDE, generator=torch.Generator().manual_seed(0))
    domain = torch.tensor([0.0] * 6 + [1.0] * 3)

    def loss(labels: list[int]) -> float:
        return method.eval().losses(Batch(images, torch.tensor(labels), domain, 6, [""] * 9))["loss"].item()

    assert loss([0, 1, 2, 1, 2, 0, 0, 1, 2]) == loss([0, 1, 2, 3, 3, 3, 0, 1, 2])
    assert loss([0, 1, 2, 1, 2, 0, 0, 1, 2]) != loss([3, 1, 2, 1, 2, 0, 0, 1, 2])
