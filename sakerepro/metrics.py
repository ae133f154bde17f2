"""mAP@all, mAP@k and P@k under a named convention, with an explicit rule for ties.

Three conventions share these names in the literature; :func:`retrieval_metrics` lists them. Reference for ties:
McSherry and Najork, "Computing information retrieval performance measures efficiently in the presence of tied scores",
ECIR 2008.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import inputs
from .display import Brief
from .errors import ConfigError, DataError

if TYPE_CHECKING:
    from .inputs import Array
    from .ranking import ranks

CONVENTIONS = ("standard", "sake", "sem-pcyc")
TIES = ("expected", "worst", "best", "index")


@dataclass(frozen=True, eq=False, repr=False)
class RetrievalMetrics(Brief):
    """The measurements of :func:`retrieval_metrics` and its settings.

    Means are taken over the queries whose class is in the gallery; the arrays hold NaN for the others.
    """

    map_all: float  #: mean of `ap`
    map_at: dict[int, float]  #: k -> mean of `ap_at[k]`
    p_at: dict[int, float]  #: k -> mean of `precision_at[k]`
    ap: np.ndarray  #: (Q,) float64, AP over the whole gallery
    ap_at: dict[int, np.ndarray]  #: k -> (Q,) float64
    precision_at: dict[int, np.ndarray]  #: k -> (Q,) float64
    n_queries: int
    n_gallery: int
    n_without_relevant: int  #: queries whose class is absent from the gallery
    ks: tuple[int, ...]
    distance: str
    convention: str
    ties: str
    _sums: ranks.Sums = field(repr=False)

    def under(self, convention: str) -> RetrievalMetrics:
        """The same ranking under another convention, without ranking again.

        Raises:
            ConfigError: for an unknown convention, or for ``"sake"`` if the rule for ties was ``"expected"``.
        """
        _check_rules(convention, self.ties)
        return _measure(self._sums, self.ks, self.n_gallery, self.distance, convention, self.ties)

    def summary(self) -> dict[str, float]:
        """The means by the names that papers use: ``{"mAP@all": ..., "mAP@200": ..., "P@100": ...}``."""
        at = {f"mAP@{k}": v for k, v in self.map_at.items()} | {f"P@{k}": v for k, v in self.p_at.items()}
        return {"mAP@all": self.map_all} | at


def retrieval_metrics(
    query: Array,
    gallery: Array,
    query_labels: Array,
    gallery_labels: Array,
    ks: Sequence[int] = (100, 200),
    distance: str = "cosine",
    convention: str = "standard",
    ties: str | None = None,
) -> RetrievalMetrics:
    """Rank the gallery for every query, and measure how early the images of its class come.

    ============  ===========================================  =====================================  ==================
    convention    AP                                           AP@k divides by                        P@k divides by
    ============  ===========================================  =====================================  ==================
    ``standard``  mean precision at the relevant ranks         min(k, R)                              k
    ``sake``      interpolated: precision is replaced by the   min(k, R)                              min(k, gallery)
                  best one at this or any later rank (up to
                  k), as in the official code of SAKE
    ``sem-pcyc``  mean precision at the relevant ranks         relevant images in the top k           k
    ============  ===========================================  =====================================  ==================

    R is the number of gallery images of the query's class. With ``sem-pcyc``, AP@k is 0 if the top k hold none of them.

    Images at exactly the same distance are tied. ``ties`` is the rule for their order: ``"expected"`` gives the exact
    expected value over uniformly random orders of the tied images (closed form, nothing is sampled); ``"worst"`` and
    ``"best"`` put relevant images last or first among them; ``"index"`` keeps the order of the gallery. The default is
    ``"expected"``, but ``"index"`` for ``convention="sake"``: interpolated AP is not linear in the ranks, so its
    expectation has no closed form, and ``"expected"`` is refused. The result names the rule.

    Args:
        query: (Q, d) float embeddings, or (Q, bits / 8) packed uint8 codes for ``distance="hamming"``; array or tensor.
        gallery: (G, d) or (G, bits / 8).
        query_labels: (Q,) class ids or names.
        gallery_labels: (G,).
        ks: the cut-offs. A cut-off above G is allowed: the ranking then ends at G.
        distance: ``"cosine"``, ``"euclidean"`` or ``"hamming"``. An embedding of norm 0 has cosine 0 with all others.

    Returns:
        Means and values per query. A query whose class is absent from the gallery has no AP. It is NaN in the arrays,
        left out of the means and counted in ``n_without_relevant``, and a ``UserWarning`` names the class.

    Raises:
        ConfigError: if a setting is not known, a ``k`` is below 1, or ``"sake"`` is combined with ``"expected"``.
        DataError: if shapes or types are wrong, a value is NaN or infinite, or no query has its class in the gallery.
    """
    from .ranking import ranks  # here: it loads the compiled loops

    if ties is None:
        ties = "index" if convention == "sake" else "expected"
    _check_rules(convention, ties)
    cuts = tuple(dict.fromkeys(inputs.wholes(ks, "ks", 1)))
    query, gallery = inputs.pair(query, gallery, distance)
    labels_q = inputs.labels(query_labels, len(query), "query_labels")
    labels_g = inputs.labels(gallery_labels, len(gallery), "gallery_labels")
    class_q, class_g = _classes(labels_q, labels_g)
    absent = class_q < 0
    if absent.all():
        raise DataError("no query has its class in the gallery. Are both label arrays from the same split?")
    if absent.any():
        warnings.warn(
            f"{absent.sum()} of {len(query)} queries have no image of their class in the gallery (classes "
            f"{np.unique(labels_q[absent])[:5].tolist()}); they are left out of the means.",
            stacklevel=2,
        )
    sums = ranks.rank(query, gallery, class_q, class_g, cuts, distance, TIES.index(ties))
    return _measure(sums, cuts, len(gallery), distance, convention, ties)


def _check_rules(convention: str, ties: str) -> None:
    inputs.one_of(convention, CONVENTIONS, "convention")
    inputs.one_of(ties, TIES, "ties")
    if (convention, ties) == ("sake", "expected"):
        raise ConfigError(
            "convention='sake' interpolates precision, whose expectation over tied images is not known exactly, so "
            "ties='expected' is refused. Use ties='index' (the default here), 'worst' or 'best' (bounds), or "
            "convention='standard'."
        )


def _classes(query: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels as positions 0, 1, ... in the sorted classes of the gallery; -1 for a query of another class."""
    if (query.dtype.kind == "U") != (gallery.dtype.kind == "U"):
        raise DataError(f"query_labels are {query.dtype}, gallery_labels {gallery.dtype}. Give ids or names in both.")
    if np.result_type(query, gallery).kind == "f":  # uint64 and a signed type become float64, where large ids collide
        query, gallery = query.astype(object), gallery.astype(object)
    classes, class_g = np.unique(gallery, return_inverse=True)
    class_q = np.minimum(np.searchsorted(classes, query), len(classes) - 1)
    return np.where(classes[class_q] == query, class_q, -1), class_g.astype(np.int32)


def _measure(
    sums: ranks.Sums, ks: tuple[int, ...], n_gallery: int, distance: str, convention: str, ties: str
) -> RetrievalMetrics:
    """Divide the sums of precisions as the convention says."""
    k = np.asarray(ks, dtype=np.float64)[None, :]
    relevant = np.where(sums.relevant > 0, sums.relevant, np.nan)[:, None]  # NaN: no relevant image, no AP
    total, at = sums.plain, sums.plain_at / np.minimum(k, relevant)
    if convention == "sake":
        total, at = sums.interpolated, sums.interpolated_at / np.minimum(k, relevant)
    elif convention == "sem-pcyc":
        at = np.where(np.isnan(relevant), np.nan, sums.per_hit_at)
    ap = total / relevant[:, 0]
    depth = np.minimum(k, n_gallery) if convention == "sake" else k
    precision = sums.hits_at / np.where(np.isnan(relevant), np.nan, depth)
    return RetrievalMetrics(
        map_all=float(np.nanmean(ap)),
        map_at={k: float(np.nanmean(at[:, i])) for i, k in enumerate(ks)},
        p_at={k: float(np.nanmean(precision[:, i])) for i, k in enumerate(ks)},
        ap=ap,
        ap_at={k: at[:, i].copy() for i, k in enumerate(ks)},
        precision_at={k: precision[:, i].copy() for i, k in enumerate(ks)},
        n_queries=len(ap),
        n_gallery=n_gallery,
        n_without_relevant=int(np.isnan(relevant).sum()),
        ks=ks,
        distance=distance,
        convention=convention,
        ties=ties,
        _sums=sums,
    )
