"""Where an extraction runs. Each file here is one runner behind the same contract: the rows are those of ``local``."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import ClassVar

from ...core.registry import Registry
from ..encode_loop import Progress
from ..run import Extraction, ExtractionJob

LOCAL = "local"


class Runner(abc.ABC):
    """Runs jobs. Its fields are its settings, all with a default, so that its name alone makes one.

    Attributes:
        shares_encoder: whether it uses an encoder that is loaded in this process, as a job may hold one.
    """

    shares_encoder: ClassVar[bool] = False

    @abc.abstractmethod
    def run(self, job: ExtractionJob, *, on_progress: Callable[[Progress], None] | None = None) -> Extraction:
        """Read, encode and store what the bank lacks, and add the labels of the inputs.

        If it is stopped, or a worker dies, what was finished is stored, and running the job again does the rest.

        Args:
            on_progress: called in the calling thread after each input and each batch.

        Raises:
            UsageError: a job that it cannot run, such as one with a loaded encoder.
            EncoderError, BankError: nothing was extracted.
            ClipdexError: it did not come to an end.
        """


runners: Registry[Runner] = Registry("pipeline.extraction.runners", Runner, kind="runner")  # type: ignore[type-abstract]


def as_runner(runner: Runner | str) -> Runner:
    """The runner itself, or by its name with its default settings.

    Raises:
        UnknownPart: no runner has this name.
    """
    return runners.get(runner)() if isinstance(runner, str) else runner
