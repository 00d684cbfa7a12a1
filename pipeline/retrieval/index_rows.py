"""What a row of a bank's index holds: a clip's unit vector, followed where it takes one by its vector among texts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.recipe import Recipe
from ..core.types import FloatArray
from ..core.vectors import unit
from ..encoders import Encoder, encoder_class_for


def index_rows(recipe: Recipe, embeddings: FloatArray, encoder: Callable[[], Encoder]) -> FloatArray:
    """Stored vectors as rows of an index.

    Where text shares the space of clips, the unit vectors themselves; else the unit vectors followed by
    their unit vectors in the space of text, so that one inner product serves both kinds of question.
    """
    if recipe.imported or encoder_class_for(recipe).shares_text_space():
        return unit(embeddings)
    return np.hstack([unit(embeddings), unit(encoder().text_space(embeddings))])


def row_dim(recipe: Recipe, encoder: Callable[[], Encoder]) -> int:
    """Numbers in a row of the index. Loads the encoder only if its class does not state the size of its text space."""
    part = None if recipe.imported else encoder_class_for(recipe)
    if part is None or part.shares_text_space():
        return recipe.dim
    if part.text_space_dim is not None:
        return recipe.dim + part.text_space_dim
    dim: int = index_rows(recipe, no_rows(recipe), encoder).shape[1]
    return dim


def no_rows(recipe: Recipe) -> FloatArray:
    """Stored vectors of no clips, (0, dim)."""
    return np.empty((0, recipe.dim), np.float32)
