"""Stored clips -> labels, by a head or, without any training, by texts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ._errors import UsageError
from ._recipe import Recipe
from ._types import ClipRow, Device, Prediction, VideoRow
from .bank import Bank
from .clips import Cut
from .encoders import load_for, text_cosines
from .encoding import Progress
from .extract import extract_for
from .heads import HeadCard, load_head
from .search import stored_patches
from .train import DEFAULT_NAME
from .vectors import softmax


def predict(
    sources: Sequence[str | Path] = (),
    *,
    bank: str | Path = "bank",
    head_name: str | None = None,
    prompts: Sequence[str] = (),
    templates: Sequence[str] = (),
    rerank: bool = False,
    recipe: str | None = None,
    top: int = 5,
    device: Device = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> tuple[list[Prediction], list[VideoRow]]:
    """Label clips: those of ``sources``, extracted where they are new, or all of the bank.

    Args:
        head_name: a stored head; by default ``"default"``, unless ``prompts`` are given.
        prompts: class names or descriptions to choose from, for encoders with a text side.
        templates: sentences that prompts are put into, such as ``"a video of {}"``; several are averaged.
        rerank: use the model's full score with prompts, which needs what ``extract --keep patches`` stores.
        top: how many classes to list for each clip.

    Returns:
        The predictions, and the outcome rows of the sources (some may have failed).

    Raises:
        UsageError: both a head and prompts.
        HeadError: no such head, or one that was trained on vectors of another recipe.
    """
    if top < 1:
        raise UsageError(f"top must be at least 1, not {top}")
    if prompts and head_name is not None:
        raise UsageError("give --head-name or --prompts, not both")
    if (templates or rerank) and not prompts:
        raise UsageError("--template and --rerank go with --prompts: a head reads no text")
    store = Bank(Path(bank))
    card: HeadCard | None = None
    if prompts:
        chosen = store.recipe(recipe)
    else:
        head, card = load_head(store.folder / "heads", head_name or DEFAULT_NAME)
        chosen = card.recipe if recipe is None else store.recipe(recipe)
        card.check_recipe(chosen)
    rows: list[VideoRow] = []
    if sources:
        cut = _cut_like(card, store)
        done = extract_for(chosen, sources, bank=bank, cut=cut, device=device, on_progress=on_progress)
        rows = list(done.rows)
    clips, vectors = _chosen(store, chosen, rows if sources else None)
    if not clips:
        return [], rows
    if card is None:
        kept = stored_patches(store, chosen, [clip.clip_id for clip in clips]) if rerank else None
        encoder = load_for(chosen, device=device)
        cosines = text_cosines(encoder, vectors, prompts, templates=templates, patches=kept)  # (n, prompts)
        classes, scores = list(prompts), softmax(encoder.text_scale * cosines)
    else:
        classes, scores = list(card.classes), head.predict_proba(vectors)
    return [_prediction(clip, classes, row, top) for clip, row in zip(clips, scores, strict=True)], rows


def _chosen(store: Bank, recipe: Recipe, rows: Sequence[VideoRow] | None) -> tuple[list[ClipRow], Any]:
    """The clips of these inputs in their order, under the names they were given; by default all."""
    table = store.clips(recipe.id)
    stored, vectors = list(table.rows()), table.embeddings()
    if rows is None:
        return stored, vectors
    by_id = {clip.clip_id: number for number, clip in enumerate(stored)}
    wanted = {(row.video, name): by_id[name] for row in rows for name in row.clip_ids}
    clips = [dataclasses.replace(stored[number], video=video) for (video, _), number in wanted.items()]
    return clips, vectors[list(wanted.values())]


def _cut_like(card: HeadCard | None, store: Bank) -> Cut | None:
    """New videos are cut the way most of the clips were that the head learned from."""
    if card is None:
        return None
    learned = {name for name, _, _ in card.examples}
    plans = Counter(clip.kind for clip in store.clips(card.recipe.id).rows() if clip.clip_id in learned)
    cuts = (Cut.from_name(plan) for plan, _ in plans.most_common())
    return next((cut for cut in cuts if cut is not None), None)


def _prediction(clip: ClipRow, classes: Sequence[str], scores: npt.NDArray[np.float64], top: int) -> Prediction:
    best = np.argsort(-scores, kind="stable")[:top]
    ranked = tuple((classes[number], float(scores[number])) for number in best)
    return Prediction(
        video=clip.video,
        video_id=clip.video_id,
        start_seconds=clip.start_seconds,
        stop_seconds=clip.stop_seconds,
        clip_id=clip.clip_id,
        label=ranked[0][0],
        score=ranked[0][1],
        top=ranked,
    )
