"""An index of photos: what a second call embeds, what is kept when it is interrupted, and what a query finds."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import full_disk
from PIL import Image
from tiny import SIDE, shape

from sakerepro import files, paths
from sakerepro.__main__ import main
from sakerepro.apps import photos as collection
from sakerepro.apps.photos import Collection, index_photos, open_collection, query
from sakerepro.apps.retriever import Retriever
from sakerepro.data import packing
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.data.images import read_image
from sakerepro.embedding import embed
from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.hashing import ITQ
from sakerepro.runs import Run


def write(file: Path, kind: int, domain: int, index: int) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(shape(kind, domain, index).squeeze()).save(file)
    return file


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Seven photos in two folders, a text file, a hidden file and a file that is no image."""
    for i in range(7):
        write(tmp_path / f"photos/{'inner folder/' if i % 2 else ''}{i}.png", i % 3, PHOTO, i)
    (tmp_path / "photos/notes.txt").write_text("no photo")
    (tmp_path / "photos/.hidden.png").write_bytes(b"")
    (tmp_path / "photos/bad one.jpg").write_bytes(b"not a photo")
    return tmp_path / "photos"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each call of the network was given."""
    calls: list[int] = []
    original = collection.embed_images

    def counting(student: Any, images: Sequence[np.ndarray], domain: int, size: int) -> np.ndarray:
        calls.append(len(images))
        return original(student, images, domain, size)

    monkeypatch.setattr(collection, "embed_images", counting)
    return calls


def same(one: Collection, other: Collection) -> bool:
    return one.names == other.names and np.array_equal(one.embeddings, other.embeddings)


def test_an_index_holds_the_network_s_embeddings(photos: Path, tiny_run: Run) -> None:
    index, changes = index_photos(photos, tiny_run, dtype="float32", progress=False)
    assert (changes.added, changes.kept, changes.removed, changes.bad) == (7, 0, 0, 1)
    assert index.names == (*(f"{i}.png" for i in (0, 2, 4, 6)), *(f"inner folder/{i}.png" for i in (1, 3, 5)))
    pixels = np.stack([read_image(photos / n, SIDE) for n in index.names])
    images = tiny_run.dataset().gallery
    one_by_one = type(images)(pixels, np.arange(7), np.zeros(7, int), index.names, PHOTO)
    np.testing.assert_allclose(index.embeddings, embed(tiny_run.network(), one_by_one, SIDE), rtol=1e-4, atol=1e-5)
    assert list(index.bad) == ["bad one.jpg"] and "is not a" in index.bad["bad one.jpg"]


def test_a_second_call_embeds_new_and_changed_files_only(photos: Path, tiny_run: Run, counted: list[int]) -> None:
    first, _ = index_photos(photos, tiny_run, progress=False)
    os.utime(photos / "4.png")  # another date alone is no change
    _, changes = index_photos(photos, tiny_run, progress=False)
    assert counted == [7] and (changes.added, changes.kept) == (0, 7)
    write(photos / "new.png", 5, PHOTO, 99)
    write(photos / "0.png", 6, PHOTO, 98)
    (photos / "2.png").unlink()
    shutil.copy(photos / "4.png", photos / "bad one.jpg")
    index, changes = index_photos(photos, tiny_run, progress=False)
    assert counted == [7, 3] and (changes.added, changes.kept, changes.removed, changes.bad) == (3, 5, 1, 0)
    assert "2.png" not in index.names and "new.png" in index.names
    before, now = first.names.index("4.png"), index.names.index("4.png")
    assert np.array_equal(first.embeddings[before], index.embeddings[now])
    fresh, _ = index_photos(photos, tiny_run, photos.parent / "fresh", progress=False)
    assert index.names == fresh.names
    # other batches, half precision
    np.testing.assert_allclose(index.embeddings, fresh.embeddings, rtol=2e-3, atol=2e-3)


def test_an_interrupted_call_goes_on(photos, tiny_run, counted, monkeypatch):
    monkeypatch.setattr(collection, "CHUNK", 2)
    counting = collection.embed_images

    def stops(student: Any, images: Sequence[np.ndarray], domain: int, size: int) -> np.ndarray:
        if len(counted) == 2:
            raise KeyboardInterrupt
        return counting(student, images, domain, size)

    monkeypatch.setattr(collection, "embed_images", stops)
    with pytest.raises(KeyboardInterrupt):
        index_photos(photos, tiny_run, progress=False)
    assert not list(paths.collections().glob("[!.]*/photos.sqlite"))
    write(photos / "0.png", 9, PHOTO, 9)  # changed after it was embedded
    (unfinished,) = paths.collections().glob(".*-unfinished/*.sqlite")
    with contextlib.closing(sqlite3.connect(unfinished)) as db:
        assert db.execute("SELECT count(*) FROM photos").fetchone() == (4,)
    monkeypatch.setattr(collection, "embed_images", counting)
    index, _ = index_photos(photos, tiny_run, progress=False)
    assert sum(counted[2:]) == 7 - sum(counted[:2]) + 1 and len(index) == 7
    assert not list(paths.collections().glob(".*-unfinished"))
    monkeypatch.setattr(collection, "CHUNK", 256)
    assert index.names == index_photos(photos, tiny_run, photos.parent / "whole", progress=False)[0].names


@pytest.mark.parametrize("left", [0, 5000, -1, None])
def test_what_a_killed_call_left_may_be_damaged(left, photos, tiny_run, counted, monkeypatch):
    """If it is cut to 0 or 5,000 bytes or overwritten (-1), photos are embedded again; whole (None), they are not."""
    monkeypatch.setattr(collection, "CHUNK", 3)
    monkeypatch.setattr(collection, "SAVE", 0.0)
    write_index = files.write_folder_whole
    monkeypatch.setattr(
        files, "write_folder_whole", lambda to: write_index(to) if "unfin" in to.name else pytest.fail()
    )
    with pytest.raises(pytest.fail.Exception):
        index_photos(photos, tiny_run, progress=False)
    monkeypatch.setattr(files, "write_folder_whole", write_index)
    (unfinished,) = paths.collections().glob(".*-unfinished/*.sqlite")
    if left is not None:
        unfinished.write_bytes(unfinished.read_bytes()[:left] if left >= 0 else b"no database" * 1000)
    assert len(index_photos(photos, tiny_run, progress=False)[0]) == 7
    assert sum(counted) == (7 if left is None else 14)


def test_a_query_finds_what_a_naive_search_finds(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    index, _ = index_photos(photos, tiny_run, dtype="float32", progress=False)
    sketches = [write(tmp_path / f"s{i}.png", i, SKETCH, i) for i in range(2)]
    pixels = np.stack([read_image(s, SIDE) for s in sketches])
    images = type(tiny_run.dataset().query)(pixels, np.arange(2), np.zeros(2, int), ("", ""), SKETCH)
    x, y = embed(tiny_run.network(), images, SIDE).astype(float), np.asarray(index.embeddings, float)
    cosine = x @ y.T / np.linalg.norm(x, axis=1)[:, None] / np.linalg.norm(y, axis=1)
    rows, distances = query(index, tiny_run, sketches, k=3)
    assert np.array_equal(rows, np.argsort(1 - cosine, axis=1)[:, :3])
    np.testing.assert_allclose(distances, np.sort(1 - cosine, axis=1)[:, :3], atol=1e-5)
    rows, distances = query(index, tiny_run, sketches, k=50, codes=True)
    train = [tiny_run.embeddings()[name] for name in ("train_photo", "train_sketch")]
    itq = ITQ(bits=8, seed=tiny_run.experiment.seed).fit(np.concatenate(train))
    bits = np.bitwise_count(itq.transform(x)[:, None] ^ itq.transform(y)).sum(axis=2)
    assert rows.shape == (2, 7) and np.array_equal(distances, np.sort(bits, axis=1))
    itself, distances = query(index, tiny_run, [photos / "4.png"], k=1, domain=PHOTO)
    assert index.names[itself[0, 0]] == "4.png" and distances[0, 0] < 1e-5


def test_half_precision_and_a_copied_folder_answer_alike(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    sketch = write(tmp_path / "s.png", 1, SKETCH, 1)
    full, _ = index_photos(photos, tiny_run, tmp_path / "full", dtype="float32", progress=False)
    half, _ = index_photos(photos, tiny_run, tmp_path / "half", dtype="float16", progress=False)
    copied = open_collection(shutil.copytree(half.folder, tmp_path / "copied"))
    assert same(half, copied) and half.embeddings.dtype == np.float16
    a, b = query(full, tiny_run, [sketch], k=7)[1], query(copied, tiny_run, [sketch], k=7)[1]
    np.testing.assert_allclose(a, b, atol=2e-3)


def test_what_is_somebody_else_s_stays(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    """A folder that is no index, and hidden folders beside the new one whose names resemble it."""
    documents, hidden = tmp_path / "documents", tmp_path / ".app-settings"
    for folder in (documents, hidden):
        folder.mkdir()
        (folder / "letter").write_text("dear")
    with pytest.raises(ConfigError, match="documents: is there and holds no index. Name another place"):
        index_photos(photos, tiny_run, documents, progress=False)
    (tmp_path / "app").mkdir()  # empty: as good as none
    index, _ = index_photos(photos, tiny_run, tmp_path / "app", progress=False)
    assert same(index, open_collection(tmp_path / "app"))
    assert [(f / "letter").read_text() for f in (documents, hidden)] == ["dear", "dear"]


def test_what_does_not_fit_is_refused(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    index, _ = index_photos(photos, tiny_run, progress=False)
    other = Path(shutil.copytree(photos, tmp_path / "other"))
    with pytest.raises(ConfigError, match="is an index of .*photos by the run"):
        index_photos(other, tiny_run, index.folder, progress=False)
    with pytest.raises(ConfigError, match="lies among the photos"):
        index_photos(photos, tiny_run, photos / "index", progress=False)
    with pytest.raises(ConfigError, match="dtype='int8'"):
        index_photos(photos, tiny_run, dtype="int8")
    with pytest.raises(DataError, match="is not there"):
        index_photos(tmp_path / "none", tiny_run)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there is no image file"):
        index_photos(tmp_path / "empty", tiny_run, progress=False)
    (tmp_path / "empty/x.png").write_bytes(b"x")
    with pytest.raises(DataError, match="the first of 1 bad ones is x.png"):
        index_photos(tmp_path / "empty", tiny_run, progress=False)
    moved = Run(Path(shutil.copytree(tiny_run.folder, tmp_path / "run")), tiny_run.experiment)
    note = moved.folder / "provenance.json"
    note.write_text(note.read_text().replace(index.weights, "0" * 64))
    with pytest.raises(RunError, match="made with the weights of"):
        query(index, moved, [photos / "0.png"])


@pytest.mark.parametrize("file", ["embeddings.npy", "photos.sqlite"])
@pytest.mark.parametrize("left", [0, 1200, None])
def test_a_damaged_index_is_named(file: str, left: int | None, photos: Path, tiny_run: Run) -> None:
    """A file of it is cut short or gone: the query and the next call of ``index`` name it and the remedy."""
    index, _ = index_photos(photos, tiny_run, progress=False)
    whole = (index.folder / file).read_bytes()
    (index.folder / file).unlink()
    if left is not None:
        (index.folder / file).write_bytes(whole[: min(left, len(whole) - 2)])
    with pytest.raises(RunError, match=f"{index.folder.name}: the index is damaged, or of an earlier version"):
        open_collection(index.folder)
    if (index.folder / "photos.sqlite").exists():
        with pytest.raises(RunError, match=r"Remove it, and make it anew with `sakerepro index`\."):
            index_photos(photos, tiny_run, progress=False)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("UPDATE photos SET sha256 = NULL WHERE row = 3", "row 3 of its table of photos lacks a value"),
        ("UPDATE photos SET name = NULL", "row 1 of its table"),
        ("UPDATE photos SET entry = 'x'", "row 1 of its table"),
        ("UPDATE photos SET sha256 = x'00'", "row 1 of its table"),
        ("UPDATE about SET value = NULL WHERE key = 'size'", "a value is missing"),
        ("UPDATE bad SET why = NULL", "a value is missing"),
    ],
)
def test_a_row_that_lacks_a_value_is_named(photos: Path, tiny_run: Run, change: str, says: str) -> None:
    made, _ = index_photos(photos, tiny_run, progress=False)
    with contextlib.closing(sqlite3.connect(made.folder / "photos.sqlite")) as db, db:
        db.execute(change)
    for use in (open_collection, lambda to: index_photos(photos, tiny_run, to, progress=False)):
        with pytest.raises(RunError, match=rf"{made.folder.name}: the index is damaged.*{says}.*`sakerepro index`"):
            use(made.folder)


def test_embeddings_of_another_width_are_named(photos: Path, tiny_run: Run) -> None:
    folder = index_photos(photos, tiny_run, progress=False)[0].folder
    np.save(folder / "embeddings.npy", np.zeros((7, 99), np.float16))
    says = r"embeddings.npy: has 99 numbers a photo, and the network of .* gives 16\. Remove the index"
    with pytest.raises(RunError, match=says):
        query(open_collection(folder), tiny_run, [photos / "0.png"], domain=PHOTO)
    with pytest.raises(RunError, match=says):
        index_photos(photos, tiny_run, progress=False)
    with pytest.raises(RunError, match=says):
        Retriever(tiny_run, open_collection(folder))
    np.save(folder / "embeddings.npy", np.zeros((7, 16, 1), np.float16))
    with pytest.raises(RunError, match="the index is damaged"):
        open_collection(folder)


@pytest.mark.parametrize("most", [1_000, 10_000, 50_000])
def test_a_full_disk_leaves_the_old_index(photos: Path, tiny_run: Run, tmp_path: Path, most: int) -> None:
    """The embeddings end in numpy's buffer, the database cannot be made, or numpy writes only a part."""
    old, _ = index_photos(photos, tiny_run, dtype="float32", progress=False)
    copies = 30 if most < 50_000 else 900
    for i in range(copies):
        shutil.copy(photos / "0.png", photos / f"copy {i}.png")
    with full_disk(most), pytest.raises(RunError, match=rf"{old.folder.name}: could not be written .* Make room"):
        index_photos(photos, tiny_run, dtype="float32", progress=False)
    assert same(old, open_collection(old.folder)) and len(old) == 7
    assert index_photos(photos, tiny_run, dtype="float32", progress=False)[1].added == copies


def test_an_index_can_be_read_where_nothing_can_be_written(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    """The folder has a name with characters that are special in an address."""
    index, _ = index_photos(photos, tiny_run, tmp_path / "what? 50%#1 é", progress=False)
    for file in index.folder.iterdir():
        file.chmod(0o444)
    index.folder.chmod(0o555)
    assert same(index, open_collection(index.folder)) and len(list(index.folder.iterdir())) == 2
    index.folder.chmod(0o755)


@pytest.mark.skipif(os.name == "nt", reason="file names are Unicode there")
def test_a_name_that_is_no_utf8_is_skipped_by_name(photos: Path, tiny_run: Run) -> None:
    try:
        shutil.copy(photos / "0.png", os.fsencode(photos) + b"/caf\xe9.png")
    except OSError:
        pytest.skip("the file system refuses such names")
    index, changes = index_photos(photos, tiny_run, progress=False)
    assert changes.bad == 2 and "rename it" in index.bad["caf\\udce9.png"]


def test_index_and_query_on_the_command_line(photos, my_run, tmp_path, cli):
    sketch, sheet = write(tmp_path / "a sketch.png", 1, SKETCH, 1), tmp_path / "sheet.png"
    assert "0 indexes are in" in cli("query", str(sketch), code=2).err
    index = json.loads(cli("index", str(photos), "--run", my_run.id[-6:], "--json").out)
    assert index["photos"] == index["added"] == 7 and list(index["bad_files"]) == ["bad one.jpg"]
    out = cli("index", str(photos), "--run", my_run.id).out
    assert "0 embedded now, 7 kept" in out and "Skipped bad one.jpg: is not a" in out
    hits = json.loads(cli("query", str(sketch), str(photos / "0.png"), "-k", "3", "--json", "--sheet", str(sheet)).out)
    assert [f["sketch"] for f in hits] == [str(sketch), str(photos / "0.png")]
    assert [h["rank"] for h in hits[0]["found"]] == [1, 2, 3] and Path(hits[0]["found"][0]["path"]).is_file()
    (photos / "4.png").unlink()  # a photo that went since is an empty frame, not an error
    lines = cli("query", str(sketch), "--index", Path(index["index"]).name, "-k", "9", "--codes").out.splitlines()
    assert lines[0] == str(sketch) and len(lines) == 9 and lines[2].split()[0] == "1"
    assert main(["query", str(sketch), "-k", "7", "--sheet", str(sheet)]) == 0
    with Image.open(sheet) as picture:
        assert picture.width > 8 * 128 and picture.height > 128
        first = np.asarray(picture.convert("RGB").crop((8, 8, 136, 136)), int)
    assert np.abs(first - read_image(sketch, 128)).max() <= 1  # the query is the first picture of its row
    assert main(["query", str(tmp_path / "none.png")]) == 3
    assert main(["query", str(sketch), "-k", "0"]) == 2
    assert main(["query", str(sketch), "--index", "nowhere"]) == 2
    assert main(["index", str(photos), "--run", "nothing"]) == 2


def swap(a: Path, b: Path) -> None:
    a.rename(aside := a.with_suffix(".swap"))
    b.rename(a)
    aside.rename(b)


@pytest.mark.parametrize("entries", [True, False])
def test_swapped_photos_of_one_length_and_date_are_found(entries, tiny_run, tmp_path, monkeypatch):
    """At once where the file system tells when an entry changed, else with ``verify``."""
    if not entries:
        stat = collection.stat_files
        monkeypatch.setattr(collection, "stat_files", lambda *a: stat(*a) * [1, 1, 0])
    red, blue = (tmp_path / f"ph/{colour}.bmp" for colour in ("red", "blue"))
    red.parent.mkdir()
    for file in (red, blue):
        Image.new("RGB", (SIDE, SIDE), file.stem).save(file)
        os.utime(file, (1e9, 1e9))
    before, _ = index_photos(red.parent, tiny_run, progress=False)
    vectors = np.array(before.embeddings)
    swap(red, blue)
    if not entries:
        assert index_photos(red.parent, tiny_run, progress=False)[1].kept == 2
    index, changes = index_photos(red.parent, tiny_run, verify=not entries, progress=False)
    assert (changes.added, changes.kept) == (2, 0)
    np.testing.assert_allclose(index.embeddings, vectors[::-1], rtol=2e-3, atol=2e-3)
    assert index_photos(red.parent, tiny_run, verify=True, progress=False)[1].kept == 2


def test_what_lies_in_an_index_stays(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    index, _ = index_photos(photos, tiny_run, tmp_path / "ix", progress=False)
    (index.folder / "found.csv").write_text("mine")
    (index.folder / "notes").mkdir()
    (index.folder / "notes/a.txt").write_text("too")
    write(photos / "4.png", 9, PHOTO, 9)
    index, changes = index_photos(photos, tiny_run, index.folder, progress=False)
    assert changes.added == 1 and (index.folder / "found.csv").read_text() == "mine"
    assert (index.folder / "notes/a.txt").read_text() == "too"


def test_photos_that_are_not_plugged_in_keep_their_index(photos: Path, tiny_run: Run, tmp_path: Path) -> None:
    index, _ = index_photos(photos, tiny_run, tmp_path / "ix", progress=False)
    photos.rename(tmp_path / "unplugged")
    other = tmp_path / "other"
    other.mkdir()
    write(other / "4.png", 9, PHOTO, 9)
    with pytest.raises(ConfigError, match="which is not there, and .*other has none of its photos"):
        index_photos(other, tiny_run, index.folder, progress=False)
    assert same(index, open_collection(index.folder))


def test_photos_that_moved_are_followed(photos, my_run, tmp_path, counted, cli):
    to, new = tmp_path / "ix", tmp_path / "elsewhere"
    index_photos(photos, my_run, to, progress=False)
    shutil.copytree(photos, new)  # with other dates
    shutil.rmtree(photos)
    command = ["query", str(new / "4.png"), "--photo", "--index", str(to), "-k", "1", "--json"]
    out, err = cli(*command)
    assert json.loads(out)[0]["found"][0]["photo"] == "4.png"
    assert f"1 of the photos found are not in {photos}, such as 4.png." in err and "--photos" in err
    out, err = cli(*command, "--photos", str(new))
    assert json.loads(out)[0]["found"][0]["path"] == str(new / "4.png") and not err
    del counted[:]
    index, changes = index_photos(new, my_run, to, progress=False)
    assert (index.root, changes.kept, changes.added, counted) == (new, 7, 0, [])
    again = Path(shutil.copytree(new, tmp_path / "again"))
    shutil.rmtree(new)
    assert index_photos(again, my_run, to, dtype="float32", progress=False)[1].added == 7  # they are known all the same
    again.rename(new)
    assert index_photos(new, my_run, to, progress=False)[1].added == 7
    write(new / "4.png", 9, PHOTO, 9)
    assert index_photos(new, my_run, to, progress=False)[1].added == 1


def test_a_name_in_another_unicode_form_is_the_same_photo(tiny_run: Run, tmp_path: Path, counted: list[int]) -> None:
    for i, name in enumerate(("löwe", "bär")):
        write(tmp_path / f"ph/{unicodedata.normalize('NFD', name)}.png", i, PHOTO, i)
    index_photos(tmp_path / "ph", tiny_run, progress=False)
    for file in (tmp_path / "ph").iterdir():
        file.rename(file.with_name(unicodedata.normalize("NFC", file.name)))
    index, changes = index_photos(tmp_path / "ph", tiny_run, progress=False)
    assert (changes.kept, changes.removed, counted) == (2, 0, [2])
    assert all((index.root / n).is_file() for n in index.names)


def test_nothing_is_left_out_without_a_word(photos: Path, my_run: Run, cli: Callable[..., Any]) -> None:
    (photos / "IMG_1.HEIC").touch()
    write(photos / "@eaDir/0.png/THUMB.png", 0, PHOTO, 0)
    if hasattr(os, "mkfifo"):
        os.mkfifo(photos / "bad one.png")  # waits for ever if it is opened
    out = cli("index", str(photos), "--run", my_run.id).out
    left_out = "1 system folder (@eaDir), 1 hidden file (.hidden.png), 1 .heic (IMG_1.HEIC), 1 .txt (notes.txt)."
    assert f"Left out: {left_out}" in out
    assert "7 photos: 7 embedded now" in out
    assert "Skipped bad one.png: cannot be read (a folder, pipe or device" in out or not hasattr(os, "mkfifo")


def test_a_bad_photo_is_tried_again(photos: Path, tiny_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its rights are mended, a file has the same length and date."""
    read = packing.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "0.png":
            raise DataError(f"{path}: cannot be read (Permission denied).")
        return read(path)

    monkeypatch.setattr(packing, "read_bytes", refuse)
    assert index_photos(photos, tiny_run, progress=False)[1].bad == 2
    monkeypatch.setattr(packing, "read_bytes", read)
    assert index_photos(photos, tiny_run, progress=False)[1].added == 1
