"""ITQ and packed codes against naive implementations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sakerepro.errors import ConfigError, DataError, SakeError
from sakerepro.hashing import ITQ
from sakerepro.ranking.codes import pack


@pytest.fixture
def features(rng: np.random.Generator) -> np.ndarray:
    """(4501, 20) correlated features around a mean far from zero; more rows than are worked on together."""
    return rng.standard_normal((4501, 20)) @ rng.standard_normal((20, 20)) + 100


def naive_itq(x: np.ndarray, bits: int, seed: int, iterations: int) -> tuple[np.ndarray, list[float]]:
    """Gong et al. (2013), section 3, step by step; only the first rotation is drawn as the package draws it."""
    v = PCA(bits, svd_solver="full").fit(x).transform(x)
    direction = PCA(bits, svd_solver="full").fit(x).components_
    v = v * np.where(direction[np.arange(bits), np.abs(direction).argmax(1)] < 0, -1, 1)  # the package's choice of sign
    r, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((bits, bits)))
    errors = []
    for _ in range(iterations):
        b = np.sign(v @ r)
        errors.append(((b - v @ r) ** 2).sum(1).mean())
        s, _, s_hat = np.linalg.svd(b.T @ v)
        r = s_hat.T @ s.T
    b = np.sign(v @ r)
    errors.append(((b - v @ r) ** 2).sum(1).mean())
    return v @ r, errors


@pytest.mark.parametrize("bits, iterations", [(8, 0), (8, 7), (16, 20)])
def test_equals_naive_itq(features, bits, iterations):
    projected, errors = naive_itq(features, bits, 3, iterations)
    itq = ITQ(bits=bits, seed=3, iterations=iterations).fit(features)
    assert itq.quantization_errors_ == pytest.approx(np.array(errors), rel=1e-9)
    assert itq.project(features) == pytest.approx(projected, abs=1e-6)
    assert np.array_equal(itq.transform(features), np.packbits(projected > 0, axis=1))


@pytest.mark.parametrize("kind, accuracy", [(np.float64, 1e-12), (np.float32, 1e-6)])
def test_quantisation_error_never_rises_and_the_rotation_is_orthogonal(features, kind, accuracy):
    itq = ITQ(bits=16, iterations=40).fit(features.astype(kind))
    assert itq.quantization_errors_.shape == (41,)
    assert (np.diff(itq.quantization_errors_) <= accuracy * itq.quantization_errors_[0]).all()
    assert itq.rotation_ @ itq.rotation_.T == pytest.approx(np.eye(16), abs=1e-12)
    assert itq.components_ @ itq.components_.T == pytest.approx(np.eye(16), abs=1e-10)
    codes = np.unpackbits(itq.transform(features), axis=1).astype(float) * 2 - 1
    error = ((codes - itq.project(features)) ** 2).sum(1).mean()
    assert itq.quantization_errors_[-1] == pytest.approx(error, rel=1e-4)


def test_codes_are_those_of_the_seed_and_of_each_row_and_features_are_left_alone(features):
    before = features.copy()
    first, second, third = (ITQ(8, seed=s).fit_transform(features) for s in (1, 1, 2))
    assert np.array_equal(first, second) and not np.array_equal(first, third)
    assert np.array_equal(first[4321:], ITQ(8, seed=1).fit(features).transform(features[4321:]))
    assert np.array_equal(features, before)


def test_constant_and_few_features_still_give_codes():
    assert ITQ(8).fit_transform(np.ones((3, 8))).shape == (3, 1)
    assert ITQ(8).fit_transform(np.eye(8)[:2]).shape == (2, 1)


def test_follows_scikit_learn(features):
    itq = ITQ(bits=16, seed=5, iterations=2)
    assert itq.get_params() == {"bits": 16, "seed": 5, "iterations": 2}
    assert itq.fit(features) is itq and not hasattr(clone(itq), "rotation_")
    for method in (ITQ().transform, ITQ().project):
        for kind in (NotFittedError, SakeError):
            with pytest.raises(kind, match="not fitted"):
                method(features)


@pytest.mark.parametrize("kind, scales", [(np.float32, (1e-30, 1e30, 1e36)), (np.float64, (1e-200, 1e30, 1e150))])
def test_codes_are_those_of_the_features_whatever_their_scale(rng, kind, scales):
    x = rng.standard_normal((300, 24)).astype(kind)
    plain = ITQ(16, iterations=5).fit(x)
    for scale in scales:
        itq = ITQ(16, iterations=5).fit(x * kind(scale))
        assert np.array_equal(itq.transform(x * kind(scale)), plain.transform(x)), scale
        assert itq.mean_ == pytest.approx(plain.mean_ * scale, rel=1e-4, abs=1e-7 * scale)
    assert ITQ(16, iterations=5).fit(x * kind(2.0**40)).quantization_errors_ == pytest.approx(
        [
            16 - 2 * 2.0**40 * np.abs(z).sum() / 300 + 2.0**80 * np.square(z).sum() / 300  # as the definition says
            for z in (ITQ(16, iterations=n).fit(x).project(x).astype(float) for n in range(6))
        ],
        rel=1e-5,
    )


def test_stands_in_a_pipeline(features):
    pipe = make_pipeline(StandardScaler(), ITQ(16, iterations=3))
    codes = pipe.fit(features).transform(features)
    scaled = (features - features.mean(0)) / features.std(0)
    assert np.array_equal(codes, ITQ(16, iterations=3).fit(scaled).transform(scaled))
    assert np.array_equal(clone(pipe).fit_transform(features), codes)
    assert pipe.get_feature_names_out().tolist() == ["itq0", "itq1"]  # one a byte
    table = ITQ(16, iterations=3).set_output(transform="pandas").fit_transform(features)
    assert table.columns.tolist() == ["itq0", "itq1"] and len(table) == len(features)


@pytest.mark.parametrize(
    "settings, x, error, message",
    [
        ({"bits": 12}, np.eye(20), ConfigError, "bits=12 does not fill whole bytes"),
        ({"bits": 0}, np.eye(20), ConfigError, "bits=0"),
        ({"bits": 32}, np.eye(20), ConfigError, "bits=32 is more than the 20 dimensions"),
        ({"iterations": -1}, np.eye(20), ConfigError, "iterations=-1"),
        ({"bits": 8.0}, np.eye(20), ConfigError, "bits=8.0 is not possible. Give a whole number"),
        ({"seed": -1}, np.eye(20), ConfigError, "seed=-1 is not possible. Give a whole number from 0 on"),
        ({}, np.eye(20)[:1], DataError, "at least two"),
        ({}, np.full((2, 20), np.nan), DataError, "row 0, column 0"),
        ({}, np.eye(20, dtype=int), DataError, "type int64"),
        ({}, np.ones(20), DataError, "shape"),
    ],
)
def test_bad_input_is_named(settings, x, error, message):
    with pytest.raises(error, match=message):
        ITQ(**{"bits": 8, **settings}).fit(x)


def test_width_of_later_features_is_checked(features):
    with pytest.raises(DataError, match="19 columns; ITQ was fitted on 20"):
        ITQ(8).fit(features).transform(features[:, :19])


@pytest.mark.parametrize("bits", [8, 24, 64])
def test_a_packed_bit_is_a_sign(bits, rng):
    signs = rng.standard_normal((13, bits))
    assert np.array_equal(np.unpackbits(pack(signs), axis=1), signs > 0)
    assert pack(np.array([[1.0, -1, 0, 1, -1, -1, -1, 2]])).tolist() == [[0b10010001]]
    with pytest.raises(ConfigError, match="bits=9"):
        pack(np.zeros((1, 9)))


def test_the_number_of_threads_changes_no_bit(rng, with_cores):
    x, states = rng.standard_normal((20_000, 40), dtype=np.float32), []
    for n in (1, 2, 3):
        with_cores(n)
        itq = ITQ(bits=16, iterations=10).fit(x)
        states.append(vars(itq) | {"codes": itq.transform(x)})
    for other in states[1:]:
        for name, array in states[0].items():
            np.testing.assert_array_equal(other[name], array, err_msg=name)
