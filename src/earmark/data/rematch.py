"""Judge all stored replies anew, without the network: after matching has become better."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from earmark.data.judging import BY_HAND, judged
from earmark.data.ledger import Ledger
from earmark.data.ledger_rows import FAILED, Entry, State
from earmark.data.preview_folder import AUDIO, ledger_path, working_on
from earmark.data.reconcile import set_aside, undone

_BATCH = 500


def rematch(folder: str | Path, *, accept_review: bool = False) -> Counter[tuple[State, State]]:
    """Judge every song again from its stored replies; returns how many went from state to state.

    A preview whose song has another hit now, or none, is set aside in `folder`/replaced; matched
    songs are downloaded by the next run. Songs without a stored reply stay as they are.

    accept_review : take also what a person should look at
    """
    folder = Path(folder)
    moves: Counter[tuple[State, State]] = Counter()
    changes: list[Entry] = []
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


def _same(entry: Entry, new: Entry) -> bool:
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
