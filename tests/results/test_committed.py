"""Rows outlive runs: what is read back is what the runs say; a run that is gone is trained only where it has to be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny

import sakerepro as sr
from sakerepro import paths, plots, provenance, results, runs, versions
from sakerepro.experiment import Experiment
from sakerepro.files import read_json, write_json
from sakerepro.methods import label, preset
from sakerepro.results import committed, items, status
from sakerepro.results.committed import CommittedRun
from sakerepro.results.paper import RETRIEVAL
from sakerepro.results.runrows import class_precision
from sakerepro.runs import Run, find, run


@pytest.fixture
def as_item(tiny_run: Run, tiny_plain: Run, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[Run]]:
    """``item_runs`` of an item ("table4") that wants SAKE and L_B, whose runs lie in this test's own folder."""
    copies = [shutil.copytree(one.folder, paths.runs() / one.id) for one in (tiny_run, tiny_plain)]
    wanted = [runs.open_run(copy).experiment for copy in copies]
    for module in (items, status):  # status has the name from items, for good if it is first imported meanwhile
        monkeypatch.setattr(module, "experiments", lambda item, preset, seeds: wanted)
    monkeypatch.setattr(items, "traced", lambda preset, seeds: {wanted[0]})
    return lambda: sr.item_runs("table4", "tiny")


@pytest.fixture
def saved(as_item: Callable[[], list[Run]]) -> list[Run]:
    """The runs of the item, whose rows are saved."""
    runs_of_item = as_item()
    sr.save_rows("table4", runs_of_item, sr.item_rows("table4", runs_of_item))
    return runs_of_item


def test_rows_take_the_place_of_runs_that_are_gone(as_item, monkeypatch, capsys):
    saved = as_item()
    rows = sr.item_rows("table4", saved)
    written = {f: f.read_bytes() for f in sr.save_rows("table4", saved, rows)}
    for gone in (saved[:1], saved):
        for one in gone:
            shutil.rmtree(one.folder, ignore_errors=True)
        monkeypatch.setattr(items, "run", lambda e, trace=False: find(e) or pytest.fail("trained"))
        reopened = as_item()
        assert f"{len(gone)} of 2 runs as committed rows; RERUN=1 trains them" in capsys.readouterr().err
        assert [type(r) for r in reopened] == [CommittedRun] * len(gone) + [Run] * (2 - len(gone))
        again = sr.item_rows("table4", reopened)
        pd.testing.assert_frame_equal(again, rows)
        assert {f: f.read_bytes() for f in sr.save_rows("table4", reopened, again)} == written
        assert reopened[0].history()["epoch"].tolist() == [1, 2] and "seconds" not in reopened[0].history()
        assert plots.training_curves(reopened) and plots.forgetting_curves(reopened)
    assert not any(paths.runs().glob("*/weights.safetensors"))


def test_rows_of_a_gpu_say_so(saved: list[Run], as_item: Callable[[], list[Run]]) -> None:
    assert "accelerator" not in committed.runs_file("table4", "tiny").read_text()
    for one in saved:
        file = one.folder / "provenance.json"
        write_json(file, read_json(file) | {"accelerator": "NVIDIA H200"})
    sr.save_rows("table4", as_item(), sr.item_rows("table4", saved))
    shutil.rmtree(saved[0].folder)
    reopened = as_item()
    assert isinstance(reopened[0], CommittedRun)
    assert [one.provenance()["accelerator"] for one in reopened] == ["NVIDIA H200"] * 2


def test_a_run_is_trained_when_its_embeddings_are_asked_for(saved, as_item, tiny_run):
    shutil.rmtree(saved[0].folder)
    reopened = as_item()[0]
    assert find(reopened.experiment) is None and "files" not in reopened.provenance()
    np.testing.assert_array_equal(reopened.embeddings()["query"], tiny_run.embeddings()["query"])
    assert find(reopened.experiment) is not None and "files" in reopened.provenance()
    assert "ZS-SBIR" in runs.open_run(reopened.folder).history()  # traced, as the item wants it
    assert tiny.same(reopened.network().state_dict(), tiny_run.network().state_dict())


def test_items_that_measure_retrieval_alone_share_their_rows(saved: list[Run]) -> None:
    assert set(RETRIEVAL) == set(items.ITEMS) - {*items.MORE, "forgetting"}
    wanted, rows = [r.experiment for r in saved], sr.item_rows("table4", saved)
    for item in (*RETRIEVAL, "my_grids:LONGER"):
        by_run = committed.committed_runs(item, wanted, set())
        pd.testing.assert_frame_equal(sr.item_rows("table1", [by_run[e] for e in wanted]), rows)
    assert not any(committed.committed_runs(item, wanted, set()) for item in (*items.MORE, "forgetting"))
    sr.save_rows("table1", saved, rows.assign(value=2.0))  # as no run of theirs has
    first = {i: committed.committed_runs(i, wanted, set())[wanted[0]].rows["value"] for i in ("table1", "table4")}
    assert (first["table1"] == 2).all() and not (first["table4"] == 2).any()
    committed.runs_file("table1", "tiny").unlink()  # rows alone do not say which images they are of
    assert not (committed.committed_runs("table1", wanted, set())[wanted[0]].rows["value"] == 2).any()


@pytest.mark.parametrize(
    "why", ["RERUN", "mini", "another training", "another measuring", "no line", "other images", "own original"]
)
def test_rows_that_do_not_speak_for_the_run_are_not_taken(saved, why, monkeypatch):
    wanted = [r.experiment for r in saved]
    assert len(committed.committed_runs("table4", wanted, set())) == 2
    if why == "RERUN":
        monkeypatch.setenv(committed.RERUN, "1")
    elif why == "mini":
        shutil.copytree(paths.results("tiny"), paths.results("mini"))
        wanted = [Experiment.from_dict(e.to_dict() | {"preset": "mini"}) for e in wanted]
    elif why == "own original":
        write_json(paths.results("tiny") / "table4.json", {"parameters": {"original": "my-photos"}})
    elif why == "no line":
        committed.runs_file("table4", "tiny").unlink()
    elif why == "other images":
        monkeypatch.setattr(CommittedRun, "dataset", lambda self: replace(saved[0].dataset(), fingerprint="other"))
    else:
        monkeypatch.setattr(provenance, why.removeprefix("another ").upper(), 99)
    assert committed.committed_runs("table4", wanted, set()) == {}


@pytest.mark.parametrize("why", ["", "RERUN", "a GPU", "another teacher"])
def test_rows_of_other_seeds_stay_if_they_are_comparable(saved, as_item, why, monkeypatch, capsys):
    here = [r.experiment for r in saved]
    others = {r.id: r.experiment.but(seed=1) for r in saved}
    by_seed = {0: here, 1: [*others.values(), *(e.but(epochs=0, seed=1) for e in here)]}
    monkeypatch.setattr(items, "experiments", lambda item, preset, seeds: [e for s in seeds for e in by_seed[s]])
    rows, lines = committed.saved_rows("table4", "tiny"), committed.saved_runs("table4", "tiny")
    ids = {old: e.id for old, e in others.items()}
    added = rows.assign(seed=1, run=rows["run"].map(ids), value=0.25)
    results.write_rows(committed.rows_file("table4", "tiny"), pd.concat([rows, added], ignore_index=True))
    other = {"a GPU": {"accelerator": "NVIDIA H200"}, "another teacher": {"teacher": "0" * 64}}.get(why, {})
    write_json(committed.runs_file("table4", "tiny"), lines | {ids[k]: line | other for k, line in lines.items()})
    if why == "RERUN":
        monkeypatch.setenv(committed.RERUN, "1")
    runs_of_item = as_item()
    assert [r.experiment for r in runs_of_item] == [*here, *([] if why else others.values())]
    assert ("table4, tiny: 2 committed runs of seeds 1 stay." in capsys.readouterr().err) == (not why)
    again = sr.item_rows("table4", runs_of_item)
    pd.testing.assert_frame_equal(again, rows if why else pd.concat([rows, added], ignore_index=True))


def test_verdicts_follow_from_the_files_alone(saved: list[Run]) -> None:
    rows = sr.item_rows("table4", saved).assign(preset="small", settings="")  # as if they were the runs of small
    ids = {one.id: preset("small", method=label(one.experiment)).id for one in saved}
    rows["run"] = rows["run"].map(ids)
    rows["representation"] = rows["representation"].replace("16-d", "64-d")
    sr.save_rows("table4", saved, rows)
    precision = {(ids[r], t, n.replace("16-d", "64-d")): q for (r, t, n), q in sr.query_precision(saved).items()}
    text = committed.runs_file("table4", "small").read_text().replace("/16-d", "/64-d")
    for old, new in ids.items():
        text = text.replace(old, new)
    committed.runs_file("table4", "small").write_text(text)
    wanted = results.claims("table4", rows, per_query=precision)
    assert "bootstrap interval over classes" in str(wanted)
    table, verdicts = results.render("table4", "small")
    assert str(verdicts) == str(wanted) and str(table) == str(results.table4(rows))


def test_every_class_has_its_mean_and_count(tiny_run: Run) -> None:
    arrays, precision = tiny_run.embeddings(), class_precision(tiny_run)
    for representation in ("16-d", "8-bit"):
        by_class, ap = precision[f"ZS-SBIR/{representation}"], arrays[f"ap/ZS-SBIR/{representation}"]
        for kind in range(len(by_class["mean"])):
            of_class = [a for a, c in zip(ap, arrays["query_labels"], strict=True) if c == kind and not np.isnan(a)]
            assert by_class["queries"][kind] == len(of_class)
            assert by_class["mean"][kind] == pytest.approx(np.mean(of_class))


def test_own_data_go_by_the_name_of_their_folder(tiny_run: Run) -> None:
    """A table shows ``data``, not where it lies on this machine; a data set with a name keeps it."""
    assert tiny_run.experiment.dataset.startswith("/") and tiny_run.experiment.dataset.endswith("/data")
    assert set(sr.run_rows([tiny_run])["dataset"]) == {"data"}
    for name in ("mini", "sketchy-125x25", "tuberlin"):
        named = Run(tiny_run.folder, tiny_run.experiment.but(dataset=name))
        assert set(sr.run_rows([named])["dataset"]) == {name}


def test_queries_know_their_class(tiny_run: Run) -> None:
    data, precision = tiny_run.dataset(), sr.query_precision([tiny_run])
    for (id_, task, _), queries in precision.items():
        assert id_ == tiny_run.id and len(queries.ap) > 0
        asking = sr.photo_queries(data, tiny_run.experiment.photo_queries)[0] if task == "ZS-PBIR" else data.query
        np.testing.assert_array_equal(queries.labels, asking.labels)
    assert {task for _, task, _ in precision} == {"ZS-SBIR", "ZS-PBIR"}


def test_no_commit_time_or_machine_in_what_is_committed(saved: list[Run]) -> None:
    origin = saved[0].provenance()
    for kind in (committed.rows_file, committed.runs_file):
        text = kind("table4", "tiny").read_text()
        for secret in (origin["commit"] or "-" * 9, origin["processor"], "seconds", str(origin["finished"])):
            assert secret not in text


def test_tables_are_rendered_for_every_preset(saved, monkeypatch, cli, tmp_path):
    rows = sr.item_rows("table4", saved)
    for name in ("mini", "small"):
        monkeypatch.setattr("sakerepro.results.runrows.one_preset", lambda frame, name=name: name)
        sr.save_rows("table4", saved, rows.assign(preset=name))
    monkeypatch.setenv("SAKEREPRO_HOME", str(tmp_path))
    out = cli("tables").out
    assert "mini: table4\nsmall: table4\npaper: no item has left its rows\n" in out
    for name in ("table4.csv", "table4.md", "table4.tex", "table4-claims.csv", "table4-claims.md"):
        assert (paths.results("small") / name).is_file()
    assert (tmp_path / "REPRODUCING.md").is_file()


def test_only_what_was_measured_by_another_version_is_measured_anew(saved, monkeypatch):
    one, before, history = saved[0], saved[0].metrics(), saved[0].history()
    weights = (one.folder / "weights.safetensors").read_bytes()
    origin = one.folder / "provenance.json"
    write_json(origin, read_json(origin) | {"accelerator": "NVIDIA H200"})
    for module in (versions, provenance):
        monkeypatch.setattr(module, "MEASURING", 99)
    assert find(one.experiment) is None
    monkeypatch.setattr("sakerepro.training.train", lambda *_: pytest.fail("trained"))
    again = run(one.experiment)
    assert (again.folder / "weights.safetensors").read_bytes() == weights
    assert again.provenance()["versions"]["measuring"] == 99
    assert again.provenance()["accelerator"] == "NVIDIA H200"  # that of the training
    assert again.metrics() == before and again.history().equals(history)
    assert status._took(again)["seconds"] >= round(history["seconds"].sum(), 1)  # the training counts, once


def test_what_a_pair_measures_is_measured_for_the_sake_run_that_is_here(saved, as_item, monkeypatch):
    """Figure 5 and cost compare SAKE with L_B: rows of the pair are those of its SAKE run."""
    labels: list[list[str]] = []
    monkeypatch.setitem(items.MORE, "cost", lambda runs: labels.append([label(r.experiment) for r in runs]) or [])
    for gone, wanted in ((saved[1], ["SAKE", "L_B"]), (saved[0], ["L_B"])):  # then both are gone
        shutil.rmtree(gone.folder)
        sr.item_rows("cost", as_item())
        assert labels[-1] == wanted


def test_an_original_domain_of_ones_own_is_measured_on_runs(saved, as_item, monkeypatch):
    probed: list[Run] = []
    shutil.rmtree(saved[1].folder)
    reopened = as_item()
    monkeypatch.setattr(items.measures, "probe_rows", lambda runs, original: probed.extend(runs) or [])
    sr.item_rows("forgetting", reopened, original="my-photos")
    assert [type(r) for r in probed] == [Run, Run] and find(saved[1].experiment)
