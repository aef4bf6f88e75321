"""Fuzzing with hypothesis: values of any shape, and documents and files that are damaged.

In CI each reader has some hundred inputs. EARMARK_FUZZ_SECONDS gives each so many seconds instead:

    EARMARK_FUZZ_SECONDS=600 pytest tests/*/test_fuzzed.py --timeout 0

benchmarks/fuzzing.py lets coverage guide the inputs instead.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark.errors import EarmarkError

SECONDS = float(os.environ.get("EARMARK_FUZZ_SECONDS", "0"))
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]

numbers = st.integers() | st.floats() | st.sampled_from([0, 1, -1, 2**63, 1e308, 1e-320])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=20)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


def fuzzed(strategy: st.SearchStrategy[Any], check: Callable[[Any], object], n: int) -> None:
    """Give some of what the strategy makes to `check`, for SECONDS or n times."""

    @settings(max_examples=n, deadline=None, suppress_health_check=QUIET)
    @given(strategy)
    def one(value: Any) -> None:
        with suppress(EarmarkError):
            check(value)

    one()
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        one()


def mutated(document: Any) -> st.SearchStrategy[Any]:
    """The document with some of its values, at any depth, replaced, removed or added to."""
    places = list(_places(document, ()))

    def apply(changes: list[tuple[tuple[Any, ...], str, Any]]) -> Any:
        changed = json.loads(json.dumps(document))
        for place, kind, value in changes:
            inner = changed
            try:
                for step in place[:-1]:
                    inner = inner[step]
                if kind == "remove":
                    del inner[place[-1]]
                elif kind == "replace":
                    inner[place[-1]] = value
                else:
                    inner[place[-1]][str(value)] = value
            except (KeyError, IndexError, TypeError):
                continue  # an earlier change has taken the place
        return changed

    kinds = st.sampled_from(["replace", "remove", "add"])
    change = st.tuples(st.sampled_from(places), kinds, values)
    return st.lists(change, min_size=1, max_size=4).map(apply)


def _places(value: Any, place: tuple[Any, ...]) -> Any:
    steps = value.items() if isinstance(value, dict) else enumerate(value)
    for step, inner in steps:
        yield (*place, step)
        if isinstance(inner, dict | list):
            yield from _places(inner, (*place, step))


class Damaged(bytes):
    """A damaged file, shown as what was changed: its bytes are too many to print."""

    changes: list[tuple[float, int, bytes]]

    def __repr__(self) -> str:
        return f"Damaged({self.changes})"


def damaged(data: bytes) -> st.SearchStrategy[bytes]:
    """The bytes with some of them changed, cut out, or doubled."""

    def apply(changes: list[tuple[float, int, bytes]]) -> bytes:
        out = bytearray(data)
        for share, length, new in changes:
            start = int(share * len(out))
            out[start : start + length] = new
        made = Damaged(out)
        made.changes = changes
        return made

    change = st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 40), st.binary(max_size=8))
    return st.lists(change, min_size=1, max_size=5).map(apply)
