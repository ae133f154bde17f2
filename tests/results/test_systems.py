"""All ten systems on equal terms: what is run, what stands beside the paper, what is claimed, the figure."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from fakes import number

import sakerepro as sr
from sakerepro import methods, plots, results
from sakerepro.errors import ConfigError
from sakerepro.results.grids import OTHER_SYSTEMS
from sakerepro.results.items import experiments
from sakerepro.results.paper_claims import all_claims
from sakerepro.results.rows import Queries, rows_frame

TUBERLIN = {"data": "tuberlin/zeroshot"}


def test_all_twelve_share_everything_but_the_method():
    wanted = experiments("systems", "mini")
    assert {methods.label(e) for e in wanted} == {"pretrained", "L_B", "SAKE", *OTHER_SYSTEMS}
    differing = ("method", "method_version", "settings", "epochs", "bits")
    shared = {tuple((k, v) for k, v in e.to_dict().items() if k not in differing) for e in wanted}
    assert len(shared) == 1 and {e.bits for e in wanted} == {(64,)}
    assert {e.epochs for e in wanted} == {0, sr.preset("mini").epochs}


def test_the_published_lengths_are_those_of_the_printed_table():
    lengths = {"GN-Triplet": "1024-d", "SAE": "300-d", "EMS": "512-d", "CAAE": "4096-d", "CVAE": "4096-d"}
    assert lengths | {"SEM-PCYC": "64-d", "DSH": "", "ZSH": "", "ZSIH": ""} == OTHER_SYSTEMS


@pytest.mark.parametrize("preset, tasks", [("mini", 1), ("small", 2), ("paper", 2)])
def test_systems_of_aligned_pairs_are_run_where_sketches_have_photos_or_the_preset_says_otherwise(preset, tasks):
    wanted = [e for e in experiments("systems", preset) if e.method in ("CVAE", "CAAE")]
    assert len(wanted) == 2 * tasks and all(e.dataset != "tuberlin" for e in wanted)
    assert {methods.setting(e, "pairs") for e in wanted} == {"class" if preset == "mini" else "aligned"}


def test_the_table_says_why_a_cell_is_empty():
    cells = results.systems(rows_frame([number(0.3, representation="real")])).cells
    where = cells["method"].isin(["CVAE", "CAAE"]) & cells["dataset"].eq("tuberlin")
    assert set(cells["status"][where]) == {"TU-Berlin Ext. has no aligned pairs"} and where.sum() == 16
    assert "no aligned pairs" not in set(cells["status"][cells["dataset"].eq("sketchy")])


def test_a_system_stands_beside_its_published_number_whatever_the_length_of_ours():
    ours = dataclasses.replace(number(0.25, method="SAE", representation="300-d", **TUBERLIN), representation="220-d")
    rows = rows_frame([ours, number(0.2, method="SAE", representation="64-bit", **TUBERLIN)])
    for table in (results.systems(rows), results.table1(rows)):
        (cell,) = table.cells.query("method == 'SAE' and n == 1 and representation == '300-d'").to_dict("records")
        assert (cell["paper"], cell["ours"]) == (0.161, 0.25)
        assert cell["ours_used"] == "220-d, wordnet vectors, L_B features"
    assert "220-d, wordnet vectors, L_B features" in results.systems(rows).to_markdown().replace("\\_", "_")


def test_what_a_run_used_is_read_from_its_settings():
    said = {m: methods.used(sr.preset("small", method=m)) for m in ("SAKE", "L_B", "EMS", "GN-Triplet", "CVAE")}
    wanted = {"SAKE": "teacher", "L_B": "", "EMS": "", "GN-Triplet": "class pairs"}
    assert said == {**wanted, "CVAE": "aligned pairs, L_B features"}
    assert methods.used(sr.preset("small", method="ZSH", features="pretrained", class_vectors="random")) == (
        "random vectors, pretrained features"
    )


def test_one_claim_a_system_data_set_and_metric_judged_on_features_and_codes():
    claims = [c for c in all_claims().values() if c.item == "systems"]
    assert len(claims) == 9 * 3 * 2 and {len(c.contrasts) for c in claims} == {2}
    kinds = {"real": (0.5, 0.3), "64-bit": (0.3, 0.4)}
    frame = rows_frame(
        number(v, method=m, representation=kind, **TUBERLIN)
        for kind, pair in kinds.items()
        for m, v in zip(("SAKE", "ZSIH"), pair, strict=True)
    )
    verdicts = {v.claim.id: v for v in results.claims("systems", frame).verdicts}
    judged = verdicts["systems.sake-beats-zsih.tuberlin.mAP@all"]
    assert [j.verdict for j in judged.judged] == ["holds", "does not hold"] and judged.verdict == "does not hold"
    assert verdicts["systems.sake-beats-zsih.tuberlin.P@100"].verdict == "not run"


def test_the_chart_shows_means_intervals_and_the_best_on_top():
    values = {"SAKE": 0.4, "L_B": 0.35, "EMS": 0.45, "SAE": 0.2}
    rows = [number(v, "mini", method=m, representation=k) for m, v in values.items() for k in ("real", "64-bit")]
    run = next(r.run for r in rows if r.method == "EMS")
    ap = {(run, "ZS-SBIR", "64-d"): Queries(np.array([0.3, 0.3, 0.6, 0.6]), np.array([0, 0, 1, 1]))}
    (axis,) = plots.systems_chart(rows_frame(rows), ap).axes
    assert [t.get_text() for t in axis.get_yticklabels()] == ["EMS", "SAKE", "L_B", "SAE"]
    bars = [c for c in axis.containers if c.get_label()]
    assert len(bars) == 8 and sorted(float(c[0].get_xdata()[0]) for c in bars) == sorted([*values.values()] * 2)
    (ems,) = (c for c in bars if c[0].get_xdata()[0] == 0.45 and c[0].get_marker() == "o")
    low, high = ems[2][0].get_segments()[0][:, 0]
    assert (low, high) == pytest.approx((0.3, 0.6))  # two classes: the bootstrap's ends are either alone
    families = {t.get_text().rpartition(",")[0] for t in axis.figure.legends[0].get_texts()}
    assert families == {"SAKE", "baselines", "trains the network", "on frozen features"}
    with pytest.raises(ConfigError, match="make systems"):
        plots.systems_chart(rows_frame([]))


def test_the_figure_shows_no_number_of_the_paper():
    """Of the paper's data, one system was measured on one data set."""
    where = {"data": "sketchy/zeroshot1", "representation": "real"}
    (axis,) = plots.systems_chart(rows_frame([number(0.3, "paper", **where)])).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["SAKE"]


@pytest.mark.parametrize(
    "seeds, says",
    [
        ({"SAKE": 1, "L_B": 1}, "intervals over classes, one seed;"),
        ({"SAKE": 2, "L_B": 3}, "intervals over 2 or 3 seeds;"),
        ({"SAKE": 3, "L_B": 1}, "intervals over 3 seeds, or over classes where there is one;"),
    ],
)
def test_the_figure_says_how_many_seeds_its_intervals_have(seeds: dict[str, int], says: str) -> None:
    rows = [number(0.3 + s / 100, "mini", method=m, seed=s) for m, n in seeds.items() for s in range(n)]
    assert says in plots.systems_chart(rows_frame(rows)).get_suptitle()
