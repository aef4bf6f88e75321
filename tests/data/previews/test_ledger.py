"""The ledger: states, leases, replies, and what happens when its file cannot be what it should."""

from __future__ import annotations

import json
import resource
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.data.matching.hit import Hit
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.ledger import DamagedLedger, Ledger
from earmark.data.previews.rows import from_row, to_row
from earmark.data.previews.status import status_of
from earmark.errors import BadLedger, DataError
from earmark.files import is_bare_name

HIT = Hit("Air", "La Femme", "Moon Safari", 427.0, "http://x/y", "12", "song")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def songs(n: int, **fields: object) -> list[LedgerEntry]:
    return [LedgerEntry(f"TR{i:05}", f"Artist {i}", f"Title {i}", **fields) for i in range(n)]  # type: ignore[arg-type]


def ids(entries: list[LedgerEntry]) -> list[str]:
    return [entry.id for entry in entries]


text = st.text(st.characters(exclude_categories=["Cs"]))
numbers = st.none() | st.floats(allow_nan=False, allow_infinity=False)
hits = st.builds(Hit, text, text, text, numbers, st.none() | text, text, text)
bare_names = text.filter(is_bare_name)
entries_ = st.builds(
    LedgerEntry, bare_names, text, text, numbers, text, st.sampled_from(State), text,
    st.integers(0, 2**40),
    numbers, st.floats(0, 1e10), text, st.none() | hits, numbers, numbers,
    st.none() | bare_names, st.none() | text, st.none() | st.integers(0, 2**40), numbers,
)  # fmt: skip


@given(entries_)
def test_an_entry_comes_back_from_its_row_as_it_was(entry: LedgerEntry) -> None:
    assert from_row(to_row(entry)) == entry


@given(entries_)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
def test_an_entry_comes_back_from_the_file_as_it_was(tmp_path: Path, entry: LedgerEntry) -> None:
    with Ledger.open(tmp_path / "l", make=True) as ledger:
        ledger.put([entry])
        assert ledger.get(entry.id) == entry


def test_what_was_put_is_there_when_the_file_is_opened_again(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(3))
        ledger.put([replace(songs(3)[1], state=State.MATCHED, hit=HIT, score=0.9)])
    with Ledger.open(path) as ledger:
        assert ledger.counts()[State.PENDING] == 2
        assert ledger.get("TR00001") == replace(
            songs(3)[1], state=State.MATCHED, hit=HIT, score=0.9
        )
    assert list(path.parent.iterdir()) == [path]  # one file when it is closed


def test_adding_a_song_again_changes_its_names_and_nothing_else(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=State.DOWNLOADED, file="TR00000.m4a"))
        ledger.add([LedgerEntry("TR00000", "Artist", "Another title")])
        entry = ledger.get("TR00000")
    assert entry is not None
    assert (entry.title, entry.state, entry.file) == (
        "Another title", State.DOWNLOADED, "TR00000.m4a",
    )  # fmt: skip


def test_what_was_not_found_is_pending_again_under_another_name(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=State.NO_RESULT))
        ledger.add(songs(1))
        assert ledger.counts()[State.NO_RESULT] == 1
        ledger.add([LedgerEntry("TR00000", "Artist 0", "Another title")])
        assert ledger.counts()[State.PENDING] == 1


def test_entries_are_walked_in_the_order_of_their_ids_over_many_pages(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.add(reversed(songs(2500)))
        assert ids(list(ledger.entries())) == ids(songs(2500))
        assert list(ledger.entries([State.MATCHED])) == []


def test_replies_are_kept_oldest_first_and_once(path: Path) -> None:
    first, second = (
        StoredReply("a", 1.0, "itunes", b"{}" * 999),
        StoredReply("a", 2.0, "deezer", b"\xff"),
    )
    with Ledger.open(path, make=True) as ledger:
        ledger.put([], [second, first])
        ledger.put([], [first])
        assert ledger.replies("a") == [first, second]
        assert ledger.replies("b") == []


# -- leases


def test_what_one_run_holds_no_other_gets(path: Path) -> None:
    with Ledger.open(path, make=True) as one, Ledger.open(path) as other:
        one.add(songs(5))
        held = ids(one.claim(3, seconds=60))
        rest = ids(other.claim(9, seconds=60))
    assert len(held) == 3
    assert sorted(held + rest) == ids(songs(5))


def test_a_lease_that_is_over_can_be_claimed(path: Path) -> None:
    with Ledger.open(path, make=True) as one, Ledger.open(path) as other:
        one.add(songs(1))
        one.claim(1, seconds=-1)
        assert ids(other.claim(1, seconds=60)) == ["TR00000"]


def test_a_lease_is_renewed_and_released(path: Path) -> None:
    with Ledger.open(path, make=True) as one, Ledger.open(path) as other:
        one.add(songs(1))
        one.claim(1, seconds=-1)
        one.renew_leases(seconds=60)
        assert other.claim(1, seconds=60) == []
        one.release()
        assert len(other.claim(1, seconds=60)) == 1


def test_a_lease_goes_on_while_there_is_something_left_to_do_and_ends_with_it(path: Path) -> None:
    with Ledger.open(path, make=True) as one, Ledger.open(path) as other:
        one.add(songs(1))
        (entry,) = one.claim(1, seconds=60)
        one.put([replace(entry, state=State.MATCHED, hit=HIT)])
        assert other.claim(1, seconds=60) == []
        one.put([replace(entry, state=State.FAILED_RETRY, retry_at=0.0)])
        assert len(other.claim(1, seconds=60)) == 1


def test_the_leases_of_a_run_that_was_killed_here_are_taken_over(path: Path) -> None:
    code = (
        "import sys, time; from earmark.data.previews.ledger import Ledger\n"
        "ledger = Ledger.open(sys.argv[1]); ledger.claim(2, seconds=1e6)\n"
        "print('claimed', flush=True); time.sleep(60)"
    )
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(2))
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert ledger.claim(2, seconds=60) == []
        assert ledger.take_over() == 2
        assert len(ledger.claim(2, seconds=60)) == 2


def test_the_lease_of_a_run_on_another_machine_holds_until_it_is_over(path: Path) -> None:
    with Ledger.open(path, make=True) as far, Ledger.open(path) as here:
        far.owner = "elsewhere:1:abc"
        far.add(songs(2))
        far.claim(1, seconds=60)
        assert here.take_over() == 0
        far.renew_leases(seconds=-1)
        assert here.take_over() == 1


def test_what_is_nearest_to_its_end_is_claimed_first(path: Path) -> None:
    states = [State.PENDING, State.FAILED_RETRY, State.SEARCHED, State.MATCHED]
    with Ledger.open(path, make=True) as ledger:
        ledger.put(
            replace(song, state=state, retry_at=1.0 if state is State.FAILED_RETRY else None)
            for song, state in zip(songs(4), states, strict=True)
        )
        claimed = ledger.claim(9, seconds=60)
    assert [entry.state for entry in claimed] == [
        State.MATCHED, State.SEARCHED, State.FAILED_RETRY, State.PENDING,
    ]  # fmt: skip


def test_a_failure_is_claimed_when_its_time_has_come_or_when_it_is_hurried(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=State.FAILED_RETRY, retry_at=time.time() + 1000))
        assert ledger.claim(1, seconds=60) == []
        ledger.retry_now()
        assert len(ledger.claim(1, seconds=60)) == 1


@pytest.mark.parametrize(
    "state",
    [State.DOWNLOADED, State.NO_RESULT, State.REJECTED, State.REVIEW, State.FAILED_PERMANENT],
)
def test_an_outcome_is_not_claimed(path: Path, state: State) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=state))
        assert ledger.claim(1, seconds=60) == []


# -- status


def test_a_finishing_time_comes_from_the_rate_of_late_and_only_while_a_run_is_at_work(
    path: Path,
) -> None:
    now = time.time()
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(40))
        done = [replace(song, state=State.DOWNLOADED, changed_at=now - 5) for song in songs(10)]
        ledger.put(done)
        idle = status_of(ledger)
        assert (idle.per_minute, idle.finish_at, idle.running) == (None, None, False)
        ledger.note("started", now - 60)
        ledger.note("beat", {"at": now, "waiting": "h is left alone"})
        status = status_of(ledger)
    assert status.per_minute == pytest.approx(10, rel=0.1)
    assert status.finish_at == pytest.approx(now + 3 * 60, abs=30)
    assert (status.running, status.waiting) == (True, "h is left alone")
    assert (status.total, status.remaining, status.failed) == (40, 30, 0)


def test_the_status_has_a_number_for_every_state(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=State.FAILED_RETRY, retry_at=0.0))
        status = status_of(ledger).as_json()
    assert status["states"] == {state.value: int(state == "failed_retry") for state in State}
    assert status["retry_at"] == "1970-01-01T00:00:00+00:00"


# -- files that are not what they should be


def test_a_ledger_that_is_not_there_is_not_made_by_reading_it(path: Path) -> None:
    with pytest.raises(BadLedger, match=r"no ledger at .*earmark data previews"):
        Ledger.open(path)
    assert not path.exists()


def test_a_ledger_of_another_version_is_refused(path: Path) -> None:
    Ledger.open(path, make=True).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(BadLedger, match="version 2; this earmark knows version 1") as caught:
        Ledger.open(path, make=True)
    assert not isinstance(caught.value, DamagedLedger)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE photos (name TEXT)")
    connection.close()
    with pytest.raises(BadLedger, match="not a ledger of earmark"):
        Ledger.open(path, make=True)


def test_a_file_that_is_no_database_is_a_damaged_ledger(path: Path) -> None:
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(DamagedLedger, match="is damaged"):
        Ledger.open(path, make=True)


def test_a_ledger_with_overwritten_pages_is_found_damaged(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(2000))
        ledger.check()
    with path.open("r+b") as file:
        file.seek(8 * 4096)
        file.write(b"\xaa" * 4096 * 4)
    with Ledger.open(path) as ledger, pytest.raises(DamagedLedger, match="is damaged"):
        ledger.check()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be opened"):
        Ledger.open(tmp_path / "nowhere" / "ledger.sqlite", make=True)


def test_a_batch_that_the_disk_does_not_take_is_not_taken_in_part(path: Path) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(10))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 90_000, before[1]))
            with pytest.raises(DataError, match="Nothing is lost"):
                ledger.put(songs(5000, state=State.MATCHED))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, ignored)
        assert ledger.counts()[State.PENDING] == 10
        ledger.put(songs(10, state=State.NO_RESULT))  # there is room again
        assert ledger.counts()[State.NO_RESULT] == 10


def test_a_run_that_is_killed_leaves_whole_batches(path: Path) -> None:
    code = (
        "import sys; from earmark.data.previews.ledger import Ledger\n"
        "from earmark.data.previews.entry import LedgerEntry, State\n"
        "ledger = Ledger.open(sys.argv[1], make=True)\n"
        "for batch in range(10**6):\n"
        "    ledger.put(LedgerEntry(f'{batch:06}-{i}', state=State.NO_RESULT) for i in range(10))\n"
        "    print(batch, flush=True)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while int(process.stdout.readline()) < 30:
        pass
    process.kill()
    process.communicate()
    with Ledger.open(path) as ledger:
        ledger.check()
        n_songs = ledger.counts()[State.NO_RESULT]
    assert n_songs >= 300
    assert n_songs % 10 == 0


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "../../evil"),
        ("id", "/etc/passwd"),
        ("id", ".."),
        ("id", "a\0b"),
        ("file", "../replaced/x.wav"),
        ("file", "/etc/passwd"),
        ("file", ""),
        ("hit", "[]"),
        ("hit", '{"artist": "Air"}'),
        ("hit", "[" * 100_000),
        ("hit", json.dumps(vars(replace(HIT, artist=1)))),
        ("artist", b"blob"),
        ("changed_at", "yesterday"),
        ("score", float("inf")),
    ],
)  # fmt: skip
def test_a_row_that_no_earmark_wrote_is_refused_by_name(
    path: Path, column: str, value: object
) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.add(songs(1))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE songs SET {column} = ?", (value,))
    with Ledger.open(path) as ledger, pytest.raises(BadLedger, match="row that no earmark wrote"):
        list(ledger.entries())


@pytest.mark.parametrize(
    "body", [b"no zlib", zlib.compress(b"\0" * 2**25), "text"], ids=["noise", "bomb", "text"]
)
def test_a_reply_that_no_run_stored_is_refused(path: Path, body: object) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1), [StoredReply("TR00000", 1.0, "itunes", b"{}")])
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE replies SET body = ?", (body,))
    with Ledger.open(path) as ledger, pytest.raises(BadLedger, match="damaged reply about"):
        ledger.replies("TR00000")


@pytest.mark.parametrize("value", ["{", "[" * 100_000, "5", '{"at": "x", "waiting": ""}'])
def test_a_damaged_fact_is_named(path: Path, value: str) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.note("beat", None)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE facts SET value = ? WHERE name = 'beat'", (value,))
    with Ledger.open(path) as ledger, pytest.raises(BadLedger, match="damaged fact 'beat'"):
        status_of(ledger)


@pytest.mark.parametrize("at", [-1.0, 1e300, float("inf")])
def test_a_time_that_no_calendar_has_is_refused(path: Path, at: float) -> None:
    with Ledger.open(path, make=True) as ledger:
        ledger.put(songs(1, state=State.FAILED_RETRY, retry_at=at))
        with pytest.raises(BadLedger, match=r"the time of the next try is .* Move it away"):
            status_of(ledger)


def test_reading_songs_page_by_page_never_sorts_all_that_are_left(tmp_path):
    asked: list[str] = []
    with Ledger.open(tmp_path / "ledger.sqlite", make=True) as ledger:
        ledger.add([LedgerEntry("TR1")])
        ledger._connection.set_trace_callback(asked.append)
        assert [entry.id for entry in ledger.entries([State.PENDING])] == ["TR1"]
        ledger._connection.set_trace_callback(None)
        for query in asked:
            plan = ledger.rows(f"EXPLAIN QUERY PLAN {query}")
            assert "TEMP B-TREE" not in str(plan), plan
