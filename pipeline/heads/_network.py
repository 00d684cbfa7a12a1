"""Training small networks on vectors: batches, steps, and when to stop."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedGroupKFold

from ..core.file_rows import Matrix, blocks_of, rows_of, taken
from ..core.shared_setting import SharedSetting
from ..core.training import reached
from ..core.types import Loss, Triplets
from ..core.vectors import groups_per_class, softmax, unit
from ._base import Codes, Groups

if TYPE_CHECKING:
    from torch import Tensor, nn

PER_CLASS = 4  # clips of one class in a batch: triplets need at least two
_MOST_REPEATS = 4  # of a rare class's clips in an epoch
_HELD_OUT_FOLDS = 5

# Cosines to class means are divided by this before the softmax.
TEMPERATURE = 0.1

Space = npt.NDArray[np.floating[Any]]

# torch's random numbers are one sequence for all threads: one network at a time takes its weights from it.
_BUILDING = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Attributes:
        max_steps: of the optimiser; a large bank has learned after fewer epochs.
    """

    num_epochs: int
    max_steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


@dataclasses.dataclass(frozen=True)
class Task:
    """A network to train.

    Attributes:
        network: whose parameters are trained, those of ``loss`` along with them.
        loss: of what the network makes of a batch, and its class numbers.
    """

    network: nn.Module
    loss: nn.Module | Callable[[Tensor, Tensor], Tensor]


@dataclasses.dataclass(frozen=True)
class Examples:
    """Rows to train on.

    Attributes:
        prepare: what is done to rows when they are read; None where that was done before.
    """

    X: Matrix
    prepare: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]] | None = None

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Rows as the network gets them."""
        return self._prepared(rows_of(self.X, rows))

    def take(self, rows: npt.NDArray[np.bool_]) -> Examples:
        """Some of the rows."""
        return dataclasses.replace(self, X=taken(self.X, rows))

    def blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """All rows, as the network gets them."""
        return (self._prepared(rows) for _, rows in blocks_of(self.X))

    def _prepared(self, rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return rows if self.prepare is None else self.prepare(rows)


def train(
    build: Callable[[], Task],
    X: Examples,
    y: Codes,
    *,
    schedule: Schedule,
    groups: Groups | None = None,
) -> tuple[Task, int]:
    """A trained network, and for how many epochs it was trained.

    Args:
        build: makes it anew, with the same weights each time.
        groups: with them some are held out first, to see after which epoch clips that were not trained on are
            classified best; then all are trained on for so long.
    """
    held = None if groups is None else _held_out(y, groups)
    epochs, begun = schedule.num_epochs, 0.0
    if held is not None:
        task, begun = seeded(build, schedule.seed), 0.5
        errors = []
        for epoch in _epochs(task, X.take(~held), y[~held], schedule, num_epochs=epochs):
            errors.append(_error(task, X, y, held))
            reached(begun * epoch / epochs)
        epochs = int(np.argmin(errors)) + 1
    task = seeded(build, schedule.seed)
    for epoch in _epochs(task, X, y, schedule, num_epochs=epochs):
        reached(begun + (1 - begun) * epoch / epochs)
    return task, epochs


def seeded(build: Callable[[], Task], seed: int) -> Task:
    """The network that is built after torch's random numbers were seeded; its ``Dropout`` layers go on from there,
    with numbers of their own. What others draw from torch stays as it was.
    """
    import torch

    from ._layers import Dropout

    with _BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        task = build()
        state = torch.get_rng_state()
    generator = torch.Generator()
    generator.set_state(state)
    for module in task.network.modules():
        if isinstance(module, Dropout):
            module.generator = generator
    return task


@contextlib.contextmanager
def _torch_threads() -> Iterator[int]:
    import torch

    yield torch.get_num_threads()


_num_before = SharedSetting(_torch_threads)  # later a thread would begin with what another one has set


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Threads that train use one of torch's each: its small products would spend more time on waiting for each other,
    and how their sums round would depend on the number of threads. What was set before is put back.
    """
    import torch

    with _num_before() as num_threads:
        torch.set_num_threads(1)  # of the calling thread
        try:
            yield
        finally:
            torch.set_num_threads(num_threads)


def _epochs(task: Task, X: Examples, y: Codes, schedule: Schedule, *, num_epochs: int) -> Iterator[int]:
    """Train, and come back after each epoch with its number, from 1."""
    import torch
    from torch import nn

    modules = [task.network, *([task.loss] if isinstance(task.loss, nn.Module) else [])]
    parameters = [parameter for module in modules for parameter in module.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
    order = np.random.default_rng(schedule.seed)
    codes = torch.from_numpy(y)
    steps = 0
    for epoch in range(1, num_epochs + 1):
        task.network.train()
        for batch in itertools.islice(batches(y, size=schedule.batch_size, order=order), schedule.max_steps - steps):
            value = task.loss(task.network(torch.from_numpy(X.read(batch))), codes[batch])
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            steps += 1
        task.network.eval()
        yield epoch
        if steps >= schedule.max_steps:
            return


def outputs(network: nn.Module, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """What a network makes of rows, without gradients."""
    import torch

    with torch.no_grad():
        found: npt.NDArray[Any] = network(torch.from_numpy(rows)).numpy()
    return found


def _held_out(y: Codes, groups: Groups) -> npt.NDArray[np.bool_] | None:
    """A fifth of the clips, in whole groups, of whose classes others are left; None where groups are too few."""
    fewest = int(groups_per_class(y, groups).min())
    if fewest < 3:  # a class that gives one away has to keep more than one
        return None
    splitter = StratifiedGroupKFold(min(_HELD_OUT_FOLDS, fewest), shuffle=True, random_state=0)
    held = np.zeros(len(y), dtype=np.bool_)
    held[next(iter(splitter.split(y, y, groups)))[1]] = True
    complete = set(y[~held].tolist()) == set(y.tolist())
    return held if complete else None


def _error(task: Task, X: Examples, y: Codes, held: npt.NDArray[np.bool_]) -> float:
    """Mean cross entropy of held-out clips by the class means of the others."""
    space = unit(np.concatenate([outputs(task.network, rows) for rows in X.blocks()]))
    means = class_means([(y[~held], space[~held])], num_classes=int(y.max()) + 1)
    own = softmax(space[held] @ means.T / TEMPERATURE)[np.arange(int(held.sum())), y[held]]
    return float(-np.log(np.maximum(own, 1e-12)).mean())


def class_means(blocks: Iterable[tuple[Codes, Space]], *, num_classes: int) -> npt.NDArray[np.float32]:
    """Directions of the classes' means, (classes, dim), from classes and places of clips, some at a time."""
    sums = np.zeros((num_classes, 0), np.float32)
    for y, space in blocks:
        sums = sums if sums.size else np.zeros((num_classes, space.shape[1]), np.float32)
        np.add.at(sums, y, space.astype(np.float32))
    return unit(sums)


def batches(y: Codes, *, size: int, order: np.random.Generator) -> Iterator[npt.NDArray[np.int64]]:
    """One epoch of batches in which each class that is drawn brings several clips, so triplets exist.

    Every clip appears once, those of classes with fewer clips than most up to four times; the clips of a class are
    dealt in groups of ``PER_CLASS`` in random order.
    """
    groups = []
    usual = int(np.median(np.bincount(y)[np.unique(y)]))
    for code in np.unique(y):
        own = np.flatnonzero(y == code)
        repeats = int(np.clip(usual // len(own), 1, _MOST_REPEATS))
        rows = np.concatenate([order.permutation(own) for _ in range(repeats)])
        groups += [rows[start : start + PER_CLASS] for start in range(0, len(rows), PER_CLASS)]
    shuffled = [groups[index] for index in order.permutation(len(groups))]
    rows = np.concatenate(shuffled)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def metric_loss(
    loss: Loss,
    num_classes: int,
    dim: int,
    *,
    margin: float = 0.1,
    miner_margin: float = 0.2,
    triplets: Triplets = "hard",
) -> Any:
    """A loss of pytorch-metric-learning on vectors (n, dim) and class numbers, the miner of triplets within.

    Raises:
        ValueError: no loss of that name.
    """
    from pytorch_metric_learning import losses, miners

    if loss == "triplet":
        miner = miners.TripletMarginMiner(margin=miner_margin, type_of_triplets=triplets)
        criterion = losses.TripletMarginLoss(margin=margin)
        return lambda vectors, classes: criterion(vectors, classes, miner(vectors, classes))
    if loss == "supcon":
        return losses.SupConLoss()
    if loss == "multi-similarity":
        return losses.MultiSimilarityLoss()
    if loss == "arcface":
        return losses.ArcFaceLoss(num_classes, dim)
    if loss == "cross-entropy":
        return losses.NormalizedSoftmaxLoss(num_classes, dim)
    raise ValueError(f"unknown loss {loss!r}; there are: {', '.join(get_args(Loss))}")
