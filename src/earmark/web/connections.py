"""Connections: how many there are, and how long one may keep the server waiting.

uvicorn limits how long a connection rests between two requests, not how long the first bytes, the
rest of a header or the reading of an answer take. Where there is no room for a new connection, the
one that has waited longest without a request makes room.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

from uvicorn.protocols.http.h11_impl import H11Protocol

from earmark.web import logs

_MOST = 512
_HANDLES_PER_CONNECTION = 2  # the second is the reserve: uploads on disk, pipes, libraries


@dataclass(frozen=True)
class ConnectionLimits:
    """Limits of the connections of a server.

    most : connections at once
    per_address : of them from one address
    header_seconds : until the header of a request is there
    stalled_seconds : that a client may read nothing of an answer that waits for it
    """

    most: int = _MOST
    per_address: int = 128
    header_seconds: float = 10.0
    stalled_seconds: float = 30.0


def limits_of_this_process() -> ConnectionLimits:
    """Limits that leave half of the file handles to everything else; the system's own limit of
    handles is raised for this process where that is allowed.
    """
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return ConnectionLimits()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _HANDLES_PER_CONNECTION * _MOST
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return ConnectionLimits()
    most = max(1, min(_MOST, soft // _HANDLES_PER_CONNECTION))
    return ConnectionLimits(most=most, per_address=max(1, most // 4))


def protocol(limits: ConnectionLimits) -> type[asyncio.Protocol]:
    """The HTTP protocol of uvicorn with these limits, for its option `http`."""
    return type("Connection", (_Connection,), {"limits": limits, "table": _Table(limits)})


class _Table:
    """The open connections: those that wait for a request, longest first, and those that work."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._waiting: dict[_Connection, None] = {}
        self._working: set[_Connection] = set()
        self._of_address: Counter[str] = Counter()

    def admit(self, new: _Connection) -> bool:
        """Whether there is room, after one that waits was closed if need be."""
        if self._of_address[new.address] >= self._limits.per_address:
            out = next((one for one in self._waiting if one.address == new.address), None)
        elif len(self._waiting) + len(self._working) >= self._limits.most:
            out = next(iter(self._waiting), None)
        else:
            out = new  # nobody has to leave
        if out is None:
            return False
        if out is not new:
            self.forget(out)
            out.transport.abort()
        self._of_address[new.address] += 1
        self._waiting[new] = None
        return True

    def note(self, one: _Connection) -> None:
        """Follow a connection from waiting to working and back."""
        if one.works and one in self._waiting:
            del self._waiting[one]
            self._working.add(one)
        elif not one.works and one in self._working:
            self._working.remove(one)
            self._waiting[one] = None

    def forget(self, one: _Connection) -> None:
        """Take a connection out; one that is not there stays out."""
        if one not in self._waiting and one not in self._working:
            return
        self._waiting.pop(one, None)
        self._working.discard(one)
        self._of_address[one.address] -= 1
        if not self._of_address[one.address]:
            del self._of_address[one.address]


class _Connection(H11Protocol):
    """One connection with its deadlines."""

    limits: ClassVar[ConnectionLimits]
    table: ClassVar[_Table]
    address = ""
    _header: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    @property
    def works(self) -> bool:
        """Whether a request is under way."""
        return self.cycle is not None and not self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.address = self.client[0] if self.client else ""
        if self.table.admit(self):
            self._follow()
        else:
            logs.log_event("no room for a connection", level=logging.WARNING, client=self.address)
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._header, self._reading):
            if timer is not None:
                timer.cancel()
        self.table.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._follow()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_reading()
        if self.conn.trailing_data[0]:
            self._follow()  # the begin of the next header came before the answer was sent
        else:
            self.table.note(self)

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._expect_reading()  # close() waits for what was not sent yet

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _follow(self) -> None:
        """Set or lift the deadline of the header."""
        self.table.note(self)
        if self.works:
            if self._header is not None:
                self._header.cancel()
                self._header = None
        elif self._header is None:
            wait = self.limits.header_seconds
            self._header = self.loop.call_later(wait, self.transport.abort)

    def _expect_reading(self) -> None:
        if self._reading is None:
            wait = self.limits.stalled_seconds
            self._reading = self.loop.call_later(wait, self.transport.abort)
