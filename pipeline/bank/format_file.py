"""``bank.json``, which makes a folder a bank and states the version of its format."""

from __future__ import annotations

import json
from pathlib import Path

from ..core.errors import BankError
from ..core.input_files import kind_of
from ..core.storage import storage_of

FORMAT_VERSION = 1
FORMAT_FILE = "bank.json"
QUESTIONS = "questions"  # the folder of ``Bank.questions``
_FORMAT = "clipdex-bank"


def is_bank(folder: Path) -> bool:
    """Whether a folder says that it is a bank, of whatever format version."""
    path = folder / FORMAT_FILE
    return storage_of(path).exists(path)


def folders_read(folder: Path) -> list[Path]:
    """Where the bank in this folder has its parts: a bank of questions reads those of the bank around it as well."""
    return [folder.parent, folder] if is_for_questions(folder) else [folder]


def is_for_questions(folder: Path) -> bool:
    """Whether a folder is that of ``Bank.questions``."""
    return folder.name == QUESTIONS and is_bank(folder.parent)


def check_format(folder: Path, *, create: bool) -> None:
    """Refuse a folder that this release cannot read as a bank.

    Args:
        create: make an empty bank if there is none.

    Raises:
        BankError: the folder is no bank, or one of another format version.
    """
    path = folder / FORMAT_FILE
    if not is_bank(folder):
        if not create:
            raise BankError(
                f"there is no bank at {folder}; make one with: clipdex extract VIDEOS --bank {folder} "
                "(with --encoder motion nothing is downloaded)"
            )
        if kind_of(folder) not in (None, "folder"):
            raise BankError(f"{folder} is a file, so it cannot become a bank; choose another folder")
        facts = {"format": _FORMAT, "version": FORMAT_VERSION}
        storage_of(path).write_new(path, (json.dumps(facts) + "\n").encode())
    version = _version(path)
    if version != FORMAT_VERSION:
        raise BankError(
            f"{folder} is a bank of format {version}, this is Clipdex for format {FORMAT_VERSION}; "
            "use the release that made it"
        )


def _version(path: Path) -> object:
    """The format's version that ``bank.json`` states."""
    try:
        facts = json.loads(storage_of(path).read(path))
        if facts["format"] != _FORMAT:
            raise ValueError(f"it states the format {facts['format']!r}")
        return facts["version"]
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise BankError(
            f"{path} is damaged ({type(error).__name__}: {error}). Nothing else depends on its content: write "
            f'{{"format": "{_FORMAT}", "version": {FORMAT_VERSION}}} into a file of that name'
        ) from error
