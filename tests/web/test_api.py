"""The JSON API, over a real socket: what a program that tags songs meets."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
import requests
import tiny_model
from audio_files import music, write_audio
from hypothesis import given, settings
from hypothesis import strategies as st
from web_server import serving

from earmark import taggrams
from earmark.inference import Options
from earmark.web import schemas

SECONDS = 40  # more than a window


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    return tiny_model.write(path, reliability=(0.9, None) * 25)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    path = tmp_path_factory.mktemp("music") / "song.flac"
    return write_audio(path, music(SECONDS), codec="flac")


@pytest.fixture(scope="module")
def server(model):
    def similar(embedding):
        assert embedding.shape == (5,)
        return [{"title": "another song", "similarity": 0.87}]

    with serving(model, similar=similar) as server:
        yield server


def post(server, route, *paths, field="file", **query):
    files = [(field, (path.name, path.read_bytes())) for path in paths]
    return requests.post(server.url + route, files=files, params=query, timeout=60)


def assert_same(answered, expected):
    """The same line, but for the last digit that the batch a window goes through in may turn."""
    assert answered.keys() == expected.keys()
    for key in answered.keys() - {"tags", "path"}:
        assert answered[key] == expected[key]
    for mine, theirs in zip(answered["tags"], expected["tags"], strict=True):
        assert mine.keys() == theirs.keys()
        assert (mine["tag"], mine["group"]) == (theirs["tag"], theirs["group"])
        for key in ("score", "lift", "evidence"):
            assert mine[key] == pytest.approx(theirs[key], abs=2e-5, rel=1e-3)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"top": 3, "rank": "lift"},
        {"center": "true", "rank": "evidence", "top": 50},
        {"max_seconds": 5},
        {"vocabulary": "msd50"},
    ],
)
def test_a_song_gets_the_line_that_the_command_prints(server, tagger, song, query):
    response = post(server, "/api/tag", song, **query)
    assert response.status_code == 200
    schemas.TaggedSongSchema.model_validate(response.json())
    options = Options(
        rank=query.get("rank"),
        vocabulary=query.get("vocabulary", "all"),
        center="center" in query,
        max_seconds=query.get("max_seconds"),
    )
    expected = tagger.tag(song, options=options).as_json(top=query.get("top", 10))
    assert response.json()["path"] == "song.flac"
    assert_same(response.json(), expected)


def test_a_batch_has_a_line_for_each_file_and_a_bad_one_fails_alone(server, song, tmp_path):
    (tmp_path / "notes.txt").write_text("not music")
    (tmp_path / "empty.mp3").touch()
    sent = [song, tmp_path / "notes.txt", song, tmp_path / "empty.mp3"]
    response = post(server, "/api/tag/batch", *sent, field="files", top=1)
    assert response.status_code == 200
    schemas.BatchSchema.model_validate(response.json())
    lines = response.json()["results"]
    assert [line["path"] for line in lines] == [path.name for path in sent]
    assert ["tags" in line for line in lines] == [True, False, True, False]
    assert lines[1]["error"]["kind"] == "unreadable_audio"
    assert "empty" in lines[3]["error"]["message"]


def test_damage_that_was_passed_over_is_told(server, tagger, tmp_path):
    path = write_audio(tmp_path / "torn.mp3", music(5), codec="libmp3lame")
    content = path.read_bytes()
    path.write_bytes(content[:20_000] + b"\xff\xfb\x90\x64" + bytes(3_000) + content[23_000:])
    expected = tagger.tag(path).as_json()
    answered = post(server, "/api/tag", path).json()
    assert expected.get("damaged_packets", 0) > 0
    assert answered["damaged_packets"] == expected["damaged_packets"]


def test_listening_tells_how_far_it_is_and_then_all_that_the_page_shows(server, tagger, song):
    response = post(server, "/api/listen", song)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/x-ndjson"
    *progress, last = map(json.loads, response.text.splitlines())
    done = [line["done"] for line in progress]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == 1

    result = last["result"]
    assert_same(result["song"], tagger.tag(song).as_json())
    gram = taggrams.taggram(tagger, song)
    np.testing.assert_allclose(result["taggram"]["scores"], gram.scores.T, atol=1e-3)
    np.testing.assert_allclose(result["taggram"]["seconds"], gram.seconds, atol=1e-3)
    assert result["taggram"]["duration"] == pytest.approx(SECONDS, abs=0.1)
    rows = list(csv.reader(io.StringIO(result["csv"])))
    assert rows[0] == ["seconds", *gram.tags]
    assert len(rows) == 1 + len(gram.seconds)
    low, high = (np.array(result["waveform"][end]) for end in ("low", "high"))
    assert (low <= high).all()
    assert max(high.max(), -low.min()) == 1000
    bands, columns = map(int, result["spectrogram"]["z"]["shape"].split(","))
    assert bands == len(result["spectrogram"]["hz"]) == 96
    assert 1000 < columns <= 1600
    assert result["similar"] == [{"title": "another song", "similarity": 0.87}]


def test_without_a_library_nothing_is_similar(model, song):
    with serving(model) as server:
        last = post(server, "/api/listen", song).text.splitlines()[-1]
    assert json.loads(last)["result"]["similar"] is None


def test_sensitivity_is_told_for_every_tag_in_one_window(server, song):
    response = post(server, "/api/sensitivity", song, start=10)
    assert response.status_code == 200
    told = schemas.SensitivitySchema.model_validate(response.json())
    assert told.times[0] == 10
    assert told.times[-1] == pytest.approx(39.1, abs=0.1)
    assert np.shape(told.falls) == (50, 8, 12)
    late = post(server, "/api/sensitivity", song, start=100)
    assert late.status_code == 422
    assert "100" in late.json()["error"]["message"]


def test_the_model_says_what_its_tags_are_worth(server):
    (model,) = schemas.ModelsSchema.model_validate(get(server, "/api/models").json()).models
    assert model.name == "tiny"
    assert len(model.sha256) == 64
    assert not model.calibrated
    by_tag = {tag.tag: tag for tag in model.tags}
    assert by_tag["rock"].group == "genre"
    assert by_tag["rock"].reliability == 0.9
    assert by_tag["pop"].reliability is None
    assert by_tag["rock"].prior == pytest.approx(0.163, abs=0.001)


def get(server, route, **headers):
    return requests.get(server.url + route, headers=headers, timeout=60)


def test_health_and_metrics_tell_what_was_done(server, song):
    before = _metric(server, "earmark_audio_seconds_total")
    post(server, "/api/tag", song)
    schemas.HealthSchema.model_validate(get(server, "/api/health").json())
    assert _metric(server, "earmark_audio_seconds_total") == pytest.approx(before + SECONDS, abs=1)
    assert _metric(server, "earmark_requests_under_way") == 0
    assert _metric(server, 'earmark_requests_total{route="/api/tag",status="200"}') >= 1
    assert _metric(server, "earmark_batch_windows_count") > 0
    get(server, "/no/such/" + "place" * 20)
    assert _metric(server, 'earmark_requests_total{route="other",status="404"}') >= 1


def _metric(server, name):
    for line in get(server, "/metrics").text.splitlines():
        if line.startswith(name):
            return float(line.rsplit(" ", 1)[1])
    raise AssertionError(f"no metric {name}")


def test_every_answer_has_its_id_and_the_strict_headers(server):
    for route in ("/", "/docs", "/api/health", "/static/main.js", "/none"):
        headers = get(server, route, **{"X-Request-ID": "my.own-1"}).headers
        assert headers["X-Request-ID"] == "my.own-1"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert not any(name.lower().startswith("access-control") for name in headers)
    odd = get(server, "/api/health", **{"X-Request-ID": 'x" {forged}'}).headers["X-Request-ID"]
    assert odd.isalnum()


def test_a_monitor_that_asks_for_the_head_only_gets_it(server):
    for route in ("/", "/docs", "/static/page.css", "/api/health", "/metrics"):
        response = requests.head(server.url + route, timeout=60)
        assert response.status_code == 200
        assert int(response.headers["Content-Length"]) > 0
        assert not response.content
    assert _metric(server, 'earmark_requests_total{route="/api/health",status="200"}') >= 1


def test_the_description_names_every_route_and_every_option(server):
    description = get(server, "/api/openapi.json").json()
    assert set(description["paths"]) == {
        "/api/tag", "/api/tag/batch", "/api/listen", "/api/embedding", "/api/sensitivity",
        "/api/models", "/api/health", "/metrics",
    }  # fmt: skip
    options = {one["name"] for one in description["paths"]["/api/tag"]["post"]["parameters"]}
    assert options == {"top", "rank", "vocabulary", "center", "max_seconds"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"top": 0}, "top"),
        ({"rank": "best"}, "evidence"),
        ({"max_seconds": "nan"}, "max_seconds"),
        ({"max_seconds": -1}, "max_seconds"),
        ({"max_seconds": 1e-300}, "max_seconds"),
        ({"center": "perhaps"}, "center"),
    ],
)
def test_an_impossible_option_is_answered_with_what_is_right(server, song, query, said):
    response = post(server, "/api/tag", song, **query)
    assert response.status_code == 422
    assert said in response.json()["error"]["message"]


def test_an_embedding_is_that_of_the_library(server, tagger, song):
    for query, options in (
        ({}, Options()),
        ({"center": "true"}, Options(center=True)),
        ({"max_seconds": 5}, Options(max_seconds=5)),
    ):
        answer = post(server, "/api/embedding", song, **query).json()
        schemas.EmbeddingSchema.model_validate(answer)
        expected = tagger.embed(song, options=options)
        np.testing.assert_allclose(answer["embedding"], expected, rtol=1e-3, atol=1e-4)
        assert answer["path"] == "song.flac"
        assert answer["sha256"] == get(server, "/api/models").json()["models"][0]["sha256"]


def test_an_answer_without_numbers_is_the_fault_of_the_model(server, song, monkeypatch):
    model = server.service.tagger.model._model
    run = model.run

    def broken(mels):
        logits, embeddings = run(mels)
        logits[:, 3] = np.nan
        return logits, embeddings

    monkeypatch.setattr(model, "run", broken)
    for route in ("/api/tag", "/api/listen", "/api/embedding"):
        response = post(server, route, song)
        last = json.loads(response.text.splitlines()[-1])
        assert last["error"]["kind"] == "bad_model"
        assert "NaN" in last["error"]["message"]
        assert response.status_code == 500 or route == "/api/listen"  # it had begun
    monkeypatch.undo()
    assert post(server, "/api/tag", song).status_code == 200


def test_wrong_routes_and_methods_are_answered_in_json(server):
    assert get(server, "/api/sing").status_code == 404
    wrong = get(server, "/api/tag")
    assert wrong.status_code == 405
    assert wrong.json()["error"]["kind"] == "method_not_allowed"


@pytest.mark.parametrize("route", ["/api/tag", "/api/listen"])
def test_a_bug_is_answered_with_the_id_that_the_log_has(server, song, route, monkeypatch, caplog):
    caplog.set_level("ERROR", "earmark.web")
    for name in ("tag", "describe"):
        monkeypatch.setattr(server.service, name, lambda *_: 1 / 0)
    response = post(server, route, song)
    assert response.status_code == 500
    assert response.headers["X-Request-ID"] in response.json()["error"]["message"]
    assert "Content-Security-Policy" in response.headers
    assert "ZeroDivisionError" in caplog.text
    monkeypatch.undo()
    assert post(server, route, song).status_code == 200


@settings(max_examples=25, deadline=None)
@given(
    name=st.text(max_size=300),
    path=st.sampled_from(["/api/tag", "/api/listen", "/api/sensitivity", "/api/tag/batch"]),
    field=st.sampled_from(["file", "files", "x"]),
    content=st.binary(max_size=400),
    query=st.dictionaries(
        st.sampled_from(["top", "rank", "center", "max_seconds", "start"]), st.text(max_size=8)
    ),
)
def test_whatever_is_sent_is_answered_and_never_with_500(server, name, path, field, content, query):
    # by hand, for clients mend or refuse the odd names that a hostile one sends
    quoted = name.replace('"', "%22").replace("\r", "").replace("\n", "")
    head = f'--edge\r\nContent-Disposition: form-data; name="{field}"; filename="{quoted}"\r\n\r\n'
    response = requests.post(
        server.url + path,
        data=head.encode(errors="replace") + content + b"\r\n--edge--\r\n",
        headers={"Content-Type": "multipart/form-data; boundary=edge"},
        params=query,
        timeout=60,
    )
    assert response.status_code in (200, 400, 422)
    if response.status_code == 200:
        assert path == "/api/tag/batch"
        assert "error" in response.json()["results"][0]
    else:
        assert response.json()["error"]["message"]


def test_a_codec_that_has_a_number_for_a_name_is_decoded(server, tmp_path):
    path = write_audio(tmp_path / "song.avi", music(3), codec="aac")
    heard = post(server, "/api/tag", path)
    assert heard.status_code == 200
    assert heard.json()["seconds"] == pytest.approx(3, abs=0.1)


def test_a_song_that_ends_too_early_says_so(server, song, tmp_path):
    half = tmp_path / "half.flac"
    half.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
    [warning] = post(server, "/api/tag", half).json()["warnings"]
    assert warning["kind"] == "cut_short"
    assert warning["message"].endswith(" of 0:40")
