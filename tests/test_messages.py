"""Every message says what was given, what is wrong and what to do next, in words of the user.

All messages of the source are read here: the texts of errors that are raised and of what commands
say. docs/reference/messages.md has the kinds of both.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from runpy import run_path

import pytest

from earmark import errors

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
TREES = {
    path.relative_to(SOURCE).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted(SOURCE.rglob("*.py"))
}


@dataclass(frozen=True)
class Message:
    """A text that a user may read; {} stands for what is given at run time."""

    place: str
    error: str  # the class that is raised; "" for what a command says
    text: str
    code: tuple[str, ...]  # what is put in place of each {}

    @property
    def prose(self) -> str:
        """Without what stands in backquotes or quotes: that can be typed."""
        return re.sub(r"`[^`]*`|\"[^\"]*\"", "", self.text)


def parts(node: ast.expr | None) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The texts that an expression may give: f-strings, sums and either side of a choice."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value, ()
    elif isinstance(node, ast.JoinedStr):
        text, code = "", []
        for value in node.values:
            if isinstance(value, ast.Constant):
                text += str(value.value)
            elif isinstance(value, ast.FormattedValue):
                text += "{}"
                mark = "!r" if value.conversion == ord("r") else ""
                code.append(ast.unparse(value.value) + mark)
        yield text, tuple(code)
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        for left, of_left in parts(node.left):
            for right, of_right in parts(node.right):
                yield left + right, of_left + of_right
    elif isinstance(node, ast.IfExp):
        yield from parts(node.body)
        yield from parts(node.orelse)


def messages() -> Iterator[Message]:
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                call, error = node.exc, ast.unparse(node.exc.func).split(".")[-1]
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "say":
                call, error = node, ""
            else:
                continue
            for argument in call.args:
                for text, code in parts(argument):
                    yield Message(f"{file}:{node.lineno}", error, text, code)


# `assert`-like checks of our own code, and parts of messages that another error completes
INNER = {"ValueError", "EOFError", "AttributeError", "HTTPError", "_RefusedError", "_DecoderLost",
         "_Damaged", "MissingExtra"}  # fmt: skip
ALL = [message for message in messages() if message.error not in INNER]


def found(rule: str, said: list[Message]) -> list[str]:
    return [
        f"{message.place}: {message.text}" for message in said if re.search(rule, message.prose)
    ]


def test_the_messages_of_the_source_are_found():
    assert len(ALL) > 450
    assert any(message.text.startswith("no audio files in") for message in ALL)


def test_no_message_names_a_temporary_file_or_calls_anything_unexpected():
    assert [one.place for one in ALL if re.search(r"\.part\b|(?i:unexpected)", one.text)] == []
    assert "unexpected" not in str(errors.Unexpected("KeyError at tagger.py:12: 'x'", "trace"))


def test_no_message_names_a_class():
    ours = {node.name for tree in TREES.values() for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)}  # fmt: skip
    theirs = {name for name in vars(builtins) if re.match(r"[A-Z]\w+(Error|Exception)$", name)}
    words = {name for name in ours | theirs if re.search(r"[a-z_][A-Z]", name)} - PRODUCTS
    assert found(rf"\b({'|'.join(sorted(words))})\b", ALL) == []


PRODUCTS = {"ITunes", "CRNN"}  # of which a class has the name

# Names in messages that are a program's, and stand in files or code of the user's own.
IDENTIFIERS = {
    "clip_id", "mp3_path", "clip_info",  # columns and a file of MagnaTagATune
    "short_chunk",  # an example of a function that a user may have
}  # fmt: skip


def typed_names() -> set[str]:
    """Names that can be typed: arguments of functions, fields of settings, keys of recipes."""
    names = set()
    for tree in TREES.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                names.add(node.arg)
            elif isinstance(node, ast.ClassDef):
                names |= {field.target.id for field in node.body
                          if isinstance(field, ast.AnnAssign)
                          and isinstance(field.target, ast.Name)}  # fmt: skip
    return names


def test_an_identifier_in_a_message_is_one_that_can_be_typed():
    typed = typed_names() | IDENTIFIERS
    strangers = [
        f"{message.place}: {name}"
        for message in ALL
        for name in re.findall(r"(?<![\w./-])[a-z]+(?:_[a-z0-9]+)+\b(?!\()", message.prose)
        if name not in typed
    ]
    assert strangers == []


def test_no_message_holds_the_class_of_a_value_or_of_an_error():
    held = [one.place for one in ALL if any("__name__" in code for code in one.code)]
    # what a function of the user's own returned
    assert [place for place in held if "training/own_" not in place] == []
    # repr() of an error has its class, which only the report of a bug needs
    assert [one.place for one in ALL if "error!r" in one.code] == []


# What tells a next step: an imperative or what is right. One of these must be in the message, or
# in what is put into it, which is named here.
STEP = re.compile(
    r"\b(add|allow|ask|call|change|check|choose|convert|copy|correct|create|define|download|export|"
    r"fetch|free|give|install|keep|leave|loosen|lower|make|move|name|open|pack|pass|play|put|raise|"
    r"read|remove|rename|replace|report|resume|run|save|scan|see|send|set|start|take|train|try|"
    r"unset|update|upgrade|use|wait|write|must|should|can only|needs?|expected|goes? with)\b|`|\?",
    re.IGNORECASE,
)
STEP_IN = {"_ANYWAY", "_by_hand(name)", "by_hand", "what_to_do", "REPAIR", "_AGAIN", "_MAKE_ONE",
           "_PLAIN", "advice", "_message(error)"}  # fmt: skip
# whose messages name a value and its range, or are a reason that a longer message ends with
NEEDS_NO_STEP = {"", "BadValue", "BadParameter", "UserError", "Doubt", "NoAudio",
                 "RateLimited", "TransientFailure", "RequestRefused", "BadContent",
                 "Suspect"}  # fmt: skip


def test_an_error_says_what_to_do_next():
    without = [
        f"{message.place}: {message.error}: {message.text}"
        for message in ALL
        if message.error not in NEEDS_NO_STEP
        and not message.error.startswith("_")
        and not STEP.search(message.text)
        and not STEP_IN & set(message.code)
        and message.text.strip("{}: ;,") != ""  # another error's words, with a place before them
        and not message.place.startswith(REASONS)
    ]
    assert without == []


# each is put behind a path and before a next step by whoever calls it
REASONS = ("earmark/data/catalog/schema.py", "earmark/remote.py")


@pytest.fixture(scope="module")
def page():
    return run_path(str(ROOT / "docs" / "make_messages.py"))


def test_the_page_of_messages_is_the_one_it_makes(page):
    text = (ROOT / "docs/reference/messages.md").read_text(encoding="utf-8")
    assert text == page["page"](), "run: make docs"


def test_each_kind_of_error_and_of_warning_stands_on_the_page(page):
    names = {error.__name__ for error in page["classes"](errors)}
    assert names == page["NEXT"].keys() | page["BASES"]
    raised = {message.error for message in messages()}
    assert raised.isdisjoint(page["BASES"])
    kinds = {
        node.args[0].value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) == "Doubt"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    assert kinds == page["WARNINGS"].keys()
