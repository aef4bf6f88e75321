"""The outcome of a song, decided from the stored replies of the sources.

It needs no network, so `rematch` can decide all songs again when the rules have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from earmark.data.matching.judge import best
from earmark.data.previews.entry import FAILED, LedgerEntry, State, StoredReply
from earmark.data.previews.failures import RateLimited, RequestRefused, TransientFailure
from earmark.data.previews.folder import AUDIO, ledger_path, working_on
from earmark.data.previews.ledger import Ledger
from earmark.data.previews.reconcile import set_aside
from earmark.data.previews.sources import read_reply
from earmark.data.previews.sources.folder import OWN_FILE

BY_HAND = "accepted by hand"  # begins the reason, so that a later judgement can tell
_STATES = {"accept": State.MATCHED, "review": State.REVIEW, "reject": State.REJECTED}
_BATCH = 500  # entries in one transaction


def decide(
    entry: LedgerEntry, replies: Sequence[StoredReply], *, accept_review: bool = False
) -> LedgerEntry:
    """The song as its latest replies have it: matched, review, rejected or no_result.

    replies : the oldest first; of each source the latest counts, and among the sources the best
        outcome, then the latest reply
    accept_review : accept hits that a person should look at, too
    """
    latest = {reply.source: reply for reply in replies}
    chosen = max((_judge(entry, reply) for reply in latest.values()), key=_preference)
    if accept_review and chosen.state is State.REVIEW:
        chosen = replace(chosen, state=State.MATCHED, reason=f"{BY_HAND}: {chosen.reason}")
    return chosen


def rematch_previews(
    folder: str | Path, *, accept_review: bool = False
) -> Counter[tuple[State, State]]:
    """Decide every song again from its stored replies; returns how many moved from state to state.

    A preview whose song now has another hit, or none, moves to `folder`/replaced; the next run
    downloads the songs that are matched. Songs without a stored reply stay as they are.

    accept_review : accept hits that a person should look at, too
    """
    folder = Path(folder)
    moves: Counter[tuple[State, State]] = Counter()
    changes: list[LedgerEntry] = []
    with working_on(folder), Ledger.open(ledger_path(folder)) as ledger:
        for entry in ledger.entries():
            if entry.state is State.PENDING:
                continue  # it waits for its first reply, or for a new one
            replies = ledger.replies(entry.id)
            if not replies:
                continue
            new = decide(entry, replies, accept_review=accept_review)
            if _is_unchanged(entry, new):
                continue
            if entry.file is not None:
                path = folder / AUDIO / entry.file
                if path.exists():
                    set_aside(folder, path)
                new = replace(new.without_preview(), state=new.state)
            if entry.state is not new.state:
                moves[entry.state, new.state] += 1
            changes.append(replace(new, tries=0))
            if len(changes) == _BATCH:
                ledger.put(changes)
                changes.clear()
        ledger.put(changes)
    return moves


def _judge(entry: LedgerEntry, reply: StoredReply) -> LedgerEntry:
    """The song as one reply has it."""
    try:
        hits = read_reply(reply.source, reply.body)
    except (TransientFailure, RateLimited, RequestRefused) as error:  # no run stores such a reply
        return entry.judged(State.PENDING, f"a stored reply cannot be read: {error}", reply=reply)
    if not hits:
        return entry.judged(State.NO_RESULT, f"{reply.source} has no such song", reply=reply)
    if hits[0].kind == OWN_FILE:
        return entry.judged(State.MATCHED, OWN_FILE, reply=reply, hit=hits[0], score=1.0)
    hit, verdict = best(hits, artist=entry.artist, title=entry.title, seconds=entry.seconds)
    state, reason = _STATES[verdict.decision], verdict.reason
    if state is State.MATCHED and (hit is None or not hit.preview_url):
        state, reason = State.REJECTED, f"{reason}; it has no preview"
    return entry.judged(state, reason, reply=reply, hit=hit, score=verdict.score)


def _preference(entry: LedgerEntry) -> tuple[int, float]:
    return list(State).index(entry.state), entry.hit_at or 0.0


def _is_unchanged(entry: LedgerEntry, new: LedgerEntry) -> bool:
    """Whether the ledger should keep the entry that it has."""
    same_hit = (
        entry.hit is not None
        and new.hit is not None
        and (new.source, new.hit.source_id) == (entry.source, entry.hit.source_id)
    )
    if same_hit and new.state is State.REVIEW and entry.reason.startswith(BY_HAND):
        return True
    if entry.state is State.DOWNLOADED and entry.hit is None:
        return True  # the user put this preview on the disk: that counts more than a match
    if entry.state in (State.DOWNLOADED, *FAILED):
        return same_hit and new.state is State.MATCHED
    return (entry.state, entry.reason, entry.hit, entry.score) == (
        new.state,
        new.reason,
        new.hit,
        new.score,
    )
