"""The encoder of an extraction that names none: the one of the bank's clips, so that a bank keeps to one recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..bank.bank import Bank, BankLike, open_bank
from ..bank.format_file import is_bank
from ..core.errors import UsageError
from ..core.recipe import Recipe
from ..encoders import default_encoder, encoder_class_for
from .extract_options import ExtractOptions


def choose_encoder(options: ExtractOptions, *, bank: BankLike) -> ExtractOptions:
    """The options with an encoder: the one they name, else the recipe of the bank's clips, else ``default_encoder``.

    Raises:
        UsageError: the bank has several recipes, or the options contradict its only one.
        BankError: the bank is damaged.
        EncoderError: the bank has imported vectors alone, which no encoder here makes.
    """
    recipe = options.encoder if isinstance(options.encoder, Recipe) else None
    if options.encoder is None:
        recipe = _recipe_of(bank)
        if recipe is None:
            return dataclasses.replace(options, encoder=default_encoder())
    if recipe is None:
        return options
    _check_agrees(recipe, options)
    return dataclasses.replace(
        options, encoder=recipe, num_frames=None, pooling=None, precision=None, decoder=recipe.decoder
    )


def _recipe_of(bank: BankLike) -> Recipe | None:
    """The recipe of the bank's clips that an encoder here made; None if there are none."""
    if not isinstance(bank, Bank) and not is_bank(Path(bank)):
        return None
    store = open_bank(bank)
    recipes = list(store.recipes().values())
    own = [recipe for recipe in recipes if not recipe.imported]
    if len(own) > 1:
        listed = "; ".join(
            f"{_name(recipe)} ({recipe.num_frames} frames, {recipe.pooling}, {recipe.precision})" for recipe in own
        )
        raise UsageError(
            f"the bank at {store.folder} holds vectors of {len(own)} recipes, so name the encoder to go on with, such "
            f"as encoder='{_name(own[0])}'. There are: {listed}"
        )
    return next(iter(own or recipes), None)


def _name(recipe: Recipe) -> str:
    """What a user types for the encoder of a recipe."""
    part = encoder_class_for(recipe)
    if part.packaged() is not None or recipe.checkpoint == part.card.default_checkpoint:
        return recipe.encoder
    return recipe.checkpoint


def _check_agrees(recipe: Recipe, options: ExtractOptions) -> None:
    """Refuse options by which a second recipe would come beside the bank's without having been requested."""
    poolings = encoder_class_for(recipe).poolings
    pairs = {
        "num_frames": (options.num_frames, recipe.num_frames),
        "pooling": (options.pooling and poolings.get(options.pooling, options.pooling), recipe.pooling),
        "precision": (None if options.precision == "auto" else options.precision, recipe.precision),
        "decoder": (options.decoder, recipe.decoder),
    }
    for name, (wanted, stored) in pairs.items():
        if wanted not in (None, stored):
            raise UsageError(
                f"{name}={wanted!r} does not fit the clips of recipe {recipe.id} ({recipe.encoder}), which have "
                f"{stored!r}. Leave it out to add more of these, or name the encoder (encoder='{_name(recipe)}') to "
                "store another recipe beside them"
            )
