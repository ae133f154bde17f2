"""The sketch pad where people use it: JupyterLab in a real browser, with mouse, finger and pen."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from browser import chromium, jupyter_lab, made, needed, served
from PIL import Image

from sakerepro import paths
from sakerepro.methods import baseline
from sakerepro.runs import run

pytestmark = [
    pytest.mark.slow,
    # selenium leaves its pipes and sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]
NAME = "explore_draw_and_retrieve.ipynb"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel"
SHAPES = {  # shares of the paper
    "triangle": [(0.5, 0.15), (0.85, 0.8), (0.15, 0.8), (0.5, 0.15)],
    "line": [(0.2, 0.9), (0.8, 0.9)],
    "dot": [(0.5, 0.5)],
}


def two_runs(place: Path, tiny_place: Path) -> dict[str, str]:
    """Write the notebook, its parameters set to two runs of the tiny task, below ``place``; the folders' variables."""
    (place / "notebooks").mkdir()
    folders = {f"SAKEREPRO_{p}": str(place / p.lower()) for p in ("RUNS", "RESULTS", "CACHE")}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in folders.items():
            patch.setenv(name, value)
        sake = tiny.experiment(tiny_place / "data", tiny_place / "se_resnet_mini.safetensors", dim=64, bits=(64,))
        runs = [run(sake), run(baseline(sake))]
    notebook = json.loads((paths.root() / "notebooks" / NAME).read_text(encoding="utf-8"))
    parameters = next(c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    parameters["source"] += ["\n", f"run, other, k = {runs[0].id!r}, {runs[1].id!r}, 6"]
    (place / "notebooks" / NAME).write_text(json.dumps(notebook))
    return folders


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, tiny_place: Path) -> Iterator[Any]:
    """A browser with the notebook open on two runs of the tiny task, all cells executed."""
    needed()
    place = tmp_path_factory.mktemp("lab")
    folders = two_runs(place, tiny_place)
    with jupyter_lab(place, "JupyterLab Dark", **folders) as address, chromium(place) as driver:
        driver.get(address.format(NAME))
        page = Page(driver)
        page.wait(page.ready, "JupyterLab with a kernel")
        page.command("notebook:run-all-cells")
        page.wait(lambda: page.all(".sakerepro-pad img"), "photos of the example")
        yield page


class Page:
    """What a person does with the notebook."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 120) -> Any:
        from selenium.webdriver.support.ui import WebDriverWait

        return WebDriverWait(self.driver, seconds, 0.05).until(lambda _: condition(), f"no {what}")

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements("css selector", selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element("css selector", selector)

    def ready(self) -> bool:
        return bool(
            self.script(
                f"return window.jupyterapp?.shell?.currentWidget?.sessionContext && {KERNEL}?.status === 'idle'"
            )
        )

    def command(self, name: str) -> None:
        self.script("window.jupyterapp.commands.execute(arguments[0])", name)

    def cells(self) -> list[str]:
        """Kind and text of every cell of the notebook."""
        return self.script(
            "return [...window.jupyterapp.shell.currentWidget.content.model.cells]"
            ".map(cell => cell.type + ' ' + cell.sharedModel.source)"
        )

    def type(self, keys: str) -> None:
        """Type on whatever has the focus."""
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.driver).send_keys(keys).perform()

    def run_last(self) -> None:
        """Execute the last cell."""
        self.script("const n = window.jupyterapp.shell.currentWidget.content; n.activeCellIndex = n.widgets.length - 1")
        self.command("notebook:run-cell")

    def shown(self) -> int:
        """Number of the drawing that the photos belong to."""
        return int(self.one(".sakerepro-pad").get_attribute("data-shown"))

    def answered(self, action: Callable[[], Any]) -> list[str]:
        """Do something with the paper; the photos that come back for it, as screen readers say them."""
        before = self.shown()
        action()
        pad = self.one(".sakerepro-pad")
        self.wait(lambda: self.shown() > before and self.shown() == int(pad.get_attribute("data-sent")), "answer")
        return self.photos()

    def photos(self) -> list[str]:
        return self.script("return [...document.querySelectorAll('.sakerepro-pad img')].map(image => image.alt)")

    def draw(self, points: list[tuple[float, float]], pointer: str = "mouse") -> None:
        """One line on the paper, in small steps."""
        from selenium.webdriver.common.actions.action_builder import ActionBuilder
        from selenium.webdriver.common.actions.pointer_input import PointerInput

        paper = self.one(".sakerepro-pad .paper")
        self.script("arguments[0].scrollIntoView({block: 'center'})", paper)
        side = paper.size["width"]
        path = [np.array(points[0])]
        for start, end in zip(points[:-1], points[1:], strict=True):
            path += list(np.linspace(start, end, 9)[1:])
        actions = ActionBuilder(self.driver, mouse=PointerInput(pointer, pointer), duration=15)
        hand = actions.pointer_action
        for number, point in enumerate(path):
            x, y = (round((float(p) - 0.5) * side) for p in point)  # from the middle of the paper
            hand.move_to(paper, x, y)
            if number == 0:
                hand.pointer_down()
        hand.pointer_up()
        actions.perform()

    def darkness(self) -> float:
        """Share of the paper that is black, as the browser shows it."""
        return self.script(
            "const c = document.querySelector('.sakerepro-pad .paper');"
            "const p = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
            "let n = 0; for (let i = 0; i < p.length; i += 4) n += 1 - p[i] / 255; return 4 * n / p.length"
        )


def test_the_example_is_answered_before_anyone_draws(lab: Page) -> None:
    photos = lab.photos()
    assert len(photos) == 2 * 6  # SAKE and L_B
    assert photos[0].startswith("rank 1: ") and photos[6].startswith("rank 1: ")
    assert "SAKE, 64-d real-valued" in [h.text for h in lab.all(".sakerepro-pad h4")]
    assert all(lab.script("return arguments[0].naturalWidth", i) == tiny.SIDE for i in lab.all(".sakerepro-pad img"))
    assert "example" in lab.one(".sakerepro-pad .status").text


@pytest.mark.parametrize("pointer", ["mouse", "touch", "pen"])
def test_a_line_is_drawn_and_answered(lab: Page, pointer: str) -> None:
    clean(lab)
    photos = lab.answered(lambda: lab.draw(SHAPES["triangle"], pointer))
    assert len(photos) == 12
    assert 0.01 < lab.darkness() < 0.2
    assert "6 of 24 photos (data, unseen.txt) in" in lab.one(".sakerepro-pad .status").text
    assert lab.script("return window.scrollY") == 0  # a finger draws; it does not scroll


def test_undo_and_clear(lab: Page) -> None:
    clean(lab)
    lab.answered(lambda: lab.draw(SHAPES["triangle"]))
    one = lab.darkness()
    lab.answered(lambda: lab.draw(SHAPES["line"]))
    assert lab.darkness() > one
    lab.answered(lab.one(".sakerepro-pad .undo").click)
    assert lab.darkness() == one
    assert lab.answered(lab.one(".sakerepro-pad .clear").click) == []
    assert lab.darkness() == 0
    assert "Draw something" in lab.one(".sakerepro-pad .status").text
    lab.answered(lab.one(".sakerepro-pad .undo").click)
    assert lab.darkness() == one


def test_a_wider_pen_and_a_dot(lab: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    inked = []
    for key in (Keys.HOME, Keys.END):
        lab.one(".sakerepro-pad .pen").send_keys(key)
        clean(lab)
        assert len(lab.answered(lambda: lab.draw(SHAPES["dot"]))) == 12
        inked.append(lab.darkness())
    assert 0 < inked[0] < inked[1] == pytest.approx(np.pi * 0.03**2, rel=0.1)  # a disc of the widest pen


def test_an_image_is_loaded_and_another_file_is_refused_by_name(lab: Page, tmp_path: Path) -> None:
    clean(lab)
    square = np.full((40, 40), 255, np.uint8)
    square[10:30, 10:30] = 0
    Image.fromarray(square).save(tmp_path / "square.png")
    (tmp_path / "notes.png").write_text("not an image")
    file = lab.one(".sakerepro-pad .file")
    assert len(lab.answered(lambda: file.send_keys(str(tmp_path / "square.png")))) == 12
    assert lab.darkness() == pytest.approx(0.25, abs=0.02)
    file.send_keys(str(tmp_path / "notes.png"))
    status = lab.one(".sakerepro-pad .status")
    lab.wait(lambda: "notes.png is not an image" in status.text, "sentence about the file")
    assert "wrong" in status.get_attribute("class")


def test_the_table_in_the_next_cell_is_of_the_same_drawing(lab: Page) -> None:
    clean(lab)
    photos = lab.answered(lambda: lab.draw(SHAPES["triangle"]))
    lab.run_last()
    rows = lab.wait(lambda: lab.all(".jp-OutputArea table tbody tr"), "table")
    want = []
    for row in rows:
        _, rank, name, distance, *_ = (cell.text for cell in row.find_elements("css selector", "th, td"))
        want.append(f"rank {rank}: {name}, distance {float(distance):.3f}")
    assert photos[:6] == want


def test_the_number_of_photos_and_the_representation_change_the_answer(lab: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    clean(lab)
    lab.answered(lambda: lab.draw(SHAPES["triangle"]))
    lab.one(".sakerepro-pad .photos").send_keys(Keys.ARROW_RIGHT)
    lab.wait(lambda: len(lab.photos()) == 14, "seventh photo")
    real, short, codes = lab.all(".sakerepro-pad .kinds button")
    assert [b.text for b in (real, short, codes)] == ["64-d", "32-bit", "64-bit"]
    codes.click()
    lab.wait(lambda: lab.photos() and lab.photos()[0].endswith(" bits"), "photos by codes")
    assert "SAKE, 64-bit codes" in [h.text for h in lab.all(".sakerepro-pad h4")]
    assert [b.get_attribute("aria-pressed") for b in (real, codes)] == ["false", "true"]
    lab.one(".sakerepro-pad .photos").send_keys(Keys.ARROW_LEFT)
    real.click()
    lab.wait(lambda: len(lab.photos()) == 12 and not lab.photos()[0].endswith(" bits"), "photos as before")


def test_keys_typed_on_the_pad_never_reach_the_notebook(lab: Page) -> None:
    cells = lab.cells()
    lab.script("window.jupyterapp.shell.currentWidget.content.node.querySelector('.jp-Cell').focus()")
    lab.type("b")
    lab.wait(lambda: len(lab.cells()) == len(cells) + 1, "cell below: letters are commands of the notebook")
    lab.type("dd")
    lab.wait(lambda: lab.cells() == cells, "cell less")
    focusable = lab.all(".sakerepro-pad :is(canvas, button, input:not([type=file]))")
    assert len(focusable) >= 8
    for element in focusable:
        lab.script("arguments[0].focus()", element)
        assert lab.driver.switch_to.active_element == element
        lab.type("ddabcmrxyvz0")
    lab.one(".sakerepro-pad .status").click()  # beside the controls
    lab.type("ddabcmrxyvz0")
    assert lab.cells() == cells and not lab.all("dialog, .jp-Dialog")


@pytest.mark.parametrize("button", ["undo", "clear"])
def test_undo_and_clear_keep_the_focus(lab: Page, button: str) -> None:
    clean(lab)
    lab.answered(lambda: lab.draw(SHAPES["dot"]))
    cells, element = lab.cells(), lab.one(f".sakerepro-pad .{button}")
    lab.answered(element.click)
    while button == "undo" and element.get_attribute("aria-disabled") == "false":
        lab.answered(element.click)
    assert element.get_attribute("aria-disabled") == "true"
    element.click()  # does nothing
    assert lab.driver.switch_to.active_element == element
    lab.type("dd")
    assert lab.cells() == cells


def test_the_answer_of_an_empty_paper_is_a_sentence(lab: Page) -> None:
    clean(lab)
    lab.run_last()
    lab.wait(lambda: "The paper is empty" in lab.all(".jp-OutputArea")[-1].text, "sentence")
    assert "Error" not in lab.all(".jp-OutputArea")[-1].text


def test_a_kernel_that_does_not_answer_for_five_seconds_is_said(lab: Page) -> None:
    clean(lab)
    stop = "import os, signal, subprocess; me = os.getpid(); "
    stop += "subprocess.Popen(['sh', '-c', f'sleep 12; kill -CONT {me}']); os.kill(me, signal.SIGSTOP)"
    lab.script(f"{KERNEL}.requestExecute({{code: arguments[0]}})", stop)
    before, status = lab.shown(), lab.one(".sakerepro-pad .status")
    lab.draw(SHAPES["triangle"])
    lab.wait(lambda: "No answer for 5 seconds" in status.text, "sentence", 10)
    assert lab.shown() == before and "wrong" in status.get_attribute("class")
    lab.wait(lambda: len(lab.photos()) == 12 and "in" in status.text, "photos once the kernel is free")
    assert "wrong" not in status.get_attribute("class")


@pytest.mark.parametrize("width", [1400, 900])
def test_the_photos_of_two_runs_stand_in_columns_beside_the_paper(lab: Page, width: int) -> None:
    lab.driver.set_window_size(width, 900)
    clean(lab)
    assert len(lab.answered(lambda: lab.draw(SHAPES["triangle"]))) == 12
    paper, first, second = (e.rect for e in lab.all(".sakerepro-pad .paper, .sakerepro-pad section"))
    assert paper["x"] + paper["width"] <= first["x"] and first["x"] + first["width"] <= second["x"]
    assert abs(first["y"] - paper["y"]) < 5 and abs(second["y"] - paper["y"]) < 5 and paper["width"] >= 200
    assert min(i.rect["width"] for i in lab.all(".sakerepro-pad img")) >= 44
    pad = lab.one(".sakerepro-pad")
    assert lab.script("return arguments[0].scrollWidth <= arguments[0].clientWidth", pad)
    assert pad.rect["height"] < 700  # all of it fits on a screen


def test_after_a_restart_the_pad_says_that_nobody_answers_until_its_cell_runs_again(lab: Page) -> None:
    lab.script(f"{KERNEL}.restart()")
    lab.wait(lab.ready, "kernel")
    cells, status = lab.cells(), lab.one(".sakerepro-pad .status")
    lab.draw(SHAPES["line"])
    lab.type("dd")
    lab.wait(lambda: "No answer for 5 seconds" in status.text, "sentence", 10)
    lab.type("dd")
    assert lab.cells() == cells
    lab.command("notebook:run-all-cells")
    lab.wait(lambda: "An example" in lab.one(".sakerepro-pad .status").text and lab.photos(), "photos of a new pad")
    assert len(lab.answered(lambda: lab.draw(SHAPES["triangle"]))) == 12
    lab.type("dd")
    assert lab.cells() == cells


def test_the_keyboard_reaches_everything_and_everything_has_a_name(lab: Page) -> None:
    named = lab.script(
        "return [...document.querySelectorAll('.sakerepro-pad :is(canvas, button, input, ol, img)')].map("
        "e => e.ariaLabel || e.alt || e.labels?.[0]?.textContent || e.textContent)"
    )
    assert len(named) > 6 and all(named)
    assert lab.script("return document.querySelector('.sakerepro-pad canvas').tabIndex") == 0


def test_words_are_readable_in_the_dark_theme_and_the_paper_stays_white(lab: Page) -> None:
    assert lab.script("return document.body.dataset.jpThemeLight") == "false"
    words, page = (
        lab.script(f"return getComputedStyle(document.querySelector('{where}')).{what}")
        for where, what in ((".sakerepro-pad figcaption", "color"), (".jp-Notebook", "backgroundColor"))
    )
    assert contrast(words, page) > 4.5  # WCAG AA
    clean(lab)
    assert lab.darkness() == 0


def test_the_browser_reports_no_error_of_ours(lab: Page) -> None:
    assert [e for e in lab.driver.get_log("browser") if e["level"] == "SEVERE" and "sketch" in e["message"]] == []


def clean(page: Page) -> None:
    """An empty paper."""
    if page.one(".sakerepro-pad .clear").get_attribute("aria-disabled") == "false":
        page.answered(page.one(".sakerepro-pad .clear").click)


def contrast(one: str, other: str) -> float:
    """Contrast of two CSS colours, as WCAG defines it."""
    light = []
    for colour in (one, other):
        share = np.array([float(v) for v in colour[colour.index("(") + 1 : -1].split(",")[:3]]) / 255
        linear = np.where(share <= 0.03928, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_make_page_serves_the_pad_without_code(tmp_path: Path, tiny_place: Path) -> None:
    needed()
    pytest.importorskip("voila", reason="the web page needs `pip install 'sakerepro[page]'`")
    folders = two_runs(tmp_path, tiny_place)
    words = made("page")
    assert words == ["-m", "voila", f"notebooks/{NAME}"]
    serve = [sys.executable, *words, "--no-browser"]
    with served(serve, tmp_path, "no-such-page", folders) as address, chromium(tmp_path) as driver:
        driver.get(address)
        page = Page(driver)
        page.wait(lambda: page.all(".sakerepro-pad img"), "photos of the example")
        assert len(page.answered(lambda: page.draw(SHAPES["triangle"]))) == 12
        assert "Draw and retrieve" in page.one("h1").text and not page.all(".jp-InputArea-editor")
