"""Approximate search of an index: what it finds, the recall that it says, and when its table is made."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import full_disk
from PIL import Image
from tiny import shape

from sakerepro.apps import approximate
from sakerepro.apps.approximate import nearest, recall
from sakerepro.apps.photos import index_photos, query
from sakerepro.data.dataset import PHOTO, SKETCH
from sakerepro.errors import ConfigError, RunError
from sakerepro.retrieval import search
from sakerepro.runs import Run


@pytest.fixture
def groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """LanceDB makes 100 groups even for few photos; the test is skipped without LanceDB."""
    lancedb = pytest.importorskip("lancedb", reason="needs `pip install 'sakerepro[lance]'`")
    monkeypatch.setattr(lancedb.index, "IvfFlat", partial(lancedb.index.IvfFlat, num_partitions=100))


def clustered(rng: np.random.Generator, n: int, dim: int) -> np.ndarray:
    """(n, dim) float16 around 50 centres, the first one zero."""
    x = rng.normal(size=(50, dim))[rng.integers(0, 50, n)] + 0.5 * rng.normal(size=(n, dim))
    x[0] = 0
    return x.astype(np.float16)


def write(folder: Path, x: np.ndarray) -> Path:
    folder.mkdir(exist_ok=True)
    np.save(folder / "embeddings.npy", x)
    return folder


def exact(q: np.ndarray, x: np.ndarray, k: int, distance: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and distances by exact search in double precision, which test_retrieval.py holds against a full sort."""
    return search(q.astype(float), x.astype(float), k, distance)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_with_all_groups_it_is_exact(distance, groups, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(approximate, "PROBES", 100)
    x, q = clustered(rng, 5_000, 8), rng.normal(size=(6, 8)).astype(np.float32)
    rows, distances = nearest(write(tmp_path / "an #index?", x), q, 9, distance)
    want = exact(q, x, 9, distance)
    np.testing.assert_array_equal(rows, want[0])
    np.testing.assert_allclose(distances, want[1], rtol=1e-4, atol=1e-6)


def test_k_may_be_all_photos(groups, rng, tmp_path, monkeypatch):
    """A zero vector is found too, and more photos than the searched groups hold."""
    monkeypatch.setattr(approximate, "PROBES", 1)
    x, q = clustered(rng, 500, 8), rng.normal(size=(2, 8)).astype(np.float32)
    assert np.sort(nearest(write(tmp_path / "few", x), q, 500, "cosine")[0]).tolist() == [list(range(500))] * 2


@pytest.mark.parametrize("domain", [SKETCH, PHOTO])
def test_the_recall_is_a_count_by_hand(domain, groups, tiny_run, rng, tmp_path, monkeypatch):
    monkeypatch.setattr(approximate, "PROBES", 5)  # of 100: .3 to .8 are found; LanceDB groups at random
    queries = tiny_run.embeddings()["query" if domain == SKETCH else "gallery"]
    x = rng.normal(queries.mean(axis=0), 2 * queries.std(), (5_000, queries.shape[1])).astype(np.float16)
    share, n = recall(write(tmp_path / "index", x), tiny_run, 10, domain)
    assert n == len(queries)  # all, as there are few
    rows, want = nearest(tmp_path / "index", queries, 10, "cosine")[0], exact(queries, x, 10, "cosine")[0]
    by_hand = sum(len(set(a) & set(b)) for a, b in zip(rows.tolist(), want.tolist(), strict=True)) / (10 * n)
    assert share == pytest.approx(by_hand) and 0.1 < share < 1
    monkeypatch.setattr(approximate, "search", lambda *_: pytest.fail("measured again"))
    assert recall(tmp_path / "index", tiny_run, 10, domain) == (share, n)


def test_the_table_is_made_anew_when_the_embeddings_change(groups, rng, tiny_run, tmp_path):
    dim = tiny_run.embeddings()["query"].shape[1]
    x, y = clustered(rng, 300, dim), clustered(rng, 300, dim)
    q = x[[5]].astype(np.float32)
    assert nearest(write(tmp_path / "index", x), q, 1, "cosine")[0].tolist() == [[5]]
    recall(tmp_path / "index", tiny_run, 3)
    (first,) = (tmp_path / "index/lance").glob("*.lance")
    nearest(tmp_path / "index", q, 1, "cosine")
    assert list((tmp_path / "index/lance").glob("*.lance")) == [first]
    write(tmp_path / "index", y)
    np.testing.assert_array_equal(nearest(tmp_path / "index", q, 5, "cosine")[0], exact(q, y, 5, "cosine")[0])
    (second,) = (tmp_path / "index/lance").iterdir()  # the recall of the first went with it
    assert second != first


def test_a_table_is_whole_or_not_there(groups, rng, tmp_path, monkeypatch):
    folder = write(tmp_path / "index", clustered(rng, 300, 8))
    q = rng.normal(size=(1, 8)).astype(np.float32)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(
            "lancedb.table.LanceTable.create_index", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        nearest(folder, q, 3, "cosine")
    assert [f.name for f in folder.iterdir() if not f.name.endswith(".lock")] == ["embeddings.npy"]
    nearest(folder, q, 3, "cosine")
    for file in (folder / "lance").rglob("*"):
        if file.is_file():
            file.write_bytes(b"damaged")
    with pytest.raises(RunError, match="lance: is damaged .* Remove it"):
        nearest(folder, q, 3, "cosine")


@pytest.mark.parametrize("text", ["[1, 2]", '{"3 nearest, domain 1": "all"}', "{"])
def test_a_damaged_file_of_shares_is_named(text: str, tiny_run: Run, rng: np.random.Generator, tmp_path: Path) -> None:
    pytest.importorskip("lancedb")
    folder = write(tmp_path / "index", clustered(rng, 300, tiny_run.embeddings()["query"].shape[1]))
    share = recall(folder, tiny_run, 3)
    (folder / "lance/recall.json").write_text(text)
    with pytest.raises(RunError, match=r"recall\.json: .* Remove it; the same command measures"):
        recall(folder, tiny_run, 3)
    (folder / "lance/recall.json").unlink()
    assert recall(folder, tiny_run, 3) == share


def test_shares_that_two_processes_measure_are_both_kept(groups, tiny_run, rng, tmp_path, monkeypatch):
    folder = write(tmp_path / "index", clustered(rng, 300, tiny_run.embeddings()["query"].shape[1]))
    file, measure = folder / "lance/recall.json", approximate.nearest

    def meanwhile(*given: Any) -> Any:
        """Another process writes its share while this one measures."""
        file.write_text('{"7 nearest, domain 0": 0.5}')
        return measure(*given)

    monkeypatch.setattr(approximate, "nearest", meanwhile)
    share, _ = recall(folder, tiny_run, 3)
    assert json.loads(file.read_text()) == {"7 nearest, domain 0": 0.5, f"3 nearest, domain {SKETCH}": share}


def test_a_full_disk_leaves_no_table(rng, tmp_path):
    pytest.importorskip("lancedb")
    folder = write(tmp_path / "index", clustered(rng, 2_000, 16))
    with full_disk(20_000), pytest.raises(RunError, match="lance: could not be written .* Make room"):
        nearest(folder, rng.normal(size=(1, 16)).astype(np.float32), 3, "cosine")
    assert not (folder / "lance").exists()


@pytest.fixture
def photos(my_run: Run, tmp_path: Path) -> Path:
    """An index of five photos, and a sketch beside it."""
    (tmp_path / "photos").mkdir()
    for i in range(5):
        Image.fromarray(shape(i, PHOTO, i)).save(tmp_path / f"photos/{i}.png")
    Image.fromarray(shape(1, SKETCH, 1).squeeze()).save(tmp_path / "sketch.png")
    index_photos(tmp_path / "photos", my_run, progress=False)
    return tmp_path


def test_on_the_command_line(tiny_run, photos, monkeypatch, cli):
    pytest.importorskip("lancedb")
    images = tiny_run.embeddings()
    monkeypatch.setenv("HOME", str(photos / "home"))
    before = set(photos.rglob("*"))
    command = ["query", str(photos / "sketch.png"), "-k", "3", "--json"]
    (exact,) = json.loads(cli(*command).out)
    out, err = cli(*command, "--approximate")
    assert json.loads(out) == [{"recall": 1.0, **exact}]  # one group holds all five
    count = f"({len(images['query'])} unseen sketches of the run)"
    assert err == f"approximate: finds 100.0 % of the exact 3 nearest {count}\n"
    (index,) = (photos / "collections").glob("[!.]*")
    assert all(index in new.parents for new in set(photos.rglob("*")) - before)
    out, err = cli("query", str(photos / "photos/0.png"), "--photo", "--approximate")
    assert f"100.0 % of the exact 5 nearest ({len(images['gallery'])} unseen photos of the run)" in err
    assert "0.png" in out.splitlines()[2]
    err = cli("query", str(photos / "sketch.png"), "--codes", "--approximate", code=2).err
    assert "codes are compared exactly" in err


def test_without_lancedb_the_error_says_how_to_install_it(tiny_run, photos, monkeypatch):
    index, _ = index_photos(photos / "photos", tiny_run, progress=False)
    monkeypatch.setitem(sys.modules, "lancedb", None)
    with pytest.raises(ConfigError, match=r"pip install 'sakerepro\[lance\]'"):
        query(index, tiny_run, [photos / "sketch.png"], approximate=True)
