"""ENCODE: clips -> (n, dim) float32, and for some encoders text -> vectors to compare them with.

An encoder is one file here. It is named by its file (``videomae``), by a Hub id (``org/name`` or
``org/name@revision``), by a local checkpoint folder, or by a weights file of its authors; for a Hub id and a
folder the architecture is read from the checkpoint's ``config.json``. Encoders are frozen: nothing here ever
computes a gradient. ``docs/encoders.md`` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..core.arguments import check_choice
from ..core.entry_points import GROUPS
from ..core.errors import ClipdexError, EncoderError, RecipeMismatch, UnknownPart, UsageError
from ..core.recipe import Recipe
from ..core.types import Device, Precision
from ._base import Encoder, encoders
from ._card import Card, Classifier, EncoderInput, Facts, Features, Output, check_keep, libraries
from ._checkpoint import Checkpoint
from ._default import default_encoder
from ._hub import FALLBACK_ENCODER
from ._prompts import encode_prompts, far_text_notes, text_cosines
from ._runtime.canary import DRIFT_LIMIT, canary_clip, check_canary, encode_canary
from ._runtime.device import confine, cuda_devices, device_of
from ._runtime.slowdown import precision_slowdown
from ._runtime.tuning import choose_engine, choose_route, lower_precision, suitable_batch_size

__all__ = [
    "DRIFT_LIMIT",
    "FALLBACK_ENCODER",
    "Card",
    "Checkpoint",
    "Classifier",
    "Encoder",
    "EncoderInput",
    "Facts",
    "Features",
    "Output",
    "at_hand",
    "canary_clip",
    "cards",
    "check_canary",
    "check_keep",
    "check_registered",
    "choose_engine",
    "choose_route",
    "confine",
    "cuda_devices",
    "default_encoder",
    "encode_canary",
    "encode_prompts",
    "encoder_class",
    "encoder_class_for",
    "encoders",
    "far_text_notes",
    "libraries",
    "load_encoder",
    "load_for",
    "precision_slowdown",
    "suitable_batch_size",
    "text_cosines",
]


def cards() -> dict[str, Card]:
    """The card of every encoder that can be imported, by name. The built-in ones load no weights and no torch."""
    return {name: part.card for name, part in encoders.usable().items()}


def at_hand(name: str) -> bool:
    """Whether an encoder could run here and now: its default weights and its libraries. Asks no hub."""
    part = encoders.get(name)
    return part.missing() is None and (part.packaged() is not None or part.cached())


def encoder_class(name: str) -> type[Encoder]:
    """The class of the encoder that a user named; of a checkpoint, that of its architecture.

    Raises:
        UnknownPart, EncoderError: see ``load_encoder``.
    """
    return _resolve(name)[0]


def load_encoder(
    name: str,
    *,
    device: Device = "auto",
    num_frames: int | None = None,
    pooling: str | None = None,
    precision: Precision = "float32",
    strict: bool = True,
    on_input: Callable[[EncoderInput], object] = lambda _: None,
) -> Encoder:
    """The encoder that a user named: a file here, a Hub id, a local checkpoint folder or a weights file.

    Args:
        device: "auto" takes a GPU where there is one.
        num_frames: frames a clip, for encoders that leave it open.
        pooling: one of the encoder's ``poolings``; by default the one its authors use.
        precision: of the network's products; the vectors are float32 in any case.
        strict: False lets float32 stand in for a precision that this device does not have.
        on_input: called with what the encoder takes, as soon as that is known.

    Raises:
        UnknownPart: the name is none of the four.
        UsageError: no such device or precision, or less than one frame.
        EncoderError: the checkpoint cannot be had, or not without a risk of wrong vectors.
        BrokenPart: the encoder belongs to another package and cannot be imported.

    Example:
        >>> encoder = load_encoder("lite")
        >>> encoder.encode_text(["a dog", "a cat"]).shape
        (2, 384)
    """
    check_choice("device", device, Device)
    check_choice("precision", precision, Precision)
    if num_frames is not None and num_frames < 1:
        raise UsageError(f"a clip needs at least 1 frame, not {num_frames}")
    part, checkpoint = _resolve(name)
    return _loaded(
        lambda: _network(
            part,
            checkpoint,
            device=device_of(device),
            num_frames=num_frames,
            pooling=pooling,
            on_input=on_input,
        ),
        name=name,
        precision=precision,
        strict=strict,
    )


def _network(
    part: type[Encoder],
    checkpoint: Checkpoint,
    *,
    device: str,
    num_frames: int | None,
    pooling: str | None,
    on_input: Callable[[EncoderInput], object] = lambda _: None,
) -> Encoder:
    """The encoder without a canary; ``on_input`` as for ``load_encoder``."""
    expected = part.input_of(checkpoint, num_frames=num_frames)
    if expected is not None:
        on_input(expected)
    encoder = part.load(checkpoint, device=device, num_frames=num_frames, pooling=pooling)
    if expected is None:
        on_input(encoder.input)
    elif expected != encoder.input:
        raise EncoderError(f"{checkpoint.name} takes {encoder.input}, but before it was loaded it said {expected}")
    return encoder


def _loaded(load: Callable[[], Encoder], *, name: str, precision: Precision, strict: bool) -> Encoder:
    """See ``load_encoder``; ``name`` is for messages."""
    from ._checkpoint import why_not_loaded
    from ._runtime.torchvision import make_importable

    make_importable()
    try:
        encoder = load()
        encoder = encoder.replaced(canary=encode_canary(encoder))
        return lower_precision(encoder, precision, strict=strict)
    except ClipdexError:
        raise
    except Exception as error:  # a configuration that contradicts itself can make a library raise anything
        raise EncoderError(
            f"{name} cannot be used ({why_not_loaded(error, Path(name))}); its config.json, weights and processor "
            "file do not fit each other"
        ) from error


def _resolve(name: str) -> tuple[type[Encoder], Checkpoint]:
    from ._checkpoint import fetch, model_type

    if name in encoders.names():
        part = _usable(name)
        return part, part.packaged() or part.find(part.card.default_checkpoint)
    for known, part in encoders.usable().items():
        if part.reads_file(name):
            return _usable(known), part.find(name)
    if "/" in name or Path(name).exists():
        checkpoint = fetch(name)
        return _usable(_name_for(model_type(checkpoint), name)), checkpoint
    raise UnknownPart(
        f"unknown encoder {name!r}; there are: {', '.join(encoders.names())}, or a Hub id such as "
        "microsoft/xclip-base-patch32, or a checkpoint folder with its config.json"
    )


def _usable(name: str) -> type[Encoder]:
    part = encoders.get(name)
    if (problem := part.missing()) is not None:
        raise EncoderError(f"{name}: {problem}")
    return part


def _name_for(kind: str, name: str) -> str:
    # Backwards, so that no other package's encoder takes the checkpoints of a built-in one.
    known = {model_type: part for part, card in reversed(cards().items()) for model_type in card.model_types}
    if kind not in known:
        raise EncoderError(
            f"{name} is a checkpoint of type {kind!r}, which no encoder here reads; known types: "
            f"{', '.join(sorted(known))}"
        )
    return known[kind]


def encoder_class_for(recipe: Recipe) -> type[Encoder]:
    """The class of the encoder that made the vectors of a recipe.

    Raises:
        EncoderError: they were imported, or the package that brings the encoder is not installed.
        BrokenPart: that package cannot be imported.
    """
    if recipe.imported:
        raise EncoderError(
            f"the vectors of recipe {recipe.id} were imported as {recipe.checkpoint!r}, so no encoder here makes more "
            "of them, reads text or encodes new clips. Import more with bank import, or extract with an encoder"
        )
    if recipe.encoder not in encoders.names():
        raise EncoderError(
            f"the vectors of recipe {recipe.id} were made by the encoder {recipe.encoder!r}, which is not installed: "
            f"install the package that offers it. There are: {', '.join(encoders.names())}"
        )
    return encoders.get(recipe.encoder)


def check_registered(encoder: object) -> None:
    """Refuse an encoder that cannot be loaded again by name: nothing could search its vectors, or add clips to them.

    Raises:
        EncoderError: with the way out.
        UsageError: it is no encoder.
    """
    if not isinstance(encoder, Encoder):
        raise UsageError(f"an encoder is a name or what load_encoder gives, not {encoder!r}")
    part = type(encoder)
    if encoders.name_of(part) is None:
        raise EncoderError(
            f"the class {part.__module__}.{part.__qualname__} is registered under no name, so its vectors could be "
            "stored but never searched. Name it in the entry points of an installed package, in the group "
            f"{GROUPS['encoders']!r}, or compute the vectors yourself and store them with import_features"
        )


def load_for(recipe: Recipe, *, device: Device = "auto") -> Encoder:
    """The encoder that made the vectors of ``recipe``, to encode queries and new clips the same way.

    Raises:
        RecipeMismatch: the weights or settings under that name are not the same any more, or they are and the
            canary clip's vector is not.
        EncoderError: they cannot be had.
    """
    check_choice("device", device, Device)
    part = encoder_class_for(recipe)
    name = recipe.checkpoint if recipe.revision is None else f"{recipe.checkpoint}@{recipe.revision}"
    pooling = next((key for key, words in part.poolings.items() if words == recipe.pooling), None)
    usable, checkpoint = _usable(recipe.encoder), part.packaged() or part.find(name)
    encoder = _loaded(
        lambda: _network(usable, checkpoint, device=device_of(device), num_frames=recipe.num_frames, pooling=pooling),
        name=name,
        precision=recipe.precision,
        strict=False,
    )
    now = encoder.recipe(decoder=recipe.decoder)
    if now.id != recipe.id:
        raise RecipeMismatch(
            f"{recipe.checkpoint} is not what made the stored vectors any more ({'; '.join(now.differences(recipe))}). "
            "Put the old checkpoint back, or extract again"
        )
    check_canary(now, recipe)
    return encoder
