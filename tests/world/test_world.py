"""The generated world: what is drawn, what is cached, what is written."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tiny
from data_room import write_official
from PIL import Image

from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, OriginalDomain
from sakerepro.data.registry import load_dataset
from sakerepro.errors import ConfigError, DataError
from sakerepro.world import load
from sakerepro.world.classes import CLASSES, of_role
from sakerepro.world.draw import draw
from sakerepro.world.files import write_world
from sakerepro.world.load import load_world, load_world_original
from sakerepro.world.plans import PLANS, recipe

FEW = dict(original_train=2, original_val=1, train_photo=3, train_sketch=2, val_sketch=1, gallery=3, query=2)
ONE = dict.fromkeys(FEW, 1)
SETS = ("train_sketch", "val_sketch", "train_photo", "query", "gallery")


class World(NamedTuple):
    """The task and the original domain."""

    dataset: Dataset
    original: OriginalDomain


def world(size: int = 32, seed: int = 3, **counts: int) -> World:
    return World(*(part(size, seed, progress=False, **counts) for part in (load_world, load_world_original)))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAKEREPRO_CACHE", str(tmp_path_factory.mktemp("cache")))
        return world(**FEW)


# classes


def test_class_sets_are_disjoint_and_large_enough():
    assert len({c.wnid for c in CLASSES}) == len({c.name for c in CLASSES}) == len(CLASSES)
    assert len(of_role("original")) >= 72  # so that a 64-d truncated SVD of the classifier throws something away
    assert len(of_role("seen")) >= 30
    assert len(of_role("unseen")) >= 12


def test_wnids_are_the_nouns_that_the_names_say(nltk_wordnet):
    for c in CLASSES:
        synset = nltk_wordnet.synset_from_pos_and_offset("n", int(c.wnid[1:]))
        assert c.wnid == f"n{synset.offset():08d}"
        assert c.name.replace(" ", "_").lower() in [lemma.lower() for lemma in synset.lemma_names()], c


def test_no_unseen_class_lies_above_or_below_an_original_one(nltk_wordnet):
    synset = {c.name: nltk_wordnet.synset_from_pos_and_offset("n", int(c.wnid[1:])) for c in CLASSES}
    for unseen in of_role("unseen"):
        for other in (*of_role("original"), *of_role("seen")):
            a, b = synset[unseen.name], synset[other.name]
            assert a not in b.closure(lambda s: s.hypernyms()), (unseen.name, other.name)
            assert b not in a.closure(lambda s: s.hypernyms()), (unseen.name, other.name)


def test_every_plan_draws_in_both_domains():
    for plan in PLANS:
        name = next(c.name for c in CLASSES if c.plan == plan)
        assert np.ptp(draw(name, PHOTO, 33)) > 60
        assert np.ptp(draw(name, SKETCH, 33)) > 60


# one image


@pytest.mark.parametrize("size", [8, 33, 48, 112, 113, 224])
def test_images_have_the_size_that_was_asked_for(size):
    photo, sketch = draw("horse", "photo", size), draw("horse", "sketch", size)
    assert (photo.shape, photo.dtype) == ((size, size, 3), np.uint8)
    assert (sketch.shape, sketch.dtype) == ((size, size, 1), np.uint8)


def test_an_image_depends_on_class_domain_index_and_seed_only():
    image = draw("cow", PHOTO, 32, 1, 7)
    assert np.array_equal(image, draw("cow", PHOTO, 32, 1, 7))
    others = [draw("ox", PHOTO, 32, 1, 7), draw("cow", PHOTO, 32, 2, 7), draw("cow", PHOTO, 32, 1, 8)]
    assert all(not np.array_equal(image, other) for other in others)


def test_another_process_draws_the_same_bytes():
    """Python's hash() differs between processes: nothing may be seeded with it."""
    digests = "[sha256(draw(n, d, 32, 5, 1).tobytes()).hexdigest() for n in ('owl', 'no such') for d in (0, 1)]"
    code = f"from hashlib import sha256; from sakerepro.world.draw import draw; print(*{digests})"
    here = [sha256(draw(n, d, 32, 5, 1).tobytes()).hexdigest() for n in ("owl", "no such") for d in (0, 1)]
    assert tiny.python("-c", code, PYTHONHASHSEED="7").stdout.split() == here


def test_the_last_bits_of_a_processor_change_no_picture(monkeypatch):
    """Libraries of sines, exponentials and lengths differ in their last bit."""
    names = [c.name for c in CLASSES]
    ours = [draw(name, d, 48, 0, 3) for name in names for d in (0, 1)]
    rng = np.random.default_rng(0)

    def nearly(function, *given, **more):
        exact = np.asarray(function(*given, **more), float)
        return np.nextafter(exact, exact + rng.integers(-1, 2, exact.shape))[()]

    for name in ("cos", "sin", "exp", "hypot", "radians"):
        monkeypatch.setattr(np, name, partial(nearly, getattr(np, name)))
    theirs = [draw(name, d, 48, 0, 3) for name in names for d in (0, 1)]
    assert [np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True)] == [True] * len(ours)


def test_sketches_are_dark_strokes_on_white_and_photos_are_not(small):
    sketches = small.dataset.query.take(np.arange(24))[..., 0]
    photos = small.dataset.gallery.take(np.arange(36)).astype(float)
    assert 0.6 < (sketches > 250).mean() < 0.98
    assert (sketches.min(axis=(1, 2)) < 150).mean() > 0.9  # (thin strokes in light ink stay lighter)
    assert (photos.min(axis=3) > 250).mean() < 0.1
    assert np.abs(photos[..., 0] - photos[..., 2]).mean() > 10  # coloured
    border = np.concatenate([sketches[:, 0].ravel(), sketches[:, -1].ravel()])
    assert (border == 255).mean() > 0.8


def test_unknown_names_get_a_recipe_of_their_own():
    assert recipe("horse").wnid == "n02374451"
    assert recipe("car_(sedan)").name == recipe("bear (animal)").name.replace("bear", "car") == "car"
    assert recipe("flower with stem").plan == "flower"
    assert recipe("Zwölfbein") == recipe("Zwölfbein")
    assert not np.array_equal(draw("qwx", SKETCH, 32), draw("wqx", SKETCH, 32))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(size=0), "size = 0 .* from 8 to 512"),
        (dict(size=48.0), "size = 48.0"),
        (dict(seed=-1), "seed = -1"),
        (dict(index=-2), "index = -2"),
        (dict(domain="drawing"), "neither photo"),
        (dict(domain=2), "neither photo"),
    ],
)
def test_arguments_that_cannot_be_are_named(change, message):
    with pytest.raises(ConfigError, match=message):
        draw(**(dict(class_name="cat", domain=PHOTO) | change))


# the world


def test_counts_labels_and_names(small):
    data, original = small
    n = {"train_sketch": 31 * 2, "val_sketch": 31, "train_photo": 31 * 3, "query": 12 * 2, "gallery": 12 * 3}
    assert {s: len(getattr(data, s)) for s in SETS} == n
    assert (len(original.train), len(original.val)) == (85 * 2, 85)
    assert data.name == "mini" and data.split == "zeroshot"
    assert not set(data.seen) & set(data.unseen)
    assert original.wnids == tuple(c.wnid for c in of_role("original"))
    for key in SETS:
        images = getattr(data, key)
        classes = data.unseen if key in ("query", "gallery") else data.seen
        assert images.domain == (PHOTO if key in ("train_photo", "gallery") else SKETCH)
        assert np.array_equal(np.bincount(images.labels), np.full(len(classes), len(images) // len(classes)))
        assert [Path(name).parts[1] for name in images.names] == [classes[label] for label in images.labels]
        assert len(set(images.names)) == len(images)
    assert original.train.names[0] == "photo/beagle/0000.png"


def test_each_image_is_the_one_that_its_name_says(small):
    for images in (*(getattr(small.dataset, key) for key in SETS), small.original.train, small.original.val):
        for i in (0, len(images) // 2, len(images) - 1):
            kind, name, file = images.names[i].split("/")
            want = draw(name, kind, 32, 3, int(Path(file).stem))
            assert np.array_equal(images.take([i])[0], want), images.names[i]


def test_no_image_is_there_twice(small):
    sets = [getattr(small.dataset, key) for key in SETS] + [small.original.train, small.original.val]
    contents = [image.tobytes() for images in sets for image in images.take(np.arange(len(images)))]
    assert len(set(contents)) == len(contents)


def test_more_images_leave_the_others_as_they_are(small):
    fewer = load_world(32, 3, progress=False, **ONE)
    want, got = small.dataset.val_sketch, fewer.val_sketch
    assert want.names == got.names
    assert np.array_equal(want.take(np.arange(len(want))), got.take(np.arange(len(got))))


def test_the_fingerprint_follows_the_contents():
    """And the world can do without validation sketches."""
    first, other = (world(16, seed, **ONE | {"val_sketch": 0}) for seed in (3, 4))
    assert len(first.dataset.val_sketch) == 0
    for part in ("dataset", "original"):
        assert getattr(first, part).fingerprint != getattr(other, part).fingerprint


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (dict(querry=3), "no count 'querry'. Did you mean 'query'"),
        (dict(query=0), "query = 0"),
        (dict(gallery=1.5), "gallery = 1.5"),
        (dict(gallery=5001), "gallery = 5001"),
    ],
)
def test_counts_that_cannot_be_are_named(counts, message):
    with pytest.raises(ConfigError, match=message):
        load_world(progress=False, **counts)


# the cache


def test_the_task_comes_without_the_original_domain(tmp_path):
    load_world(16, 3, progress=False, **ONE)
    assert not list((tmp_path / "cache").glob("*original*"))


def test_cached_world_equals_the_drawn_one_and_is_not_drawn_again(small, monkeypatch):
    first = world(**FEW)  # another cache than that of `small`
    monkeypatch.setattr(load, "draw", None)
    second = world(**FEW)
    for got in (first, second):
        assert got.dataset.fingerprint == small.dataset.fingerprint
        assert got.original.fingerprint == small.original.fingerprint
        for key in SETS:
            images, want = getattr(got.dataset, key), getattr(small.dataset, key)
            assert images.names == want.names and np.array_equal(images.labels, want.labels)
            assert np.array_equal(images.take(np.arange(len(images))), want.take(np.arange(len(want))))
    assert not second.dataset.gallery.pixels.flags.writeable


@pytest.mark.parametrize("file", ["photos.npy", "index.json"])
def test_damaged_cache_is_drawn_again(tmp_path, file, capsys):
    first = np.array(load_world(16, 3, progress=False, **ONE).gallery.pixels)
    (path,) = (tmp_path / "cache").glob(f"world-*/{file}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    again = load_world(16, 3, progress=False, **ONE)
    assert "damaged" in capsys.readouterr().err
    assert np.array_equal(again.gallery.pixels, first)


# files


@pytest.mark.parametrize("layout", ["", "tuberlin", "sketchy"])
def test_written_files_are_read_as_what_was_drawn(tmp_path, layout):
    seen, unseen = ("wrist-watch", "alarm clock", "bear (animal)"), ("bottle opener", "hot air balloon")
    write = partial(write_official, layout=layout) if layout else write_world
    root = write(tmp_path / "w", seen=seen, unseen=unseen, per_class=3, size=40)
    split = {"": "unseen.txt", "tuberlin": "zeroshot", "sketchy": "zeroshot1"}[layout]
    data = load_dataset(root, split, size=40, progress=False, min_photos=1)
    if not layout:
        assert set(data.seen) == set(seen) and set(data.unseen) == set(unseen)
        assert len(data.gallery) == len(data.query) == 2 * 3
        return
    with Image.open(next(root.rglob("*.png"))) as sketch, Image.open(next(root.rglob("*.[jJ]*"))) as photo:
        assert (sketch.mode, photo.mode) == ("L", "RGB")
    assert data.seen == seen and data.unseen == unseen
    assert [len(getattr(data, s)) for s in SETS] == [9, 6, 9, 6, 6]
    assert np.array_equal(data.query.take([4])[0], draw("hot air balloon", SKETCH, 40, 0, 1))  # PNG: exact
    near = data.gallery.take([4])[0].astype(float) - draw("hot air balloon", PHOTO, 40, 0, 1)  # JPEG: near
    assert np.abs(near).mean() < 12


def test_lists_name_every_file_that_is_there(tmp_path):
    root = write_official(tmp_path / "w", "sketchy", per_class=2, size=16, seen=("cat", "dog"), unseen=("owl",))
    lines = [line for f in (root / "zeroshot1").glob("*filelist*") for line in f.read_text().splitlines()]
    listed = {line.rpartition(" ")[0] for line in lines}
    files = {str(f.relative_to(root)) for f in root.rglob("*") if f.suffix in (".png", ".jpg")}
    assert listed == files
    assert len(lines) == len(listed) == 2 * (2 + 1 + 2) + (2 + 2)
    assert any(name.startswith("EXTEND_image_sketchy_ready/") for name in listed)


def test_writing_refuses_what_cannot_be(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(DataError, match="already holds something"):
        write_world(tmp_path / "full", ("owl",), ())
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine"
    changes: list[tuple[dict[str, Any], str]] = [
        (dict(seen=("a/b",)), "cannot be a folder"),
        (dict(seen=("owl", "cat"), unseen=("owl",)), "'owl' is there 2 times"),
        (dict(per_class=0), "per_class = 0"),
    ]
    for change, message in changes:
        with pytest.raises(ConfigError, match=message):
            write_world(tmp_path / "new", **{"seen": ("cat",), "unseen": (), **change})
    assert not (tmp_path / "new").exists()
