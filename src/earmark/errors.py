"""What can go wrong, as one small tree.

EarmarkError
├── BadValue            a setting or array that makes no sense (also a ValueError)
│   └── BadExpression   words for a playlist that do not parse, with their place
├── MissingExtra        a library that an optional part needs is not installed (also an ImportError)
├── UnreadableAudio     a file that holds no audio we can decode
├── WorkerDied          a unit of work that killed its process, or workers that cannot start
├── Unexpected          a mistake of ours that one unit of work met, while the others went on
├── DownloadFailed      a fetch over the network that did not bring what was asked for
├── ModelError
│   ├── ModelNotFound   no model of that name or at that path
│   ├── BadModel        a file that is no model of ours, or is damaged, or of an unknown version
│   └── FeatureMismatch spectrograms of other settings than the model was trained on
├── LibraryError
│   ├── BadLibrary      a library that is missing, damaged or of an unknown version
│   ├── NotScanned      a song or a model that the library does not know
│   └── UnwritableTags  a file whose tags cannot be read, written or put back
└── DataError
    ├── BadCatalog      a catalog that does not parse
    ├── BadLedger       a ledger of downloads that is missing, damaged or of an unknown version
    ├── NoAudio         a song for which there is no audio file
    ├── BadStore        shards that are damaged, incomplete or of an unknown version
    ├── BadRecipe       a recipe with an unknown key or an impossible value
    └── FolderInUse     another run works on the same folder
"""

from __future__ import annotations

import re
from pathlib import Path


class EarmarkError(Exception):
    """Base of every error that earmark raises on purpose."""

    @property
    def kind(self) -> str:
        """The class name in snake_case, as it stands in JSON error lines."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    def as_json(self) -> dict[str, str]:
        """{"kind": ..., "message": ...}: the error object of a JSON line."""
        return {"kind": self.kind, "message": str(self)}


class BadValue(EarmarkError, ValueError):
    """A setting or array that makes no sense."""


class BadExpression(BadValue):
    """Words for a playlist that do not parse.

    text : the expression
    position : index in it of the first character that is wrong
    reason : what is wrong and what is right
    """

    def __init__(self, text: str, position: int, reason: str) -> None:
        super().__init__(text, position, reason)  # all as args, so that it survives pickling
        self.text = text
        self.position = position
        self.reason = reason

    def __str__(self) -> str:
        return (
            f"{self.reason} (at character {self.position + 1})\n  {self.text}\n"
            f"  {' ' * self.position}^"
        )


class MissingExtra(EarmarkError, ImportError):
    """A library that an optional part needs is not installed.

    library : the distribution that could not be imported
    extra : the extra of earmark that brings it
    """

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(library, extra)  # both as args, so that the error survives pickling
        self.library = library
        self.extra = extra

    def __str__(self) -> str:
        return f"{self.library} is not installed. Run: pip install 'earmark[{self.extra}]'"


class UnreadableAudio(EarmarkError):
    """A file that holds no audio we can decode.

    path : the file as it was named by the caller
    reason : why, in words
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(path, reason)  # both as args, so that the error survives pickling
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


class WorkerDied(EarmarkError):
    """A unit of work that killed the process it ran in, or workers that cannot start."""


class Unexpected(EarmarkError):
    """A mistake of ours that one unit of work met, while the others went on.

    what : the exception and its place, on one line
    trace : the whole traceback, for a report of the bug
    """

    def __init__(self, what: str, trace: str) -> None:
        super().__init__(what, trace)  # both as args, so that the error survives pickling
        self.what = what
        self.trace = trace

    def __str__(self) -> str:
        return f"unexpected {self.what} (a bug in earmark; please report it)"


class DownloadFailed(EarmarkError):
    """A fetch over the network that did not bring what was asked for."""


class ModelError(EarmarkError):
    """Anything about a model file."""


class ModelNotFound(ModelError):
    """No model of that name or at that path."""


class BadModel(ModelError):
    """A file that is no model of ours, or is damaged, or of an unknown version."""


class FeatureMismatch(ModelError):
    """Spectrograms of other settings than the model was trained on."""


class LibraryError(EarmarkError):
    """Anything about a person's music library."""


class BadLibrary(LibraryError):
    """A library that is missing, damaged or of an unknown version."""


class NotScanned(LibraryError):
    """A song or a model that the library does not know."""


class UnwritableTags(LibraryError):
    """A file whose tags cannot be read, written or put back; the file stays as it was.

    path : the file
    reason : why, in words
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(path, reason)  # both as args, so that the error survives pickling
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot write to {self.path}: {self.reason}"


class DataError(EarmarkError):
    """Anything about catalogs, previews and shards."""


class BadCatalog(DataError):
    """A catalog that does not parse."""


class BadLedger(DataError):
    """A ledger of downloads that is missing, damaged or of an unknown version."""


class NoAudio(DataError):
    """A song for which there is no audio file."""


class BadStore(DataError):
    """Shards that are damaged, incomplete or of an unknown version."""


class BadRecipe(DataError):
    """A recipe with an unknown key or an impossible value."""


class FolderInUse(DataError):
    """Another run works on the same folder."""
