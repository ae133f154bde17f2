"""Other ways to divide the classes and images: random splits, pseudo-unseen classes, fewer images, photo queries."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from .. import inputs
from ..errors import ConfigError, DataError
from .dataset import Dataset, ImageSet, concatenate

MIN_PHOTOS = 400  # of each unseen class (section 4.1, after Shen et al.)


def random_unseen(photos: Mapping[str, int], n: int, seed: int, min_photos: int = MIN_PHOTOS) -> tuple[str, ...]:
    """Draw ``n`` unseen classes among those with at least ``min_photos`` photos, in the mapping's order.

    Args:
        photos: class name -> number of photos.

    Raises:
        ConfigError: if there are not enough such classes (with their number, and a minimum that works), or if no class
            would stay seen.
    """
    min_photos = inputs.whole(min_photos, "min_photos", 0)
    if not 1 <= inputs.whole(n, "n", 0) < len(photos):
        raise ConfigError(f"{n} unseen of {len(photos)} classes: ask for 1 ... {len(photos) - 1}, to leave some seen.")
    eligible = [name for name, count in photos.items() if count >= min_photos]
    if len(eligible) < n:
        feasible = sorted(photos.values(), reverse=True)[n - 1]
        fewer = f"Ask for at most {len(eligible)}, or set" if eligible else "Set"
        raise ConfigError(
            f"{n} unseen classes with at least {min_photos} photos each were asked for, and only {len(eligible)} of "
            f"{len(photos)} classes have so many. {fewer} min_photos (--min-photos) to {feasible}."
        )
    drawn = np.random.default_rng(inputs.whole(seed, "seed", 0)).choice(len(eligible), n, replace=False)
    return tuple(eligible[i] for i in sorted(drawn))


def held_out(labels: np.ndarray, per_class: int | np.ndarray, seed: int) -> np.ndarray:
    """(N,) bool: ``per_class`` random images of each class (one number, or one per class), but never a whole class."""
    labels = np.asarray(labels)
    mask = np.zeros(len(labels), dtype=bool)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        count = per_class if np.isscalar(per_class) else np.asarray(per_class)[label]
        mask[members[: min(int(count), len(members) - 1)]] = True  # type: ignore[arg-type]
    return mask


def pseudo_unseen(dataset: Dataset, n: int = 10, seed: int = 0) -> Dataset:
    """Hold out ``n`` random seen classes as if they were unseen, for choices that must not use the unseen classes.

    The other seen classes stay seen. The queries are all training and validation sketches of the held-out classes, the
    gallery holds their training photos. The result has no truly unseen class. Pixels are shared.

    Raises:
        ConfigError: if ``n`` is not between 1 and the number of seen classes less one.
    """
    if not 1 <= inputs.whole(n, "n", 0) < len(dataset.seen):
        raise ConfigError(
            f"{dataset.name}/{dataset.split}: {n} pseudo-unseen of {len(dataset.seen)} seen classes. "
            f"Ask for 1 ... {len(dataset.seen) - 1}, so that some are left to train on."
        )
    rng = np.random.default_rng(inputs.whole(seed, "seed", 0))
    drawn = sorted(rng.choice(len(dataset.seen), n, replace=False).tolist())
    seen = [c for c in range(len(dataset.seen)) if c not in set(drawn)]
    sketches = concatenate(dataset.train_sketch, dataset.val_sketch)
    return Dataset(
        name=dataset.name,
        split=f"{dataset.split}+pseudo{n}-{seed}",
        seen=tuple(dataset.seen[c] for c in seen),
        unseen=tuple(dataset.seen[c] for c in drawn),
        train_sketch=dataset.train_sketch.of_classes(seen),
        val_sketch=dataset.val_sketch.of_classes(seen, empty=True),
        train_photo=dataset.train_photo.of_classes(seen),
        query=sketches.of_classes(drawn),
        gallery=dataset.train_photo.of_classes(drawn),
        fingerprint=_derived(dataset, "pseudo", n, seed),
    )


def random_split(
    dataset: Dataset, n_unseen: int, seed: int, min_photos: int = MIN_PHOTOS, among: Collection[str] | None = None
) -> Dataset:
    """Divide all classes of a data set anew into seen and unseen (section 4.2: three random splits). Pixels are shared.

    The number of validation sketches of a class is that of the given split (the median over its classes).

    Args:
        n_unseen: number of unseen classes to draw (30 in the paper).
        seed: seed for drawing the classes and the validation sketches.
        min_photos: fewest photos of each unseen class (section 4.1: 400).
        among: classes that can become unseen (appendix A.1: those outside the original domain); ``None`` for all.

    Raises:
        ConfigError: if fewer than ``n_unseen`` classes are allowed with ``min_photos`` photos, or none would be seen.
    """
    among, n_unseen = None if among is None else inputs.names(among, "among"), inputs.whole(n_unseen, "n_unseen", 1)
    classes, before = (*dataset.seen, *dataset.unseen), len(dataset.seen)
    photos = concatenate(dataset.train_photo, _shifted(dataset.gallery, before))
    sketches = concatenate(dataset.train_sketch, dataset.val_sketch, _shifted(dataset.query, before))
    counts = np.bincount(photos.labels, minlength=len(classes)).tolist()
    eligible = {name: n for name, n in zip(classes, counts, strict=True) if among is None or name in among}
    if among is not None and len(eligible) <= n_unseen:
        advice = f"Ask for at most {len(eligible) - 1}" if len(eligible) > 1 else "Allow more"
        raise ConfigError(
            f"{dataset.name}/{dataset.split}: {n_unseen} unseen classes were asked for, and only {len(eligible)} of "
            f"the {len(classes)} classes are allowed to be unseen. {advice}."
        )
    names = random_unseen(eligible, n_unseen, seed, min_photos)
    limits = () if among is None else tuple(sorted(eligible))
    unseen = [i for i, name in enumerate(classes) if name in set(names)]
    seen = [i for i in range(len(classes)) if i not in set(unseen)]
    training = sketches.of_classes(seen)
    per_class = int(np.median(np.bincount(dataset.val_sketch.labels, minlength=before)))
    mask = held_out(training.labels, per_class, seed)
    return Dataset(
        name=dataset.name,
        split=f"{dataset.split}+random{n_unseen}-{seed}",
        seen=tuple(classes[i] for i in seen),
        unseen=tuple(classes[i] for i in unseen),
        train_sketch=training.select(~mask),
        val_sketch=training.select(mask),
        train_photo=photos.of_classes(seen),
        query=sketches.of_classes(unseen),
        gallery=photos.of_classes(unseen),
        fingerprint=_derived(dataset, "random", n_unseen, seed, min_photos, *limits),
    )


def fewer(dataset: Dataset, share: float) -> Dataset:
    """Train on a share of the sketches and of the photos of each seen class, rounded, at least one of each.

    The images are the same for every seed of a split; a smaller share is part of a larger one.

    Args:
        share: from 0 to 1.
    """

    def some(images: ImageSet) -> ImageSet:
        order = np.random.default_rng(0).permutation(len(images))
        chosen = np.zeros(len(images), dtype=bool)
        for c in np.unique(images.labels):
            members = order[images.labels[order] == c]
            chosen[members[: max(1, round(share * len(members)))]] = True
        return images.select(chosen)

    return replace(
        dataset,
        train_sketch=some(dataset.train_sketch),
        train_photo=some(dataset.train_photo),
        fingerprint=_derived(dataset, "share", share),
    )


def photo_queries(dataset: Dataset, per_class: int = 10) -> tuple[ImageSet, ImageSet]:
    """Queries and gallery of ZS-PBIR: the first ``per_class`` gallery photos of each class, and the rest.

    Returns:
        The queries and the rest of the gallery, both in the gallery's order; labels index ``dataset.unseen``.

    Raises:
        ConfigError: if ``per_class`` is not a whole number of at least 0.
        DataError: if a class has no photo left for the gallery.
    """
    inputs.whole(per_class, "per_class", 0)
    gallery = dataset.gallery
    counts = np.bincount(gallery.labels, minlength=len(dataset.unseen))
    if (few := np.flatnonzero(counts <= per_class)).size:
        name, count = dataset.unseen[few[0]], counts[few[0]]
        raise DataError(
            f"{dataset.name}/{dataset.split}: class {name!r} has {count} gallery photos, and {per_class} would be "
            f"queries ({few.size} such classes). Set photo_queries (--photo-queries) to at most "
            f"{max(int(counts.min()) - 1, 0)}, or add photos."
        )
    first = np.zeros(len(gallery), dtype=bool)
    for label in range(len(dataset.unseen)):
        first[np.flatnonzero(gallery.labels == label)[:per_class]] = True
    return gallery.select(first), gallery.select(~first)


def _shifted(images: ImageSet, by: int) -> ImageSet:
    return replace(images, labels=images.labels + by)


def _derived(dataset: Dataset, *how: object) -> str:
    return hashlib.sha256(repr((dataset.fingerprint, *how)).encode()).hexdigest()
