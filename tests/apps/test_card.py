"""The model card of a run: its facts are those of the run's files, and it is written whole or not at all."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import mistune
import pytest
import tiny

from sakerepro.apps.card import model_card
from sakerepro.methods import flat
from sakerepro.runs import Run


@pytest.fixture(scope="module")
def card(tiny_run: Run) -> str:
    return model_card(tiny_run)


def table(card: str, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    lines = card.split(f"## {heading}\n")[1].split("\n## ")[0].splitlines()
    rows = [line for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows if not row.startswith("| ---")]


def test_its_numbers_are_those_of_the_run(tiny_run: Run, card: str) -> None:
    head, *rows = table(card, "What was measured")
    stored = {
        (m["task"], m["representation"], m["metric"]): m["value"]
        for m in tiny_run.metrics()
        if m["convention"] == "standard"
    }
    shown = {(row[0], row[1], name): float(cell) for row in rows for name, cell in zip(head[2:], row[2:], strict=True)}
    assert shown.keys() == stored.keys() and shown == pytest.approx(stored, abs=5.01e-4)


def test_its_data_and_weights_are_those_of_the_run(tiny_run: Run, card: str) -> None:
    counts = {name: (int(n), int(c)) for name, n, c in table(card, "Data")[1:]}
    seen, unseen = len(tiny.SEEN), len(tiny.UNSEEN)
    assert counts["gallery photos (unseen)"] == (unseen * tiny.PHOTOS, unseen)
    assert counts["training photos"] == (seen * tiny.PHOTOS, seen)
    assert all(name.replace("_", r"\_") in card for name in (*tiny.SEEN, *tiny.UNSEEN))
    digest = hashlib.sha256((tiny_run.folder / "weights.safetensors").read_bytes()).hexdigest()
    assert digest in card and tiny_run.provenance()["data"] in card
    assert f"{sum(p.numel() for p in tiny_run.network().parameters()):,} parameters" in card


def test_every_setting_is_there_and_bold_where_it_is_not_the_default(tiny_run: Run, card: str) -> None:
    rows = {name.strip("`"): value for name, value, _ in table(card, "Training")[1:]}
    assert list(rows) == list(flat(tiny_run.experiment)) and {"lambda1", "dim", "method"} <= set(rows)
    assert rows["epochs"] == "**2**" and rows["lambda2"] == "0.3" and rows["dataset"] == "**data**"


def test_it_says_nothing_of_where_things_lie_and_leaves_no_gap(tiny_run: Run, tiny_place: Path, card: str) -> None:
    assert str(tiny_place) not in card and str(Path.home()) not in card
    assert "{" not in card and "None" not in card.split("## Training")[0] and "\n\n\n" not in card
    assert card.startswith("---\n") and card.endswith("authors'.\n")


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        ({}, "One run with one seed", "Never trained on a sketch"),
        ({"epochs": 0}, "Never trained on a sketch", "One run with one seed"),
        ({"settings": {"lambda_sake": 0.0}}, "Trained without the teacher", "the same is the frozen teacher"),
        ({"select": "val"}, "chosen on held-out sketches", "Trained without the teacher"),
        ({"select": "last"}, "ImageNet-1k", "chosen on held-out sketches"),
        ({"pseudo_unseen": 2}, "not a result to report", "Generated data"),
        ({"bits": (128,)}, "compared by cosine |", "Hamming"),
        ({"photo_queries": 0}, "sketches search for photos.\n", "ZS-PBIR: the first"),
        ({"backbone": "resnet_mini"}, "which this network ignores", "Generated data"),
        ({"dataset": "mini", "split": "zeroshot"}, "Generated data", "Seen ("),  # other images than the run's
    ],
)
def test_the_limits_are_those_of_its_settings(tiny_run, changes, said, unsaid, monkeypatch):
    if changes.get("dataset") == "mini":
        monkeypatch.setattr(Run, "dataset", lambda run: tiny.dataset())
    text = model_card(Run(tiny_run.folder, tiny_run.experiment.but(**changes)))
    assert said in text and unsaid not in text


def test_names_are_text_in_markdown(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a renderer shows is the name; a dollar is escaped too, since forges take two of them for a formula."""
    names = ("us$ and au$ notes", "_a_ b", "a|b", "<b>x</b>", "`c` *d*", "r\\_s")
    named = replace(tiny_run.dataset(), seen=names[:4], unseen=names[4:])
    monkeypatch.setattr(Run, "dataset", lambda run: named)
    card = model_card(Run(tiny_run.folder, tiny_run.experiment.but(dataset="/place/<i>_my_ $data|s$")))
    shown = mistune.create_markdown(escape=False, plugins=["table"])(card)
    seen, unseen = (", ".join(side).replace("<", "&lt;").replace(">", "&gt;") for side in (names[:4], names[4:]))
    assert f"Seen (4): {seen}." in shown and f"Unseen (2): {unseen}." in shown
    assert (
        "<strong>&lt;i&gt;_my_ $data|s$</strong>" in shown and ">&lt;i&gt;_my_ $data|s$, split unseen.txt</th>" in shown
    )
    assert not re.search(r"(?<!\\)\$", re.sub("```.*?```|`[^`]*`", "", card, flags=re.DOTALL))


def test_without_the_data_set_the_classes_are_not_named(tiny_run: Run, tmp_path: Path) -> None:
    text = model_card(Run(tiny_run.folder, tiny_run.experiment.but(dataset=str(tmp_path / "gone"))))
    assert "was not at hand" in text and "Unseen (" not in text and "| gallery photos (unseen) | 24 | 2 |" in text


def test_a_card_is_written_whole_or_not_at_all(tiny_run, card, tmp_path, monkeypatch, cli):
    monkeypatch.chdir(tmp_path)
    written = tmp_path / f"{tiny_run.id}-card.md"
    assert cli("card", str(tiny_run.folder)).out.strip() == written.name and written.read_text() == card
    assert cli("card", str(tiny_run.folder), "--to", "-").out == card
    broken = Path(shutil.copytree(tiny_run.folder, tmp_path / "broken"))
    (broken / "metrics.json").write_text("{")
    assert "metrics.json" in cli("card", str(broken), "--to", written.name, code=1).err
    assert written.read_text() == card and not list(tmp_path.glob(".*"))
