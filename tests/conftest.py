"""What the tests share: real music, a clean home for caches, a short word of what hangs."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import tiny_model

from earmark.environment import VARIABLES
from earmark.privacy import keep_private
from earmark.tagger import Tagger

keep_private()  # the libraries that tests import themselves
TESTS = Path(__file__).resolve().parent
SHARED = TESTS.parents[1] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real music, labels and weights that lies beside a developer's checkout."""
    if not SHARED.is_dir():
        pytest.skip(
            "no ../shared beside this checkout: real music and weights are not in the clone"
        )
    return SHARED


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny model; no test writes to it."""
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")  # not the session: a file may have a model of its own
def tagger(model: Path) -> Tagger:
    return Tagger.load(model)


@pytest.fixture(scope="session")
def musicnn_wheel() -> Path:
    """The wheel of the musicnn package, where the environment names it."""
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
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("EARMARK_LIBRARY", str(tmp_path_factory.mktemp("library") / "own.sqlite"))


@pytest.hookimpl
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> bool | None:
    """Let a test that hangs end with the line where it did, not with the stacks of all threads.

    None leaves it to pytest-timeout, where there is no SIGALRM or it is told to do otherwise.
    """
    if settings.method != "signal" or threading.current_thread() is not threading.main_thread():
        return None

    def end(_: int, frame: FrameType | None) -> None:
        while frame is not None and not Path(frame.f_code.co_filename).is_relative_to(TESTS):
            frame = frame.f_back
        place = ""
        if frame is not None:
            place = f", and was at {Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        pytest.fail(f"it took more than {settings.timeout:g} s{place}", pytrace=False)

    def cancel() -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)

    item.cancel_timeout = cancel  # type: ignore[attr-defined]  # called by pytest-timeout
    signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, settings.timeout)
    return True
