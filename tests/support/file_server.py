"""A file server on loopback that behaves as badly as it is told to.

with FileServer({"/a.h5": cut(body, keep=100)}) as server:
    fetch(server.url + "/a.h5")
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

Answer = Callable[["Handler"], None]


class FileServer:
    """Serves each path with its own answer, 404 where there is none; remembers what was asked.

    asked : the paths of all requests so far
    """

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers = dict(answers)
        self.asked: list[str] = []
        self.closing = threading.Event()  # answers that never end watch it
        self._http = _Server(self)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> FileServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()  # waits for the answers still under way


class Handler(BaseHTTPRequestHandler):
    """One request; `self.server.owner` is the FileServer."""

    server: _Server

    def do_GET(self) -> None:
        owner = self.server.owner
        owner.asked.append(self.path)
        try:
            owner.answers.get(self.path, status(404))(self)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client hung up, as impatient clients do

    do_HEAD = do_GET  # an answer looks at `command`

    def log_message(self, *_: object) -> None:
        """Say nothing: what was asked stands in `asked`."""

    def head(self, code: int = 200, **headers: object) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close joins them: no answer outlives its test

    def __init__(self, owner: FileServer) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.owner = owner


def whole(body: bytes) -> Answer:
    """The file as it should be."""

    def answer(handler: Handler) -> None:
        handler.head(Content_Length=len(body))
        handler.wfile.write(body)

    return answer


def parts(body: bytes) -> Answer:
    """The file, or the stretch of it that is asked for, as file servers and object stores do it."""

    def answer(handler: Handler) -> None:
        asked = handler.headers.get("Range")
        first, end = 0, len(body)
        if asked is not None:
            start, _, last = asked.removeprefix("bytes=").partition("-")
            first, end = int(start), min(int(last) + 1 if last else end, end)
        more = {} if asked is None else {"Content_Range": f"bytes {first}-{end - 1}/{len(body)}"}
        code = 200 if asked is None else 206
        handler.head(code, Accept_Ranges="bytes", Content_Length=end - first, **more)
        if handler.command == "GET":
            handler.wfile.write(body[first:end])

    return answer


def status(code: int) -> Answer:
    """Nothing but a status."""

    def answer(handler: Handler) -> None:
        handler.head(code, Content_Length=0)

    return answer


def redirect(path: str) -> Answer:
    """The file lies elsewhere."""

    def answer(handler: Handler) -> None:
        handler.head(302, Location=path, Content_Length=0)

    return answer


def cut(body: bytes, *, keep: int) -> Answer:
    """A transfer that announces its length and ends before it."""

    def answer(handler: Handler) -> None:
        handler.head(Content_Length=len(body))
        handler.wfile.write(body[:keep])

    return answer


def close_delimited(body: bytes) -> Answer:
    """A transfer without a length: its end is the end of the connection, cut or not."""

    def answer(handler: Handler) -> None:
        handler.head()
        handler.wfile.write(body)

    return answer


def drip(body: bytes, *, pause: float = 0.01) -> Answer:
    """The right file, one byte at a time."""

    def answer(handler: Handler) -> None:
        handler.head(Content_Length=len(body))
        _drip(handler, body, pause)

    return answer


def drip_head(*, pause: float = 0.01) -> Answer:
    """Headers, one byte at a time, without end."""

    def answer(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nX-Endless: ")
        _drip(handler, b"x" * 60_000, pause)

    return answer


def stall(body: bytes, *, keep: int, reached: threading.Event) -> Answer:
    """A part of the file, `reached` is set, then nothing more until the server closes."""

    def answer(handler: Handler) -> None:
        handler.head(Content_Length=len(body))
        handler.wfile.write(body[:keep])
        reached.set()
        handler.server.owner.closing.wait()

    return answer


def together(body: bytes, *, n_clients: int) -> Answer:
    """The file, as soon as this many clients wait for it at once."""
    barrier = threading.Barrier(n_clients, timeout=20)

    def answer(handler: Handler) -> None:
        barrier.wait()
        whole(body)(handler)

    return answer


def _drip(handler: Handler, data: bytes, pause: float) -> None:
    for byte in data:
        handler.wfile.write(bytes([byte]))
        if handler.server.owner.closing.wait(pause):
            return
