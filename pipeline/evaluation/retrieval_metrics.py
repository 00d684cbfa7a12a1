"""How well clips find others of their class, by plain cosine."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from ..classification.dataset import LabelledClips
from ..core.file_rows import in_memory
from ..core.metrics import average_precision
from ..core.vectors import unit

_BLOCK_ROWS = 1024

Numbers = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Retrieved:
    """What each of n clips found; nan for those that did not ask.

    Attributes:
        first: rank of the first clip of its class, from 1, (n,).
        precision: average precision of the whole ranking, (n,).
    """

    first: Numbers
    precision: Numbers

    def recall(self, k: int) -> Numbers:
        """(n,): 1 where one of the first ``k`` was of the class, else 0."""
        return np.where(np.isfinite(self.first), self.first <= k, np.nan)

    @property
    def measures(self) -> dict[str, Numbers]:
        """The usual figures, by name, clip by clip."""
        return {"recall@1": self.recall(1), "recall@5": self.recall(5), "mAP": self.precision}


def retrieved(examples: LabelledClips) -> Retrieved:
    """Each clip asks for its class: held-out clips among the others where there is a split, else every clip among those
    of other groups, so that none finds itself or its neighbours. Clips whose class is nowhere else do not ask.
    """
    rows = unit(in_memory(examples.vectors))
    split = examples.held_out.any()
    asking = np.flatnonzero(examples.held_out) if split else np.arange(len(rows))
    first, precision = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for start in range(0, len(asking), _BLOCK_ROWS):
        block = asking[start : start + _BLOCK_ROWS]
        for number, cosines in zip(block, rows[block] @ rows.T, strict=True):
            others = ~examples.held_out if split else examples.groups != examples.groups[number]
            ranked = (examples.y[others] == examples.y[number])[np.argsort(-cosines[others], kind="stable")]
            if ranked.any():
                first[number], precision[number] = 1 + ranked.argmax(), average_precision(ranked)
    return Retrieved(first, precision)


def retrieval_figures(examples: LabelledClips) -> dict[str, float]:
    """Means of the usual figures, by name; none if no clip asks."""
    found = retrieved(examples).measures
    if not np.isfinite(found["mAP"]).any():
        return {}
    return {
        f"retrieval_{name.replace('@', '_at_').lower()}": float(np.nanmean(values)) for name, values in found.items()
    }
