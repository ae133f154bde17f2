"""Rows of runs on a folder of one's own."""

from __future__ import annotations

import numpy as np

from sakerepro.data import photo_queries
from sakerepro.results.runrows import query_precision, run_rows
from sakerepro.runs import Run


def test_own_data_go_by_the_name_of_their_folder(tiny_run: Run) -> None:
    """A table shows ``data``, not where it lies on this machine; a data set with a name keeps it."""
    assert tiny_run.experiment.dataset.startswith("/") and tiny_run.experiment.dataset.endswith("/data")
    assert set(run_rows([tiny_run])["dataset"]) == {"data"}
    for name in ("mini", "sketchy-125x25", "tuberlin"):
        named = Run(tiny_run.folder, tiny_run.experiment.but(dataset=name))
        assert set(run_rows([named])["dataset"]) == {name}


def test_queries_know_their_class(tiny_run: Run) -> None:
    data, found = tiny_run.dataset(), query_precision([tiny_run])
    for (run, task, _), queries in found.items():
        assert run == tiny_run.id and len(queries.ap) > 0
        asking = photo_queries(data, tiny_run.experiment.photo_queries)[0] if task == "ZS-PBIR" else data.query
        np.testing.assert_array_equal(queries.labels, asking.labels)
    assert {task for _, task, _ in found} == {"ZS-SBIR", "ZS-PBIR"}
