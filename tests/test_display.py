"""Progress bars: for who watches, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from tqdm import auto, std

from sakerepro.display import bar


@pytest.mark.parametrize("progress,log,shown", [(True, False, False), (True, True, True), (False, True, False)])
def test_without_a_terminal_a_bar_is_for_logs_only(progress, log, shown, capsys):
    steps = bar(range(3), "counting", progress=progress, log=log, disable=False)  # the tests' TQDM_DISABLE aside
    assert list(steps) == [0, 1, 2]
    captured = capsys.readouterr()
    assert captured.out == "" and ("counting: 100%" in captured.err) == shown


def test_a_notebook_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(auto, "notebook_tqdm", type("Widget", (std.tqdm,), {}))
    monkeypatch.setattr(auto, "tqdm", lambda steps, what, **settings: given.update(settings))
    bar(range(3), "counting")
    assert "disable" not in given and given["mininterval"] < 1
