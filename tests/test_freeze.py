"""Frozen stages: shared by student and teacher, without gates, and never changed."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from test_training import sake
from tiny import noise

from sakerepro.embedding import embed
from sakerepro.errors import ConfigError
from sakerepro.experiment import Experiment
from sakerepro.model import Student, build_student
from sakerepro.networks.architectures import teacher_architecture
from sakerepro.networks.backbones import Classifier
from sakerepro.networks.gates import ConditionalSE, DomainToken
from sakerepro.runs import run
from sakerepro.training import Batch

GATES = (ConditionalSE, DomainToken)
CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # another number of images in a call rounds otherwise
FAMILIES = [  # a network of each kind, with gates where there is a place, the stages frozen, and its stages
    ("cse_efficientnet_lite0", 2, 7),
    ("cse_mobilenetv2_100", 3, 7),
    ("mobilenetv3_small_050", 1, 6),
    ("cse_resnet18", 1, 4),
    ("cse_resnet_mini", 2, 4),
    ("resnet_mini", 3, 4),
    ("cse_resnet50", 1, 4),
    ("cse_vit_tiny_patch16_224", 2, 12),
    ("squeezenet1_0", 2, 4),
]


Case = tuple[str, int, int, Student, Classifier]


@pytest.fixture(scope="module", params=FAMILIES, ids=lambda case: case[0])
def built(request: pytest.FixtureRequest) -> Case:
    """A family, made once for all tests of it."""
    name, k, stages = request.param
    return name, k, stages, *pair(name, k)


@pytest.fixture
def family(built: Case) -> Case:
    """Name, frozen stages, stages, and a student and a teacher that the test may change."""
    return copy.deepcopy(built)


def pair(name: str, freeze: int) -> tuple[Student, Classifier]:
    teacher = tiny.classifier(teacher_architecture(name), 10, size=48)
    return build_student(name, dim=8, num_seen=4, teacher=teacher, freeze=freeze), teacher


def open_gates(student: Student) -> None:
    """Let every gate look at the domain."""
    with torch.no_grad():
        for module in student.modules():
            if isinstance(module, GATES):
                column = module.token if isinstance(module, DomainToken) else module.fc2.weight[:, -1]
                column.normal_(0, 2, generator=torch.Generator().manual_seed(1))


def frozen_names(student: Student) -> set[str]:
    """The frozen parameters and buffers."""
    frozen = student.backbone._split(student.backbone.frozen)[0]
    tensors = {id(t) for part in frozen for t in (*part.parameters(), *part.buffers())}
    return {name for name, t in student.state_dict(keep_vars=True).items() if id(t) in tensors}


@torch.no_grad()
def test_the_rest_after_the_stem_is_the_whole_network(family: Case) -> None:
    _, k, _, student, teacher = family
    student.eval()
    open_gates(student)
    x, domain = noise(3, 48), torch.tensor([0.0, 1.0, 1.0])
    if student.backbone.code is not None:
        student.backbone.code.value = domain
    want = student.feature(student.backbone.body(x))  # its own forward
    torch.testing.assert_close(student.embed(x, domain), want, **CLOSE)
    shared = student.frozen_stages(x)
    assert shared.shape[1:] != x.shape[1:]
    student.backbone.part = 1  # three parts
    torch.testing.assert_close(student.frozen_stages(x), shared, **CLOSE)
    seen, original = student.from_shared(shared, domain)
    torch.testing.assert_close(seen, student.seen_head(want), **CLOSE)
    torch.testing.assert_close(original, student.original_head(want), **CLOSE)
    logits = teacher.head(teacher.backbone.body(x))
    torch.testing.assert_close(teacher.from_shared(shared[:2], k), logits[:2], **CLOSE)


@torch.no_grad()
@pytest.mark.parametrize("name", ["cse_resnet_mini", "alexnet_mini", "cse_efficientnet_lite0"])
def test_nothing_frozen_is_the_network_of_before_to_the_bit(name: str) -> None:
    student, teacher = pair(name, 0)
    student.eval()
    x, domain = noise(3, 48), torch.tensor([0.0, 1.0, 1.0])
    assert student.frozen_stages(x) is x
    for logits, want in zip(student.from_shared(x, domain), student(x, domain), strict=True):
        assert torch.equal(logits, want)
    assert torch.equal(teacher.from_shared(x, 0), teacher.head(teacher.backbone.body(x)))
    assert all(p.requires_grad for p in student.parameters())


def test_only_what_follows_the_frozen_stages_learns(family: Case) -> None:
    *_, student, teacher = family
    before = {key: value.clone() for key, value in student.state_dict().items()}
    student.train()
    optimiser = torch.optim.Adam(student.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        seen, original = student(noise(6, 48), torch.tensor([0.0, 0, 0, 1, 1, 1]))
        (seen.square().mean() + original.square().mean()).backward()
        optimiser.step()
    names = frozen_names(student)
    frozen = [key for key in before if key in names]
    trained = [key for key, p in student.named_parameters() if key not in names]
    after = student.state_dict()
    assert len(frozen) > 5 and all(torch.equal(after[k], before[k]) for k in frozen)  # statistics of batch norm too
    assert not any(p.requires_grad or p.grad is not None for key, p in student.named_parameters() if key in frozen)
    assert trained and all(not torch.equal(after[key], before[key]) for key in trained)
    theirs = teacher.state_dict()
    plain = [key for key in frozen if ".se" not in key]
    assert all(torch.equal(after[key], theirs[key]) for key in plain)


def test_frozen_stages_have_no_gates_and_the_others_keep_theirs(family: Case) -> None:
    name, _, _, student, teacher = family
    if name.startswith("cse_"):
        everywhere = build_student(name, dim=8, num_seen=4, teacher=teacher)
        gates, all_gates = (
            {n for n, m in network.named_modules() if isinstance(m, GATES)} for network in (student, everywhere)
        )
        frozen = frozen_names(student)
        block = {gate: gate.rpartition(".")[0] + "." for gate in all_gates}
        assert gates == {gate for gate in all_gates if not any(n.startswith(block[gate]) for n in frozen)} < all_gates
    x = noise(2, 48)
    with torch.no_grad():
        torch.testing.assert_close(
            student.eval().backbone(x, torch.ones(2)), teacher.backbone(x, torch.zeros(2)), rtol=1e-4, atol=1e-5
        )


def test_more_stages_than_can_be_frozen_are_refused(family: Case) -> None:
    *_, stages, student, _ = family
    student.backbone.freeze(stages - 1)
    words = rf"freeze = {stages}: this \w+ has {stages} stages, and the last .* Choose 0 to {stages - 1}\."
    with pytest.raises(ConfigError, match=words):
        student.backbone.freeze(stages)


@pytest.mark.parametrize("name", ["alexnet_mini", "alexnet", "convnext_atto"])
def test_networks_without_stages_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"freeze = 1: \w+ has no stages that could be frozen. Set it to 0"):
        pair(name, 1)


def test_the_loss_and_its_gradient_are_those_of_the_whole_network() -> None:
    """The frozen stages run once instead of twice: the same numbers as of student and teacher run one by one."""
    method, teacher = sake(freeze=2, settings={"lambda_sake": 0.7, "lambda1": 0.9, "lambda2": 0.4})
    student = method.student.eval()
    x, labels, n = noise(7, 32), torch.tensor([0, 3, 2, 1, 1, 0, 2]), 4
    domain = torch.tensor([0.0] * n + [1.0] * 3)
    losses = method.losses(Batch(x, labels, domain, n, [""] * 7))
    losses["loss"].backward()
    grads = {k: p.grad for k, p in student.named_parameters()}
    student.zero_grad()
    seen, original = student(x, domain)
    signal = torch.softmax(0.9 * teacher(x[:n]) + 0.4 * method.similarity[labels[:n]], dim=1)
    want = torch.nn.functional.cross_entropy(seen, labels)
    want = want + 0.7 * torch.nn.functional.cross_entropy(original[:n], signal)
    want.backward()
    torch.testing.assert_close(losses["loss"], want.detach(), check_stride=False)
    assert {k for k, g in grads.items() if g is None} == {k for k, p in student.named_parameters() if p.grad is None}
    for key, p in student.named_parameters():
        if p.grad is not None:
            torch.testing.assert_close(grads[key], p.grad, rtol=1e-4, atol=1e-6)


def test_a_run_with_frozen_stages_is_opened_as_it_was_made(tiny_experiment: Experiment) -> None:
    e = tiny_experiment.but(freeze=1)
    assert e.id != tiny_experiment.id == tiny_experiment.but(freeze=0).id
    done = run(e)
    student = done.network()
    assert student.student.backbone.frozen == 1
    first = embed(student, done.dataset().gallery, e.size)
    for batch in (1, 7, 256):
        np.testing.assert_allclose(embed(student, done.dataset().gallery, e.size, batch), first, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(first, done.embeddings()["gallery"], rtol=1e-4, atol=1e-5)


def test_a_stage_too_many_is_found_before_an_image_is_read(tiny_place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sakerepro.data.listing.pack_images", lambda *_, **__: pytest.fail("packed"))
    e = tiny.experiment(tiny_place / "data", tiny_place / "se_resnet_mini.safetensors", freeze=4)
    with pytest.raises(ConfigError, match="freeze = 4: .* has 4 stages"):
        run(e)
