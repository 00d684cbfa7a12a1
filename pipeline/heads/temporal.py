"""Attention over a clip's frames, for what the mean over frames cannot tell: the order in which things happen.

A backbone of single frames with a transformer over their features is a common design for recognising actions; with the
backbone frozen this is what is left of it to train. It reads what ``extract --keep frames`` stores.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..vectors import class_products, unit
from ._base import Arrays, Codes, Groups, Head, Rows
from ._logistic import fit_class
from ._network import Schedule, Task, train

if TYPE_CHECKING:
    from torch import nn

_ATTENTION_HEADS = 4
_BLOCK_ROWS = 4096
_PENALTY = 100.0  # C of a class that is added later


class Temporal(Head):
    """One layer of attention over steps, and a classifier on their mean.

    Args:
        width: of the layer; a multiple of 4.
        label_smoothing: of the cross entropy.
        num_epochs: at most; with ``early_stopping`` and groups, as many as held-out clips ask for.
        seed: of the weights, the batches and the dropout.
    """

    reads = "frames"
    per_class = ("out_weight_", "out_bias_")
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"width": (64, 128), "dropout": (0.1, 0.3)}

    def __init__(
        self,
        *,
        width: int = 128,
        dropout: float = 0.2,
        label_smoothing: float = 0.1,
        num_epochs: int = 40,
        early_stopping: bool = False,
        max_steps: int = 2000,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        seed: int = 0,
    ) -> None:
        self.width = width
        self.dropout = dropout
        self.label_smoothing = label_smoothing
        self.num_epochs = num_epochs
        self.early_stopping = early_stopping
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.seed = seed

    @property
    def input_shape(self) -> tuple[int, ...]:
        """See ``Head.input_shape``."""
        return tuple(int(size) for size in self.shape_)

    def _fit(self, X: Rows, y: Codes, groups: Groups | None) -> None:
        import torch

        self.shape_ = np.array(X.shape[1:])
        steps = _steps(X)  # (n, t, d)
        self.centre_ = unit_steps(steps).reshape(-1, steps.shape[-1]).mean(axis=0)
        self.scale_ = np.float32(max(float(np.abs(unit_steps(steps) - self.centre_).std()), 1e-6))
        schedule = Schedule(
            self.num_epochs, self.max_steps, self.batch_size, self.learning_rate, self.weight_decay, self.seed
        )
        with torch.random.fork_rng(devices=[]):
            task, self.n_epochs_ = train(
                functools.partial(self._task, steps.shape[1:], len(self.classes_)),
                self._standardised(X),
                y,
                schedule=schedule,
                groups=groups if self.early_stopping else None,
            )
        self._take(task.network)

    def _task(self, shape: tuple[int, int], num_classes: int) -> Task:
        import torch
        from torch import nn

        torch.manual_seed(self.seed)
        network = nn.Sequential(_pooling(shape, self.width, self.dropout), nn.Linear(self.width, num_classes))
        loss = nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)
        return Task(network, loss, functools.partial(_pooled, network[0]))

    def _take(self, network: nn.Module) -> None:
        arrays = {name: value.detach().numpy().copy() for name, value in network.state_dict().items()}
        self.out_weight_, self.out_bias_ = arrays.pop("1.weight"), arrays.pop("1.bias")
        self.network_ = arrays

    def _standardised(self, X: Rows) -> Rows:
        result: Rows = ((unit_steps(_steps(X)) - self.centre_) / self.scale_).astype(np.float32)
        return result

    def _embed(self, X: Rows) -> npt.NDArray[np.float64]:
        """(n, width), what the classifier reads, in double precision."""
        import torch

        if tuple(X.shape[1:]) != self.input_shape:
            raise ValueError(f"this head reads arrays of shape (n, {self.input_shape}), not {X.shape}")
        steps = _steps(X[:1])
        pooling = _pooling((steps.shape[1], steps.shape[2]), self.width, 0.0).double().eval()
        pooling.load_state_dict(
            {name.removeprefix("0."): torch.from_numpy(np.asarray(value)) for name, value in self.network_.items()}
        )
        blocks = [
            _pooled(pooling, self._standardised(X[start : start + _BLOCK_ROWS]).astype(np.float64))
            for start in range(0, len(X), _BLOCK_ROWS)
        ]
        pooled: npt.NDArray[np.float64] = np.concatenate(blocks)
        return pooled

    def _scores(self, X: Rows) -> npt.NDArray[np.float64]:
        return self._logits(self._embed(X))

    def _logits(self, pooled: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        logits: npt.NDArray[np.float64] = class_products(pooled, self.out_weight_.astype(np.float64)) + self.out_bias_
        return logits

    def _learn_class(self, X: Rows, y: npt.NDArray[np.str_], name: str) -> Arrays:
        pooled = self._embed(X)
        others = self._logits(pooled)[:, self.classes_.astype(str) != name]
        weights, bias = fit_class(
            pooled.astype(np.float32), y, others, name=name, C=_PENALTY / self.width, class_weight="balanced"
        )
        return {"out_weight_": weights, "out_bias_": np.asarray(bias)}

    def arrays(self) -> Arrays:
        """See ``Head.arrays``."""
        own = ("shape_", "centre_", "scale_", *self.per_class)
        return {**{name: np.asarray(getattr(self, name)) for name in own}, **self.network_}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]], *, classes: list[str], dim: int) -> Self:
        """See ``Head.restore``."""
        rest = dict(arrays)
        for name in ("shape_", "centre_", "scale_", *self.per_class):
            setattr(self, name, rest.pop(name))
        self.network_ = {name: value for name, value in rest.items() if name.startswith("0.")}
        super().restore({}, classes=classes, dim=dim)
        self.n_features_in_ = self.input_shape[0]
        return self


def _steps(X: Rows) -> Rows:
    """(n, t, d); vectors count as clips of one step."""
    return X if X.ndim == 3 else X.reshape(len(X), 1, -1)


def unit_steps(steps: Rows) -> Rows:
    """Each step scaled to length 1."""
    return unit(steps.reshape(-1, steps.shape[-1])).reshape(steps.shape)


def _pooled(pooling: nn.Module, rows: npt.NDArray[Any]) -> npt.NDArray[Any]:
    import torch

    with torch.no_grad():
        found: npt.NDArray[Any] = pooling(torch.from_numpy(rows)).numpy()
    return found


def _pooling(shape: tuple[int, int], width: int, dropout: float) -> nn.Module:
    """(n, t, d) -> (n, width): steps and their changes, projected, told apart by their place, mixed, averaged."""
    import torch
    from torch import nn

    class Pooling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.still = nn.Linear(shape[1], width)
            self.change = nn.Linear(shape[1], width, bias=False)
            self.place = nn.Parameter(0.02 * torch.randn(shape[0], width))
            self.drop = nn.Dropout(dropout)
            self.mix = nn.TransformerEncoderLayer(
                width, _ATTENTION_HEADS, 2 * width, dropout, batch_first=True, norm_first=True
            )
            self.norm = nn.LayerNorm(width)

        def forward(self, steps: torch.Tensor) -> torch.Tensor:
            changes = torch.diff(steps, dim=1, prepend=steps[:, :1])
            mixed = self.mix(self.drop(self.still(steps) + self.change(changes) + self.place))
            pooled: torch.Tensor = self.norm(mixed).mean(dim=1)  # (n, width)
            return pooled

    return Pooling()
