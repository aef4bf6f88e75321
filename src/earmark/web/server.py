"""The server around the application: access, socket, signals, shutdown."""

from __future__ import annotations

import ipaddress
import re
import signal
import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from earmark.errors import BadValue
from earmark.web import connections, logs
from earmark.web.access import LOOPBACK, Access
from earmark.web.app import create_app
from earmark.web.service import Service
from earmark.web.shelf import Shelf

# Connections that the system accepts before the server has looked at them; so many may come at once
# beyond the limit of connections.
_BACKLOG = 128
_KEEP_ALIVE = 15  # seconds that a connection may idle
_SHUTDOWN_SECONDS = 120  # for requests under way, after SIGTERM or Ctrl-C


def access_for(
    host: str, *, token: str | None, allow_hosts: list[str], everyone: bool = False
) -> Access:
    """Who may use a server at that address.

    Raises BadValue for an address that others can reach, without a token and `everyone`.
    """
    if is_loopback(host):
        return Access(token, LOOPBACK | {host.lower()} | frozenset(map(str.lower, allow_hosts)))
    if not token and not everyone:
        raise BadValue(
            f"{host} can be reached from other machines. Set a token in the environment variable "
            "EARMARK_TOKEN, or give --everyone to let all use it without a token; and put a proxy "
            "with TLS in front, because earmark serves plain HTTP"
        )
    return Access(token or None, frozenset(map(str.lower, allow_hosts)) or None)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def listening(host: str, port: int) -> socket.socket:
    """A socket that accepts connections; port 0 chooses a free port.

    Raises BadValue for an address that cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise BadValue(
            f"cannot listen at {host} port {port} ({why}). Choose another with --port or --host"
        ) from error


def address(listener: socket.socket, *, root_path: str = "") -> str:
    """The address of the page."""
    host, port = listener.getsockname()[:2]
    return (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}") + root_path


def checked_root_path(path: str) -> str:
    """A path below which a proxy shows the server, without the slash at its end: "/earmark" or "".

    Raises BadValue for what is no path.
    """
    if path not in ("", "/") and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+/?", path):
        raise BadValue(
            f"{path!r} cannot be a root path. Give the path where the proxy shows earmark, such as "
            "/earmark"
        )
    return path.rstrip("/")


def settings(
    app: ASGIApp,
    *,
    port: int = 0,
    limits: connections.ConnectionLimits = connections.ConnectionLimits(),
) -> uvicorn.Config:
    """How uvicorn serves an application; the port is for who hands it no socket."""
    return uvicorn.Config(
        app,
        port=port,
        http=connections.protocol(limits),
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def serve(
    service: Service,
    listener: socket.socket,
    *,
    access: Access,
    root_path: str = "",
    shelf: Shelf | None = None,
) -> None:
    """Serve until SIGTERM or Ctrl-C; what is under way then is still answered."""
    logs.set_up(sys.stderr)
    app = create_app(service, access=access, root_path=root_path, shelf=shelf)
    server = uvicorn.Server(settings(app, limits=connections.limits_of_this_process()))

    def end(*_: object) -> None:
        server.should_exit = True

    # uvicorn, when it has ended, raises the signal again for the handler before its own; without
    # one the signal would kill a program that ended well
    signal.signal(signal.SIGTERM, end)
    # Several spectrograms are made at once, and their matrix products are small: the threads that
    # NumPy's BLAS adds spin while they wait for each other, which costs more than all other work.
    with threadpool_limits(1, user_api="blas"):
        server.run(sockets=[listener])
