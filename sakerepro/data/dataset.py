"""A loaded data set: five image sets and two disjoint lists of classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .. import inputs
from ..display import Brief
from ..errors import ConfigError, DataError

PHOTO, SKETCH = 0, 1  # the domain as in the paper (section 3.3); the official code has 1 and 0


@dataclass(frozen=True)
class ImageSet:
    """Images of one domain with labels: N rows of a pack of M images that is shared and never copied."""

    pixels: np.ndarray  #: (M, H, W, C) uint8, C = 1 (grey) or 3 (RGB); often a read-only memory map
    rows: np.ndarray  #: (N,) int64, the rows of `pixels` that belong to this set
    labels: np.ndarray  #: (N,) int64, from 0, in the order of the class names that the data set gives
    names: tuple[str, ...]  #: (N,) relative paths, for people and for error messages
    domain: int  #: PHOTO or SKETCH

    def __repr__(self) -> str:
        kind = "sketches" if self.domain == SKETCH else "photos"
        size = " x ".join(map(str, self.pixels.shape[1:]))
        return f"<{len(self):,} {kind} of {len(np.unique(self.labels))} classes, {size}>"

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, index: np.ndarray | Sequence[int]) -> np.ndarray:
        """(n, H, W, C) uint8 pixels of the images ``index``: a (N,) mask, or positions in this set.

        Raises:
            ConfigError: if the mask is not of N booleans, or a position is out of range.
        """
        return np.asarray(self.pixels[self.rows[inputs.positions(index, len(self), "index")]])

    def select(self, index: np.ndarray | Sequence[int]) -> ImageSet:
        """The images at ``index``; raises what :meth:`take` raises. Pixels are shared."""
        index = inputs.positions(index, len(self), "index")
        return replace(
            self, rows=self.rows[index], labels=self.labels[index], names=tuple(self.names[i] for i in index)
        )

    def of_classes(self, classes: Sequence[int], *, empty: bool = False) -> ImageSet:
        """The images of these class ids, relabelled 0 ... len(classes) - 1 in the order given.

        Args:
            classes: the ids, each once.
            empty: a class may have no image here, as some have no validation sketch.

        Raises:
            ConfigError: if an id is below 0, no whole number, given twice, or has no image.
        """
        if len(set(ids := inputs.wholes(classes, "classes", 0))) < len(ids):
            raise ConfigError(f"classes={list(ids)} holds a class twice. Give each once.")
        present = set(np.unique(self.labels).tolist())
        if not empty and (absent := [i for i in ids if i not in present]):
            known = f"from {min(present)} to {max(present)}" if present else "none: this set is empty"
            raise ConfigError(f"class {absent[0]} has no image here. Known ids: {known}.")
        new_id = {old: new for new, old in enumerate(ids)}
        subset = self.select(np.isin(self.labels, ids))
        return replace(subset, labels=np.array([new_id[old] for old in subset.labels.tolist()], dtype=np.int64))


def concatenate(*sets: ImageSet) -> ImageSet:
    """Join image sets of one domain in this order; pixels are shared if all sets use the same pack."""
    full = [s for s in sets if len(s)] or list(sets[:1])
    first = full[0]
    labels = np.concatenate([s.labels for s in full])
    names = tuple(name for s in full for name in s.names)
    if all(s.pixels is first.pixels for s in full):
        return ImageSet(first.pixels, np.concatenate([s.rows for s in full]), labels, names, first.domain)
    pixels = np.concatenate([s.take(np.arange(len(s))) for s in full])
    return ImageSet(pixels, np.arange(len(pixels)), labels, names, first.domain)


@dataclass(frozen=True, repr=False)
class Dataset(Brief):
    """A zero-shot sketch-based retrieval task (section 3.1): train on seen classes, search among unseen ones."""

    name: str
    split: str
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    train_sketch: ImageSet  #: labels index `seen`
    val_sketch: ImageSet  #: held-out sketches of seen classes (may be empty); labels index `seen`
    train_photo: ImageSet  #: labels index `seen`
    query: ImageSet  #: sketches; labels index `unseen`
    gallery: ImageSet  #: photos; labels index `unseen`
    fingerprint: str  #: SHA-256 over names, labels and contents; identifies the data of a run

    def __post_init__(self) -> None:
        if both := sorted(set(self.seen) & set(self.unseen)):
            raise DataError(
                f"{self.name}/{self.split}: {len(both)} classes are both seen and unseen ({', '.join(both[:5])}); "
                "zero-shot retrieval needs disjoint sets. Remove them from one of the two lists."
            )


@dataclass(frozen=True, repr=False)
class OriginalDomain(Brief):
    """Labelled photos of the original domain, which the teacher knows; forgetting is measured on them."""

    name: str
    wnids: tuple[str, ...]  #: WordNet 3.0 ids such as "n02084071", in the order of the labels
    train: ImageSet
    val: ImageSet
    fingerprint: str
