"""What is in a bank: its clips in groups of like ones, named by texts, and as a picture in two dimensions."""

from __future__ import annotations

import dataclasses
import importlib.util
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.clip_labels import label_of_clips
from ..bank.head_changes import labels_in
from ..core.arguments import as_list, check_choice
from ..core.errors import BankError, MissingExtra, UsageError
from ..core.recipe import Recipe
from ..core.results import Report, Results
from ..core.types import ClipRow, Device, FloatArray
from ..core.vectors import softmax, unit
from ..encoders import Encoder, encode_prompts, encoder_class_for, load_for

# The number of groups is chosen among these by how well clips sit in them (silhouette), on so many clips.
_COUNTS = (2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30)
_MEASURED, _MEASURED_PER_GROUP = 2000, 20

# A map shows a sample of so many clips where there are more.
_MOST_POINTS = 20_000

# So many texts that a group may be called by are given. Each has at least this share in what texts say of the group's
# clips, and so many times the odds that it has in other clips: else it says nothing about the group.
_NAMES = 3
_LEAST_SHARE = 0.1
_LEAST_ODDS = 2.0
_NAMED_CLIPS = 200  # of each group that the texts are compared with

Layout = Literal["auto", "pca", "umap"]


@dataclasses.dataclass(frozen=True)
class Cluster(Report):
    """Like clips.

    Attributes:
        names: the texts that set it apart from the others, best first; none if no text does, or without a text side.
        labels: how many of its clips have which label.
        clips: those nearest to its middle first.
    """

    number: int
    names: tuple[str, ...]
    labels: dict[str, int]
    clips: tuple[ClipRow, ...]

    def to_row(self) -> dict[str, Any]:
        """The group as ``--json`` prints it; its example is the clip nearest to its middle."""
        return {
            "group": self.number,
            "clips": len(self.clips),
            "names": list(self.names),
            "labels": self.labels,
            "example": f"{self.clips[0].video}@{self.clips[0].span}",
            "clip_ids": [clip.clip_id for clip in self.clips],
        }


@dataclasses.dataclass(frozen=True, eq=False)
class Map:
    """Clips as points.

    Attributes:
        points: (n, 2).
        layout: how they were placed.
        clusters: of each clip, (n,).
        labels: of each clip, or None.
        names: of each cluster, see ``Cluster``.
    """

    clips: tuple[ClipRow, ...]
    points: npt.NDArray[np.float64]
    layout: Layout
    clusters: npt.NDArray[np.int64]
    labels: tuple[str | None, ...]
    names: tuple[tuple[str, ...], ...] = ()


def clusters(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    count: int | None = None,
    texts: str | Sequence[str] = (),
    templates: str | Sequence[str] = (),
    device: Device = "auto",
) -> Results[Cluster]:
    """Group a bank's clips by k-means on their directions, largest group first.

    Args:
        count: how many groups; by default as many as clips sit best in.
        texts: what groups may be called; by default the bank's labels and the names of ImageNet's classes.
        templates: sentences that these are put into.

    Raises:
        UsageError: fewer clips than groups.
        BankError: no clips.

    Example:
        >>> sum(len(cluster.clips) for cluster in clusters(count=2))
        12
    """
    check_choice("device", device, Device)
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    if (texts or templates) and not _reads_text(chosen):
        raise UsageError(f"{chosen.encoder} has no text side, so groups cannot be named by texts")
    rows, vectors, labels = _read(store, chosen)
    codes, middles = _grouped(vectors, count)
    words = as_list(texts) or _vocabulary(labels)
    names = _names(chosen, vectors, codes, texts=words, templates=templates, device=device)
    found = []
    for number, middle in enumerate(middles):
        own = np.flatnonzero(codes == number)
        nearest = own[np.argsort(-(vectors[own] @ middle), kind="stable")]
        counts = Counter(name for place in own if (name := labels[place]) is not None)
        found.append(Cluster(number + 1, names[number], dict(counts.most_common()), tuple(rows[n] for n in nearest)))
    return Results(found)


def bank_map(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    count: int | None = None,
    layout: Layout = "auto",
    named: bool | None = None,
    device: Device = "auto",
) -> Map:
    """A bank's clips as points of a plane, like ones near each other.

    Args:
        count: of groups, see ``clusters``.
        layout: "pca" shows the two directions in which clips differ most; "umap" keeps neighbours together (extra
            ``map``) and is taken by "auto" where it is installed.
        named: whether groups are named by texts; by default if no clip has a label.
        device: where texts are encoded.

    Raises:
        MissingExtra: UMAP is requested and not installed.
        BankError: no clips.

    Example:
        >>> found = bank_map(layout="pca")
    """
    store = open_bank(bank)
    check_choice("layout", layout, Layout)
    check_choice("device", device, Device)
    found = store.recipe(recipe)
    rows, vectors, labels = _read(store, found)
    chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:_MOST_POINTS])
    rows, labels, vectors = [rows[n] for n in chosen], [labels[n] for n in chosen], vectors[chosen]
    there = importlib.util.find_spec("umap") is not None
    if layout == "umap" and not there:
        raise MissingExtra("umap-learn", extra="map", purpose="a UMAP layout")
    codes, _ = _grouped(vectors, count) if len(rows) > 2 else (np.zeros(len(rows), np.int64), None)
    names: Sequence[tuple[str, ...]] = ()
    if named or (named is None and not any(labels)):
        names = _names(found, vectors, codes, texts=_vocabulary(labels), device=device)
    how: Layout = "umap" if layout == "umap" or (layout == "auto" and there and len(rows) > 10) else "pca"
    return Map(tuple(rows), _placed(vectors, how), how, codes, tuple(labels), tuple(names))


def _read(store: Bank, recipe: Recipe) -> tuple[list[ClipRow], FloatArray, list[str | None]]:
    table = store.clips(recipe.id)
    rows = list(table.rows())
    if not rows:
        raise BankError(f"the bank {store.folder} holds no clips of {recipe.encoder}")
    labels = label_of_clips(rows, labels_in(store.folder).rows())
    return rows, unit(table.embeddings()), [None if label is None else label.label for label in labels]


def _grouped(vectors: FloatArray, count: int | None) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """Group numbers (n,), from 0 for the largest group, and middles of length 1 (groups, dim)."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import silhouette_score

    if count is not None and not 1 <= count <= len(vectors):
        raise UsageError(f"{len(vectors)} clips cannot make {count} groups")
    # Directions differ around their common middle: without it the groups are of what differs.
    centred = unit(vectors - vectors.mean(axis=0))
    sample = np.random.default_rng(0).permutation(len(vectors))[: max(_MEASURED, _MEASURED_PER_GROUP * (count or 0))]

    def fitted(number: int) -> KMeans:
        return KMeans(number, n_init=4, random_state=0).fit(centred[sample])

    if count is None:
        fits = [fitted(number) for number in _COUNTS if number < len(np.unique(centred[sample], axis=0))]
        scores = [silhouette_score(centred[sample], one.labels_) for one in fits]
        best = fits[int(np.argmax(scores))] if fits else fitted(1)
    else:
        best = fitted(count)
    codes = best.predict(centred)
    counts = np.bincount(codes)
    used = [number for number in np.argsort(-counts, kind="stable") if counts[number]]
    place = np.zeros(len(counts), np.int64)
    place[used] = np.arange(len(used))
    return place[codes], unit(np.stack([vectors[codes == number].mean(axis=0) for number in used]))


def _vocabulary(labels: Sequence[str | None]) -> list[str]:
    from ..encoders._families.efficientnet import object_names

    own = sorted({name.replace("_", " ") for name in labels if name is not None})
    return list(dict.fromkeys([*own, *object_names()]))


def _reads_text(recipe: Recipe) -> bool:
    return not recipe.imported and encoder_class_for(recipe).card.text


def _names(
    recipe: Recipe,
    vectors: FloatArray,
    codes: npt.NDArray[np.int64],
    *,
    texts: Sequence[str],
    templates: str | Sequence[str] = (),
    device: Device,
) -> list[tuple[str, ...]]:
    """For each group the texts that are likely for its clips, and more likely than for those of other groups."""
    groups = range(int(codes.max()) + 1)
    if not _reads_text(recipe):
        return [() for _ in groups]
    encoder: Encoder = load_for(recipe, device=device)
    named = unit(encode_prompts(encoder, list(texts), templates))
    draw = np.random.default_rng(0)
    shares = np.stack(
        [
            softmax(encoder.text_scale * unit(encoder.text_space(vectors[own])) @ named.T).mean(axis=0)
            for own in (draw.permutation(np.flatnonzero(codes == number))[:_NAMED_CLIPS] for number in groups)
        ]
    )  # (groups, texts)
    sizes = np.bincount(codes)[:, None]
    others = ((shares * sizes).sum(axis=0) - shares * sizes) / np.maximum(len(codes) - sizes, 1)
    apart = _odds(shares) >= _LEAST_ODDS * _odds(others)
    fit = (shares >= max(_LEAST_SHARE, 1 / len(texts))) & apart
    return [
        tuple(texts[place] for place in np.argsort(-own, kind="stable")[:_NAMES] if fits[place])
        for own, fits in zip(np.where(fit, shares - others, -1), fit, strict=True)
    ]


def _odds(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    odds: npt.NDArray[np.float64] = shares / np.maximum(1 - shares, 1e-12)
    return odds


def _placed(vectors: FloatArray, layout: Layout) -> npt.NDArray[np.float64]:
    if layout == "umap":
        import umap

        neighbours = min(15, len(vectors) - 1)
        placed = umap.UMAP(n_neighbors=neighbours, metric="cosine", random_state=0).fit_transform(vectors)
        return np.asarray(placed, np.float64)
    from sklearn.decomposition import PCA

    size = min(2, *vectors.shape)
    flat = PCA(size, random_state=0).fit_transform(vectors.astype(np.float64))
    return np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
