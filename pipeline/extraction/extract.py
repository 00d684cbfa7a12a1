"""Sources -> bank: what is to be extracted, as a job for a runner; what is stored already is not done again.

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
from typing import Unpack, cast

from ..bank.bank import Bank, BankLike
from ..bank.labels import check_class_name
from ..core.arguments import as_list, options_of
from ..core.errors import UsageError
from ..core.limits import Limits
from ..core.recipe import Recipe
from ..core.types import Device, Moment, Source
from ..decoders import DEFAULT_DECODER, decoders, looks_readable
from ..encoders import (
    Encoder,
    EncoderInput,
    check_keep,
    check_registered,
    encode_canary,
    encoder_class,
    encoder_class_for,
    load_encoder,
    load_for,
)
from ..sources.catalog import find_sources
from ..sources.label_names import name_pattern, note_unlabelled
from ..sources.sampling import ClipPlan
from .choose_encoder import choose_encoder
from .encode_loop import Progress
from .extract_options import ExtractKeywords, ExtractOptions
from .resume import ResumeState
from .run import EncoderSpec, Extraction, ExtractionJob
from .runners import LOCAL, Runner, as_runner


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
        SourceError: none of the sources exists; one among others is a failed input.
        LabelError: a label that is no class name; nothing was extracted.
        EncoderError, BankError, UsageError: nothing was extracted.

    Example:
        >>> done = extract("videos/", bank="other", encoder="lite", clips="whole")
        >>> done.count("ok"), done.encoded_clips
        (6, 6)
    """
    chosen = options_of(ExtractOptions, options, keywords)
    decoders.get(chosen.decoder or DEFAULT_DECODER)  # unknown names are refused before anything is looked for
    cut = None if chosen.encoder is None else _checked_cut(chosen)
    limits = chosen.limits or Limits()
    is_video = functools.partial(looks_readable, limits=limits)
    inputs = find_sources(
        sources,
        is_video=is_video,
        labels_from_folders=chosen.labels_from_folders,
        labels_from_names=chosen.labels_from_names,
    )
    if chosen.root is not None:  # it stays with each input, for whoever reads it again
        root = Path(chosen.root).resolve()
        inputs = [dataclasses.replace(source, root=root) for source in inputs]
    if chosen.labels_from_names is not None:
        note_unlabelled(inputs, name_pattern(chosen.labels_from_names))
    for source in inputs:  # before anything is encoded
        if source.label is not None:
            check_class_name(source.label, Moment(source.path, source.span))
    chosen = choose_encoder(chosen, bank=bank)
    cut = cut or _checked_cut(chosen)
    job = ExtractionJob(
        bank,
        inputs,
        cut,
        job_encoder(chosen),
        decoder=chosen.decoder or DEFAULT_DECODER,
        device=chosen.device,
        keep=as_list(chosen.keep),
        limits=limits,
        batch_size=chosen.batch_size,
        num_workers=chosen.num_workers,
        allow_slow_precision=chosen.allow_slow_precision,
    )
    return as_runner(chosen.runner).run(job, on_progress=on_progress)


def job_encoder(options: ExtractOptions) -> EncoderSpec | Encoder | Recipe:
    """What is loaded by whoever runs the job (``loaded_encoder``), or the encoder that is loaded already."""
    encoder = options.encoder
    if encoder is None:
        raise UsageError("these options name no encoder, so there is none to load")
    if isinstance(encoder, Recipe):
        return encoder
    if isinstance(encoder, str):
        return EncoderSpec(encoder, options.num_frames, options.pooling, options.precision)
    settled = options.num_frames is None and options.pooling is None and options.device == "auto"
    if not settled or options.precision not in (None, encoder.run.precision):
        raise UsageError(
            f"a loaded encoder ({encoder.name}) has its frames, pooling, device and precision: leave them out"
        )
    return encoder


def _checked_cut(options: ExtractOptions) -> ClipPlan:
    """How videos are cut; an unknown encoder is refused here, before anything is loaded."""
    name, part = _encoder_part(options.encoder)
    check_keep(name, part.keeps, as_list(options.keep))
    window = part.card.span_seconds if options.window_seconds is None else options.window_seconds
    return ClipPlan(options.clips, window, window if options.stride_seconds is None else options.stride_seconds)


def _encoder_part(encoder: str | Encoder | Recipe | None) -> tuple[str, type[Encoder]]:
    """Name and class of a named encoder."""
    if isinstance(encoder, Recipe):
        return encoder.encoder, encoder_class_for(encoder)
    if isinstance(encoder, str):
        return encoder, encoder_class(encoder)
    check_registered(encoder)
    loaded = cast("Encoder", encoder)
    return loaded.name, type(loaded)


def loaded_encoder(
    encoder: EncoderSpec | Encoder | Recipe,
    *,
    device: Device = "auto",
    on_input: Callable[[EncoderInput], object] = lambda _: None,
) -> Encoder:
    """The encoder of a job, loaded and with a canary; that of a recipe as the recipe says.

    Args:
        on_input: see ``load_encoder``; not called for a recipe, which says itself what its encoder takes, nor for an
            encoder that is loaded.
    """
    if isinstance(encoder, Recipe):
        return load_for(encoder, device=device)
    if isinstance(encoder, EncoderSpec):
        return load_encoder(
            encoder.name,
            device=device,
            num_frames=encoder.num_frames,
            pooling=encoder.pooling,
            precision=encoder.precision or "float32",
            on_input=on_input,
        )
    return encoder if encoder.canary is not None else encoder.replaced(canary=encode_canary(encoder))


def extract_for(
    recipe: Recipe,
    sources: str | Path | Sequence[str | Path],
    *,
    store: Bank,
    cut: ClipPlan | None = None,
    device: Device = "auto",
    runner: Runner | str = LOCAL,
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Store what is missing of ``sources`` under a recipe that the bank has; only then load the encoder. New clips
    get beside their vectors what others of the recipe have.

    Args:
        cut: by default windows of the encoder's natural span.
        runner: see ``extract``.
    """
    started = time.monotonic()
    span = encoder_class_for(recipe).card.span_seconds
    cut = cut or ClipPlan("windows", span, span)
    inputs = find_sources(sources, is_video=looks_readable)
    stored = ResumeState(store, recipe.id)
    there = [row for source in inputs if (row := stored.seen(source.path, cut.name(source.span))) is not None]
    if len(there) == len(inputs):
        return Extraction(tuple(inputs), tuple(there), recipe, 0, time.monotonic() - started)
    job = ExtractionJob(
        store,
        inputs,
        cut,
        recipe,
        device=device,
        keep=store.feature_names(recipe.id),
        requires_kept=False,
    )
    return as_runner(runner).run(job, on_progress=on_progress)
