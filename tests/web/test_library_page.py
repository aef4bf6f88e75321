"""The page of a library in a real browser, used as a person uses it, by mouse and by keys alone."""

from __future__ import annotations

import csv
import hashlib
import io
import os

import numpy as np
import pytest
import tiny_model
from music_folder import write_song
from page_visit import opened, until
from web_server import serving

from earmark.features import PRESETS
from earmark.library.database import Library
from earmark.library.song import ScannedFile
from earmark.model_file import Card
from earmark.web.access import Access
from earmark.web.shelf import Shelf

TAGS = ("jazz", "rock", "calm", "drum and bass", "happy")
CARD = Card("known", TAGS, PRESETS["choi2016"], (0.1,) * 5, source="a test", licence="MIT")
SONGS = {  # title -> scores, where it lies between jazz and rock
    "Blue": ((0.9, 0, 0.8), 0.0), "Green": ((0.8, 0.1), 0.3), "Grey": ((0.1, 0.7), 0.7),
    "Red": ((0, 0.9, 0, 0.9), 1.0),
}  # fmt: skip


@pytest.fixture
def shelf(tmp_path):
    with Library.open(tmp_path / "library.sqlite", make=True) as library:
        model = library.add_model("0" * 64, CARD)
        for number, (title, (scores, place)) in enumerate(SONGS.items()):
            suffix = ".m4a" if title == "Green" else ".flac"
            path = write_song(tmp_path / f"{title}{suffix}", pitch=220 + 60 * number, seconds=2)
            if title == "Green":  # a format that no browser plays, by its name and its content
                path = path.rename(path.with_suffix(".aiff"))
                write_song(tmp_path / "Green.wav", pitch=300, seconds=2).replace(path)
            row = np.zeros(len(TAGS), dtype=np.float32)
            row[: len(scores)] = scores
            song = ScannedFile(
                path, 1, 1, hashlib.sha256(os.fsencode(path)).digest(), 2.0, artist="<b>Ann</b>",
                title=title, scores=row, warnings=(),
            )  # fmt: skip
            vector = np.array([1 - place, place, 0.1], dtype=np.float32)
            library.put(model, song, embedding=vector)
    with Shelf(tmp_path / "library.sqlite") as shelf:
        yield shelf


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def page(browser, model, shelf):
    with serving(model, shelf=shelf) as server, visit(browser, server) as page:
        yield page


def visit(browser, server, **context):
    """The page of the library; nothing may go wrong on it, and nobody else be asked."""
    return opened(browser, server, "/library", **context)


def titles(page):
    return page.locator("#songs .open b").all_inner_texts()


def shows(page, *wanted):
    until(
        page,
        "(wanted) => [...document.querySelectorAll('#songs .open b')]"
        ".map((one) => one.textContent).join() === wanted && !document.body.ariaBusy",
        ",".join(wanted),
    )


def test_a_person_searches_with_counts_that_follow_and_takes_a_playlist_along(page, tmp_path):
    shows(page, "Blue", "Green", "Grey", "Red")
    assert page.locator("#size").inner_text().startswith("4 songs")
    assert "<b>Ann</b>" in page.locator(".words").first.inner_text()  # as a text
    rock = page.locator(".facet", has_text="rock")
    assert rock.inner_text() == "rock 2"
    rock.click()
    shows(page, "Red", "Grey")
    assert page.locator(".facet", has_text="drum and bass").inner_text() == "drum and bass 1"
    assert page.locator(".facet[aria-pressed=true]").inner_text() == "rock 2"
    page.fill("#words", "gre")
    shows(page, "Grey")
    with page.expect_download() as download:
        page.click("#save")
    listed = download.value.path().read_text().splitlines()
    assert listed[2:] == [str(tmp_path / "Grey.flac")]
    page.reload()
    shows(page, "Grey")  # the search is in the address
    page.fill("#words", "")
    page.fill("#expression", "rock and (")
    page.locator("#alert:visible").wait_for()
    assert "rock and (" in page.locator("#alert").inner_text()
    page.fill("#expression", "not rock")
    shows(page, "Blue", "Green")
    assert page.locator("#alert").is_hidden()


def test_a_list_plays_on_also_where_the_browser_needs_another_format(page):
    shows(page, "Blue", "Green", "Grey", "Red")
    page.get_by_role("button", name="Play Blue").click()
    for title in ("Green", "Grey"):  # by themselves; Green is AIFF and comes as Opus
        until(page, "(title) => document.querySelector('#playing').textContent === title", title)
        until(page, "() => document.querySelector('#audio').currentTime > 0.2")
    assert page.locator("#songs [aria-current] .open b").inner_text() == "Grey"
    assert page.locator("#alert").is_hidden()
    page.locator("#main").focus()
    page.keyboard.press("Space")
    until(page, "() => document.querySelector('#play').ariaLabel === 'Play'")
    assert page.evaluate("document.querySelector('#audio').paused")
    page.locator("#previous").click()
    until(page, "() => document.querySelector('#playing').textContent === 'Green'")


def test_keys_in_the_list_of_tags_choose_a_tag_and_leave_the_song_that_plays(page):
    shows(page, "Blue", "Green", "Grey", "Red")
    page.get_by_role("button", name="Play Blue").click()
    until(page, "() => document.querySelector('#play').ariaLabel === 'Pause'")
    page.locator("#play").click()
    page.evaluate("document.querySelector('#audio').currentTime = 0")
    page.locator(".open", has_text="Blue").click()
    page.locator("#add-tag").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.querySelector('#add-tag').value") == "calm"
    assert page.evaluate("document.querySelector('#audio').currentTime") == 0


def test_a_server_that_has_gone_is_told_of_by_each_button(page):
    shows(page, "Blue", "Green", "Grey", "Red")
    page.route("**/api/library/**", lambda route: route.abort())
    for button in ("#save", "#corrections"):
        page.evaluate("document.querySelector('#alert').hidden = true")
        page.click(button)
        page.locator("#alert:visible").wait_for()
        said = page.locator("#alert").inner_text()
        assert said == "The server does not answer. Is it running?"


def test_similar_songs_and_a_journey_are_lists_and_going_back_works(page):
    shows(page, "Blue", "Green", "Grey", "Red")
    page.locator(".open", has_text="Blue").click()
    page.get_by_role("button", name="Songs like this").click()
    shows(page, "Green", "Grey", "Red")
    assert page.locator("#list-title").inner_text() == "Sounds like Blue"
    assert page.locator(".alike").first.inner_text().endswith("% alike")
    page.locator(".open", has_text="Red").click()
    page.get_by_role("button", name="Journey from here").click()
    page.go_back()
    shows(page, "Blue", "Green", "Grey", "Red")
    page.locator(".open", has_text="Blue").click()
    page.get_by_role("button", name="Journey to here").click()
    shows(page, "Red", "Grey", "Green", "Blue")
    assert page.locator("#list-title").inner_text() == "From Red to Blue"
    page.click("#back")
    shows(page, "Blue", "Green", "Grey", "Red")


def test_a_tag_is_corrected_with_keys_alone_and_is_remembered(page, shelf):
    shows(page, "Blue", "Green", "Grey", "Red")
    page.locator(".open", has_text="Grey").focus()
    page.keyboard.press("Enter")
    page.locator(".about").wait_for()
    page.locator("#add-tag").focus()
    page.keyboard.type("jazz")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator(".is-said", has_text="jazz").wait_for()
    until(page, "() => document.querySelector('.facet[data-tag=jazz] b').textContent === '3'")
    no = page.get_by_role("button", name="No: jazz")
    no.focus()
    page.keyboard.press("Enter")
    page.locator(".is-said", has_text="you: no").wait_for()
    until(page, "() => document.activeElement.dataset.does === 'No jazz'")  # the focus stays
    assert no.get_attribute("aria-pressed") == "true"
    page.get_by_role("button", name="Yes: jazz").click()
    page.locator(".is-said", has_text="you: yes").wait_for()
    with page.expect_download() as download:
        page.click("#corrections")
    (row,) = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert row["tags"] == "jazz|rock"
    page.fill("#expression", "jazz")
    shows(page, "Grey", "Blue", "Green")
    with Library.open(shelf.path) as library:
        assert library.rows("SELECT tag, holds FROM corrections") == [("jazz", 1)]


def test_on_a_phone_nothing_is_cut_off_and_a_token_is_asked_for(browser, model, shelf):
    with (
        serving(model, shelf=shelf, access=Access("secret")) as server,
        visit(browser, server, viewport={"width": 360, "height": 740}) as page,
    ):
        page.fill("#token", "secret")
        page.keyboard.press("Enter")
        shows(page, "Blue", "Green", "Grey", "Red")
        page.locator(".open", has_text="Blue").click()
        page.locator(".about").wait_for()
        page.get_by_role("button", name="Play Blue").click()
        until(page, "() => document.querySelector('#audio').currentTime > 0.1")
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        nameless = page.evaluate(
            "[...document.querySelectorAll('button, input, select, a')].filter((one) =>"
            "!(one.ariaLabel || one.textContent.trim() || one.labels?.length)).length"
        )
        assert nameless == 0


def test_the_page_of_the_api_shows_how_a_tag_is_corrected(browser, model, shelf):
    with serving(model, shelf=shelf) as server, opened(browser, server, "/docs") as page:
        call = page.locator(".call", has_text="POST /api/library/songs/{number}/corrections")
        assert call.locator("pre").inner_text() == (
            """curl -H 'Content-Type: application/json' -d '{"tag": ..., "holds": ...}' """
            f"{server.url}/api/library/songs/NUMBER/corrections"
        )
        for table in call.locator("table").all():
            columns = table.get_by_role("columnheader").count()
            rows = table.get_by_role("rowheader").count()
            assert columns == 3
            assert table.get_by_role("cell").count() == rows * (columns - 1) > 0
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.hash") == "#main"
