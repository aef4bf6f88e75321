"""Readers of what others hand over, against input that is damaged, hostile or made up.

Every reader gives a value or one of earmark's errors; nothing else, whatever the bytes are.
tests/support/fuzzing.py says how to give each more time.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fuzzing import damaged, fuzzed, mutated, scalars, values
from hypothesis import strategies as st

from earmark.data.catalog.catalog import Catalog, Song, read_catalog, write_catalog
from earmark.data.matching.hit import Hit
from earmark.data.previews.decisions import decide
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.rows import COLUMNS
from earmark.data.previews.sources import NAMES
from earmark.data.previews.status import status_of
from earmark.features import PRESETS
from earmark.files import is_bare_name
from earmark.model_file import Card

CARD = Card(
    name="m", tags=("a", "b"), features=PRESETS["choi2016"], priors=(0.1, 0.2), source="s",
    licence="l", reliability=(0.5, None), training={"seed": 1},
)  # fmt: skip
REPLIES: dict[str, Any] = {
    "itunes": {"resultCount": 1, "results": [{
        "kind": "song", "trackId": 1, "artistName": "Air", "trackName": "La Femme",
        "collectionName": "Moon Safari", "previewUrl": "https://x/y", "trackTimeMillis": 2000,
    }]},
    "deezer": {"data": [{
        "id": 1, "title": "La Femme", "duration": 200, "preview": "https://x/y", "type": "track",
        "artist": {"name": "Air"}, "album": {"title": "Moon Safari"},
    }], "error": {"code": 800, "message": "no"}},
    "folder": {"files": [{"path": "/a", "artist": "Air", "title": "La", "kind": "own file"}]},
}  # fmt: skip
SOURCES = [*NAMES]


def test_cards() -> None:
    def check(value: Any) -> None:
        card = Card.from_json(value if isinstance(value, str) else json.dumps(value))
        json.dumps(card.to_dict(), allow_nan=False)

    document = json.loads(CARD.to_json())
    fuzzed(mutated(document) | values | st.text(), check, 150)


@pytest.mark.parametrize("source", SOURCES)
def test_replies(source: str) -> None:
    entry = LedgerEntry("TR1", "Air", "La Femme (Live)", 200.0)

    def check(value: Any) -> None:
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        state = decide(entry, [StoredReply("TR1", 1.0, source, body)]).state
        assert state in State

    whole = json.dumps(REPLIES[source]).encode()
    fuzzed(mutated(REPLIES[source]) | values | damaged(whole) | st.binary(), check, 100)


def test_recipes(tmp_path: Path) -> None:
    pytest.importorskip("pydantic")
    pytest.importorskip("torch")
    from earmark.training.recipe import read_recipe

    folder = Path(__file__).parents[2] / "recipes"
    wholes = [path.read_bytes() for path in sorted(folder.glob("*.toml"))]
    path = tmp_path / "fuzzed.toml"

    def check(data: bytes) -> None:
        path.write_bytes(data)
        read_recipe(path)

    fuzzed(st.one_of(*map(damaged, wholes)) | st.binary(), check, 60)


def test_a_recipe_nested_too_deeply(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from earmark.errors import BadRecipe
    from earmark.training.recipe import read_recipe

    path = tmp_path / "deep.toml"
    path.write_text("a = " + "[" * 100_000)
    with pytest.raises(BadRecipe, match="not valid TOML"):
        read_recipe(path)


def test_catalogs(tmp_path: Path) -> None:
    path = tmp_path / "catalog.parquet"
    songs = [Song(f"TR{i}", "Air", "La", "train", "", 2.0, ("a", "b")[: i % 3]) for i in range(9)]
    write_catalog(Catalog.from_songs(songs, tags=("a", "b")), path)
    whole = path.read_bytes()
    table = pq.read_table(path)
    card = json.loads(table.schema.metadata[b"earmark"])
    columns = table.to_pydict()

    def check(value: Any) -> None:
        if isinstance(value, bytes):
            path.write_bytes(value)
        else:
            document, name, cells = value
            try:
                changed = pa.table({**columns, name: cells})
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
                return  # no file can hold this
            encoded = json.dumps(document).encode()
            try:
                pq.write_table(changed.replace_schema_metadata({"earmark": encoded}), path)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                return
        catalog = read_catalog(path)
        assert all(is_bare_name(song.id) for song in catalog)
        assert catalog.labels().shape == (len(catalog), len(catalog.tags))

    cells = st.lists(scalars | st.lists(st.text(max_size=3)), min_size=9, max_size=9)
    changed = st.tuples(mutated(card), st.sampled_from([*columns]), cells)
    fuzzed(damaged(whole) | changed, check, 60)


def test_ledgers(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    hit = Hit("Air", "La Femme", "", 1.0, "https://x/y", "1", "song")
    with Ledger.open(path, make=True) as ledger:
        entry = LedgerEntry("TR1", "Air", "La", state=State.DOWNLOADED, hit=hit, file="TR1.wav")
        ledger.put([entry], [StoredReply("TR1", 1.0, "itunes", b"{}")])
        ledger.note("beat", {"at": 1.0, "waiting": "", "host": "h"})
    whole = path.read_bytes()
    cells = st.none() | st.binary(max_size=20) | st.text(max_size=20) | st.floats(allow_nan=False)
    cells |= st.integers(-(2**63), 2**63 - 1) | mutated(vars(hit)).map(json.dumps)

    def check(value: Any) -> None:
        path.write_bytes(value if isinstance(value, bytes) else whole)
        if not isinstance(value, bytes):
            name, cell, body, fact = value
            with closing(sqlite3.connect(path)) as connection, connection:
                try:
                    connection.execute("PRAGMA ignore_check_constraints = 1")
                    connection.execute(f"UPDATE songs SET {name} = ?", (cell,))
                    connection.execute("UPDATE replies SET body = ?", (body,))
                    connection.execute("UPDATE facts SET value = ?", (fact,))
                except (sqlite3.IntegrityError, UnicodeEncodeError):
                    return  # no ledger can hold this
        with Ledger.open(path) as ledger:
            for entry in ledger.entries():
                assert is_bare_name(entry.id)
                assert entry.file is None or is_bare_name(entry.file)
                ledger.replies(entry.id)
            status_of(ledger)

    facts = mutated({"at": 1.0, "waiting": "", "host": "h"}).map(json.dumps) | st.text()
    bodies = st.binary(max_size=40) | st.text(max_size=9)
    rows = st.tuples(st.sampled_from(COLUMNS), cells, bodies, facts)
    fuzzed(damaged(whole) | rows, check, 60)
