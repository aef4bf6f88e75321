"""One file from the network, whole, within a deadline."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future

from earmark.errors import DownloadFailed

OnBytes = Callable[[int], None]  # told how many more bytes have arrived, again and again

SILENCE = 20.0  # seconds without a byte after which a server is given up


def download(url: str, *, most: int, deadline: float, progress: OnBytes | None = None) -> bytes:
    """The bytes behind an address, or DownloadFailed within `deadline` seconds.

    most : bytes that are wanted; of more, so much that the excess can be seen

    A read timeout alone does not stop a server that drips one byte at a time, be it in its
    headers. So the fetch runs in a thread that is left to itself when its time is up; it touches
    no file, and as a daemon it does not hold up the end of the program.
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
                for chunk in response.iter_content(1 << 16):
                    body += chunk
                    if given_up.is_set() or len(body) > most:
                        break  # nobody waits any more, or this is certainly another file
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
    """What lies under the layers of a network error: "Connection refused"."""
    while error.__context__ is not None:
        error = error.__context__
    return str(getattr(error, "strerror", None) or error)
