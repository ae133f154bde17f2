"""Replay the executed mini notebooks and hold what they compute against what is committed: ``python tests/replay.py``.

Their runs are trained first, into a fresh place; then nbval executes every notebook of ``results/mini`` again, into a
fresh results folder; then the rows that the replay wrote are compared with the committed ones.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sakerepro import paths
from sakerepro.files import read_json
from sakerepro.provenance import processor
from sakerepro.results import read_rows
from sakerepro.results.items import ITEMS, experiments, traced
from sakerepro.results.jobs import make_runs
from sakerepro.results.paper_claims import all_claims

ELSEWHERE = 0.03  # another processor or another PyTorch rounds differently, and training makes that visible
SEEN, TIMES = " seen@", 2  # from seed to seed these shares differ by up to 0.018 (s.d.), mAP@all by 0.0025 (ZSIH)
LIMIT = 3 * 3600  # seconds for the whole replay; no cell has a clock of its own, so none fails on a crowded machine
OF_THE_MACHINE = ("time ", "seconds ", "GiB ")  # how metrics begin that no two executions have alike
NO_FRACTIONS = ("best epoch",)  # what 0.03 says nothing about
NO_KEY = ("value", "commit", "dirty", "training", "measuring")


def replay(folder: Path, results: Path, workers: int) -> int:
    """Execute the notebooks of a folder by nbval, with their results going to another one; the exit code of pytest."""
    options = "-q --nbval-lax --nbval-cell-timeout=86400 -o filterwarnings= -o addopts= -p no:cacheprovider".split()
    spread = ["-n", str(workers), "--dist", "loadscope"]
    command = [sys.executable, "-m", "pytest", *options, *spread, str(folder)]
    variables = {"OMP_NUM_THREADS": "1", "TQDM_DISABLE": "1", "SAKEREPRO_RESULTS": str(results)}
    try:
        return subprocess.run(command, env=os.environ | variables, timeout=LIMIT).returncode
    except subprocess.TimeoutExpired:
        print(f"The replay took longer than {LIMIT} s.")
        return 1


def _values(file: Path, exact: bool) -> pd.Series[Any]:
    """Values of the rows, keyed by all other columns."""
    rows = read_rows(file)
    skipped = OF_THE_MACHINE if exact else OF_THE_MACHINE + NO_FRACTIONS
    rows = rows[~rows["metric"].str.startswith(skipped)]
    key = [c for c in rows.columns if c not in NO_KEY]
    names = pd.Series([" ".join(map(str, row)) for row in rows[key].to_numpy()], dtype=str)
    twice = names.groupby(names).cumcount().astype(str).where(names.duplicated(), "")
    return pd.Series(rows["value"].to_numpy(), index=names + twice)


def differences(committed: Path, replayed: Path, tolerance: float) -> list[str]:
    """Sentences about rows that only one file has and values that differ by more than the tolerance."""
    if not replayed.is_file():
        return [f"{committed.name}: the replay wrote none"]
    want, got = _values(committed, not tolerance), _values(replayed, not tolerance)
    lines = []
    for what, only in (("committed only", want.index.difference(got.index)), ("new", got.index.difference(want.index))):
        if len(only):
            lines.append(f"{committed.name}: {len(only)} rows {what}, such as {only[0]}")
    both = want.index.intersection(got.index)
    apart = (got[both] - want[both]).abs()
    allowed = tolerance * np.where(both.str.contains(SEEN, regex=False), TIMES, 1)
    for key in apart[apart > allowed].nlargest(5).index:
        lines.append(f"{committed.name}: {want[key]:.6g} committed, {got[key]:.6g} now: {key}")
    return lines


def same_kind(record: dict[str, Any]) -> bool:
    """Whether an item was made on a processor of this kind with this PyTorch."""
    from importlib.metadata import version

    made = record["made"]
    return made["processor"] == processor() and made["packages"]["torch"] == version("torch")


def verdict_changes(committed: Path, replayed: Path) -> list[str]:
    """Claims whose verdict differs from the committed one."""
    if not replayed.is_file():
        return [f"{committed.name}: the replay wrote none"]
    want, got = (pd.read_csv(f, comment="#", index_col="claim")["verdict"] for f in (committed, replayed))
    now = got.reindex(want.index, fill_value="nothing")
    changed = want.index[want != now]
    return [f"{committed.name}: {c}: {want[c]} committed, {now[c]} now" for c in changed]


def of_the_machine(claim: str) -> bool:
    """Whether a claim is judged on metrics that differ between executions; their rows are not compared either."""
    sums = (contrast.sum for contrast in all_claims()[claim].contrasts)
    return any(cell.where.get("metric", "").startswith(OF_THE_MACHINE) for one in sums for _, cell in one.terms)


def main() -> int:
    """Train, replay, compare; 0 if everything is as it is committed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2, help="runs, then notebooks, at a time")
    jobs = parser.parse_args().jobs
    committed, fresh = paths.root() / "results" / "mini", paths.cache() / "replay"
    shutil.rmtree(fresh, ignore_errors=True)
    os.environ["SAKEREPRO_RUNS"] = str(fresh / "runs")
    os.environ["NUMBA_CACHE_DIR"] = str(fresh / "numba")  # a used one does not see every edit
    wanted = list(dict.fromkeys(e for item in ITEMS for e in experiments(item)))
    print(f"Training the {len(wanted)} mini runs of the notebooks, {jobs} at a time.", flush=True)
    make_runs(wanted, traced("mini", [0]), jobs)
    code = replay(committed, fresh / "results", jobs)
    failed, notes = [], []
    for item in ITEMS:
        record = read_json(committed / f"{item}.json")
        exact = same_kind(record)
        new = fresh / "results" / "mini"
        failed += differences(committed / f"{item}-rows.csv", new / f"{item}-rows.csv", 0.0 if exact else ELSEWHERE)
        changed = verdict_changes(committed / f"{item}-claims.csv", new / f"{item}-claims.csv")
        for line in changed:  # such as "cost-claims.csv: cost.test-time: holds committed, fails now"
            claim = line.split(": ")[1]
            counts = claim not in all_claims() or (exact and not of_the_machine(claim))  # no claim: no file was written
            (failed if counts else notes).append(line)
    for head, lines in (("Other verdicts:", notes), ("Differs from what is committed:", failed)):
        print("\n  ".join([head, *lines]) if lines else "", end="\n" * bool(lines))
    print(f"replay: {'failed' if code or failed else 'as committed'}")
    return int(bool(code or failed))


if __name__ == "__main__":
    sys.exit(main())
