"""Every command and every Python block of the documents is run, on tiny data and with a server here for the web."""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import documents
import huggingface_hub.constants
import pandas as pd
import pytest
import timm
import tiny
from data_room import sketchy_like, write_official
from safetensors.torch import save
from web import Server

import sakerepro
from sakerepro import paths
from sakerepro.__main__ import main, parser
from sakerepro.apps.card import model_card
from sakerepro.data import known, places
from sakerepro.experiment import PRESETS, STANDS_FOR
from sakerepro.results.items import ITEMS
from sakerepro.results.paper_claims import all_claims
from sakerepro.runs import Run, all_runs, run

# Of docs/scale.md, which is for many machines; everything else in the documents is run, or `make -n` reads it.
PARSED_ONLY = {
    "sakerepro item table1 --preset paper --engine ray --address auto": "needs a cluster; test_cluster.py starts one",
    "sakerepro tune --method EMS --preset paper --engine ray": "needs a cluster; test_cluster.py starts one",
    "sakerepro tune --preset small --backbone squeezenet1_0 --method SAKE --confirm 0,1,2": "needs its weights",
    "sakerepro import model_best.pth.tar --dataset tuberlin": "needs the authors' file; test_official.py writes one",
    "sakerepro export RUN --onnx sketch sketch.onnx": "needs sakerepro[onnx]; test_embedder.py writes one",
}
EXIT_CODES = {"sakerepro check sketchy": 3}  # the stand-in for Sketchy does not have the published counts
DOCUMENTS = documents.written()


@pytest.fixture
def place(tmp_path: Path, tiny_place: Path, hub: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """What the documents speak of: my-folder, my-photos, two sketches, doodles, TUBerlin.zip; tiny presets."""
    here, data = tmp_path / "here", tmp_path / "data"
    shutil.copytree(tiny_place / "data", here / "my-folder")
    shutil.copytree(tiny_place / "data" / "photo", here / "my-photos")
    shutil.copytree(tiny_place / "original", here / "my-imagenet")
    for name, sketch in (("sketch.png", "bear/0.png"), ("another.png", "airplane/1.png")):
        shutil.copy(tiny_place / "data" / "sketch" / sketch, here / name)
    (here / "cat.ndjson").write_text('{"word": "cat", "drawing": [[[0, 90], [20, 0]]]}\n' * 17)
    shutil.make_archive(str(here / "TUBerlin"), "zip", tmp_path / "made" / "dataset")
    (data / "weights").mkdir(parents=True)
    shutil.copy(tiny_place / "se_resnet_mini.safetensors", data / "weights")
    sketchy_like(data / "sketchy-125x25")
    settings = tiny.experiment(tiny_place / "data", Path(), dim=64, bits=(64,), epochs=1, steps=1)
    preset = {k: v for k, v in settings.to_dict().items() if k not in ("preset", "weights")}
    for name in ("mini", "small"):  # "paper" stays: the grids are in the paper's words
        monkeypatch.setitem(PRESETS, name, preset)  # in place: a module that is first imported meanwhile keeps the dict
        drawn = {"tuberlin/zeroshot": {}, "tuberlin/long": {"pseudo_unseen": 1}}
        monkeypatch.setitem(STANDS_FOR, name, replace(STANDS_FOR[name], data=drawn))
    startup = tmp_path / "ipython" / "profile_default" / "startup" / "presets.py"  # a notebook is another process
    startup.parent.mkdir(parents=True)
    startup.write_text(f"from sakerepro.experiment import PRESETS\nPRESETS['mini'] = {preset!r}\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    for room in ("results.items", "results.tuning"):  # here, not in processes that each import PyTorch
        monkeypatch.setattr(f"sakerepro.{room}.make_runs", lambda wanted, *_: [run(e) for e in wanted])
    monkeypatch.setattr(places, "data_places", lambda: [data])
    monkeypatch.setenv("SAKEREPRO_DATA", str(data))
    monkeypatch.chdir(here)
    monkeypatch.syspath_prepend(str(here))  # as `python -m sakerepro` has it
    yield here


@pytest.fixture
def hub(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """The sources of data sets and weights, as a server here has them; whoever is asked says yes."""
    place = tmp_path / "made" / "dataset"
    sketchy_like(place / "Sketchy")
    write_official(place / "TUBerlin", "tuberlin", seen=["cat", "cup"], unseen=["bear"], per_class=2, size=8)
    archive = Path(shutil.make_archive(str(tmp_path / "dataset"), "zip", tmp_path / "made"))
    server.files["/~qliu24/ZSSBIR/dataset.zip"] = archive.read_bytes()
    records = tmp_path / "records"
    shutil.copytree(Path(known.__file__).parent, records, ignore=lambda _, names: {n for n in names if ".py" in n})
    text = (records / "known.toml").read_text().replace("https://cs.jhu.edu", server.root)
    (records / "known.toml").write_text(text)
    monkeypatch.setattr(known, "_SHIPPED", records / "known.toml")
    monkeypatch.setattr("builtins.input", lambda question: "y")
    template = server.root + "/{repo_id}/{revision}/{filename}"
    monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    make, name = timm.create_model, "vit_small_patch14_dinov2"  # here of one block in place of twelve
    shallow = lambda n, *a, **k: make(n, *a, **k | ({"depth": 1} if n == name else {}))  # noqa: E731
    monkeypatch.setattr(timm, "create_model", shallow)
    server.files[f"/timm/{name}.lvd142m/main/model.safetensors"] = save(shallow(name).state_dict())
    return server


def filled(arguments: list[str]) -> list[str]:
    """The arguments with RUN, A and B replaced by the newest run and the two newest."""
    ids = [r.id for r in all_runs()]
    names = {"RUN": ids[-1:], "A": ids[-2:-1], "B": ids[-1:]}
    return [names[word][0] if word in names else word for word in arguments]


def make(command: str) -> None:
    """``make -n`` finds the target and the Makefile reads every variable."""
    text = (paths.root() / "Makefile").read_text(encoding="utf-8")
    for word in command.split()[1:]:
        name, equals, _ = word.partition("=")
        assert not equals or re.search(rf"^({name} \?=|ifdef {name}$)", text, re.MULTILINE), f"{command}: {name}"
    done = documents.make(*command.split()[1:])
    assert done.returncode == 0, f"{command}: {done.stderr}"
    for line in re.findall(r" -m (sakerepro .*)", done.stdout):
        parser().parse_args(documents.words(line))


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda d: d.name)
def test_every_command_and_every_block_runs(document: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if any(step == ("console", "sakerepro runs") for step in documents.steps(document)):
        assert main(["train"]) == 0  # a reader who lists runs has one
    for kind, text in documents.steps(document):
        if kind == "python":
            if named := re.match(r"# (\w+\.py)\n", text):  # a module of the reader's, which a command then names
                (place / named[1]).write_text(text)
            exec(compile(text, f"{document.name}: Python", "exec"), {})
        elif text.startswith("make "):
            make(text)
        elif text in PARSED_ONLY:
            parser().parse_args(documents.words(text))
        else:
            code = main(filled(documents.words(text)))
            assert code == EXIT_CODES.get(text, 0), f"{text}: {capsys.readouterr().err}"


def test_what_is_only_parsed_is_in_the_documents() -> None:
    """Each command that has a reason or an exit code here is in a document, and each command can be run or parsed."""
    said = {text for document in DOCUMENTS for kind, text in documents.steps(document) if kind == "console"}
    assert set(PARSED_ONLY) <= said and set(EXIT_CODES) <= said and len(said) > 25
    assert all(text.startswith("make ") or documents.words(text) for text in said)


def test_the_commands_of_a_model_card_are_commands(tiny_run: Run) -> None:
    commands = documents.commands(model_card(tiny_run))
    assert len(commands) == 2
    for command in commands:
        assert parser().parse_args(documents.words(command)).function


@pytest.mark.parametrize(
    "document", [*DOCUMENTS, *map(paths.root().joinpath, ("CHANGELOG.md", "REPRODUCING.md"))], ids=lambda d: d.name
)
def test_links_lead_somewhere(document: Path) -> None:
    for file, anchor in documents.links(document):
        target = (document.parent / file).resolve() if file else document
        assert target.exists(), f"{document.name}: {file}"
        assert not anchor or anchor in documents.anchors(target), f"{document.name}: {file}#{anchor}"


def printed_lines(item: str) -> set[str]:
    """What a mini notebook prints, here and as committed: ``make table1`` on another processor gives other digits."""
    texts = [(paths.root() / "results" / "mini" / f"{item}.ipynb").read_text(encoding="utf-8")]
    if shutil.which("git"):
        show = ["git", "show", f"HEAD:./results/mini/{item}.ipynb"]
        shown = subprocess.run(show, cwd=paths.root(), capture_output=True, text=True)  # nothing outside a repository
        texts += [shown.stdout] * bool(shown.stdout)
    cells = [cell for text in texts for cell in json.loads(text)["cells"]]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return {line for o in outputs for line in "".join(o.get("data", {}).get("text/plain", [])).splitlines()}


def test_the_table_in_the_guide_is_the_committed_one() -> None:
    """Pasted output ages: each line that the guide shows of ``make table1`` has to be in ``results/mini``."""
    shown = documents.blocks((paths.root() / "docs" / "guide.md").read_text(encoding="utf-8"), "text")[0].splitlines()
    committed = printed_lines("table1")
    assert [line for line in shown if line != "..." and line not in committed] == []


def test_readme_is_short() -> None:
    assert len((paths.root() / "README.md").read_text(encoding="utf-8").split()) < 1000


@pytest.fixture(scope="module")
def site() -> Path:
    """The pages of ``make docs``, where a warning fails; `make test` builds them before."""
    pages, root = paths.root() / "build" / "docs", paths.root()
    sources = [*(root / "sakerepro").rglob("*.py*"), *(root / "docs").glob("*.*")]
    page = pages / "docs" / "reference.html"
    if not page.is_file() or page.stat().st_mtime < max(f.stat().st_mtime for f in sources if f.suffix != ".pyc"):
        pytest.skip("the pages are not those of this code: make docs")
    return pages


def public() -> dict[str, Any]:
    """Every public name below ``sakerepro``, those of public modules as ``plots.save``."""
    by_name = {name: getattr(sakerepro, name) for name in sakerepro.__all__}
    for name, room in {name: value for name, value in by_name.items() if inspect.ismodule(value)}.items():
        local = [n for n, value in vars(room).items() if getattr(value, "__module__", "") == room.__name__]
        names = [n for n in getattr(room, "__all__", local) if callable(getattr(room, n)) and not n.startswith("_")]
        by_name |= {f"{name}.{n}": getattr(room, n) for n in names}
    return by_name


@pytest.mark.slow
def test_the_reference_has_every_name_and_every_command(site: Path) -> None:
    text = (site / "docs" / "reference.html").read_text(encoding="utf-8")
    ids = set(re.findall(r'id="sakerepro\.([^"]+)"', text))
    names = {
        name.replace("widgets.", "apps.widgets.") for name, value in public().items() if not inspect.ismodule(value)
    }
    assert {name for name in names if not {name, f"methods.{name}"} & ids} == set()
    assert "Return type" not in text and ">Type" not in text  # a colon in a docstring's first line reads as a type
    ids = set(re.findall(r'id="([^"]+)"', (site / "docs" / "commands.html").read_text(encoding="utf-8")))
    tree = documents.command_tree(parser())
    assert len(tree) > 20
    for path, inner in tree.items():
        flags = [flag for a in inner._actions for flag in a.option_strings]
        assert {"-".join(path), *("-".join([*path, flag]) for flag in flags)} <= ids | {"sakerepro"}


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    notebooks = [file.stem for file in (paths.root() / "results" / "mini").glob("*.ipynb")]
    assert {f"results/mini/{name}.html" for name in notebooks} < {str(page.relative_to(site)) for page in pages}
    tag = r"<(?!a\b)[^>]*\b(?:src|href|srcset|data|poster)=[\"']?(?:\w+:)?//[^>]*>"  # of links, a reader decides
    style = r"@import[^;]*|url\([\"']?(?:\w+:)?//[^)]*"
    for file in [*pages, *site.rglob("*.css")]:
        assert re.findall(f"{tag}|{style}", file.read_text(encoding="utf-8")) == [], file


def test_every_public_name_has_a_docstring() -> None:
    # a dataclass without a docstring gets its signature for one
    texts = {name: (value.__doc__ or "").strip() for name, value in public().items()}
    assert not [name for name, text in texts.items() if not text or text.startswith(f"{name.rpartition('.')[2]}(")]


def test_reproducing_has_every_item_claim_and_deviation() -> None:
    """Not its numbers: whoever makes an item anew has a newer result than the committed page, until `make tables`."""
    text = (paths.root() / "REPRODUCING.md").read_text(encoding="utf-8")
    assert [name for name in (*ITEMS, *all_claims()) if f"`{name}`" not in text] == []
    words = paths.package_data("reproducing.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in words if line.startswith("|") and line not in text] == []


def test_the_guide_has_the_numbers_of_the_committed_run() -> None:
    text = (paths.root() / "docs" / "guide.md").read_text(encoding="utf-8")
    rows = pd.read_csv(paths.root() / "results" / "mini" / "table1-rows.csv", keep_default_na=False)
    sake = rows.query("method == 'SAKE' and task == 'ZS-SBIR' and representation == '64-d' and seed == 0")
    for convention in ("standard", "sake"):
        line = next(line for line in text.splitlines() if line.startswith(f"| `{convention}`"))
        want = sake[sake["convention"] == convention].set_index("metric")["value"]
        numbers = [f"{want[metric]:.3f}" for metric in ("mAP@all", "mAP@100", "mAP@200", "P@100")]
        assert line.removesuffix(" |").split(" | ")[4:] == numbers
    codes = rows[rows["run"].isin(sake["run"]) & rows["representation"].eq("64-bit") & rows["task"].eq("ZS-SBIR")]
    tied = codes.query("convention == 'standard' and metric == 'mAP@all'")["value"].item()
    assert f"exact expected value over random orders: {tied:.3f}." in " ".join(text.split())
