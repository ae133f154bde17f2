"""Drawings of Quick, Draw!: strokes to pictures worked out by hand, files as streams, bad lines by number."""

from __future__ import annotations

import gzip
import json
import shutil
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from data_room import plain_folder, real_data
from PIL import Image

from sakerepro.apps.check import check
from sakerepro.data.images import read_image
from sakerepro.data.known import class_key
from sakerepro.data.packing import read_images
from sakerepro.data.quickdraw import contents, lines, parse, picture, place_of
from sakerepro.data.registry import load_dataset, load_drawings
from sakerepro.errors import DataError, SakeError
from sakerepro.world.load import load_world

LINE = [[[0, 255], [7, 7]]]


def darkness(strokes: Sequence[Sequence[Sequence[float]]], size: int = 224) -> np.ndarray:
    """(size, size) from 0, white, to 1."""
    image = picture([np.array(s, float).T for s in strokes], size)
    assert image.mode == "L" and image.size == (size, size)
    return 1 - np.asarray(image) / 255


def write(file: Path, *drawings: list, word: str = "cat") -> Path:
    """One drawing a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(file, "wt") if file.suffix == ".gz" else open(file, "w") as out:
        for i, drawing in enumerate(drawings):
            out.write(json.dumps({"word": word, "key_id": str(i), "drawing": drawing}) + "\n")
    return file


def test_a_horizontal_stroke_is_a_bar_from_margin_to_margin() -> None:
    """Of 200 px between margins of 12 px, with round ends of 1.5 px, and 3 px high about the middle row."""
    ink = darkness(LINE)
    assert ink[111:113, 13:211].min() > 0.95  # the bar's core
    assert ink[:109].max() == ink[115:].max() == ink[:, :10].max() == ink[:, 214:].max() == 0
    assert ink[:, 112].sum() == pytest.approx(3, abs=0.3)
    assert ink[112].sum() == pytest.approx(203, abs=0.6)
    assert ink.sum() == pytest.approx(200 * 3 + np.pi * 1.5**2, rel=0.03)


@pytest.mark.parametrize("size", [48, 128, 300])
def test_margin_and_line_scale_with_the_side(size: int) -> None:
    ink, unit = darkness([[[0, 0], [-3, 90]]], size), size / 224
    assert ink[size // 2].sum() == pytest.approx(3 * unit, rel=0.15)
    assert ink.sum(axis=1).nonzero()[0][[0, -1]] == pytest.approx([10.5 * unit, 213.5 * unit], abs=1.1)


def test_proportions_are_kept_and_the_drawing_is_centred() -> None:
    """A box of 400 x 100 anywhere on the paper: 200 x 50 px about the centre, its corners at (12, 87), (212, 137)."""
    x, y = [1000, 1400, 1400, 1000, 1000], [50, 50, 150, 150, 50]
    ink = darkness([[x, y]])
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    assert [rows[0], rows[-1] + 1] == pytest.approx([85.5, 138.5], abs=0.6)
    assert [columns[0], columns[-1] + 1] == pytest.approx([10.5, 213.5], abs=0.6)
    assert ink[90:134, 16:208].max() == 0  # the box is empty
    for size in (224, 97):
        ink = darkness([[x, y]], size)
        assert [np.average(np.arange(size) + 0.5, weights=ink.sum(a)) for a in (0, 1)] == pytest.approx(
            [size / 2] * 2, abs=0.2
        )


def test_y_grows_downwards_and_order_does_not_matter() -> None:
    drawing = [[[0, 100], [0, 0]], [[0, 30], [100, 100]]]  # a long line above a short one
    ink = darkness(drawing)
    assert ink[:112].sum() > 2.5 * ink[112:].sum() > 0
    assert (ink == darkness(drawing[::-1])).all()


def test_a_point_is_a_dot_in_the_middle_and_lines_are_antialiased() -> None:
    ink = darkness([[[77], [3]]])
    assert ink.sum() == pytest.approx(np.pi * 1.5**2, rel=0.15)
    assert ink[109:115, 109:115].sum() == ink.sum() and ink[111:113, 111:113].min() > 0.9
    assert (ink == darkness([[[5, 5], [9, 9]]])).all()  # a stroke that stays where it is
    assert len(np.unique(darkness([[[0, 255], [0, 100]]]))) > 8  # greys along its edges


def test_a_raw_file_has_times_that_are_left_out() -> None:
    word, (stroke,) = parse(b'{"word": "cat", "drawing": [[[0, 10.5], [1, 2], [0, 350]]]}', "a.ndjson:1")
    assert word == "cat" and stroke.tolist() == [[0, 1], [10.5, 2]]


@pytest.mark.parametrize("suffix", [".ndjson", ".NDJSON", ".ndjson.gz"])
def test_a_drawing_is_an_image_named_by_file_and_line(tmp_path: Path, suffix: str) -> None:
    file = write(tmp_path / f"my cats{suffix}", LINE, [[[0, 0], [0, 255]]])
    flat, upright = (read_image(f"{file}:{n}", 224) for n in (1, 2))
    assert flat.shape == (224, 224, 3) and (flat[112] < 10).sum() > (flat[:, 112] < 10).sum()
    assert (flat[..., 0].T == upright[..., 0]).mean() > 0.99
    assert [number for number, _ in lines(file)] == [1, 2]
    with pytest.raises(DataError, match=r"line 3: is blank, or not there"):
        read_image(f"{file}:3", 224)


def test_names_tell_drawings_from_files() -> None:
    assert place_of("a/cat.ndjson:17") == ("a/cat.ndjson", 17)
    assert place_of("cat.ndjson.gz:2") == ("cat.ndjson.gz", 2)
    for name in ("a/1.png", "a:12", "cat.ndjson", "cat.ndjson:x", "cat.ndjson:1/2.png", ".cat.ndjson:1"):
        assert place_of(name) == (name, 0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json", "'not json' is no drawing"),
        (b"\xff\xfe", "is no drawing"),
        (b"[1, 2]", r"'\[1, 2\]' is no drawing"),
        (b'{"word": "cat"}', "is no drawing"),
        (b'{"drawing": 7}', "is no drawing"),
        (b'{"drawing": []}', "the drawing has no stroke"),
        (b'{"drawing": [[[1, 2], [3, 4]], [[1, 2], [3]]]}', r"stroke 2 is \[\[1, 2\], \[3\]\], no line"),
        (b'{"drawing": [[[1, 2]]]}', r"stroke 1 is \[\[1, 2\]\], no line"),
        (b'{"drawing": [[[], []]]}', r"stroke 1 is \[\[\], \[\]\], no line"),
        (b'{"drawing": [[["a"], [1]]]}', r"stroke 1 is \[\['a'\], \[1\]\], no line"),
        (b'{"drawing": [[[NaN], [1]]]}', "stroke 1"),
        (b'{"drawing": [[[1e9], [1]]]}', "stroke 1"),
        (b'{"drawing": [[[' + b"9" * 400 + b"], [1]]]}", "stroke 1"),
        (b'{"drawing": [{"x": 1}]}', "stroke 1"),
        (b"[" * 100_000, "is no drawing"),
    ],
)
def test_a_bad_line_is_named_with_file_number_and_value(line: bytes, says: str) -> None:
    with pytest.raises(SakeError, match=f"^sketch/cat.ndjson, line 12: .*{says}.*or remove the line") as error:
        parse(line, "sketch/cat.ndjson:12")
    assert len(str(error.value)) < 250 and "\n" not in str(error.value)


def test_a_broken_archive_and_a_missing_file_are_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "cat.ndjson.gz", *[LINE] * 50).read_bytes()
    for data in (whole[:-20], b"no archive", whole[:40] + b"\0" * 40):
        (tmp_path / "cat.ndjson.gz").write_bytes(data)
        with pytest.raises(DataError, match=r"cat.ndjson.gz: cannot be read \(.*\). Replace it by a whole copy"):
            list(lines(tmp_path / "cat.ndjson.gz"))
    with pytest.raises(DataError, match=r"dog.ndjson: cannot be read \(No such file or directory\)"):
        list(lines(tmp_path / "dog.ndjson"))


def test_a_drawing_that_is_gone_takes_no_other_along(tmp_path: Path) -> None:
    """A query of several drawings answers those that are there."""
    write(tmp_path / "cat.ndjson", LINE)
    names = ["dog.ndjson:3", "cat.ndjson:1", "cat.ndjson:7"]
    by_name = {names[i]: image for i, image, _ in read_images(tmp_path, names, 32)}
    assert isinstance(by_name["cat.ndjson:1"], np.ndarray)
    assert "dog.ndjson: cannot be read" in str(by_name["dog.ndjson:3"])
    assert "cat.ndjson, line 7: is blank, or not there" in str(by_name["cat.ndjson:7"])


def test_a_large_file_is_read_as_a_stream_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    long = [[list(range(250)), list(range(250))]]
    file = write(tmp_path / "cat.ndjson", *[long] * 1000)
    assert file.stat().st_size > 2_000_000
    names = [f"cat.ndjson:{n}" for n in range(1000, 0, -1)]
    tracemalloc.start()
    ids = {i: json.loads(line)["key_id"] for i, line in contents(tmp_path, names) if line}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert ids == {i: str(999 - i) for i in range(1000)}  # each under its own name, whatever the order
    assert peak < 1_000_000


# A folder of one's own


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five classes; the sketches of ``bee`` are a file, those of ``cow`` a file in its folder beside images."""
    root = plain_folder(tmp_path / "mine")
    shutil.rmtree(root / "sketch" / "bee")
    drawings = [[[[0, 10 * n], [0, 255]]] for n in range(12)]
    write(root / "sketch" / "bee.ndjson", *drawings)
    write(root / "sketch" / "cow" / "more" / "google.ndjson.gz", *drawings[:2])
    (root / "sketch" / "._bee.ndjson").write_bytes(b"of a Mac")
    (root / "unseen.txt").write_text("bee\ncow\n")
    return root


def test_a_folder_with_drawings_is_a_data_set(root: Path) -> None:
    data = load_dataset(root, size=40, progress=False)
    assert data.unseen == ("bee", "cow") and np.bincount(data.query.labels).tolist() == [12, 11]
    assert data.query.names[:12] == tuple(f"sketch/bee.ndjson:{n}" for n in range(1, 13))  # 2 before 10
    assert data.query.names[12:14] == ("sketch/cow/more/google.ndjson.gz:1", "sketch/cow/more/google.ndjson.gz:2")
    for i in (0, 9, 11):
        want = Image.fromarray(read_image(root / f"sketch/bee.ndjson:{i + 1}", 40))
        assert (data.query.take([i])[0] == np.asarray(want.convert("L"))[..., None]).all()
    again = load_dataset(root, size=40, progress=False, verify=True)
    assert again.fingerprint == data.fingerprint
    text = (root / "sketch" / "bee.ndjson").read_text().splitlines()
    text[3], text[4] = text[4], text[3]  # as long as before
    (root / "sketch" / "bee.ndjson").write_text("\n".join(text) + "\n")
    changed = load_dataset(root, size=40, progress=False)
    assert changed.fingerprint != data.fingerprint
    assert (changed.query.take([3]) == data.query.take([4])).all()


def test_check_counts_drawings_and_names_bad_lines(root: Path) -> None:
    report = check(str(root), progress=False)
    assert report.problems == [] and report.splits[0].counts["query"] == 23 and report.decoded == 20 + 3 * 9 + 9 + 14
    assert any(note.startswith("50 sketches in 5 classes, 9 to 12 a class") for note in report.notes)
    with open(root / "sketch" / "bee.ndjson", "a") as file:
        file.write('\n{"word": "bee", "drawing": [[[1, 2], [3]]]}\n')
    (problem,) = check(str(root), progress=False).problems
    assert (problem.file, problem.line) == ("sketch/bee.ndjson", 14)
    assert problem.text.startswith("stroke 1 is [[1, 2], [3]], no line.")
    with pytest.raises(DataError, match=r"sketch/bee.ndjson, line 14: stroke 1"):
        load_dataset(root, size=40, progress=False)


def test_what_is_wrong_with_files_of_drawings_is_said(root: Path) -> None:
    (root / "sketch" / "ant.ndjson").write_bytes(b"\n\n")
    write(root / "sketch" / "fox.ndjson", LINE)
    (root / "sketch" / "cow" / "bad.ndjson.gz").write_bytes(b"no archive")
    write(root / "photo" / "elk" / "drawn.ndjson", LINE)
    report = check(str(root), progress=False)
    said = [str(problem) for problem in report.problems]
    assert len(said) == 3
    assert any("ant.ndjson: is class 'ant', which is there as a folder or file too. Merge the two." in s for s in said)
    assert any("sketch/cow/bad.ndjson.gz: cannot be read" in s for s in said)
    assert any("fox: this class has no folder photo/fox" in s for s in said)
    assert any("1 .ndjson (photo/elk/drawn.ndjson)" in note for note in report.notes)  # a drawing is no photo


# Doodles of a task's classes


@pytest.fixture
def quickdraw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "data" / "QuickDraw"
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(folder.parent))
    write(folder / "bird.ndjson", *[[[[0, n], [0, 50]]] for n in range(30)], word="bird")
    write(folder / "hot dog.ndjson.gz", LINE, LINE, word="hot dog")
    write(folder / "The Eiffel Tower.ndjson", LINE, word="The Eiffel Tower")
    (folder / "sketchy_classes.json").write_text('{"songbird": "bird", "hotdog": "hot_dog"}')
    return folder


def test_doodles_are_the_first_25_of_each_class_that_both_have(quickdraw: Path) -> None:
    doodles = load_drawings("sketchy-125x25", ("harp", "hotdog", "songbird"), 64)
    assert np.bincount(doodles.labels).tolist() == [0, 2, 25] and doodles.pixels.shape == (27, 64, 64, 1)
    first, second = (doodles.take([int(np.flatnonzero(doodles.labels == 2)[i])])[0] for i in (3, 24))
    assert (first == read_image(quickdraw / "bird.ndjson:4", 64)[..., :1]).all() and (first != second).any()
    by_name = load_drawings("my-folder", ("the_eiffel-tower", "songbird", "bird"), 64)  # no table: equal names
    assert np.bincount(by_name.labels).tolist() == [1, 0, 25]


def test_doodles_that_are_missing_or_damaged_are_said(quickdraw: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"Quick, Draw! has none of the 2 classes of sketchy, such as 'harp'"):
        load_drawings("sketchy", ("harp", "cup"), 64)
    (quickdraw / "sketchy_classes.json").write_text('["bird"]')
    with pytest.raises(DataError, match=r"sketchy_classes.json: has to be one JSON object of names"):
        load_drawings("sketchy", ("songbird",), 64)
    with open(quickdraw / "bird.ndjson", "a") as file:
        file.write("{}\n")
    with pytest.raises(DataError, match=r"bird.ndjson, line 31: '\{\}' is no drawing"):
        load_drawings("tuberlin", ("bird",), 64)
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(quickdraw / "nowhere"))
    monkeypatch.setenv("SAKEREPRO_HOME", str(quickdraw / "nowhere"))
    with pytest.raises(DataError, match=r"data set 'quickdraw' is not here(.|\n)*CC BY 4.0(.|\n)*\*\.ndjson"):
        load_drawings("tuberlin", ("bird",), 64)


def test_doodles_of_the_generated_world_have_its_classes() -> None:
    data = load_world(48, train_photo=1, train_sketch=1, val_sketch=0, gallery=1)
    for classes in (data.seen, data.unseen):
        doodles = load_drawings("mini", classes, 48)
        assert np.bincount(doodles.labels).tolist() == [15] * len(classes)
        assert doodles.pixels.min(axis=(1, 2, 3)).max() < 100  # each has dark lines
    query = {image.tobytes() for image in data.query.take(range(len(data.query)))}
    assert not query & {image.tobytes() for image in doodles.take(range(len(doodles)))}


def test_the_real_doodles_are_there() -> None:
    folder = real_data("quickdraw-344x25")
    words = json.loads((folder / "sketchy_classes.json").read_text())
    doodles = load_drawings("sketchy", tuple(words), 32)
    assert (np.bincount(doodles.labels) == 25).all() and len(doodles) == 25 * 100
    every = [json.loads(line)["word"] for _, line in lines(folder / "strokes.ndjson.gz")]
    assert len(every) == 8600 and {class_key(w) for w in words.values()} <= {class_key(w) for w in every}
