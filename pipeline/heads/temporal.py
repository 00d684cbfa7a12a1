"""Attention over a clip's frames, for what the mean over frames cannot tell: the order in which things happen.

A backbone of single frames with a transformer over their features is a common design for recognising actions; with the
backbone frozen this is what is left of it to train. It reads what ``extract --keep frames`` stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..core.file_rows import Matrix, Stored, in_memory
from ..core.types import Loss
from ..core.vectors import class_products, exact_products, softmax
from ._base import Codes, Groups, Rows
from ._network import Task, metric_loss
from ._space import SpaceHead, of_length_one
from ._trained.shapes import Shapes, check_shapes

if TYPE_CHECKING:
    from torch import nn

_ATTENTION_HEADS = 4
_BLOCK_ROWS = 512
_MOST_STEPS = 2048  # of a stored head: attention takes their square in memory
_LAYER_NORM_EPSILON = 1e-5  # of torch.nn.LayerNorm


class TemporalHead(SpaceHead):
    """Attention over steps beside two layers on their mean, into one space, and the nearest class mean there.

    Args:
        loss: of pytorch-metric-learning, as for the MLP; on few clips "supcon" did better than a classifier.
        width: of the attention and of the space; a multiple of 4.
        num_epochs: at most; with ``early_stopping`` and groups, as many as held-out clips ask for.
        seed: of the weights, the batches and the dropout.
    """

    reads = "frames"
    shapes: ClassVar[Shapes] = {
        "centre_": ("features",),
        "scale_": (),
        "means_": ("classes", "width"),
        "place": ("steps", "width"),
        "whole.0.weight": ("hidden", "features"),
        "whole.0.bias": ("hidden",),
        "whole.3.weight": ("width", "hidden"),
        "whole.3.bias": ("width",),
        "still.weight": ("width", "features"),
        "still.bias": ("width",),
        "change.weight": ("width", "features"),
        "mix.self_attn.in_proj_weight": ("3 width", "width"),
        "mix.self_attn.in_proj_bias": ("3 width",),
        "mix.self_attn.out_proj.weight": ("width", "width"),
        "mix.self_attn.out_proj.bias": ("width",),
        "mix.linear1.weight": ("2 width", "width"),
        "mix.linear1.bias": ("2 width",),
        "mix.linear2.weight": ("width", "2 width"),
        "mix.linear2.bias": ("width",),
        "mix.norm1.weight": ("width",),
        "mix.norm1.bias": ("width",),
        "mix.norm2.weight": ("width",),
        "mix.norm2.bias": ("width",),
        "norm.weight": ("width",),
        "norm.bias": ("width",),
    }
    grid: ClassVar[Mapping[str, tuple[Any, ...]]] = {"width": (64, 128), "dropout": (0.1, 0.3)}

    def __init__(
        self,
        *,
        loss: Loss = "supcon",
        width: int = 128,
        hidden_dim: int = 512,
        dropout: float = 0.3,
        num_epochs: int = 40,
        early_stopping: bool = False,
        max_steps: int = 2000,
        batch_size: int = 128,
        learning_rate: float = 1e-3,
        weight_decay: float = 1e-2,
        seed: int = 0,
    ) -> None:
        self.loss = loss
        self.width = width
        self.hidden_dim = hidden_dim
        self.dropout = dropout
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

    def _fit(self, X: Matrix, y: Codes, groups: Groups | None) -> None:
        self.shape_ = np.array(X.shape[1:])
        super()._fit(X, y, groups)

    def _task(self, shape: tuple[int, ...], num_classes: int) -> Task:
        network = _network(shape, self.width, self.hidden_dim, self.dropout)
        return Task(network, metric_loss(self.loss, num_classes, self.width))

    def _keep(self, task: Task) -> None:
        self.network_ = {name: value.detach().numpy().copy() for name, value in task.network.state_dict().items()}

    def _embed(self, X: Rows) -> npt.NDArray[np.float64]:
        if tuple(X.shape[1:]) != self.input_shape:
            raise ValueError(f"this head reads arrays of shape (n, {self.input_shape}), not {X.shape}")
        steps = self._standardised(X).reshape(len(X), *(1, *self.input_shape)[-2:])  # (n, t, d)
        blocks = [_forward(self.network_, steps[at : at + _BLOCK_ROWS]) for at in range(0, len(X), _BLOCK_ROWS)]
        return of_length_one(np.concatenate(blocks))

    def arrays(self) -> dict[str, Stored]:
        """See ``Head.arrays``."""
        own = ("shape_", "centre_", "scale_", *self.per_class)
        return {**{name: np.asarray(getattr(self, name)) for name in own}, **self.network_}

    def restore(self, arrays: Mapping[str, Stored], *, classes: list[str], dim: int) -> Self:
        """See ``Head.restore``."""
        rest = {name: in_memory(array) for name, array in arrays.items()}
        self.shape_ = rest.pop("shape_")
        del dim  # of the stored clips' vectors; frames may have another
        sizes = check_shapes(rest, self.shapes, {"classes": len(classes)})
        if self.shape_.tolist() not in ([sizes["steps"], sizes["features"]], [sizes["features"]]):
            raise ValueError(f"its shape_ is {self.shape_.tolist()} for {sizes['steps']} steps of {sizes['features']}")
        if sizes["steps"] > _MOST_STEPS:
            raise ValueError(f"it attends to {sizes['steps']} steps, and at most {_MOST_STEPS} can be")
        for name in ("centre_", "scale_", *self.per_class):
            setattr(self, name, rest.pop(name))
        self.network_ = rest
        self.classes_ = np.array(classes)
        self.n_features_in_ = self.input_shape[0]
        return self


Weights = Mapping[str, npt.NDArray[Any]]


def _forward(weights: Weights, steps: Rows) -> npt.NDArray[np.float64]:
    """What the trained network of ``_network`` makes of (n, t, d): (n, width). Not by torch, whose products depend on
    how many clips are in a batch, and in double precision.
    """
    rows = steps.astype(np.float64)
    changes = np.diff(rows, axis=1, prepend=rows[:, :1])
    mixed = _linear(weights, "still", rows) + _linear(weights, "change", changes) + weights["place"]  # (n, t, width)
    mixed += _attended(weights, _layer_norm(weights, "mix.norm1", mixed))
    wide = np.maximum(_linear(weights, "mix.linear1", _layer_norm(weights, "mix.norm2", mixed)), 0)
    mixed += _linear(weights, "mix.linear2", wide)
    whole = np.maximum(_linear(weights, "whole.0", rows.mean(axis=1)), 0)
    space = _linear(weights, "whole.3", whole)
    space += _layer_norm(weights, "norm", mixed).mean(axis=1)
    return space


def _linear(weights: Weights, name: str, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    matrix = weights[f"{name}.weight"]
    products = class_products(rows.reshape(-1, rows.shape[-1]), matrix).reshape(*rows.shape[:-1], len(matrix))
    if f"{name}.bias" in weights:
        products += weights[f"{name}.bias"]
    return products


def _layer_norm(weights: Weights, name: str, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    away = rows - rows.mean(axis=-1, keepdims=True)
    variances = np.square(away).mean(axis=-1, keepdims=True)
    scaled: npt.NDArray[np.float64] = away / np.sqrt(variances + _LAYER_NORM_EPSILON)
    scaled *= weights[f"{name}.weight"]
    scaled += weights[f"{name}.bias"]
    return scaled


def _attended(weights: Weights, rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Self-attention of ``torch.nn.MultiheadAttention``, (n, t, width) to (n, t, width)."""
    joint = {
        "joint.weight": weights["mix.self_attn.in_proj_weight"],
        "joint.bias": weights["mix.self_attn.in_proj_bias"],
    }
    parts = _linear(joint, "joint", rows).reshape(*rows.shape[:2], 3, _ATTENTION_HEADS, -1)
    queries, keys, values = parts.transpose(2, 0, 3, 1, 4)  # (n, heads, t, width / heads) each
    shares = softmax(exact_products(queries, keys) / np.sqrt(queries.shape[-1]))  # (n, heads, t, t)
    seen = exact_products(shares, np.swapaxes(values, -1, -2))  # (n, heads, t, width / heads)
    return _linear(weights, "mix.self_attn.out_proj", seen.transpose(0, 2, 1, 3).reshape(rows.shape))


def _network(shape: tuple[int, ...], width: int, hidden_dim: int, dropout: float) -> nn.Module:
    """(n, t, d) -> (n, width): what is seen on the whole, with what attention makes of steps, changes and places.
    Vectors, of shape (d,), count as clips of one step.
    """
    import torch
    from torch import nn

    from ._layers import AttentionLayer, Dropout

    num_steps, dim = (1, *shape)[-2:]

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.whole = nn.Sequential(
                nn.Linear(dim, hidden_dim), nn.ReLU(), Dropout(dropout), nn.Linear(hidden_dim, width)
            )
            self.still = nn.Linear(dim, width)
            self.change = nn.Linear(dim, width, bias=False)
            self.place = nn.Parameter(0.02 * torch.randn(num_steps, width))
            self.drop = Dropout(dropout)
            self.mix = AttentionLayer(width, _ATTENTION_HEADS, dropout)
            self.norm = nn.LayerNorm(width)

        def forward(self, rows: torch.Tensor) -> torch.Tensor:
            steps = rows.reshape(-1, num_steps, dim)
            changes = torch.diff(steps, dim=1, prepend=steps[:, :1])
            mixed = self.mix(self.drop(self.still(steps) + self.change(changes) + self.place))  # (n, t, width)
            space: torch.Tensor = self.whole(steps.mean(dim=1)) + self.norm(mixed).mean(dim=1)  # (n, width)
            return space

    return Network()
