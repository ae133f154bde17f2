"""The official lists: read as they are, counted in full, and every kind of wrong line named."""

from __future__ import annotations

import functools
import gzip
import re
from pathlib import Path

import numpy as np
import pytest
from data_room import OFFICIAL_PHOTO, OFFICIAL_SKETCH, real_data, sketchy_like, write_image, write_lists

from sakerepro.data.known import COUNTS, datasets
from sakerepro.data.listing import SETS, Listing, Problem
from sakerepro.data.lists import drop_doubles, examine_split, read_split, split_names
from sakerepro.errors import ConfigError, DataError

SKETCH_TRAIN = "sketch_tx_000000000000_ready_filelist_train"
PHOTO_TRAIN = "all_photo_filelist_train"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return sketchy_like(tmp_path / "Sketchy")


def counts(listing: Listing) -> tuple[int, ...]:
    return tuple(len(getattr(listing, what)) for what in COUNTS)


def edit(root: Path, name: str, line: int, text: str | None) -> None:
    """Replace line ``line`` (from 1) of a list, or remove it."""
    file = root / "zeroshot1" / f"{name}.txt"
    lines = file.read_text(encoding="utf-8").splitlines()
    lines[line - 1 : line] = [] if text is None else [text]
    file.write_text("\n".join(lines), encoding="utf-8")


# the full official lists

OFFICIAL = [("TUBerlin", "zeroshot"), ("Sketchy", "zeroshot1"), ("Sketchy", "zeroshot2")]


@functools.cache
def official(folder: str, split: str) -> tuple[Listing, list[Problem]]:
    """Listing and problems of the official lists, without problems about images, which are not here."""
    listing, problems = examine_split(real_data("sake-lists") / folder, split)
    return listing, [p for p in problems if not p.missing]


@pytest.mark.parametrize(("folder", "split"), OFFICIAL)
def test_full_official_lists_have_the_published_counts(folder: str, split: str) -> None:
    listing, problems = official(folder, split)
    published = datasets()[folder.lower()].published[split]
    want = tuple(published[what] for what in COUNTS)
    assert (
        want
        == {  # the table of the official lists, written out here a second time on purpose
            "zeroshot": (220, 30, 15_400, 2_200, 2_400, 176_500, 27_989),
            "zeroshot1": (100, 25, 55_252, 5_000, 15_229, 68_401, 17_101),
            "zeroshot2": (104, 21, 57_587, 0, 12_694, 72_949, 12_553),
        }[split]
    )
    missing = "zeroshot/ImageResized_ready_filelist_train.txt: is not there: the list of train_photo."
    assert [str(p) for p in problems] == [missing] * (folder == "TUBerlin")
    assert counts(listing) == ((*want[:5], 0, want[6]) if folder == "TUBerlin" else want)


def test_sketchy_s_double_photos_can_be_dropped() -> None:
    listing, _ = official("Sketchy", "zeroshot1")
    train, gallery = drop_doubles(listing.train_photo), drop_doubles(listing.gallery)
    assert len(listing.gallery) - len(gallery) == 2_499
    assert len(listing.train_photo) - len(train) + 2_499 == 12_499
    assert len(train) + len(gallery) == 73_003  # the paper counts 73,002


def test_labels_are_the_classes_of_the_folders() -> None:
    for folder, split in OFFICIAL:
        listing, _ = official(folder, split)
        for s in SETS:
            classes = listing.unseen if s in ("query", "gallery") else listing.seen
            files = getattr(listing, s)
            assert all(n.split("/")[-2] == classes[c] for n, c in zip(files.names, files.labels, strict=True))


def test_one_sketchy_class_has_fewer_photos_than_the_paper_asks_for() -> None:
    listing, _ = official("Sketchy", "zeroshot1")
    photos = np.bincount(listing.gallery.labels)
    assert {listing.unseen[c]: int(photos[c]) for c in np.flatnonzero(photos < 400)} == {"wheelchair": 378}


# reading


def test_every_set_is_read_in_order(root: Path) -> None:
    listing = read_split(root)
    assert listing.split == "zeroshot1" and listing.name == "Sketchy"
    assert (listing.seen, listing.unseen) == (("ant", "bee", "cow"), ("dog", "elk"))
    assert counts(listing) == (3, 2, 9, 3, 8, 12, 8)
    assert listing.train_sketch.names[:2] == (f"{OFFICIAL_SKETCH}/ant/n0_0-1.png", f"{OFFICIAL_SKETCH}/ant/n0_1-1.png")
    assert listing.gallery.labels.tolist() == [0] * 4 + [1] * 4


def test_dedupe_keeps_sketchy_s_own_photo(root: Path) -> None:
    listing = read_split(root, dedupe=True)
    assert [n for n in listing.gallery.names if "/dog/" in n] == [
        f"{OFFICIAL_PHOTO}/dog/n0_0.png",
        f"{OFFICIAL_PHOTO}/dog/n0_1.png",
        "EXTEND_image_sketchy_ready/dog/ext_1.png",
    ]
    assert listing.train_photo.labels.tolist() == [0] * 3 + [1] * 3 + [2] * 3


def test_all_splits_share_the_files_of_a_pack(root: Path) -> None:
    sketchy_like(root, seen=("ant", "dog"), unseen=("elk",), split="zeroshot2", images=False)
    (root / "zeroshot2" / "sketch_tx_000000000000_ready_filelist_test.txt").unlink()
    first, second, deduped = read_split(root, "zeroshot1"), read_split(root, "zeroshot2"), read_split(root, dedupe=True)
    for domain in (0, 1):
        assert first.names_of(domain) == second.names_of(domain) == deduped.names_of(domain)
    assert len(second.val_sketch) == 0


def test_gzip_windows_lines_byte_order_mark_spaces_and_unicode(root: Path) -> None:
    name = "EXTEND_image_sketchy_ready/ant/größe 日本 1 2.png"
    write_image(root / name)
    folder = root / "zeroshot1"
    photos = (folder / f"{PHOTO_TRAIN}.txt").read_text(encoding="utf-8").splitlines()
    text = "\ufeff" + "\r\n".join([f"{name} 0", "", *photos]) + "\r\n"
    (folder / f"{PHOTO_TRAIN}.txt").unlink()
    (folder / f"{PHOTO_TRAIN}.txt.gz").write_bytes(gzip.compress(text.encode()))
    (folder / "cname_cid.txt").write_text("alarm clock 0\nbee 1\ncow 2\n", encoding="utf-8")
    listing = read_split(root)
    assert listing.train_photo.names[0] == name and len(listing.train_photo) == 13
    assert listing.seen[0] == "alarm clock"


def test_tuberlin_s_names(tmp_path: Path) -> None:
    root = tmp_path / "TUBerlin"
    lists: dict[str, list[str]] = {"cname_cid": ["alarm clock 0"], "cname_cid_zero": ["bus 0"]}
    for kind, cls in (("train", "alarm clock"), ("zero", "bus"), ("test", "alarm clock")):
        lists[f"png_ready_filelist_{kind}"] = [f"png_ready/{cls}/{kind}.png 0"]
        write_image(root / f"png_ready/{cls}/{kind}.png")
        if kind != "test":
            lists[f"ImageResized_ready_filelist_{kind}"] = [f"ImageResized_ready/{cls}/n1.png 0"]
            write_image(root / f"ImageResized_ready/{cls}/n1.png")
    write_lists(root, "zeroshot", lists)
    assert counts(read_split(root)) == (1, 1, 1, 1, 1, 1, 1)
    (root / "zeroshot" / "ImageResized_ready_filelist_train.txt").unlink()
    with pytest.raises(DataError, match=r"^zeroshot/ImageResized_ready_filelist_train\.txt: is not there"):
        read_split(root)


# what can be wrong


@pytest.mark.parametrize(
    ("name", "line", "text", "says"),
    [
        (PHOTO_TRAIN, 2, "256x256/photo/ant/x.png", "line 2: '256x256/photo/ant/x.png' has no label"),
        (PHOTO_TRAIN, 3, "a b/x.png one", "line 3: 'a b/x.png one' has no label"),
        (PHOTO_TRAIN, 1, "a/x.png -1", "line 1: 'a/x.png -1' has no label"),
        (PHOTO_TRAIN, 1, "7", "line 1: '7' has no label"),
        (PHOTO_TRAIN, 5, "a/x.png 3", "line 5: label 3 of 'a/x.png' is beyond the split's 3 classes (0 ... 2)"),
        (PHOTO_TRAIN, 1, "../x.png 0", "line 1: '../x.png' leaves the data set's folder"),
        (PHOTO_TRAIN, 1, "/etc/x.png 0", "line 1: '/etc/x.png' leaves the data set's folder"),
        ("cname_cid", 2, None, "cname_cid.txt: labels run to 2 and 1 is not among them (1 missing)"),
        ("cname_cid", 2, f"bee {10**12}", "cname_cid.txt: labels run to 1000000000000 and 1 is not among them ("),
        ("cname_cid", 2, f"bee {'0' * 5000}", "0' has no label. Each line is 'name label'"),
        ("cname_cid", 2, "bee 2", "line 3: label 2 is given to 'bee' and to 'cow'"),
        ("cname_cid", 2, "ant 1", "line 2: class 'ant' is named twice"),
        ("cname_cid", 1, "ant", "line 1: 'ant' has no label. Each line is 'name label'"),
        ("cname_cid", 4, "yak 3", "lists no file of 'yak' (label 3), the first of 1 such classes"),
        ("cname_cid_zero", 1, "ant 0", "zeroshot1/cname_cid_zero.txt: 'ant' is a seen class too (1 such)"),
    ],
)
def test_a_wrong_line_is_named(root: Path, name: str, line: int, text: str | None, says: str) -> None:
    edit(root, name, line, text)
    with pytest.raises(DataError, match=re.escape(says)):
        read_split(root)


def test_a_file_listed_twice_is_named_with_both_places(root: Path) -> None:
    path = f"{OFFICIAL_SKETCH}/ant/n0_0-1.png"
    edit(root, "sketch_tx_000000000000_ready_filelist_test", 1, f"{path} 0")
    with pytest.raises(DataError, match=rf"_test.txt, line 1: '{path}' is listed before.*/{SKETCH_TRAIN}.txt, line 1"):
        read_split(root)


def test_missing_files_are_counted(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    gone = ["EXTEND_image_sketchy_ready/bee/ext_1.png", "EXTEND_image_sketchy_ready/elk/ext_1.png"]
    for name in gone:
        (root / name).unlink()
    says = rf"line 8: '{gone[0]}' is listed but not there\.\n  2 of 40 .* below Sketchy\. Run `sakerepro check sketchy`"
    with pytest.raises(DataError, match=says):
        read_split(root, name="sketchy")
    _, problems = examine_split(root)
    assert [p.line for p in problems] == [8, 8] and all(p.missing for p in problems)


@pytest.mark.parametrize("name", ["cname_cid_zero", PHOTO_TRAIN, SKETCH_TRAIN, "all_photo_filelist_zero"])
def test_a_missing_or_unreadable_list_is_named(root: Path, name: str) -> None:
    file = root / "zeroshot1" / f"{name}.txt"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=rf"{name}\.txt: is not a list in UTF-8"):
        read_split(root)
    file.unlink()
    with pytest.raises(DataError, match=rf"zeroshot1/{name}\.txt: is not there"):
        read_split(root)


def test_a_broken_gzip_is_named(root: Path) -> None:
    file = root / "zeroshot1" / f"{PHOTO_TRAIN}.txt"
    broken = gzip.compress(file.read_bytes())[:-12]
    file.unlink()
    file.with_suffix(".txt.gz").write_bytes(broken)
    with pytest.raises(DataError, match=r"all_photo_filelist_train\.txt\.gz: cannot be read"):
        read_split(root)


def test_unknown_split_and_no_split(root: Path, tmp_path: Path) -> None:
    assert split_names(root) == ["zeroshot1"]
    sketchy_like(root, split="zeroshot0", images=False)
    assert read_split(root).split == "zeroshot1" and read_split(root, "zeroshot2").split == "zeroshot0"
    with pytest.raises(ConfigError, match="has no split 'zeroshot'. Did you mean 'zeroshot1'"):
        read_split(root, "zeroshot")
    with pytest.raises(DataError, match="has no split"):
        read_split(tmp_path)
