"""Settings say what is wrong with them; names that mean nothing are told with the nearest."""

from __future__ import annotations

import pytest

from earmark.errors import BadValue
from earmark.library.settings import default_text, read_settings, unknown_names
from earmark.tags import MSD_50


@pytest.fixture
def own(tmp_path):
    """A function that writes a settings file."""

    def write(text):
        (tmp_path / "own.toml").write_text(text, encoding="utf-8")
        return tmp_path / "own.toml"

    return write


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[names]\n"indi rock" = "Indie"', "'indi rock', which no tag is called; did you mean 'in"),
        ('[group.genre]\nonly = ["Rok"]', "[group.genre] names 'Rok', which no tag is called; did"),
        ('[group.mood]\ngeneral = ["hapy"]', "did you mean 'happy'?"),
        ('[words]\nkids = ["childrn", "rock"]', "[words] names 'childrn', which"),
        ('[names]\nxyzzy = "Nothing"', "'xyzzy', which no tag is called"),
    ],
)
def test_a_name_that_no_tag_has_is_told_with_the_nearest(own, text, said):
    (message,) = unknown_names(own(text), tags=MSD_50)
    assert said in message


@pytest.mark.parametrize(
    "text",
    [
        '[names]\n"hip hop" = "Rap"\n"R&B" = "Soul"\n"Baroque pop" = "Pop"',
        '[group.genre]\nonly = ["Rock", "R&B", "Drum and Bass", "Indie"]\n[names]\nindie = "Indie"',
        '[words]\nquiet = ["calm mellow", "chill"]',
        default_text(),
    ],
)
def test_names_of_tags_by_any_of_their_spellings_are_known(own, text):
    assert unknown_names(own(text), tags=(*MSD_50, "baroque pop")) == []


@pytest.mark.parametrize("text", ["x = " + "[" * 10_000 + "]" * 10_000, "x = " + "{a=" * 10_000])
def test_settings_nested_without_end_are_refused(own, text):
    with pytest.raises(BadValue, match=r"too deep to read|not valid TOML"):
        read_settings(own(text))


def test_a_table_that_is_not_there_is_told_with_the_nearest(own):
    with pytest.raises(BadValue, match=r"unknown table \[groups\]; did you mean group\?"):
        read_settings(own("[groups.genre]\nmin = 0.1"))
