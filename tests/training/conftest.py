"""What the tests of training share."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_store import write_tiny_store


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 64 clips; no test writes to it."""
    return write_tiny_store(tmp_path_factory.mktemp("store") / "store", n=64)
