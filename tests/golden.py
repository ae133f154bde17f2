"""Numbers that only a raised version may change: ``python tests/golden.py`` writes the reference anew.

It refuses where numbers changed and neither ``TRAINING`` nor ``MEASURING`` of ``versions.py`` was raised for them, and
prints the lines that CHANGELOG.md needs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # before numba is imported: its cache does not see edits in functions of another file
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="golden-")
    os.environ["TQDM_DISABLE"] = "1"

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import tiny  # noqa: E402

import sakerepro as sr  # noqa: E402
from sakerepro import paths, versions  # noqa: E402
from sakerepro.data.augmentation import augment, draw_transforms  # noqa: E402
from sakerepro.data.batches import epoch_batches  # noqa: E402
from sakerepro.experiment import preset  # noqa: E402
from sakerepro.files import read_json, short_hash, write_json  # noqa: E402
from sakerepro.networks.weights import read_weights  # noqa: E402
from sakerepro.provenance import processor  # noqa: E402
from sakerepro.teachers import load_teacher, shipped_file  # noqa: E402

REFERENCE = Path(__file__).parent / "reference" / "golden.json"
PARTS = ("training", "measuring")
# exact: plans, codes, files; others absolute, by the first word of the name (transforms: libraries of sines differ)
TOLERANCE = {"loss": 1e-4, "transforms": 1e-12, "pixels": 1e-5, "map": 1e-9, "p": 1e-9, "similarity": 1e-7}


def compute() -> dict[str, Any]:
    """All golden numbers, by part and name; ``machine`` holds what only one kind of processor repeats."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for place in ("RUNS", "CACHE", "RESULTS"):
            patch.setenv(f"SAKEREPRO_{place}", str(Path(folder) / place.lower()))
        steps, weights = _steps(Path(folder))
    return {
        "training": {**_plan(), **_images(), **steps, **_teachers(), **_similarity()},
        "measuring": _measures(),
        "machine": {"processor": processor(), "torch": version("torch"), "weights": weights},
    }


def _plan() -> dict[str, Any]:
    """Which images form which batch, and how they are moved."""
    plans = [[s.tolist(), p.tolist()] for steps in (None, 4) for s, p in epoch_batches(11, 23, 4, 9, 3, 1, steps)]
    rng = np.random.default_rng([5, 0, 1])
    moved = {f"transforms {s}": draw_transforms(6, s, rng).ravel().tolist() for s in ("official", "centred")}
    return {"plan": plans, **moved}


def _images() -> dict[str, Any]:
    """Mean and spread of augmented pixels."""
    numbers = {}
    for domain, fill in ((0, 0), (1, 255)):
        pixels = np.stack([tiny.shape(k, domain, k) for k in range(4)])
        pixels = pixels if pixels.ndim == 4 else pixels[..., None]
        x = augment(pixels, draw_transforms(4, "centred", np.random.default_rng(2)), 24, fill=fill).double()
        numbers[f"pixels {domain}"] = [*x.mean((1, 2, 3)).tolist(), *x.std((1, 2, 3)).tolist()]
    return numbers


def _steps(folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    """Losses of three float32 steps on one thread, an epoch each, of students and of teachers; sums of weights."""
    data, original = tiny.write_folder(folder / "data"), tiny.write_original(folder / "original")
    losses: dict[str, Any] = {}
    sums: dict[str, float] = {}
    common = dict(teacher_epochs=3, teacher_data=str(original), epochs=3, steps=1, precision="float32")
    students: dict[str, dict[str, Any]] = {
        "SAKE": {},
        "L_B": {"settings": {"lambda_sake": 0.0}},
        "L_T": {"settings": {"lambda2": 0.0}},
        "alexnet": {"backbone": "alexnet_mini"},
    }
    for name, changes in students.items():
        run = sr.run(tiny.experiment(data, Path("none"), **{**common, **changes}))
        losses[f"loss {name}"] = run.history().filter(like="loss").to_numpy().ravel().tolist()
        sums[name] = _sum(read_weights(run.folder / "weights.safetensors"))
    for file in sorted((folder / "runs").glob("teacher-*/teacher.json")):
        record = read_json(file)
        losses[f"loss teacher {record['teacher']}"] = [row["loss"] for row in record["history"]]
        sums[f"teacher {record['teacher']}"] = _sum(read_weights(file.with_name("weights.safetensors")))
    return losses, sums


def _sum(state: dict[str, Any]) -> float:
    return sum(float(x.double().abs().sum()) for x in state.values())


def _teachers() -> dict[str, Any]:
    """The small teachers that ship with the package: their files."""
    digests = {}
    for file in sorted(shipped_file("x").parent.glob("*.safetensors")):
        digests[f"file {file.stem}"] = load_teacher(preset("mini", backbone=file.stem))[2]["sha256"]
    return digests


def _similarity() -> dict[str, Any]:
    return {
        f"similarity {rule}": sr.semantic_similarity(tiny.SEEN, tiny.ORIGINAL, rule=rule).ravel().astype(float).tolist()
        for rule in ("path", "thresholded")
    }


def _measures() -> dict[str, Any]:
    """Metrics of fixed embeddings and of their codes, in every convention, and the codes themselves."""
    rng = np.random.default_rng(11)
    centres = rng.standard_normal((6, 24))
    labels = np.repeat(np.arange(6), 30)
    x = (centres[labels] + rng.standard_normal((180, 24))).astype(np.float32)
    query, gallery, ql, gl = x[::3], np.delete(x, np.s_[::3], axis=0), labels[::3], np.delete(labels, np.s_[::3])
    itq = sr.ITQ(bits=16, seed=0).fit(gallery)
    codes = itq.transform(query), itq.transform(gallery)
    numbers: dict[str, Any] = {"codes": [c.tolist() for c in codes]}
    for name, (q, g), distance in (("real", (query, gallery), "cosine"), ("16-bit", codes, "hamming")):
        for convention, ties in (("standard", "expected"), ("sake", "index"), ("sem-pcyc", "expected")):
            m = sr.retrieval_metrics(q, g, ql, gl, ks=(10, 50), distance=distance, convention=convention, ties=ties)
            numbers[f"map {name} {convention}"] = [m.map_all, *m.map_at.values()]
            numbers[f"p {name} {convention}"] = [*m.p_at.values()]
    return numbers


def differences(want: dict[str, Any], got: dict[str, Any]) -> list[str]:
    """Names of the numbers of one part that differ by more than their tolerance."""
    lines = [f"{name}: is in one of the two only" for name in sorted(want.keys() ^ got.keys())]
    for name in sorted(want.keys() & got.keys()):
        allowed = TOLERANCE.get(name.partition(" ")[0])
        if allowed is None:
            same = want[name] == got[name]
        else:
            same = len(want[name]) == len(got[name]) and np.allclose(want[name], got[name], rtol=0, atol=allowed)
        if not same:
            lines.append(f"{name}: was {str(want[name])[:90]}, is {str(got[name])[:90]}")
    return lines


def checksum(part: dict[str, Any]) -> str:
    """8 digits over the numbers of a part of the reference."""
    return short_hash(part)[:8]


def changelog_lines(reference: dict[str, Any]) -> Iterator[str]:
    """What CHANGELOG.md says of each part of the reference, before the words of whoever raised the version."""
    for part in PARTS:
        yield f"{part.upper()} {reference['versions'][part]} (golden {checksum(reference[part])})"


def write() -> int:
    """Write the reference anew; 1 if a number changed and its version did not."""
    new = {**json.loads(json.dumps(compute())), "versions": {p: getattr(versions, p.upper()) for p in PARTS}}
    if REFERENCE.is_file():
        old = read_json(REFERENCE)
        for part in PARTS:
            changed = differences(old[part], new[part])
            if changed and new["versions"][part] <= old["versions"][part]:
                file = paths.shown(Path(versions.__file__))
                print(f"Raise {part.upper()} in {file} first. Changed:", *changed, sep="\n  ")
                return 1
            if not changed and new["versions"][part] == old["versions"][part]:
                new[part] = old[part]  # another machine's last digits are no change
    write_json(REFERENCE, new)
    print("CHANGELOG.md needs these lines, each with what changed and why:", *changelog_lines(new), sep="\n- ")
    return 0


if __name__ == "__main__":
    sys.exit(write())
