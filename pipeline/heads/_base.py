"""What every head is."""

from __future__ import annotations

import abc
import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..core.file_rows import FileRows, Stored, fits_in_memory, taken
from ..core.registry import Registry
from ..core.vectors import softmax
from ._trained.shapes import Shapes, check_shapes

if TYPE_CHECKING:
    from ._graph import Graph

Arrays = dict[str, npt.NDArray[Any]]
Rows = npt.NDArray[np.float32]
Codes = npt.NDArray[np.int64]
Groups = npt.NDArray[np.str_]

# Parameters that several kinds have.
_COUNTS = ("k", "hidden_dim", "embedding_dim", "width", "num_epochs", "max_steps", "max_iter", "batch_size")


class Head(ClassifierMixin, BaseEstimator, abc.ABC):  # type: ignore[misc]
    """A classifier on stored vectors.

    Subclasses implement ``_fit`` and ``scores`` on checked input, and keep what they learned in arrays named ``*_``,
    listed in ``learned``.

    Attributes:
        reads: a clip's vector, or the features of its frames.
        learned: names of the arrays that hold what was learned.
        shapes: of all that ``arrays`` gives; see ``check_shapes``.
        per_class: those of them with one row for each class, in the order of ``classes_``.
        per_example: those with one row for each example, ``codes_`` with their class numbers among them.
        learns_alone: whether a class is best learned alone by default; a space learned from few classes may have no
            room for another one.
        grid: values worth trying, by parameter (``cross_validation.choose``).
        repeats: how often few clips are dealt into folds anew, at most, to measure it; less where training takes long.
        on_disk: those arrays that it reads some rows of at a time, so that they may stay in a file (``FileRows``).
        streams: whether it learns from rows in a file as well, some of which it has in memory at a time.
    """

    reads: ClassVar[Literal["clips", "frames"]] = "clips"
    learned: tuple[str, ...] = ()
    shapes: ClassVar[Shapes] = {}
    per_class: ClassVar[tuple[str, ...]] = ()
    per_example: ClassVar[tuple[str, ...]] = ()
    learns_alone: ClassVar[bool] = True
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {}
    repeats: ClassVar[int] = 10
    on_disk: ClassVar[tuple[str, ...]] = ()
    streams: ClassVar[bool] = False

    def fit(self, X: npt.ArrayLike | FileRows, y: npt.ArrayLike, groups: npt.ArrayLike | None = None) -> Self:
        """Learn from vectors (n, dim) and one class name each.

        Args:
            X: (n, dim), or (n, steps, dim) for a head that reads frames.
            groups: (n,), what must stay together where a kind holds clips out to know when to stop.

        Raises:
            ValueError: not finite, of different lengths, or fewer than two classes; or a parameter out of its range.
        """
        for name, value in self.get_params(deep=False).items():
            if (name in _COUNTS and value < 1) or (name == "temperature" and value <= 0):
                raise ValueError(f"{name} must be {'at least 1' if name in _COUNTS else 'above 0'}, not {value}")
            if name == "dropout" and not 0 <= value < 1:
                raise ValueError(f"dropout must be at least 0 and less than 1, not {value}")
        rows, names = self._checked(X, y)
        check_classification_targets(names)
        self.classes_, codes = np.unique(names, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"{type(self).__name__} needs labels of at least 2 classes, got 1 class: {self.classes_[0]}"
            )
        self._fit(rows, codes, None if groups is None else np.asarray(groups))
        return self

    def _checked(self, X: npt.ArrayLike | FileRows, y: npt.ArrayLike) -> tuple[Any, npt.NDArray[Any]]:
        """Rows and classes of one length, all numbers finite; rows in a file stay there if this kind learns from it."""
        if isinstance(X, FileRows) and not self.streams:
            if not fits_in_memory(X.nbytes, copies=2):
                raise ValueError(
                    f"{type(self).__name__} needs all clips in memory, {X.nbytes / 1e9:.1f} GB of them; train it on "
                    "fewer clips (a table of labels with fewer rows), or take a head that reads them from disk"
                )
            X = X.read()
        if not isinstance(X, FileRows):
            checked: tuple[Rows, npt.NDArray[Any]] = validate_data(self, X, y, dtype=np.float32, allow_nd=self._nested)
            return checked
        names = np.asarray(y)
        if names.shape != (len(X),):
            raise ValueError(f"{len(X)} rows and classes of shape {names.shape}: one class for each row is needed")
        if not all(np.isfinite(rows).all() for _, rows in X.blocks()):
            raise ValueError("the rows hold a number that is not finite")
        self.n_features_in_ = X.shape[1]
        return X, names

    def predict_proba(self, X: npt.ArrayLike | FileRows) -> npt.NDArray[np.float64]:
        """(n, classes) probabilities, in the order of ``classes_``."""
        return self._shares(self.scores(X))

    def predict(self, X: npt.ArrayLike | FileRows) -> npt.NDArray[Any]:
        """The likeliest class of each row."""
        places = self.scores(X).argmax(axis=1)
        best: npt.NDArray[Any] = self.classes_[places]
        return best

    def scores(self, X: npt.ArrayLike | FileRows) -> npt.NDArray[np.float64]:
        """(n, classes), larger is likelier; what the probabilities are made of. A clip's are the same to the last bit
        whatever other clips are scored along.
        """
        check_is_fitted(self, "classes_")
        if isinstance(X, FileRows):
            return np.concatenate([self.scores(rows) for _, rows in X.blocks()])
        rows: Rows = validate_data(self, X, dtype=np.float32, order="C", reset=False, allow_nd=self._nested)
        return self._scores(rows)

    def with_class(self, name: str, X: Rows, y: npt.NDArray[np.str_]) -> Self | None:
        """A copy that knows one class more, or one anew, while the scores of all others stay as they are, to the last
        bit. None where a kind's scores hang together, so that it has to be trained again.

        Args:
            X: all examples, of that class and of the others.
            y: their classes.
        """
        row = self._learn_class(X, y, name)
        if row is None:
            return None
        after = copy.copy(self)  # arrays are replaced, never written into
        known = [str(one) for one in self.classes_]
        if name not in known:
            after.classes_ = np.array([*known, name])  # at the end: the others keep their places
        place = [str(one) for one in after.classes_].index(name)
        for array in self.per_class:
            rows = getattr(self, array)
            rows = rows if place < len(rows) else np.concatenate([rows, np.zeros_like(rows[:1])])
            setattr(after, array, rows.copy())
            getattr(after, array)[place] = row[array]
        return after

    def without_class(self, name: str) -> Self:
        """A copy that does not know a class.

        Raises:
            ValueError: fewer than two would be left.
        """
        remaining = np.flatnonzero(self.classes_.astype(str) != name)
        if len(remaining) < 2:
            raise ValueError(f"without {name!r} fewer than 2 classes are left")
        after = copy.copy(self)
        after.classes_ = self.classes_[remaining]
        for array in self.per_class:
            setattr(after, array, getattr(self, array)[remaining])
        if self.per_example:
            code = int(np.flatnonzero(self.classes_.astype(str) == name)[0])
            others = self.codes_ != code
            for array in self.per_example:
                setattr(after, array, taken(getattr(self, array), others))
            after.codes_ = after.codes_ - (after.codes_ > code)
        return after

    def graph(self, graph: Graph, vectors: str) -> str | None:  # noqa: ARG002
        """Probabilities, before calibration, as operators of an ONNX graph; None for a kind without.

        Args:
            vectors: name of the input, (n, dim).
        """
        return None

    def arrays(self) -> dict[str, Stored]:
        """All that was learned, for storing."""
        return {name: _stored(getattr(self, name)) for name in self.learned}

    def restore(self, arrays: Mapping[str, Stored], *, classes: list[str], dim: int) -> Self:
        """The inverse of ``arrays``; ``self`` has to have the parameters it was trained with.

        Raises:
            ValueError: an array is not of the shape that it has to have, or not finite.
        """
        check_shapes(arrays, self.shapes, {"classes": len(classes), "dim": dim})
        for name in self.learned:
            setattr(self, name, arrays[name])
        self.classes_ = np.array(classes)
        self.n_features_in_ = dim
        return self

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Of one row, once fitted."""
        return (int(self.n_features_in_),)

    @property
    def _nested(self) -> bool:
        return self.reads == "frames"

    @abc.abstractmethod
    def _fit(self, X: Any, y: Codes, groups: Groups | None) -> None:
        """Learn; ``X`` is an array, or for kinds that learn from files a ``FileRows``; ``y`` holds class numbers."""

    @abc.abstractmethod
    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        """(n, classes), larger is likelier."""

    def _shares(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Scores as probabilities: rows sum to 1."""
        return softmax(scores)

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays | None:  # noqa: ARG002
        """The row of each array in ``per_class`` for this class, or None where that cannot be had alone."""
        return None


def _stored(value: Any) -> Stored:
    return value if isinstance(value, FileRows) else np.asarray(value)


def voted(codes: Codes, votes: npt.NDArray[np.float64], *, num_classes: int) -> npt.NDArray[np.float64]:
    """Votes (n, k) of neighbours of these classes (n, k), summed by class, (n, classes)."""
    scores = np.zeros((len(codes), num_classes))
    np.add.at(scores, (np.arange(len(codes))[:, None], codes), votes)
    return scores


heads: Registry[Head] = Registry("pipeline.heads", Head, kind="head")  # type: ignore[type-abstract]
