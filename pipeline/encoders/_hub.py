"""Whether the Hugging Face Hub answers, in bounded time: its own client waits for an answer without end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ..core.errors import EncoderError
from ..core.registry import part_names

# Needs no hub, and so is what a new bank gets if X-CLIP cannot be had.
FALLBACK_ENCODER = "motion" if "motion" in part_names("encoders") else "lite"


def ask_hub(repository: str, revision: str | None, *, seconds: float) -> None:
    """Return once the hub has answered that it holds a checkpoint.

    Args:
        seconds: how long to wait for the answer, finding the hub's address included.

    Raises:
        EncoderError: it did not answer in time, or holds no such checkpoint.
    """
    from huggingface_hub import HfApi, constants

    endpoint = constants.ENDPOINT

    def ask() -> None:
        HfApi(endpoint=endpoint).model_info(repository, revision=revision, timeout=seconds)

    problem = _problem(ask, seconds=seconds)
    if problem is not None:
        raise EncoderError(
            f"cannot get {repository} from the Hugging Face Hub ({endpoint}: {problem}), it is not in this machine's "
            f"cache, and there is no folder of that name. Offline, use encoder='{FALLBACK_ENCODER}', whose weights are "
            "installed with Clipdex, or give a local checkpoint folder"
        )


def _problem(ask: Callable[[], None], *, seconds: float) -> str | None:
    """Why a question was not answered, in a few words; None if it was."""
    outcome: list[str | None] = []

    def run() -> None:
        try:
            ask()
        except Exception as error:  # what the client raises differs between its releases
            outcome.append(type(error).__name__)
        else:
            outcome.append(None)

    # The client's limit is one for each step, and looking up a name has none.
    thread = threading.Thread(target=run, name="clipdex-hub", daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0] if outcome else f"no answer within {seconds:g} s"
