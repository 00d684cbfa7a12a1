"""A small network that learns a space where a class's clips lie together, with pytorch-metric-learning.

The recipe of the triplet loss is FaceNet's (Schroff et al. 2015) with hard mining: margin 0.1, triplets
mined with margin 0.2. A clip is classified by the nearest class mean in the learned space, or by its
nearest neighbours there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, get_args

import numpy as np
import numpy.typing as npt

from ..core.file_rows import FileRows, Matrix, in_memory
from ..core.types import Loss, Triplets
from ..core.vectors import class_products, softmax
from ._base import Arrays, Codes, Groups, Rows, voted
from ._network import TEMPERATURE, Task, metric_loss
from ._space import SpaceHead, of_length_one
from ._trained.shapes import Shapes

if TYPE_CHECKING:
    from ._graph import Graph


class MLPHead(SpaceHead):
    """Two layers into a space of ``embedding_dim`` dimensions.

    Args:
        loss: of pytorch-metric-learning.
        margin: of the triplet loss.
        triplets: which the miner lets through: "hard" ones have the negative closer than the positive.
        miner_margin: of the miner. With hard triplets neither margin changes anything, as each of them violates
            any margin; "semihard", "easy" and "all" are bounded by it.
        num_epochs: few, on purpose: with hard triplets the space begins to collapse when trained for long.
        early_stopping: where groups are given, hold some out to choose the number of epochs, up to ``num_epochs``.
        max_steps: of the optimiser; a large bank has learned after fewer epochs.
        classify: "mean" (nearest class mean) or "knn", in the learned space.
        seed: of the weights, the batches and the dropout.
    """

    learned = ("centre_", "scale_", "weight1_", "bias1_", "weight2_", "bias2_", "means_", "space_", "codes_")
    shapes: ClassVar[Shapes] = {
        "centre_": ("dim",),
        "scale_": (),
        "weight1_": ("hidden", "dim"),
        "bias1_": ("hidden",),
        "weight2_": ("space", "hidden"),
        "bias2_": ("space",),
        "means_": ("classes", "space"),
        "space_": ("stored", "space"),
        "codes_": ("stored",),
    }
    per_example = ("space_", "codes_")
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"embedding_dim": (64, 256), "dropout": (0.1, 0.3, 0.5)}

    def __init__(
        self,
        *,
        loss: Loss = "triplet",
        margin: float = 0.1,
        miner_margin: float = 0.2,
        triplets: Triplets = "hard",
        classify: Literal["mean", "knn"] = "mean",
        hidden_dim: int = 512,
        embedding_dim: int = 128,
        num_epochs: int = 20,
        early_stopping: bool = False,
        max_steps: int = 1500,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-4,
        dropout: float = 0.3,
        k: int = 5,
        seed: int = 0,
    ) -> None:
        self.loss = loss
        self.margin = margin
        self.miner_margin = miner_margin
        self.triplets = triplets
        self.classify = classify
        self.hidden_dim = hidden_dim
        self.embedding_dim = embedding_dim
        self.num_epochs = num_epochs
        self.early_stopping = early_stopping
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.k = k
        self.seed = seed

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:
        if self.classify not in ("mean", "knn"):
            raise ValueError(f"unknown way to classify {self.classify!r}; there are: mean, knn")
        if self.triplets not in get_args(Triplets):
            raise ValueError(f"unknown triplets {self.triplets!r}; there are: {', '.join(get_args(Triplets))}")
        by_neighbours = self.classify == "knn"  # only then are the clips themselves needed
        if by_neighbours and isinstance(X, FileRows):
            raise ValueError("classify='knn' compares with all clips in memory, and these do not fit: take 'mean'")
        super()._fit(X, y, groups)
        space = self._embed(in_memory(X)) if by_neighbours else np.empty((0, self.embedding_dim))
        self.space_, self.codes_ = space.astype(np.float32), y if by_neighbours else y[:0]

    def _task(self, shape: tuple[int, ...], num_classes: int) -> Task:
        from torch import nn

        from ._layers import Dropout

        first, second = nn.Linear(shape[0], self.hidden_dim), nn.Linear(self.hidden_dim, self.embedding_dim)
        loss = metric_loss(
            self.loss,
            num_classes,
            self.embedding_dim,
            margin=self.margin,
            miner_margin=self.miner_margin,
            triplets=self.triplets,
        )
        return Task(nn.Sequential(first, nn.ReLU(), Dropout(self.dropout), second), loss)

    def _keep(self, task: Task) -> None:
        weights = {name: value.detach().numpy().copy() for name, value in task.network.state_dict().items()}
        self.weight1_, self.bias1_ = weights["0.weight"], weights["0.bias"]
        self.weight2_, self.bias2_ = weights["3.weight"], weights["3.bias"]

    def _embed(self, X: Rows) -> npt.NDArray[np.float64]:
        hidden = np.maximum(class_products(self._standardised(X), self.weight1_) + self.bias1_, 0)
        return of_length_one(class_products(hidden, self.weight2_) + self.bias2_)

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        if self.classify == "mean":
            return super()._scores(X)
        cosines = class_products(self._embed(X), self.space_)  # (n, stored)
        rows = np.argsort(-cosines, axis=1, kind="stable")[:, : self.k]
        votes = softmax(np.take_along_axis(cosines, rows, axis=1) / TEMPERATURE)
        return voted(self.codes_[rows], votes, num_classes=len(self.classes_))

    def _shares(self, scores: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return softmax(scores) if self.classify == "mean" else scores

    def graph(self, graph: Graph, vectors: str) -> str | None:
        """See ``Head.graph``."""
        if self.classify == "knn":
            return None
        rows = graph.node("Sub", graph.unit(vectors), graph.constant(self.centre_))
        rows = graph.node("Div", rows, graph.constant(self.scale_))
        hidden = graph.node("Add", graph.product(rows, self.weight1_), graph.constant(self.bias1_))
        space = graph.node("Add", graph.product(graph.node("Relu", hidden), self.weight2_), graph.constant(self.bias2_))
        return graph.node("Softmax", graph.product(graph.unit(space), self.means_ / TEMPERATURE), axis=1)

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays | None:
        return None if self.classify == "knn" else super()._learn_class(X, y, name)
