"""The environment variables that earmark reads, with what each does.

docs/reference/environment.md is made from them. An option of a command wins over its variable.
"""

from __future__ import annotations

import os

VARIABLES = {
    "EARMARK_MODEL": "The model where none is named: a name of `earmark models list`, or a file.",
    "EARMARK_RUNTIME": "What runs models: onnxruntime (the default), openvino, or "
    "onnxruntime-cuda.",
    "EARMARK_CACHE": "The folder for models and weights; by default earmark's folder among the "
    "user's caches.",
    "EARMARK_LIBRARY": "The file of the music library; by default one in the user's data folder.",
    "EARMARK_PUBLISHED": "A folder of published weights that were fetched some other way; it is "
    "looked into before anything is fetched.",
    "EARMARK_ZOO_URL": "A mirror: weights are fetched from this address, a slash and the file's "
    "name.",
    "EARMARK_NPM_URL": "A mirror of the npm registry, from which `earmark page` fetches ONNX "
    "Runtime for browsers.",
    "EARMARK_OFFLINE": "1 forbids fetching models, and what `earmark page` needs; 0, no, false and "
    "nothing allow it.",
    "EARMARK_TOKEN": "The token that `earmark serve` asks its clients for.",
    "EARMARK_ACCEPT_ITUNES_TERMS": "1 accepts the terms of the iTunes Search API, as "
    "`--accept-terms` of `earmark data previews` does.",
}


def is_offline() -> bool:
    """Whether EARMARK_OFFLINE forbids fetching."""
    return os.environ.get("EARMARK_OFFLINE", "0").lower() not in ("", "0", "no", "false")
