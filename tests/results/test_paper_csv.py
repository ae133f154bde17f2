"""results/paper.csv against the paper: counts and cells read off the printed page by hand."""

import pytest

from sakerepro.errors import ConfigError
from sakerepro.results.grids import OTHER_SYSTEMS, identity
from sakerepro.results.paper import GRIDS, paper_values, printed

# Counted on the page. Table 1: six columns; GN-Triplet, DSH and SAE fill six, ZSH and ZSIH four, EMS two and two,
# CAAE four, CVAE two, SEM-PCYC four and four, SAKE six and, in the last row, which the text cuts short, three and, as
# others quote them, three.
PRINTED = {
    "table1": 3 * 6 + 2 * 4 + 2 + 2 + 4 + 2 + 4 + 4 + 6 + 3 + 3,
    "table2": 3 * 6,
    "table3": 2 * 5,
    "table4": 3 * 8,
    "table5": 3 * 5,
    "splits": 3,
    "forgetting": 2 * 3,
    "text": 1,
}


@pytest.mark.parametrize("item", PRINTED)
def test_every_printed_number_is_there_once(item):
    numbers = paper_values(item)
    assert numbers["value"].notna().sum() == PRINTED[item]
    assert not numbers["source"].duplicated().any()
    assert set(paper_values()["item"]) == set(PRINTED)


def test_the_cells_that_others_quote_say_so():
    quoted = paper_values()
    quoted = quoted[quoted["source"].str.startswith("quoted")]
    assert [(r.item, r.method, r.representation, r.split, r.metric, r.value) for r in quoted.itertuples()] == [
        ("table1", "SAKE", "64-bit", "zeroshot1", "P@100", 0.487),
        ("table1", "SAKE", "64-bit", "zeroshot2", "mAP@200", 0.356),
        ("table1", "SAKE", "64-bit", "zeroshot2", "P@200", 0.477),
    ]


@pytest.mark.parametrize(
    "item, where, value",
    [
        ("table1", {"method": "SEM-PCYC", "representation": "64-d", "dataset": "sketchy", "metric": "P@100"}, 0.463),
        ("table1", {"method": "CVAE", "metric": "P@200"}, 0.333),
        ("table1", {"method": "GN-Triplet", "split": "zeroshot2", "metric": "mAP@200"}, 0.083),
        ("table1", {"method": "EMS", "representation": "64-bit", "metric": "P@100"}, 0.252),
        ("table1", {"method": "SAKE", "representation": "512-d", "split": "zeroshot2", "metric": "P@200"}, 0.598),
        ("table1", {"method": "SAKE", "representation": "64-bit", "split": "zeroshot1", "metric": "mAP@all"}, 0.364),
        ("table2", {"method": "ZSIH", "dataset": "sketchy", "representation": "32-bit"}, 0.232),
        ("table2", {"method": "SAKE", "dataset": "tuberlin", "representation": "128-bit"}, 0.392),
        ("table3", {"lambda1": 0, "lambda2": 3}, 0.362),
        ("table3", {"lambda1": 1, "lambda2": 0, "method": "L_B + L_T"}, 0.426),
        ("table4", {"backbone": "alexnet", "task": "ZS-PBIR", "method": "L_B"}, 0.393),
        ("table4", {"backbone": "cse_resnet50", "task": "ZS-SBIR", "method": "pretrained"}, 0.068),
        ("table4", {"backbone": "resnet50", "task": "ZS-PBIR", "method": "SAKE"}, 0.670),
        ("table5", {"classes": "IN", "lambda_sake": 3}, 0.758),
        ("table5", {"classes": "non-IN", "lambda_sake": 0, "method": "L_B"}, 0.558),
        ("splits", {"split": "random1"}, 0.369),
        ("forgetting", {"backbone": "alexnet", "method": "SAKE"}, 0.5139),
        ("forgetting", {"backbone": "se_resnet50", "method": "L_B"}, 0.5956),
    ],
)
def test_cells_as_printed(item, where, value):
    numbers = paper_values(item)
    for column, wanted in where.items():
        numbers = numbers[numbers[column] == wanted]
    assert numbers["value"].tolist() == [value]


def test_numbers_that_the_paper_prints_twice_agree():
    """SAKE at 64 bits stands in Tables 1 and 2; SAKE, L_B and L_B + L_T at 64-d in Tables 3, 4 and 5."""
    key = ["dataset", "split", "task", "classes", "method", "backbone", "lambda_sake", "lambda1", "lambda2"]
    every = paper_values().dropna(subset="value")
    twice = every.groupby([*key, "representation", "metric"], dropna=False)["value"].agg(["nunique", "size"])
    assert (twice["nunique"] == 1).all()
    # ZSH and ZSIH on 2 data sets, SAKE on 2, and (1, 0.3) thrice, lambda_SAKE = 0 and (1, 0) twice
    assert (twice["size"] > 1).sum() == 4 + 2 + 3


@pytest.mark.parametrize("item", [item for item in GRIDS if printed(item) and item != "systems"])
def test_every_number_of_what_is_trained_here_has_a_cell_in_its_grid(item):
    cells = {identity(point) for grid in GRIDS[item] for point in grid.points()}
    wanted = {name for name, (point, _, _) in printed(item).items() if point["method"] not in OTHER_SYSTEMS}
    assert wanted and wanted <= cells
    assert len(printed(item)) == len(paper_values(item))


def test_all_numbers_of_the_ten_systems_are_of_table_1_and_have_a_cell():
    ours, table1 = printed("systems"), printed("table1")
    assert ours.keys() <= table1.keys() and ours.keys() <= {identity(p) for g in GRIDS["systems"] for p in g.points()}
    left_out = [point for name, (point, *_) in table1.items() if name not in ours]
    assert {(p["method"], p["representation"]) for p in left_out} == {("SAKE", "512-d")}


def test_unknown_item_is_named():
    with pytest.raises(ConfigError, match="'tabel1'.*'table1'"):
        paper_values("tabel1")
