"""The errors that earmark raises on purpose; all derive from EarmarkError.

EarmarkError
├── BadValue            a setting or array that cannot be used (also a ValueError)
│   └── BadExpression   a playlist expression with a syntax error, and where it is
├── MissingExtra        a library of an optional part is not installed (also an ImportError)
├── UnreadableAudio     a file whose audio cannot be read
├── WorkerDied          a worker process that died, or could not start
├── OutOfMemory         a unit of work that needs more memory than there is for it
├── Unexpected          a bug in earmark that stopped one unit of work, and no other
├── DownloadFailed      a download that failed, or brought another file than expected
├── ModelError
│   ├── ModelNotFound   a name or path without a model
│   ├── BadModel        a file that is not an earmark model, is damaged, or of an unknown version
│   └── FeatureMismatch spectrograms made with other settings than the model's
├── LibraryError
│   ├── BadLibrary      a library that is missing, damaged or of an unknown version
│   ├── NotScanned      a song or a model that is not in the library
│   └── UnwritableTags  a music file whose tags cannot be read, written or restored
└── DataError
    ├── BadCatalog      a catalog that cannot be read
    ├── BadLedger       a ledger of downloads that is missing, damaged or of an unknown version
    ├── NoAudio         a song without an audio file
    ├── BadStore        shards that are damaged, incomplete or of an unknown version
    ├── BadRecipe       a recipe with an unknown key or an impossible value
    └── FolderInUse     another run works on the same folder
"""

from __future__ import annotations

import os
import re
from pathlib import Path


class EarmarkError(Exception):
    """Base of every error that earmark raises on purpose."""

    @property
    def kind(self) -> str:
        """The class name in snake_case, as it stands in JSON error lines."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()

    @property
    def lines(self) -> tuple[str, ...]:
        """The message as a terminal shows it: one line, but for errors that point into a text."""
        return (str(self),)

    def as_json(self) -> dict[str, str]:
        """{"kind": ..., "message": ...}: the error object of a JSON line."""
        return {"kind": self.kind, "message": str(self)}


class BadValue(EarmarkError, ValueError):
    """A setting or array that cannot be used."""


_SHOWN = 160  # characters of an expression


class BadExpression(BadValue):
    """A playlist expression with a syntax error.

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
        return "\n".join(self.lines)

    @property
    def lines(self) -> tuple[str, ...]:
        """What is wrong, the expression, and a mark below the place; of a long text a part."""
        start = max(0, self.position - _SHOWN // 2) if len(self.text) > _SHOWN else 0
        return (
            f"{self.reason} (at character {self.position + 1})",
            f"  {self.text[start : start + _SHOWN]}",
            f"  {' ' * (self.position - start)}^",
        )


class MissingExtra(EarmarkError, ImportError):
    """A library of an optional part of earmark is not installed.

    library : the distribution that could not be imported
    extra : the extra of earmark that brings it
    more : a command to run after that one
    """

    def __init__(self, library: str, extra: str, more: str | None = None) -> None:
        super().__init__(library, extra, more)  # as args, so that the error survives pickling
        self.library = library
        self.extra = extra
        self.more = more

    def __str__(self) -> str:
        commands = " && ".join(filter(None, (how_to_install(self.extra), self.more)))
        return f"{self.library} is not installed. Run: {commands}"


def how_to_install(extra: str) -> str:
    """The command that installs an extra of earmark, from where earmark itself was installed."""
    import json
    from importlib.metadata import PackageNotFoundError, distribution
    from urllib.request import url2pathname

    try:
        # what pip noted of it (PEP 610); nothing where it came from a package index
        noted = distribution("earmark").read_text("direct_url.json")
    except PackageNotFoundError:
        noted = None
    origin = json.loads(noted) if noted else {}
    url, wanted = origin.get("url", ""), f"earmark[{extra}]"
    if "dir_info" in origin:
        option = "-e " if origin["dir_info"].get("editable") else ""
        return f"pip install {option}'{url2pathname(url.removeprefix('file://'))}[{extra}]'"
    if "vcs_info" in origin:
        return f"pip install '{wanted} @ {origin['vcs_info']['vcs']}+{url}'"
    return f"pip install '{wanted} @ {url}'" if url else f"pip install '{wanted}'"


class UnreadableAudio(EarmarkError):
    """A file whose audio cannot be read.

    path : the file, as the caller named it; an address stays one (earmark.remote)
    reason : why, in words
    """

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(path, reason)  # both as args, so that the error survives pickling
        self.path = Path(path) if isinstance(path, str) else path
        self.reason = reason

    def __str__(self) -> str:
        return f"cannot read {self.path}: {self.reason}"


class WorkerDied(EarmarkError):
    """A worker process that died during a unit of work, or could not start."""


class OutOfMemory(EarmarkError):
    """A unit of work that needs more memory than a worker may take, or than the machine has."""


class Unexpected(EarmarkError):
    """A bug in earmark that stopped one unit of work; the others go on.

    what : the exception and its place, on one line
    trace : the whole traceback, for a report of the bug
    """

    def __init__(self, what: str, trace: str) -> None:
        super().__init__(what, trace)  # both as args, so that the error survives pickling
        self.what = what
        self.trace = trace

    def __str__(self) -> str:
        return f"a bug in earmark stopped this: {self.what}. Please report it, with this line"


class DownloadFailed(EarmarkError):
    """A download that failed, or brought another file than expected."""


class ModelError(EarmarkError):
    """Base of the errors about models."""


class ModelNotFound(ModelError):
    """A name or path without a model."""


class BadModel(ModelError):
    """A file that is not an earmark model, is damaged, or of an unknown version."""


class FeatureMismatch(ModelError):
    """Spectrograms made with other settings than the model's."""


class LibraryError(EarmarkError):
    """A music library that cannot be used, and the base of the errors about it."""


class BadLibrary(LibraryError):
    """A library that is missing, damaged or of an unknown version."""


class NotScanned(LibraryError):
    """A song or a model that is not in the library."""


class UnwritableTags(LibraryError):
    """A music file whose tags cannot be read, written or restored; it stays as it was.

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
    """Data, a recipe or a run that cannot be used, and the base of the errors about them."""


class BadCatalog(DataError):
    """A catalog that cannot be read."""


class BadLedger(DataError):
    """A ledger of downloads that is missing, damaged or of an unknown version."""


class NoAudio(DataError):
    """A song without an audio file."""


class BadStore(DataError):
    """Shards that are damaged, incomplete or of an unknown version."""


class BadRecipe(DataError):
    """A recipe with an unknown key or an impossible value."""


class FolderInUse(DataError):
    """Another run works on the same folder."""
