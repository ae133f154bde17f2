"""Data sets are records: one of the user's own, with official lists and a class table, works like the package's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import tiny
from data_room import write_official

from sakerepro.__main__ import main
from sakerepro.apps.check import check
from sakerepro.data.known import datasets, records
from sakerepro.data.registry import load_dataset, load_original
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import preset
from sakerepro.original import original_wnids
from sakerepro.plots.labels import data_title
from sakerepro.runs import experiment_data
from sakerepro.semantics import resolve_classes
from sakerepro.world.load import load_world_original

WNIDS = {"blick": "n02084071", "dax": "n02121620", "fep": "n03147509", "wug": "n02131653", "zorp": "n02691156"}
RECORD = """
[datasets.toy]
title = "Toy Ext."
folders = ["ToyData"]
get = "the toy archive"
lists = { sketch = "drawn", photo = "taken" }
splits = ["second", "first"]
same_splits = { zweite = "second" }
batches = { batch_sketch = 3, batch_photo = 5 }
classes = "toy.csv"
original = ["toy-photos"]

[datasets.toy.published]
second = { seen = 3, unseen = 2, train_sketch = 12, val_sketch = 6, query = 8, train_photo = 12, gallery = 8 }

[originals.toy-photos]
per_class = 4
"""


@pytest.fixture
def toy(own_data: Path) -> Path:
    """A data folder that holds one record, its class table and its images; no class is a word of WordNet."""
    root = own_data / "ToyData"
    write_official(root, "tuberlin", seen=list(WNIDS)[:3], unseen=list(WNIDS)[3:], size=32, split="second")
    for file in (root / "second").iterdir():
        name = file.name.replace("png_ready_file", "drawn_file").replace("ImageResized_ready_file", "taken_file")
        file.rename(file.with_name(name))
    shutil.copytree(root / "second", root / "first")
    (own_data / "known.toml").write_text(RECORD)
    (own_data / "toy.csv").write_text("class,wnid\n" + "".join(f"{name},{wnid}\n" for name, wnid in WNIDS.items()))
    return own_data


def test_a_record_and_its_class_table_are_all_that_a_data_set_needs(toy, tiny_place, cli):
    data = load_dataset("toy", size=32, progress=False)
    assert (data.name, data.split, data.seen) == ("toy", "second", ("blick", "dax", "fep"))
    assert load_dataset("toy", "first", size=32, progress=False).split == "first"
    assert data_title("toy", "first") == "Toy Ext., first"
    assert [r.wnid for r in resolve_classes(list(WNIDS), "toy")] == list(WNIDS.values())

    said = cli("check", "toy").out
    assert "published" in said and "5 table" in said
    assert "Train on it: sakerepro train --preset small --dataset toy" in said
    (toy / "ToyData/second/drawn_filelist_test.txt").write_text("")
    assert "official lists have 6" in str(check("toy", "second", images=False))

    e = preset("mini", dataset="toy")
    assert (e.split, e.batch_sketch, e.batch_photo) == ("second", 3, 5)
    weights = tiny_place / "se_resnet_mini.safetensors"
    e = tiny.experiment(toy, weights, dataset="toy", split="first")
    assert e.id.startswith("tiny-first-") and experiment_data(e).seen == data.seen


def test_the_original_domain_and_a_local_archive_go_by_the_record(toy: Path) -> None:
    tiny.write_original(toy / "toy-photos")
    assert len(load_original("toy-photos", 32, progress=False).train) == 4 * len(tiny.ORIGINAL)
    archive = shutil.make_archive(str(toy / "made"), "zip", toy, "ToyData")
    shutil.rmtree(toy / "ToyData")
    with pytest.raises(DataError, match=r"(?s)Get the toy archive, and put it at .*ToyData"):
        load_dataset("toy")
    assert main(["data", "fetch", "toy", "--archive", archive]) == 0
    assert load_dataset("toy", size=32, progress=False).unseen == ("wug", "zorp")
    assert main(["data", "fetch", "mini"]) == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[datasets.sketchy]", "known.toml: data set 'sketchy' is known already"),
        ("[datasets.x]\nsplit = ['a']", r"known.toml, record 'x': field 'split' is unknown. Did you mean 'splits'"),
        ("[datasets.x]\nsplits = 'a'", "record 'x': splits = 'a' has to be of type list"),
        ("[datasets.x]\n[[datasets.x.sources]]\nurl = 3", "record 'x', sources: url = 3 has to be of type str"),
        ("[datasets.x]\nlists = { sketch = 'a' }", "record 'x': lists needs sketch, photo, and has sketch"),
        ("[datasets.x.published]\na = { seen = 3 }", "record 'x': published needs seen, unseen, .*and has seen"),
        ("[datasets.x]\ndoubles = ['a']", "record 'x': doubles = .* has to be two folders"),
        ("[x]\nsplits = []", r"\[x\] is unknown. Records are \[datasets.<name>\]"),
        ("datasets.x = 3", "record 'x': is 3 and has to be a table"),
        ("datasets = ['a']", r"datasets = \['a'\] has to be a table of records, \[datasets.<name>\]"),
        ("[datasets.x]\n[datasets.x.sources]\nurl = 'a'", "record 'x': sources = .* has to be a list of tables"),
        ("[datasets.x]\nsources = ['a']", r"record 'x': sources = \['a'\] has to be a list of tables"),
        ("[datasets.x]\npublished = { a = 5 }", "record 'x': published holds 5, and has to hold tables only"),
        ("[datasets.x]\nper_class = true", "record 'x': per_class = True has to be of type int"),
        ("[datasets.x]\nfolders = [1]", "record 'x': folders holds 1, and has to hold strings only"),
        ("[datasets.x]\nfolders = []", r"record 'x': folders = \[\] names no folder"),
        ("[datasets.x]\nbatches = { batch_sketch = 'a', batch_photo = 1 }", "batches holds 'a', and .* whole numbers"),
        ("[datasets.x]\nlists = { sketch = 'a', photo = 2 }", "lists holds 2, and has to hold strings"),
        ("datasets = ", "known.toml: cannot be read as TOML"),
    ],
)
def test_a_wrong_record_is_named(toy: Path, text: str, says: str) -> None:
    (toy / "known.toml").write_text(text)
    with pytest.raises(DataError, match=says):
        datasets()


@pytest.mark.parametrize("name", ["no_such_module:read", "json:no_such_name", "json", ":x"])
def test_a_record_that_names_what_cannot_be_imported(toy: Path, name: str) -> None:
    (toy / "known.toml").write_text(
        f"[datasets.x]\nreader = {name!r}\noriginal_reader = {name!r}\nclasses = 'no_such:x'"
    )
    for load in (lambda: load_dataset("x"), lambda: load_original("x", 32)):
        with pytest.raises(
            DataError, match=f"known.toml, record 'x': (original_)?reader = '{name}' cannot be imported"
        ):
            load()
    with pytest.raises(DataError, match="record 'x': classes = 'no_such:x' cannot be imported"):
        datasets()["x"].class_rows()


def test_a_changed_file_is_read_again_and_a_bad_table_is_named(toy: Path) -> None:
    assert "toy" in datasets()
    (toy / "toy.csv").write_text("class,wnid\nblick,dog\n")
    with pytest.raises(DataError, match="toy.csv, line 2: 'dog' of class 'blick' is no WordNet id"):
        resolve_classes(["blick"], "toy")
    (toy / "toy.csv").unlink()
    with pytest.raises(DataError, match=r"toy\.csv: is not there"):
        resolve_classes(["blick"], "toy")
    (toy / "known.toml").unlink()
    assert "toy" not in datasets()
    with pytest.raises(ConfigError, match="data set 'toy' is unknown"):
        load_dataset("toy")


def test_every_record_of_the_package_is_whole() -> None:
    """What a record names has to exist: other records, tables, readers, the splits that it has counts of."""
    for name, record in datasets().items():
        assert record.title and record.splits and record.class_rows()
        assert set(record.original) <= records("originals").keys()
        assert set(record.published) <= set(record.splits) and set(record.same_splits.values()) <= set(record.splits)
        assert record.reader or (record.get and record.layout and record.hint)
        assert set(record.batches) <= {"batch_sketch", "batch_photo"}, name


def test_the_classes_of_the_world_are_known_without_drawing_it() -> None:
    assert original_wnids(preset("mini")) == load_world_original(8, original_train=1, original_val=1).wnids
