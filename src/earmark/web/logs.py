"""The log: one JSON object a line on stderr, for each request and each other event."""

from __future__ import annotations

import json
import logging
import time
from contextvars import ContextVar
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
log = logging.getLogger("earmark.web")


class JsonLines(logging.Formatter):
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


def set_up(stream: Any) -> None:
    """Send our log, and uvicorn's, to a stream as JSON lines. Only a program may call this."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name, level in (("earmark.web", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
