"""The encoder of a new bank if nobody names one."""

from __future__ import annotations

import logging

from ..core.errors import EncoderError
from ._base import encoders
from ._hub import FALLBACK_ENCODER, ask_hub

_log = logging.getLogger(__name__)

PREFERRED_ENCODER = "xclip"
_HUB_SECONDS = 4.0


def default_encoder() -> str:
    """X-CLIP if its weights are on this machine, or the hub gives them; else the built-in encoder, and a line in the
    log says so. The hub has a few seconds to answer.
    """
    part = encoders.get(PREFERRED_ENCODER)
    checkpoint = part.card.default_checkpoint
    if part.cached():
        return PREFERRED_ENCODER
    try:
        ask_hub(checkpoint, None, seconds=_HUB_SECONDS)
        part.find(checkpoint)
    except EncoderError as error:
        _log.warning(
            "X-CLIP's weights are not on this machine and the hub did not give them, so the built-in encoder %s is "
            "used. To insist on X-CLIP, name it: --encoder %s (in Python encoder=%r)",
            FALLBACK_ENCODER,
            PREFERRED_ENCODER,
            PREFERRED_ENCODER,
        )
        _log.debug("%s", error)
        return FALLBACK_ENCODER
    return PREFERRED_ENCODER
