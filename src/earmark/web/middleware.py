"""What every request passes first: who asks, how much, how fast; and what every answer carries."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.files import json_line
from earmark.web import logs
from earmark.web.access import Access
from earmark.web.errors import HttpError, TooLarge, TooSlow
from earmark.web.service import Service

# Nothing from outside, nothing inline. plotly.js sets its styles through the document's own
# objects, which this allows.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# What is still read of a body that is refused, so that its sender reads the answer and does not
# meet a closed door in the middle of sending.
_LINGER_BYTES, _LINGER_SECONDS = 4_000_000, 2.0


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, *, service: Service, access: Access) -> None:
        self._app, self._service, self._access = app, service, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":
            scope = {**scope, "method": "GET"}  # the server leaves the body out of what is sent
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        own_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        body = _Body(receive, headers, self._service)
        async with self._recorded(scope, method, own_id, body) as answer:

            async def answering(message: Message) -> None:
                if message["type"] == "http.response.start":
                    answer["status"] = message["status"]
                    out = MutableHeaders(scope=message)
                    out["X-Request-ID"] = own_id
                    for name, value in _HEADERS.items():
                        out[name] = value
                    out.setdefault("Cache-Control", "no-store")
                    if method == "POST" and not body.is_whole:
                        out["Connection"] = "close"  # what may still come is not read
                await send(message)

            try:
                self._access.check(method, scope["path"], headers)
                body.check()
                if method == "POST":
                    with self._service.place():
                        await self._app(scope, body.receive, answering)
                else:
                    await self._app(scope, body.receive, answering)
            except HttpError as refusal:
                await _refuse(refusal, answering, body)

    @asynccontextmanager
    async def _recorded(
        self, scope: Scope, method: str, own_id: str, body: _Body
    ) -> AsyncIterator[dict[str, Any]]:
        """Log and count one request."""
        metrics = self._service.metrics
        answer: dict[str, Any] = {"status": 499}  # the sender left before an answer began
        started = time.monotonic()
        context = logs.request_id.set(own_id)
        try:
            yield answer
        finally:
            seconds = time.monotonic() - started
            route = getattr(scope.get("route"), "path", "other")
            metrics.requests.labels(route, answer["status"]).inc()
            metrics.seconds.labels(route).observe(seconds)
            metrics.uploaded.inc(body.n)
            logs.tell(
                "request",
                method=method,
                path=scope["path"],
                status=answer["status"],
                seconds=round(seconds, 4),
                bytes=body.n,
                client=(scope.get("client") or (None,))[0],
            )
            logs.request_id.reset(context)


class _Body:
    """The body of a request: counted, and cut off where it is too large or too slow."""

    def __init__(self, receive: Receive, headers: Headers, service: Service) -> None:
        self._receive, self._headers, self._limits = receive, headers, service.limits
        self._deadline: float | None = None
        self.is_whole = False
        self.n = 0

    def check(self) -> None:
        """Refuse a body that says it is too large."""
        stated = self._headers.get("content-length", "0")
        if not stated.isdecimal() or int(stated) > self._limits.upload_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message. Raises HTTPException with the Refusal as its detail."""
        if self.is_whole:
            return await self._receive()
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limits.upload_seconds
        try:
            message = await asyncio.wait_for(
                self._receive(), max(0.001, self._deadline - time.monotonic())
            )
        except TimeoutError:
            raise _as_http(
                TooSlow(
                    f"the upload did not arrive within {self._limits.upload_seconds:g} seconds. "
                    "Send a smaller file"
                )
            ) from None
        self.n += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self.n > self._limits.upload_bytes:
            raise _as_http(self._too_large())
        return message

    async def linger(self) -> None:
        """Read on for a little while, and forget it."""
        if "100-continue" in self._headers.get("expect", "").lower():
            return  # nothing is sent before we say so
        most = self.n + _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self.is_whole and self.n < most:
                    message = await self._receive()
                    self.n += len(message.get("body", b""))
                    self.is_whole = not message.get("more_body", False)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"an upload may have {self._limits.upload_mb:g} MB and no more. Send a compressed "
            "file, or a part of the song"
        )


def _as_http(refusal: HttpError) -> HTTPException:
    """A refusal in the clothes in which it passes through FastAPI's reading of a form."""
    return HTTPException(refusal.status, detail=refusal)  # type: ignore[arg-type]


async def _refuse(refusal: HttpError, send: Send, body: _Body) -> None:
    """Answer before the body was read."""
    content = json_line({"error": refusal.as_json()}).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **refusal.headers,
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": refusal.status, "headers": raw})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await body.linger()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
