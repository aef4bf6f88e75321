"""What the tests share: where real music lies, and a clean home for caches."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real music, labels and weights that lies beside a developer's checkout."""
    if not SHARED.is_dir():
        pytest.skip(
            "no ../shared beside this checkout: real music and weights are not in the clone"
        )
    return SHARED


@pytest.fixture(scope="session")
def musicnn_wheel() -> Path:
    """The wheel of the musicnn package, where somebody has fetched it and says where."""
    wheel = os.environ.get("EARMARK_TEST_MUSICNN_WHEEL")
    if not wheel:
        pytest.skip(
            "no musicnn wheel: run `pip download --no-deps musicnn==0.1.0` and name the file in "
            "EARMARK_TEST_MUSICNN_WHEEL"
        )
    return Path(wheel)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees or changes the models and the library of the person who runs it."""
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path_factory.mktemp("library") / "own.sqlite"))
    for name in ("MODEL", "RUNTIME", "OFFLINE", "PUBLISHED", "TOKEN", "ZOO_URL"):
        monkeypatch.delenv(f"EARMARK_{name}", raising=False)
