"""The model in the package: what it answers, how big it is, what it says, what it hears."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import numpy as np
import pytest

from earmark import Options, Tagger, tags, zoo
from earmark.metrics import roc_auc
from earmark.model_file import read_card

# 4Q's words and the tags of the same meaning
SAME = {
    "Jazz": "jazz", "Electronic": "electronic", "R&B": "rnb", "Country": "country",
    "Blues": "blues", "Rap": "Hip-Hop", "Folk": "folk", "Sad": "sad",
}  # fmt: skip


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return Tagger.load()


def test_it_answers_msd_50_first_and_every_tag_has_a_group(tagger):
    assert tagger.card.name == zoo.SHIPPED
    assert tagger.tags[:50] == tags.MSD_50
    assert len(tagger.tags) == 90
    assert all(tags.group(tag) != "other" for tag in tagger.tags)


def test_it_is_small_and_says_what_it_is(tagger):
    path = zoo.resolve()
    assert path.stat().st_size <= 4_000_000
    card = read_card(path)
    assert card.licence == "MIT"
    assert card.calibration is not None
    assert card.reliability is not None
    assert sum(value is not None for value in card.reliability) == 51  # 11 of MSD-50, 40 of 4Q
    assert all(0 < prior < 1 for prior in card.priors)
    said = str(dataclasses.asdict(card))
    for word in ("4Q", "Choi", "Won", "held_out_folds"):
        assert word in said
    recipe = card.training["recipe"]
    assert "/" not in recipe["init"] + recipe["data"]["targets"]
    figures = card.training["held_out_folds"]["16 mapped tags"]["roc_auc"]
    page = (Path(__file__).parents[1] / "docs" / "reference" / "models.md").read_text(
        encoding="utf-8"
    )
    assert f"**{figures[0]:.3f}** ({figures[1]:.3f} to {figures[2]:.3f})".replace("0.", ".") in page


def test_silence_and_noise_get_scores_and_no_error(tagger):
    for samples in (np.zeros(60_000), np.random.default_rng(0).normal(0, 0.1, 60_000)):
        heard = tagger.tag(samples.astype(np.float32), rate=12_000)
        assert len(heard.tags) == 90
        assert all(0 <= tag.score <= 1 for tag in heard.tags)


def test_it_hears_jazz_and_hip_hop_where_people_do(tagger, shared):
    """On clips that it learned from: this proves the file and the front end, not how good it is."""
    with (shared / "q4" / "tracks.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::15]
    words = [set(f"{row['genres']}|{row['moods']}".split("|")) for row in rows]
    labels = np.array([[word in said for word in SAME] for said in words])
    scores = np.zeros(labels.shape)
    for place, row in enumerate(rows):
        heard = tagger.tag(shared / "q4" / row["path"], options=Options(center=True))
        score = {tag.tag: tag.score for tag in heard.tags}
        scores[place] = [score[tag] for tag in SAME.values()]
    assert roc_auc(labels, scores) > 0.9
