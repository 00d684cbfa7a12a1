"""Checkpoints: found once, loaded strictly.

A Hub id is fetched into the local cache and from there on treated like any folder, so there is one loading
path. Loading refuses anything short of a perfect match: transformers only reports missing weights and fills
them with random numbers, which is how VideoMAE's biases came to be zero in releases 5.6 to 5.17.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..core.errors import EncoderError
from ..core.files import refuse_special
from ._hub import FALLBACK_ENCODER, ask_hub

_SETTINGS = ("*.json", "*.txt", "*.model")  # config, processor, tokenizer
_SAFE_WEIGHTS = "model*.safetensors"
_OLD_WEIGHTS = "pytorch_model*.bin"  # read by torch with weights_only

# How torch and transformers begin their pages about pickles that may run code.
_UNSAFE = ("Weights only load failed", "Unsupported global", "weights_only", "UnpicklingError")
_MOST_LETTERS = 200  # of foreign words in an error of ours

# Whoever names a checkpoint wants it: longer than the few seconds that a default may cost.
_HUB_SECONDS = 10.0

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        name: the Hub id, or the folder as an absolute path.
        revision: the Hub's commit hash; None for a local folder.
    """

    name: str
    folder: Path
    revision: str | None


def fetch(name: str) -> Checkpoint:
    """A local folder as it is; a Hub id (``org/name[@revision]``) from the cache, else from the Hub.

    Raises:
        EncoderError: neither a folder with a ``config.json`` nor a Hub id that can be had.
    """
    folder = Path(name)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise EncoderError(f"{name} is a folder without a config.json, so no checkpoint")
        return Checkpoint(str(folder.resolve()), folder.resolve(), None)
    repository, _, revision = name.partition("@")
    if not _HUB_ID.fullmatch(repository) or repository.startswith("."):
        raise EncoderError(f"there is no checkpoint folder {name}")
    snapshot = _snapshot(repository, revision or None)
    return Checkpoint(repository, snapshot, snapshot.name)


def _snapshot(repository: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    def download(weights: str, *, local: bool) -> Path:
        patterns = [*_SETTINGS, weights]
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns, local_files_only=local))

    def complete(folder: Path) -> bool:
        return (folder / "config.json").is_file() and bool(_weight_files(folder))

    try:
        cached = download(_SAFE_WEIGHTS, local=True)
        if complete(cached):
            return cached
    except LocalEntryNotFoundError:
        pass  # not fetched yet
    ask_hub(repository, revision, seconds=_HUB_SECONDS)
    try:
        for weights in (_SAFE_WEIGHTS, _OLD_WEIGHTS):
            fetched = download(weights, local=False)
            if complete(fetched):
                return fetched
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise EncoderError(
            f"{repository} could not be fetched whole from the Hugging Face Hub ({type(error).__name__}); what came is "
            f"kept, so run this again to go on. Offline, use encoder='{FALLBACK_ENCODER}', whose weights are installed "
            "with Clipdex, or give a local checkpoint folder"
        ) from error
    raise EncoderError(f"{repository} holds no {_SAFE_WEIGHTS} and no {_OLD_WEIGHTS}")


def is_cached(repository: str) -> bool:
    """Whether a Hub checkpoint lies in this machine's cache, with its weights. Asks no hub."""
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(repository, "config.json")
    return isinstance(config, str) and bool(_weight_files(Path(config).parent))


def _weight_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob(_SAFE_WEIGHTS)) or sorted(folder.glob(_OLD_WEIGHTS))
    for file in files:
        refuse_special(file)
    return files


def read_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The checkpoint's ``config.json``.

    Raises:
        EncoderError: it is not a JSON object.
    """
    path = checkpoint.folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise EncoderError(f"cannot read {path}: its lists and objects lie too deep inside each other") from error
    except (OSError, ValueError) as error:
        raise EncoderError(f"cannot read {path}: {error}") from error
    if not isinstance(config, dict):
        raise EncoderError(f"{path} is not a JSON object")
    return config


def model_type(checkpoint: Checkpoint) -> str:
    """What the checkpoint says it is, e.g. ``"videomae"``; empty where it does not say."""
    return str(read_config(checkpoint).get("model_type", ""))


def weights_sha256(checkpoint: Checkpoint) -> str:
    """SHA-256 over the weight files, in the order of their names.

    Raises:
        EncoderError: there are none.
    """
    files = _weight_files(checkpoint.folder)
    if not files:
        raise EncoderError(f"{checkpoint.folder} holds no {_SAFE_WEIGHTS} and no {_OLD_WEIGHTS}")
    return sha256_of(files)


def sha256_of(files: list[Path]) -> str:
    """One SHA-256 over the contents of several files."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def quiet_transformers() -> None:
    """No progress bars and no reports: what matters in them becomes our errors."""
    from transformers.utils import logging

    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def load_strictly(model_class: Any, checkpoint: Checkpoint, *, config: Any = None) -> Any:
    """``model_class.from_pretrained`` in float32 and evaluation mode, with every weight accounted for.

    Args:
        config: where it has to differ from what transformers makes of the checkpoint's file.

    Raises:
        EncoderError: unreadable, or any weight missing, unexpected or of another shape.
    """
    import torch

    quiet_transformers()
    _weight_files(checkpoint.folder)  # a pipe among them would be waited for
    try:
        with contextlib.redirect_stdout(sys.stderr):  # results alone go to stdout, and some models print
            model, report = model_class.from_pretrained(
                checkpoint.folder, config=config, output_loading_info=True, local_files_only=True, dtype=torch.float32
            )
    except Exception as error:  # a stranger's file can make the reader raise anything
        raise EncoderError(
            f"cannot load {checkpoint.name} as {model_class.__name__}: {why_not_loaded(error, checkpoint.folder)}"
        ) from error
    # Old checkpoints also hold what the code computes by itself, such as position ids: no weight, no harm.
    computed = {name for name, _ in model.named_buffers()}
    for problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := sorted(str(key) for key in report[problem] if key not in computed):
            raise EncoderError(
                f"{checkpoint.name} does not match {model_class.__name__}: {len(keys)} "
                f"{problem.replace('_', ' ')}, the first {keys[0]}. Its vectors would be wrong, so none are "
                "made; the checkpoint is damaged, or this release of transformers reads it differently"
            )
    return model.eval().requires_grad_(False)


def why_not_loaded(error: BaseException, where: Path) -> str:
    """What a foreign reader of weights says, in one sentence; of weights that want to run code, the way out instead.

    Args:
        where: the weight file, or the folder that holds it.
    """
    if any(sign in f"{type(one).__name__} {one}" for one in _chain(error) for sign in _UNSAFE):
        file = where
        if where.is_dir():
            file = next(iter(_weight_files(where)), where)
        return (
            f"{file} is damaged, or a pickle that may run code when it is read, and such files are not read; convert "
            "it to safetensors (safetensors.torch.save_file) if you trust it, and give that"
        )
    reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {reason[:_MOST_LETTERS]}"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_num_frames(wanted: int | None, trained: int, checkpoint: Checkpoint) -> None:
    """Refuse a frame count that the checkpoint was not trained with.

    Raises:
        EncoderError: with both counts.
    """
    if wanted is not None and wanted != trained:
        raise EncoderError(
            f"{checkpoint.name} takes exactly {trained} frames a clip, not {wanted}; leave num_frames out, or "
            "choose a checkpoint trained with another count"
        )
