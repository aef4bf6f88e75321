"""Keras on the backend that CI has, whatever the person's own keras.json says.

Imported before anything that imports Keras; subprocesses take it over.
"""

from __future__ import annotations

import os
import tempfile

os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ["KERAS_HOME"] = tempfile.mkdtemp(prefix="earmark-keras-")  # Keras writes its settings

# Keras 3.15 asks NumPy for arrays of torch tensors, which do not know NumPy 2's `copy` yet
IGNORED = "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
