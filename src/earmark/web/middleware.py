"""The outermost middleware: checks, counts and logs each request, and sets response headers."""

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
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.files import json_line
from earmark.web import logs
from earmark.web.access import Access
from earmark.web.errors import HttpError, TooLarge, TooSlow
from earmark.web.service import Service

# Nothing from other sites, nothing inline. plotly.js sets its styles through the DOM, which this
# allows.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
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
# How much of a refused body is still read: a sender whose connection closes while it sends does not
# read the response.
_LINGER_BYTES, _LINGER_SECONDS = 4_000_000, 2.0


class GuardMiddleware:
    """Checks access and limits before the application runs; see Access and Limits.

    root_path : where a proxy shows the server, such as "/earmark", or ""; it may be in a request's
        path or not, because some proxies take it off
    """

    def __init__(
        self, app: ASGIApp, *, service: Service, access: Access, root_path: str = ""
    ) -> None:
        self._app, self._service, self._access = app, service, access
        self._root = root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or answer with an error."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], self._inner(scope["path"])
        # uvicorn leaves the body out of the answer to HEAD
        scope = {**scope, "method": "GET" if method == "HEAD" else method}
        scope |= {"root_path": self._root, "path": self._root + path}
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        body = _Body(receive, headers, self._service)
        async with self._recorded(scope, method, path, request_id, body) as response:

            async def send_with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    response["status"] = message["status"]
                    out = MutableHeaders(scope=message)
                    out["X-Request-ID"] = request_id
                    for name, value in _HEADERS.items():
                        out[name] = value
                    out.setdefault("Cache-Control", "no-store")
                    if method == "POST" and not body.is_whole:
                        out["Connection"] = "close"  # the rest of the body is not read
                await send(message)

            try:
                self._access.check(method, path, headers)
                body.check()
                if path == "":
                    await RedirectResponse(f"{self._root}/")(scope, receive, send_with_headers)
                elif method == "POST":
                    with self._service.slot(_client(scope)):
                        await self._app(scope, body.receive, send_with_headers)
                else:
                    await self._app(scope, body.receive, send_with_headers)
            except HttpError as error:
                await _send_error(error, send_with_headers, body)

    def _inner(self, path: str) -> str:
        """A path without the root path; "" is the root path without the slash after it."""
        inside = self._root and (path == self._root or path.startswith(f"{self._root}/"))
        return path.removeprefix(self._root) if inside else path

    @asynccontextmanager
    async def _recorded(
        self, scope: Scope, method: str, path: str, request_id: str, body: _Body
    ) -> AsyncIterator[dict[str, Any]]:
        """Log and count one request."""
        metrics = self._service.metrics
        response: dict[str, Any] = {"status": 499}  # the client left before a response began
        started = time.monotonic()
        context = logs.request_id.set(request_id)
        try:
            yield response
        finally:
            seconds = time.monotonic() - started
            route = getattr(scope.get("route"), "path", "other")
            metrics.requests.labels(route, response["status"]).inc()
            metrics.seconds.labels(route).observe(seconds)
            metrics.uploaded.inc(body.n)
            logs.log_event(
                "request",
                method=method,
                path=path,
                status=response["status"],
                seconds=round(seconds, 4),
                bytes=body.n,
                client=_client(scope),  # the last: deploy/fail2ban relies on it
            )
            logs.request_id.reset(context)


def _client(scope: Scope) -> str | None:
    """The address of the client; behind a proxy on this machine, the one that the proxy names."""
    address: str | None = (scope.get("client") or (None,))[0]
    return address


class _Body:
    """The body of a request: counted, and ended with an error where it is too large or too slow."""

    def __init__(self, receive: Receive, headers: Headers, service: Service) -> None:
        self._receive, self._headers, self._limits = receive, headers, service.limits
        self._deadline: float | None = None
        self.is_whole = False
        self.n = 0

    def check(self) -> None:
        """Raise TooLarge where Content-Length exceeds the limit."""
        stated = self._headers.get("content-length", "0")
        if not stated.isdecimal() or int(stated) > self._limits.upload_bytes:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next message. Raises HTTPException with an HttpError as its detail."""
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
                    f"the upload took longer than {self._limits.upload_seconds:g} seconds. Send a "
                    "smaller file"
                )
            ) from None
        self.n += len(message.get("body", b""))
        self.is_whole = not message.get("more_body", False)
        if self.n > self._limits.upload_bytes:
            raise _as_http(self._too_large())
        return message

    async def linger(self) -> None:
        """Read on for a short time, and discard it."""
        if "100-continue" in self._headers.get("expect", "").lower():
            return  # the client sends nothing before it is told to continue
        most = self.n + _LINGER_BYTES
        with suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_SECONDS):
                while not self.is_whole and self.n < most:
                    message = await self._receive()
                    self.n += len(message.get("body", b""))
                    self.is_whole = not message.get("more_body", False)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"the upload is larger than {self._limits.upload_mb:g} MB. Send a compressed file, or "
            "a part of the song"
        )


def _as_http(error: HttpError) -> HTTPException:
    """An error wrapped so that it passes through FastAPI's form parser unchanged."""
    return HTTPException(error.status, detail=error)  # type: ignore[arg-type]


async def _send_error(error: HttpError, send: Send, body: _Body) -> None:
    """Answer with an error before the body was read."""
    content = json_line({"error": error.as_json()}).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **error.headers,
    }
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": raw})
    await send({"type": "http.response.body", "body": content, "more_body": True})
    await body.linger()
    await send({"type": "http.response.body", "body": b"", "more_body": False})
