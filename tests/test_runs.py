"""Runs are found or made, once; what is damaged, unwritable or does not belong together is named."""

from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from safetensors.torch import load_file
from sklearn.metrics import average_precision_score
from tiny import Stop
from tqdm import auto

from sakerepro import evaluation, hashing, paths, provenance, teachers, training, versions
from sakerepro.apps.card import model_card
from sakerepro.data.registry import load_dataset
from sakerepro.data.splits import photo_queries
from sakerepro.embedding import embed, top1
from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.experiment import Experiment
from sakerepro.files import read_json, sha256
from sakerepro.hashing import ITQ
from sakerepro.methods import baseline, change, label
from sakerepro.runs import FILES, Run, all_runs, find, open_run, run
from sakerepro.semantics import imagenet_wnids
from sakerepro.teachers import load_teacher


def stop(*_: object) -> None:
    raise Stop


def stopping(real: Callable[..., Any], at: int) -> Callable[..., Any]:
    """A function that raises Stop in its ``at``-th call; other calls go to the real one."""
    calls = itertools.count(1)
    return lambda *arguments: stop() if next(calls) == at else real(*arguments)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda *_: pytest.fail("trained again"))


def flip(file: Path, at: float = 0.5) -> None:
    content = bytearray(file.read_bytes())
    content[int(at * len(content))] ^= 0xFF
    file.write_bytes(content)


def test_a_run_is_a_whole_folder_and_nothing_else_is_left(tiny_run: Run) -> None:
    assert {f.name for f in tiny_run.folder.iterdir()} == {*FILES, "provenance.json"}
    assert tiny_run.folder.name == tiny_run.id == tiny_run.experiment.id
    assert {f.name for f in tiny_run.folder.parent.iterdir()} == {tiny_run.id, f".{tiny_run.id}.lock"}


def test_the_same_experiment_is_found_and_not_trained_again(my_run: Run, no_training: None) -> None:
    again = Experiment.from_dict(json.loads(json.dumps(my_run.experiment.to_dict())))
    before = {f: f.stat().st_mtime_ns for f in my_run.folder.iterdir()}
    assert run(again) == find(again) == open_run(my_run.folder) == my_run
    assert {f: f.stat().st_mtime_ns for f in my_run.folder.iterdir()} == before
    assert find(again.but(seed=1)) is None


def test_history_has_a_row_an_epoch(tiny_run: Run) -> None:
    history = tiny_run.history()
    assert history["epoch"].tolist() == [1, 2] and np.isfinite(history.to_numpy()).all()
    assert {"loss", "loss_benchmark", "loss_sake", "lr", "val_top1", "seconds", "ZS-SBIR", "ZS-PBIR"} == {
        *history.columns
    } - {"epoch"}


def test_what_is_measured_is_measured_on_what_is_kept(tiny_run: Run) -> None:
    """mAP@all and P@k of both tasks from the kept embeddings, by scikit-learn and a loop."""
    arrays, data = tiny_run.embeddings(), tiny_run.dataset()
    for name, images in {"query": 16, "gallery": 24, "train_photo": 48, "train_sketch": 28}.items():
        assert arrays[name].shape == (images, 16)
    first = np.concatenate([np.flatnonzero(arrays["gallery_labels"] == c)[:10] for c in range(2)])
    rest = np.setdiff1d(np.arange(24), first)
    assert photo_queries(data)[0].names == tuple(data.gallery.names[i] for i in first)
    tasks = {
        "ZS-SBIR": [arrays[name] for name in ("query", "gallery", "query_labels", "gallery_labels")],
        "ZS-PBIR": [arrays[name][i] for name in ("gallery", "gallery_labels") for i in (first, rest)],
    }
    rows = {(m["task"], m["representation"], m["convention"], m["metric"]): m["value"] for m in tiny_run.metrics()}
    assert len(rows) == len(tiny_run.metrics()) == 2 * 2 * 2 * 7  # tasks, representations, conventions, metrics
    for task, (query, gallery, ql, gl) in tasks.items():
        q, g = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (query, gallery))
        scores = q.astype(np.float64) @ g.T.astype(np.float64)
        precision = [average_precision_score(gl == label, row) for label, row in zip(ql, scores, strict=True)]
        assert rows[task, "16-d", "standard", "mAP@all"] == pytest.approx(np.mean(precision), abs=1e-5)
        np.testing.assert_allclose(arrays[f"ap/{task}/16-d"], precision, atol=1e-5)
        top = np.argsort(-scores, axis=1)[:, :25]
        hits = (gl[top] == ql[:, None]).sum(axis=1)
        assert rows[task, "16-d", "standard", "P@25"] == pytest.approx(hits.mean() / 25, abs=1e-6)


def test_the_network_needs_no_teacher(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was copied to another machine opens there without teacher and pretrained weights."""
    monkeypatch.setattr(paths, "runs", lambda: Path("/nowhere"))
    monkeypatch.setattr(teachers, "weights_file", lambda *_: pytest.fail("asked for pretrained weights"))
    monkeypatch.setattr(torch.linalg, "svd", lambda *_, **__: pytest.fail("took the SVD of a classifier"))
    before = torch.get_rng_state()
    weights = tiny_run.network().state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    stored = load_file(tiny_run.folder / "weights.safetensors")
    assert weights.keys() == stored.keys() and all(torch.equal(weights[n], stored[n]) for n in stored)


def test_measuring_shows_how_far_it_is(tiny_run, monkeypatch, capsys):
    bars = []

    class Bar(auto.tqdm):
        def __init__(self, *arguments: Any, **settings: Any) -> None:
            bars.append(self)
            super().__init__(*arguments, **{**settings, "disable": False, "delay": 0, "mininterval": 0})

    data, student = tiny_run.dataset(), tiny_run.network()
    capsys.readouterr()
    evaluation.evaluate(student, data, tiny_run.experiment)
    assert capsys.readouterr().err == ""  # TQDM_DISABLE is set for the tests
    monkeypatch.setattr(auto, "tqdm", Bar)
    evaluation.evaluate(student, data, tiny_run.experiment)
    images = sum(map(len, (data.query, data.gallery, data.train_photo, data.train_sketch)))
    assert [(bar.desc, bar.n, bar.total) for bar in bars] == [("Embedding", images, images), ("Measuring", 2, 2)]
    assert "Embedding: 100%" in capsys.readouterr().err


def test_the_best_epoch_on_validation_sketches_is_kept(tiny_run: Run) -> None:
    student, data = tiny_run.network(), tiny_run.dataset()
    accuracy = top1(student.seen_logits, student, data.val_sketch, tiny.SIDE)
    assert accuracy == tiny_run.history()["val_top1"].max()


def test_provenance_says_where_the_numbers_come_from(tiny_run: Run, tiny_place: Path) -> None:
    p = tiny_run.provenance()
    weights = tiny_place / "se_resnet_mini.safetensors"
    assert p["teacher"] == {"teacher": "se_resnet_mini", "file": weights.name, "sha256": sha256(weights)}
    assert p["data"] == load_dataset(str(tiny_place / "data"), "unseen.txt", size=tiny.SIDE).fingerprint
    assert p["files"] == {
        n: {"bytes": (tiny_run.folder / n).stat().st_size, "sha256": sha256(tiny_run.folder / n)} for n in FILES
    }
    assert p["seed"] == 0 and 0 < p["seconds_training"] <= p["seconds"] and p["finished"] > 1.7e9
    assert p["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert p["versions"] == {"training": versions.TRAINING, "measuring": versions.MEASURING}
    assert isinstance(p["dirty"], bool) and p["commit"] == provenance.commit()[0]
    assert p["processor"] and p["platform"] and p["cores"] == os.cpu_count() and "command" in p and "accelerator" in p


@pytest.mark.parametrize(
    ("said", "name"),
    [
        (
            "cpu family\t: 25\nmodel\t: 1\nmodel name\t: AMD EPYC\n\ncpu family\t: 6\n",
            "AMD EPYC (family 25, model 1, AVX2)",
        ),
        ("model name\t: Cortex: A76\nfeatures\t: fp\n", "Cortex: A76 (AVX2)"),
        ("BogoMIPS\t: 50.0\n", "of the system (AVX2)"),  # 64-bit ARM names no model
        (None, "of the system (AVX2)"),  # no such file
    ],
)
def test_two_machines_of_one_name_are_told_apart(said: str | None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read_text(path: Path) -> str:
        if said is None:
            raise FileNotFoundError(path)
        return said

    monkeypatch.setattr(Path, "read_text", read_text)
    monkeypatch.setattr(provenance.platform, "processor", lambda: "of the system")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert provenance.processor() == name


def test_the_rotation_is_learned_on_training_features_alone(tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on queries, not on the gallery (section 4.1)."""
    fitted: list[np.ndarray] = []

    class Spy(ITQ):
        def fit(self, features: Any, y: None = None) -> ITQ:
            fitted.append(np.array(features))
            return super().fit(features, y)

    monkeypatch.setattr(hashing, "ITQ", Spy)
    e = tiny_run.experiment.but(bits=(8, 16, 24))  # 24 bits from 16 features cannot be
    measured, arrays = evaluation.evaluate(tiny_run.network(), tiny_run.dataset(), e)
    assert {m["representation"] for m in measured} == {"16-d", "8-bit", "16-bit"} and len(fitted) == 2
    for features in fitted:
        np.testing.assert_array_equal(features, np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))


def test_a_pretrained_network_is_measured_without_training(tiny_experiment: Experiment, tiny_place: Path) -> None:
    """The run has no history and the teacher's weights; only the seen head is new."""
    done = run(tiny_experiment.but(epochs=0))
    assert len(done.history()) == 0 and len(done.metrics()) == 56 and label(done.experiment) == "pretrained"
    files = (done.folder / "weights.safetensors", tiny_place / "se_resnet_mini.safetensors")
    student, teacher = map(load_file, files)
    torch.testing.assert_close(student["student.backbone.body.layer1.0.conv1.weight"], teacher["layer1.0.conv1.weight"])
    torch.testing.assert_close(student["student.backbone.body.bn1.running_mean"], teacher["bn1.running_mean"])


def test_a_stopped_run_goes_on_and_ends_the_same(tiny_run, tiny_experiment, monkeypatch):
    """Stopped in training after a checkpoint, then while measuring; in the end the folders hold the same numbers."""
    monkeypatch.setattr(training, "CHECKPOINT_SECONDS", -1.0)
    descend = "sakerepro.methods.contract.descend"
    for name, replacement in ((descend, stopping(training.descend, 3)), ("sakerepro.runs.evaluate", stop)):
        with monkeypatch.context() as patch, pytest.raises(Stop):
            patch.setattr(name, replacement)
            run(tiny_experiment, trace=True)
        assert find(tiny_experiment) is None and all_runs() == []
    with monkeypatch.context() as patch:
        patch.setattr(descend, stop)  # nothing is left to train
        done = run(tiny_experiment, trace=True)
    assert tiny.same(*(load_file(r.folder / "weights.safetensors") for r in (done, tiny_run)))
    assert done.metrics() == tiny_run.metrics()
    assert done.history().drop(columns="seconds").equals(tiny_run.history().drop(columns="seconds"))
    for name, values in tiny_run.embeddings().items():
        np.testing.assert_array_equal(done.embeddings()[name], values)
    assert {f.name for f in paths.runs().iterdir()} == {done.id, f".{done.id}.lock"}


TWICE = """
import json, sys, tiny, torch
from multiprocessing import get_context
from pathlib import Path
from sakerepro import runs, training
real, trained = training.train, []
training.train = lambda *arguments, **named: trained.append(1) or real(*arguments, **named)
def make(_):
    return runs.run(tiny.experiment(*map(Path, sys.argv[1:]))).id, len(trained)
torch.set_num_threads(1)  # a process with a pool of threads cannot be forked
with get_context("fork").Pool(2) as pool:
    print(json.dumps(pool.map(make, range(2), chunksize=1)))
"""


def test_two_processes_make_one_run(tiny_place: Path) -> None:
    """One trains; the other says that it waits, and uses what it finds."""
    done = tiny.python("-c", TWICE, str(tiny_place / "data"), str(tiny_place / "se_resnet_mini.safetensors"))
    assert done.returncode == 0, done.stderr
    (id_, one), (same_id, other) = json.loads(done.stdout.splitlines()[-1])
    assert id_ == same_id and {one, other} == {0, 1} and [r.id for r in all_runs()] == [id_]
    waiting = [line for line in done.stderr.splitlines() if "waiting" in line]
    assert waiting == [f"Another process makes {id_}; waiting for it."]


def truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-5])


@pytest.mark.parametrize("name", [*FILES, "provenance.json"])
@pytest.mark.parametrize("damage", [truncate, Path.unlink], ids=["truncated", "missing"])
def test_a_damaged_run_is_named_and_not_trained_over(name, damage, my_run, no_training):
    damage(my_run.folder / name)
    for opening in (lambda: run(my_run.experiment), lambda: find(my_run.experiment), lambda: open_run(my_run.folder)):
        with pytest.raises(RunError, match=f"{name}: (is|cannot be) .*Remove") as error:
            opening()
        assert my_run.id in str(error.value)


def test_broken_json_gets_a_sentence(my_run: Run) -> None:
    whole = (my_run.folder / "provenance.json").read_text()
    for content in (
        "[]",
        "{}",
        "nonsense",
        '{"files": {}}',
        '{"files": []}',
        whole.replace('"metrics.json": {', '"metrics.json": 3, "": {'),
    ):
        (my_run.folder / "provenance.json").write_text(content)
        with pytest.raises(RunError, match="Remove"):
            open_run(my_run.folder)
    (my_run.folder / "provenance.json").write_text(whole)
    flip(my_run.folder / "experiment.json", 0.0)  # of the right length
    with pytest.raises(RunError, match=r"experiment\.json: cannot be read"):
        find(my_run.experiment)


def test_numbers_that_were_changed_are_noticed_when_they_are_used(my_run: Run) -> None:
    for name in ("weights.safetensors", "embeddings.npz"):
        flip(my_run.folder / name)
    assert find(my_run.experiment) is not None  # the lengths are right
    with pytest.raises(RunError, match=r"weights\.safetensors: is not what the run wrote"):
        my_run.network()
    with pytest.raises(RunError, match=r"embeddings\.npz: is damaged"):
        my_run.embeddings()


def test_runs_that_cannot_be_written_are_said_so_before_training(tmp_path, tiny_experiment, monkeypatch, no_training):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("SAKEREPRO_RUNS", str(tmp_path / "taken" / "runs"))
    with pytest.raises(RunError, match="cannot be created.*another place"):
        run(tiny_experiment)
    monkeypatch.setenv("SAKEREPRO_RUNS", str(tmp_path / "closed"))
    access = os.access
    monkeypatch.setattr(os, "access", lambda p, mode: "closed" not in str(p) and access(p, mode))
    with pytest.raises(RunError, match="closed: is not writable"):
        run(tiny_experiment)


def test_a_checkpoint_goes_on_only_with_its_own_inputs(tmp_path, tiny_experiment, monkeypatch):
    """Other images in the same folder, or other weights in one of the same files, since the run was stopped."""
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path))
    root = tiny.write_folder(tmp_path / "mine")
    weights = tiny.write_weights(tmp_path / "mine.safetensors")
    imitated = tiny.write_weights(tmp_path / "weights" / "resnet_mini.safetensors", "resnet_mini")
    e = change(tiny_experiment, teacher="resnet_mini").but(dataset=str(root), weights=str(weights))

    with monkeypatch.context() as patch, pytest.raises(Stop):
        patch.setattr("sakerepro.runs.evaluate", stop)
        run(e)
    photo = next((root / "photo" / "cat").iterdir())
    content = photo.read_bytes()
    photo.write_bytes(next((root / "photo" / "cup").iterdir()).read_bytes())
    with pytest.raises(
        RunError, match=f"{e.id}: the unfinished run began with other images, another teacher or version.*Remove"
    ):
        run(e)
    photo.write_bytes(content)
    for file in (weights, imitated):
        before = file.read_bytes()
        flip(file, 0.9)
        with pytest.raises(RunError, match="another teacher"):
            run(e)
        file.write_bytes(before)
    assert run(e).id == e.id


def test_too_few_gallery_photos_are_found_before_training(tmp_path, tiny_experiment, no_training):
    root = tiny.write_folder(tmp_path / "mine")
    for photo in sorted((root / "photo" / "bear").iterdir())[:3]:
        photo.unlink()
    with pytest.raises(DataError, match="'bear' has 9 gallery photos"):
        run(tiny_experiment.but(dataset=str(root)))


# the teacher that is trained here


@pytest.fixture
def own_teacher(tiny_place: Path, tiny_experiment: Experiment) -> Experiment:
    return tiny_experiment.but(teacher_epochs=2, teacher_data=str(tiny_place / "original"), weights="", epochs=1)


def test_a_teacher_is_trained_once_for_all_runs(own_teacher: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    real, trained = training.train_teacher, []
    monkeypatch.setattr(training, "train_teacher", lambda *a, **k: trained.append(1) or real(*a, **k))
    one, other = run(own_teacher), run(baseline(own_teacher))
    assert len(trained) == 1 and one.provenance()["teacher"] == other.provenance()["teacher"]
    (folder,) = paths.runs().glob("teacher-*")
    note = read_json(folder / "teacher.json")
    assert [row["epoch"] for row in note["history"]] == [1, 2] and note["size"] == tiny.SIDE
    assert one.provenance()["teacher"]["sha256"] == sha256(folder / "weights.safetensors")
    assert load_file(folder / "weights.safetensors")["head.weight"].shape == (len(tiny.ORIGINAL), 512)
    assert {r.id for r in all_runs()} == {one.id, other.id}  # a teacher is no run


def test_a_stopped_teacher_ends_the_same(own_teacher: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    want = load_teacher(own_teacher)[0].state_dict()
    (folder,) = paths.runs().glob("teacher-*")
    shutil.rmtree(folder)
    for at in (2, 1):  # 45 photos are one step an epoch: stopped in the second, and there again at once
        with monkeypatch.context() as patch, pytest.raises(Stop):
            patch.setattr(training, "descend", stopping(training.descend, at))
            load_teacher(own_teacher)
    assert tiny.same(load_teacher(own_teacher)[0].state_dict(), want)
    history = read_json(folder / "teacher.json")["history"]
    assert [row["lr"] for row in history] == pytest.approx([2e-3, 1e-3])  # half a cosine


def test_a_damaged_teacher_is_named(own_teacher: Experiment) -> None:
    load_teacher(own_teacher)
    (folder,) = paths.runs().glob("teacher-*")
    truncate(folder / "weights.safetensors")
    with pytest.raises(RunError, match=f"{folder.name}: the teacher is damaged.*Remove it"):
        run(own_teacher)


def test_the_semantic_matrix_is_that_of_the_classes(tiny_experiment, monkeypatch):
    """Rows in the order of the seen classes, columns in the order of ImageNet, handed to the training as they are."""
    seen: list[np.ndarray] = []

    def spy(method: Any, data: Any, *rest: Any) -> None:
        seen.append(method.similarity.numpy())
        assert data.seen == tuple(sorted(tiny.SEEN))
        raise Stop

    monkeypatch.setattr(training, "train", spy)
    with pytest.raises(Stop):
        run(tiny_experiment)
    assert seen[0].shape == (4, 1000)
    cup, pizza = sorted(tiny.SEEN).index("cup"), sorted(tiny.SEEN).index("pizza")
    assert seen[0][pizza, imagenet_wnids().index("n07873807")] == 1.0  # ImageNet has pizza itself
    assert seen[0][cup, imagenet_wnids().index("n07873807")] < 0.5


def test_a_finished_run_of_other_images_is_not_passed_off_as_one_of_these(tiny_run, tiny_place, tmp_path, monkeypatch):
    shutil.copytree(tiny_place / "data", tmp_path / "data")
    e = tiny_run.experiment.but(dataset=str(tmp_path / "data"))
    done = run(e)
    assert run(e).id == done.id
    photo = next((tmp_path / "data").rglob("photo/**/*.png"))
    photo.write_bytes(next((tmp_path / "data").rglob("sketch/**/*.png")).read_bytes())
    with pytest.raises(RunError, match="other images"):
        run(e)
    shutil.rmtree(tmp_path / "data")
    assert run(e).id == done.id  # nothing to compare with


def test_a_run_names_the_network_that_it_imitates(tiny_experiment: Experiment, tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(ConfigError, match="teacher has to be own, shuffled or a network.*'resnet_mimi'.*resnet_mini"):
        change(tiny_experiment, teacher="resnet_mimi")
    other = change(tiny_experiment, teacher="resnet_mini")
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path))
    with pytest.raises(DataError, match="pretrained weights of resnet_mini are missing"):
        run(other)
    file = tiny.write_weights(tmp_path / "weights" / "resnet_mini.safetensors", "resnet_mini")
    done, usual = run(other), run(tiny_experiment)
    assert done.provenance()["imitated"]["sha256"] == sha256(file)
    assert "imitated" not in usual.provenance() and done.provenance()["teacher"] == usual.provenance()["teacher"]
    losses = [r.history()["loss_sake"][0] for r in (done, usual)]
    assert abs(losses[0] - losses[1]) > 0.01
    network = open_run(done.folder).network()
    np.testing.assert_allclose(embed(network, done.dataset().gallery, 32), done.embeddings()["gallery"], atol=1e-4)
    card = model_card(done)
    assert f"the frozen teacher is `resnet_mini` (SHA-256 `{sha256(file)}`)" in card and "the same is" not in card
    with pytest.raises(ConfigError, match="a teacher has no gates. Give 'se_resnet_mini'"):
        change(tiny_experiment, teacher="cse_resnet_mini")


def test_a_run_on_a_share_sees_no_other_images(tiny_experiment: Experiment) -> None:
    part, whole = run(tiny_experiment.but(train_share=0.4)), run(tiny_experiment)
    assert [len(r.dataset().train_photo) for r in (part, whole)] == [4 * 5, 4 * 12]
    assert part.provenance()["data"] != whole.provenance()["data"]
    assert part.dataset().query.names == whole.dataset().query.names
    for bad in (0.0, 1.5):
        with pytest.raises(ConfigError, match=f"train_share = {bad} has to be above 0 and at most 1"):
            tiny_experiment.but(train_share=bad)
