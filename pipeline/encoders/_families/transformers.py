"""Encoders whose model class is in transformers: found, loaded, pooled and used for text in one way."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from ...core.arguments import as_list
from ...core.errors import EncoderError
from ...core.recipe import PreprocessSettings
from ...core.types import FloatArray
from ...sources.sampling import Sampling
from .._base import Encoder
from .._card import Classifier, EncoderInput, Facts
from .._checkpoint import (
    Checkpoint,
    check_num_frames,
    load_strictly,
    quiet_transformers,
    read_config,
    weights_sha256,
    why_not_loaded,
)
from .._preprocess import read_settings

if TYPE_CHECKING:
    from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What a checkpoint's configuration says of its input and output.

    Attributes:
        num_frames: None where any number will do.
        image_size: None where the processor's file decides (then ``patch_size`` has to divide it).
    """

    num_frames: int | None
    image_size: int | None
    dim: int
    patch_size: int = 1


class TransformersEncoder(Encoder):
    """A checkpoint in the layout of transformers. Subclasses name the classes that read it, and pool.

    Attributes:
        architectures: first entry of ``architectures`` in a ``config.json`` to the class that has a place for
            every weight of such a checkpoint: the whole is loaded, whatever part is used, so that each weight
            is accounted for.
        text_padding, text_inputs: how texts are padded, and what of the tokenizer's output the text tower reads.
    """

    architectures: ClassVar[Mapping[str, str]]
    text_padding: ClassVar[bool | str] = True
    text_inputs: ClassVar[tuple[str, ...]] = ("input_ids", "attention_mask")

    def __init__(self, facts: Facts, *, device: str, model: Any, checkpoint: Checkpoint) -> None:
        super().__init__(facts, device=device)
        self._model = model
        self._backbone = model.base_model
        self._checkpoint = checkpoint

    @classmethod
    def input_of(cls, checkpoint: Checkpoint, *, num_frames: int | None) -> EncoderInput | None:
        """See ``Encoder.input_of``. What is wrong with the files, ``load`` says."""
        from transformers import AutoConfig

        quiet_transformers()
        try:
            sizes = cls._sizes(AutoConfig.from_pretrained(checkpoint.folder, local_files_only=True))
            sampling = Sampling(sizes.num_frames or num_frames or cls.card.num_frames)
            return EncoderInput(sampling, cls._settings(checkpoint, sizes))
        except Exception:  # a stranger's file can make the reader raise anything
            return None

    @classmethod
    def load(cls, checkpoint: Checkpoint, *, device: str, num_frames: int | None, pooling: str | None) -> Self:
        """See ``Encoder.load``."""
        import transformers

        named = (read_config(checkpoint).get("architectures") or ["none"])[0]
        if named not in cls.architectures:
            raise EncoderError(f"{checkpoint.name} is a {named}; known are {', '.join(cls.architectures)}")
        model = cls._read(getattr(transformers, cls.architectures[named]), checkpoint).to(device)
        sizes = cls._sizes(model.config)
        if sizes.num_frames is not None:
            check_num_frames(num_frames, sizes.num_frames, checkpoint)
        settings = cls._settings(checkpoint, sizes)
        image_size = settings.final_size[0]
        if image_size % sizes.patch_size:
            raise EncoderError(
                f"{checkpoint.name} takes pictures in patches of {sizes.patch_size} pixels, and its processor file "
                f"leads to {image_size} pixels, which they do not divide"
            )
        facts = Facts(
            checkpoint=checkpoint.name,
            revision=checkpoint.revision,
            weights_sha256=weights_sha256(checkpoint),
            num_frames=sizes.num_frames or num_frames or cls.card.num_frames,
            image_size=image_size,
            dim=sizes.dim,
            preprocessing=settings,
            pooling=cls._pooling_of(model, pooling),
        )
        cls._examine(model, checkpoint)
        return cls(facts, device=device, model=model, checkpoint=checkpoint)

    @classmethod
    def _read(cls, model_class: Any, checkpoint: Checkpoint) -> Any:
        """The model with the checkpoint's weights."""
        return load_strictly(model_class, checkpoint)

    @classmethod
    @abc.abstractmethod
    def _sizes(cls, config: Any) -> Sizes:
        """From the model's configuration."""

    @classmethod
    def _settings(cls, checkpoint: Checkpoint, sizes: Sizes) -> PreprocessSettings:
        """How pixels are made; by default as the checkpoint's processor file says."""
        return read_settings(checkpoint.folder, image_size=sizes.image_size)

    @classmethod
    def _pooling_of(cls, model: Any, wanted: str | None) -> str:  # noqa: ARG003 -- subclasses use the model
        """The recipe's words for the pooling; the first one is the default."""
        return cls._pooled(wanted, next(iter(cls.poolings)))

    @classmethod
    def _examine(cls, model: Any, checkpoint: Checkpoint) -> None:
        """Refuse a model that loaded without complaint and is wrong all the same."""

    def _classifies(self) -> bool:
        """Whether the checkpoint's classifier reads exactly these vectors."""
        return False

    @property
    def classifier(self) -> Classifier | None:
        """See ``Encoder.classifier``."""
        layer: Any = getattr(self._model, "classifier", None)
        if not self._classifies() or not hasattr(layer, "weight"):
            return None
        names = self._model.config.id2label
        return Classifier(
            weight=layer.weight.detach().to("cpu").numpy(),
            bias=layer.bias.detach().to("cpu").numpy(),
            classes=tuple(str(names[number]) for number in range(len(layer.weight))),
        )

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoTokenizer

        try:
            return AutoTokenizer.from_pretrained(self._checkpoint.folder, local_files_only=True)
        except Exception as error:  # a stranger's file can make the reader raise anything
            raise EncoderError(
                f"{self._checkpoint.name} has no tokenizer that can be read "
                f"({why_not_loaded(error, self._checkpoint.folder)}); copy its tokenizer files into the checkpoint "
                "folder"
            ) from error

    def encode_text(self, texts: str | Sequence[str]) -> FloatArray:
        """See ``Encoder.encode_text``; what is longer than the tower takes is cut."""
        import torch

        if not hasattr(self._model, "text_model"):
            return super().encode_text(texts)
        length = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(
            as_list(texts), padding=self.text_padding, truncation=True, max_length=length, return_tensors="pt"
        ).to(self.device)
        with torch.inference_mode():
            return to_numpy(self._embed_text({name: tokens[name] for name in self.text_inputs}))

    def _embed_text(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """(n, length) token ids and mask to (n, text dim)."""
        # An object since transformers 5.0; its pooled output is projected and not of length 1.
        vectors: Tensor = self._model.get_text_features(**tokens).pooler_output
        return vectors

    @property
    def text_scale(self) -> float:
        """The checkpoint's trained temperature, where it has one."""
        trained = getattr(self._model, "logit_scale", None)
        return super().text_scale if trained is None else float(trained.exp())


def to_numpy(vectors: Tensor) -> FloatArray:
    """On the processor, in float32."""
    result: FloatArray = vectors.detach().to("cpu").float().numpy()
    return result
