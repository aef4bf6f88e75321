"""What becomes of a song, decided from the stored replies of the sources: without the network,
so at any time again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from earmark.data.matching.judge import best
from earmark.data.previews.folder import AUDIO, ledger_path, working_on
from earmark.data.previews.http import RequestRefused
from earmark.data.previews.ledger import FAILED, Answer, Ledger, LedgerEntry, State
from earmark.data.previews.rate_limit import Rejected, Trouble
from earmark.data.previews.reconcile import set_aside, undone
from earmark.data.previews.sources import read_reply
from earmark.data.previews.sources.folder import OWN_FILE

BY_HAND = "accepted by hand"  # begins the reason, so that a later judgement knows
_STATES = {"accept": State.MATCHED, "review": State.REVIEW, "reject": State.REJECTED}


def judged(
    entry: LedgerEntry, answers: Sequence[Answer], *, accept_review: bool = False
) -> LedgerEntry:
    """The song as its latest replies have it: matched, review, rejected or no_result.

    answers : the oldest first; of each source the latest counts, and the latest of all that has
        an acceptable hit is taken
    accept_review : take also what a person should look at
    """
    latest = {answer.source: answer for answer in answers}
    found = [_judge(entry, answer) for answer in latest.values()]
    chosen = max(found, key=_preference)
    if accept_review and chosen.state is State.REVIEW:
        chosen = replace(chosen, state=State.MATCHED, reason=f"{BY_HAND}: {chosen.reason}")
    return chosen


def _preference(entry: LedgerEntry) -> tuple[int, float]:
    return list(State).index(entry.state), entry.hit_at or 0.0


def _judge(entry: LedgerEntry, answer: Answer) -> LedgerEntry:
    entry = replace(
        entry,
        changed_at=time.time(),
        source=answer.source,
        hit=None,
        hit_at=answer.at,
        score=None,
        retry_at=None,
    )
    try:
        hits = read_reply(answer.source, answer.body)
    except (Trouble, Rejected, RequestRefused) as error:  # no reply that a run would have stored
        return replace(entry, state=State.PENDING, reason=f"a stored reply is none: {error}")
    if not hits:
        return replace(entry, state=State.NO_RESULT, reason=f"{answer.source} has nothing")
    if hits[0].kind == OWN_FILE:
        return replace(entry, state=State.MATCHED, hit=hits[0], score=1.0, reason=OWN_FILE)
    hit, verdict = best(hits, artist=entry.artist, title=entry.title, seconds=entry.seconds)
    entry = replace(entry, hit=hit, score=verdict.score, reason=verdict.reason)
    state = _STATES[verdict.decision]
    if state is State.MATCHED and (hit is None or not hit.preview_url):
        return replace(entry, state=State.REJECTED, reason=f"{verdict.reason}; it has no preview")
    return replace(entry, state=state)


_BATCH = 500


def rematch(folder: str | Path, *, accept_review: bool = False) -> Counter[tuple[State, State]]:
    """Judge every song again from its stored replies; returns how many went from state to state.

    A preview whose song has another hit now, or none, is set aside in `folder`/replaced; matched
    songs are downloaded by the next run. Songs without a stored reply stay as they are.

    accept_review : take also what a person should look at
    """
    folder = Path(folder)
    moves: Counter[tuple[State, State]] = Counter()
    changes: list[LedgerEntry] = []
    with working_on(folder), Ledger.open(ledger_path(folder)) as ledger:
        for entry in ledger.entries():
            if entry.state is State.PENDING:
                continue  # it waits for its first reply, or for a new one
            answers = ledger.answers(entry.id)
            if not answers:
                continue
            new = judged(entry, answers, accept_review=accept_review)
            if _same(entry, new):
                continue
            if entry.file is not None:
                path = folder / AUDIO / entry.file
                if path.exists():
                    set_aside(folder, path)
                new = replace(undone(new), state=new.state)
            if entry.state is not new.state:
                moves[entry.state, new.state] += 1
            changes.append(replace(new, tries=0))
            if len(changes) == _BATCH:
                ledger.put(changes)
                changes.clear()
        ledger.put(changes)
    return moves


def _same(entry: LedgerEntry, new: LedgerEntry) -> bool:
    """Whether a new judgement says nothing that the ledger does not know better."""
    same_hit = (
        entry.hit is not None
        and new.hit is not None
        and (new.source, new.hit.source_id) == (entry.source, entry.hit.source_id)
    )
    if same_hit and new.state is State.REVIEW and entry.reason.startswith(BY_HAND):
        return True
    if entry.state is State.DOWNLOADED and entry.hit is None:
        return True  # a preview that was found on the disk is the user's word for it
    if entry.state in (State.DOWNLOADED, *FAILED):
        return same_hit and new.state is State.MATCHED
    return (entry.state, entry.reason, entry.hit, entry.score) == (
        new.state,
        new.reason,
        new.hit,
        new.score,
    )
