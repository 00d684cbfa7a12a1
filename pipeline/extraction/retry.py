"""Once more what went wrong: the inputs of a bank whose latest outcome is a failure or a loss, and nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from ..bank.bank import Bank, BankLike, open_bank
from ..core.arguments import check_choice
from ..core.errors import EmptyFolder
from ..core.files import path_of
from ..core.input_files import kind_of
from ..core.limits import Limits
from ..core.types import Device, Source, VideoRow
from ..decoders import looks_readable
from ..encoders import load_for
from ..sources.catalog import find_sources
from ..sources.sampling import WHOLE, ClipPlan
from .encode_loop import Progress
from .run import Extraction, ExtractionJob, together
from .runners import LOCAL, Runner, as_runner


def failures(bank: Bank, recipe_id: str) -> list[VideoRow]:
    """Inputs of which something is missing, by their latest outcome."""
    return [row for row in bank.videos(recipe_id).values() if row.status in ("failed", "partial")]


def _inputs_of(row: VideoRow) -> list[Source]:
    """What failed, and if it is a folder that can be read by now, the videos in it."""
    path = path_of(row.video)
    inputs = [Source.from_manifest_json(path, row.asked)]
    if kind_of(path) == "folder":
        with contextlib.suppress(EmptyFolder):
            inputs += find_sources([path], is_video=looks_readable)
    return inputs


def retry(
    *,
    bank: BankLike = "bank",
    recipe: str | None = None,
    limits: Limits | None = None,
    device: Device = "auto",
    batch_size: int | None = None,
    num_workers: int | None = None,
    runner: Runner | str = LOCAL,
    on_progress: Callable[[Progress], None] | None = None,
) -> Extraction:
    """Read again what failed or was stored in part, as it was given then, with its labels and metadata.

    Args:
        recipe: id, encoder or checkpoint, where the bank holds several.
        limits: what one video may cost this time.
        runner: see ``extract``.

    Raises:
        BankError, UsageError, EncoderError: nothing was tried.

    Example:
        >>> retry().rows
        ()
    """
    check_choice("device", device, Device)
    started = time.monotonic()
    store = open_bank(bank)
    chosen = store.recipe(recipe)
    by_cut: dict[ClipPlan, list[Source]] = {}
    for row in failures(store, chosen.id):
        cut = ClipPlan.from_name(str(row.plan)) or WHOLE  # a moment brings its own stretch
        by_cut.setdefault(cut, []).extend(_inputs_of(row))
    if not by_cut:
        return Extraction((), (), chosen, 0, time.monotonic() - started)
    runs = as_runner(runner)
    encoder = load_for(chosen, device=device) if runs.shares_encoder else chosen
    jobs = [
        ExtractionJob(
            store,
            inputs,
            cut,
            encoder,
            decoder=chosen.decoder,
            device=device,
            keep=store.feature_names(chosen.id),
            limits=limits or Limits(),
            batch_size=batch_size,
            num_workers=num_workers,
            requires_kept=False,
            trust_partial=False,
        )
        for cut, inputs in by_cut.items()
    ]
    done = [runs.run(job, on_progress=on_progress) for job in jobs]
    return together(
        done,
        inputs=[source for one in done for source in one.inputs],
        rows=[row for one in done for row in one.rows],
        seconds=time.monotonic() - started,
    )
