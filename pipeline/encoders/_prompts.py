"""Texts in sentences: the same query in several templates, averaged (Radford et al. 2021, arXiv:2103.00020)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.arguments import as_list
from ..core.errors import UsageError
from ..core.types import FloatArray, KeptArray
from ..core.vectors import unit
from ._base import Encoder

PLACE = "{}"

# A text whose nearest name has a smaller cosine is nothing that the encoder can see. With sentence vectors, "snow" has
# 0.74 with "snowplow", "a dog on a beach" 0.55 with "beach", "people fighting" 0.46 with "Boxer", "a person running"
# 0.35 with "race car".
_FAR = 0.5


def _filled(texts: str | Sequence[str], templates: str | Sequence[str]) -> list[list[str]]:
    """The texts in each template; without templates the bare texts, which is how the authors of X-CLIP test it."""
    texts, templates = as_list(texts), as_list(templates)
    for template in templates:
        if template.count(PLACE) != 1:
            raise UsageError(f"the template {template!r} must hold {{}} once, where the text goes: 'a video of {{}}'")
    return [[template.replace(PLACE, text) for text in texts] for template in templates or [PLACE]]


def encode_prompts(encoder: Encoder, texts: str | Sequence[str], templates: str | Sequence[str] = ()) -> FloatArray:
    """Unit vectors of texts, (n, text_dim): each the mean of its unit vectors in all the templates.

    Args:
        templates: sentences with one ``{}`` where the text goes, such as ``"a video of {}"``; by default the
            bare text.

    Raises:
        UsageError: a template without ``{}``.
    """
    vectors = [unit(encoder.encode_text(prompts)) for prompts in _filled(texts, templates)]
    return unit(np.mean(vectors, axis=0))


def text_cosines(
    encoder: Encoder,
    embeddings: FloatArray,
    texts: str | Sequence[str],
    *,
    templates: str | Sequence[str] = (),
    patches: KeptArray | None = None,
) -> FloatArray:
    """How well clips fit texts, (n, texts).

    Args:
        embeddings: stored vectors, (n, dim).
        patches: what ``--keep patches`` stored beside them, for the model's full score; its mean over the
            templates. Without, the cosine of the stored vectors.

    Raises:
        EncoderError: no text tower, or patches for an encoder whose cosine is its full score.
    """
    if patches is None:
        clips = unit(encoder.text_space(embeddings))
        cosines: FloatArray = clips @ encode_prompts(encoder, texts, templates).T
        return cosines
    scores = [
        encoder.exact_cosines(embeddings, patches, encoder.encode_text(prompts))
        for prompts in _filled(texts, templates)
    ]
    mean: FloatArray = np.mean(scores, axis=0)
    return mean


def far_text_notes(encoder: Encoder, texts: Sequence[str]) -> list[str]:
    """A sentence for each text that is far from everything the encoder has names for, where it has a list of names."""
    return [
        f"{encoder.name} sees only objects and scenes that it has names for, and none is near {text!r} (the nearest is "
        f"{name!r}, cosine {cosine:.2f}): clips may match it by chance"
        for text, name, cosine in (encoder.nearest_names(texts) if texts else [])
        if cosine < _FAR
    ]
