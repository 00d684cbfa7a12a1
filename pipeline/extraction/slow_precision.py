"""Half precision that is slower than float32 on this machine: refused, unless it was requested."""

from __future__ import annotations

from ..core.errors import UsageError
from ..core.recipe import Recipe
from ..encoders import Encoder, precision_slowdown
from .run import ExtractionJob, is_stored

# Times on a busy machine differ by as much.
_SLOWER = 1.25


def slow_precision(encoder: Encoder, job: ExtractionJob) -> str | None:
    """What users should know of the time that half precision takes, if anything. A bank's recipe is followed without a
    question, and nothing is measured where nothing is to be encoded.

    Raises:
        UsageError: it takes longer than float32, and ``job`` does not allow it. Nothing was stored.
    """
    precision = encoder.run.computes_in
    if precision == "float32" or isinstance(job.encoder, Recipe) or is_stored(job):
        return None
    ratio = precision_slowdown(encoder)
    if ratio <= _SLOWER:
        return None
    slow = f"{precision} takes {ratio:.1f} times as long as float32 with {encoder.name} on this machine"
    if not job.allow_slow_precision:
        raise UsageError(
            f"{slow}, so nothing was extracted. Use precision='float32', or accept it with allow_slow_precision=True"
        )
    return slow
