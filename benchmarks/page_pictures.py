"""The pictures of the pages in docs/pictures, of songs that this script makes.

    python -m benchmarks.page_pictures [--model earmark] [-o docs/pictures]

Needs Chromium and, for the letters of the pictures, the font Inter (Debian: fonts-inter).
"""

from __future__ import annotations

import argparse
import io
import shutil
import tempfile
from pathlib import Path

import mutagen
import numpy as np
from examples.make_music import make_song, write
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.serving import start
from earmark.library import Library, scan_folders
from earmark.tagger import Tagger

COLOURS = 256  # of a picture: a third of the bytes, and no eye sees it
SPREAD = Image.Quantize.MAXCOVERAGE  # so that a colour that is rare stays
SIZES = {
    "empty": ("light", 1280, 760),
    "page": ("light", 1280, 1240),
    "dark": ("dark", 1280, 1240),
    "narrow": ("light", 390, 844),
}
TITLES = (
    "Harbour Lights", "Paper Boats", "Slow Morning", "Copper Wire", "The Long Field", "Night Bus",
    "Kites over Town", "Winter Road", "Small Hours", "Tin Roof", "Low Tide", "Old Maps",
)  # fmt: skip
ARTISTS = ("Mara Lindqvist", "The Ferrymen", "Ada Okoye", "Juno Park")


def make_medley(path: Path) -> None:
    """Three songs, one after the other, the middle one soft."""
    parts = [level * make_song(14, seed=seed) for seed, level in ((7, 1.0), (3, 0.15), (11, 0.9))]
    write(path, np.concatenate(parts, axis=1))


def shoot(browser: Browser, url: str, song: Path, name: str) -> Image.Image:
    scheme, width, height = SIZES[name]
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(url)
    page.locator("#hero i").last.wait_for()
    if name != "empty":
        page.set_input_files("#file", song)
        page.locator("#song").wait_for(timeout=120_000)
        if name == "page":
            page.locator(".chip").first.click()
            page.locator("#sensitivity").click()
            page.get_by_text("does not prove a cause").wait_for(timeout=120_000)
        seek(page)
    page.evaluate("() => document.fonts.ready.then(() => scrollTo(0, 0))")
    shot = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, SPREAD, kmeans=4)


def make_library(folder: Path, model: str) -> Path:
    """A scanned library of a dozen songs."""
    for number, title in enumerate(TITLES):
        artist = ARTISTS[number % len(ARTISTS)]
        path = folder / artist / f"{title}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, make_song(14, seed=3 * number + 1))
        tags = mutagen.File(path, easy=True)
        tags.update({"artist": artist, "title": title, "album": "First Light"})
        tags.save()
    with Library.open(folder / "library.sqlite", make=True) as library:
        scan_folders(library, [folder], tagger=Tagger.load(model))
    return folder / "library.sqlite"


def shoot_library(browser: Browser, url: str) -> Image.Image:
    """A search, a song that is open with a correction, and one that plays."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 1010}, color_scheme="light", reduced_motion="reduce"
    )
    page = context.new_page()
    page.goto(f"{url}/library")
    page.locator(".facet", has_text="electronic").click()
    page.locator(".facet[aria-pressed=true]").wait_for()
    page.locator(".lib-row .open").nth(1).click()
    page.locator(".say").first.click()
    page.locator(".is-said").wait_for()
    page.locator(".path").evaluate("(one) => { one.hidden = true; }")  # of a temporary folder
    page.locator(".play-row").first.click()
    page.wait_for_timeout(2500)
    page.locator("#play").click()
    page.evaluate("document.activeElement.blur()")
    page.evaluate("() => document.fonts.ready.then(() => scrollTo(0, 0))")
    shot = page.screenshot()
    context.close()
    return Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, SPREAD, kmeans=4)


def seek(page: Page) -> None:
    page.get_by_role("slider").focus()
    for _ in range(2):
        page.keyboard.press("ArrowRight")
    page.evaluate("document.activeElement.blur()")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="earmark")
    parser.add_argument("--output", "-o", type=Path, default=Path("docs/pictures"))
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        library = make_library(Path(folder) / "music", arguments.model)
        server, url = start(arguments.model, "--library", str(library))
        try:
            song = Path(folder) / "medley.mp3"
            make_medley(song)
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox"]
            )
            for name in SIZES:
                picture = shoot(browser, url, song, name)
                picture.save(arguments.output / f"{name}.png", optimize=True)
            picture = shoot_library(browser, url)
            picture.save(arguments.output / "library.png", optimize=True)
            browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
