"""One side of :mod:`.alike`: cases from files, measured by the `sakerepro` of the current folder, of any commit.

Started from its text by a Python whose current folder holds that package. It uses only what earlier commits have, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

SHARED = ("data.dataset", "data.splits")  # modules that measuring uses and that are not measuring modules


def dataset(arrays: dict[str, np.ndarray], seen: int, unseen: int) -> Any:
    """The data set that a case's embeddings belong to, without images; its rows lie about a larger pack."""
    from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet

    def images(name: str, domain: int) -> Any:
        labels = arrays[f"{name}_labels"]
        rows = np.random.default_rng(len(name)).permutation(3 * len(labels))[: len(labels)]
        nothing = np.zeros((3 * len(labels), 1, 1, 1), np.uint8)
        return ImageSet(nothing, rows, labels, tuple(map(str, range(len(labels)))), domain)

    sketches, photos, query = images("train_sketch", SKETCH), images("train_photo", PHOTO), images("query", SKETCH)
    names = tuple(f"seen {i}" for i in range(seen)), tuple(f"unseen {i}" for i in range(unseen))
    return Dataset("case", "case", *names, sketches, sketches, photos, query, images("gallery", PHOTO), "")


def numbers(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All that the package says of a case: metrics, average precisions, traces, codes, nearest neighbours."""
    from sakerepro import evaluation
    from sakerepro.experiment import Experiment
    from sakerepro.hashing import ITQ
    from sakerepro.retrieval import search

    settings: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                for name, value in case["settings"].items()}  # fmt: skip
    e, data, asked = Experiment(**settings), dataset(arrays, case["seen"], case["unseen"]), []

    def embed(student: None, images: Any, *more: Any) -> np.ndarray:
        """In the place of a network: the embeddings of a set, and a note of what was asked for."""
        (name,) = (n for n in ("query", "gallery", "train_photo", "train_sketch") if getattr(data, n) is images)
        asked.append([name, *more])
        return arrays[name]

    evaluation.embed = embed  # type: ignore[assignment]
    metrics, found = evaluation.evaluate(None, data, e)  # type: ignore[arg-type]
    trace = evaluation.trace_function(data, e)(None)  # type: ignore[arg-type]
    said = json.dumps([[{**m, "value": 0} for m in metrics], list(trace), asked])
    found = {name: array for name, array in found.items() if name not in arrays}
    found |= {"names of all": np.frombuffer(said.encode(), np.uint8), "trace": np.array(list(trace.values()))}
    for m in metrics:
        key = " ".join(m[name] for name in ("task", "representation", "metric", "convention", "ties"))
        found[key] = np.array(m["value"])
    query, gallery = arrays["query"][:50], arrays["gallery"]
    found["nearest"], found["distances"] = search(query, gallery, min(100, len(gallery)))
    for bits in (b for b in e.bits if b <= e.dim):
        itq = ITQ(bits=bits, seed=e.seed).fit(arrays["train_photo"])
        found[f"{bits} bits"] = codes = itq.transform(gallery)
        found[f"nearest by {bits} bits"], _ = search(itq.transform(query), codes, min(100, len(gallery)), "hamming")
    return found


def main(cases: Path, out: Path) -> None:
    """Measure ``<number>.npz`` and ``.json`` of ``cases``; leave the same names and ``code.json`` in ``out``."""
    from tqdm import tqdm

    import sakerepro
    from sakerepro.provenance import code_parts
    from sakerepro.remeasure import measuring_parts

    if Path(sakerepro.__file__).resolve().parent != Path.cwd().resolve() / "sakerepro":
        raise SystemExit(f"{sakerepro.__file__} is not the package of {Path.cwd()}")
    for file in tqdm(sorted(cases.glob("*.npz")), "cases", disable=None, leave=False):
        with np.load(file) as stored:
            arrays = dict(stored)
        found = numbers(json.loads(file.with_suffix(".json").read_text()), arrays)
        np.savez(out / file.name, **found)  # type: ignore[arg-type]
    shared = {name: digest for name, digest in code_parts().items() if name in SHARED}
    (out / "code.json").write_text(json.dumps({"measuring": measuring_parts(), "shared": shared}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
