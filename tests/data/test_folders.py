"""A plain folder: any image, nested, with any name; what is wrong with it is said by name."""

from __future__ import annotations

import os
import re
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from data_room import plain_folder, write_image

from sakerepro.data.folders import examine_folder, left_out_text, read_folder, walk
from sakerepro.data.registry import load_dataset
from sakerepro.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plain_folder(tmp_path / "my set")


def test_classes_are_parted_as_unseen_txt_says(root: Path) -> None:
    (root / "unseen.txt").write_text("\ufeff\ndog\n\u00a0\n  bee \n", encoding="utf-8")
    listing = read_folder(root)
    assert (listing.unseen, listing.seen, listing.split) == (("dog", "bee"), ("ant", "cow", "elk"), "unseen.txt")
    assert [n.split("/")[1] for n in listing.query.names] == ["dog"] * 9 + ["bee"] * 9
    assert listing.query.labels.tolist() == [0] * 9 + [1] * 9
    assert (len(listing.gallery), len(listing.train_photo)) == (8, 12)
    assert len(listing.train_sketch) + len(listing.val_sketch) == 27


def test_an_eighth_of_each_class_s_sketches_is_held_out(root: Path) -> None:
    (root / "unseen.txt").write_text("dog", encoding="utf-8")
    listing = read_folder(root)
    assert np.bincount(listing.val_sketch.labels).tolist() == [1, 1, 1, 1]
    assert not set(listing.val_sketch.names) & set(listing.train_sketch.names)
    assert read_folder(root, seed=0).val_sketch.names == listing.val_sketch.names
    assert any(read_folder(root, seed=s).val_sketch.names != listing.val_sketch.names for s in (1, 2, 3))


def test_a_random_split_is_seeded_and_keeps_to_the_least_number_of_photos(root: Path) -> None:
    for i in range(6):
        for name in ("bee", "elk"):
            write_image(root / "photo" / name / f"more {i}.png", seed=i)
    drawn = {read_folder(root, min_photos=10, seed=s).unseen for s in range(12)}
    assert drawn == {("bee",), ("elk",)}
    with pytest.raises(ConfigError, match=r"at least 400 photos .* 0 of 5 .* Set min_photos \(--min-photos\) to 10\."):
        read_folder(root)


def test_nested_hidden_and_other_files_unicode_and_spaces(tmp_path: Path) -> None:
    root = tmp_path / "größe"
    decomposed = unicodedata.normalize("NFD", "löwe")
    places = [("photo", "löwe"), ("sketch", decomposed), ("photo", "alarm clock"), ("sketch", "alarm clock")]
    for domain, name in places:
        write_image(root / domain / name / "deep er" / "日本 1.JPG.png")
        write_image(root / domain / name / "2.png")
        (root / domain / name / "notes.txt").write_text("x")
        (root / domain / name / ".cache").mkdir()
        write_image(root / domain / name / ".cache" / "3.png")
    (root / "unseen.txt").write_text(decomposed, encoding="utf-8")
    listing = read_folder(root)
    assert (listing.seen, listing.unseen) == (("alarm clock",), ("löwe",))
    assert listing.query.names == (f"sketch/{decomposed}/2.png", f"sketch/{decomposed}/deep er/日本 1.JPG.png")
    assert all((root / n).is_file() for n in listing.names_of(0) | listing.names_of(1))


def remove(root: Path, *places: str) -> None:
    for place in places:
        shutil.rmtree(root / place)


def empty(root: Path, place: str) -> None:
    remove(root, place)
    (root / place).mkdir()
    (root / place / "readme.txt").touch()


@pytest.mark.parametrize(
    ("wreck", "says"),
    [
        (
            lambda r: remove(r, "sketch"),
            "sketch: is not there. A plain data set is photo/<class>/* and sketch/<class>/*.",
        ),
        (lambda r: remove(r, "sketch/cow"), "photo/cow: this class has no folder sketch/cow."),
        (lambda r: remove(r, "photo/bee"), "sketch/bee: this class has no folder photo/bee."),
        (lambda r: empty(r, "photo/dog"), "photo/dog: holds no image."),
        (lambda r: write_image(r / "photo/x.png"), "photo/x.png: lies in no class folder. Move it to photo/<class>/."),
        (
            lambda r: [remove(r, f"photo/{c}", f"sketch/{c}") for c in ("bee", "cow", "dog", "elk")],
            "has 1 class. Zero-shot retrieval trains on some classes and tests on others",
        ),
        (lambda r: empty(r, "photo"), "photo: holds no class folder."),
    ],
)
def test_what_is_wrong_is_said_once(root: Path, wreck: Callable[[Path], object], says: str) -> None:
    wreck(root)
    with pytest.raises(DataError) as error:
        read_folder(root, min_photos=1)
    assert says in str(error.value) and "\n" not in str(error.value)
    assert [says in str(p) for p in examine_folder(root)[2]] == [True]


def test_several_problems_are_counted(root: Path) -> None:
    write_image(root / "photo" / "x.png")
    remove(root, "sketch/cow")
    with pytest.raises(DataError, match="And 1 more. Run `sakerepro check"):
        read_folder(root)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dog\nbea\n", "unseen.txt, line 2: class 'bea' is not there. Did you mean 'bee'?"),
        ("dog\n\ndog\n", "unseen.txt, line 3: class 'dog' is named twice."),
        ("\n", "unseen.txt: names 0 of 5 classes."),
    ],
)
def test_a_wrong_unseen_txt(root: Path, text: str, says: str) -> None:
    (root / "unseen.txt").write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=re.escape(says)):
        read_folder(root)


def test_all_classes_can_be_unseen(root: Path) -> None:
    (root / "unseen.txt").write_text("ant\nbee\ncow\ndog\nelk\n", encoding="utf-8")
    listing = read_folder(root)
    assert listing.seen == () and len(listing.unseen) == 5
    assert (len(listing.train_sketch), len(listing.train_photo)) == (0, 0) and len(listing.gallery) > 4


def test_a_line_of_synsets_csv_about_no_class_is_named(root: Path) -> None:
    (root / "synsets.csv").write_text("class,wnid\nANT,n02219486\ndgo,n02084071\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"synsets\.csv, line 3: class 'dgo' is not there\. Did you mean 'dog'"):
        read_folder(root)


def test_a_line_of_synsets_csv_for_a_class_that_is_gone_is_a_note(root: Path) -> None:
    (root / "synsets.csv").write_text("class,wnid\nzeppelin,n04612026\ndogs,n02084071\ndog,n02084071\n")
    listing = read_folder(root, min_photos=1)  # "dogs" is near to a class, but that one has a line of its own
    assert f"{root}/synsets.csv, line 2: there is no class 'zeppelin'; the line does nothing." in listing.note
    assert "line 3: there is no class 'dogs'" in listing.note and "'dog';" not in listing.note
    (root / "synsets.csv").write_text("class,wnid\ndog,n02084071\n")
    assert "synsets.csv" not in read_folder(root, min_photos=1).note


def test_unknown_split_and_missing_unseen_txt(root: Path) -> None:
    with pytest.raises(ConfigError, match="has no split 'zeroshot1'"):
        read_folder(root, "zeroshot1")
    with pytest.raises(DataError, match=r"unseen\.txt: cannot be read \(No such .*\)\. Write one class name a line"):
        read_folder(root, "unseen.txt")
    (root / "unseen.txt").symlink_to(root / "not mounted")  # there, and no reason to draw classes
    with pytest.raises(DataError, match=r"unseen\.txt: cannot be read"):
        read_folder(root)
    (root / "unseen.txt").unlink()
    (root / "unseen.txt").write_bytes("dog\nlöwe\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"unseen\.txt, line 2: cannot be read .* Write one class name a line, in"):
        read_folder(root, "unseen.txt")


def test_one_walk_says_what_it_leaves_out(tmp_path: Path) -> None:
    aside = ["@eaDir", "$RECYCLE.BIN", "#recycle", "lost+found", "__MACOSX", "in/System Volume Information"]
    for name in ("a.png", "in/b.JPG", ".hidden.png", ".Trash-1000/c.png", *(f"{folder}/d.png" for folder in aside)):
        write_image(tmp_path / name)
    for name in ("IMG_1.HEIC", "in/IMG_2.heic", "e.svg", "README"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    walked = walk(tmp_path)
    assert (walked.images, walked.refused) == (["a.png", "in/b.JPG"], {})
    assert {kind: sorted(names) for kind, names in walked.left_out.items()} == {
        ".heic": ["IMG_1.HEIC", "in/IMG_2.heic"],
        ".svg": ["e.svg"],
        "other file": ["README"],
        "hidden file": [".hidden.png"],
        "hidden folder": [".Trash-1000"],
        "linked folder": ["loop"],
        "system folder": sorted(aside),
    }
    text = left_out_text(walked.left_out)
    assert "2 .heic (such as IMG_1.HEIC)" in text and "1 .svg (e.svg)" in text and "6 system folders (such as " in text
    assert left_out_text({}) == ""


def test_what_is_left_out_of_a_data_set_is_said_when_it_is_packed(root, capsys):
    write_image(root / "photo" / "@eaDir" / "x.png")
    write_image(root / "photo" / "dog" / "#recycle" / "x.png")
    (root / "sketch" / "dog" / "s.svg").touch()
    shutil.move(root / "photo" / "bee", root / "elsewhere")
    (root / "photo" / "bee").symlink_to(root / "elsewhere")  # a class may be a link
    data = load_dataset(root, size=8, min_photos=1)
    text = "Left out: 2 system folders (such as photo/@eaDir), 1 .svg (sketch/dog/s.svg)."
    assert text in capsys.readouterr().err
    assert len(data.train_photo) + len(data.gallery) == 20
    load_dataset(root, size=8, min_photos=1)
    assert not capsys.readouterr().err  # once


def test_a_folder_without_rights_is_named_and_not_trained_without(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_image(root / "photo" / "dog" / "more" / "x.png")
    scandir = os.scandir

    def refuse(place: str) -> object:  # tests may run as a user who may read everything
        if os.fspath(place).endswith("more"):
            raise PermissionError(13, "Permission denied", os.fspath(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    assert walk(root / "photo" / "dog").refused.keys() == {"more"}
    text = "photo/dog/more: is a folder that cannot be read (Permission denied)"
    assert [text in str(p) for p in examine_folder(root)[2]] == [True]
    with pytest.raises(DataError, match=re.escape(text)):
        read_folder(root)
