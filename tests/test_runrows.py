"""Rows of runs on a folder of one's own."""

from __future__ import annotations

from sakerepro.runrows import run_rows
from sakerepro.runs import Run


def test_own_data_go_by_the_name_of_their_folder(tiny_run: Run) -> None:
    """A table shows ``data``, not where it lies on this machine; a data set with a name keeps it."""
    assert tiny_run.experiment.dataset.startswith("/") and tiny_run.experiment.dataset.endswith("/data")
    assert set(run_rows([tiny_run])["dataset"]) == {"data"}
    for name in ("mini", "sketchy-125x25", "tuberlin"):
        named = Run(tiny_run.folder, tiny_run.experiment.but(dataset=name))
        assert set(run_rows([named])["dataset"]) == {name}
