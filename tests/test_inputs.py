"""Labels, names, numbers and arrays in any container give the value of the plain form, or a clear error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import sakerepro as sr
from sakerepro.apps.photos import Changes
from sakerepro.data.dataset import PHOTO, SKETCH

X = np.eye(6, 8, dtype=np.float32)
T, SIX = torch.tensor, torch.arange(6) % 2
WNIDS = ["n02121620"]
NAMES = ["cat", "dog", "cup", "cät", "dog", "cup"]


def measure(query_labels: Any, gallery_labels: Any = None, **settings: Any) -> sr.RetrievalMetrics:
    gallery_labels = query_labels if gallery_labels is None else gallery_labels
    return sr.retrieval_metrics(X, X[::-1], query_labels, gallery_labels, **{"ks": (2,), **settings})


@pytest.mark.parametrize(
    "hold",
    [
        pd.Series,
        pd.Categorical,
        tuple,
        lambda x: np.array(x, object),
        lambda x: pd.Series(x, dtype="string"),
        lambda x: np.array(x, np.dtypes.StringDType()),
        lambda x: np.array([s.encode() for s in x]),
        lambda x: np.array([s.encode() for s in x], object),
        lambda x: pd.Series(x, index=range(9, 3, -1)),
    ],
)
def test_class_names_are_read_from_whatever_holds_them(hold: Callable[[list[str]], Any]) -> None:
    wanted = measure(np.unique(NAMES, return_inverse=True)[1])
    for metrics in (measure(hold(NAMES)), measure(hold(NAMES), NAMES), measure(NAMES, hold(NAMES))):
        assert np.array_equal(metrics.ap, wanted.ap)


@pytest.mark.parametrize(
    "hold",
    [
        pd.Series,
        pd.Categorical,
        torch.tensor,
        lambda x: np.array(x, object),
        lambda x: pd.Series(x, dtype="Int64"),
        lambda x: [torch.tensor(v) for v in x],
        lambda x: np.array(x, "u1"),
    ],
)
def test_class_ids_are_read_from_whatever_holds_them(hold: Callable[[list[int]], Any]) -> None:
    ids = [3, 0, 7, 7, 0, 3]
    assert np.array_equal(measure(hold(ids), ids).ap, measure(ids).ap)


@pytest.mark.parametrize("first", [0, 2**60, 2**63 - 6])
@pytest.mark.parametrize("signed", ["i8", object])
def test_integers_are_compared_as_integers_whatever_their_sign(first: int, signed: Any) -> None:
    ids = [first + i for i in range(6)]
    for q, g in (("u8", signed), (signed, "u8")):
        m = sr.retrieval_metrics(X, X, np.array(ids, q), np.array(ids, g), ks=(1,))
        assert m.n_without_relevant == 0 and m.map_all == 1.0 and m.p_at[1] == 1.0
    with pytest.warns(UserWarning, match="5 of 6 queries"):  # -1 as unsigned would be the largest id
        m = sr.retrieval_metrics(X, X, [-1, -1, -1, -1, -1, 0], np.array([2**64 - 1] * 5 + [0], "u8"), ks=(1,))
    assert m.n_without_relevant == 5


@pytest.mark.parametrize(
    "labels, words",
    [
        (["cat", None, "dog", "cat", "dog", "cat"], "query_labels, row 1: the label is None"),
        (pd.Series(["cat", "dog", None] * 2), "query_labels, row 2: the label is (nan|None)"),
        (pd.Series([1, 2, None] * 2, dtype="Int64"), "query_labels has type float64|row 2: the label is <NA>"),
        (np.array(["cat", 1, 2, 3, 4, 5], object), "query_labels, row 1: the label is 1"),
        (np.array([b"\xff"] * 6), "is not UTF-8"),
        (["cat", float("nan"), "dog"] * 2, "query_labels, row 1: the label is nan"),
        (["1", 1] * 3, "query_labels, row 1: the label is 1"),
        (np.ma.masked_array(np.arange(6), [0, 0, 1, 0, 0, 0]), "query_labels is a masked array"),
        ("abcdef", "query_labels has shape"),
        ([[0], [1, 2]], "query_labels does not form one array"),
    ],
)
def test_labels_that_are_none_are_named(labels: Any, words: str) -> None:
    with pytest.raises(sr.DataError, match=words):
        measure(labels)


def test_rows_of_features_can_be_a_list() -> None:
    y = np.arange(6) % 2
    wanted = sr.retrieval_metrics(X, X, y, y).ap
    tensors = [torch.tensor(row, requires_grad=True) for row in X]
    for held in (list(X), X.astype(float).tolist(), tensors, pd.DataFrame(X), torch.tensor(X).to(torch.float8_e4m3fn)):
        assert np.array_equal(sr.retrieval_metrics(held, X, y, y).ap, wanted)


def test_names_of_classes_can_be_a_series() -> None:
    names = ["cat", "airplane"]
    wanted = sr.semantic_similarity(names, WNIDS)
    assert wanted[0, 0] == 1.0  # n02121620 is the cat
    for held in (pd.Series(names), np.array(names), tuple(names), (n for n in names)):
        assert np.array_equal(sr.semantic_similarity(held, pd.Series(WNIDS)), wanted)


def dataset(photos: int = 6) -> sr.Dataset:
    """Two unseen classes with three photos each, two seen classes."""
    rows = np.arange(photos)
    photo = sr.ImageSet(np.zeros((photos, 8, 8, 1), np.uint8), rows, rows // 3 % 2, tuple("abcdef"), PHOTO)
    sketch = sr.ImageSet(photo.pixels, rows, photo.labels, photo.names, SKETCH)
    return sr.Dataset("d", "s", ("x", "w"), ("y", "z"), sketch, sketch, photo, sketch, photo, "f")


@pytest.mark.parametrize("index", [[4, 1], np.array([False, True, False, False, True, False]), np.array([4, 1], "u1")])
def test_images_are_chosen_by_positions_or_a_mask(index: Any) -> None:
    photos, wanted = dataset().gallery, ["e", "b"] if len(index) == 2 else ["b", "e"]
    assert list(photos.select(index).names) == wanted and photos.take(index).shape == (2, 8, 8, 1)
    assert len(photos.select([])) == 0 and photos.take(range(0)).shape == (0, 8, 8, 1)


@pytest.mark.parametrize(
    "index, words",
    [
        ([True, False], r"index is a mask of the shape \(2,\). Give one boolean for each of 6"),
        ([0, 1, 1, 0, 0, 1], "index holds 6 zeros and ones. For a mask of booleans, give index == 1"),
        ([0, 6], r"index\[1\]=6 is out of range. Positions go from 0 to 5"),
        ([-1], r"index\[0\]=-1 is out of range"),
        ([0.0, 1.0], r"index=\[0.0, 1.0\] is not possible. Give a list of positions, or a mask of booleans"),
        (None, "index=None is not possible"),
        ([[1], [2, 3]], "index does not form one array"),
    ],
)
def test_positions_that_are_none_are_named(index: Any, words: str) -> None:
    for choose in (dataset().gallery.take, dataset().gallery.select):
        with pytest.raises(sr.SakeError, match=words):
            choose(index)


@pytest.mark.parametrize(
    "call, words",
    [
        (lambda: sr.search([X[:4], X[4:]], X, 1), "query does not form one array: its rows differ in length"),
        (lambda: sr.search([[1.0, 2.0], [1.0]], X, 1), "query does not form one array"),
        (lambda: sr.search(torch.tensor(X).to_sparse(), X, 1), "query does not form one array"),
        (lambda: sr.search(X, np.array([["a"]]), 1), "gallery has type <U1"),
        (lambda: sr.search(X, X.astype(object), 1), "gallery is not numeric"),
        (lambda: sr.search(X, X, True), "k=True is not possible"),
        (lambda: measure(NAMES, ks=5), r"ks=5 has to be a list of whole numbers from 1 on, such as ks=\[1\]"),
        (lambda: measure(NAMES, ks=(3, True)), r"ks\[1\]=True is not possible"),
        (lambda: measure(NAMES, ties=3), "ties=3 is not known. Known: expected"),
        (lambda: measure(NAMES, convention=["sake"]), r"convention=\['sake'\] is not known"),
        (lambda: sr.open_run("some/run"), "some/run: is not there"),
        (lambda: sr.preset(None), "Unknown preset None. Known: mini"),
        (lambda: sr.generalised_metrics({}, sr.preset("mini")), "arrays lack query, query_labels"),
        (lambda: sr.experiments("table1", "mini", 3), "seeds=3 has to be a list"),
        # one name is not a list of names
        (lambda: sr.semantic_similarity("cat", WNIDS), r"names is 'cat'. Give a list, such as names=\['cat'\]"),
        (lambda: sr.leacock_chodorow("cat", WNIDS), "Give a list"),
        (lambda: sr.imagenet_overlap("cat"), "Give a list"),
        (lambda: sr.resolve_classes("cat"), "Give a list"),
        (lambda: sr.semantic_similarity(["cat"], WNIDS[0]), "original_wnids is 'n02121620'. Give a list"),
        (lambda: sr.semantic_similarity(["cat", 1], WNIDS), "names, row 1: 1 is no name"),
        (lambda: sr.semantic_similarity(5, WNIDS), "names is 5. Give a list"),
        (lambda: sr.semantic_similarity(["cat"], WNIDS, rule=None), "rule=None is not known. Known: path"),
        (lambda: sr.random_split(dataset(), 1, 0, 1, among="a"), "among is 'a'. Give a list"),
        # ranges
        (lambda: sr.photo_queries(dataset(), -1), "per_class=-1 is not possible. Give a whole number from 0 on"),
        (lambda: sr.photo_queries(dataset(), 3), "class 'y' has 3 gallery photos"),
        (lambda: sr.pseudo_unseen(dataset(), "1"), "n='1' is not possible"),
        (lambda: sr.pseudo_unseen(dataset(), 1, seed=-1), "seed=-1 is not possible"),
        (lambda: sr.random_split(dataset(), 1, seed=-1, min_photos=1), "seed=-1 is not possible"),
        (lambda: dataset().gallery.of_classes([0, 0]), "holds a class twice"),
        (lambda: dataset().gallery.of_classes([-1]), r"classes\[0\]=-1 is not possible"),
        (lambda: dataset().gallery.of_classes([1, 99]), "class 99 has no image here. Known ids: from 0 to 1"),
        # things of another kind
        (lambda: sr.check(None), "name=None is no path. Give a string or a pathlib.Path"),
        (lambda: sr.open_run(5), "folder=5 is no path"),
        (lambda: sr.open_collection(None), "folder=None is no path"),
        (lambda: sr.index_photos("photos", "a run"), "run='a run' is no Run. sr.open_run and sr.all_runs"),
        (lambda: sr.run("mini"), r"experiment='mini' is no Experiment. sr.preset\(\"mini\"\) gives one"),
        (lambda: sr.find(None), "experiment=None is no Experiment"),
        (lambda: sr.load_teacher("mini"), "experiment='mini' is no Experiment"),
        (lambda: sr.preset("mini", method=None), "method=None is no str. Give a name"),
        (lambda: sr.embed("net", dataset().gallery, 8), "network='net' embeds nothing. Give a Student"),
        (lambda: sr.generalised_metrics(None, sr.preset("mini")), "arrays=None is no Mapping. Run.embeddings"),
        (lambda: sr.item_rows("table1", "a run"), r"runs is 'a run'. Give a list, such as runs=\['a run'\]"),
        (lambda: sr.run_rows(None), "runs is None. Give a list."),
        (lambda: sr.class_gains("a run"), "runs is 'a run'. Give a list"),
        (lambda: sr.about("mini", 3), "seeds=3 has to be a list"),
        (lambda: sr.item_runs("table1", jobs="2"), "jobs='2' is not possible"),
        (lambda: sr.resolve_classes(["cat"], dataset=5), "dataset=5 is no path"),
        (lambda: sr.resolve_classes(["cat"], synsets=5), "synsets=5 is no path"),
        (lambda: sr.resolve_classes(["cat"], synsets={"cat": 5}), "synsets, row 0: 5 is no name"),
        (lambda: sr.build_classifier(None, 3), "name=None is no str. Give the name of a network"),
        (lambda: sr.build_classifier("resnet_mini", "3"), "num_classes='3' is not possible"),
        (lambda: sr.build_student("x", dim=8, num_seen=3, teacher="x"), "teacher='x' is no Classifier"),
        (lambda: sr.factorise(X, 3), "weight=.* is no Tensor. Give the classifier's"),
        (lambda: sr.factorise(T(X), "3"), "dim='3' is not possible"),
        (lambda: sr.load_dataset("mini", min_photos="a"), "min_photos='a' is not possible"),
        (lambda: sr.random_split(dataset(), "1", 0, 1), "n_unseen='1' is not possible"),
        (lambda: sr.random_split(dataset(), 1, 0, min_photos=-1), "min_photos=-1 is not possible"),
        (lambda: sr.benchmark_loss(T(X), SIX + 8), "labels .* whole numbers below C_S: Target 8 is out of bounds"),
        (lambda: sr.benchmark_loss(T(X), SIX[:2]), "labels .* below C_S"),
        (lambda: sr.benchmark_loss(T(X), SIX * 0.5), "labels .* below C_S"),
        (lambda: sr.benchmark_loss(X, SIX), r"seen_logits have to be \(N, C_S\)"),
        (lambda: sr.sake_loss(T(X), X, T(X)), "teacher_logits=.* is no Tensor. torch.as_tensor makes one"),
        (lambda: sr.teacher_loss(T(X), T(X)[:2]), "must have the same shape"),
        (lambda: sr.teacher_loss(T(X), X), "teacher_logits=.* is no Tensor"),
    ],
)
def test_every_error_is_a_sentence(call: Callable[[], Any], words: str) -> None:
    with pytest.raises(sr.SakeError, match=words):
        call()


def test_displays_are_a_few_lines() -> None:
    many = tuple(f"class {i}" for i in range(500))
    d = dataset()
    big = sr.Dataset("big", "s", many, ("y", "z"), d.query, d.query, d.gallery, d.query, d.gallery, "f" * 64)
    shown = repr(big)
    assert len(shown.splitlines()) <= 8 and max(map(len, shown.splitlines())) <= 120
    assert "500 in all" in shown and "gallery=<6 photos of 2 classes, 8 x 8 x 1>" in shown and "'y', 'z'" in shown
    original = sr.OriginalDomain("o", tuple(f"n{i:08d}" for i in range(1000)), d.gallery, d.gallery, "f")
    assert len(repr(original).splitlines()) <= 4 and "1,000 in all" in repr(original)


def test_the_display_of_an_update_does_not_list_every_file() -> None:
    shown = repr(Changes(1, 2, 3, 4, {".heic": tuple(f"p {i}" for i in range(3000))}))
    assert shown.startswith("Changes(kept=1, added=2, removed=3, bad=4, left_out={'.heic': ('p 0', ")
    assert len(shown) < 150
    assert repr(Changes(1, 2, 3, 4)) == "Changes(kept=1, added=2, removed=3, bad=4, left_out={})"
