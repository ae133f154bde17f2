"""Drawings, the photos that answer them, and the sketch pad's Python side, without a browser."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from PIL import Image

from sakerepro.apps.drawing import example_strokes, pen_of, render
from sakerepro.apps.photos import Collection, index_photos, query
from sakerepro.apps.widgets import DrawAndRetrieve, Retriever, choose_runs, draw_and_retrieve
from sakerepro.data.dataset import SKETCH, ImageSet
from sakerepro.errors import ConfigError, DataError, RunError
from sakerepro.files import read_json, write_json
from sakerepro.hashing import ITQ
from sakerepro.runs import Run

LINE = {"width": 0.1, "points": [[0.2, 0.3], [0.8, 0.3], [0.8, 0.75]]}


@pytest.fixture
def pair(tiny_pair: list[Run], monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """The two runs, in the folder in which the package looks for runs."""
    monkeypatch.setenv("SAKEREPRO_RUNS", str(tiny_pair[0].folder.parent))
    return tiny_pair


@pytest.fixture(scope="module")
def retriever(tiny_pair: list[Run]) -> Retriever:
    return Retriever(tiny_pair[0])


def coverage(strokes: list[dict[str, Any]], size: int, fine: int = 8) -> np.ndarray:
    """(size, size) share of each pixel that lies within half a width of a line, counted at fine x fine places."""
    y, x = (np.mgrid[: size * fine, : size * fine] + 0.5) / (size * fine)
    inside = np.zeros(x.shape, bool)
    for stroke in strokes:
        points = np.array(stroke["points"], float)
        for a, b in zip(points, points[1:] if len(points) > 1 else points, strict=False):
            way = b - a
            t = ((x - a[0]) * way[0] + (y - a[1]) * way[1]) / max(float(way @ way), 1e-12)
            t = t.clip(0, 1)
            inside |= np.hypot(x - a[0] - t * way[0], y - a[1] - t * way[1]) <= stroke["width"] / 2
    return inside.reshape(size, fine, size, fine).mean(axis=(1, 3))


@pytest.mark.parametrize("size", [17, 31, 96])
@pytest.mark.parametrize("points", [LINE["points"], [[0.4, 0.6]], [[-0.3, 0.2], [1.4, 0.9]]])
def test_lines_cover_what_is_within_half_their_width(size: int, points: list[list[float]]) -> None:
    strokes = [{"width": 0.09, "points": points}]
    got, want = render(strokes, size), 255 * (1 - coverage(strokes, size))
    assert got.shape == (size, size) and got.dtype == np.uint8
    assert np.abs(got - want).mean() < 4
    assert (255 - got).sum() == pytest.approx((255 - want).sum(), rel=0.1)


def test_ink_is_the_darkest_value_and_nothing_is_white() -> None:
    assert render([LINE], 40, ink=77).min() == 77
    assert (render([], 5) == 255).all()
    assert render([LINE], 1).shape == (1, 1)


@pytest.mark.parametrize(
    "bad",
    [
        {"points": [[0, 0]]},
        {"width": 0.1, "points": []},
        {"width": 0, "points": [[0, 0]]},
        [0.1, 0.2],
        {"width": 0.1, "points": [[0, "x"]]},
        {"width": 0.1, "points": [[0, float("nan")]]},
        {"width": float("nan"), "points": [[0, 0]]},
        {"width": 0.1, "points": [[0, 1, 2]]},
        {"width": 2, "points": [[0, 0]]},
    ],
)
def test_a_stroke_that_is_none_is_named_by_its_number(bad: Any) -> None:
    with pytest.raises(DataError, match="stroke 2 is not a line"):
        render([LINE, bad], 20)


def test_a_loaded_image_is_grey_below_the_lines() -> None:
    colours = np.zeros((9, 9, 3), np.uint8)
    colours[..., 0] = 200
    buffer = io.BytesIO()
    Image.fromarray(colours).save(buffer, "PNG")
    grey = render([], 20, bitmap=buffer.getvalue())
    assert np.abs(grey - 0.299 * 200).max() <= 1  # luma of ITU-R 601
    both = render([LINE], 20, ink=255, bitmap=buffer.getvalue())
    assert both.max() == 255 and both.min() == grey.min()
    with pytest.raises(DataError, match="the loaded image"):
        render([], 20, bitmap=b"no image")


@pytest.mark.parametrize("width,ink,size", [(0.02, 0, 128), (0.035, 60, 96), (0.02, 45, 48)])
def test_the_pen_of_sketches_is_found(width: float, ink: int, size: int, rng: np.random.Generator) -> None:
    sketches = []
    for _ in range(9):
        points = rng.uniform(0.1, 0.9, (4, 2)).tolist()
        dark = coverage([{"width": width, "points": points}], size, fine=4)
        sketches.append((255 - (255 - ink) * dark).round().astype(np.uint8))
    pixels = np.stack(sketches)[..., None]
    pen = pen_of(ImageSet(pixels, np.arange(9), np.zeros(9, np.int64), ("",) * 9, SKETCH))
    assert pen.width == pytest.approx(width, rel=0.15) and abs(pen.ink - ink) <= 12
    blank = ImageSet(np.full_like(pixels, 255), np.arange(9), np.zeros(9, np.int64), ("",) * 9, SKETCH)
    assert pen_of(blank).ink == 0


def test_the_example_lies_on_the_paper() -> None:
    points = np.concatenate([s["points"] for s in example_strokes()])
    assert points.min() > 0 and points.max() < 1 and np.ptp(points, axis=0).max() > 0.6
    assert (render(example_strokes(), 64) < 128).any()


def test_a_sketch_of_the_data_set_has_the_embedding_that_the_run_kept(retriever: Retriever) -> None:
    queries = retriever.run.dataset().query
    for index in (0, len(queries) - 1):
        got = retriever.embed(queries.take([index])[0, :, :, 0])
        assert got[0] == pytest.approx(retriever.run.embeddings()["query"][index], abs=1e-4)


def test_photos_come_nearest_first_by_cosine(retriever: Retriever) -> None:
    sketch, data = render([LINE], 50), retriever.run.dataset()
    x = retriever.embed(sketch)[0]
    gallery = retriever.run.embeddings()["gallery"]
    distance = 1 - gallery @ x / np.linalg.norm(gallery, axis=1) / np.linalg.norm(x)
    photos = retriever.search(sketch, 7)
    assert list(photos.columns) == ["rank", "class", "distance", "image", "photo"]
    assert photos["rank"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert photos["distance"].to_numpy() == pytest.approx(np.sort(distance)[:7], abs=1e-5)
    assert photos["distance"].to_numpy() == pytest.approx(distance[photos["photo"]], abs=1e-5)
    assert photos["class"].tolist() == [data.unseen[data.gallery.labels[p]] for p in photos["photo"]]
    assert photos["image"].tolist() == [data.gallery.names[p] for p in photos["photo"]]


def test_codes_are_fitted_to_training_features_and_compared_bit_by_bit(retriever: Retriever) -> None:
    assert retriever.representations == ("real", "32-bit")
    arrays, sketch = retriever.run.embeddings(), render([LINE], tiny.SIDE)
    itq = ITQ(bits=32, seed=0).fit(np.concatenate([arrays["train_photo"], arrays["train_sketch"]]))
    bits = [np.unpackbits(itq.transform(x), axis=1) for x in (retriever.embed(sketch), arrays["gallery"])]
    differ = (bits[0] != bits[1]).sum(axis=1)
    photos = retriever.search(sketch, 100, "32-bit")
    assert len(photos) == len(differ) == 24  # all there are
    assert photos["distance"].tolist() == np.sort(differ).tolist() == differ[photos["photo"]].tolist()


@pytest.mark.parametrize(
    "sketch,k,representation,says",
    [
        (np.zeros((4, 4, 3), np.uint8), 3, "real", "a sketch has shape"),
        (np.zeros((4, 4), np.float32), 3, "real", "a sketch has shape"),
        (np.eye(4, dtype=np.uint8), 0, "real", "k=0"),
        (np.eye(4, dtype=np.uint8), 3, "64-bit", "Did you mean '32-bit'"),
    ],
)
def test_what_cannot_be_searched_is_said(retriever, sketch, k, representation, says):
    with pytest.raises(ConfigError, match=says):
        retriever.search(sketch, k, representation)


def test_a_thumbnail_is_the_photo(retriever: Retriever) -> None:
    with Image.open(io.BytesIO(retriever.thumbnail(5))) as image:
        assert image.format == "JPEG" and image.size == (tiny.SIDE, tiny.SIDE)
        off = np.abs(np.asarray(image).astype(int) - retriever.photos.take([5])[0])
    assert off.mean() < 8
    assert retriever.thumbnail(5) is retriever.thumbnail(5)


def test_photos_of_other_data_than_the_run_saw_are_refused(tiny_pair: list[Run], tmp_path: Path) -> None:
    folder = tmp_path / tiny_pair[0].id
    shutil.copytree(tiny_pair[0].folder, folder)
    write_json(folder / "provenance.json", {**read_json(folder / "provenance.json"), "data": "0" * 64})
    with pytest.raises(RunError, match="was made from other images"):
        Retriever(replace(tiny_pair[0], folder=folder))


class Browser:
    """The other end of a pad: sends what the page would send, keeps what it would show."""

    def __init__(self, widget: DrawAndRetrieve, monkeypatch: pytest.MonkeyPatch) -> None:
        self.widget, self.shown, self.buffers = widget, [], []
        monkeypatch.setattr(DrawAndRetrieve, "send", self.receive)

    def receive(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self.shown.append(content)
        self.buffers = list(buffers or [])

    def draw(self, **state: Any) -> dict[str, Any]:
        self.widget.set_state({"version": self.widget.version + 1, "example": False, **state})
        return self.shown[-1]


@pytest.fixture
def browser(tiny_pair: list[Run], monkeypatch: pytest.MonkeyPatch) -> Browser:
    return Browser(draw_and_retrieve(*tiny_pair, k=4), monkeypatch)


def test_a_line_from_the_browser_is_answered_with_photos(browser: Browser) -> None:
    answer = browser.draw(strokes=[LINE])
    pad, frames = browser.widget, browser.widget.frames
    assert answer["version"] == pad.version == 1 and not answer["wrong"]
    assert answer["text"] == "4 of 24 photos (data, unseen.txt)"
    titles = [f"{name}, 40-d real-valued" for name in ("SAKE", "baseline without L_SAKE")]
    assert [s["title"] for s in answer["strips"]] == titles
    for strip, frame, retriever in zip(answer["strips"], frames, browser.widget.retrievers, strict=True):
        want = retriever.search(render([LINE], retriever.size, ink=pad.ink), 4)
        assert frame.equals(want)
        assert [p["label"] for p in strip["photos"]] == want["class"].tolist()
        assert [p["distance"] for p in strip["photos"]] == [f"{d:.3f}" for d in want["distance"]]
    assert browser.buffers == [
        r.thumbnail(p) for r, f in zip(browser.widget.retrievers, frames, strict=True) for p in f["photo"]
    ]


def test_every_version_is_answered_also_with_the_same_lines(browser: Browser) -> None:
    first, second = browser.draw(strokes=[LINE]), browser.draw(strokes=[LINE])
    assert (first["version"], second["version"]) == (1, 2) and first["strips"] == second["strips"]
    assert len(browser.shown) == 2


def test_controls_change_the_answer(browser: Browser) -> None:
    browser.draw(strokes=[LINE])
    browser.widget.k = 6
    browser.widget.representation = "32-bit"
    strips = browser.shown[-1]["strips"]
    assert [len(s["photos"]) for s in strips] == [6, 6]
    assert strips[1]["title"] == "baseline without L_SAKE, 32-bit codes"
    assert strips[0]["photos"][0]["distance"].endswith(" bits")


def test_an_image_from_the_browser_is_searched_with_and_a_damaged_one_is_said(browser: Browser) -> None:
    query = browser.widget.retrievers[0].run.dataset().query.take([3])[0, :, :, 0]
    buffer = io.BytesIO()
    Image.fromarray(query).save(buffer, "PNG")
    browser.draw(strokes=[], bitmap=memoryview(buffer.getvalue()))
    assert (browser.widget.sketch(tiny.SIDE) == query).all()
    assert len(browser.shown[-1]["strips"]) == 2
    answer = browser.draw(bitmap=memoryview(buffer.getvalue()[:40]))
    assert answer["wrong"] and answer["text"].startswith("the loaded image") and answer["strips"] == []


def test_an_empty_paper_and_a_page_that_opens_later(browser: Browser) -> None:
    assert browser.draw(strokes=[])["text"].startswith("Draw something")
    browser.draw(strokes=[LINE])
    before = browser.shown[-1]
    browser.widget._handle_custom_msg({"kind": "ready"}, [])
    assert browser.shown[-1] == before and len(browser.shown) == 3
    browser.widget._handle_custom_msg({"kind": "something else"}, [])
    assert len(browser.shown) == 3


def test_without_a_browser_it_is_a_picture_and_a_line_of_text(tiny_pair: list[Run]) -> None:
    pad = draw_and_retrieve(tiny_pair[0], k=3, representation="32-bit")
    bundle, _ = pad._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert bundle["text/plain"] == "A sketch and its 3 nearest photos: SAKE, 32-bit codes"
    with Image.open(io.BytesIO(bundle["image/png"])) as image:
        assert image.format == "PNG" and np.asarray(image.convert("L")).min() < 100
    assert pad.picture().images_of == ""  # tiles: these are no images of the generated world
    assert pad.picture(images=True).images_of != ""
    words = [t.get_text() for axis in pad.picture().axes for t in axis.texts]
    assert words == [f"{r} {c}\n{d} bits" for r, c, d in pad.frames[0].iloc[:, :3].itertuples(index=False)]


def test_an_empty_paper_has_a_picture_too(tiny_pair: list[Run]) -> None:
    pad = draw_and_retrieve(*tiny_pair, k=2, strokes=[])
    assert pad.frames == [] and pad.picture().axes


@pytest.mark.parametrize(
    "setting,says",
    [({"k": 0}, "Use 1 to 24"), ({"k": 25}, "Use 1 to 24"), ({"representation": "128-bit"}, "Known: real, 32-bit")],
)
def test_a_pad_that_cannot_be_is_refused(tiny_pair: list[Run], setting: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        draw_and_retrieve(*tiny_pair, **setting)


def test_two_runs_of_one_method_are_told_apart(tiny_pair: list[Run]) -> None:
    titles = DrawAndRetrieve([Retriever(tiny_pair[0]), Retriever(tiny_pair[0])], k=1).titles()
    assert titles == [f"SAKE {tiny_pair[0].id[-12:]}, 40-d real-valued"] * 2


def test_runs_are_chosen_by_name(pair: list[Run]) -> None:
    sake, plain = pair
    assert [r.id for r in choose_runs(run=sake.id)] == [sake.id, plain.id]  # L_B of the same settings
    assert [r.id for r in choose_runs(run=plain.id)] == [plain.id]
    assert [r.id for r in choose_runs(run=plain.id, other=sake.id)] == [plain.id, sake.id]
    assert [r.id for r in choose_runs(run=sake.id, other="none")] == [sake.id]
    assert [r.id for r in choose_runs(run=sake.id[-8:], other="none")] == [sake.id]  # a part is enough
    with pytest.raises(ConfigError, match=f"Did you mean '{sake.id}'"):
        choose_runs(run=f"{sake.id}0")


@pytest.fixture(scope="module")
def index(tiny_pair: list[Run], tiny_place: Path, tmp_path_factory: pytest.TempPathFactory) -> Collection:
    """An index by the first run of a copy of the photos, one of which is in no class folder."""
    place = tmp_path_factory.mktemp("mine")
    shutil.copytree(tiny_place / "data" / "photo", place / "photos")
    shutil.copy(place / "photos" / "bear" / "0.png", place / "photos" / "alone.png")
    return index_photos(place / "photos", tiny_pair[0], place / "index", progress=False)[0]


@pytest.mark.parametrize("codes", [False, True])
def test_an_index_of_ones_own_is_searched_as_the_command_does(pair, index, codes, tmp_path):
    pad = draw_and_retrieve(pair[0], collection=index, k=6, representation="32-bit" if codes else "real")
    Image.fromarray(pad.sketch(tiny.SIDE)).save(tmp_path / "drawn.png")
    rows, distances = query(index, pair[0], [tmp_path / "drawn.png"], 6, codes=codes)
    assert pad.frames[0]["image"].tolist() == [index.names[r] for r in rows[0]]
    assert pad.frames[0]["distance"].to_numpy() == pytest.approx(distances[0], abs=1e-5)
    assert set(pad.frames[0]["class"]) <= {*tiny.SEEN, *tiny.UNSEEN, "alone.png"}
    assert pad.picture(images=True).axes and not pad.retrievers[0].generated


def test_photos_of_an_index_are_read_when_they_are_shown(pair: list[Run], index: Collection) -> None:
    retriever = Retriever(pair[0], index)
    number = index.names.index("bear/3.png")
    with Image.open(index.root / "bear" / "3.png") as image, Image.open(io.BytesIO(retriever.thumbnail(number))) as got:
        assert np.abs(np.asarray(image.convert("RGB").resize(got.size)).astype(int) - np.asarray(got)).mean() < 12
    (index.root / "bear" / "4.png").unlink()
    with Image.open(io.BytesIO(retriever.thumbnail(index.names.index("bear/4.png")))) as grey:
        assert np.ptp(np.asarray(grey)) == 0  # a photo that is gone


def test_an_index_is_named_and_belongs_to_its_run(pair, index, monkeypatch):
    monkeypatch.setenv("SAKEREPRO_COLLECTIONS", str(index.folder.parent))
    for name in ("index", str(index.folder)):
        assert [r.id for r in choose_runs(collection=name)] == [pair[0].id]
        assert len(draw_and_retrieve(pair[0], collection=name, k=2).retrievers[0].photos) == len(index)
    with pytest.raises(RunError, match="Index the photos with this run"):
        draw_and_retrieve(*pair, collection=index)
    with pytest.raises(ConfigError, match="nothing: is no index. .* Known: index"):
        draw_and_retrieve(pair[0], collection="nothing")
