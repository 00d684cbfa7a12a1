"""One encoder in this process, which reads by expendable processes."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from typing import ClassVar

from ...bank.bank import open_bank
from ...core.recipe import Recipe
from ...encoders import check_canary
from ..early_reading import EarlyReading
from ..encode_loop import Progress
from ..extract import loaded_encoder
from ..run import Extraction, ExtractionJob, run_job
from ..slow_precision import slow_precision
from . import Runner


@dataclasses.dataclass(frozen=True)
class Local(Runner):
    """See the module."""

    shares_encoder: ClassVar[bool] = True

    def run(self, job: ExtractionJob, *, on_progress: Callable[[Progress], None] | None = None) -> Extraction:
        """See ``Runner.run``."""
        started = time.monotonic()
        store = open_bank(job.bank, create=True)
        with EarlyReading(job, store) as reading:
            with reading.profile.timing("load"):
                encoder = loaded_encoder(job.encoder, device=job.device, on_input=reading.announce)
            slow = slow_precision(encoder, job)
            recipe = job.encoder if isinstance(job.encoder, Recipe) else encoder.recipe(decoder=job.decoder)
            stored = store.recipes().get(recipe.id)
            if stored is not None:
                check_canary(recipe, stored)
            limits = encoder.notes if stored is None else None  # said once; docs and clipdex encoders repeat them
            return run_job(
                job,
                store=store,
                encoder=encoder,
                recipe=recipe,
                reader=reading.reader(recipe, encoder),
                caution="; ".join(filter(None, [limits, slow])) or None,
                started=started,
                on_progress=on_progress,
            )
