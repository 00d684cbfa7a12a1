"""The loop: catalogue -> decode -> encode -> bank; what is stored already is not done again.

Threads read (``reading``); the encoder runs here, in the calling thread, on batches that mix clips of
several videos. One video's failure is its own outcome row. Whatever stops the run, parts that were written
stay whole and the next run goes on from there.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Unpack

from ..bank.bank import Bank, BankLike, open_bank
from ..core.arguments import as_list, options_of
from ..core.errors import BankError, UsageError
from ..core.recipe import Recipe
from ..core.types import Device, Limits, Precision, Source
from ..decoders import decoders, looks_readable
from ..encoders import (
    DEFAULT_ENCODER,
    Encoder,
    check_canary,
    check_keep,
    encode_canary,
    encoder_class,
    encoder_class_for,
    load_encoder,
    load_for,
)
from ..sources.catalog import find_sources
from ..sources.sampling import ClipPlan
from .encode_loop import Progress
from .extract_options import ExtractKeywords, ExtractOptions
from .resume import ResumeState
from .run import Extraction, ExtractionJob, run_job


def extract(
    sources: str | Path | Source | Sequence[str | Path | Source],
    *,
    bank: BankLike = "bank",
    on_progress: Callable[[Progress], None] | None = None,
    options: ExtractOptions | None = None,
    **keywords: Unpack[ExtractKeywords],
) -> Extraction:
    """Store the clips of every input in the bank, encoding only what is not there yet.

    Args:
        sources: files, moments ``FILE@START-STOP``, folders, glob patterns, CSV or Parquet manifests.
        on_progress: called in the calling thread after each input and each batch.
        options: how; by default as ``ExtractOptions`` says.
        keywords: single options, in place of those.

    Raises:
        SourceError: an input that does not exist at all.
        EncoderError, BankError, UsageError: nothing was extracted.
    """
    chosen = options_of(ExtractOptions, options, keywords)
    cut = _checked_cut(chosen)
    limits = chosen.limits or Limits()
    is_video = functools.partial(looks_readable, limits=limits)
    inputs = find_sources(sources, is_video=is_video, labels_from_folders=chosen.labels_from_folders)
    if chosen.root is not None:  # it stays with each input, for whoever reads it again
        root = Path(chosen.root).resolve()
        inputs = [dataclasses.replace(source, root=root) for source in inputs]
    keep = as_list(chosen.keep)
    job = ExtractionJob(inputs, cut, keep, limits, chosen.batch_size, chosen.num_workers)
    store = open_bank(bank, create=True)
    encoder = prepared_encoder(
        chosen.encoder,
        device=chosen.device,
        num_frames=chosen.num_frames,
        pooling=chosen.pooling,
        precision=chosen.precision,
    )
    recipe = encoder.recipe(decoder=chosen.decoder)
    if (stored := store.recipes().get(recipe.id)) is not None:
        check_canary(recipe, stored)
    return run_job(
        job,
        store=store,
        encoder=encoder,
        recipe=recipe,
        stored=ResumeState(store, recipe.id, keep=keep),
        on_progress=on_progress,
    )


def stored_already(
    inputs: Sequence[Source],
    *,
    bank: BankLike = "bank",
    options: ExtractOptions | None = None,
    **keywords: Unpack[ExtractKeywords],
) -> bool:
    """Whether the bank seems to hold all inputs under this encoder, as far as their size and date tell. Nothing is
    loaded for it: whoever gets True still has to ``extract``, which then probably has nothing to encode. What only
    the loaded encoder could tell counts as not stored.

    Args:
        inputs, options, keywords: as for ``extract``; the encoder by its name.
    """
    chosen = options_of(ExtractOptions, options, keywords)
    cut = _checked_cut(chosen)
    name, pooling, keep = str(chosen.encoder), chosen.pooling, as_list(chosen.keep)
    try:
        store = open_bank(bank)
        recipes = [
            recipe
            for recipe in store.recipes().values()
            if (name in (recipe.encoder, recipe.checkpoint) or str(Path(name).resolve()) == recipe.checkpoint)
            and (recipe.decoder, recipe.precision) == (chosen.decoder, chosen.precision or "float32")
            and chosen.num_frames in (None, recipe.num_frames)
            and (pooling is None or encoder_class(name).poolings.get(pooling) == recipe.pooling)
        ]
        stored = [ResumeState(store, recipe.id, keep=keep) for recipe in recipes]
    except BankError:  # there is none yet, or extracting tells what is wrong with it
        return not inputs
    return not inputs or any(
        all(one.seen(source.path, cut.name(source.span)) is not None for source in inputs) for one in stored
    )


def _checked_cut(options: ExtractOptions) -> ClipPlan:
    """How videos are cut; unknown names are refused here, before anything is loaded."""
    encoder = options.encoder
    decoders.get(options.decoder)
    part = encoder_class(encoder) if isinstance(encoder, str) else type(encoder)
    check_keep(encoder if isinstance(encoder, str) else encoder.name, part, as_list(options.keep))
    window = part.card.span_seconds if options.window_seconds is None else options.window_seconds
    return ClipPlan(options.clips, window, window if options.stride_seconds is None else options.stride_seconds)


def prepared_encoder(
    encoder: str | Encoder = DEFAULT_ENCODER,
    *,
    device: Device = "auto",
    num_frames: int | None = None,
    pooling: str | None = None,
    precision: Precision | None = None,
) -> Encoder:
    """The encoder that ``extract`` would use, loaded and with a canary."""
    if isinstance(encoder, str):
        chosen: Precision = precision or "float32"
        return load_encoder(encoder, device=device, num_frames=num_frames, pooling=pooling, precision=chosen)
    settled = num_frames is None and pooling is None and device == "auto"
    if not settled or precision not in (None, encoder.run.precision):
        raise UsageError(
            f"a loaded encoder ({encoder.name}) has its frames, pooling, device and precision: leave them out"
        )
    return encoder if encoder.canary is not None else encoder.replaced(canary=encode_canary(encoder))


def extract_for(
    recipe: Recipe,
    sources: str | Path | Sequence[str | Path],
    *,
    store: Bank,
    cut: ClipPlan | None = None,
    device: Device = "auto",
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Store what is missing of ``sources`` under a recipe that the bank has; only then load the encoder. New clips
    get beside their vectors what others of the recipe have.

    Args:
        cut: by default windows of the encoder's natural span.
    """
    started = time.monotonic()
    span = encoder_class_for(recipe).card.span_seconds
    cut = cut or ClipPlan("windows", span, span)
    inputs = find_sources(sources, is_video=looks_readable)
    stored = ResumeState(store, recipe.id)
    there = [row for source in inputs if (row := stored.seen(source.path, cut.name(source.span))) is not None]
    if len(there) == len(inputs):
        return Extraction(tuple(inputs), tuple(there), recipe, 0, time.monotonic() - started)
    return run_job(
        ExtractionJob(inputs, cut, store.kept_names(recipe.id), Limits()),
        store=store,
        encoder=load_for(recipe, device=device),
        recipe=recipe,
        stored=stored,
        on_progress=on_progress,
    )
