"""earmark listens to music and says what it hears.

    >>> import earmark
    >>> tagger = earmark.Tagger.load()
    >>> heard = tagger.tag("song.mp3")
    >>> heard.tags[0].name, heard["jazz"].score

The names in `__all__` are the public ones. Importing earmark loads none of the libraries behind
them; each name loads what it needs when it is first used (PEP 562).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from earmark import errors
from earmark.errors import EarmarkError
from earmark.lazy_names import lazy_names

if TYPE_CHECKING:
    from earmark.audio import Audio, load_audio
    from earmark.audio.given import AudioSource
    from earmark.audio.stated import CutShort
    from earmark.features import LogMel, log_mel
    from earmark.inference import Listening, Options
    from earmark.model_file import Calibration, Card
    from earmark.remote import Address
    from earmark.results import Embedding, Failure, Tag, Tags
    from earmark.signal_check import Doubt
    from earmark.tagger import Tagger
    from earmark.taggrams import Taggram, taggram
    from earmark.zoo import pull

__version__ = "0.1.0"

__all__ = [
    "Address",
    "Audio",
    "Calibration",
    "Card",
    "CutShort",
    "Doubt",
    "EarmarkError",
    "Embedding",
    "Failure",
    "Listening",
    "LogMel",
    "Options",
    "Tag",
    "Tagger",
    "Taggram",
    "Tags",
    "errors",
    "load_audio",
    "log_mel",
    "pull",
    "tag",
    "taggram",
]

# The module that each of the other names comes from. None may be called as a name itself is: that
# module, once imported, would take the name's place in this package.
_MODULES = {
    "Address": "remote",
    "Audio": "audio",
    "Calibration": "model_file",
    "Card": "model_file",
    "CutShort": "audio.stated",
    "Doubt": "signal_check",
    "Embedding": "results",
    "Failure": "results",
    "Listening": "inference",
    "LogMel": "features",
    "Options": "inference",
    "Tag": "results",
    "Taggram": "taggrams",
    "Tagger": "tagger",
    "Tags": "results",
    "load_audio": "audio",
    "log_mel": "features",
    "pull": "zoo",
    "taggram": "taggrams",
}


def tag(
    source: AudioSource, *, rate: int | None = None, model: str | os.PathLike[str] | None = None
) -> Tags:
    """The tags of one track, best first.

    It loads the model each time; for many files keep a Tagger.

    source, rate : as of Tagger.tag: a file, its bytes, an open file, or samples at `rate` Hz
    model : a name of `earmark models list` or a model file; the default model without one

    Raises UnreadableAudio, ModelNotFound and BadModel.
    """
    from earmark.tagger import Tagger

    return Tagger.load(model).tag(source, rate=rate)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])


if not TYPE_CHECKING:  # else a type checker would take any name for one of ours
    __getattr__ = lazy_names(__name__, _MODULES)
