"""A small network that learns a space where a class's clips lie together, with pytorch-metric-learning.

The recipe of the triplet loss is FaceNet's (Schroff et al. 2015) with hard mining: margin 0.1, triplets
mined with margin 0.2. A clip is classified by the nearest class mean in the learned space, or by its
nearest neighbours there.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from .._types import Loss, Triplets
from ..vectors import softmax, unit
from ._base import Head

if TYPE_CHECKING:
    from torch import Tensor

# Cosines to class means are divided by this before the softmax.
_TEMPERATURE = 0.1
_PER_CLASS = 4  # clips of one class in a batch: triplets need at least two


class MLP(Head):
    """Two layers into a space of ``embedding_dim`` dimensions.

    Args:
        loss: of pytorch-metric-learning.
        margin: of the triplet loss.
        triplets: which the miner lets through: "hard" ones have the negative closer than the positive.
        miner_margin: of the miner. With hard triplets neither margin changes anything, as each of them violates
            any margin; "semihard", "easy" and "all" are bounded by it.
        num_epochs: few, on purpose: with hard triplets the space begins to collapse when trained for long.
        max_steps: of the optimiser; a large bank has learned after fewer epochs.
        classify: "mean" (nearest class mean) or "knn", in the learned space.
        seed: of the weights, the batches and the dropout.
    """

    learned = ("centre_", "scale_", "weight1_", "bias1_", "weight2_", "bias2_", "means_", "space_", "codes_")

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
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.dropout = dropout
        self.k = k
        self.seed = seed

    def _fit(self, X: npt.NDArray[np.float32], y: npt.NDArray[np.int64]) -> None:
        import torch

        rows = unit(X)
        self.centre_ = rows.mean(axis=0)
        self.scale_ = np.float32(max(float(np.abs(rows - self.centre_).std()), 1e-6))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._train(torch.from_numpy(self._standardised(X)), torch.from_numpy(y))
        space = self._embed(X).astype(np.float32)
        self.space_, self.codes_ = space, y
        sums = np.zeros((len(self.classes_), space.shape[1]), np.float32)
        np.add.at(sums, y, space)
        self.means_ = unit(sums)

    def _train(self, X: Tensor, y: Tensor) -> None:
        import torch
        from torch import nn

        first, second = nn.Linear(X.shape[1], self.hidden_dim), nn.Linear(self.hidden_dim, self.embedding_dim)
        network = nn.Sequential(first, nn.ReLU(), nn.Dropout(self.dropout), second)
        criterion, miner = self._criterion(len(self.classes_))
        parameters = [*network.parameters(), *criterion.parameters()]
        optimiser = torch.optim.AdamW(parameters, lr=self.learning_rate, weight_decay=self.weight_decay)
        order = np.random.default_rng(self.seed)
        network.train()
        epochs = (_batches(y.numpy(), size=self.batch_size, order=order) for _ in range(self.num_epochs))
        for batch in itertools.islice(itertools.chain.from_iterable(epochs), self.max_steps):
            vectors, classes = network(X[batch]), y[batch]
            mined = miner(vectors, classes) if miner is not None else None
            value = criterion(vectors, classes, mined) if mined is not None else criterion(vectors, classes)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
        self.weight1_, self.bias1_ = first.weight.detach().numpy(), first.bias.detach().numpy()
        self.weight2_, self.bias2_ = second.weight.detach().numpy(), second.bias.detach().numpy()

    def _criterion(self, num_classes: int) -> tuple[Any, Any]:
        """The loss and, for triplets, the miner."""
        from pytorch_metric_learning import losses, miners

        if self.loss == "triplet":
            miner = miners.TripletMarginMiner(margin=self.miner_margin, type_of_triplets=self.triplets)
            return losses.TripletMarginLoss(margin=self.margin), miner
        if self.loss == "supcon":
            return losses.SupConLoss(), None
        if self.loss == "multi-similarity":
            return losses.MultiSimilarityLoss(), None
        if self.loss == "arcface":
            return losses.ArcFaceLoss(num_classes, self.embedding_dim), None
        if self.loss == "cross-entropy":
            return losses.NormalizedSoftmaxLoss(num_classes, self.embedding_dim), None
        raise ValueError(f"unknown loss {self.loss!r}; there are: {', '.join(get_args(Loss))}")

    def _standardised(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        result: npt.NDArray[np.float32] = ((unit(X) - self.centre_) / self.scale_).astype(np.float32)
        return result

    def _embed(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        # In double precision, so that a clip's score does not depend on which others are scored with it.
        rows = self._standardised(X).astype(np.float64)
        hidden = np.maximum(rows @ self.weight1_.T + self.bias1_, 0)
        space = hidden @ self.weight2_.T + self.bias2_
        result: npt.NDArray[np.float64] = space / np.maximum(np.linalg.norm(space, axis=1, keepdims=True), 1e-12)
        return result

    def _probabilities(self, X: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        space = self._embed(X)
        if self.classify == "mean":
            return softmax(space @ self.means_.T / _TEMPERATURE)
        if self.classify == "knn":
            cosines = space @ self.space_.T  # (n, stored)
            rows = np.argsort(-cosines, axis=1, kind="stable")[:, : self.k]
            votes = softmax(np.take_along_axis(cosines, rows, axis=1) / _TEMPERATURE)
            scores = np.zeros((len(X), len(self.classes_)))
            np.add.at(scores, (np.arange(len(X))[:, None], self.codes_[rows]), votes)
            return scores
        raise ValueError(f"unknown way to classify {self.classify!r}; there are: mean, knn")


def _batches(y: npt.NDArray[np.int64], *, size: int, order: np.random.Generator) -> list[npt.NDArray[np.int64]]:
    """One epoch of batches in which each class that is drawn brings several clips, so triplets exist.

    Every clip appears once; the clips of a class are dealt in groups of ``_PER_CLASS`` in random order.
    """
    groups = []
    for code in np.unique(y):
        rows = order.permutation(np.flatnonzero(y == code))
        groups += [rows[start : start + _PER_CLASS] for start in range(0, len(rows), _PER_CLASS)]
    shuffled = [groups[index] for index in order.permutation(len(groups))]
    rows = np.concatenate(shuffled)
    return [rows[start : start + size] for start in range(0, len(rows), size)]
