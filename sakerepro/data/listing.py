"""A data set as lists of files, before images are read, and its conversion to a :class:`Dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from .dataset import PHOTO, SKETCH, Dataset, ImageSet
from .packing import VERSION, Pack, pack_images

SETS = ("train_sketch", "val_sketch", "train_photo", "query", "gallery")
DOMAIN_OF = dict(zip(SETS, (SKETCH, SKETCH, PHOTO, SKETCH, PHOTO), strict=True))


@dataclass(frozen=True)
class Listed:
    """The files of one image set, in their given order."""

    names: tuple[str, ...] = ()  # (N,) paths relative to the root
    labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))  # (N,) int64

    def __len__(self) -> int:
        return len(self.names)

    def keep(self, mask: np.ndarray) -> Listed:
        """The files where ``mask`` (N,) bool is true."""
        return Listed(tuple(np.asarray(self.names, object)[mask]), self.labels[mask])


@dataclass(frozen=True)
class Listing:
    """A zero-shot split as files: the classes and the five image sets."""

    name: str
    split: str
    root: Path
    seen: tuple[str, ...]
    unseen: tuple[str, ...]
    train_sketch: Listed
    val_sketch: Listed
    train_photo: Listed
    query: Listed
    gallery: Listed
    note: str = ""  # on the files left out; printed when the images are packed
    also: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())  # photos and sketches of all splits

    def names_of(self, domain: int) -> set[str]:
        """All files of one domain in all splits; one pack holds them."""
        names = (name for s in SETS if DOMAIN_OF[s] == domain for name in getattr(self, s).names)
        return set(names) | self.also[domain]


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set, in one line of a list or in a whole file or folder (line 0)."""

    file: str  # as shown: "zeroshot1/cname_cid.txt"
    line: int
    text: str
    missing: bool = False  # a listed file does not exist; there may be thousands of such problems

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.text}" if self.line else f"{self.file}: {self.text}"


def listed(files: Mapping[str, Sequence[str]], classes: Sequence[str]) -> Listed:
    """The files of these classes, labelled 0, 1, ... in the order of the classes."""
    counts = np.array([len(files[c]) for c in classes], np.int64)
    return Listed(tuple(name for c in classes for name in files[c]), np.repeat(np.arange(len(classes)), counts))


def assemble(listing: Listing, size: int, progress: bool = True, verify: bool = False) -> Dataset:
    """Find or make the packs of a listing, one for each domain, and return its data set.

    With ``verify``, packs are compared with the checksums of all files, not only with their sizes and times.
    """
    pack = partial(pack_images, listing.root, size=size, progress=progress, verify=verify)
    photos = pack(listing.names_of(PHOTO), note=listing.note)
    return _dataset(listing, size, {PHOTO: photos, SKETCH: pack(listing.names_of(SKETCH), grey=True)})


def unread(listing: Listing, size: int) -> Dataset:
    """The data set of a listing with white images in place of the files; its fingerprint is not that of the files."""
    packs = {}
    for domain in (PHOTO, SKETCH):
        names = sorted(listing.names_of(domain))
        pixels = np.broadcast_to(np.uint8(255), (len(names), size, size, 1))
        packs[domain] = Pack(pixels, np.zeros((len(names), 32), np.uint8), {n: i for i, n in enumerate(names)})
    return _dataset(listing, size, packs)


def _dataset(listing: Listing, size: int, packs: Mapping[int, Pack]) -> Dataset:
    sets = {s: image_set(packs[DOMAIN_OF[s]], getattr(listing, s), DOMAIN_OF[s]) for s in SETS}
    digests = [packs[DOMAIN_OF[s]].sha256[sets[s].rows] for s in SETS]
    fingerprint = fingerprint_of(size, [listing.seen, listing.unseen], list(sets.values()), digests)
    return Dataset(listing.name, listing.split, listing.seen, listing.unseen, **sets, fingerprint=fingerprint)


def image_set(pack: Pack, listed: Listed, domain: int) -> ImageSet:
    """The listed files as rows of a pack."""
    rows = np.fromiter((pack.row_of[name] for name in listed.names), np.int64, len(listed))
    return ImageSet(pack.pixels, rows, np.asarray(listed.labels, np.int64), listed.names, domain)


def fingerprint_of(
    size: int, classes: Sequence[Sequence[str]], sets: Sequence[ImageSet], digests: Sequence[np.ndarray]
) -> str:
    """SHA-256 over the size, the class names, and each set's file names, labels and contents ((N, 32) digests)."""
    total = hashlib.sha256(repr((VERSION, size, [tuple(c) for c in classes])).encode())
    for images, contents in zip(sets, digests, strict=True):
        total.update("\0".join(images.names).encode("utf-8", "surrogateescape"))
        total.update(np.ascontiguousarray(images.labels).astype("<i8").tobytes())
        total.update(np.ascontiguousarray(contents).tobytes())
    return total.hexdigest()
