"""Pretrained weights come from a hub, here a server of the test's own: whole and the right ones, or one sentence."""

from __future__ import annotations

import hashlib
import io
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub.constants
import pytest
import timm
import tiny
import torch
from safetensors.torch import save
from torch.hub import load_state_dict_from_url
from torchvision.models import squeezenet1_1
from web import Server

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.errors import ConfigError, DataError
from sakerepro.networks.weights import fetch_weights, read_weights, weights_file

NAME = "test_resnet"  # of timm, half a million parameters


@pytest.fixture
def state(server: Server, own_data: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The weights that the hub has, and an empty data folder."""
    template = server.root + "/{repo_id}/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    weights = tiny.randomise(timm.create_model(NAME)).state_dict()
    server.files = {f"/{timm.get_pretrained_cfg(NAME).hf_hub_id}/main/model.safetensors": save(weights)}
    server.kind = "application/octet-stream"
    return weights


def left() -> list[str]:
    return sorted(p.name for p in (paths.data() / "weights").glob("*") if not p.name.startswith("."))


def test_the_weights_of_the_hub_arrive_under_the_names_of_the_network(state, server, cli):
    assert cli("weights", "fetch", NAME, "--yes").out.strip() == str(weights_file(NAME))
    floats = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
    assert left() == [f"{NAME}.safetensors"] and tiny.same(read_weights(weights_file(NAME)), floats)
    requests = len(server.requests)
    assert main(["weights", "fetch", NAME]) == 0 and len(server.requests) == requests  # they are here


def test_a_file_without_these_weights_is_refused(state: dict[str, torch.Tensor], server: Server) -> None:
    for body in (b"no weights", save({"other": torch.zeros(3)})):
        server.files = {path: body for path in server.files}
        with pytest.raises(DataError, match=f"{NAME}: its weights cannot be had now .* put them as safetensors at"):
            fetch_weights(NAME, ask=False)
        assert not left()


def test_a_hub_that_does_not_answer_is_named(state, server, monkeypatch):
    nobody = "http://127.0.0.1:9/{repo_id}/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", nobody)
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the attempts
    with pytest.raises(DataError, match=f"{NAME}: its weights cannot be had now"):
        fetch_weights(NAME, ask=False)
    assert not left() and not server.requests


@pytest.mark.parametrize("right", [True, False])
def test_weights_of_torchvision_have_their_checksum_in_the_name(right, state, server, monkeypatch):
    theirs, file = squeezenet1_1().state_dict(), io.BytesIO()
    torch.save(theirs, file)
    begins = hashlib.sha256(file.getvalue()).hexdigest()[:8] if right else "deadbeef"
    server.files = {f"/squeezenet1_1-{begins}.pth": file.getvalue()}
    hub = partial(load_state_dict_from_url, f"{server.root}/squeezenet1_1-{begins}.pth")
    monkeypatch.setattr("torchvision.models.get_weight", lambda name: SimpleNamespace(get_state_dict=hub))
    if right:
        assert tiny.same(read_weights(fetch_weights("squeezenet1_1", ask=False)), theirs)
        assert left() == ["squeezenet1_1.safetensors"]
    else:
        with pytest.raises(DataError, match='expected "deadbeef"'):
            fetch_weights("squeezenet1_1", ask=False)
        assert not left()


def test_a_network_without_weights_has_no_source(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ConfigError, match="no known source of pretrained weights for coatnet_0_224"):
        fetch_weights("coatnet_0_224", ask=False)
