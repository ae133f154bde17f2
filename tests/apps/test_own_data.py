"""Data of one's own: looked at with ``check``, then trained on, from a plain folder to numbers."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from data_room import plain_folder, sketchy_like
from PIL import Image
from safetensors.torch import save_file

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.apps.check import Report, Split, _compare_classes, check
from sakerepro.data.registry import load_dataset
from sakerepro.errors import ConfigError, DataError
from sakerepro.methods import preset
from sakerepro.networks.gates import ConditionalSE
from sakerepro.runs import all_runs, run
from sakerepro.semantics import require_classes, resolve_classes
from sakerepro.world.example import example_folder
from sakerepro.world.files import write_world

SEEN, UNSEEN = ("cat", "cup", "frobnicator"), ("bear", "airplane")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plain folder of five classes; one has a name that nobody knows, set by hand."""
    folder = write_world(tmp_path_factory.mktemp("own") / "my data", seen=SEEN, unseen=UNSEEN, per_class=4, size=24)
    (folder / "synsets.csv").write_text("class,wnid\nfrobnicator,n03001627\n")
    return folder


@pytest.fixture
def root(shared: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(shared, tmp_path / "my data"))


@pytest.fixture(scope="module")
def timm_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights of a small network of timm, under its own parameter names."""
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        state = timm.create_model("test_resnet", num_classes=1000).state_dict()
    file = tmp_path_factory.mktemp("weights") / "mine.safetensors"
    save_file({k: v.contiguous() for k, v in state.items()}, file)
    return file


def said(report: Report) -> str:
    return "\n".join(map(str, report.problems))


def test_a_good_folder_is_counted_and_named(root: Path) -> None:
    report = check(str(root), progress=False)
    assert not report.problems, said(report)
    (split,) = report.splits
    assert split.seen == tuple(sorted(SEEN)) and split.unseen == UNSEEN and split.name == "unseen.txt"
    images = {"train_sketch": 12, "val_sketch": 0, "train_photo": 12, "query": 8, "gallery": 8}
    assert split.counts == {"seen": 3, "unseen": 2, **images}
    assert split.per_class["gallery"] == (4, 4.0, 4) and report.decoded == 40
    by_name = {r.name: r for r in report.classes}
    assert by_name["frobnicator"].source == "by hand" and by_name["frobnicator"].wnid == "n03001627"
    assert by_name["cat"].synset == "cat.n.01" and by_name["cat"].source == "table"
    assert [(o.name, o.kind) for o in split.overlap["unseen"]] == [("bear", "wider"), ("airplane", "wider")]
    assert report.flags == {"photo-queries": 2} and "--photo-queries 2" in report.command()


def test_all_problems_are_told_not_only_the_first(root: Path) -> None:
    (root / "photo/cat/0000.jpg").write_bytes(b"")
    (root / "photo/cup/0001.jpg").write_bytes(b"no image at all")
    whole = (root / "sketch/bear/0002.png").read_bytes()
    (root / "sketch/bear/0002.png").write_bytes(whole[: len(whole) // 2])
    shutil.copy(root / "photo/cup/0002.jpg", root / "photo/bear/copy of a cup.jpg")
    report = check(str(root), progress=False)
    text = said(report)
    assert len(report.problems) == 4
    assert "photo/cat/0000.jpg: is empty" in text and "photo/cup/0001.jpg: is not a" in text
    assert "sketch/bear/0002.png: is damaged" in text
    assert "photo/bear/copy of a cup.jpg: is unseen in unseen.txt and the same file as 'photo/cup/0002.jpg'" in text
    assert check(str(root), images=False).decoded == 0


def test_one_thing_under_two_names_is_not_zero_shot(root: Path) -> None:
    (root / "synsets.csv").write_text("class,wnid\nfrobnicator,n02131653\n")  # a bear, and bears are unseen
    text = "class 'bear' is unseen and class 'frobnicator' is trained on, and both are one noun, n02131653 bear.n.01"
    assert text in said(check(str(root), images=False))
    with pytest.raises(DataError, match=re.escape(text)):
        run(preset("mini", dataset=str(root), epochs=0, photo_queries=0))


def test_a_plain_folder_with_the_name_of_a_data_set_is_ones_own(root: Path) -> None:
    root = root.rename(root.with_name("sketchy"))
    report = check(str(root))
    assert report.name == str(root) and str(root) in report.command()


def test_a_known_data_set_may_be_named_from_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sketchy_like(tmp_path / "Sketchy")
    monkeypatch.chdir(tmp_path / "Sketchy")
    assert check(".", images=False, progress=False).name == "sketchy"


def test_official_classes_that_are_one_thing_are_a_note(root: Path) -> None:
    seen, unseen = ("standing bird",), ("flying bird", "cat")
    classes = resolve_classes([*seen, *unseen], "tuberlin")
    report = Report("tuberlin", root, "lists", [Split("s", {}, {}, {}, seen, unseen)], classes)
    _compare_classes(report)
    assert not report.problems and len(report.notes) == 1 and "'flying bird' is unseen" in report.notes[0]


def test_one_image_in_two_classes_is_named(root: Path) -> None:
    shutil.copy(root / "photo/cup/0002.jpg", root / "photo/cat/again.jpg")
    shutil.copy(root / "photo/cup/0002.jpg", root / "photo/cup/same class.jpg")
    notes = check(str(root), progress=False).notes
    assert [n for n in notes if "two classes" in n] == [
        "One image stands in two classes, photo/cat/again.jpg and photo/cup/0002.jpg. Remove it from one.",
        "One image stands in two classes, photo/cat/again.jpg and photo/cup/same class.jpg. Remove it from one.",
    ]


def test_a_folder_whose_classes_are_all_unseen_is_for_measuring(root: Path) -> None:
    (root / "unseen.txt").write_text("\n".join((*SEEN, *UNSEEN)))
    report = check(str(root), images=False)
    assert not report.problems and "sakerepro evaluate RUN --dataset" in str(report) and "Train on" not in str(report)
    with pytest.raises(DataError, match=r"unseen.txt names 5 of 5 classes. Leave some to train on; .*evaluate RUN"):
        run(preset("mini", dataset=str(root), epochs=0, photo_queries=0))


def test_names_and_links_that_no_training_could_read_are_problems(root: Path) -> None:
    (root / "sketch/cup/0001.png").unlink()
    (root / "sketch/cup/0001.png").symlink_to(root / "gone.png")
    (root / "photo/cat/0000.jpg").write_bytes(b"")
    text = said(check(str(root), progress=False))
    assert "sketch/cup/0001.png: is a link to nothing" in text and "photo/cat/0000.jpg: is empty" in text
    strange = os.fsencode(root / "photo/cat") + b"/caf\xe9.jpg"
    try:
        shutil.copy(os.fsencode(root / "photo/cup/0000.jpg"), strange)
    except OSError:
        pytest.skip("this file system has UTF-8 names only")
    text = r"photo/cat/caf\udce9.jpg: its name is not valid UTF-8"
    assert text in said(check(str(root), progress=False))
    with pytest.raises(DataError, match=re.escape(text)):
        load_dataset(str(root), size=32)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_a_synsets_csv_that_is_not_utf_8_is_a_problem(root: Path, encoding: str) -> None:
    (root / "synsets.csv").write_bytes("class,wnid\ncafé,n03001627\n".encode(encoding))
    assert "synsets.csv: cannot be read as UTF-8" in said(check(str(root), images=False))
    with pytest.raises(DataError, match=r"synsets\.csv: cannot be read as UTF-8"):
        require_classes(["cup"], str(root))


def test_the_command_to_train_is_for_what_was_checked(root: Path, tmp_path: Path) -> None:
    """Whatever the folder is called, and with the split that was asked for."""
    folder = Path(shutil.copytree(root, tmp_path / "my own" / "Sketchy"))
    assert f"--dataset '{folder}'" in check(str(folder), images=False).command()
    assert check(str(folder), images=False).experiment("mini").dataset == str(folder)
    command = shlex.split(check(str(folder), "random", images=False).command())
    assert command[command.index("--split") + 1] == "random" and command[command.index("--dataset") + 1] == str(folder)
    assert check(str(folder), "random", images=False).experiment("mini").split == "random"


def test_structural_problems_come_together_with_the_counts(root: Path) -> None:
    shutil.rmtree(root / "sketch/cup")
    (root / "photo/empty").mkdir()
    (root / "photo/cat/IMG_1.HEIC").touch()
    shutil.copy(root / "photo/cat/0000.jpg", root / "photo/loose.jpg")
    report = check(str(root), progress=False)
    text = said(report)
    assert "no folder sketch/cup" in text and "holds no image" in text and "lies in no class folder" in text
    assert any("Left out: 1 .heic (photo/cat/IMG_1.HEIC)" in note for note in report.notes)
    assert not report.splits and any("20 photos in 6 classes, 0 to 4 a class" in note for note in report.notes)


def test_a_bad_unseen_txt_is_a_problem_with_its_line(root: Path) -> None:
    (root / "unseen.txt").write_text("bear\nairplan\n")
    assert "line 2: class 'airplan' is not there. Did you mean 'airplane'" in said(check(str(root), progress=False))


def test_without_unseen_txt_it_says_what_a_random_split_needs(tmp_path: Path) -> None:
    folder = plain_folder(tmp_path / "five", photos=3, sketches=2)
    report = check(str(folder), images=False)
    assert report.flags["min-photos"] == 3 and report.splits[0].counts["unseen"] == 1
    assert "--min-photos 3" in report.command()
    assert any("name the unseen classes in" in note for note in report.notes)


@pytest.mark.usefixtures("nltk_wordnet")
def test_a_class_without_a_synset_gets_near_misses_and_how_to_set_it(root: Path) -> None:
    for domain in ("photo", "sketch"):
        (root / domain / "frobnicator").rename(root / domain / "aligator")
    (root / "synsets.csv").unlink()
    report = check(str(root), images=False)
    (problem,) = report.problems
    assert "'aligator' has no WordNet synset" in str(problem) and "(alligator.n." in str(problem)
    assert "synsets.csv" in str(problem) and "'aligator,<wnid>'" in str(problem)
    (root / "synsets.csv").write_text("class,wnid\naligator,n01698434\n")
    assert not check(str(root), images=False).problems
    (root / "synsets.csv").write_text("class,wnid\naligator,alligator\n")
    assert "is no WordNet id" in said(check(str(root), images=False))


def test_lists_are_checked_in_every_split(tmp_path: Path) -> None:
    root = sketchy_like(tmp_path / "lists", unseen=("dog", "deer"))  # classes of the package's own tables
    sketchy_like(root, seen=("ant", "dog"), unseen=("bee",), split="zeroshot2", images=False)
    assert not check(str(root), progress=False).problems
    gone = root / "EXTEND_image_sketchy_ready/ant/ext_1.png"
    gone.unlink()
    report = check(str(root), progress=False)
    assert [s.name for s in report.splits] == ["zeroshot1", "zeroshot2"] and all(p.missing for p in report.problems)
    assert len(report.problems) == 2 and "EXTEND_image_sketchy_ready/ant/ext_1.png" in said(report)
    assert len(check(str(root), "zeroshot2", progress=False).problems) == 1


def test_official_names_are_held_against_the_published_numbers(tmp_path: Path) -> None:
    report = check(str(sketchy_like(tmp_path / "Sketchy")), images=False)
    assert report.splits[0].published["train_photo"] == 68_401
    assert "Sketchy" not in report.name and "gallery: 8 are listed, and the official lists have 17,101." in said(report)


def test_check_on_the_command_line(root: Path, cli: Callable[..., Any]) -> None:
    out = cli("check", str(root)).out
    assert "unseen.txt: 3 seen, 2 unseen classes" in out and "0 problems, 40 images read." in out
    assert "frobnicator: n03001627 chair.n.01 (by hand)" in out
    assert f"sakerepro train --preset small --dataset '{root}'" in out
    (root / "photo/cat/0000.jpg").write_bytes(b"")
    report = json.loads(cli("check", str(root), "--json", code=3).out)
    assert report["problems"][0]["file"] == "photo/cat/0000.jpg" and report["splits"][0]["counts"]["seen"] == 3


@pytest.mark.parametrize(("name", "error"), [("mini", ConfigError), ("no/such", DataError), ("sketchi", ConfigError)])
def test_what_cannot_be_checked_at_all(name: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        check(name)


def test_a_folder_without_layout_is_told_what_it_should_look_like(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither photo/<class>.* nor lists"):
        check(str(tmp_path))


TRAIN = "train --preset mini --teacher-epochs 0 --epochs 1 --steps 2 --batch-sketch 3 --batch-photo 4".split()
TRAIN += "--size 32 --dim 16 --bits 8".split()


def test_from_a_folder_to_numbers_with_a_gated_network_of_timm(root, timm_weights, cli, monkeypatch):
    train = [*TRAIN, "--backbone", "cse_test_resnet"]
    err = cli(*train, "--dataset", str(root), "--weights", str(timm_weights), code=3).err
    assert "10 would be queries" in err  # and it says how many can be
    train += ["--photo-queries", "2"]
    monkeypatch.chdir(root.parent)
    shutil.copy(timm_weights, "mine.safetensors")
    done = json.loads(cli(*train, "--dataset", root.name, "--weights", "mine.safetensors", "--json").out)
    assert done["experiment"]["dataset"] == str(root) and done["experiment"]["split"] == ""
    assert {m["task"] for m in done["metrics"]} == {"ZS-SBIR", "ZS-PBIR"}
    assert all(0 <= m["value"] <= 1 for m in done["metrics"])
    (run,) = all_runs()
    assert "my_data-cse_test_resnet" in run.id and run.dataset().unseen == UNSEEN
    gates = [m for m in run.network().modules() if isinstance(m, ConditionalSE)]
    assert gates and any(g.fc2.weight[:, -1].abs().max() > 0 for g in gates)  # the domain's column was trained
    assert "The run wrote the same numbers" in cli("evaluate", run.id).out
    out = cli("evaluate", run.id, "--dataset", root.name, "--split", "random", "--min-photos", "1").out
    assert "Not zero-shot" in out or "None of these classes" in out

    Image.new("RGB", (24, 24), "red").save(root / "photo/cat/new.jpg")  # the folder grows: the old run is no answer
    err = cli(*train, "--dataset", str(root), "--weights", str(root.parent / "mine.safetensors"), code=1).err
    assert "was made from other images" in err


def test_any_network_of_timm_without_gates_and_without_photo_queries(root, timm_weights, cli):
    command = [*TRAIN, "--backbone", "test_resnet", "--dataset", str(root), "--weights", str(timm_weights)]
    metrics = json.loads(cli(*command, "--photo-queries", "0", "--json").out)["metrics"]
    assert {m["task"] for m in metrics} == {"ZS-SBIR"}
    err = cli(*TRAIN, "--backbone", "test_resnett", "--dataset", str(root), "--photo-queries", "0", code=2).err
    assert "Did you mean 'test_resnet'" in err


def test_the_teacher_of_mini_can_be_kept_for_other_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pretrained weights: the original domain of the generated world teaches."""
    original = Mock(side_effect=DataError("enough"))
    monkeypatch.setattr("sakerepro.teachers.load_original", original)
    assert main(["train", "--dataset", str(root), "--photo-queries", "0", "--size", "24"]) == 3
    assert [call.args[0] for call in original.call_args_list] == ["mini"]
    assert not list(paths.runs().glob("*/experiment.json"))


def test_the_example_folder_is_ready_to_train_on_and_drawn_once(tmp_path, cli):
    folder = tmp_path / "mine"
    assert f"sakerepro check {folder}" in cli("data", "example", str(folder)).out
    report = check(str(folder), progress=False)
    counts = report.splits[0].counts
    assert not report.problems and not report.flags and (counts["seen"], counts["unseen"]) == (12, 6)
    assert len(list(folder.glob("photo/*/*.jpg"))) == len(list(folder.glob("sketch/*/*.png"))) == 18 * 16
    e = report.experiment("mini", epochs=3)
    assert (e.dataset, e.split, e.teacher_data, e.epochs) == (str(folder), "", "mini", 3)
    assert "already holds something" in cli("data", "example", str(folder), code=3).err
    paths.cache().mkdir(exist_ok=True)
    cached = Path(shutil.move(folder, paths.cache() / "example-folder"))
    assert example_folder() == cached  # and not drawn again


def test_a_report_gives_the_experiment_that_the_data_needs_or_its_first_problem(root: Path) -> None:
    assert check(str(root), images=False).experiment("mini").photo_queries == 2
    (root / "photo/cat/0000.jpg").write_bytes(b"")
    with pytest.raises(DataError, match="has 1 problems, the first: photo/cat/0000.jpg: is empty"):
        check(str(root), progress=False).experiment("mini")
