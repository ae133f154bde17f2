"""One side of :mod:`.alike`: cases from files, measured by the `sakerepro` of the current folder, of any commit.

Started from its text by a Python whose current folder holds that package. It uses only what earlier commits have, too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np


def dataset(arrays: dict[str, np.ndarray], seen: int, unseen: int) -> Any:
    """The data set that a case's embeddings belong to, without images."""
    from sakerepro.data.dataset import PHOTO, SKETCH, Dataset, ImageSet

    def images(name: str, domain: int) -> Any:
        labels = arrays[f"{name}_labels"]
        nothing = np.zeros((len(labels), 1, 1, 1), np.uint8)
        return ImageSet(nothing, np.arange(len(labels)), labels, tuple(map(str, range(len(labels)))), domain)

    sketches, photos, query = images("train_sketch", SKETCH), images("train_photo", PHOTO), images("query", SKETCH)
    names = tuple(f"seen {i}" for i in range(seen)), tuple(f"unseen {i}" for i in range(unseen))
    return Dataset("case", "case", *names, sketches, sketches, photos, query, images("gallery", PHOTO), "")


def numbers(case: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All that the package says of a case: metrics, average precisions, codes, nearest neighbours."""
    from sakerepro.evaluation import measure
    from sakerepro.experiment import Experiment
    from sakerepro.hashing import ITQ
    from sakerepro.retrieval import search

    settings: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value
                                for name, value in case["settings"].items()}  # fmt: skip
    e = Experiment(**settings)
    features = {name: array for name, array in arrays.items() if not name.endswith("_labels")}
    metrics, found = measure(features, dataset(arrays, case["seen"], case["unseen"]), e)
    for m in metrics:
        found[" ".join(m[name] for name in ("task", "representation", "metric", "convention"))] = np.array(m["value"])
    query, gallery = features["query"][:50], features["gallery"]
    found["nearest"], found["distances"] = search(query, gallery, min(100, len(gallery)))
    for bits in (b for b in e.bits if b <= e.dim):
        itq = ITQ(bits=bits, seed=e.seed).fit(features["train_photo"])
        found[f"{bits} bits"] = codes = itq.transform(gallery)
        found[f"nearest by {bits} bits"], _ = search(itq.transform(query), codes, min(100, len(gallery)), "hamming")
    return found


def main(cases: Path, out: Path) -> None:
    """Measure ``<number>.npz`` and ``.json`` of ``cases``; leave the same names and ``code.json`` in ``out``."""
    from tqdm import tqdm

    import sakerepro
    from sakerepro.remeasure import measuring_parts

    if Path(sakerepro.__file__).resolve().parent != Path.cwd().resolve() / "sakerepro":
        raise SystemExit(f"{sakerepro.__file__} is not the package of {Path.cwd()}")
    for file in tqdm(sorted(cases.glob("*.npz")), "cases", disable=None, leave=False):
        with np.load(file) as stored:
            arrays = dict(stored)
        found = numbers(json.loads(file.with_suffix(".json").read_text()), arrays)
        np.savez(out / file.name, **found)  # type: ignore[arg-type]
    (out / "code.json").write_text(json.dumps(measuring_parts()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
