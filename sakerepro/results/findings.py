"""docs/findings.md, and what stands between marks in README.md and choices.md: numbers of committed rows in templates.

A template states with ``holds`` what its sentences assume; if a new row contradicts this, the template must be mended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from .. import paths
from ..errors import DataError
from ..files import write_text
from ..metrics import CONVENTIONS, retrieval_metrics
from ..runs import Run, named_run
from .committed import saved_claims, saved_rows
from .tables_text import filled, markdown
from .tuning import read_trials, tuning_file

FROM, TO = "<!-- from rows -->\n", "<!-- to here -->\n"
METRICS = ("mAP@all", "mAP@100", "mAP@200", "P@100")


def write_findings(root: Path | None = None) -> list[Path]:
    """Write ``docs/findings.md``, the README's section and that of ``results/small/choices.md`` anew; return the files.

    Outside a checkout, none is there.

    Raises:
        DataError: if a row that a sentence needs is missing, or a sentence no longer holds.
    """
    small = root / "results" / "small" if root else paths.results("small")
    root = root or paths.root()
    readme, choices = root / "README.md", small / "choices.md"
    if not readme.is_file():
        return []
    facts = _facts()
    texts = {root / "docs" / "findings.md": filled("findings.md", **facts)}
    for file, template in ((readme, "real_data.md"), (choices, "trials.md")):
        before, begin, rest = file.read_text(encoding="utf-8").partition(FROM)
        _, end, after = rest.partition(TO)
        if not (begin and end):
            raise DataError(f"{paths.shown(file)}: has no {FROM.strip()} and {TO.strip()}. Put a line of each back.")
        texts[file] = before + begin + filled(template, **facts) + end + after
    for file, text in texts.items():
        write_text(file, text)
    return [*texts]


def conventions(run: Run) -> pd.DataFrame:
    """The same ranking under three conventions, from sketch to photo: a row a convention, a column a metric."""
    x = run.embeddings()
    query, gallery, asked, answers = (x[name] for name in ("query", "gallery", "query_labels", "gallery_labels"))
    found = {
        c: retrieval_metrics(query, gallery, asked, answers, convention=c, distance=run.distance).summary()
        for c in CONVENTIONS
    }
    return pd.DataFrame(found).T[list(METRICS)].rename_axis("convention")


def holds(premise: bool, sentence: str) -> str:
    """Nothing, in a template: what its sentences rest on.

    Raises:
        DataError: if the rows say otherwise.
    """
    if not premise:
        raise DataError(f"tables/*.md: {sentence!r} no longer holds by the rows. Write it anew.")
    return ""


def _facts() -> dict[str, Any]:
    rows = pd.concat([saved_rows(item, "small") for item in ("systems", "quickdraw")]).drop_duplicates()
    shipped = conventions(named_run())

    def value(method: str, codes: bool = False, task: str = "ZS-SBIR", split: str = "zeroshot1") -> float:
        """Mean over seeds of mAP@all."""
        of = rows.query("method == @method and task == @task and split == @split")
        of = of.query("metric == 'mAP@all' and convention == 'standard'")
        of = of[of["representation"].str.endswith("-bit") == codes]
        if of.empty:
            raise DataError(
                f"results/small/systems-rows.csv: has no row of {method}, {task}, {split}, nor has quickdraw-rows.csv."
            )
        return float(of["value"].mean())

    def seeds(method: str, split: str = "zeroshot1") -> int:
        """Number of seeds."""
        return rows.query("method == @method and split == @split")["seed"].nunique()

    trials = read_trials(tuning_file("small"))
    verdicts = pd.concat(saved_claims(item, "small")["verdict"] for item in ("table1", "quickdraw"))
    return {
        "v": value,
        "verdict": verdicts.to_dict().__getitem__,
        "holds": holds,
        "n": seeds,
        "trials": trials[trials["method"].isin(("L_B", "SAKE")) & trials["seed"].eq(0)],
        "conventions": shipped,
        "conventions_table": markdown(
            ["convention", *METRICS], [[f"`{c}`", *(f"{x:.3f}" for x in line)] for c, line in shipped.iterrows()]
        ),
    }
