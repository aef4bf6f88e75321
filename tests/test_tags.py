"""The vocabulary, its groups and its priors."""

from __future__ import annotations

import numpy as np
import pytest

from earmark import tags
from earmark.errors import BadValue
from earmark.tagger import Tagger
from earmark.words import WORDS


def test_there_are_fifty_tags_and_each_is_in_one_group():
    assert len(set(tags.MSD_50)) == 50
    grouped = [tag for members in tags.GROUPS.values() for tag in members]
    assert len(set(grouped)) == len(grouped)
    assert set(tags.MSD_50) < set(grouped)
    assert tags.group("jazz") == "genre"
    assert tags.group("80s") == "era"
    assert tags.group("gloomy") == "mood"
    assert tags.group("speech") == "sound"
    assert tags.group("gamelan") == "other"
    places = [tags.place_of_group(name) for name in (*tags.GROUPS, "other")]
    assert places == sorted(places)


def test_the_priors_are_those_of_the_published_labels(shared):
    labels = np.concatenate([np.load(shared / "msd" / f"{s}_y.npy") for s in ("valid", "test")])
    np.testing.assert_allclose(tags.msd_50_priors(), labels.mean(axis=0), rtol=1e-6)


def test_a_tag_is_found_whatever_its_case_and_a_wrong_one_shows_the_vocabulary():
    assert tags.index(tags.MSD_50, "hip-hop") == 33
    for name, meant in {
        "hip hop": "Hip-Hop", "R&B": "rnb", "Female Voice": "female vocalists", "1980s": "80s",
        "chill out": "chillout",
    }.items():  # fmt: skip
        assert tags.MSD_50[tags.index(tags.MSD_50, name)] == meant
    with pytest.raises(BadValue, match=r"no tag 'polka'; the tags are: rock, pop"):
        tags.index(tags.MSD_50, "polka")


def test_each_word_of_the_shipped_model_has_its_group_its_meaning_and_names_of_its_own():
    shipped = Tagger.load().tags
    assert set(shipped) == set(WORDS)
    names = [name.casefold() for word in WORDS.values() for name in (word.tag, *word.aliases)]
    assert len(set(names)) == len(names)
    assert all(word.meaning and tags.group(word.tag) == word.group for word in WORDS.values())
    assert len([word for word in WORDS.values() if word.group == "mood"]) <= 30


def test_the_fifty_tags_are_a_vocabulary_of_their_own():
    assert tags.is_in("jazz", "msd50")
    assert not tags.is_in("classical", "msd50")
    assert tags.is_in("classical", "all")


def test_each_other_name_means_one_word_and_is_no_word_itself():
    words = {tags.fold(word) for word in WORDS}
    assert len(words) == len(WORDS)
    others = [tags.fold(alias) for word in WORDS.values() for alias in word.aliases]
    assert len(set(others)) == len(others)
    assert not words & set(others)
    assert all(word.meaning for word in WORDS.values())
