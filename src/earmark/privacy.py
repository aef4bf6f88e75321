"""Settings that keep other libraries from reporting usage and from writing to the home folder.

Call `keep_private` beside each import of onnxruntime, openvino, ray, matplotlib or keras; each of
them reads its setting while it is imported. Processes that are started later inherit what is set.
docs/reference/privacy.md says what each library does without it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from earmark.files import cache_folder

REPORTS_OFF = {  # variable: the value that turns a library's reports off
    "ORT_DISABLE_TELEMETRY": "1",  # a device id, a queue of events, a look-up of its collector
    "RAY_USAGE_STATS_ENABLED": "0",
}
_FOLDERS = {"MPLCONFIGDIR": "matplotlib", "KERAS_HOME": "keras"}


def keep_private() -> None:
    """Set what keeps these libraries quiet; whatever the user has chosen stays.

    matplotlib and Keras write a list of fonts and a file of settings as soon as they load. Where
    the user has no such folder of theirs, they keep them in earmark's cache folder.
    """
    for name, value in REPORTS_OFF.items():
        os.environ.setdefault(name, value)
    for name, library in _FOLDERS.items():
        if name not in os.environ and not _has_folder(library):
            os.environ[name] = str(cache_folder() / library)
    # OpenVINO has no setting; without this package it goes to a stub that reports nothing
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]


def _has_folder(library: str) -> bool:
    import platformdirs

    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises where there is none
    places = (
        home / f".{library}",
        platformdirs.user_config_path(library, appauthor=False),
        platformdirs.user_cache_path(library, appauthor=False),
    )
    return any(place.exists() for place in places)
