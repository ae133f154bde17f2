"""Measuring code that gives the same numbers as that of an earlier commit: results stand though their runs are gone.

Whoever makes the measuring faster has runs measured anew (:mod:`.remeasure`). Where they are no more, on a checkout
that has only their results, this shows that measuring them anew would change nothing: both codes measure the same
embeddings, and no number may differ in any bit. What was shown is kept in ``results/alike.json`` and counts in
:mod:`.status`.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from . import paths
from .errors import ConfigError, RunError, SakeError
from .experiment import Experiment
from .files import lock, read_json, write_json
from .provenance import brief, provenance
from .remeasure import measuring_parts
from .repeat import _distance
from .runs import all_runs

# (queries, gallery, training images, dimensions, classes, bits): as `mini`, as `small` with either length, as nothing
# is divided evenly, and with more photos between two relevant ones than 16 bits count
SHAPES = ((64, 320, 600, 64, 8, (64,)), (500, 3000, 2000, 64, 30, (16, 32, 64)), (450, 2500, 2000, 512, 30, (64, 128)),
          (97, 1237, 400, 70, 7, (32,)), (40, 150_000, 500, 64, 6, (64,)))  # fmt: skip
KINDS = ("around", "coarse", "twins", "half")


@dataclass(frozen=True)
class Alike:
    """How far the numbers of an earlier commit's code are from those of now; 0 is the same to the last bit."""

    commit: str  # the earlier one
    changed: tuple[str, ...]  # measuring modules that differ
    cases: int  # sets of embeddings that both have measured
    numbers: int  # that were compared
    furthest: float  # the largest difference; infinite where names or shapes differ
    where: str  # the case and the number of that; "" if there is none
    seconds: float

    @property
    def same(self) -> bool:
        """Whether no number differs."""
        return self.furthest == 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "same": self.same}


def alike(commit: str, progress: bool = True) -> Alike:
    """Measure embeddings by the code of an earlier commit and by that of now, compare, and keep what was shown.

    The embeddings are those of all finished runs at hand, and seeded ones: like those of the presets, with ties, with
    equal photos, with zeros, and with a gallery of 150,000.

    Args:
        commit: any name that git knows it by, such as ``"HEAD~3"``.
        progress: whether both sides show how far they are, on stderr.

    Returns:
        What differs; where nothing does, it was added to ``results/alike.json``.

    Raises:
        ConfigError: if git knows no such commit, or this is no git checkout.
        RunError: if the earlier code cannot measure these cases, or ``results/alike.json`` is damaged.
    """
    started, sha = time.time(), _commit(commit)
    _stored()  # a file that cannot be read is found before the long work
    with tempfile.TemporaryDirectory(prefix="alike-") as name:
        place = Path(name)
        count = _write_cases(place / "cases")
        _unpack(sha, place / "earlier")
        before = _side(place / "earlier", place / "before", f"commit {commit!r}", progress)
        now = _side(Path(__file__).resolve().parents[1], place / "now", "now", progress)
        numbers, furthest, where = _compare(place)
    old, new = before["measuring"], now["measuring"]
    changed = tuple(m for m in sorted(old.keys() | new.keys()) if old.get(m) != new.get(m))
    found = Alike(sha, changed, count, numbers, furthest, where, round(time.time() - started, 1))
    if found.same and changed:
        _keep({"before": old, "shared": before["shared"], "now": new}, found)
    return found


def file() -> Path:
    """``results/alike.json``."""
    return paths.results() / "alike.json"


def as_now(parts: Mapping[str, str]) -> tuple[dict[str, str], int]:
    """The modules that made a run, as if measured by the code of now where that was shown to change no number.

    Args:
        parts: module to digest, as a run's provenance has it.

    Returns:
        ``parts`` with the measuring modules of now, and on how many cases that rests, the fewest of all steps from
        code to code; ``parts`` as they are and 0, where no steps lead to the code of now.
    """
    wanted, start = measuring_parts(), {**parts}
    if wanted.items() <= start.items():  # the usual case: nothing is read
        return start, 0
    steps, ahead, met = _shown(), [(start, 0)], [start]
    while ahead:  # the fewest steps first
        reached, ways = ahead.pop(0)
        if wanted.items() <= reached.items():
            return reached, ways
        for step in (s for s in steps if _fits(s, reached)):
            after = {m: d for m, d in reached.items() if m not in step["before"]} | step["now"]
            if after not in met:
                met.append(after)
                ahead.append((after, min(ways or step["cases"], step["cases"])))
    return start, 0


def _fits(step: Mapping[str, Any], parts: Mapping[str, str]) -> bool:
    """Whether a step begins at this code, of which it puts only measuring modules in the place of others."""
    new = {m: d for m, d in step["now"].items() if m not in step["before"]}
    begins = {**step["before"], **step["shared"]}
    return begins.items() <= parts.items() and all(parts.get(m, d) == d for m, d in new.items())


def _shown() -> list[dict[str, Any]]:
    try:
        return [s for s in _stored() if {"before", "shared", "now", "cases"} <= s.keys()]
    except (SakeError, AttributeError):
        return []  # then nothing was shown


def _stored() -> list[dict[str, Any]]:
    """What the file holds; nothing, if there is none.

    Raises:
        RunError: if it is damaged.
    """
    if not file().is_file():
        return []
    try:
        found = json.loads(file().read_text(encoding="utf-8"))["shown"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{file()}: cannot be read ({error}). Mend it, or remove it and compare again.") from None
    if not isinstance(found, list):
        raise RunError(f"{file()}: its 'shown' is no list. Mend it, or remove it and compare again.")
    return found


def _keep(codes: dict[str, Any], found: Alike) -> None:
    entry = {**codes, **found.to_dict(), "origin": brief(provenance()) | {"finished": time.time()}}
    with lock(file().with_name(".alike.lock")):
        others = [s for s in _stored() if not isinstance(s, dict) or not codes.items() <= s.items()]
        write_json(file(), {"shown": [*others, entry]})


def _commit(name: str) -> str:
    done = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
    if done.returncode:
        raise ConfigError(
            f"commit {name!r}: git finds no such commit in {paths.root()}. `git log --oneline` lists them; a shallow "
            "clone lacks most, which `git fetch --unshallow` gets."
        )
    return done.stdout.decode().strip()


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Git in this checkout, whatever other repository the environment names."""
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(["git", "-C", str(paths.root()), *arguments], capture_output=True, env=elsewhere)
    except OSError as error:
        raise ConfigError(f"git cannot be run ({error}); it has the code of earlier commits.") from None


def _unpack(sha: str, folder: Path) -> None:
    """The package as that commit has it."""
    done = _git("archive", sha, "sakerepro")
    if done.returncode:
        raise ConfigError(f"commit {sha[:12]}: git finds no folder sakerepro in it ({done.stderr.decode().strip()}).")
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as archive:
        if hasattr(tarfile, "data_filter"):  # not in the first releases of Python 3.11
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)


def _side(root: Path, out: Path, name: str, progress: bool) -> dict[str, dict[str, str]]:
    """Let the package below ``root`` measure the cases; return the digests of its modules."""
    out.mkdir()
    cases = out.with_name("cases")
    script = Path(__file__).with_name("_alike_side.py").read_text(encoding="utf-8")
    done = subprocess.run([sys.executable, "-c", script, str(cases), str(out)], cwd=root, text=True,
                          stdout=subprocess.PIPE, stderr=None if progress else subprocess.PIPE)  # fmt: skip
    if done.returncode:
        raise RunError(f"The code of {name} cannot measure the cases: {(done.stderr or 'see above').strip()}")
    return dict(read_json(out / "code.json"))


def _compare(place: Path) -> tuple[int, float, str]:
    """Numbers in all, the largest difference, and where that is."""
    count, furthest, where = 0, 0.0, ""
    for file in sorted((place / "cases").glob("*.npz")):
        title = read_json(file.with_suffix(".json"))["title"]
        with np.load(place / "before" / file.name) as before, np.load(place / "now" / file.name) as now:
            for name in sorted(set(before.files) | set(now.files)):
                sides = [{name: side[name]} if name in side.files else {} for side in (before, now)]
                apart = _distance(*sides) if all(sides) else float("inf")
                if apart == 0 and sides[0][name].tobytes() != sides[1][name].tobytes():  # -0, or another NaN
                    apart = float(np.finfo(np.float64).smallest_subnormal)
                count += sides[0][name].size if sides[0] else 0
                if apart > furthest:
                    furthest, where = apart, f"{title}: {name}"
    return count, furthest, where


def _write_cases(folder: Path) -> int:
    folder.mkdir()
    count = 0
    for settings, arrays in _cases():
        np.savez(folder / f"{count:04d}.npz", **arrays)  # type: ignore[arg-type]
        (folder / f"{count:04d}.json").write_text(json.dumps(settings))
        count += 1
    return count


def _cases() -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """What both sides measure: a title and settings, embeddings and labels."""
    for shape in SHAPES:
        for kind in KINDS:
            yield _made(shape, kind)
    for run in all_runs():
        e = run.experiment
        arrays = {name: array for name, array in run.embeddings().items() if not name.startswith("ap/")}
        yield _settings(run.id, arrays, dim=e.dim, bits=e.bits, photo_queries=e.photo_queries, seed=e.seed), arrays


def _settings(title: str, arrays: Mapping[str, np.ndarray], **settings: Any) -> dict[str, Any]:
    seen, unseen = (int(max(arrays[f"{n}_labels"].max() for n in names)) + 1
                    for names in (("train_photo", "train_sketch"), ("query", "gallery")))  # fmt: skip
    known = asdict(Experiment(**settings))
    return {"title": title, "seen": seen, "unseen": unseen, "settings": {name: known[name] for name in settings}}


def _made(
    shape: tuple[int, int, int, int, int, tuple[int, ...]], kind: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Seeded embeddings about the centres of their classes, of which the first is rare.

    Kinds: as they come; rounded to few values, so that many distances are equal; every photo several times; in half
    precision with some of length zero.
    """
    queries, photos, training, dim, classes, bits = shape
    rng = np.random.default_rng([*shape[:5], KINDS.index(kind)])
    centres = rng.standard_normal((classes, dim)) / 2
    arrays: dict[str, np.ndarray] = {}
    for name, count in (("query", queries), ("gallery", photos), ("train_photo", training), ("train_sketch", training)):
        share = np.full(classes, 1.0)
        share[0] = 0.2
        labels = np.concatenate([np.repeat(np.arange(classes), 12), rng.choice(classes, count, p=share / share.sum())])
        labels = rng.permutation(labels[:count] if name == "query" else labels)
        values = centres[labels] + rng.standard_normal((len(labels), dim))
        if kind == "coarse":
            values = np.round(values)
        if kind == "twins":
            values = values[rng.integers(0, max(1, len(values) // 3), len(values))]
        if kind == "half":
            values = values.astype(np.float16)
            values[rng.random(len(values)) < 0.02] = 0
        arrays |= {name: values.astype(np.float32), f"{name}_labels": labels.astype(np.int64)}
    title = f"{kind}, {queries:,} x {photos:,} x {dim}"
    some = KINDS.index(kind)
    return _settings(title, arrays, dim=dim, bits=bits, photo_queries=(10, 3, 0, 7)[some], seed=some), arrays
