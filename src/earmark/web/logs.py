"""The log: one JSON object a line on stderr, for each request and each other event."""

from __future__ import annotations

import json
import logging
import math
import time
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
log = logging.getLogger("earmark.web")

_REPEATS_SECONDS = 60.0  # within them the same warning is left out
_MOST_KEYS, _LONGEST_KEY = 1000, 300


class JsonFormatter(logging.Formatter):
    """Log records as JSON: time, level, event, request_id, and further facts."""

    def format(self, record: logging.LogRecord) -> str:
        """One line; names of files are escaped, so that no name can forge a line."""
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{round(record.msecs) % 1000:03d}Z",
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        if request_id.get() is not None:
            line["request_id"] = request_id.get()
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_event(event: str, *, level: int = logging.INFO, **facts: Any) -> None:
    """Log an event with its facts."""
    log.log(level, event, extra={"facts": facts})


class OncePerMinute(logging.Filter):
    """Lets the first of the same warnings and errors through, and says later how many followed.

    Where file handles or memory run out, the same line may come thousands of times a second.
    """

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, tuple[float, int]] = {}  # when it was written, how often left out

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is written."""
        if record.levelno < logging.WARNING:
            return True
        error = record.exc_info[1] if record.exc_info else None
        key = f"{record.name} {record.levelno} {record.msg} {error!r}"[:_LONGEST_KEY]
        written, left_out = self._last.get(key, (-math.inf, 0))
        if record.created - written < _REPEATS_SECONDS:
            self._last[key] = (written, left_out + 1)
            return False
        if len(self._last) >= _MOST_KEYS:
            self._last.clear()
        self._last[key] = (record.created, 0)
        if left_out:
            facts = getattr(record, "facts", {})
            record.facts = {**facts, "repeated": left_out}
        return True


def set_up(stream: Any) -> None:
    """Send our log, and those of uvicorn and asyncio, to a stream as JSON lines. Only a program may
    call this.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(OncePerMinute())
    levels = {"earmark.web": logging.INFO, "uvicorn": logging.WARNING, "asyncio": logging.WARNING}
    for name, level in levels.items():
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
