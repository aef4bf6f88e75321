"""earmark listens to music and says what it hears.

    >>> import earmark
    >>> tagger = earmark.Tagger.load()
    >>> tagger.tag("song.mp3").tags[0]

The names below are the public ones; importing earmark loads none of the libraries behind them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from earmark import errors
from earmark.errors import EarmarkError

if TYPE_CHECKING:
    from earmark.audio import load_audio
    from earmark.features import LogMel, log_mel
    from earmark.inference import Options
    from earmark.tagger import Tagger, Tags

__version__ = "0.1.0"

_HOME = {
    "LogMel": "features",
    "Options": "inference",
    "Tagger": "tagger",
    "Tags": "tagger",
    "load_audio": "audio",
    "log_mel": "features",
}

__all__ = [
    "EarmarkError",
    "LogMel",
    "Options",
    "Tagger",
    "Tags",
    "errors",
    "load_audio",
    "log_mel",
    "tag",
]


def tag(path: Any, *, model: str | None = None) -> Tags:
    """The tags of one file, best first; the model is loaded anew, so keep a Tagger for many.

    model : a name of `earmark models list` or a model file; the default model without one
    """
    from earmark.tagger import Tagger

    return Tagger.load(model).tag(path)


def __getattr__(name: str) -> Any:
    """Load the module behind a public name when it is first used (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'earmark' has no attribute {name!r}")
    return getattr(import_module(f"earmark.{_HOME[name]}"), name)
