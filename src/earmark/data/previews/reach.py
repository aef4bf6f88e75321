"""The addresses that a download may ask: the hosts that its source names, and no others.

A reply says where a preview is, and may say anything. So every request, also after a redirect, goes
by https to a host of the source at a public address, or to the endpoint that the user gave.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from earmark.data.previews.failures import RequestRefused

if TYPE_CHECKING:
    import httpx2

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in its last four bytes


@dataclass(frozen=True)
class Reach:
    """What may be asked.

    hosts : domains of the source; each means its subdomains too, by https, at public addresses
    endpoint : an address that the user gave: its scheme, host and port are asked wherever they lead
    """

    hosts: tuple[str, ...] = ()
    endpoint: str = ""

    async def guard(self, request: httpx2.Request) -> None:
        """A hook before each request and each redirect; looks at the connection before it is used.

        Raises RequestRefused, for good.
        """
        url = request.url
        if self.endpoint and _origin(self.endpoint) == (url.scheme, url.host, _port(url)):
            return
        named = any(url.host == host or url.host.endswith(f".{host}") for host in self.hosts)
        if not named or url.scheme != "https" or _port(url) != _PORTS["https"]:
            allowed = ", ".join(f"https://*.{host}" for host in self.hosts) or "none"
            raise _refused(
                str(url), f"this source has its files elsewhere ({allowed})", self.endpoint
            )
        request.extensions["trace"] = _checked_connection(url.host, self.endpoint)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the internet, and not to this machine or its network."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        last = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None
        within = ip.ipv4_mapped or ip.sixtofour or last
        if within is not None:
            return is_public(str(within))
    return ip.is_global and not ip.is_multicast


def _checked_connection(host: str, endpoint: str) -> Callable[[str, Any], Awaitable[None]]:
    """A callback of httpx2's `trace`: closes a new connection that leads to no public address.

    The address that is looked at is that of the open connection, so that no second look-up can give
    another one. Where the user's proxy connects, it is the proxy that looks the host up.
    """
    connecting_to = ""

    async def trace(event: str, info: Any) -> None:
        nonlocal connecting_to
        if event == "connection.connect_tcp.started":
            connecting_to = info["host"]
        elif event == "connection.connect_tcp.complete" and connecting_to == host:
            stream = info["return_value"]
            address = stream.get_extra_info("server_addr")[0]
            if not is_public(address):
                await stream.aclose()
                raise _refused(host, f"it has the address {address}, which is not public", endpoint)

    return trace


def _refused(what: str, why: str, endpoint: str) -> RequestRefused:
    rest = f", and asks nothing else than {endpoint}" if endpoint else ""
    return RequestRefused(f"{what} cannot be requested: {why}{rest}", gone=True)


def _port(url: httpx2.URL) -> int | None:
    return url.port or _PORTS.get(url.scheme)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(address)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
