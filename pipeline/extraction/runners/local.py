"""One encoder in this process, which reads by expendable processes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import ClassVar

from ...bank.bank import open_bank
from ...core.recipe import Recipe
from ...encoders import Encoder, EncoderInput, check_canary, load_for
from ..early_reading import EarlyReading
from ..encode_loop import Progress
from ..extract import prepared_encoder
from ..run import EncoderSpec, Extraction, ExtractionJob, run_job
from ..slow_precision import slow_precision
from . import Runner


@dataclasses.dataclass(frozen=True)
class Local(Runner):
    """See the module."""

    shares_encoder: ClassVar[bool] = True

    def run(self, job: ExtractionJob, *, on_progress: Callable[[Progress], None] | None = None) -> Extraction:
        """See ``Runner.run``."""
        store = open_bank(job.bank, create=True)
        with EarlyReading(job, store) as reading:
            with reading.profile.timing("load"):
                encoder = _loaded(job, on_input=reading.announce)
            slow = slow_precision(encoder, job)
            recipe = job.encoder if isinstance(job.encoder, Recipe) else encoder.recipe(decoder=job.decoder)
            if (stored := store.recipes().get(recipe.id)) is not None:
                check_canary(recipe, stored)
            return run_job(
                job,
                store=store,
                encoder=encoder,
                recipe=recipe,
                reader=reading.reader(recipe, encoder),
                caution="; ".join(filter(None, [encoder.notes, slow])) or None,
                on_progress=on_progress,
            )


def _loaded(job: ExtractionJob, *, on_input: Callable[[EncoderInput], object]) -> Encoder:
    encoder = job.encoder
    if isinstance(encoder, Recipe):
        return load_for(encoder, device=job.device)
    if isinstance(encoder, EncoderSpec):
        return prepared_encoder(
            encoder.name,
            device=job.device,
            num_frames=encoder.num_frames,
            pooling=encoder.pooling,
            precision=encoder.precision,
            on_input=on_input,
        )
    return encoder
