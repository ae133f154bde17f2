"""A training that an error or SIGKILL stops, at any step, goes on with the same numbers."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from tiny import Stop
from torch import Tensor, nn

from sakerepro import methods, training
from sakerepro.data.augmentation import augment, draw_transforms
from sakerepro.data.batches import generator
from sakerepro.data.batching import Batch, make_batch
from sakerepro.data.dataset import Dataset
from sakerepro.devices import device
from sakerepro.errors import RunError
from sakerepro.experiment import Experiment
from sakerepro.losses import sake_loss
from sakerepro.methods.sake import SAKE
from sakerepro.model import build_student
from sakerepro.networks import backbones
from sakerepro.networks.backbones import build_classifier
from sakerepro.semantics import semantic_similarity
from sakerepro.threads import one_thread
from sakerepro.training import Optimisers, descend

STEPS, EPOCHS, SEED = 3, 2, 5
POINTS = torch.from_numpy(np.random.default_rng(1).normal(size=(40, 6)).astype(np.float32))


class Toy(nn.Module):
    """Adam on random points that are jittered anew in each step; stops at its ``stop_at``-th call of ``where``.

    Batch norm and dropout: statistics and randomness that a resumed training has to get right.
    """

    def __init__(self, stop_at: int = -1, where: str = "losses", epochs: int = EPOCHS, score: str = "") -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = [nn.Linear(6, 9), nn.BatchNorm1d(9), nn.ReLU(), nn.Dropout(0.4), nn.Linear(9, 3)]
        self.network = nn.Sequential(*layers).to(device())
        first, last = self.network[0], self.network[-1]
        groups = [{"params": first.parameters(), "lr": 0.01}, {"params": last.parameters(), "lr": 0.1}]
        self.optimiser: torch.optim.Optimizer = torch.optim.Adam(groups)
        self.stop_at, self.where, self.epochs, self.score = stop_at, where, epochs, score
        self.calls: Counter[str] = Counter()
        self.begun: list[int] = []  # -1 for the training, then its epochs

    def count(self, what: str) -> None:
        self.calls[what] += 1
        if what == self.where and self.calls[what] == self.stop_at:
            raise Stop

    def optimisers(self) -> Optimisers:
        return Optimisers(adam=self.optimiser)

    def rate(self, epoch: int) -> float:
        self.epoch = epoch
        return 0.5**epoch

    def begin(self, features: Any) -> None:
        self.begun.append(-1)

    def before_epoch(self, epoch: int, features: Any) -> None:
        self.begun.append(epoch)

    def plan(self, epoch: int) -> list[np.ndarray]:
        return list(np.random.default_rng([9, epoch]).permutation(40)[: STEPS * 8].reshape(STEPS, 8))

    def prepare(self, index: np.ndarray, rng: np.random.Generator) -> Batch:
        self.count("prepare")
        x = POINTS[index] + torch.from_numpy(rng.normal(0, 0.3, (8, 6)).astype(np.float32))
        return Batch(x, torch.from_numpy(index % 3), torch.zeros(8), 8, [f"{i}.png" for i in index])

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        self.count("losses")
        loss = nn.functional.cross_entropy(self.network(batch.images), batch.labels)
        return {"loss": loss, "loss_twice": 2 * loss.detach()}

    def step(self, batch: Batch, optimisers: Optimisers) -> dict[str, Tensor]:
        return descend(self.losses, batch, optimisers)

    def measured(self) -> dict[str, float]:
        self.count("measured")
        self.eval()
        return {"val": float(self.network(POINTS.to(device())).sum().detach())}


def fit(toy: Toy, checkpoint: Path) -> list[dict[str, float]]:
    """Train; return the history without the seconds, which differ between trainings."""
    history = training.fit(toy, toy.plan, toy.prepare, toy.measured, checkpoint, toy.epochs, SEED, score=toy.score)
    return without_seconds(history)


def without_seconds(history: list[dict[str, float]]) -> list[dict[str, float]]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in history]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return tmp_path / "work" / "checkpoint.pt"


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checkpoints after every step; by default the tests' steps are over before the first is due."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    save = training.Progress._save

    def at_once(self: training.Progress) -> None:
        save(self)
        self.cost, self.saved_at = 0.0, 0.0

    monkeypatch.setattr(training.Progress, "_save", at_once)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Tensor], list[dict[str, float]]]:
    """Weights and history of the training that nothing stopped."""
    toy = Toy()
    history = fit(toy, tmp_path_factory.mktemp("whole") / "checkpoint.pt")
    return toy.state_dict(), history


def check_ends_as(whole: tuple[Any, Any], toy: Toy, checkpoint: Path) -> None:
    assert fit(toy, checkpoint) == whole[1]
    assert tiny.same(toy.state_dict(), whole[0])


def test_equals_a_plain_loop(checkpoint: Path) -> None:
    """One epoch by hand, with the same random numbers but none of the machinery."""
    toy, by_hand, values = Toy(epochs=1), Toy(), []
    (row,) = fit(toy, checkpoint)
    for step, index in enumerate(by_hand.plan(0)):
        batch = by_hand.prepare(index, generator(SEED, 0, step))
        torch.manual_seed(int(generator(SEED, 0, step, 1).integers(2**62)))
        loss = by_hand.losses(batch)["loss"]
        by_hand.optimiser.zero_grad()
        loss.backward()
        by_hand.optimiser.step()
        values.append(loss.item())
    assert tiny.same(toy.state_dict(), by_hand.state_dict())
    assert row["loss"] == pytest.approx(np.mean(values)) and row["loss_twice"] == 2 * row["loss"]
    assert (row["epoch"], row["lr"]) == (1, 0.01)


STOPS = [(where, i) for where in ("prepare", "losses") for i in range(1, STEPS * EPOCHS + 1)]
STOPS += [("measured", i) for i in range(1, EPOCHS + 1)]


@pytest.mark.parametrize(("where", "stop_at"), STOPS)
def test_stopped_at_any_step_it_ends_the_same(where, stop_at, checkpoint, whole, every_step):
    with pytest.raises(Stop):
        fit(Toy(stop_at, where), checkpoint)
    check_ends_as(whole, Toy(), checkpoint)


def test_stopped_again_and_again(checkpoint: Path, whole: tuple[Any, Any], every_step: None) -> None:
    for _ in range(STEPS * EPOCHS - 1):  # each lives for one step
        with pytest.raises(Stop):
            fit(Toy(2), checkpoint)
    check_ends_as(whole, Toy(), checkpoint)


def test_with_checkpoints_far_apart_it_goes_on_from_the_last_epoch(checkpoint: Path, whole: tuple[Any, Any]) -> None:
    with pytest.raises(Stop):
        fit(Toy(STEPS + 2), checkpoint)
    toy = Toy()
    check_ends_as(whole, toy, checkpoint)
    assert toy.calls["losses"] == STEPS


def test_a_finished_training_is_not_trained_on(checkpoint: Path, whole: tuple[Any, Any]) -> None:
    fit(Toy(), checkpoint)
    check_ends_as(whole, Toy(stop_at=1), checkpoint)


def test_no_epochs_leave_the_network_as_it_is(checkpoint: Path) -> None:
    toy = Toy(stop_at=1, epochs=0)
    assert fit(toy, checkpoint) == [] and tiny.same(toy.state_dict(), Toy().state_dict())


def test_the_rate_is_a_factor_on_every_group(checkpoint: Path) -> None:
    toy, rates = Toy(epochs=3), []
    losses = toy.losses
    toy.losses = lambda batch: rates.append([g["lr"] for g in toy.optimiser.param_groups]) or losses(batch)
    fit(toy, checkpoint)
    assert rates[::STEPS] == [[0.01, 0.1], [0.005, 0.05], [0.0025, 0.025]]


def test_numpy_numbers_can_be_read_back(checkpoint: Path, whole: tuple[Any, Any]) -> None:
    """Rates and measurements that numpy computed: torch refuses to read its scalars from a checkpoint."""

    class Numpy(Toy):
        def rate(self, epoch: int) -> float:
            return np.float64(0.5) ** epoch

        def measured(self) -> dict[str, float]:
            return {"val": np.float32(0.25)}

    with pytest.raises(Stop):
        fit(Numpy(STEPS + 1), checkpoint)
    toy = Numpy()
    assert [row["val"] for row in fit(toy, checkpoint)] == [0.25, 0.25]
    assert tiny.same(toy.state_dict(), whole[0])


@pytest.mark.parametrize("stop_at", [-1, STEPS + 2, 3 * STEPS])
@pytest.mark.parametrize(("scores", "best"), [((1, 9, 5), 2), ((4, 4, 1), 1), ((1, 2, 3), 3), ((-3, -9, -5), 1)])
def test_the_best_epoch_is_kept(scores, best, stop_at, checkpoint, every_step):
    """Training ends with the weights of the best epoch, the first of equals, and with all rows of the history."""
    snapshots: dict[int, dict[str, Tensor]] = {}

    class Scored(Toy):
        def measured(self) -> dict[str, float]:
            snapshots[self.epoch + 1] = {k: v.clone() for k, v in self.state_dict().items()}
            return {"val": scores[self.epoch]}

    if stop_at > 0:
        with pytest.raises(Stop):
            fit(Scored(stop_at, epochs=3, score="val"), checkpoint)
    toy = Scored(epochs=3, score="val")
    assert [row["val"] for row in fit(toy, checkpoint)] == list(scores)
    assert tiny.same(toy.state_dict(), snapshots[best])
    assert not tiny.same(snapshots[1], snapshots[2])


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_and_loses_nothing(bad: float, checkpoint: Path, every_step: None) -> None:
    batches: list[Batch] = []
    checkpoints = []

    class Spoilt(Toy):
        def losses(self, batch: Batch) -> dict[str, Tensor]:
            batches.append(batch)
            losses = super().losses(batch)
            if len(batches) == STEPS + 2:
                checkpoints.append(checkpoint.read_bytes())
                losses["loss"] = losses["loss"] * bad
            return losses

    with pytest.raises(RunError, match=r"loss is (nan|inf) in epoch 2, step 2\..*Try a lower lr") as error:
        fit(Spoilt(), checkpoint)
    assert ", ".join(batches[-1].names[:6]) in str(error.value) and "(8 images)" in str(error.value)
    assert checkpoint.read_bytes() == checkpoints[0]


def flip(content: bytes) -> bytes:
    """Change one byte of a tensor's numbers, which only a checksum reveals."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [lambda b: b[:-10], lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b"text" * 99, flip],
    ids=["end", "half", "empty", "text", "byte"],
)
def test_a_damaged_checkpoint_is_named_and_left_alone(damage: Callable[[bytes], bytes], checkpoint: Path) -> None:
    with pytest.raises(Stop):
        fit(Toy(STEPS + 1), checkpoint)
    checkpoint.write_bytes(wrong := damage(checkpoint.read_bytes()))
    with pytest.raises(RunError, match=r"checkpoint\.pt: the checkpoint is damaged.*Remove this file"):
        fit(Toy(), checkpoint)
    assert checkpoint.read_bytes() == wrong


def test_a_checkpoint_of_another_network_is_refused(checkpoint: Path) -> None:
    fit(Toy(), checkpoint)
    toy = Toy()
    toy.network = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(RunError, match="checkpoint is damaged"):
        fit(toy, checkpoint)


def test_an_epoch_begins_once(checkpoint: Path, every_step: None) -> None:
    """What a method does before an epoch is in its checkpoint: going on inside an epoch must not do it again."""
    stopped, resumed = Toy(STEPS + 2), Toy()
    with pytest.raises(Stop):
        fit(stopped, checkpoint)
    fit(resumed, checkpoint)
    assert (stopped.begun, resumed.begun) == ([-1, 0, 1], [])


# the real thing: student and teacher


def test_a_killed_student_ends_the_same(tmp_path: Path) -> None:
    """SIGKILL half-way through a checkpoint's file, before and after its renaming, and at random moments."""
    moments = [f"{m:.2f}" for m in np.random.default_rng().uniform(0.02, 0.8, 3)]
    plans = {"whole": ["end"], "killed": ["half:2", "before:1", "after:2", "half:1", *moments, "end"]}
    driver = str(Path(__file__).with_name("kill_driver.py"))
    done = tiny.python(driver, *(f"{tmp_path / name}={','.join(plan)}" for name, plan in plans.items()))
    wanted = [{"folder": name, "moment": m, "killed": m != "end"} for name, plan in plans.items() for m in plan]
    reports = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stderr
    for line, want in zip(reports, wanted, strict=True):  # a fast machine may be done before a random moment comes
        want["killed"] = line["killed"] if line["moment"] in moments else want["killed"]
    assert reports == wanted
    one, other = (torch.load(tmp_path / name / "weights.pt", weights_only=True) for name in plans)
    assert tiny.same(one, other)
    rows = [json.loads((tmp_path / name / "history.json").read_text()) for name in plans]
    assert rows[0] == rows[1] and len(rows[0]) == 3
    assert not list((tmp_path / "killed").glob(".checkpoint*"))


SETTINGS: dict[str, Any] = dict(dataset="sketchy", epochs=2, steps=2, batch_sketch=3, batch_photo=4, size=32)
SETTINGS |= dict(lr=1e-3, lr_end=1e-5)


def sake(**settings: Any) -> tuple[SAKE, Any]:
    """SAKE on a small random network, and its teacher."""
    teacher, e = tiny.classifier(), methods.checked(Experiment(**SETTINGS | settings))
    student = build_student("cse_resnet_mini", dim=8, num_seen=4, teacher=teacher, freeze=e.freeze, seed=e.seed)
    return SAKE(e, student, methods.Side(tiny.SEEN, teacher, tiny.ORIGINAL)), teacher


def train(method: SAKE, data: Dataset, folder: Path) -> list[dict[str, float]]:
    return training.train(method, data, method.e, folder / "c.pt")


def test_a_batch_is_its_augmented_images_side_by_side(tiny_data: Dataset) -> None:
    photos, sketches = np.array([4, 0, 40]), np.array([8, 2])
    sets = [(tiny_data.train_photo, photos), (tiny_data.train_sketch, sketches)]
    backbone = build_classifier("alexnet_mini", 10).backbone
    batch = make_batch(sets, 16, "centred", backbone, np.random.default_rng(5))
    again, parts = np.random.default_rng(5), []
    for images, index in sets:
        moved = draw_transforms(len(index), "centred", again)
        fill = 255 * images.domain
        parts.append(augment(images.take(index), moved, 16, mean=backbone.mean, std=backbone.std, fill=fill))
    assert torch.equal(batch.images, torch.cat(parts))
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.labels.tolist() == [0, 0, 3, 1, 0] and batch.domain.tolist() == [0, 0, 0, 1, 1]
    assert batch.names == ["photo/0/4.png", "photo/0/0.png", "photo/3/4.png", "sketch/1/1.png", "sketch/0/2.png"]
    assert batch.photos == 3


@pytest.mark.parametrize("idle", [True, False])
def test_batches_are_the_same_beside_the_network_and_between_steps(idle, checkpoint, whole, monkeypatch):
    """Batches are made in threads if the network leaves a core idle, else one after the other."""
    monkeypatch.setattr(training, "_idle_core", lambda: idle)
    makers: set[int] = set()

    class Noted(Toy):
        def prepare(self, index: np.ndarray, rng: np.random.Generator) -> Batch:
            makers.add(threading.get_ident())
            return super().prepare(index, rng)

    check_ends_as(whole, Noted(), checkpoint)
    assert (threading.get_ident() in makers) != idle


@pytest.mark.parametrize(
    "device, cores, threads, idle",
    [("cpu", 4, 4, False), ("cpu", 8, 4, True), ("cpu", 2, 4, False), ("cuda", 4, 4, True)],
)
def test_a_core_is_idle_beside_a_device_or_few_threads(device, cores, threads, idle, monkeypatch):
    monkeypatch.setattr(training, "device", lambda: torch.device(device))
    monkeypatch.setattr(training.joblib, "cpu_count", lambda: cores)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert training._idle_core() == idle


def test_the_schedule_is_the_papers(tiny_data: Dataset, tmp_path: Path) -> None:
    """Exponential from lr towards lr_end; frozen batch norm keeps its statistics and trains its scale."""
    method, teacher = sake(batch_norm="frozen")
    student = method.student
    before = {k: v.clone() for k, v in student.state_dict().items()}
    teacher_before = {k: v.clone() for k, v in teacher.state_dict().items()}
    history = train(method, tiny_data, tmp_path)
    assert [row["lr"] for row in history] == pytest.approx([1e-3, 1e-4])
    after = student.state_dict()
    running = [k for k in before if "running" in k]
    assert running and all(torch.equal(before[k], after[k]) for k in running)
    assert not torch.equal(before["backbone.body.bn1.weight"], after["backbone.body.bn1.weight"])
    assert tiny.same(teacher.state_dict(), teacher_before) and not any(p.requires_grad for p in teacher.parameters())
    assert not student.training and set(history[0]) >= {"loss", "loss_benchmark", "loss_sake", "val_top1"}


def test_the_number_of_cores_changes_no_bit(tiny_data: Dataset, tmp_path: Path, monkeypatch, with_cores) -> None:
    """Student, teacher and frozen stages compute in parts."""
    monkeypatch.setattr(training.devices, "at_once", lambda size: 2)
    parts, ends = list[int](), []
    divided = backbones.in_parts

    def noted(call: Any, layers: Any, size: int, *tensors: Tensor) -> Tensor:
        parts.append(len(tensors[0]) // size)
        return divided(call, layers, size, *tensors)

    monkeypatch.setattr(backbones, "in_parts", noted)
    for cores in (1, 3):
        with_cores(cores)
        with one_thread():
            method, _ = sake(batch_norm="frozen", freeze=1)
            history = without_seconds(train(method, tiny_data, tmp_path / str(cores)))
        ends.append((method.state_dict(), history))
    assert tiny.same(ends[0][0], ends[1][0]) and ends[0][1] == ends[1][1]
    assert min(parts[:3]) >= 2  # stem, rest, and the teacher's


def test_trained_batch_norm_moves_its_statistics(tiny_data: Dataset, tmp_path: Path) -> None:
    method, _ = sake()
    student = method.student
    before = student.state_dict()["backbone.body.bn1.running_mean"].clone()
    train(method, tiny_data, tmp_path)
    assert not torch.equal(student.state_dict()["backbone.body.bn1.running_mean"], before)


@pytest.mark.parametrize("lambda_sake", [0.0, 1.0])
def test_training_learns_the_seen_classes(lambda_sake: float, tiny_data: Dataset, tmp_path: Path) -> None:
    longer = {"epochs": 5, "steps": 5, "batch_sketch": 9, "batch_photo": 9, "lr": 3e-3, "lr_end": 1e-3}
    method, _ = sake(**longer, augmentation="none", settings={"lambda_sake": lambda_sake})
    history = train(method, tiny_data, tmp_path)
    assert history[-1]["loss_benchmark"] < 0.6 * math.log(4) < history[0]["loss_benchmark"]  # chance is log 4


def test_the_head_learns_at_its_own_rate(tiny_data: Dataset, tmp_path: Path) -> None:
    """A first step of Adam is as long as the learning rate, whatever the gradient."""
    method, _ = sake(epochs=1, steps=1, lr=1e-4, head_lr=10.0, weight_decay=0.0)
    student = method.student
    before = {k: v.clone() for k, v in student.state_dict().items()}
    train(method, tiny_data, tmp_path)
    moved = {k: (v - before[k]).abs().max().item() for k, v in student.state_dict().items()}
    assert moved["seen_head.weight"] == pytest.approx(1e-3, rel=1e-2)
    assert moved["feature.weight"] == pytest.approx(1e-4, rel=1e-2)
    assert moved["original_head.weight"] == pytest.approx(1e-4, rel=1e-2)


@pytest.mark.parametrize("freeze", [0, 2])
@pytest.mark.parametrize("name", ["own", "shuffled", "efficientnet_lite0"])
def test_l_sake_is_that_of_the_chosen_teachers_logits(name: str, freeze: int, tiny_data: Dataset) -> None:
    """The logits of its own network, of the photo before (shuffled), or of another network with its normalisation."""
    teacher, e = tiny.classifier(), methods.checked(Experiment(**SETTINGS, freeze=freeze), {"teacher": name})
    student = build_student("cse_resnet_mini", dim=8, num_seen=4, teacher=teacher, freeze=freeze).eval()
    taught = tiny.classifier("efficientnet_lite0") if name == "efficientnet_lite0" else teacher
    assert (taught.backbone.mean == teacher.backbone.mean) == (taught is teacher)
    method = SAKE(e, student, methods.Side(tiny.SEEN, taught, tiny.ORIGINAL)).eval()
    index = np.array([4, 0, 40, 13]), np.array([8, 2])
    sets = list(zip((tiny_data.train_photo, tiny_data.train_sketch), index, strict=True))
    batch = make_batch(sets, 32, "none", teacher.backbone, np.random.default_rng(5))
    mean, std = taught.backbone.mean, taught.backbone.std
    with torch.no_grad():
        loss = method.losses(batch)["loss_sake"]
        logits = taught(augment(tiny_data.train_photo.take(index[0]), None, 32, mean=mean, std=std))
        logits = logits[[3, 0, 1, 2]] if name == "shuffled" else logits
        similarity = torch.from_numpy(semantic_similarity(tiny.SEEN, tiny.ORIGINAL, dataset="sketchy"))
        original = student(batch.images, batch.domain)[1][:4]
        want = sake_loss(original, logits, similarity[batch.labels[:4]], lambda1=1.0, lambda2=0.3)
    torch.testing.assert_close(loss, want, rtol=1e-4, atol=1e-5)
