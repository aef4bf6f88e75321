"""Every package that earmark brings stands on the page of licences, under its own licence."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from runpy import run_path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
MADE = run_path(str(ROOT / "docs" / "make_licences.py"))
LICENCES = {name: text for packages in MADE["LICENCES"].values() for name, text in packages.items()}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def brought_by(lines: Iterable[str], seen: set[str] | None = None) -> Iterator[Distribution]:
    """The installed packages that requirements bring, and those that they bring in turn."""
    seen = set() if seen is None else seen
    for requirement in map(Requirement, lines):
        key = f"{normal(requirement.name)}[{','.join(sorted(requirement.extras))}]"
        if key in seen or normal(requirement.name) == "earmark":
            continue
        seen.add(key)
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:  # of another system, or an extra that is not installed
            continue
        yield found
        further = map(Requirement, found.requires or ())
        wanted = [
            one
            for one in further
            if one.marker is None
            or any(one.marker.evaluate({"extra": extra}) for extra in {"", *requirement.extras})
        ]
        for one in wanted:
            one.marker = None
        yield from brought_by(map(str, wanted), seen)


OURS = [
    *PROJECT["dependencies"],
    *(line for extra in EXTRAS if extra not in ("dev", "docs") for line in EXTRAS[extra]),
]
INSTALLED = {normal(one.name): one for one in brought_by(OURS)}


def test_every_package_that_is_brought_has_its_licence_on_the_page():
    assert len(INSTALLED) > 80
    assert INSTALLED.keys() - LICENCES.keys() == set(), "add it to docs/make_licences.py"


def test_the_licences_are_those_that_the_packages_state():
    stated = {name: one.metadata.json.get("license_expression") for name, one in INSTALLED.items()}
    assert {name: LICENCES[name] for name, text in stated.items() if text and name != "av"} == {
        name: text for name, text in stated.items() if text and name != "av"
    }


def test_no_package_is_less_free_than_the_page_says():
    """By the words of older metadata, which has no SPDX expression."""
    for name, one in INSTALLED.items():
        words = [one.metadata.json.get("license", ""), *one.metadata.json.get("classifier", ())]
        told = " ".join(line.splitlines()[0] for line in words if line)
        for short, long in (("GPL", "General Public License"), ("MPL", "Mozilla Public License")):
            if re.search(rf"{short}|{long}", told):
                assert short in LICENCES[name], name


@pytest.mark.skipif(sys.platform != "linux", reason="looks into the wheel for Linux")
def test_the_wheel_of_av_still_holds_what_the_page_says_of_it():
    import av

    libraries = Path(av.__file__).parents[1] / "av.libs"
    if not libraries.is_dir():
        pytest.skip("av was not installed from its wheel")
    there = {path.name.partition("-")[0] for path in libraries.iterdir()}
    assert {"libx264", "libx265", "libmp3lame", "libgnutls", "libgmp", "libavcodec"} <= there


def test_the_page_of_licences_is_the_one_it_makes():
    page = (ROOT / "docs/reference/licences.md").read_text(encoding="utf-8")
    assert page == MADE["page"](), "run: make docs"


def test_each_copyleft_package_is_spoken_of():
    copyleft = {name for name, text in LICENCES.items() if re.search("GPL|MPL", text)}
    assert copyleft <= MADE["HOLDS"].keys()
    for name in copyleft - {"certifi", "tqdm"}:
        assert f"`{name}`" in MADE["HEAD"]
