"""Each command of earmark that a page shows exists, with the options that it is shown with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from earmark.cli import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = {"", "sh", "console", "bash"}
MADE_FROM_THE_CODE = {"cli.md", "CHANGELOG.md"}


def shown(page: Path) -> list[list[str]]:
    """The words behind `earmark` in each line of the page's blocks that calls it."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    found = []
    for language, block in BLOCK.findall(text):
        lines = block.splitlines() if language in SHELLS else []
        if any(line.startswith("$ ") for line in lines):  # the others are output
            lines = [line[2:] for line in lines if line.startswith("$ ")]
        found += [words[1:] for line in lines for words in commands(line) if words[0] == "earmark"]
    return found


def commands(line: str) -> Iterator[list[str]]:
    """The words of each command that a shell would run; nothing for a line that is no command."""
    if not re.search(r"(?:^|[|&;]\s*)earmark ", line):
        return
    tokens = shlex.shlex(line, posix=True, punctuation_chars=True)
    tokens.whitespace_split = True
    words: list[str] = []
    for token in [*tokens, ";"]:
        if set(token) <= set("();<>|&"):
            if words:
                yield words
            words = []
        else:
            words.append(token)


def unknown(words: list[str]) -> str | None:
    """What of a command line earmark does not have."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        if not words or words[0].startswith("-"):
            break
        name, *words = words
        found = command.get_command(None, name)
        if found is None:
            return name
        command = found
    known = {option for parameter in command.params for option in parameter.opts}
    known |= {"--help", "--install-completion", "--show-completion"}
    for word in words:
        if word.startswith("-") and word != "-" and word.partition("=")[0] not in known:
            return word
    return None


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in MADE_FROM_THE_CODE and shown(page)],
    ids=lambda page: page.name,
)
def test_the_commands_of_a_page_exist(page):
    assert [(words, lost) for words in shown(page) if (lost := unknown(words))] == []


def test_most_commands_are_shown_somewhere():
    named = {" ".join(words[:1]) for page in PAGES for words in shown(page)}
    assert {"tag", "library", "serve", "train", "evaluate", "data", "export"} <= named


def test_a_command_and_an_option_that_are_not_there_are_found():
    assert unknown(["library", "scam", "x"]) == "scam"
    assert unknown(["library", "scan", "x", "--quik"]) == "--quik"
    assert unknown(["tag", "x", "--top", "3"]) is None
