"""Networks with and without gates against timm itself, and weights that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import tiny
import torch
from data_room import real_data
from safetensors.torch import load_file, save_file
from tiny import noise
from torch import nn

from sakerepro.data import places
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import Experiment
from sakerepro.model import build_student
from sakerepro.networks.architectures import ARCHITECTURES, architecture, teacher_architecture
from sakerepro.networks.backbones import build_classifier
from sakerepro.networks.gates import ConditionalSE, DomainCode, DomainToken
from sakerepro.networks.weights import read_weights, weights_file
from sakerepro.teachers import load_teacher

PHOTO, SKETCH = 0.0, 1.0


@pytest.mark.parametrize("name", ["se_resnet50", "resnet50", "efficientnet_lite0", "se_resnet_mini"])
def test_training_drops_no_feature(name: str) -> None:
    """As in the official code; by default timm's SE-ResNet-50 drops a fifth of the features."""
    network = build_classifier(name, 10, size=64).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    x = noise(2, 64)
    assert torch.equal(network(x), network(x))


@torch.no_grad()
def test_the_teacher_is_timms_network() -> None:
    """SE-ResNet-50 with random statistics."""
    torch.manual_seed(0)
    theirs = tiny.randomise(timm.create_model("legacy_seresnet50", num_classes=1000))
    ours = build_classifier("se_resnet50", 1000, theirs.state_dict()).eval()
    x = noise(2, 97)
    want = theirs(x)
    assert want.std() > 0.01
    torch.testing.assert_close(ours(x), want, rtol=1e-5, atol=1e-5)
    assert (ours.backbone.num_features, ours.backbone.code) == (2048, None)


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("se_resnet50", 75),
        ("se_resnet_mini", 33),
        ("mobilenetv2_100", 47),
        ("resnet18", 41),
        ("resnet_mini", 32),
        ("seresnext26d_32x4d", 33),
        ("vit_tiny_patch16_224", 48),
        ("eva02_tiny_patch14_224", 28),
    ],
)
def test_gates_change_nothing_at_the_start(name: str, size: int) -> None:
    plain = tiny.classifier(name, size=size).backbone
    gated = plain.with_gates().eval()
    assert any(isinstance(m, (ConditionalSE, DomainToken)) for m in gated.modules())
    assert not any(isinstance(m, (ConditionalSE, DomainToken)) for m in plain.modules())  # a copy
    x = noise(4, size)
    want = plain(x, torch.zeros(4))
    assert (want[0] - want[1]).abs().max() > 0.01  # features that tell images apart
    for domain in (torch.full((4,), PHOTO), torch.full((4,), SKETCH), torch.tensor([1.0, 0.0, 0.0, 1.0])):
        torch.testing.assert_close(gated(x, domain), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["cse_resnet_mini", "cse_mobilenetv2_100", "cse_resnet18", "cse_vit_tiny_patch16_224"])
def test_after_one_step_the_domain_makes_a_difference(name: str) -> None:
    teacher = tiny.classifier(teacher_architecture(name), size=40)
    student = build_student(name, dim=8, num_seen=4, teacher=teacher)
    student.eval()  # so that the step alone makes the difference, not the statistics
    x, domain = noise(4, 40), torch.tensor([0.0, 0.0, 1.0, 1.0])
    difference = lambda: (student.embed(x, 0) - student.embed(x, 1)).detach().abs().max()  # noqa: E731
    assert difference() == 0
    optimiser = torch.optim.Adam(student.parameters(), lr=0.01)
    torch.nn.functional.cross_entropy(student(x, domain)[0], torch.tensor([0, 1, 2, 3])).backward()
    columns = [m.fc2.weight.grad[:, -1] for m in student.modules() if isinstance(m, ConditionalSE)]
    tokens = [m.token.grad for m in student.modules() if isinstance(m, DomainToken)]
    assert (columns or len(tokens) == 12) and all(grad.any() for grad in columns + tokens)  # in every block it learns
    optimiser.step()
    assert difference() > 1e-3


@torch.no_grad()
def test_each_image_is_gated_by_its_own_domain() -> None:
    gated = tiny.classifier("se_resnet_mini").backbone.with_gates().eval()
    for module in gated.modules():
        if isinstance(module, ConditionalSE):
            module.fc2.weight[:, -1].normal_(0, 2)
    x = noise(4, 32)
    photo, sketch = gated(x, torch.zeros(4)), gated(x, torch.ones(4))
    assert (photo - sketch).abs().max() > 0.1
    mixed = gated(x, torch.tensor([1.0, 0.0, 1.0, 0.0]))
    torch.testing.assert_close(mixed, torch.stack([sketch[0], photo[1], sketch[2], photo[3]]), rtol=1e-4, atol=1e-5)


def test_a_gate_equals_a_loop() -> None:
    """x * sigmoid(W2 [relu(W1 mean(x) + b1), domain] + b2), number by number."""
    torch.manual_seed(0)
    code, x = DomainCode(), torch.randn(2, 3, 4, 5, dtype=torch.float64)
    gate = ConditionalSE(3, 2, code).double()
    code.value = torch.tensor([0.0, 1.0])
    gated = gate(x)
    w1, b1, w2, b2 = (p.tolist() for p in (gate.fc1.weight, gate.fc1.bias, gate.fc2.weight, gate.fc2.bias))
    for n in range(2):
        mean = [sum(sum(row) for row in x[n, c].tolist()) / 20 for c in range(3)]
        hidden = [max(0.0, sum(w * m for w, m in zip(w1[h], mean, strict=True)) + b1[h]) for h in range(2)]
        for c in range(3):
            z = sum(w * h for w, h in zip(w2[c], [*hidden, float(n)], strict=True)) + b2[c]
            scale = 1 / (1 + torch.exp(torch.tensor(-z, dtype=torch.float64)))
            torch.testing.assert_close(gated[n, c], x[n, c] * scale)


@pytest.mark.parametrize("name", ["xcit_nano_12_p16_224", "alexnet", "alexnet_mini", "rexnet_100"])
def test_networks_without_a_place_for_gates_are_refused(name: str) -> None:
    """ReXNet's SE modules hold a batch norm, which a gate would drop."""
    with pytest.raises(ConfigError, match="no place for CSE gates.*without 'cse_'"):
        build_student(f"cse_{name}", dim=8, num_seen=3, teacher=tiny.classifier(name))


@torch.no_grad()
@pytest.mark.parametrize(
    ("name", "size", "features"),
    [("alexnet", 224, 4096), ("alexnet_mini", 37, 512), ("resnet18", 33, 512), ("vit_tiny_patch16_224", 224, 192)],
)
def test_features_and_head_make_up_the_whole_network(name: str, size: int, features: int) -> None:
    """Backbone and head together compute what the undivided network computes."""
    torch.manual_seed(0)
    spec = architecture(name)
    whole = tiny.randomise(spec.make(7))
    ours = build_classifier(name, 7, whole.state_dict()).eval()
    x = noise(2, size)
    torch.testing.assert_close(ours(x), whole(x), rtol=1e-4, atol=1e-5)
    assert ours.backbone(x, torch.zeros(2)).shape == (2, features) == (2, ours.backbone.num_features)


def test_students_start_from_the_network_of_their_name() -> None:
    names = {
        "cse_resnet50": "se_resnet50",
        "resnet50": "resnet50",
        "alexnet": "alexnet",
        "cse_resnet18": "resnet18",
        "cse_resnet_mini": "se_resnet_mini",
        "cse_mobilenetv2_100": "mobilenetv2_100",
    }
    assert {name: teacher_architecture(name) for name in names} == names


def test_a_timm_network_brings_its_own_normalisation() -> None:
    config = timm.get_pretrained_cfg("vit_tiny_patch16_224")
    assert architecture("vit_tiny_patch16_224").mean == config.mean == (0.5, 0.5, 0.5)
    assert architecture("resnet18").std == timm.get_pretrained_cfg("resnet18").std


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mobilenetv2_10", "Unknown backbone 'mobilenetv2_10'.*Did you mean.*'mobilenetv2_100'"),
        ("resnet_50", "Unknown backbone 'resnet_50'.*Did you mean.*'resnet50'"),
        ("resnet18.tv_in1", "Unknown weights 'resnet18.tv_in1' of resnet18.*resnet18.tv_in1k"),
        ("§§§", "Unknown backbone '§§§'. The package's own: se_resnet50"),
    ],
)
def test_an_unknown_network_or_tag_is_named_and_not_all_of_timm_listed(name: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as error:
        architecture(name)
    assert len(str(error.value)) < 400
    assert architecture("resnet18.tv_in1k").hub == "resnet18.tv_in1k"


def test_a_network_of_one_size_says_which(tiny_experiment: Experiment, tmp_path: Path) -> None:
    e = tiny_experiment.but(backbone="xcit_nano_12_p16_224", size=32)
    e = e.but(weights=str(tiny.write_weights(tmp_path / "xcit.safetensors", "xcit_nano_12_p16_224")))
    with pytest.raises(ConfigError, match="xcit_nano_12_p16_224 takes no images of 32 px: set size to 224"):
        load_teacher(e)
    assert [architecture(n).size for n in ("resnet18", "alexnet", "swin_tiny_patch4_window7_224")] == [0, 0, 224]


def test_a_network_without_a_linear_classifier_is_refused() -> None:
    """LeViT ends in a tuple, DINOv2 has no head, and CLIP's head leads to the space of its texts."""
    with pytest.raises(ConfigError, match=r"levit_128s has no linear classifier .* \(it ends in tuple\)"):
        build_classifier("levit_128s", 5)
    dino, clip = "vit_small_patch14_dinov2", "vit_xsmall_patch16_clip_224"
    headless, texts = (timm.create_model(n, num_classes=c).state_dict() for n, c in ((dino, 0), (clip, 512)))
    for name, state, why in (
        (dino, headless, "'weight' is missing.*"),
        (clip, texts, r"'weight' has shape \(512, 256\), not \(5, 256\).*"),
    ):
        words = rf"{name} has no linear classifier over 5 classes \({why}\): set --teacher-head probe"
        with pytest.raises(ConfigError, match=words):
            build_classifier(name, 5, state)
        assert build_classifier(name, 5, state, head="probe", size=56).head.out_features == 5


@torch.no_grad()
def test_a_convolution_on_pooled_features_is_a_linear_head(tmp_path: Path) -> None:
    """DPN's head is such a convolution. SqueezeNet's comes before the pooling; the ReLU after it is left out."""
    x = noise(2, 64)
    for name in ("dpn48b", "squeezenet1_0"):
        state = read_weights(tiny.write_weights(tmp_path / f"{name}.safetensors", name, 7))
        ours, theirs = build_classifier(name, 7, state).eval(), architecture(name).make(7).eval()
        theirs.load_state_dict(state)
        if name == "squeezenet1_0":
            maps = torch.nn.functional.conv2d(theirs.features(x), *theirs.classifier[1].parameters())
            want = maps.mean(dim=(2, 3))
        else:
            want = theirs(x)
        assert want.std() > 0.01 and isinstance(ours.head, torch.nn.Linear)
        torch.testing.assert_close(ours(x), want, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_vit_at_another_size_is_timms(tmp_path: Path) -> None:
    name = "vit_tiny_patch16_224"
    file = tiny.write_weights(tmp_path / "vit.safetensors", name, 7)
    theirs = timm.create_model(name, img_size=64, num_classes=7)
    theirs.load_state_dict(timm.models.vision_transformer.checkpoint_filter_fn(load_file(file), theirs))
    x = noise(3, 64)
    logits = build_classifier(name, 7, read_weights(file), size=64).eval()(x)
    assert logits.std() > 0.01
    torch.testing.assert_close(logits, theirs.eval()(x), rtol=1e-4, atol=1e-5)


# weights


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"layer1.0.conv1.weight": None}, "fit resnet_mini: 'layer1.0.conv1.weight' is missing; 1 missing, 0 unknown"),
        ({"layer9.weight": torch.zeros(1)}, "fit resnet_mini: 'layer9.weight' is not part of the network.*1 unknown"),
        (
            {"fc.weight": torch.zeros(9, 512), "fc.bias": torch.zeros(9)},
            r"has no .*'weight' has shape \(9, 512\), not \(10, 512\).*2 of another shape",
        ),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(changes: dict[str, torch.Tensor | None], words: str) -> None:
    state = {**architecture("resnet_mini").make(10).state_dict(), **changes}
    with pytest.raises((ConfigError, DataError), match=words):
        build_classifier("resnet_mini", 10, {k: v for k, v in state.items() if v is not None})


def test_weights_are_read_as_float32(tmp_path: Path) -> None:
    save_file({"a": torch.tensor([1.5, -2], dtype=torch.bfloat16), "n": torch.tensor(3)}, tmp_path / "w.safetensors")
    state = read_weights(tmp_path / "w.safetensors")
    assert state["a"].dtype == torch.float32 and state["a"].tolist() == [1.5, -2]
    assert state["n"].dtype == torch.int64


def test_damaged_and_pickled_files_are_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.safetensors"
    save_file({"a": torch.zeros(1000)}, whole)
    content = whole.read_bytes()
    broken = {"truncated": content[:-7], "headless": content[40:], "empty": b"", "text": b"not weights, but text"}
    for name, wrong in broken.items():
        (tmp_path / name).write_bytes(wrong)
    torch.save({"a": torch.zeros(3)}, tmp_path / "pickle.pt")
    for name in (*broken, "pickle.pt"):
        with pytest.raises(DataError, match=f"{name}: is not a readable safetensors file"):
            read_weights(tmp_path / name)


def test_missing_weights_say_where_they_were_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path / "real"))
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path / "data"))
    with pytest.raises(DataError) as error:
        weights_file("se_resnet50")
    for place in places.data_places():
        assert str(place / "weights" / "se_resnet50.safetensors") in str(error.value)
    assert len(places.data_places()) == 3 and str(tmp_path / "real") in str(error.value)
    assert "weights of se_resnet50 are missing" in str(error.value)
    assert "sakerepro weights fetch se_resnet50" in str(error.value)
    with pytest.raises(DataError, match="no known source"):
        weights_file("se_resnet_mini")
    with pytest.raises(DataError, match=r"elsewhere.safetensors: there is no such weights file"):
        weights_file("se_resnet50", str(tmp_path / "elsewhere.safetensors"))


def test_weights_are_found_in_the_first_place_that_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path / "real"))
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path / "data"))
    second = tiny.write_weights(tmp_path / "data/weights/resnet_mini.safetensors", "resnet_mini")
    assert weights_file("resnet_mini") == second
    first = tiny.write_weights(tmp_path / "real/weights/resnet_mini.safetensors", "resnet_mini")
    assert weights_file("resnet_mini") == first
    assert weights_file("resnet_mini", str(second)) == second


@pytest.mark.parametrize("name", sorted(n for n, a in ARCHITECTURES.items() if a.hub and "/" not in a.hub))
def test_the_hub_knows_the_weights_that_are_asked_for(name: str) -> None:
    hub = architecture(name).hub
    assert hub and hub in timm.list_pretrained()
    config = timm.get_pretrained_cfg(hub)
    assert (config.mean, config.std) == (architecture(name).mean, architecture(name).std)


@torch.no_grad()
def test_real_mobilenetv2_weights_are_timms() -> None:
    """Loaded strictly, and equal to timm's network with the padding that these weights were trained with."""
    file = real_data("weights/mobilenetv2_100.safetensors")
    theirs = timm.create_model("mobilenetv2_100", pad_type="same")
    theirs.load_state_dict(load_file(file), strict=False)
    ours = build_classifier("mobilenetv2_100", 1000, read_weights(file)).eval()
    x = noise(2, 96)
    torch.testing.assert_close(ours(x), theirs.eval()(x), rtol=1e-5, atol=1e-5)
    gated = ours.backbone.with_gates().eval()
    torch.testing.assert_close(gated(x, torch.ones(2)), ours.backbone(x, torch.zeros(2)), rtol=1e-5, atol=1e-5)
