"""Who may ask: by which name of this server, from which page, with which token."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from earmark.web.errors import NotAuthorised, WrongHost, WrongOrigin

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_OPEN = frozenset({"/api/health", "/api/openapi.json"})  # no token needed: they tell of no song
_SAFE_METHODS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True)
class Access:
    """What a request must show.

    token : a secret that API requests carry as `Authorization: Bearer ...`; None asks for none
    hosts : the names in a request's Host header that are answered; None is any. On loopback this
        keeps out pages of other sites that point a name of theirs at this machine (DNS rebinding).
    """

    token: str | None = None
    hosts: frozenset[str] | None = LOOPBACK

    def check(self, method: str, path: str, headers: Mapping[str, str]) -> None:
        """Raise WrongHost, WrongOrigin or NotAuthorised for a request that is not let in."""
        host = headers.get("host", "")
        if self.hosts is not None and _name(host) not in self.hosts:
            raise WrongHost(
                f"this server does not go by the name {_name(host)!r}. If it should, start it with "
                "--allow-host and that name"
            )
        origin = headers.get("origin")
        if origin is not None and method not in _SAFE_METHODS and not _is_ours(origin, host):
            raise WrongOrigin(
                f"a page of {origin} may not use this server: only its own page may, and programs"
            )
        if self.token is None or path in _OPEN:
            return
        if path == "/metrics" or path.startswith("/api/"):
            given = headers.get("authorization", "").removeprefix("Bearer ").strip()
            if not secrets.compare_digest(given.encode("latin-1", "replace"), self.token.encode()):
                raise NotAuthorised(
                    "this server asks for a token: send it in the header "
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
