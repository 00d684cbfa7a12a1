"""Text scores of the classes, blended into a head, for few labelled clips."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ...core.types import FloatArray
from ...core.vectors import class_products, softmax, unit
from .shapes import check_shapes


@dataclasses.dataclass(frozen=True, eq=False)
class TextPrior:
    """Texts for the classes, and their weight.

    Attributes:
        texts: unit vectors, (classes, text dim).
        scale: of the cosines, the text tower's own.
        weight: of the text scores, in [0, 1]; the rest is the head's.
    """

    texts: FloatArray
    scale: float
    weight: float = 1.0

    def shares(self, in_text_space: FloatArray) -> npt.NDArray[np.float64]:
        """(n, classes) probabilities by the texts alone."""
        return softmax(self.scale * class_products(unit(in_text_space), self.texts))

    def blend(self, probabilities: npt.NDArray[np.float64], in_text_space: FloatArray) -> npt.NDArray[np.float64]:
        """The head's probabilities, (n, classes), and the texts', by weight."""
        return (1 - self.weight) * probabilities + self.weight * self.shares(in_text_space)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """For storing."""
        return {"texts": self.texts, "facts": np.array([self.scale, self.weight])}

    @classmethod
    def restore(cls, arrays: Mapping[str, npt.NDArray[Any]], *, sizes: Mapping[str, int]) -> TextPrior:
        """The inverse of ``arrays``; for ``sizes`` see ``check_shapes``.

        Raises:
            ValueError: an array is not what it has to be.
        """
        check_shapes(arrays, {"texts": ("classes", "text"), "facts": ("facts",)}, {**sizes, "facts": 2})
        scale, weight = map(float, arrays["facts"])
        if not 0 <= weight <= 1:
            raise ValueError(f"its texts weigh {weight:g}, which is not from 0 to 1")
        return cls(arrays["texts"], scale, weight)
