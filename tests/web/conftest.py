"""What the tests of the server share."""

from __future__ import annotations

import pytest
from audio_files import music, write_audio


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Three seconds of music, as an upload."""
    path = tmp_path_factory.mktemp("music") / "song.mp3"
    return write_audio(path, music(3), codec="libmp3lame").read_bytes()


@pytest.fixture(scope="module")
def browser():
    from page_visit import ARGUMENTS, CHROMIUM, sync_api

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()
