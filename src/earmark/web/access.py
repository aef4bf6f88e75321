"""Access control: which Host names, which origins, which token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from earmark.web.errors import NotAuthorised, WrongHost, WrongOrigin

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN = frozenset({"/api/health", "/api/openapi.json"})  # need no token: nothing of a song
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Access:
    """What a request must show.

    token : a secret that API requests carry as `Authorization: Bearer ...`; None needs none
    hosts : the accepted names in the Host header; None accepts any. On loopback this keeps out
        pages of other sites whose name is made to point at this machine (DNS rebinding).
    """

    token: str | None = field(default=None, repr=False)  # never in a log
    hosts: frozenset[str] | None = LOOPBACK

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Raise WrongHost, WrongOrigin or NotAuthorised for a request that is not allowed."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise WrongHost(
                f"this server does not answer to the host name {_name(host)!r}. To allow the name, "
                "start the server with --allow-host"
            )
        origin = headers.get("origin")
        if origin is not None and method not in _SAFE_METHODS and not _is_ours(origin, host):
            raise WrongOrigin(
                f"pages of {origin} may not use this server. Use its own page, or a program"
            )
        if self.token is None or path in _OPEN:
            return
        if path == "/metrics" or path.startswith("/api/"):
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not secrets.compare_digest(given.encode("latin-1", "replace"), self.token.encode()):
                raise NotAuthorised(
                    "the token is missing or wrong. Send it in the header "
                    "`Authorization: Bearer TOKEN`"
                )


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_ours(origin: str, host: str) -> bool:
    try:
        return urlsplit(origin).netloc.lower() == host.lower() != ""
    except ValueError:
        return False
