"""Heads that are a network into a space, in which the nearest class mean says the class."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from ..core.file_rows import FileRows, Matrix, blocks_of
from ..core.vectors import class_products, unit
from ._base import Arrays, Codes, Groups, Head, Rows
from ._network import TEMPERATURE, Examples, Schedule, Task, class_means, one_thread, train

_EMBEDDED_ROWS = 8192  # at a time: what is between the layers is larger than the rows


class SpaceHead(Head):
    """What the networks have in common: standardised input, training, class means.

    Subclasses have the parameters of ``Schedule`` and ``early_stopping``, and implement ``_task``, ``_keep`` and
    ``_embed``.
    """

    per_class = ("means_",)
    learns_alone: ClassVar[bool] = False
    repeats: ClassVar[int] = 3
    streams: ClassVar[bool] = True

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:
        self.centre_, self.scale_ = _centre_and_scale(X)
        # Rows in memory are standardised once, those in a file whenever they are read.
        examples = Examples(X, self._standardised) if isinstance(X, FileRows) else Examples(self._standardised(X))
        names = ("num_epochs", "max_steps", "batch_size", "learning_rate", "weight_decay", "seed")
        parameters = self.get_params(deep=False)

        with one_thread():
            task, self.n_epochs_ = train(
                lambda: self._task(X.shape[1:], len(self.classes_)),
                examples,
                y,
                schedule=Schedule(**{name: parameters[name] for name in names}),
                groups=groups if parameters["early_stopping"] else None,
            )
        self._keep(task)
        blocks = ((y[part], self._embed(rows)) for part, rows in blocks_of(X, _EMBEDDED_ROWS))
        self.means_ = class_means(blocks, num_classes=len(self.classes_))

    def _standardised(self, X: Rows) -> Rows:
        result: Rows = ((_unit(X) - self.centre_) / self.scale_).astype(np.float32)
        return result

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        return class_products(self._embed(X), self.means_) / TEMPERATURE

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays | None:
        space = self._embed(X[y == name])
        return {"means_": class_means([(np.zeros(len(space), np.int64), space)], num_classes=1)[0]}

    @abc.abstractmethod
    def _task(self, shape: tuple[int, ...], num_classes: int) -> Task:
        """The network, untrained, for rows of this shape."""

    @abc.abstractmethod
    def _keep(self, task: Task) -> None:
        """Take over the trained weights."""

    @abc.abstractmethod
    def _embed(self, X: Rows) -> npt.NDArray[np.float64]:
        """(n, dim) of length 1, by ``exact_products`` alone, so that a clip's place does not depend on which others are
        embedded with it.
        """


def _centre_and_scale(X: Matrix) -> tuple[Rows, np.float32]:
    """The mean of the rows of length 1, or of their steps, (dim,), and how far single numbers are from it."""
    if not isinstance(X, FileRows):
        rows = _unit(X)
        centre: Rows = rows.reshape(-1, rows.shape[-1]).mean(axis=0)
        return centre, np.float32(max(float(np.abs(rows - centre).std()), 1e-6))
    sums = np.add.reduce([_unit(rows).reshape(-1, X.shape[-1]).sum(axis=0, dtype=np.float64) for _, rows in X.blocks()])
    count = X.nbytes // 4
    centre = (sums * X.shape[-1] / count).astype(np.float32)
    total = squares = 0.0
    for _, rows in X.blocks():
        away = np.abs(_unit(rows) - centre)
        total += float(away.sum(dtype=np.float64))
        squares += float(np.square(away).sum(dtype=np.float64))
    return centre, np.float32(max(np.sqrt(max(squares / count - (total / count) ** 2, 0.0)), 1e-6))


def _unit(X: Rows) -> Rows:
    """Vectors, or each step of (n, t, d), scaled to length 1."""
    return unit(X.reshape(-1, X.shape[-1])).reshape(X.shape)


def of_length_one(space: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Rows scaled to length 1, in double precision."""
    lengths = np.linalg.norm(space, axis=1, keepdims=True)
    result: npt.NDArray[np.float64] = space / np.maximum(lengths, 1e-12)
    return result
