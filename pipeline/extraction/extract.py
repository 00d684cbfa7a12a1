"""Sources -> bank: what is to be extracted, as a job for a runner; what is stored already is not done again.

Threads read (``reading``); the encoder runs here, in the calling thread, on batches that mix clips of
several videos. One video's failure is its own outcome row. Whatever stops the run, parts that were written
stay whole and the next run goes on from there.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from ..bank.bank import Bank, BankLike
from ..core.arguments import as_list, check_choice
from ..core.errors import UsageError
from ..core.recipe import Recipe
from ..core.types import Device, Keep, Limits, Precision, Source
from ..decoders import DEFAULT_DECODER, decoders, looks_readable
from ..encoders import (
    DEFAULT_ENCODER,
    Encoder,
    check_keep,
    check_registered,
    encode_canary,
    encoder_class,
    encoder_class_for,
    load_encoder,
)
from ..sources.catalog import find_sources
from ..sources.sampling import ClipPlan, Segmentation
from .encode_loop import Progress
from .resume import ResumeState
from .run import EncoderSpec, Extraction, ExtractionJob
from .runners import LOCAL, Runner, as_runner


def extract(
    sources: str | Path | Source | Sequence[str | Path | Source],
    *,
    bank: BankLike = "bank",
    encoder: str | Encoder = DEFAULT_ENCODER,
    clips: Segmentation = "windows",
    window_seconds: float | None = None,
    stride_seconds: float | None = None,
    num_frames: int | None = None,
    decoder: str = DEFAULT_DECODER,
    device: Device = "auto",
    batch_size: int | None = None,
    num_workers: int | None = None,
    pooling: str | None = None,
    precision: Precision | None = None,
    keep: Keep | Collection[Keep] = (),
    labels_from_folders: bool = False,
    root: str | Path | None = None,
    limits: Limits | None = None,
    runner: Runner | str = LOCAL,
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Store the clips of every input in the bank, encoding only what is not there yet.

    Args:
        sources: files, moments ``FILE@START-STOP``, folders, glob patterns, CSV or Parquet manifests.
        encoder: a name, a Hub id, a checkpoint folder, or a loaded encoder.
        clips: "whole" makes one clip of each video; "windows" cuts videos longer than a window.
        window_seconds: by default the encoder's natural span.
        stride_seconds: by default the window, so that windows follow each other.
        num_frames: frames a clip; by default the encoder's.
        batch_size: clips that go through the encoder together; by default as many as pay on this device.
        num_workers: reading processes; by default one for each core, at most 8.
        pooling: one of the encoder's ``poolings``; by default the one its authors use.
        precision: of the network's products, by default "float32"; half precision moves vectors by some thousandths
            of their length, and is another recipe.
        keep: what else to store of each clip: ``"frames"``, the features of each frame or step before they are
            pooled, in half precision; ``"patches"``, what exact scores with text need (X-CLIP; 100 kB a clip for
            base/32), or ``"patches-half"``, half of that at a loss of about 1e-4 of a cosine. Stored clips that
            lack it are encoded again for it, and their vectors stay as they are.
        root: a folder outside of which no video is read, whatever a manifest or a link says.
        limits: what one video may cost, how much of it may be lost, and which are too short.
        runner: where it runs, such as ``Processes(4)``; by default in this process.
        on_progress: called in the calling thread after each input and each batch.

    Raises:
        SourceError: an input that does not exist at all.
        EncoderError, BankError, UsageError: nothing was extracted.

    Example:
        >>> done = extract("videos/", bank="other", encoder="lite", clips="whole")
        >>> done.count("ok"), done.encoded_clips
        (6, 6)
    """
    keep = as_list(keep)
    check_choice("device", device, Device)
    check_choice("precision", precision, Precision)
    cut = _checked_cut(encoder, clips, window_seconds, stride_seconds, keep=keep, decoder=decoder)
    limits = limits or Limits()
    is_video = functools.partial(looks_readable, limits=limits)
    inputs = find_sources(sources, is_video=is_video, labels_from_folders=labels_from_folders)
    if root is not None:  # it stays with each input, for whoever reads it again
        inputs = [dataclasses.replace(source, root=Path(root).resolve()) for source in inputs]
    loading: dict[str, Any] = {"num_frames": num_frames, "pooling": pooling, "precision": precision}
    loaded = None if isinstance(encoder, str) else prepared_encoder(encoder, device=device, **loading)
    job = ExtractionJob(
        bank,
        inputs,
        cut,
        loaded or EncoderSpec(str(encoder), **loading),
        *(decoder, device, keep, limits, batch_size, num_workers),
    )
    return as_runner(runner).run(job, on_progress=on_progress)


def _checked_cut(
    encoder: str | Encoder,
    clips: Segmentation,
    window_seconds: float | None,
    stride_seconds: float | None,
    *,
    keep: Collection[Keep],
    decoder: str,
) -> ClipPlan:
    """How videos are cut; wrong calls are refused here, before anything is loaded."""
    check_choice("choice of clips", clips, Segmentation)
    decoders.get(decoder)
    if not isinstance(encoder, str):
        check_registered(encoder)
    part = encoder_class(encoder) if isinstance(encoder, str) else type(encoder)
    check_keep(str(encoder) if isinstance(encoder, str) else encoder.name, part, keep)
    window = part.card.span_seconds if window_seconds is None else window_seconds
    if clips == "whole" and (window_seconds or stride_seconds):
        raise UsageError("whole videos have no window and no stride; leave them out, or choose clips by windows")
    return ClipPlan(clips, window, window if stride_seconds is None else stride_seconds)


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
