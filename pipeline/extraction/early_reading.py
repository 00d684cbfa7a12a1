"""Reading that starts before the encoder is loaded."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import Future
from typing import Self

from ..bank.bank import Bank
from ..core.recipe import Recipe
from ..core.timing import Profile
from ..encoders import Encoder, EncoderInput
from ..sources.sampling import Sampling
from .reader import Reader, ReadSettings
from .resume import ResumeState
from .run import EncoderSpec, ExtractionJob, may_be_of

# So many batches may wait for the encoder: enough that it never waits for a slow video while others are fast.
_QUEUE_BATCHES = 4
_USUAL_BATCH = 8


class EarlyReading:
    """What is read of a job while its encoder is loaded; a context manager, which ends what is still being read.

    Reading starts early where it is known what need not be read: for a recipe of the bank, and in a bank without
    vectors of the encoder. For half precision it does not: that is timed against single precision, which reading would
    disturb.

    Attributes:
        profile: where the time goes.
    """

    def __init__(self, job: ExtractionJob, store: Bank) -> None:
        self.profile = Profile()
        self._job = job
        self._store = store
        self._input: Future[EncoderInput] = Future()
        self._readers = contextlib.ExitStack()
        self._early: Reader | None = None

    def __enter__(self) -> Self:
        encoder = self._job.encoder
        if isinstance(encoder, Recipe):
            self.announce(EncoderInput(Sampling.of_recipe(encoder), encoder.preprocessing))
            self._early = self._started(encoder.id, decoder=encoder.decoder)
        elif (
            isinstance(encoder, EncoderSpec)
            and encoder.precision in (None, "float32")
            and not any(may_be_of(recipe, self._job) for recipe in self._store.recipes().values())
        ):
            self._early = self._started("", decoder=self._job.decoder)
        return self

    def __exit__(self, *_: object) -> None:
        self._readers.close()

    def announce(self, encoder_input: EncoderInput) -> None:
        """Say what the encoder takes, as soon as that is known: decoding waits for it."""
        self._input.set_result(encoder_input)

    def reader(self, recipe: Recipe, encoder: Encoder) -> Reader:
        """What reads for the loaded encoder: what has started, unless the bank turns out to hold vectors of it."""
        if not self._input.done():
            self.announce(encoder.input)
        is_known = isinstance(self._job.encoder, Recipe) or recipe.id not in self._store.recipes()
        if self._early is not None and is_known:
            return self._early
        self._readers.close()  # else what started early would go on beside it
        return self._started(recipe.id, decoder=recipe.decoder)

    def _started(self, recipe_id: str, *, decoder: str) -> Reader:
        job = self._job
        stored = ResumeState(
            self._store, recipe_id, keep=job.keep if job.requires_kept else (), trust_partial=job.trust_partial
        )
        settings = ReadSettings(
            cut=job.cut,
            decoder=decoder,
            limits=job.limits,
            num_workers=job.num_workers or min(8, os.cpu_count() or 1),
            queue_clips=_QUEUE_BATCHES * (job.batch_size or _USUAL_BATCH),
        )
        reader = Reader(job.inputs, settings, stored=stored, encoder_input=self._input, profile=self.profile)
        self._readers.enter_context(reader)
        reader.start()
        return reader
