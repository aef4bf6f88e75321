"""What undoes a change of a file: exact for any two files, small where the audio is the same."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from audio_files import FORMATS, music, write_format
from hypothesis import given, settings

from earmark.errors import BadValue
from earmark.library.writing.delta import apply_delta, make_delta
from earmark.library.writing.tag_file import write_fields


def there_and_back(folder, old, new):
    """The old bytes again, and the size of what it took."""
    (folder / "old").write_bytes(old)
    (folder / "new").write_bytes(new)
    delta = make_delta(folder / "old", folder / "new")
    apply_delta(folder / "new", delta, to=folder / "back")
    return (folder / "back").read_bytes(), len(delta)


@settings(deadline=None, max_examples=50)
@given(
    st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300),
    st.integers(0, 3), st.integers(0, 200_000),
)  # fmt: skip
def test_any_file_comes_back_from_any_other(tmp_path_factory, head, tail, other, seed, size):
    folder = tmp_path_factory.mktemp("delta")
    audio = np.random.default_rng(seed).bytes(size)
    for old, new in (
        (head + audio + tail, other + audio),
        (audio, head + audio + other),
        (head, audio),
        (b"", other),
    ):
        assert there_and_back(folder, old, new)[0] == old


@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"raw.aac", "aac.mka"}))
def test_undoing_new_tags_takes_a_small_part_of_the_file(tmp_path, name):
    path = write_format(tmp_path, name, music(6))
    old = path.read_bytes()
    # more than the padding that files have, so that everything moves
    write_fields(path, {"genre": ("Jazz",), "EARMARK_SCORES": tuple(map(str, range(9000)))})
    new = path.read_bytes()
    assert len(new) > len(old)
    back, size = there_and_back(tmp_path, old, new)
    assert back == old
    assert size < 0.1 * len(old) + 1000


def test_a_delta_is_refused_for_another_file_and_when_it_is_none(tmp_path):
    (tmp_path / "old").write_bytes(b"old")
    (tmp_path / "new").write_bytes(b"newer")
    delta = make_delta(tmp_path / "old", tmp_path / "new")
    with pytest.raises(BadValue, match="5 bytes"):
        apply_delta(tmp_path / "old", delta, to=tmp_path / "back")
    with pytest.raises(BadValue, match="not a delta"):
        apply_delta(tmp_path / "new", b"words", to=tmp_path / "back")
