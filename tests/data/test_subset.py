"""Subsets of a data set: the first files of each class, against the lists of the real subset and by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from data_room import OFFICIAL_PHOTO, OFFICIAL_SKETCH, real_data, sketchy_like, write_lists
from PIL import Image

from sakerepro import paths
from sakerepro.__main__ import main
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.data.images import read_image
from sakerepro.data.lists import examine_split, listed_names
from sakerepro.data.registry import load_dataset
from sakerepro.data.subset import filtered_lists, first_of_each, write_subset
from sakerepro.errors import ConfigError, DataError
from sakerepro.semantics import resolve_classes


def test_the_official_lists_give_the_lists_of_the_real_subset() -> None:
    full, part = real_data("sake-lists") / "Sketchy", real_data("sketchy-125x25")
    names = listed_names(full)
    keep = first_of_each(names[PHOTO], 25) | first_of_each(names[SKETCH], 25)
    assert len(keep) == 2 * 125 * 25
    lists = filtered_lists(full, keep)
    want = {f"{f.parent.name}/{f.name}": f.read_text() for f in part.glob("zeroshot*/*.txt")}
    assert lists.keys() == want.keys()
    for name in want:
        assert lists[name].splitlines() == want[name].splitlines(), name


def test_the_first_are_by_name_of_each_class_and_of_no_extension() -> None:
    names = {f"{OFFICIAL_PHOTO}/ant/n_{i}.jpg" for i in (9, 10, 100, 2)} | {"EXTEND_image_sketchy_ready/ant/a.jpg"}
    assert first_of_each(names, 2) == {f"{OFFICIAL_PHOTO}/ant/n_10.jpg", f"{OFFICIAL_PHOTO}/ant/n_100.jpg"}
    assert first_of_each(names, 9) == names - {"EXTEND_image_sketchy_ready/ant/a.jpg"}
    assert first_of_each(set(), 3) == set()


def test_a_subset_is_a_data_set(tmp_path: Path) -> None:
    root = sketchy_like(tmp_path / "Sketchy")
    write_lists(
        root,
        "zeroshot2",
        {  # leaves out the first sketch, as the real one leaves out some
            "cname_cid": ["ant 0"],
            "cname_cid_zero": ["bee 0"],
            "all_photo_filelist_train": [f"{OFFICIAL_PHOTO}/ant/n0_{i}.png 0" for i in range(2)],
            "all_photo_filelist_zero": [f"{OFFICIAL_PHOTO}/bee/n0_0.png 0"],
            "sketch_tx_000000000000_ready_filelist_train": [f"{OFFICIAL_SKETCH}/ant/n0_{i}-1.png 0" for i in (1, 2)],
            "sketch_tx_000000000000_ready_filelist_zero": [f"{OFFICIAL_SKETCH}/bee/n0_0-1.png 0"],
        },
    )
    subset = write_subset(root, tmp_path / "part", 2, size=9)
    for split in ("zeroshot1", "zeroshot2"):
        assert not examine_split(subset, split)[1]
    data = load_dataset(str(subset), "zeroshot1", size=9, progress=False)
    assert len(data.train_photo) == 3 * 2 and len(data.query) == 2 * 2 and len(data.train_sketch) == 3 * 2
    assert not any(n.startswith("EXTEND") for n in data.train_photo.names)
    other = load_dataset(str(subset), "zeroshot2", size=9, progress=False)
    assert other.train_sketch.names == (f"{OFFICIAL_SKETCH}/ant/n0_1-1.png",)  # the first two, less the one left out
    sketch = read_image(root / f"{OFFICIAL_SKETCH}/dog/n0_0-1.png", 9).astype(int)
    small = read_image(subset / f"{OFFICIAL_SKETCH}/dog/n0_0-1.png", 9).astype(int)
    assert np.abs(sketch - small).max() <= 9  # 16 levels of grey, 17 apart
    with Image.open(subset / f"{OFFICIAL_SKETCH}/dog/n0_0-1.png") as picture:
        assert picture.size == (9, 9) and picture.format == "PNG" and len(picture.getcolors()) <= 16
    with pytest.raises(ConfigError, match="is there already"):
        write_subset(root, subset, 2)
    with pytest.raises(ConfigError, match="at least 1"):
        write_subset(root, tmp_path / "x", 0)


def test_the_synsets_of_the_source_go_with_the_subset(tmp_path: Path) -> None:
    tuberlin, other = (sketchy_like(tmp_path / name) for name in ("TUBerlin", "other"))
    subset = write_subset(tuberlin, tmp_path / "small", 1, size=8)
    assert resolve_classes(["mouse (animal)"], str(subset))[0].source == "by hand"
    assert {r.wnid for r in resolve_classes(["crane (machine)", "ant"], str(subset))} == {
        r.wnid for r in resolve_classes(["crane (machine)", "ant"], "tuberlin")
    }
    assert not (write_subset(other, tmp_path / "none", 1, size=8) / "synsets.csv").exists()
    (tuberlin / "synsets.csv").write_text("class,wnid\nant,n02121620\n")
    subset = write_subset(tuberlin, tmp_path / "by hand", 1, size=8)
    assert (subset / "synsets.csv").read_text() == "class,wnid\nant,n02121620\n"


def test_sketches_that_are_no_png_are_kept_in_their_format(tmp_path: Path) -> None:
    root = sketchy_like(tmp_path / "Sketchy")
    for file in root.glob(f"{OFFICIAL_SKETCH}/*/*.png"):
        Image.open(file).convert("L").save(file.with_suffix(".jpg"))
        file.unlink()
    for file in root.glob("zeroshot*/*sketch*filelist*"):
        file.write_text(file.read_text().replace(".png", ".jpg"))
    subset = write_subset(root, tmp_path / "part", 2, size=9)
    small = next(subset.glob(f"{OFFICIAL_SKETCH}/*/*.jpg"))
    with Image.open(small) as picture:
        assert picture.size == (9, 9) and picture.format == "JPEG"
    data = load_dataset(str(subset), "zeroshot1", size=9, progress=False)
    assert len(data.query) == 2 * 2 and all(n.endswith(".jpg") for n in data.query.names)


def test_a_missing_image_leaves_no_half_subset(tmp_path: Path) -> None:
    root = sketchy_like(tmp_path / "Sketchy")
    (root / OFFICIAL_PHOTO / "bee/n0_0.png").unlink()
    with pytest.raises(DataError, match="bee/n0_0.png: cannot be read"):
        write_subset(root, tmp_path / "part", 2, size=9)
    assert not (tmp_path / "part").exists()


def test_subset_and_pack_on_the_command_line(own_data, cli):
    sketchy_like(own_data / "Sketchy")
    assert main(["data", "subset", "sketchy", "--per-class", "1", "--size", "8"]) == 0
    assert (paths.data() / "sketchy-5x1/zeroshot1/cname_cid.txt").is_file()
    out = cli("data", "pack", str(paths.data() / "sketchy-5x1"), "--size", "8").out
    assert "photos: 5 images of 8 px, 0.0 MB" in out
    assert list(paths.cache().glob("packs/sketchy-5x1-photos-8-*/pixels.npy"))
