"""How many songs a second the ledger takes through their states: python -m benchmarks.ledger_speed.

Each song is claimed and goes pending -> matched (with its raw reply of 10 hits) -> downloaded, in
batches as a run writes them; a transition is one song going from one state to the next.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from earmark.data.matching.hit import Hit
from earmark.data.previews.entry import LedgerEntry, State, StoredReply
from earmark.data.previews.ledger import Ledger

SPLIT = 242_854  # songs of the Million Song split that the project trains on
BATCH = 64  # as many as a run of 8 connections has in flight
HIT = Hit("Artist", "Title", "Album", 200.0, "https://example.org/preview.m4a", "123456", "song")
REPLY = json.dumps({"resultCount": 10, "results": [vars(HIT)] * 10}).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":", maxsplit=1)[0])
    parser.add_argument("--songs", type=int, default=SPLIT, help="in the ledger")
    parser.add_argument("--through", type=int, default=20_000, help="taken through their states")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        with Ledger.open(path, make=True) as ledger:
            started = time.perf_counter()
            ledger.add(
                LedgerEntry(f"TR{i:08}", f"Artist {i}", f"Title {i}") for i in range(options.songs)
            )
            adding = time.perf_counter() - started

            started = time.perf_counter()
            n_transitions = 0
            while n_transitions < 2 * options.through:
                claimed = ledger.claim(BATCH, seconds=600)
                matched = [
                    replace(entry, state=State.MATCHED, hit=HIT, hit_at=time.time(), score=1.0)
                    for entry in claimed
                ]
                answers = [StoredReply(entry.id, time.time(), "itunes", REPLY) for entry in claimed]
                ledger.put(matched, answers)
                ledger.put(
                    replace(entry, state=State.DOWNLOADED, file=f"{entry.id}.m4a", sha256="0" * 64)
                    for entry in matched
                )
                n_transitions += 2 * len(claimed)
                if not claimed:
                    break
            seconds = time.perf_counter() - started
    print(f"{options.songs} songs added in {adding:.1f} s")
    print(f"{n_transitions} transitions in {seconds:.1f} s: {n_transitions / seconds:.0f} a second")


if __name__ == "__main__":
    main()
