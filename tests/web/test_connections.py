"""Connections that keep the server waiting: they are ended, and whoever asks is answered."""

from __future__ import annotations

import io
import json
import logging
import socket
import sys
import time

import pytest
import requests
from web_server import Process, send, serving, wait_until

from earmark.web import connections, logs
from earmark.web.connections import ConnectionLimits
from earmark.web.limits import Limits

HALF = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n"  # a header without its end
ASK = HALF + b"\r\n"
LONG = {"header_seconds": 600.0, "stalled_seconds": 600.0}


@pytest.fixture
def connected():
    """Opens connections to a server, and closes them in the end."""
    opened = []

    def connect(port, *, start=b"", address="127.0.0.1"):
        connection = socket.create_connection(
            ("127.0.0.1", port), timeout=60, source_address=(address, 0)
        )
        opened.append(connection)
        connection.sendall(start)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def received(connection):
    """All that comes until the server ends the connection."""
    parts = []
    try:
        while part := connection.recv(4096):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("start", [b"", b"G", HALF, ASK + HALF])
def test_a_header_that_does_not_come_ends_its_connection(model, connected, start):
    with serving(model, connections=ConnectionLimits(header_seconds=0.3)) as server:
        answer = received(connected(server.port, start=start))
        assert answer[:12] == (b"HTTP/1.1 200" if start.startswith(ASK) else b"")
        assert requests.get(server.url + "/api/health", timeout=60).ok


def test_where_an_address_has_its_share_its_oldest_idle_connection_makes_room(model, connected):
    with serving(model, connections=ConnectionLimits(per_address=4, **LONG)) as server:
        idle = [connected(server.port) for _ in range(4)]
        assert requests.get(server.url + "/api/health", timeout=60).ok
        assert received(idle[0]) == b""
        idle[3].sendall(ASK)  # a later one was kept
        assert idle[3].recv(12) == b"HTTP/1.1 200"


@pytest.mark.skipif(sys.platform != "linux", reason="only here is all of 127.* this machine")
def test_many_idle_connections_of_one_address_leave_the_others_alone(model, connected):
    with serving(model, connections=ConnectionLimits(most=40, per_address=8, **LONG)) as server:
        neighbour = connected(server.port, address="127.0.0.2")
        idle = [connected(server.port, start=HALF) for _ in range(60)]
        assert [received(one) for one in idle[:52]] == [b""] * 52
        neighbour.sendall(ASK)
        assert neighbour.recv(12) == b"HTTP/1.1 200"


def test_a_connection_at_work_is_not_ended_for_a_new_one(model, connected):
    limits = Limits(decoders=1, upload_seconds=60)
    with serving(
        model, limits=limits, connections=ConnectionLimits(per_address=2, **LONG)
    ) as server:
        head = (
            b"POST /api/tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n"
            b"Content-Type: multipart/form-data; boundary=edge\r\n\r\n"
        )
        working = [connected(server.port, start=head) for _ in range(2)]
        wait_until(lambda: server.service.health()["under_way"] == 2)
        assert received(connected(server.port)) == b""
        working[0].sendall(b"x" * 50)
        assert working[0].recv(12) == b"HTTP/1.1 400"
        working[1].close()  # else the end of the server waits for it


def test_an_answer_that_is_not_read_ends_its_connection(model):
    with serving(model, connections=ConnectionLimits(stalled_seconds=0.3)) as server:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(
            b"GET /static/plotly.js HTTP/1.1\r\nHost: localhost\r\n\r\n"  # 4 MB
        )
        requests_of = server.service.metrics.registry.get_sample_value
        wait_until(
            lambda: bool(
                requests_of("earmark_request_seconds_count", {"route": "/static/plotly.js"})
            )
        )
        connection.close()


def test_one_client_of_a_proxy_leaves_room_for_the_others(model, song, connected):
    with serving(model, limits=Limits(decoders=1, waiting=4)) as server:
        head = (
            b"POST /api/tag HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.%d\r\n"
            b"Content-Length: 50\r\nContent-Type: multipart/form-data; boundary=edge\r\n\r\n"
        )
        slow = [connected(server.port, start=head % 1) for _ in range(2)]
        wait_until(lambda: server.service.health()["under_way"] == 2)
        files = {"file": ("a.mp3", song)}
        for last, status in ((1, 503), (2, 200)):
            answer = requests.post(
                server.url + "/api/tag", files=files, timeout=60,
                headers={"X-Forwarded-For": f"192.0.2.{last}"},
            )  # fmt: skip
            assert answer.status_code == status
            assert status == 200 or "from your address" in answer.json()["error"]["message"]
        for connection in slow:
            connection.close()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere other libraries need more handles")
def test_with_few_file_handles_it_still_answers_and_says_little(model, song, connected):
    with Process(model, handles=128) as server:
        port = int(server.url.rsplit(":", 1)[1])
        idle = [connected(port) for _ in range(520)]
        assert requests.get(server.url + "/api/health", timeout=60).ok
        assert send(server, song).status_code == 200
        assert len(idle) == 520
        assert len(server.lines) < 10


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file handles")
@pytest.mark.parametrize(
    ("soft", "hard", "most"),
    [(1024, 4096, 512), (256, 4096, 512), (256, 256, 128), (64, 64, 32), (-1, -1, 512)],
)
def test_half_of_the_file_handles_are_kept_for_other_things(monkeypatch, soft, hard, most):
    import resource

    given = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: given.append(both))
    limits = connections.limits_of_this_process()
    assert limits.most == most
    assert limits.per_address < most
    assert given == ([(min(1024, hard), hard)] if 0 < soft < 1024 else [])


def test_the_same_warning_is_logged_once_a_minute_and_says_how_often_it_came(monkeypatch):
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    handler.addFilter(logs.OncePerMinute())
    logger = logging.Logger("some.library")
    logger.addHandler(handler)
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])  # of logging, up to Python 3.12
    monkeypatch.setattr(time, "time_ns", lambda: int(now[0] * 1e9))  # and from 3.13 on
    for _ in range(500):
        logger.error("no more handles: %s", "accept")
        logger.info("a request")
    logger.error("another")
    now[0] += 61
    logger.error("no more handles: %s", "accept")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines if line["level"] == "info"] == ["a request"] * 500
    errors = [(line["event"], line.get("repeated")) for line in lines if line["level"] == "error"]
    assert errors == [
        ("no more handles: accept", None),
        ("another", None),
        ("no more handles: accept", 499),
    ]
