"""One song of the ledger: the states it can be in, and how it moves from one to the next."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.data.matching.hit import Hit
    from earmark.data.previews.audio_check import CheckedPreview


MAX_REPLY = 8 * 2**20  # bytes of one reply; a reply of 25 hits has about 40,000


class State(StrEnum):
    """Where a song stands. The order is how far it has come, for the merge of two ledgers.

    pending -> searched -> no_result, rejected, review, or matched -> downloaded
    A search or a download that fails leads to failed_retry, and after some rounds to
    failed_permanent. `retry` leads back to pending or matched, a rematch to whatever the stored
    replies say now, and a preview that is gone from the disk to matched or pending.
    """

    PENDING = "pending"
    SEARCHED = "searched"  # the reply is stored, and not yet judged
    FAILED_RETRY = "failed_retry"
    FAILED_PERMANENT = "failed_permanent"
    NO_RESULT = "no_result"  # the reply has no hit
    REJECTED = "rejected"  # the reply has hits, and none is this recording
    REVIEW = "review"  # a hit that a person has to look at
    MATCHED = "matched"  # a hit that is this recording, whose audio is not here yet
    DOWNLOADED = "downloaded"


UNDER_WAY = (
    State.MATCHED,
    State.SEARCHED,
    State.PENDING,
)  # in the order of `Ledger.claim`
FAILED = (State.FAILED_RETRY, State.FAILED_PERMANENT)


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One song of the ledger, and the ways from one state to the next.

    tries : how many of its rounds have failed; retry_at : Unix time of the next, None for none
    source, hit, hit_at, score : whose hit was chosen, when it was found, how sure the match is
    file, sha256, size, clip_seconds : the preview: its name below audio/, and what is in it
    """

    id: str
    artist: str = ""
    title: str = ""
    seconds: float | None = None
    path: str = ""
    state: State = State.PENDING
    reason: str = ""
    tries: int = 0
    retry_at: float | None = None
    changed_at: float = 0.0
    source: str = ""
    hit: Hit | None = None
    hit_at: float | None = None
    score: float | None = None
    file: str | None = None
    sha256: str | None = None
    size: int | None = None
    clip_seconds: float | None = None

    def searched(self, reply: StoredReply) -> LedgerEntry:
        """With a reply that is stored and not yet judged."""
        return replace(self, state=State.SEARCHED, source=reply.source, hit_at=reply.at)

    def judged(
        self,
        state: State,
        reason: str,
        *,
        reply: StoredReply | None = None,
        hit: Hit | None = None,
        score: float | None = None,
    ) -> LedgerEntry:
        """With the outcome of its reply, or without a reply where it cannot be searched for."""
        entry = replace(self, state=state, reason=reason, changed_at=time.time())
        if reply is None:
            return entry
        return replace(
            entry, source=reply.source, hit=hit, hit_at=reply.at, score=score, retry_at=None
        )

    def failed(self, reason: str, *, retry_in: float | None) -> LedgerEntry:
        """After one more failed round; retry_in : seconds until the next, None for none."""
        now = time.time()
        return replace(
            self,
            state=State.FAILED_PERMANENT if retry_in is None else State.FAILED_RETRY,
            reason=reason,
            tries=self.tries + 1,
            retry_at=None if retry_in is None else now + retry_in,
            changed_at=now,
        )

    def downloaded(self, preview: CheckedPreview) -> LedgerEntry:
        """With its preview, which stands under its final name."""
        return replace(
            self,
            state=State.DOWNLOADED,
            retry_at=None,
            changed_at=time.time(),
            file=preview.name,
            sha256=preview.sha256,
            size=preview.size,
            clip_seconds=preview.seconds,
        )

    def without_preview(self) -> LedgerEntry:
        """Without its preview: matched where there is a hit, else pending."""
        return replace(
            self,
            state=State.PENDING if self.hit is None else State.MATCHED,
            changed_at=time.time(),
            file=None,
            sha256=None,
            size=None,
            clip_seconds=None,
        )

    def again(self) -> LedgerEntry:
        """Back at work. A failure keeps its hit; what a judgement ended is searched for anew."""
        hit = self.hit if self.state in FAILED else None
        entry = replace(self, hit=hit, reason="", tries=0, retry_at=None, score=None)
        return entry.without_preview()


@dataclass(frozen=True, slots=True)
class StoredReply:
    """A raw reply of a source about a song, as it is stored; `at` is Unix time."""

    song_id: str
    at: float
    source: str
    body: bytes
