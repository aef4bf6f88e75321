"""A visit of a page in a real browser; every other address is refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
if CHROMIUM is None:
    pytest.skip("no chromium here: apt install chromium", allow_module_level=True)

# Nothing but the server may be found; --no-sandbox because CI runs as root, in a container.
ARGUMENTS = ["--no-sandbox", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
WATCH = """window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push([event.effectiveDirective, event.sourceFile]));"""


@contextmanager
def opened(browser: Any, server: Any, path: str = "", **context: Any) -> Iterator[Any]:
    """A page of the server; in the end, nothing went wrong on it and nobody else was asked."""
    asked, wrong = [], []
    with browser.new_context(**context) as visit:
        page = visit.new_page()
        page.set_default_timeout(60_000)
        page.add_init_script(WATCH)
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(server.url + path)
        yield page
        violations = page.evaluate("window.violations")
    assert not wrong
    origin = server.url[: server.url.index("/", 8)] if "/" in server.url[8:] else server.url
    for address in asked:
        assert address.startswith((server.url, "blob:" + origin, "data:image/")), address
    for directive, source in violations:  # plotly.js tries to style an image inline
        assert directive.startswith("style-src")
        assert source.startswith(server.url.rstrip("/") + "/static/plotly.js")


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Wait for what a function says; not wait_for_function, whose eval the policy forbids."""
    for _ in range(600):
        if page.evaluate(expression, argument):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {expression}")
