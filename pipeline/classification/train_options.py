"""The options of ``train_head``: its own, and the parameters of the heads."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict

from ..core.arguments import check_choice, options_of, unknown_option
from ..core.errors import UnknownOption, UsageError
from ..core.types import Device, Loss, Triplets
from ..heads import heads
from ..heads._trained.calibration import Method

DEFAULT_NAME = "default"

Calibrate = Literal["auto", Method]


class HeadParameters(TypedDict, total=False):
    """The parameters of the kinds of heads in ``pipeline.heads``; a kind takes those that its class has."""

    C: float
    batch_size: int
    class_weight: Literal["balanced"] | None
    classify: Literal["mean", "knn"]
    dropout: float
    early_stopping: bool
    embedding_dim: int
    hidden_dim: int
    k: int
    learning_rate: float
    margin: float
    max_iter: int
    max_steps: int
    miner_margin: float
    normalise: bool
    num_epochs: int
    shrinkage: float
    temperature: float
    triplets: Triplets
    vote: Literal["nearest", "each-class"]
    weight_decay: float
    width: int


class TrainKeywords(HeadParameters, total=False):
    """The fields of ``TrainOptions`` as keywords, and parameters of the head."""

    head: str | None
    loss: Loss | None
    labels: str | Path | None
    name: str
    seed: int
    recipe: str | None
    tune: bool
    calibrate: Calibrate
    precision: float | None
    texts: bool
    templates: str | Sequence[str]
    device: Device
    parameters: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How a head is trained.

    Attributes:
        head: kind of head; by default the MLP if a metric loss is given, else the linear one.
        loss: what the MLP is trained with.
        labels: a CSV or Parquet file; by default the bank's own labels.
        name: under which the head is stored.
        tune: choose the head's parameters, but for those given, on held-out groups; inside the folds for the score.
        calibrate: how held-out clips make probabilities come true.
        precision: share of right answers that each class is to have: below its threshold the head abstains.
        texts: blend in the zero-shot scores of the class names; held-out clips choose how much.
        templates: for ``texts``: sentences that the names are put into, such as ``"a video of {}"``.
        device: where texts are encoded.
        parameters: further keyword arguments of the head's class.

    Raises:
        UsageError: an unknown choice, or a precision that is no share.

    Example:
        >>> train_head(options=TrainOptions(head="prototype", name="fast")).kind
        'prototype'
    """

    head: str | None = None
    loss: Loss | None = None
    labels: str | Path | None = None
    name: str = DEFAULT_NAME
    seed: int = 0
    recipe: str | None = None
    tune: bool = False
    calibrate: Calibrate = "auto"
    precision: float | None = None
    texts: bool = False
    templates: str | Sequence[str] = ()
    device: Device = "auto"
    parameters: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        check_choice("calibration", self.calibrate, Calibrate)
        check_choice("loss", self.loss, Loss)
        check_choice("device", self.device, Device)
        if self.precision is not None and not 0 < self.precision <= 1:
            raise UsageError(f"a precision is a share above 0 and up to 1, not {self.precision:g}")

    @property
    def kind(self) -> str:
        """The kind of head that is trained."""
        return self.head or ("linear" if self.loss in (None, "cross-entropy") else "mlp")

    @property
    def head_parameters(self) -> dict[str, Any]:
        """The keyword arguments of the head's class that were chosen, with the loss."""
        plain = self.loss is None or (self.head is None and self.kind == "linear")
        return {**self.parameters, **({} if plain else {"loss": self.loss})}


def train_options(options: TrainOptions | None, keywords: Mapping[str, object]) -> TrainOptions:
    """The options of one call; a keyword that is no field of ``TrainOptions`` is a parameter of the head.

    Raises:
        UnknownOption: it is one of no head either.
    """
    fields = [field.name for field in dataclasses.fields(TrainOptions)]
    own = {name: value for name, value in keywords.items() if name in fields}
    chosen = options_of(TrainOptions, options, own)
    others = {name: value for name, value in keywords.items() if name not in fields}
    if not others:
        return chosen
    # What a head of another kind has, the head refuses itself, and says what it has.
    known = {*fields, *HeadParameters.__annotations__, *inspect.signature(heads.get(chosen.kind)).parameters}
    for name in others:
        if name not in known:
            raise UnknownOption(unknown_option(name, known))
    return dataclasses.replace(chosen, parameters={**chosen.parameters, **others})
