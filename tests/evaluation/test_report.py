"""The report: one page that needs nothing else, with every name as it is written."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser

import evaluation_data as made
import numpy as np
import pytest

from earmark.errors import UnreadableAudio
from earmark.evaluation.compare import compare_scores
from earmark.evaluation.measures import measure
from earmark.evaluation.report import page, write_report
from earmark.evaluation.scores import UnscoredSong

STRANGE = "<script>alert(1)</script> $x$ 音楽"


class Page(HTMLParser):
    """What a browser would see: elements, attributes and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.addresses, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href", "data")]

    def handle_data(self, data):
        self.words.append(data.strip())


@pytest.fixture(scope="module")
def example():
    scored = made.scored(
        tags=("rock", STRANGE, "sad"),
        only_data=("<b>gloomy",),
        failures=(UnscoredSong("f", "a<b>.wav", UnreadableAudio("a<b>.wav", "it is <text>")),),
    )
    return measure(scored, generator=np.random.default_rng(0), n=10), scored


@pytest.fixture(scope="module")
def text(example):
    result, scored = example
    return page(result, [scored])


@pytest.fixture(scope="module")
def read(text):
    return Page(text)


def test_a_page_holds_all_its_pictures_and_no_outside_address(text, read):
    assert len(read.addresses) == read.tags.count("img") == 12  # curves, calibration, ten mistakes
    for address in read.addresses:
        kind, data = address.split(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data).startswith(b"\x89PNG")
    assert "://" not in text
    assert "default-src 'none'" in text
    assert {"script", "link", "iframe"}.isdisjoint(read.tags)


def test_tags_with_few_songs_are_grey_at_the_end_and_said_to_be_so(example):
    assert "class=few" not in page(example[0], [example[1]])
    scored = made.scored(150)
    scored.labels[3:, 0] = False
    result = measure(scored, generator=np.random.default_rng(0), n=10)
    rows = page(result, [scored]).split("<tr")
    grey = [place for place, row in enumerate(rows) if row.startswith(" class=few>")]
    assert len(grey) == 1
    assert "<td>rock</td><td>1</td>" in rows[grey[0]]
    assert "</table>" in rows[grey[0]]  # the last of its table
    assert "Grey: 1 of 3 tags have fewer than 20 songs with or without them" in rows[grey[0]]
    difference = compare_scores(scored, scored, seed=0, n=5)
    both = {"a": result, "b": result, "difference": difference, "seed": 0, "commit": "x"}
    assert page(both, [scored, scored]).count("<tr class=few><td>rock</td>") == 3


def test_names_are_words_and_never_markup(read):
    assert STRANGE in read.words
    assert any(word.startswith("song-") and word.endswith("<i>") for word in read.words)
    assert {"i", "script"}.isdisjoint(read.tags)
    assert any("<b>gloomy" in word for word in read.words)
    assert "a<b>.wav" in read.words


def test_every_tag_stands_with_its_number_and_a_bar(example, read):
    for row in example[0]["per_tag"]:
        place = read.words.index(row["tag"])
        after = [word for word in read.words[place + 1 :] if word][:3]
        low, high = row["ci"]
        assert after == [str(row["positives"]), f"{row['roc_auc']:.4f}", f"{low:.4f} to {high:.4f}"]
    assert read.tags.count("rect") == 3


def test_the_json_beside_it_holds_the_same_numbers(example, text, tmp_path):
    result, scored = example
    write_report(tmp_path / "new", result, [scored])
    assert json.loads((tmp_path / "new" / "report.json").read_text("utf-8")) == result
    assert (tmp_path / "new" / "report.html").read_text("utf-8") == text


def test_a_page_without_a_single_number_is_still_a_page():
    scored = made.scored(4)
    scored.labels[:] = False
    result = measure(scored, generator=np.random.default_rng(0), n=2)
    words = Page(page(result, [scored])).words
    assert any("all songs carry them or none does: rock, Jazz & <Blues>, sad" in w for w in words)


def test_two_models_share_a_page_that_begins_with_their_difference():
    both = [made.scored(), made.scored(seed=1, knows=2)]
    results = [measure(one, generator=np.random.default_rng(0), n=5) for one in both]
    difference = compare_scores(*both, seed=0, n=5)
    words = Page(page({"a": results[0], "b": results[1], "difference": difference}, both)).words
    assert "model <1> against model <0>" in words
    assert f"{difference['roc_auc']['macro']['difference']:+.4f}" in words
    assert words.index("The second minus the first") < words.index("model <0>")


def test_distortions_stand_in_the_page(example):
    line = {
        "condition": "noise 20 dB below", "score_difference": 0.0123, "largest_difference": 0.4,
        "roc_auc": None, "average_precision": 0.25,
    }  # fmt: skip
    words = Page(page(example[0] | {"robustness": [line]}, [example[1]])).words
    place = words.index("noise 20 dB below")
    assert [word for word in words[place:] if word][1:5] == ["0.0123", "0.4000", "-", "0.2500"]
