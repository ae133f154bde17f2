"""One run as one value: presets, checks, ids; and which runs an item of the paper asks for."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sakerepro.data.augmentation import draw_transforms
from sakerepro.errors import ConfigError, near_misses
from sakerepro.experiment import CHOICES, GROUPS, PRESETS, STANDS_FOR, Experiment
from sakerepro.methods import ALIASES, METHODS, change, checked, class_of, flat, label, preset, setting
from sakerepro.methods.sake import SAKE
from sakerepro.results.items import experiments, item_rows
from sakerepro.semantics import RULES

FIELDS = dataclasses.fields(Experiment)


def test_the_defaults_are_the_papers() -> None:
    """Section 4.1, and what the official code does where the paper is silent."""
    e = Experiment()
    assert (e.backbone, e.dim, e.size, e.epochs) == ("cse_resnet50", 64, 224, 20)
    assert [setting(e, name) for name in SAKE.settings] == [1.0, 1.0, 0.3, "path", "own"]
    assert (e.lr, e.lr_end, e.weight_decay, e.batch_sketch, e.batch_photo) == (1e-4, 1e-7, 5e-4, 4, 36)
    assert (e.augmentation, e.select, e.bits, e.teacher_epochs) == ("official", "val", (64,), 0)


def test_presets() -> None:
    assert set(PRESETS) == {"mini", "small", "paper"}
    assert {preset(name).preset for name in PRESETS} == set(PRESETS)
    assert preset("mini").dataset == "mini" and preset("mini").teacher_epochs > 0
    assert (preset("small").dataset, preset("small").backbone) == ("sketchy-125x25", "cse_efficientnet_lite0")
    paper = preset("paper")
    assert paper == Experiment(preset="paper", dataset="tuberlin", precision="bfloat16")


def test_a_variable_stands_in_place_of_the_presets_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = preset("small")
    monkeypatch.setenv("SAKEREPRO_PRECISION", "")
    assert preset("small") == usual and usual.precision == "bfloat16"
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float32")
    assert preset("small") == usual.but(precision="float32") and preset("small").id != usual.id
    assert preset("small", precision="bfloat16") == usual  # what is asked for by name comes first
    assert {e.precision for e in experiments("table1", "small", (0,))} == {"float32"}
    monkeypatch.setenv("SAKEREPRO_PRECISION", "float16")
    with pytest.raises(ConfigError, match="precision = 'float16' is not known"):
        preset("small")


def test_sketchys_batches_and_every_data_set_s_usual_split_come_with_it() -> None:
    e = preset("paper", dataset="sketchy")
    assert (e.batch_sketch, e.batch_photo, e.split) == (13, 26, "zeroshot1")
    changed = preset("paper", dataset="sketchy", batch_photo=5, split="zeroshot2")
    assert (changed.batch_sketch, changed.batch_photo, changed.split) == (13, 5, "zeroshot2")
    assert preset("paper").batch_photo == 36 and preset("small", dataset="tuberlin").split == "zeroshot"
    assert preset("mini").split == "zeroshot" and preset("small", dataset="/a/folder", split="random").split == "random"


@pytest.mark.parametrize(
    "code, words",
    [
        ("1 / 0", r"method 'mine:Mine': ZeroDivisionError: division by zero \(mine\.py, line 3\)"),
        (
            "class Mine(SAKE):\n    settings = {'dim': Setting(8, 'mine')}",
            "setting 'dim' has the name of a setting",
        ),
    ],
)
def test_a_method_of_ones_own_that_is_wrong_is_named(code, words, tmp_path, monkeypatch):
    head = "from sakerepro.methods.sake import SAKE\nfrom sakerepro.methods.contract import Setting\n"
    (tmp_path / "mine.py").write_text(head + code)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    with pytest.raises(ConfigError, match=words):
        preset("mini", method="mine:Mine")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: preset("minni"), "Unknown preset 'minni'. Did you mean 'mini'"),
        (lambda: preset("mini", lamda2=0.1), "Unknown setting 'lamda2' of SAKE. Did you mean 'lambda2'"),
        (lambda: preset("mini", xyz=1), "Unknown setting 'xyz' of SAKE. Known: lambda_sake, lambda1"),
        (lambda: preset("mini", augmentation="centered"), "augmentation = 'centered' .*Did you mean 'centred'"),
        (lambda: preset("mini", batch_norm="freeze"), "batch_norm = 'freeze' .*Did you mean 'frozen'"),
        (lambda: preset("mini", precision="fp16"), "precision = 'fp16' .*Known: float32, bfloat16"),
        (lambda: change(preset("mini"), semantic="path"), "Unknown setting 'semantic' of SAKE. Did you mean"),
        (lambda: preset("mini", method="SAKEE"), "Unknown method 'SAKEE'. Did you mean 'SAKE'"),
        (lambda: preset("mini", method="nowhere:Mine"), "method 'nowhere:Mine': No module named 'nowhere'"),
        (lambda: preset("mini", method="json:dumps"), "method 'json:dumps': is no subclass"),
        (lambda: preset("mini", method=":X"), "method ':X': ValueError"),
        (lambda: preset("mini", seed=2**63), "seed = 9223372036854775808 has to be below 2\\^63"),
        (lambda: preset("mini", semantics="paths"), "semantics = 'paths' is not known. Did you mean 'path'"),
        (lambda: Experiment.from_dict({"Epochs": 3}), "Unknown setting 'Epochs'. Did you mean 'epochs'"),
    ],
)
def test_near_misses_are_offered(call: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        call()


def test_of_many_known_names_the_first_few_are_shown() -> None:
    known = [f"run-{i:03d}" for i in range(500)]
    said = near_misses("run-123", known)
    assert said.startswith("Did you mean 'run-123' or ") and "Known: run-000, run-001, " in said
    assert "(500 in all)" in said and len(said) < 200
    assert near_misses("b", ["a", "b"]) == "Did you mean 'b'? Known: a, b."


@pytest.mark.parametrize("make", [Experiment, lambda **v: preset("paper", **v), lambda **v: Experiment().but(**v)])
@pytest.mark.parametrize(
    ("name", "values"),
    {
        "dim": ("64", 64.0, True, None),
        "lr": ("1e-4", False, float("nan")),
        "weight_decay": (float("inf"),),
        "zero_head": (1, "false"),
        "dataset": (3,),
        "bits": (64, "64", (64.5,), ("a",)),
    }.items(),
)
def test_values_of_another_type_are_refused(make: Any, name: str, values: tuple[object, ...]) -> None:
    for value in values:
        with pytest.raises(ConfigError, match=f"{name} = .* has to be of type"):
            make(**{name: value})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dim": 0}, "dim = 0 has to be at least 1"),
        ({"size": 7}, "size = 7 has to be at least 8"),
        ({"epochs": -1}, "epochs = -1"),
        ({"batch_photo": 0}, "batch_photo = 0"),
        ({"lr": 1e-5, "lr_end": 1e-4}, "lr_end = 0.0001 has to be above 0 and at most lr"),
        ({"lr_end": 0.0}, "lr_end = 0.0"),
        ({"random_unseen": 5, "pseudo_unseen": 5}, "exclude each other"),
        ({"bits": (64, 12)}, "bits = 12 has to be a multiple of 8"),
        ({"bits": (0,)}, "bits = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"class_seed": 1}, "class_seed = 1 draws nothing here; set random_unseen or pseudo_unseen"),
        ({"teacher_head": "probe", "teacher_epochs": 1}, "teacher_head = 'probe' .*; set teacher_epochs to 0"),
    ],
)
def test_values_that_cannot_work_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Experiment(**changes)


@pytest.mark.parametrize(("value", "words"), [(-0.1, "at least 0"), ("1", "of type float"), (float("nan"), "finite")])
def test_a_methods_settings_are_checked(value: Any, words: str) -> None:
    for make in (lambda: preset("mini", lambda1=value), lambda: checked(Experiment(settings=(("lambda1", value),)))):
        with pytest.raises(ConfigError, match=f"lambda1 = .*{words}"):
            make()


def test_the_choices_are_what_the_rooms_offer() -> None:
    """A choice that is checked here works there."""
    assert SAKE.settings["semantics"].choices == tuple(RULES)
    for style in CHOICES["augmentation"]:
        assert draw_transforms(2, style, np.random.default_rng(0)).shape == (2, 2, 3)


@pytest.mark.parametrize("name", list(PRESETS))
def test_round_trip_through_json(name: str) -> None:
    e = preset(name, bits=(32, 64), seed=3)
    again = Experiment.from_dict(json.loads(json.dumps(dict(reversed(e.to_dict().items())))))  # in any order
    assert again == e and again.id == e.id and hash(again) == hash(e)


def test_one_run_however_it_is_written() -> None:
    """Whole numbers for floats, lists for tuples, numpy's numbers: equal experiments have equal ids."""
    one = Experiment(lr=1e-3, bits=(32,), seed=2)
    other = Experiment(lr=np.float64(1e-3), bits=[np.int32(32)], seed=np.int64(2))
    assert one == other and one.id == other.id
    assert json.dumps(other.to_dict()) == json.dumps(one.to_dict())


def test_one_id_for_one_folder_and_one_zero() -> None:
    places = ("d", "d/", "./d", ".//d/.", Path("d"), Path("./d/"))
    for name in ("dataset", "weights", "teacher_data"):
        same = [Experiment(**{name: place}) for place in places] + [Experiment().but(**{name: "./d"})]
        assert len(set(same)) == len({e.id for e in same}) == 1 and getattr(same[0], name) == "d"
    assert Experiment(weights="", teacher_data="").weights == ""
    zeros = [preset("mini", weight_decay=zero, lambda1=zero) for zero in (0.0, -0.0, 0, np.float32(-0.0))]
    assert len(set(zeros)) == len({e.id for e in zeros}) == len({json.dumps(e.to_dict()) for e in zeros}) == 1
    presets = [preset("mini", dataset=place) for place in places]
    assert len({e.id for e in presets}) == 1 and presets[0].split == ""


def test_a_folder_that_is_called_as_a_data_set_stays_a_folder() -> None:
    assert {Experiment(dataset=d).dataset for d in ("./mini", "mini/", ".//mini/")} == {"./mini"}
    assert Experiment(dataset="mini").dataset == "mini" and Experiment(dataset="./mini").id != Experiment().id
    assert {Experiment(dataset=d).dataset for d in ("/a/b", "/a//b/", "/a/./b")} == {"/a/b"}
    assert Experiment(dataset="a/../b").dataset == "a/../b"  # may be another place than b, where a is a link


def test_every_setting_is_in_one_group() -> None:
    e = preset("mini", dim=32)
    groups = [e.group(name) for name in GROUPS]
    assert sorted(name for g in groups for name in g) == sorted(f.name for f in FIELDS)
    assert {k: v for g in groups for k, v in g.items()} == {f.name: getattr(e, f.name) for f in FIELDS}
    assert e.group("objective").keys() == {"method", "settings", "method_version"}
    with pytest.raises(ConfigError, match="Unknown group of settings 'dat'. Did you mean 'data'"):
        e.group("dat")


def test_a_setting_that_is_yet_to_come_changes_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are of what is not at its default: committed rows outlive a new setting."""
    fields = [(f.name, f.type, dataclasses.field(default=f.default, metadata=f.metadata)) for f in FIELDS]
    one_more = ("later", int, dataclasses.field(default=0, metadata=FIELDS[-1].metadata))
    later = dataclasses.make_dataclass("Later", [*fields, one_more], bases=(Experiment,), frozen=True)
    assert later(dim=32).id == Experiment(dim=32).id != later(dim=32, later=1).id


def another_value(f: dataclasses.Field[Any]) -> Any:
    """A value that the setting can have and does not have by default."""
    if f.metadata["choices"]:
        return next(value for value in f.metadata["choices"] if value != f.default)
    if isinstance(f.default, bool):
        return not f.default
    by_type = {str: "x", tuple: {"x": 1} if f.name == "settings" else (8,)}
    if isinstance(f.default, float):
        return f.default / 2
    return by_type.get(type(f.default)) or 2 * f.default or 1


NEED_MORE = ("outside_original", "class_seed")  # are refused alone


@pytest.mark.parametrize("f", [f for f in FIELDS if f.name not in NEED_MORE], ids=lambda f: f.name)
def test_every_setting_is_part_of_the_id(f: dataclasses.Field[Any]) -> None:
    base = Experiment()
    changed = base.but(**{f.name: another_value(f)})
    assert changed.id != base.id and changed != base


def test_what_random_classes_need_is_part_of_the_id() -> None:
    base = Experiment(random_unseen=3)
    assert len({base.id, base.but(outside_original=True).id, base.but(class_seed=1).id}) == 3
    assert Experiment(pseudo_unseen=3).id != Experiment(pseudo_unseen=3, class_seed=1).id


def test_ids_are_names_that_a_folder_can_have() -> None:
    for e in (preset("paper", split="zeroshot2"), preset("mini", dataset="/some where/ö x/", split="")):
        assert "/" not in e.id and " " not in e.id and len(e.id) < 200
    assert preset("paper", dim=512, seed=2).id.startswith("paper-zs-cse_resnet50-sake-512d-s2-")
    for name in ("a" * 250, "名" * 83):
        e = preset("mini", dataset=f"/data/{name}", backbone="cse_vit_mediumd_patch16_reg4_gap_384.sbb2_e200_in12k")
        assert len(f".{e.id}-sakerepro-old-12345678".encode()) <= 255


def test_but_changes_a_copy() -> None:
    e = preset("mini")
    changed = e.but(dim=8, bits=[8])
    assert (changed.dim, changed.bits, e.dim) == (8, (8,), 64) and changed.but(dim=64, bits=(64,)) == e
    with pytest.raises(dataclasses.FrozenInstanceError):
        e.dim = 8


def test_aliases_are_read_back_and_are_the_runs_that_they_stand_for() -> None:
    """Names of settings of SAKE: however they are written, equal trainings are one run."""
    for name in (*METHODS, *ALIASES):
        assert label(preset("small", method=name)) == name
        assert checked(Experiment(method=name)) == checked(
            preset("paper", method=name).but(preset="mini", dataset="mini", precision="float32")
        )
    plain = preset("mini", method="L_B")
    assert plain == preset("mini", lambda_sake=0, lambda1=3, semantics="thresholded")
    assert plain == change(preset("mini"), method="L_B")
    assert (plain.method, dict(plain.settings)) == ("SAKE", {"lambda_sake": 0.0})
    assert preset("mini", lambda2=0, semantics="thresholded") == preset("mini", method="L_B + L_T")
    assert preset("mini", method="pretrained", lambda1=7) == preset("mini", epochs=0, lambda_sake=0)
    assert flat(plain)["lambda_sake"] == 0.0 and flat(plain)["lambda1"] == 1.0 and flat(plain)["dim"] == 64
    assert class_of("SAKE") is SAKE
    assert label(preset("mini", epochs=0, lambda_sake=0.0)) == "pretrained" and label(preset("mini")) == "SAKE"
    assert label(preset("mini", lambda1=0.5, lambda2=0.0)) == label(preset("mini", lambda_sake=0.1)) == "SAKE"


def test_a_method_replaces_an_alias() -> None:
    named = {name: preset("mini", method=name) for name in ("SAKE", *ALIASES)}
    for e in named.values():
        for name, wanted in named.items():
            assert change(e, method=name) == wanted
    changed = change(preset("mini", method="L_B", dim=32), method="SAKE", settings={"lambda2": 0.1})
    assert changed == preset("mini", dim=32, lambda2=0.1)


def test_a_preset_has_settings_of_single_methods_and_a_setting_of_ones_own_wins() -> None:
    """EMS and GN-Triplet both have a margin; the one that a preset gives EMS is no matter of GN-Triplet."""
    assert dict(preset("small", method="EMS").settings) == STANDS_FOR["small"].settings["EMS"]
    assert preset("small", method="EMS", margin=4).settings == preset("paper", method="EMS").settings
    assert preset("small", method="GN-Triplet").settings == preset("paper", method="GN-Triplet").settings


# items


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("tabel1",), "Unknown item 'tabel1'. Did you mean 'table1'"),
        (("table1", "big"), "Unknown preset 'big'. Known: mini"),
        (("table1", "mini", []), "seeds"),
        (("table1", "mini", [1, 1]), "distinct"),
        (("table1", "mini", [-1]), "from 0 on"),
        (("table1", "mini", ["0"]), "whole number from 0 on"),
    ],
)
def test_impossible_items_are_refused(arguments: tuple[Any, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        experiments(*arguments)
    with pytest.raises(ConfigError, match="Unknown item 'figure9'"):
        item_rows("figure9", [])
