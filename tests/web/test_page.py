"""The page in a real browser, used as a person uses it; every other address is refused."""

from __future__ import annotations

import base64
import csv
import json
import shutil
import subprocess

import pytest
import requests
import tiny_model
from audio_files import music, tone, write_audio
from page_visit import opened, until
from web_server import FEW, serving

from earmark import zoo
from earmark.model_file import read_card
from earmark.web.access import Access

SECONDS = 35
SHIPPED = read_card(zoo.model_path(zoo.SHIPPED))


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return tiny_model.write(path, reliability=(0.95, None) * 25)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("music") / "my song.mp3"
    return write_audio(path, music(SECONDS), codec="libmp3lame")


@pytest.fixture(scope="module")
def server(model):
    alike = [{"title": "<b>Sea</b> Song", "similarity": 0.91}]
    with serving(model, similar=lambda _: alike) as server:
        yield server


def drop(page, path):
    """Let a file go over the page, as a person's mouse does."""
    carried = page.evaluate_handle(
        """([name, content]) => {
          const bytes = Uint8Array.from(atob(content), (char) => char.charCodeAt(0));
          const carried = new DataTransfer();
          carried.items.add(new File([bytes], name));
          return carried;
        }""",
        [path.name, base64.b64encode(path.read_bytes()).decode()],
    )
    for event in ("dragenter", "dragover", "drop"):
        page.dispatch_event("body", event, {"dataTransfer": carried})


def position(page):
    return float(page.get_by_role("slider").get_attribute("aria-valuenow"))


def test_a_person_drops_a_song_plays_it_asks_about_a_tag_and_takes_the_numbers_along(
    browser, server, song, tmp_path
):
    with opened(browser, server, viewport={"width": 1280, "height": 900}) as page:
        assert page.get_by_role("heading", level=1).inner_text().startswith("What does this song")
        drop(page, song)
        page.locator("#song").wait_for()
        assert "my song.mp3" in page.title()
        assert page.locator("#song-name").inner_text() == "my song.mp3 · 0:35"
        assert page.get_by_role("heading", level=2).first.inner_text().startswith("It hears ")
        assert page.locator(".chip").count() == 50
        assert "Strongest:" in page.locator("#live").inner_text()

        # play, pause with the keyboard
        page.get_by_role("button", name="Play", exact=True).click()
        until(page, "() => document.getElementById('audio').currentTime > 0.3")
        page.get_by_role("button", name="Pause").wait_for()
        assert position(page) > 0
        page.locator("#main").focus()
        page.keyboard.press("Space")
        page.get_by_role("button", name="Play", exact=True).wait_for()

        # seek: by click, by keys
        box = page.locator("#plot").bounding_box()
        page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 150)
        sought = position(page)
        assert 0.6 * SECONDS < sought < 0.85 * SECONDS
        until(page, "(to) => Math.abs(document.getElementById('audio').currentTime - to) < 0.2",
              sought)  # fmt: skip
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowLeft")
        assert position(page) == pytest.approx(sought - 5, abs=0.2)
        page.keyboard.press("Home")
        assert position(page) == 0

        # one tag: its words, its curve, its strongest seconds
        traces = page.evaluate("document.getElementById('plot').data.length")
        chip = page.locator(".chip").first
        assert chip.locator(".meaning").inner_text()
        chip.click()
        assert chip.get_attribute("aria-expanded") == "true"
        assert "times an average song's" in page.locator("#detail-words").inner_text()
        assert page.evaluate("document.getElementById('plot').data.length") == traces + 1
        page.evaluate("document.getElementById('audio').playbackRate = 8")
        page.locator("#strongest").click()
        until(page, "() => !document.getElementById('audio').paused")
        until(page, "() => document.getElementById('audio').paused")
        page.get_by_role("button", name="What makes the model hear it").click()
        page.get_by_text("does not prove a cause").wait_for()
        assert page.evaluate("document.getElementById('plot').data.length") == traces + 2
        page.keyboard.press("Escape")
        assert page.locator("#detail").is_hidden()
        assert page.evaluate("document.activeElement.matches('.chip')")

        # similar songs: names are text, whatever they hold
        assert page.locator("#similar li .name").inner_text() == "<b>Sea</b> Song"

        # take it along
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save as JSON").click()
        waiting.value.save_as(tmp_path / "a.json")
        assert waiting.value.suggested_filename == "my song.json"
        saved = json.loads((tmp_path / "a.json").read_text())
        answer = requests.post(
            server.url + "/api/tag", files={"file": (song.name, song.read_bytes())}, timeout=60
        ).json()
        assert saved["path"] == answer["path"]
        assert saved["tags"][:10] == [
            one | {key: pytest.approx(one[key], abs=2e-4, rel=1e-3)
                   for key in ("score", "lift", "evidence")}
            for one in answer["tags"]
        ]  # fmt: skip
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save tags over time as CSV").click()
        waiting.value.save_as(tmp_path / "a.csv")
        with (tmp_path / "a.csv").open(newline="") as file:
            rows = list(csv.reader(file))
        assert rows[0][0] == "seconds"
        assert len(rows[0]) == 51
        assert len(rows) == 1 + len(saved["taggram"]["seconds"])


def test_a_drag_looks_closer_and_a_button_goes_back(browser, server, song):
    with opened(browser, server, viewport={"width": 1280, "height": 900}) as page:
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        box = page.locator("#plot").bounding_box()
        page.mouse.move(box["x"] + 400, box["y"] + 150)
        page.mouse.down()
        page.mouse.move(box["x"] + 600, box["y"] + 150, steps=5)
        page.mouse.up()
        page.get_by_role("button", name="Whole song").click()
        page.get_by_role("button", name="Whole song").wait_for(state="hidden")
        assert position(page) == 0  # a drag is no click
        knob = page.get_by_role("slider").bounding_box()
        page.mouse.move(knob["x"] + 8, knob["y"] + 40)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 60, steps=3)
        page.mouse.up()
        assert 0.3 * SECONDS < position(page) < 0.6 * SECONDS  # but the cursor comes along


def test_silence_is_called_silence_in_the_headline_and_the_next_song_what_it_is(
    browser, server, song, tmp_path
):
    silence = write_audio(tmp_path / "none.flac", 0 * music(12), codec="flac")
    hum = write_audio(tmp_path / "hum.flac", tone(50, seconds=12), codec="flac")
    with opened(browser, server) as page:
        headline, said = page.locator("#verdict"), page.locator("#live")
        for path, words, reason in (
            (silence, "This is silence.", "It is silent: its tags mean nothing."),
            (hum, "This sounds like noise or hum.", "its tags mean little."),
        ):
            page.set_input_files("#file", path)
            headline.get_by_text(words).wait_for()
            assert headline.inner_text() == words  # and no tag
            assert headline.evaluate("one => parseFloat(getComputedStyle(one).fontSize)") >= 27
            shown = page.locator("#warnings")
            assert shown.is_visible()
            assert reason in shown.inner_text()
            said.get_by_text(words).wait_for()  # and read aloud
            assert reason in said.inner_text()
            assert "Strongest" not in said.inner_text()
            assert page.locator("#similar").is_hidden()  # nothing sounds like it in a library
        page.set_input_files("#file", song)
        headline.get_by_text("It hears ").wait_for()
        assert page.locator("#warnings").is_hidden()
        until(page, "() => document.getElementById('live').textContent.includes('Strongest')")
        assert "silence" not in said.inner_text()
        assert page.locator("#similar").is_visible()


def test_a_bad_file_gets_a_sentence_and_the_next_song_is_heard(browser, server, song, tmp_path):
    (tmp_path / "letter.mp3").write_text("dear sir\n" * 50)
    other = write_audio(tmp_path / "other.mp3", music(5, seed=2), codec="libmp3lame")
    with opened(browser, server) as page:
        page.set_input_files("#file", tmp_path / "letter.mp3")
        alert = page.get_by_role("alert")
        alert.get_by_text("Cannot read letter.mp3").wait_for()
        assert page.locator("#song").is_hidden()
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        assert alert.is_hidden()

        # with keys alone: further tags come and go, and so does another song
        more = page.locator(".more").first
        more.focus()
        for is_open in ("true", "false"):
            page.keyboard.press("Enter")
            assert more.get_attribute("aria-expanded") == is_open
            assert page.locator(".is-further").first.is_visible() == (is_open == "true")
        page.route("**/api/listen", lambda _: None)  # no answer comes
        with page.expect_file_chooser() as waiting:
            page.get_by_role("button", name="More songs").focus()
            page.keyboard.press("Enter")
        waiting.value.set_files(other)
        page.get_by_role("button", name="Stop").focus()
        page.keyboard.press("Enter")
        page.get_by_role("progressbar").wait_for(state="hidden")
        assert page.evaluate("document.activeElement.id") == "main"
        assert alert.is_hidden()
        assert page.locator("#song").is_visible()
        assert page.locator("#list .row").nth(2).inner_text().startswith("other.mp3")


def test_a_folder_is_heard_song_by_song_compared_and_taken_along(browser, server, tmp_path):
    folder = tmp_path / "album"
    (folder / "second disc").mkdir(parents=True)
    names = ["1.flac", "2.flac", "second disc/10.flac"]
    for seed, name in enumerate(names):
        write_audio(folder / name, music(3 + seed, seed=seed), codec="flac")
    (folder / "cover.txt").write_text("not music")
    (folder / "broken.mp3").write_text("not music either")
    with opened(browser, server) as page:
        page.set_input_files("#folder", folder)
        row = page.locator("#list .row")
        until(page, "() => document.querySelectorAll('[data-state=heard]').length === 3")
        page.locator("[data-state=failed]").get_by_text("broken.mp3").first.wait_for()
        page.get_by_role("progressbar").wait_for(state="hidden")
        assert row.count() == 4  # cover.txt was left out
        assert page.locator("#songs-count").inner_text() == "3 heard, 1 failed"
        assert page.locator("#song").is_hidden()  # many were given: none pushes itself in front
        assert page.get_by_role("alert").is_hidden()

        # one is opened with keys
        page.get_by_role("button", name="2.flac").first.focus()
        page.keyboard.press("Enter")
        page.locator("#song-name").get_by_text("2.flac · 0:04").wait_for()
        assert page.locator(".open[aria-current]").count() == 1

        # two are compared
        for name in ("1.flac", "10.flac"):
            page.get_by_role("checkbox", name=f"Compare {name}").check()
        table = page.locator("#compare table")
        heads = table.locator("thead th").all_inner_texts()
        assert "1.flac" in heads[1]
        assert "10.flac" in heads[2]
        assert "It hears" in heads[1]
        assert "%" in table.locator("tbody td").first.inner_text()
        page.get_by_role("checkbox", name="Compare 2.flac").check()  # the first one gives way
        assert not page.get_by_role("checkbox", name="Compare 1.flac").is_checked()
        page.get_by_role("button", name="Close").click()
        assert table.is_hidden()

        # all of them are taken along
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save all songs as JSON").click()
        waiting.value.save_as(tmp_path / "all.json")
        lines = json.loads((tmp_path / "all.json").read_text())
        assert sorted(line["path"] for line in lines) == ["1.flac", "10.flac", "2.flac"]
        with page.expect_download() as waiting:
            page.get_by_role("button", name="Save all songs as CSV").click()
        waiting.value.save_as(tmp_path / "all.csv")
        with (tmp_path / "all.csv").open(newline="") as file:
            table = list(csv.DictReader(file))
        for line, cells in zip(lines, table, strict=True):
            assert cells["path"] == line["path"]
            for tag in line["tags"]:
                assert float(cells[tag["tag"]]) == tag["score"]


def test_a_server_that_is_busy_is_asked_again_unless_it_is_stopped(browser, server, song):
    said = json.dumps({"error": {"kind": "busy", "message": "the server is full"}})
    seconds = ["1"]

    def busy(route):
        if seconds:
            headers = {"Retry-After": seconds.pop()}
            route.fulfill(status=503, headers=headers, body=said)
        else:
            route.continue_()

    with opened(browser, server) as page:
        page.route("**/api/listen", busy)
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        assert not seconds
        page.get_by_role("button", name="Forget all").click()
        seconds.append("600")
        page.set_input_files("#file", song)
        page.locator(".words").get_by_text("The server is busy").wait_for()
        page.get_by_role("button", name="Stop").click()
        page.locator(".words").get_by_text("Stopped").wait_for()
        page.get_by_role("progressbar").wait_for(state="hidden")

        page.get_by_role("button", name="Forget all").click()
        page.unroute("**/api/listen")
        page.route("**/api/listen", lambda route: route.abort())
        page.set_input_files("#file", song)
        page.locator("#alert:visible").wait_for()
        silent = "The server does not answer. Is it running?"
        assert page.locator("#alert").inner_text() == silent
        assert page.locator("#list .words").inner_text() == silent


def test_dropped_folders_are_read_to_their_depth(browser, server, song):
    with opened(browser, server) as page:
        names = page.evaluate(
            """async () => {
              const { dropped } = await import("./static/files.js");
              const file = (name) => ({ isDirectory: false, name,
                file: (resolve) => resolve(new File(["x"], name)) });
              const folder = (name, ...parts) => {
                let left = parts; // a reader gives some at each call, and in the end none
                return { isDirectory: true, name, createReader: () => ({
                  readEntries: (resolve) => {
                    resolve(left.slice(0, 2));
                    left = left.slice(2);
                  } }) };
              };
              const top = folder("album", file("10.mp3"), file("2.mp3"), file("cover.jpg"),
                folder("b", file("deep.FLAC")));
              const odd = new File(["x"], "odd.xyz");
              const link = { kind: "string", webkitGetAsEntry: () => null };
              const items = [link, ...[top, file("odd.xyz")].map((entry) =>
                ({ kind: "file", webkitGetAsEntry: () => entry }))];
              const files = [new File([""], "album"), odd];
              return (await dropped({ items, files })).map((one) => one.name);
            }"""
        )
        assert names == ["2.mp3", "10.mp3", "deep.FLAC", "odd.xyz"]  # a single file is tried


def test_the_browser_remembers_what_was_heard_but_not_the_sound(browser, server, song):
    with opened(browser, server) as page:
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        said = page.locator("#verdict").inner_text()
        page.get_by_role("slider").focus()
        page.keyboard.press("ArrowRight")
        link = page.get_by_role("link", name="Link to 0:05").get_attribute("href")
        page.wait_for_function(
            """() => new Promise((resolve) => {
              const request = indexedDB.open("earmark");
              request.onsuccess = () => {
                const all = request.result.transaction("lines").objectStore("lines").count();
                all.onsuccess = () => resolve(all.result === 1);
              };
            })"""
        )
        page.route("**/api/listen", lambda route: route.abort())  # it is not asked again

        # a link to a moment, in a new tab of the same browser
        other = page.context.new_page()
        other.goto(f"{server.url}/{link}")
        other.locator("#song").wait_for()
        assert other.locator("#verdict").inner_text() == said
        assert position(other) == 5
        assert "kept what was heard, not the sound" in other.locator("#player-words").inner_text()
        assert other.get_by_role("button", name="Play", exact=True).is_disabled()
        other.set_input_files("#file", song)  # the same file brings its sound
        until(other, "() => !document.getElementById('play').disabled")
        other.get_by_role("button", name="Forget all").click()
        assert other.locator("#song").is_hidden()
        other.locator("#live").get_by_text("Forgotten").wait_for(state="attached")
        other.reload()
        other.get_by_role("alert").get_by_text("This link leads to 0:05 of my song.mp3").wait_for()
        assert other.locator("#songs").is_hidden()
        other.close()


def as_two_hours(heard):
    """What was heard, as if it had gone on for two hours, with four chapters."""
    duration, step = 7200.0, 3.6
    n = round(duration / step)
    heard["song"]["seconds"] = duration
    heard["taggram"] |= {
        "seconds": [step * cell for cell in range(n)],
        "duration": duration,
        "scores": [
            [0.1 + 0.8 * (cell // 500 == i % 4) for cell in range(n)]
            for i in range(len(heard["taggram"]["tags"]))
        ],
    }
    heard["chapters"] = [
        {"start": start, "end": start + 1800, "title": "Hip-Hop", "tags": ["Hip-Hop"]}
        for start in (0.0, 1800.0, 3605.0, 5400.0)
    ]
    return heard | {"cue": "FILE ...", "chapter_list": "0:00 ..."}


def test_a_long_recording_has_chapters_to_jump_to_and_to_take_away(
    browser, server, tmp_path, monkeypatch
):
    describe = server.service.describe
    monkeypatch.setattr(server.service, "describe", lambda *given: as_two_hours(describe(*given)))
    # a kind that Chromium cannot play, so that the position does not depend on its real length
    path = write_audio(tmp_path / "set.wv", music(3), codec="wavpack", sample_format="s16p")
    with opened(browser, server) as page:
        page.set_input_files("#file", path)
        page.locator("#song").wait_for()
        assert page.locator("#song-name").inner_text() == "set.wv · 2:00:00"
        shown = page.locator(".chapter").all_inner_texts()
        assert [text.split() for text in shown] == [
            ["0:00", "hip-hop"], ["30:00", "hip-hop"], ["1:00:05", "hip-hop"],
            ["1:30:00", "hip-hop"],
        ]  # fmt: skip
        page.get_by_text("cannot play this kind of file").wait_for()
        page.get_by_role("button", name="1:00:05").click()
        assert page.locator(".chapter[aria-current]").inner_text().startswith("1:00:05")
        for name, file, text in (
            ("Save chapters as a cue sheet", "set.cue", "FILE ..."),
            ("Save chapters as a list", "set.chapters.txt", "0:00 ..."),
        ):
            with page.expect_download() as waiting:
                page.get_by_role("button", name=name).click()
            assert waiting.value.suggested_filename == file
            waiting.value.save_as(tmp_path / file)
            assert (tmp_path / file).read_text() == text
        ticks = page.evaluate("document.getElementById('plot').layout.xaxis.ticktext")
        assert "1:00:00" in ticks


def test_below_the_path_of_a_proxy_the_page_works(browser, model, song):
    with serving(model, root_path="/earmark") as server:
        below = type(server)(f"{server.url}/earmark/", server.service)
        with opened(browser, below) as page:
            page.set_input_files("#file", song)
            page.locator("#song").wait_for()
            page.get_by_role("link", name="API").click()
            page.locator(".call").nth(6).wait_for()
            shown = page.locator(".call pre").first.inner_text()
            assert f"{server.url}/earmark/api/" in shown


def test_a_song_that_the_browser_cannot_play_is_shown_all_the_same(browser, server, tmp_path):
    path = write_audio(tmp_path / "a.wv", music(5), codec="wavpack", sample_format="s16p")
    with opened(browser, server) as page:
        page.set_input_files("#file", path)
        page.get_by_text("cannot play this kind of file").wait_for()
        page.get_by_role("slider").focus()
        page.keyboard.press("End")
        assert position(page) == pytest.approx(5, abs=0.1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_screen_shows_all_and_names_everything(browser, server, song, scheme):
    viewport = {"width": 360, "height": 740}
    with opened(browser, server, viewport=viewport, color_scheme=scheme) as page:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, paper[4:-1].split(","))) < 200) == (scheme == "dark")
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        page.locator(".chip").first.click()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        nameless = page.evaluate(
            """() => [...document.querySelectorAll("button, a, input, [role], img")].filter((one) =>
              !one.matches("[hidden] *, dialog *, svg *, .visually-hidden")
              && !(one.getAttribute("aria-label") || one.getAttribute("aria-labelledby")
                || one.textContent.trim() || one.hasAttribute("alt") || one.labels?.length
                || one.matches("[role=alert]"))
            ).map((one) => one.outerHTML.slice(0, 80))"""
        )
        assert nameless == []
        page.get_by_role("button", name="Switch between light and dark").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != paper


def test_a_token_is_asked_for_once(browser, model, song):
    access = Access(token="sesame")
    with serving(model, limits=FEW, access=access) as server, opened(browser, server) as page:
        page.set_input_files("#file", song)
        page.get_by_label("Token", exact=True).fill("sesame")
        page.get_by_role("button", name="Continue").click()
        page.locator("#song").wait_for()
        page.reload()
        page.get_by_text("tiny · 50 tags").wait_for()
        page.goto(f"{server.url}/#token=wrong")
        page.reload()
        assert "token" not in page.url


def test_the_page_of_the_api_shows_every_route(browser, server):
    with opened(browser, server) as page:
        page.get_by_role("link", name="API").click()
        page.locator(".call").nth(6).wait_for()
        shown = page.locator(".call h2 code").all_inner_texts()
        described = requests.get(server.url + "/api/openapi.json", timeout=60).json()["paths"]
        assert sorted(call.split()[1] for call in shown) == sorted(described)
        assert "curl -F file=@song.mp3" in page.locator(".call pre").first.inner_text()


def test_the_headline_leads_with_the_first_genre_and_unchecked_tags_lie_apart(
    browser, server, song
):
    with opened(browser, server) as page:
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        answer = requests.post(
            server.url + "/api/tag", files={"file": (song.name, song.read_bytes())}, timeout=60
        ).json()
        said = page.get_by_role("heading", level=2).first.inner_text()
        genre = answer["first_genre"]
        hears = genre.lower() if genre else "music, and is not sure of the genre"
        assert said.startswith(f"It hears {hears}")
        if genre:
            assert page.locator("#groups .name").first.inner_text() == hears
        tags = requests.get(server.url + "/api/models", timeout=60).json()["models"][0]["tags"]
        known = {one["tag"]: one for one in tags}
        chips = page.locator(".chip:visible")
        assert chips.count()
        for chip in chips.all():
            tag = known[chip.get_attribute("data-tag")]
            assert tag["reliability"] is not None or tag["tag"] == genre
            assert chip.locator(".meaning").inner_text() == tag["meaning"]
        strongest = page.locator("#live").inner_text().partition("Strongest: ")[2].split(", ")
        for one in strongest:  # what a screen reader says is of tags that were checked
            (said_tag,) = (tag for tag in tags if one.startswith(f"{tag['tag'].lower()} "))
            assert said_tag["reliability"] is not None
        apart = page.get_by_text("tags were never checked")
        apart.click()
        further = page.locator("details[open] .chip").first
        assert known[further.get_attribute("data-tag")]["reliability"] is None
        further.click()
        assert "never checked against labels" in page.locator("#detail-words").inner_text().lower()


def test_a_group_in_which_nothing_stands_out_is_folded_and_words_are_in_small_letters(
    browser, server, song
):
    with opened(browser, server) as page:
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        names = page.locator(".chip .name").all_text_contents()
        assert "hip-hop" in names
        assert "R&B" in names
        assert all(name == name.lower() for name in names if name != "R&B")
        folds = page.locator("summary").all_inner_texts()
        for fold in folds:
            assert fold.endswith((": nothing stands out", "tags were never checked"))
        titles = {title.lower() for title in page.locator(".group h3").all_inner_texts()}
        quiet = {fold.split(":")[0].lower() for fold in folds if ":" in fold}
        assert not titles & quiet
        assert titles | quiet <= {"genre", "mood", "era", "instrument", "voice"}
        assert len(titles | quiet) > 3


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        ("speech", "This is speech."),
        ("noise", "This sounds like noise or hum."),
        ("applause", "This is applause."),
    ],
)
def test_what_a_model_hears_beside_music_is_the_headline_and_never_a_tag(
    browser, song, tmp_path, sound, words
):
    model = tiny_model.write_hearing(tmp_path / "tiny.onnx", sound)
    with serving(model) as server, opened(browser, server) as page:
        page.get_by_text("tiny · 50 tags").wait_for()
        page.set_input_files("#file", song)
        page.locator("#song").wait_for()
        assert page.get_by_role("heading", level=2).first.inner_text() == words
        assert page.locator(".chip:visible").count() == 0  # its tags are for who asks
        page.get_by_role("button", name="Show its tags all the same").click()
        assert page.locator(".chip:visible").count() > 0
        assert page.locator(".chip").count() == 50
        assert sound not in page.locator(".chip .name").all_inner_texts()
        page.locator("#more-rows").click()
        assert page.evaluate("document.getElementById('plot').data.at(-1).y.length") == 50


@pytest.mark.skipif("speech" not in SHIPPED.tags, reason="the shipped model knows no speech")
def test_the_shipped_model_says_speech_of_speech(browser, tmp_path):
    speaker = shutil.which("espeak-ng")
    if speaker is None:
        pytest.skip("no espeak-ng here: apt install espeak-ng")
    words = "Good evening. This is the news. The weather will be fine, with rain in the north. " * 3
    subprocess.run([speaker, "-w", tmp_path / "talk.wav", words], check=True, timeout=60)
    with serving(zoo.model_path(zoo.SHIPPED)) as server, opened(browser, server) as page:
        page.set_input_files("#file", tmp_path / "talk.wav")
        page.locator("#song").wait_for()
        assert page.get_by_role("heading", level=2).first.inner_text() == "This is speech."
