"""Every error Clipdex raises on purpose.

    ClipdexError               something failed; the command line exits with 1
    ├── UsageError             the call itself is wrong; the command line exits with 2
    │   ├── UnknownPart        no encoder, decoder, head or index of that name
    │   └── UnknownOption      a function has no option of that name; a TypeError too
    ├── SourceError            a path, folder or manifest that cannot be used
    │   └── EmptyFolder        a folder without a video
    ├── DecodeError            a video that cannot be read
    │   ├── NoVideoStream      ... because it holds no moving pictures (recorded as "skipped")
    │   ├── DecoderRefusal     ... by this decoder without a risk of wrong frames
    │   ├── OutOfMemory        ... within the memory that one video may take
    │   ├── DecodeTimeout      ... within the time that one video may take
    │   └── DecoderCrash       ... because the process that read it died
    ├── EncoderError           a checkpoint or a clip the encoder must not accept
    ├── BankError              the bank is damaged, missing or from another format
    │   └── RecipeMismatch     vectors made in different ways would have been mixed
    ├── LabelError             labels that cannot be used
    ├── HeadError              a head that cannot be trained, read or applied
    ├── BrokenPart             an encoder or head of another package that cannot be used
    └── MissingExtra           an optional package is not installed

Each message names the thing, the values that disagree and the way out.
"""

from __future__ import annotations

from .addresses import spelled


class ClipdexError(Exception):
    """Base of all errors raised on purpose.

    Example:
        >>> try:
        ...     Bank("nothing")
        ... except ClipdexError as error:
        ...     print(error)
        there is no bank at nothing...
    """

    def __str__(self) -> str:
        return spelled(super().__str__())


class UsageError(ClipdexError):
    """The call is wrong, whatever the data: a bad option, an impossible combination."""


class UnknownPart(UsageError):
    """A name that no file in the part's folder carries."""


class UnknownOption(UsageError, TypeError):
    """A keyword that the called function does not have, which Python reports as a TypeError."""


class SourceError(ClipdexError):
    """A path, folder or manifest that cannot be used."""


class EmptyFolder(SourceError):
    """A folder that holds no video, at any depth."""


class DecodeError(ClipdexError):
    """A video that cannot be read, or not without inventing frames."""


class NoVideoStream(DecodeError):
    """The file is readable but holds no moving pictures."""


class DecoderRefusal(DecodeError):
    """The chosen decoder is known to return wrong frames on such a file."""


class DecodeTimeout(DecodeError):
    """Reading the video took longer than one video may take."""


class OutOfMemory(DecodeError):
    """Reading the video asks for more memory than one video may take."""


class DecoderCrash(DecodeError):
    """The process that read the video died: native code crashed, or the system had no memory left."""


class EncoderError(ClipdexError):
    """A checkpoint, or pixels, from which wrong vectors would come."""


class BankError(ClipdexError):
    """A bank that is missing, damaged or written in another format."""


class RecipeMismatch(BankError):
    """Vectors that were made in different ways and must not meet."""


class LockHeld(BankError):
    """Another process holds a lock.

    Attributes:
        holder: its process id, or what else a storage knows it by.
    """

    def __init__(self, holder: str) -> None:
        super().__init__(f"process {holder} holds the lock")
        self.holder = holder


class LabelError(ClipdexError):
    """Labels that cannot be used."""


class HeadError(ClipdexError):
    """A head that cannot be trained, read or applied."""


class BrokenPart(ClipdexError):
    """An encoder or head that another package offers and that cannot be used."""


class MissingExtra(ClipdexError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, package: str, *, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed: pip install 'clipdex[{extra}]'"
        )
