"""The download of one small file: all of it within a deadline, or an error."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from earmark.errors import DownloadFailed

OnBytes = Callable[[int], None]  # called with the number of bytes that have newly arrived

SILENCE = 20.0  # seconds without a byte after which we give up on a server


def download(url: str, *, most: int, deadline: float, progress: OnBytes | None = None) -> bytes:
    """The bytes behind an address, or DownloadFailed within `deadline` seconds.

    most : bytes that are expected; of a larger file only a little more is fetched

    A read timeout alone does not stop a server that sends one byte at a time, even in its
    headers. So the fetch runs in a thread, which is abandoned when its time is up: it writes no
    file, and as a daemon it does not delay the end of the program.
    """
    import requests

    arrived: Future[bytes] = Future()
    given_up = threading.Event()

    def work() -> None:
        body = bytearray()
        try:
            with requests.get(
                url,
                stream=True,
                timeout=min(SILENCE, deadline),
                headers={"Accept-Encoding": "identity"},
            ) as response:
                if response.status_code != 200:
                    answer = f"{response.status_code} {response.reason}"
                    raise requests.HTTPError(f"the server answers {answer}")
                packed = response.headers.get("Content-Encoding", "identity")
                if packed != "identity":  # a few bytes of it may be gigabytes
                    raise requests.HTTPError(f"the server packs the file with {packed!r}")
                for chunk in response.iter_content(1 << 16):
                    body += chunk
                    if given_up.is_set() or len(body) > most:
                        break  # the caller has gone on, or this is certainly another file
                    if progress is not None:
                        progress(len(chunk))
            arrived.set_result(bytes(body))
        except BaseException as error:  # noqa: BLE001 - not swallowed: result() raises it below
            arrived.set_exception(error)

    threading.Thread(target=work, name=f"fetch {url}", daemon=True).start()
    try:
        return arrived.result(timeout=deadline)
    except requests.RequestException as error:
        why = _root_cause(error)
    except TimeoutError:
        why = f"it did not arrive within {deadline:g} seconds"
    finally:
        given_up.set()
    raise DownloadFailed(f"cannot fetch {url}: {why}")


def _root_cause(error: BaseException) -> str:
    """The cause below the layers of a network error, such as "Connection refused"."""
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "strerror", None) or error)
