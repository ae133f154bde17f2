"""Data sets by name or folder: what is loaded, and what is said when it is not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_room import plain_folder, real_data, sketchy_like, write_image

from sakerepro import paths
from sakerepro.data import places
from sakerepro.data.batches import require_aligned
from sakerepro.data.dataset import Dataset
from sakerepro.data.images import read_image
from sakerepro.data.listing import SETS
from sakerepro.data.registry import load_dataset, load_original
from sakerepro.data.splits import pseudo_unseen
from sakerepro.errors import ConfigError, DataError

SIDE = 10


def load(name: str | Path, split: str | None = None, **options: object) -> Dataset:
    return load_dataset(name, split, size=SIDE, progress=False, **options)


def assert_pixels_are_the_files(data: Dataset, root: Path) -> None:
    for s in SETS:
        images = getattr(data, s)
        for i, name in enumerate(images.names):
            want = read_image(root / name, SIDE)
            assert np.array_equal(np.broadcast_to(images.take([i])[0], want.shape), want)


def test_a_named_data_set_is_found_below_the_data_folder(own_data: Path) -> None:
    root = sketchy_like(own_data / "Sketchy")
    data = load("sketchy", "zeroshot1")
    assert (data.name, data.split, len(data.seen), len(data.unseen)) == ("sketchy", "zeroshot1", 3, 2)
    assert [len(getattr(data, s)) for s in SETS] == [9, 3, 12, 8, 8]
    assert data.query.pixels.shape[3] == 1 and data.gallery.pixels.shape[3] == 3
    assert_pixels_are_the_files(data, root)


def test_dedupe_and_other_splits_use_the_same_packs(own_data: Path) -> None:
    root = sketchy_like(own_data / "Sketchy")
    sketchy_like(root, seen=("ant", "dog"), unseen=("elk",), split="zeroshot2", images=False)
    all_photos, other = load("sketchy", "zeroshot1"), load(root, "zeroshot2")
    deduped = load("sketchy", "zeroshot1", dedupe=True)
    assert (len(all_photos.gallery), len(deduped.gallery)) == (8, 6)
    assert len({d.fingerprint for d in (all_photos, deduped, other)}) == 3
    assert len([f for f in (paths.cache() / "packs").iterdir() if f.is_dir()]) == 2
    assert_pixels_are_the_files(deduped, root)


def test_a_plain_folder_by_path(own_data: Path) -> None:
    root = plain_folder(own_data / "my photos")
    (root / "unseen.txt").write_text("elk\n")
    data = load(root)
    assert (data.name, data.unseen, data.split) == ("my photos", ("elk",), "unseen.txt")
    assert_pixels_are_the_files(data, root)
    drawn = load(str(root), "random", seed=3, min_photos=4)
    assert len(drawn.unseen) == 1 and drawn.split == "random1-3"


def test_the_fingerprint_follows_contents_names_labels_and_size(own_data: Path) -> None:
    root = plain_folder(own_data / "set")
    (root / "unseen.txt").write_text("elk\n")
    seen = {load(root).fingerprint}
    assert {load(root).fingerprint} == seen
    seen.add(load_dataset(root, size=SIDE + 1, progress=False).fingerprint)
    write_image(root / "photo" / "ant" / "p 0.png", seed=12345)
    seen.add(load(root).fingerprint)
    (root / "photo" / "ant" / "p 0.png").rename(root / "photo" / "ant" / "q 0.png")
    seen.add(load(root).fingerprint)
    (root / "unseen.txt").write_text("dog\n")
    seen.add(load(root).fingerprint)
    assert len(seen) == 5


@pytest.mark.parametrize("name", ["sketchy", "tuberlin", "sketchy-125x25"])
def test_a_missing_data_set_says_what_to_get_and_where_to_put_it(own_data: Path, name: str) -> None:
    with pytest.raises(DataError) as error:
        load(name)
    says = str(error.value)
    assert says.startswith(f"data set {name!r} is not here.")
    assert all(str(place) in says for place in places.data_places())
    assert "Get the" in says and "zeroshot" in says and "SAKEREPRO_REAL_DATA" in says and "SAKEREPRO_DATA" in says


def test_unknown_names_offer_the_closest(own_data: Path) -> None:
    with pytest.raises(ConfigError, match=r"data set 'tu-berlin' is unknown, and no folder\. Did you mean 'tuberlin'"):
        load("tu-berlin")
    with pytest.raises(DataError, match="is not there, or not a folder"):
        load("some/where")
    with pytest.raises(ConfigError, match="generated mini world has no split 'zeroshot7'"):
        load("mini", "zeroshot7")
    with pytest.raises(ConfigError, match="size=0"):
        load_dataset("mini", size=0)
    (own_data / "empty").mkdir(parents=True)
    with pytest.raises(DataError, match="has no split|photo"):
        load(own_data / "empty")


# the original domain


def image_folder(root: Path, wnids: tuple[str, ...] = ("n02084071", "n02121620")) -> Path:
    for i, wnid in enumerate(wnids):
        for k in range(3):
            write_image(root / "train" / wnid / "images" / f"{k}.png", seed=10 * i + k)
        write_image(root / "val" / wnid / "v.png", seed=100 + i)
    return root


def test_an_image_folder_is_an_original_domain(own_data: Path) -> None:
    root = image_folder(own_data / "imagenet")
    original = load_original(root, SIDE, progress=False)
    assert original.wnids == ("n02084071", "n02121620")
    assert original.train.labels.tolist() == [0, 0, 0, 1, 1, 1] and original.val.labels.tolist() == [0, 1]
    assert original.train.pixels is original.val.pixels
    for images in (original.train, original.val):
        for i, name in enumerate(images.names):
            assert np.array_equal(images.take([i])[0], read_image(root / name, SIDE))
    assert len(load_original(root, SIDE, progress=False, per_class=2).train) == 4


def test_what_is_wrong_with_an_image_folder(own_data: Path) -> None:
    root = image_folder(own_data / "imagenet")
    (root / "train" / "n99999999").mkdir()
    with pytest.raises(DataError, match=r"n99999999: holds no image"):
        load_original(root, SIDE, progress=False)
    write_image(root / "train" / "n99999999" / "1.png")
    with pytest.raises(DataError, match=r"class n99999999 is in only one of train/ and val/"):
        load_original(root, SIDE, progress=False)
    (root / "val" / "dogs").mkdir()
    with pytest.raises(DataError, match=r"dogs: is not named by a WordNet id"):
        load_original(root, SIDE, progress=False)
    with pytest.raises(DataError, match=r"train: is not there"):
        load_original(own_data, SIDE, progress=False)
    with pytest.raises(ConfigError, match="Did you mean 'tiny-imagenet-40'"):
        load_original("tiny-imagenet", SIDE)


# real data


def test_the_real_subset() -> None:
    root = real_data("sketchy-125x25")
    for split, want in (
        ("zeroshot1", (100, 25, 2_303, 197, 2_500, 625, 625)),
        ("zeroshot2", (104, 21, 2_384, 0, 2_600, 525, 525)),
    ):
        data = load_dataset("sketchy-125x25", split, size=24, pack=False)
        assert (len(data.seen), len(data.unseen), *(len(getattr(data, s)) for s in SETS)) == want
        assert (len(data.query.pixels), len(data.gallery.pixels)) == (3_125, 3_125)  # one pack serves both splits
        for name in (n for s in SETS for n in getattr(data, s).names[::97]):
            assert (read_image(root / name, 24) == read_image(root / name, 24)[..., :1]).all() == ("sketch" in name)
        held = pseudo_unseen(data, 10, 0)
        assert len(held.unseen) == 10 and len(held.gallery) == 250
        photo_rows = require_aligned(data)
        assert (photo_rows >= 0).all()  # every sketch has its photo
        for sketch, row in list(zip(data.train_sketch.names, photo_rows, strict=True))[::97]:
            photo = Path(data.train_photo.names[row])
            assert photo.stem == Path(sketch).stem.split("-")[0] and photo.parent.name == Path(sketch).parent.name


def test_the_real_original_domain() -> None:
    real_data("tiny-imagenet-40")
    original = load_original("tiny-imagenet-40", 16, progress=False)
    assert (len(original.wnids), len(original.train), len(original.val)) == (200, 6_000, 2_000)
    assert set(np.bincount(original.train.labels)) == {30} and set(np.bincount(original.val.labels)) == {10}
