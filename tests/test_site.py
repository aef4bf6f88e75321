"""The documentation as a site: it builds, its navigation has every page, and links hold."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
SETTINGS = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
ON_GITHUB = SETTINGS["repo_url"] + "/blob/main/"


def in_navigation(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for inner in entry.values() if isinstance(entry, dict) else entry:
            yield from in_navigation(inner)


def test_the_navigation_has_every_page_once():
    assert sorted(in_navigation(SETTINGS["nav"])) == sorted(
        page.relative_to(DOCS).as_posix() for page in PAGES
    )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_out_of_the_docs_is_the_address_of_a_file_that_is_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if target.startswith(ON_GITHUB):
            assert (ROOT / target.removeprefix(ON_GITHUB)).exists(), target
        elif "://" not in target:
            assert (page.parent / target).resolve().is_relative_to(DOCS), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_list_and_a_table_begin_after_an_empty_line(page):
    """Else the site shows them as one paragraph, unlike GitHub."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for before, line in zip(text.splitlines(), text.splitlines()[1:], strict=False):
        for begin in (r"\s*(?:[-*]|\d+\.) ", r"\|"):
            if re.match(begin, line) and not re.match(rf"$|#|{begin}|\s", before):
                pytest.fail(f"no empty line before: {line}")


class Page(HTMLParser):
    """The ids of a page's elements, and the links in its article."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.in_article = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        found = dict(attributes)
        self.ids.add(found.get("id") or "")
        self.in_article = self.in_article or tag == "article"
        if self.in_article and tag == "a":
            self.links.append(found.get("href") or "")

    def handle_endtag(self, tag: str) -> None:
        self.in_article = self.in_article and tag != "article"


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A function that builds the site of a copy of the docs, which `change` may change before."""
    if importlib.util.find_spec("zensical") is None:
        pytest.skip("no zensical here, which builds the site: pip install 'earmark[docs]'")

    def built(change=None):
        folder = tmp_path_factory.mktemp("site")
        shutil.copytree(DOCS, folder / "docs")
        shutil.copy(ROOT / "zensical.toml", folder)
        if change is not None:
            change(folder)
        done = subprocess.run(
            [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
            cwd=folder, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
        return done, folder / SETTINGS["site_dir"]

    return built


def test_the_site_builds_and_each_link_leads_to_its_place(build):
    done, site = build()
    assert done.returncode == 0, done.stdout + done.stderr
    parsed = {}
    for path in site.rglob("*.html"):
        parsed[path] = Page()
        parsed[path].feed(path.read_text(encoding="utf-8"))
    assert len(parsed) > len(PAGES)
    lost = []
    for path, page in parsed.items():
        for link in page.links:
            target, place = urldefrag(link)
            if "://" in link or path.name == "404.html" or target.startswith("mailto:"):
                continue
            to = (path.parent / unquote(target)).resolve() if target else path
            if not to.exists() or (place and to in parsed and unquote(place) not in parsed[to].ids):
                lost.append(f"{path.name}: {link}")
    assert lost == []


def test_a_dead_link_fails_the_build(build):
    def change(folder: Path) -> None:
        with (folder / "docs" / "index.md").open("a", encoding="utf-8") as page:
            page.write("\n[gone](guides/gone.md)\n")

    done, _ = build(change)
    assert done.returncode != 0
    assert "does not exist" in done.stdout + done.stderr
