"""Figures: what they show against independent counts, named axes, the same bytes twice, no real images published."""

import importlib
import io
import sys

import matplotlib
import numpy as np
import pandas as pd
import pytest
from fakes import embedded, numbers, task
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from sakerepro import plots
from sakerepro.errors import ConfigError, DataError
from sakerepro.methods import preset
from sakerepro.plots.data import class_frame, pick_queries
from sakerepro.plots.labels import looks_of, run_groups
from sakerepro.plots.maps import class_look, joint_tsne
from sakerepro.plots.style import COLUMN, finish, fitted, new_figure, text_width
from sakerepro.results import paper_values, rows_frame
from sakerepro.results.rows import gain_groups

UNSEEN = ("horse", "giraffe", "owl", "swan", "dolphin")


def make_data(unseen=UNSEEN, seen=("dog", "cat"), name="mini"):
    """Five unseen classes of 7 photos and 3 sketches; the pixels are noise."""
    return task(unseen, np.repeat(np.arange(5), 3), np.repeat(np.arange(5), 7), seen, name, np.random.default_rng(0))


def make_run(seed=0, data=None, history=(), level=1.0, **settings):
    e = preset("mini", seed=seed, **settings)
    run = embedded(e, data or make_data(), np.random.default_rng(seed + 1), level)
    run.arrays[f"ap/ZS-SBIR/{e.dim}-d"] = naive_ap(run.arrays)[0]
    run.epochs = pd.DataFrame(history)
    run.measured = [
        {"task": t, "metric": "mAP@all", "convention": "standard", "representation": f"{e.dim}-d", "value": v}
        for t, v in (("ZS-SBIR", 0.1), ("ZS-PBIR", 0.5))
    ]
    return run


@pytest.fixture(autouse=True)
def nothing_leaks():
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    if "matplotlib.pyplot" in sys.modules:
        assert not importlib.import_module("matplotlib.pyplot").get_fignums()


def epochs(*maps, sake=False):
    n = len(maps)
    of_losses = {"lr": 1e-3, "loss": 2.0, "loss_benchmark": 2.0 / np.arange(1, n + 1), "val_top1": 0.5, "seconds": 1.0}
    traced = {"ZS-SBIR": maps, "ZS-PBIR": np.add(maps, 0.2)}
    return pd.DataFrame({"epoch": range(1, n + 1), **of_losses, **({"loss_sake": 3.0} if sake else {}), **traced})


def naive_ap(a):
    unit = {k: a[k] / np.linalg.norm(a[k], axis=1, keepdims=True) for k in ("query", "gallery")}
    scores = unit["query"].astype(float) @ unit["gallery"].astype(float).T
    ap = np.array(
        [average_precision_score(a["gallery_labels"] == c, s) for c, s in zip(a["query_labels"], scores, strict=True)]
    )
    return ap, scores, a["query_labels"], a["gallery_labels"]


def named(figure):
    """The axes that show data; each has both axes named, and the title has a claim and a line about the data."""
    figure.draw_without_rendering()
    claim, about = figure.get_suptitle().split("\n")
    assert claim and about
    shown = [a for a in figure.axes if a.get_visible() and (a.lines or a.collections or a.patches or a.images)]
    assert shown
    # panels that share an axis name it once
    assert all(a.get_xlabel() for a in shown if a.get_label() != "<colorbar>")
    assert any(a.get_ylabel() for a in shown)
    return shown


# ------------------------------------------------------------------------------------------------ rules and numbers


def test_the_failure_cases_are_the_lowest_ap_one_a_class():
    ap = np.array([0.9, 0.1, 0.05, 0.3, 0.3, np.nan, 0.8])
    labels = np.array([0, 0, 1, 2, 1, 3, 2])
    assert pick_queries(ap, labels, 3, "bad").tolist() == [2, 1, 3]
    assert pick_queries(ap, labels, 2, "bad").tolist() == [2, 1]
    assert pick_queries(ap, labels, 9, "good").tolist() == [0, 6, 4]
    assert pick_queries(np.full(4, 0.5), np.array([1, 1, 0, 0]), 2, "bad").tolist() == [0, 2]  # ties: the earlier


@pytest.mark.parametrize("n", [1, 2, 7, 12])
def test_mixed_cases_go_from_best_to_worst_one_a_class(n):
    rng = np.random.default_rng(n)
    ap, labels = rng.random(300), rng.integers(0, 12, 300)
    chosen = pick_queries(ap, labels, n, "mixed")
    assert len(chosen) == n == len(set(labels[chosen]))
    place = {q: r for r, q in enumerate(sorted(range(300), key=lambda q: -ap[q]))}
    for i, (query, wanted) in enumerate(zip(chosen, np.linspace(0, 299, n), strict=True)):
        free = [q for q in range(300) if labels[q] not in labels[chosen[:i]]]
        assert abs(place[query] - wanted) <= min(abs(place[q] - wanted) for q in free) + 1


@pytest.mark.parametrize(("n", "cases"), [(0, "bad"), (-1, "good"), (3, "worst")])
def test_an_unknown_rule_or_no_query_is_an_error(n, cases):
    with pytest.raises(ConfigError):
        pick_queries(np.ones(3), np.arange(3), n, cases)


def test_class_frame_equals_a_count_by_hand():
    run, other = make_run(lambda_sake=0.5), make_run(lambda_sake=0.0, seed=3)
    ap, scores, labels, gallery = naive_ap(run.embeddings())
    frame = class_frame(run, other, k=4)
    assert sorted(frame["class"]) == sorted(UNSEEN)
    assert (np.diff(frame["ap"]) <= 0).all()
    for row in frame.to_dict("records"):
        queries = np.flatnonzero(labels == UNSEEN.index(row["class"]))
        assert row["ap"] == pytest.approx(ap[queries].mean(), abs=1e-6)
        assert row["other_ap"] == pytest.approx(naive_ap(other.embeddings())[0][queries].mean(), abs=1e-6)
        assert row["worst_query"] == queries[ap[queries].argmin()]
        top = gallery[np.argsort(-scores[queries], axis=1)[:, :4]].ravel().tolist()
        wrong = [g for g in top if UNSEEN[g] != row["class"]]
        share = max(wrong.count(g) for g in wrong) / len(top) if wrong else 0.0
        assert row["taken_share"] == pytest.approx(share)
        if wrong:
            assert wrong.count(UNSEEN.index(row["taken_for"])) / len(top) == pytest.approx(share)


@pytest.mark.parametrize("change", [{"outside_original": True}, {"min_photos": 1}, {"dedupe": True}])
def test_runs_of_different_splits_are_not_compared(change):
    """The same labels prove nothing: class 0 of one split is not class 0 of the other."""
    run = make_run(random_unseen=2, history=epochs(0.4, 0.2))
    with pytest.raises(ConfigError, match=f"{next(iter(change))} differ"):
        class_frame(run, make_run(random_unseen=2, lambda_sake=0.0, **change))
    before = make_run(random_unseen=2, epochs=0, **change)
    (axis, _) = plots.forgetting_curves([before, run]).axes
    assert next(line for line in axis.lines if line.get_label() == "SAKE").get_xdata().tolist() == [1, 2]


def test_gain_groups_are_equal_parts_of_each_held_out_set():
    gains = {"a": [5, 1, 4, 2, 3, 6], "b": [0.3, 0.1, 0.2, 0.4]}
    lines = [(s, f"{s}{i}", g) for s, gs in gains.items() for i, g in enumerate(gs)]
    frame = pd.DataFrame(lines, columns=["split", "class", "gain"])
    grouped = gain_groups(frame, 3).set_index(["split", "gain"])["group"]
    assert [grouped["a", g] for g in (1, 2, 3, 4, 5, 6)] == [0, 0, 1, 1, 2, 2]
    assert [grouped["b", g] for g in (0.1, 0.2, 0.3, 0.4)] == [0, 0, 1, 2]
    with pytest.raises(ConfigError, match="'b' has 4 classes"):
        gain_groups(frame, 5)


def test_joint_tsne_is_seeded_and_keeps_the_share_of_each_domain():
    rng = np.random.default_rng(0)
    photos, sketches = rng.normal(size=(60, 5)), rng.normal(size=(20, 5))
    first, again = (joint_tsne(photos, sketches, seed=1, max_points=40) for _ in range(2))
    assert first[0].shape == (30, 2) and first[1].shape == (10, 2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ConfigError, match="4 points"):
        joint_tsne(photos[:2], sketches[:2])


def test_joint_tsne_keeps_far_groups_apart():
    rng = np.random.default_rng(0)
    centre = 20 * np.eye(4)[np.repeat(np.arange(4), 20)]
    photos, sketches, *_ = joint_tsne(centre + rng.normal(size=(80, 4)), 3 * centre + rng.normal(size=(80, 4)))
    labels = np.repeat(np.arange(4), 20)  # a sketch lies among the photos of its class: length does not matter
    assert KNeighborsClassifier(5).fit(photos, labels).score(sketches, labels) == 1.0


def test_every_one_of_49_classes_has_a_look_of_its_own():
    assert len({class_look(i) for i in range(49)}) == 49


def test_fitted_text_fits():
    assert fitted("owl", 1.0, 6) == ("owl", 6)
    for text in ("steam locomotive", "crocodilian reptile of the Nile", "W" * 60):
        shown, size = fitted(text, 0.5, 6)
        assert text_width(shown, size) <= 0.501 and 4.5 <= size <= 6


# ---------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("cases", ["good", "bad", "mixed"])
def test_the_marks_of_the_grid_match_the_ranks(cases):
    run = make_run()
    ap, scores, labels, gallery = naive_ap(run.embeddings())
    figure = plots.retrieval_grid(run, n_queries=4, k=5, cases=cases)
    tiles = [a for a in figure.axes if "rank" in a.get_gid()]
    assert len(tiles) == 4 * 5
    queries = []
    for axes in tiles:
        _, query, _, rank, _, photo, verdict = axes.get_gid().split()
        photo, query = int(photo), int(query)
        queries.append(query)
        assert photo == np.argsort(-scores[query])[int(rank) - 1]
        assert verdict == ("right" if gallery[photo] == labels[query] else "wrong")
        assert [t.get_text() for t in axes.texts] == ["✓" if verdict == "right" else "✗"]
        assert (axes.spines["left"].get_linestyle() in ("-", "solid")) == (verdict == "right")  # not by colour alone
        assert axes.get_xlabel() == ("" if verdict == "right" else UNSEEN[gallery[photo]])
        np.testing.assert_array_equal(axes.images[0].get_array(), run.data.gallery.take([photo])[0])
    chosen = list(dict.fromkeys(queries))
    assert len({labels[q] for q in chosen}) == 4
    if cases == "bad":
        assert chosen[0] == ap.argmin()
    if cases == "good":
        assert chosen[0] == ap.argmax()


def test_tiles_instead_of_pictures():
    figure = plots.retrieval_grid(make_run(), n_queries=2, k=3, images=False)
    assert not any(a.images for a in figure.axes)
    assert all(a.texts[0].get_text() in UNSEEN for a in figure.axes)


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path))
    monkeypatch.delenv("SAKEREPRO_RESULTS", raising=False)
    return tmp_path


@pytest.mark.parametrize("name", ["sketchy-125x25", "mini"])  # a folder that is called mini is not the mini world
def test_pictures_of_real_data_are_not_published(places, name):
    real = make_data(tuple("cdefg"), ("a", "b"), name)
    run = make_run(data=real, dataset="sketchy-125x25", split="zeroshot1")
    figure = plots.retrieval_grid(run, 1, 2, images=True)
    for target in (places / "results" / "small" / "figure3", places / "results" / ".." / "notebooks" / "x"):
        with pytest.raises(ConfigError, match="may not be published"):
            plots.save(figure, target)
        with pytest.raises(ConfigError, match="may not be published"):
            figure.savefig(target.with_name("x.png"))
    assert not (places / "results").exists()
    assert len(plots.save(figure, places / "own" / "figure")) == 2
    tiles = plots.retrieval_grid(run, 1, 2)  # the default
    assert not any(a.images for a in tiles.axes)
    plots.save(tiles, places / "results" / "small" / "figure3")


def test_the_generated_world_may_be_published(places):
    run = make_run()
    files = plots.save(plots.retrieval_grid(run, 1, 2), places / "results" / "mini" / "figure3")
    assert [p.name for p in files] == ["figure3.png", "figure3.svg"]


def test_names_of_classes_are_text_in_every_figure():
    names = ("us$ and au$ notes", "_a_b", "a|b", "<b>$x^2$</b>", "r\\$d$")
    data = make_data(names)
    run = make_run(data=data)
    matrix = plots.semantic_heatmap(np.eye(5), names, names)
    bars, _ = plots.per_class_bars(run)
    for figure in (bars, matrix, plots.tsne_map(run), plots.retrieval_grid(run, 5, 3, cases="good", images=True)):
        figure.draw_without_rendering()
        texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
        assert not any(t.get_parse_math() for t in texts)
        for name in names:
            assert any(t.get_text() == name or t.get_text().startswith(f"{name}, ") for t in texts), name
    assert text_width("$$$$", 6) == pytest.approx(2 * text_width("$$", 6), rel=0.2)


def test_training_curves_show_the_history():
    runs = [
        make_run(history=epochs(0.2, 0.3, 0.4, sake=True)),
        make_run(seed=1, history=epochs(0.3, 0.5, 0.4)),
        make_run(lambda_sake=0.0, history=epochs(0.4, 0.2, 0.1)),
        make_run(epochs=0),
    ]
    axes = {a.get_ylabel(): a for a in named(plots.training_curves(runs))}
    assert list(axes) == [
        "benchmark loss (nats)",
        "SAKE loss (nats)",
        "validation top-1 (fraction)",
        "ZS-SBIR mAP@all",
        "ZS-PBIR mAP@all",
    ]
    lines = {line.get_label(): line for line in axes["ZS-SBIR mAP@all"].lines}
    np.testing.assert_allclose(lines["SAKE"].get_ydata(), [0.25, 0.4, 0.4])  # mean of two seeds
    np.testing.assert_allclose(lines["L_B"].get_ydata(), [0.4, 0.2, 0.1])
    np.testing.assert_allclose(lines["pretrained"].get_ydata(), 0.1)
    assert len({(str(line._dash_pattern), line.get_marker()) for line in lines.values()}) == 3
    with pytest.raises(ConfigError, match="history"):
        plots.training_curves(runs[3:])
    with pytest.raises(ConfigError, match="no run"):
        plots.training_curves([])


def test_forgetting_curves_start_at_the_pretrained_network_and_mark_the_best_epoch():
    runs = [make_run(epochs=0), make_run(lambda_sake=0.0, history=epochs(0.4, 0.2, 0.1))]
    (axis, _) = named(plots.forgetting_curves(runs))
    line = next(line for line in axis.lines if line.get_label() == "L_B")
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.1], [1, 0.4], [2, 0.2], [3, 0.1]])
    ring = next(line for line in axis.lines if line.get_label() == "best epoch")
    np.testing.assert_allclose(ring.get_xydata(), [[1, 0.4]])
    with pytest.raises(ConfigError, match="trace=True"):
        plots.forgetting_curves(runs[:1])


def test_groups_are_runs_that_differ_by_seed_only():
    runs = [make_run(seed=s, dim=d) for s in (0, 1) for d in (32, 64)] + [make_run(lambda_sake=0.0)]
    groups = run_groups(runs)
    assert {label: len(members) for label, members in groups.items()} == {"SAKE, 32-d": 2, "SAKE, 64-d": 2, "L_B": 1}
    looks = looks_of(groups)
    assert len({look.marker for look in looks.values()}) == len({str(look.line) for look in looks.values()}) == 3
    assert looks["SAKE, 32-d"].color == looks["SAKE, 64-d"].color != looks["L_B"].color  # a colour is a method


def test_the_data_are_named_once_and_a_random_split_is_no_official_one():
    at = {"dataset": "sketchy-125x25", "split": "zeroshot1", "random_unseen": 25}
    runs = [make_run(history=epochs(0.4, 0.2), class_seed=i, **at) for i in (0, 1)]
    title = plots.training_curves(runs).get_suptitle()
    assert title.endswith("\nSketchy subset, random split 0, random split 1. SAKE (cse_resnet_mini, 64-d)")


def test_a_split_without_validation_sketches_is_named_where_its_line_is_missing():
    without = epochs(0.4, 0.2).drop(columns="val_top1")
    both = [make_run(history=epochs(0.4, 0.2)), make_run(split="zeroshot2", dataset="sketchy-125x25", history=without)]
    texts = [t.get_text() for axis in plots.training_curves(both).axes for t in axis.texts]
    assert texts == ["no validation sketches: zeroshot2"]
    assert not [t for axis in plots.training_curves(both[:1]).axes for t in axis.texts]


def test_per_class_bars_are_sorted_and_linked_to_the_failure_cases():
    run = make_run()
    figure, frame = plots.per_class_bars(run, make_run(lambda_sake=0.0))
    axis = named(figure)[0]
    np.testing.assert_allclose([bar.get_width() for bar in axis.patches], frame["ap"])
    assert [t.get_text() for t in axis.get_yticklabels()] == frame["class"].tolist()
    grid = plots.retrieval_grid(run, n_queries=5, k=2, cases="bad")
    shown = {int(a.get_gid().split()[1]) for a in grid.axes}
    assert shown == set(frame["worst_query"])


def test_tsne_map_shows_every_point_once_and_pale_photos_behind_sketches():
    run = make_run()
    photo, sketch = named(plots.tsne_map(run))
    (dots,), (behind, front) = photo.collections, sketch.collections
    photo_labels, query_labels = np.repeat(np.arange(5), 7), np.repeat(np.arange(5), 3)
    assert len(dots.get_offsets()) == len(behind.get_offsets()) == 35 and len(front.get_offsets()) == 15
    for label in range(5):
        dark = front.get_facecolors()[query_labels == label, :3]
        pale = behind.get_facecolors()[photo_labels == label, :3]
        assert (dark == dark[0]).all() and (pale == pale[0]).all()
        assert pale.mean() > dark.mean() + 0.2
        np.testing.assert_allclose(dots.get_facecolors()[photo_labels == label, :3], np.tile(dark[0], (7, 1)))
    np.testing.assert_array_equal(dots.get_offsets(), behind.get_offsets())  # one joint embedding
    assert sorted(t.get_text() for t in sketch.texts) == sorted(UNSEEN)
    assert len(plots.tsne_map(run, make_run(lambda_sake=0.0)).axes) == 4
    with pytest.raises(ConfigError, match="no run"):
        plots.tsne_map()


def test_names_on_the_map_do_not_lie_over_each_other():
    figure = plots.tsne_map(make_run(level=0.1))  # everything in one heap
    figure.draw_without_rendering()
    for axis in figure.axes:
        boxes = [t.get_window_extent() for t in axis.texts]
        for i, a in enumerate(boxes):
            assert not any(a.overlaps(b) for b in boxes[:i])


def test_semantic_heatmap_pairs_each_seen_class_with_its_closest():
    rng = np.random.default_rng(0)
    similarity = rng.random((9, 40)) * 0.3
    best = rng.permutation(40)[:9]
    similarity[np.arange(9), best] = 0.9
    names = [f"name {i}, other name" for i in range(40)]
    axis = named(plots.semantic_heatmap(similarity, [f"seen {i}" for i in range(9)], names))[0]
    rows = [int(t.get_text().split()[1]) for t in axis.get_yticklabels()]
    columns = [int(t.get_text().split()[1]) for t in axis.get_xticklabels()]
    assert sorted(rows) == list(range(9)) and columns == best[rows].tolist()
    np.testing.assert_allclose(axis.collections[0].get_array(), similarity[np.ix_(rows, columns)])
    small = named(plots.semantic_heatmap(similarity, list("abcdefghi"), names, top=4))[0]
    assert small.collections[0].get_array().shape == (4, 4)
    with pytest.raises(DataError, match="40 original"):
        plots.semantic_heatmap(similarity.T, list("abcdefghi"), names)


# ------------------------------------------------------------------------------------------------- figures of rows


def rows(*values, preset="mini", **where):
    return numbers(*values, preset=preset, **where)


def test_a_long_legend_takes_no_room_from_the_axes() -> None:
    heights = []
    for lines in (4, 12):
        figure, (axis,) = new_figure(COLUMN, 2.5)
        for i in range(lines):
            axis.plot([0, i], label=f"a name that is so long that it stands alone in its row {i}")
        finish(figure, "claim", "about").draw_without_rendering()
        heights.append(axis.get_window_extent().height)
    assert heights[1] == pytest.approx(heights[0], rel=0.15)


def test_comparison_bars_show_means_spread_and_the_papers_numbers():
    frame = rows_frame([*rows(0.3, 0.5), *rows(0.2, method="L_B"), *rows(0.1, representation="64-bit")])
    (axis,) = named(plots.comparison_bars(frame))
    assert axis.get_title(loc="left") == "ours: generated mini world\npaper: TU-Berlin Ext."
    names = [t.get_text() for t in axis.get_yticklabels()]
    bars = {names[round(b.get_y() + b.get_height() / 2)]: b.get_width() for b in axis.patches}
    assert bars == pytest.approx({"L_B, 64-d": 0.2, "SAKE, 64-d": 0.4, "SAKE, 64-bit": 0.1})
    (diamonds,) = (line for line in axis.lines if line.get_marker() == "D")
    marks = {names[int(y)]: x for x, y in diamonds.get_xydata() if not np.isnan(x)}
    table = paper_values("table1").query("dataset == 'tuberlin' and metric == 'mAP@all'")
    want = {f"{m}, {r}": v for m, r, v in table[["method", "representation", "value"]].to_numpy()}
    assert marks == pytest.approx(want)
    (spread,) = (s[:, 0] for s in axis.collections[0].get_segments() if s.ndim == 2 and not np.isnan(s).any())
    np.testing.assert_allclose(spread, [0.4 - np.std([0.3, 0.5], ddof=1), 0.4 + np.std([0.3, 0.5], ddof=1)])


def test_comparison_bars_say_what_the_papers_numbers_were_measured_on():
    figure = plots.comparison_bars(rows_frame(rows(0.3, 0.5)))
    texts = {t.get_text() for t in figure.legends[0].get_texts()}
    assert texts == {"the paper's number", "ours, mean ± s.d. of 2 seeds"}
    paper = rows_frame(rows(0.3, preset="paper"))
    assert plots.comparison_bars(paper).axes[0].get_title(loc="left") == "TU-Berlin Ext."  # one data set for both
    assert "cse_resnet50" in plots.comparison_bars(paper).get_suptitle()
    assert len(plots.comparison_bars(rows_frame([])).axes) == 2  # mAP@all stands for two data sets
    with pytest.raises(ConfigError, match="P@100"):
        plots.comparison_bars(rows_frame([]), "P@10")
    with pytest.raises(ConfigError, match="item"):
        plots.comparison_bars(rows_frame([]), item="table4")


def test_the_bars_of_the_splits_show_map_of_each_split_and_method():
    at = {"representation": "64-bit"}
    cells = [(i, m, v + i / 10) for i in range(3) for m, v in (("SAKE", 0.3), ("L_B", 0.2))]
    every = [r for i, m, v in cells for r in rows(v, data=f"tuberlin/random{i}", method=m, **at)]
    axes = named(plots.comparison_bars(rows_frame(every), item="splits"))
    for i, axis in enumerate(axes):
        assert axis.get_title(loc="left").startswith(f"ours: generated mini world, random{i}\n")
        assert [bar.get_width() for bar in axis.patches] == pytest.approx([0.2 + i / 10, 0.3 + i / 10])
        (diamonds,) = (line for line in axis.lines if line.get_marker() == "D")
        assert np.nanmax(diamonds.get_xdata()) == (0.352, 0.369, 0.359)[i]
        assert axis.get_xlim()[1] > 0.5  # one scale, on which everything is seen


def test_bits_curve_puts_ours_beside_the_papers():
    values = ((32, 0.2), (64, 0.3), (128, 0.4))
    ours = [r for b, v in values for r in rows(v - 0.1, v + 0.1, representation=f"{b}-bit")]
    (axis,) = named(plots.bits_curve(rows_frame([*ours, *rows(0.25, method="L_B", representation="64-bit")])))
    lines = {line.get_label(): line for line in axis.lines}
    np.testing.assert_allclose(lines["SAKE, ours"].get_xydata(), values)
    (bars,) = (c for c in axis.containers if c.has_yerr)
    want = [[v - np.std([-0.1, 0.1], ddof=1), v + np.std([-0.1, 0.1], ddof=1)] for _, v in values]
    np.testing.assert_allclose([s[:, 1] for s in bars.lines[2][0].get_segments()], want)
    theirs = lines["SAKE, paper"]
    np.testing.assert_allclose(theirs.get_xydata(), [[32, 0.269], [64, 0.359], [128, 0.392]])
    assert theirs.get_markerfacecolor() == "white"
    level = lines["L_B, ours (64 bits)"]
    assert set(level.get_ydata()) == {0.25} and level.get_xdata() == [0, 1]  # from edge to edge
    assert axis.get_title(loc="left") == "ours: generated mini world\npaper: TU-Berlin Ext."
    assert len(plots.bits_curve(rows_frame([])).axes) == 2


def test_lambda_curves_have_zero_on_the_axis():
    values = {0.0: 0.1, 0.1: 0.2, 0.3: 0.3, 1.0: 0.4, 3.0: 0.35}
    frame = rows_frame([r for x, v in values.items() for r in rows(v, v, lambda_sake=x)])
    theirs, ours = named(plots.lambda_curves(frame))
    assert ours.get_xscale() == "symlog" and "λ_SAKE" in ours.get_xlabel()
    np.testing.assert_allclose(ours.lines[0].get_xydata(), list(values.items()))
    np.testing.assert_allclose(theirs.lines[0].get_ydata(orig=False), [0.353, 0.378, 0.395, 0.434, 0.429])
    table3 = rows_frame([r for x in (0.0, 0.1, 3.0) for r in rows(0.2 + x / 10, lambda2=x)])
    _, ours = named(plots.lambda_curves(table3, "lambda2"))
    drawn = {line.get_label(): line.get_xdata().tolist() for line in ours.lines}
    assert drawn["λ₁ = 1"] == [0.0, 0.1, 3.0]
    assert len(plots.lambda_curves(rows_frame([]), "lambda2").axes) == 1  # nothing run: the paper's alone
    with pytest.raises(ConfigError, match="lambda2"):
        plots.lambda_curves(frame, "lambda3")


def test_gain_by_similarity_shows_means_over_held_out_sets():
    lines = [(s, f"{s}{i}", i, i / 10 + e, 1.0 + i) for s, e in (("set 1", 0.0), ("set 2", 0.2)) for i in range(6)]
    frame = pd.DataFrame(lines, columns=["split", "class", "gain", "confidence", "LCH"])
    confidence, lch = named(plots.gain_by_similarity(frame))
    means, _, (bars,) = confidence.containers[0].lines
    np.testing.assert_allclose(means.get_ydata(orig=False), [0.15, 0.35, 0.55])
    assert means.get_linestyle() == "None"  # three groups are no course
    for low, high, group in zip(*np.transpose([b[:, 1] for b in bars.get_segments()]), range(3), strict=True):
        sets = frame[frame["gain"] // 2 == group].groupby("split")["confidence"].mean()
        want = stats.ttest_1samp(sets, 0).confidence_interval()
        assert (low, high) == pytest.approx((want.low, want.high))
    assert len(lch.collections[0].get_offsets()) == 12
    for column in ("gain", "split", "confidence"):
        with pytest.raises(ConfigError, match=column):
            plots.gain_by_similarity(frame.drop(columns=column))


# ---------------------------------------------------------------------------------------------------------- keeping


def svg(figure):
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()


def test_the_same_figure_gives_the_same_bytes_and_no_date(tmp_path):
    run = make_run(history=epochs(0.2, 0.3))
    makers = (
        lambda: plots.retrieval_grid(run, 1, 2),
        lambda: plots.tsne_map(run),
        lambda: plots.comparison_bars(rows_frame(rows(0.3))),
    )
    for make in makers:
        assert svg(make()) == svg(make())
    first, again = (plots.save(plots.training_curves([run]), tmp_path / f"curves.v{i}") for i in (1, 2))
    for a, b in zip(first, again, strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert first[0].read_bytes().startswith(b"\x89PNG")
    text = first[1].read_text(encoding="utf-8")
    assert text.rstrip().endswith("</svg>") and "<dc:date>" not in text
    assert plots.save(plots.training_curves([run]), tmp_path / "curves.v1") == first
    assert len(list(tmp_path.glob("curves.v1*"))) == 2


def test_another_style_file_changes_every_colour(tmp_path, monkeypatch):
    monkeypatch.setattr("sakerepro.plots.style.STYLE", tmp_path / "other.mplstyle")
    (tmp_path / "other.mplstyle").write_text('axes.prop_cycle: cycler("color", ["ff0000"])\n')
    drawn = svg(plots.training_curves([make_run(history=epochs(0.2, 0.3))]))
    assert b"#ff0000" in drawn and b"#0072b2" not in drawn


def test_the_users_own_settings_change_nothing():
    run = make_run(history=epochs(0.2, 0.3))
    plain = svg(plots.training_curves([run]))
    with matplotlib.rc_context({"font.size": 20, "axes.grid": True, "svg.fonttype": "none", "lines.linewidth": 5}):
        assert svg(plots.training_curves([run])) == plain


def test_a_notebook_shows_the_figure_once_and_without_pyplot():
    figure = plots.training_curves([make_run(history=epochs(0.2))])
    assert isinstance(figure, Figure)
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert not hasattr(figure, "_repr_svg_")
