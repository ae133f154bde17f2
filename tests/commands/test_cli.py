"""The command line: quick help, one sentence for what is wrong, exit codes, flags for every setting."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import documents
import pytest
import tiny

from sakerepro import paths, provenance
from sakerepro.__main__ import main, parser
from sakerepro.commands.parser import described
from sakerepro.commands.runs import settings
from sakerepro.data import places
from sakerepro.errors import ConfigError
from sakerepro.experiment import PRESETS, Experiment
from sakerepro.methods import METHODS, class_of, preset
from sakerepro.results.items import experiments
from sakerepro.runs import Run

HEAVY = ("torch", "numba", "pandas", "timm", "torchvision", "sklearn", "scipy", "matplotlib", "nltk", "papermill")
HELP = """
import sys
from sakerepro.__main__ import main
try:
    main(["evaluate", "--help"])
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *sys.modules)
"""


def test_help_loads_nothing_heavy() -> None:
    """Nor does the import of the package; `train` imports its method, whose settings are flags."""
    done = tiny.python("-c", HELP)
    text, _, loaded = done.stdout.partition("LOADED ")
    assert done.returncode == 0 and "usage: sakerepro" in text and not set(HEAVY) & set(loaded.split()), done.stderr


def test_a_percent_sign_is_written_as_argparse_shows_it() -> None:
    """It formats the help of commands and arguments, but neither descriptions nor epilogs."""
    for command in described()["commands"].values():
        assert "%%" not in command.get("description", "") + command.get("example", "")


def test_every_setting_is_a_flag_of_train() -> None:
    hidden = ("preset", "settings", "method_version")
    names = [f.name for f in dataclasses.fields(Experiment) if f.name not in hidden]
    for method in METHODS:
        command = ["train", "--method", method]
        flags = vars(parser(command).parse_args(command))
        assert {f"set_{name}" for name in [*names, *class_of(method).settings]} <= set(flags)


def test_a_search_by_embeddings_needs_no_scikit_learn() -> None:
    """It takes a second to import, of which `query` has one on top of PyTorch and the network; nor do packed codes."""
    rooms = "sakerepro.runs, sakerepro.retrieval, sakerepro.metrics, sakerepro.ranking.codes"
    done = tiny.python("-c", f"import sys, {rooms}; print(*sys.modules)")
    assert done.returncode == 0, done.stderr
    assert not {"sklearn", "scipy", "pandas"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["item", "tabel1"], 2, "Did you mean 'table1'"),
        (["item", "table1", "--seeds", "0,x"], 2, "--seeds 0,x: has to be whole numbers"),
        (["item", "table1", "-p", "sedes=[1]"], 2, "no parameter 'sedes'. Did you mean 'seeds'"),
        (["item", "table1", "-p", "seeds"], 2, "-p seeds: has to be NAME=VALUE"),
        (["item", "table1", "-p", "seeds=[1]"], 2, "-p seeds=[1]: use --seeds"),
        (["train", "--preset", "mimi"], 2, "Did you mean 'mini'"),
        (["train", "--bits", "64,a"], 2, "--bits 64,a: has to be whole numbers"),
        (["train", "--dataset", "sketchi"], 2, "'sketchi' is unknown"),
        (["train", "--preset", "paper"], 3, "data set 'tuberlin' is not here"),
        (["train", "--preset", "paper", "--dataset", "no/such"], 3, "no/such"),
        (["weights", "fetch", "resnet_mini"], 2, "no known source"),
        (["weights", "fetch", "resnet5"], 2, "Did you mean"),
    ],
)
def test_what_is_wrong_is_one_sentence(arguments, code, words, tmp_path, monkeypatch, cli):
    monkeypatch.setenv("SAKEREPRO_REAL_DATA", str(tmp_path))
    monkeypatch.setenv("SAKEREPRO_DATA", str(tmp_path))
    monkeypatch.setattr(places, "data_places", lambda: [tmp_path])
    err = cli(*arguments, code=code).err
    assert err.startswith("sakerepro: ") and words in err and "Traceback" not in err
    assert not paths.runs().exists() or not any(paths.runs().glob("*/*"))


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["trian"], "argument COMMAND: 'trian' is unknown. Did you mean 'train'"),
        (["data", "fecth"], "argument ACTION: 'fecth' is unknown. Did you mean 'fetch'"),
        (["train", "--datset", "x"], "unknown: --datset x. Did you mean '--dataset'"),
        (["train", "--lambda-sak=1", "--lamda1", "3"], "unknown: --lamda1 3. Did you mean '--lambda1'"),
        (["query", "a.png", "--shet=b.png"], "Did you mean '--sheet'"),
        (["data", "pack", "sketchy", "--szie", "3"], "Did you mean '--size'"),
        (["train", "--batch-norm", "forzen"], "'forzen' is unknown. Did you mean 'frozen'"),
        (["runs", "-x"], "unknown: -x. `sakerepro runs --help` shows what there is"),
        (["train", "--dim", "many"], "argument --dim: invalid int value: 'many'"),
        (["train", "--zero-head", "maybe"], "'maybe' is unknown. Known: true, false"),
    ],
)
def test_near_misses_of_commands_and_flags(arguments, words, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    err = capsys.readouterr().err
    assert end.value.code == 2 and words in err and "usage: sakerepro" in err


def test_help_has_groups_and_an_example_of_every_command(cli: Callable[..., Any]) -> None:
    tree = documents.command_tree(parser())
    outer = {path[:-1] for path in tree}
    every = {" ".join(path[1:]): inner for path, inner in tree.items() if path not in outer}
    for name, inner in every.items():
        example = (inner.epilog or "").partition("example: ")[2]
        assert example.startswith(f"sakerepro {name}"), name
        assert parser().parse_args(documents.words(example)).function
    groups = described()["groups"]
    assert {name.split()[0] for name in every} == {name for names in groups.values() for name in names}
    out = cli().out
    places = [out.index(f"  {title}:\n") for title in groups]
    assert places == sorted(places) and places[0] < out.index("    check ") < places[1] < out.index("    compare ")


@pytest.mark.parametrize("preset_name", ["mini", "small", "paper"])
def test_help_of_train_shows_the_presets_values(preset_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--preset", preset_name, "--help"])
    text, e = " ".join(capsys.readouterr().out.split()), preset(preset_name)
    for name in ("dataset", "size", "epochs", "lr", "batch_norm", "backbone", "zero_head"):
        value = str(getattr(e, name)).lower() if name == "zero_head" else str(getattr(e, name))
        flag = text.partition(f" --{name.replace('_', '-')} ")[2].partition(" --")[0]
        assert flag.endswith(f"[{value}]") or f"[{value}]" in flag, (name, flag)


def test_an_item_in_another_precision_says_it_to_its_notebook(monkeypatch):
    seen: list[object] = []

    def item_runs(name: str, preset: str, seeds: list[int], *where: object) -> None:
        seen.extend([os.environ["SAKEREPRO_PRECISION"], {e.precision for e in experiments(name, preset, seeds)}])
        raise ConfigError("enough")

    monkeypatch.setattr("sakerepro.results.items.item_runs", item_runs)
    monkeypatch.setattr("sakerepro.commands.warm.warm_up", lambda: None)
    assert main(["item", "table1", "--preset", "small", "--precision", "float32"]) == 2
    assert seen == ["float32", {"float32"}] and "SAKEREPRO_PRECISION" not in os.environ
    assert "computed in" not in provenance.about("small", [0])
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    assert "computed in float32" in provenance.about("small", [0]).splitlines()[0]


@pytest.mark.parametrize(
    ("flags", "values"),
    [
        ([], {}),
        (["--dim", "32"], {"dim": 32}),
        (["--lr", "1e-3"], {"lr": 1e-3}),
        (["--lambda1", "2"], {"lambda1": 2.0}),
        (["--bits", "16,32"], {"bits": [16, 32]}),
        (["--zero-head", "true", "--keep-bias", "false"], {"zero_head": True, "keep_bias": False}),
        (["--dataset", "a folder", "--batch-norm", "frozen"], {"dataset": "a folder", "batch_norm": "frozen"}),
    ],
)
def test_every_flag_has_the_type_of_its_setting(flags: list[str], values: dict[str, Any]) -> None:
    parsed = settings(parser(["train", *flags]).parse_args(["train", *flags]))
    assert parsed == values and [type(v) for v in parsed.values()] == [type(v) for v in values.values()]
    assert preset("mini", **parsed) == preset("mini", **values)


def test_train_finds_the_run_and_says_where_it_is(my_run, monkeypatch, cli):
    monkeypatch.setitem(PRESETS, "tiny", my_run.experiment.to_dict() | {"preset": "tiny"})
    report = json.loads(cli("train", "--preset", "tiny", "--json").out)
    assert report["id"] == my_run.id and report["metrics"] == my_run.metrics()
    out = cli("train", "--preset", "tiny").out
    assert my_run.id in out and "Found, nothing trained: " in out
    gone = Run(my_run.folder, my_run.experiment.but(dataset="/gone"))
    monkeypatch.setattr("sakerepro.commands.runs.find", lambda e: gone)
    out, err = cli("train", "--preset", "tiny", "--dataset", "/gone")
    assert "Found, nothing trained: " in out and "/gone: is not there" in err and "images were not compared" in err


def test_nothing_is_downloaded_without_a_yes(monkeypatch, cli):
    monkeypatch.setattr("sakerepro.networks.weights._from_hub", lambda *_, **__: pytest.fail("downloaded"))
    for answer in (Mock(side_effect=EOFError), lambda question: "n", lambda question: ""):
        monkeypatch.setattr("builtins.input", answer)
        assert "Nothing was downloaded" in cli("weights", "fetch", "resnet50", code=2).err


def test_interrupted(monkeypatch: pytest.MonkeyPatch, cli: Callable[..., Any]) -> None:
    monkeypatch.setattr("sakerepro.commands.runs.run", Mock(side_effect=KeyboardInterrupt))
    assert "goes on from where it was" in cli("train", code=130).err


def test_a_folder_that_is_not_there_is_found_before_six_runs_are_trained(monkeypatch, cli):
    monkeypatch.setattr("sakerepro.results.items.item_runs", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr("sakerepro.commands.warm.warm_up", lambda: None)
    assert "/no/such/folder" in cli("item", "forgetting", "-p", "original=/no/such/folder", code=3).err
