"""From stored replies to what becomes of a song: without the network, so at any time again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from earmark.data.ledger_rows import Answer, Entry, State
from earmark.data.matching import best
from earmark.data.network import Refused
from earmark.data.pace import Rejected, Trouble
from earmark.data.sources import read_reply
from earmark.data.sources.folder import OWN_FILE

BY_HAND = "accepted by hand"  # begins the reason, so that a later judgement knows
_STATES = {"accept": State.MATCHED, "review": State.REVIEW, "reject": State.REJECTED}


def judged(entry: Entry, answers: Sequence[Answer], *, accept_review: bool = False) -> Entry:
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


def _preference(entry: Entry) -> tuple[int, float]:
    return list(State).index(entry.state), entry.hit_at or 0.0


def _judge(entry: Entry, answer: Answer) -> Entry:
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
    except (Trouble, Rejected, Refused) as error:  # no reply that a run would have stored
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
