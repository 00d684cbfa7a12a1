"""A trained head as a user holds it: calibrated probabilities, and no answer if there is a reason for none."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from ...core.errors import HeadError
from ...core.file_rows import Matrix
from ...core.notebook import table_html
from ...core.types import FloatArray
from .._base import Head
from .card import HeadCard
from .novelty import NoveltyDetector
from .sample import Sample
from .text_prior import TextPrior

# Of clips of known classes this share must not be taken for unknown ones.
ACCEPT_KNOWN = 0.95


@dataclasses.dataclass(frozen=True)
class TrainedHead:
    """A head with what turns its scores into an answer, or into none.

    Attributes:
        familiarity: what the clips it was trained on look like, if there were enough of them.
        prior: what texts say of its classes, where they have a say.
        sample: some of what it was trained on, where that is too much to read again for each class that is added.

    Example:
        >>> head = load_head("bank", "default")
        >>> head.classes
        ('kick', 'wave')
    """

    head: Head
    card: HeadCard
    familiarity: NoveltyDetector | None = None
    prior: TextPrior | None = None
    sample: Sample | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the columns of ``predict_proba``."""
        return self.card.classes

    def _repr_html_(self) -> str:
        card = self.card
        facts = {"kind": card.kind, "recipe": card.recipe, "clips": len(card.examples), "classes": card.classes}
        return table_html([facts], title=f"TrainedHead {card.name}")

    def shares(self, X: Matrix, *, in_text_space: FloatArray | None = None) -> npt.NDArray[np.float64]:
        """(n, classes) probabilities before calibration.

        Args:
            X: what the head reads.
            in_text_space: (n, text dim), where there is a prior.
        """
        shares = self.head.predict_proba(X)
        if self.prior is not None and in_text_space is not None:
            shares = self.prior.blend(shares, in_text_space)
        return shares

    def probabilities(self, X: Matrix, *, in_text_space: FloatArray | None = None) -> npt.NDArray[np.float64]:
        """``shares``, calibrated."""
        return self.card.calibration.apply(self.shares(X, in_text_space=in_text_space))

    def known(self, vectors: Matrix) -> npt.NDArray[np.float64] | None:
        """For each clip the share of held-out clips of known classes that look no more familiar, the clip itself
        counted as one of them, in (0, 1]; None where no clips were held out to compare with.

        Counted so, a clip of a known class falls below a share with at most that probability (conformal p-values, Vovk
        et al. 2005): n clips cannot show that another one is rarer than one in n + 1.
        """
        if self.familiarity is None or not self.card.familiar:
            return None
        shares = np.linspace(0, 1, len(self.card.familiar))
        found: npt.NDArray[np.float64] = np.interp(self.familiarity.scores(vectors), self.card.familiar, shares)
        if self.card.held_out is None:
            return found
        return (found * self.card.held_out + 1) / (self.card.held_out + 1)

    def notes(self, *, accept_known: float = ACCEPT_KNOWN) -> list[str]:
        """What to know about its answers: sentences for whoever reads them.

        Args:
            accept_known: see ``predict``.
        """
        card = self.card
        if self.head.reads == "clips" and card.examples and not card.familiar:
            checked = "its scores are unchecked and " if card.cv is None else ""
            return [
                f"the head {card.name!r} was trained on too few videos of each class to know what is unlike them: "
                f"{checked}it answers for any clip, also of other classes. Label more videos and train it again"
            ]
        if card.held_out is not None and 1 / (card.held_out + 1) >= 1 - accept_known > 0:
            needed = math.floor(1 / (1 - accept_known))
            return [
                f"the head {card.name!r} was checked on {card.held_out} held-out clips, too few to reject clips that "
                f"belong to no class: it takes {needed}"
            ]
        return []

    def predict_proba(self, X: FloatArray, *, in_text_space: FloatArray | None = None) -> npt.NDArray[np.float64]:
        """(n, classes) calibrated probabilities, in the order of ``card.classes``.

        Args:
            X: what the head reads: vectors of clips, (n, dim), or for kinds that read frames (n, steps, dim).
            in_text_space: the clips' vectors in the space of texts, (n, text dim), for a head that blends texts in.

        Raises:
            HeadError: the arrays are not of the shape or values that the head was trained on, or the head blends
                texts in and there are no vectors in their space.
        """
        X = self._checked(X, self.head.input_shape, "X")
        if self.prior is not None:
            if in_text_space is None:
                raise HeadError(
                    f"the head {self.card.name!r} blends in texts, so it needs in_text_space as well: "
                    "load_encoder(...).text_space(vectors). predict does it for the clips of a bank"
                )
            in_text_space = self._checked(in_text_space, self.prior.texts.shape[1:], "in_text_space")
            if len(in_text_space) != len(X):
                raise HeadError(f"in_text_space has {len(in_text_space)} rows and X has {len(X)}: one for each clip")
        return self.probabilities(X, in_text_space=in_text_space)

    def predict(
        self, X: FloatArray, *, accept_known: float = ACCEPT_KNOWN, in_text_space: FloatArray | None = None
    ) -> list[str | None]:
        """The class of each clip, or None if it abstains, as ``pipeline.predict`` does.

        Args:
            X, in_text_space: see ``predict_proba``. A head on frames abstains only if the class is not sure enough.
            accept_known: share of clips of known classes that must not be taken for unknown ones, in [0, 1].

        Raises:
            HeadError: see ``predict_proba``.
        """
        scores = self.predict_proba(X, in_text_space=in_text_space)
        X = np.asarray(X, np.float32)
        known = self.known(X) if self.head.reads == "clips" else None
        reasons = self.abstentions(scores, known, accept_known=accept_known)
        best = scores.argmax(axis=1)
        return [None if why else self.card.classes[place] for place, why in zip(best, reasons, strict=True)]

    def _checked(self, values: npt.ArrayLike, row: tuple[int, ...], what: str) -> FloatArray:
        """Finite float32 rows of this shape.

        Raises:
            HeadError: they are not.
        """
        recipe = f"recipe {self.card.recipe.id} ({self.card.recipe.encoder})"
        rows = np.asarray(values, np.float32)
        expected = f"(n, {', '.join(map(str, row))})"
        if rows.ndim != len(row) + 1 or rows.shape[1:] != row:
            raise HeadError(
                f"the head {self.card.name!r} takes {what} of shape {expected}, made by {recipe}, not {rows.shape}. "
                "Take the vectors of that recipe; a single vector v is v[None]"
            )
        if not np.isfinite(rows).all():
            raise HeadError(f"{what} holds a number that is not finite, which no vector of {recipe} does")
        return rows

    def abstentions(
        self,
        scores: npt.NDArray[np.float64],
        known: npt.NDArray[np.float64] | None,
        *,
        accept_known: float = ACCEPT_KNOWN,
    ) -> list[Literal["unknown", "unsure"] | None]:
        """For each clip why no class is given, or None.

        Args:
            scores: probabilities, (n, classes).
            known: (n,), see ``known``.
            accept_known: see ``predict``.
        """
        limits = [self.card.thresholds.get(name, 0.0) for name in self.card.classes]
        reasons: list[Literal["unknown", "unsure"] | None] = []
        for number, best in enumerate(scores.argmax(axis=1)):
            unknown = known is not None and known[number] < 1 - accept_known
            limit = limits[best]
            unsure = limit is None or scores[number, best] < limit
            reasons.append("unknown" if unknown else "unsure" if unsure else None)
        return reasons
