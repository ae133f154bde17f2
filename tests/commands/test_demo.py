"""``demo``: first contact, from nothing to photos found."""

from __future__ import annotations

import shlex

import pytest
import tiny
from PIL import Image

from sakerepro.__main__ import parser
from sakerepro.experiment import PRESETS


@pytest.mark.slow
def test_demo_trains_indexes_and_writes_a_contact_sheet(tiny_place, tmp_path, monkeypatch, cli):
    settings = tiny.experiment(tiny_place / "data", tiny_place / "se_resnet_mini.safetensors", dim=64, bits=(64,))
    monkeypatch.setitem(PRESETS, "mini", {k: v for k, v in settings.to_dict().items() if k != "preset"})
    monkeypatch.setattr("sakerepro.commands.demo.SIZE", 16)
    monkeypatch.chdir(tmp_path)
    printed = cli("demo").out
    with Image.open("demo/found.png") as sheet:
        assert sheet.width > 5 * 128 and sheet.height > 4 * 128  # a row a sketch, which stands before five photos
    shown = [line.removeprefix("$ ") for line in printed.splitlines() if line.startswith("$ ")]
    advised = [line.strip() for line in printed.partition("Next:")[2].splitlines() if line.strip()]
    assert len(shown) == 3 and len(advised) == 3 and printed.count("demo/photo/") == 4 * 5
    for command in (*shown, *advised[:2]):
        assert parser().parse_args(shlex.split(command, comments=True)[1:]).function
    assert advised[2].startswith("make lab")
    assert "demo: is there already" in cli("demo", code=2).err
