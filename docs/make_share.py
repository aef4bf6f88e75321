"""Writes share/: the man page and the completions of bash, zsh and fish, from the commands.

python docs/make_share.py [FOLDER]

A wheel lays them where man and the shells look, below the folder that it is installed into;
packagers find them in the source distribution.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from earmark import __version__
from earmark.cli import app
from earmark.cli.terminal import EXIT_MEANINGS
from earmark.environment import VARIABLES

FOLDER = Path(__file__).resolve().parents[1] / "share"
MAN_PAGE = "man/man1/earmark.1"
COMPLETIONS = {
    "bash": "bash-completion/completions/earmark",
    "zsh": "zsh/site-functions/_earmark",
    "fish": "fish/vendor_completions.d/earmark.fish",
}
PLACEHOLDERS = {
    "int": "N", "int range": "N", "float": "NUMBER", "float range": "NUMBER", "str": "TEXT",
    "path": "PATH", "Path": "PATH",
}  # fmt: skip
EXAMPLES = (
    ("earmark tag song.mp3", "The tags of a song."),
    (
        "earmark tag --json ~/Music > tags.jsonl",
        "Those of every song below a folder, for a script.",
    ),
    ("earmark library scan ~/Music", "Hear a music folder once."),
    ('earmark library playlist "jazz, not sad" -o jazz.m3u8', "A playlist from it."),
    ("earmark serve", "The page where songs are dropped."),
)


def files() -> dict[str, str]:
    """The text of each file, by its path below share/."""
    made = {shell_file: completion(shell) for shell, shell_file in COMPLETIONS.items()}
    return {MAN_PAGE: man_page(), **made}


def completion(shell: str) -> str:
    """The script that a shell reads to complete `earmark`."""
    done = subprocess.run(
        [sys.executable, "-m", "earmark"],
        env={**os.environ, "_EARMARK_COMPLETE": f"source_{shell}"},
        capture_output=True, text=True, encoding="utf-8", check=True,
    )  # fmt: skip
    return f"{done.stdout.strip()}\n"


def man_page() -> str:
    """The man page, in roff: one page with all commands."""
    return "".join(f"{line}\n" for line in _man_lines())


def _man_lines() -> Iterator[str]:
    group = typer.main.get_command(app)
    root = type(group).context_class(group, info_name="earmark")
    yield '.\\" Made from the code: make docs'
    yield f'.TH EARMARK 1 "" "earmark {__version__}" "User Commands"'
    yield from (".SH NAME", r"earmark \- listen to music and say what is heard")
    yield from (".SH SYNOPSIS", *_usage(group, root))
    yield from (".SH DESCRIPTION", *_prose(group.help or ""))
    yield "Answers go to stdout, messages and progress to stderr."
    yield from (".SH OPTIONS", *_parameters(group, root))
    yield ".SH COMMANDS"
    yield from _commands(group, root)
    yield ".SH EXIT STATUS"
    for code, meaning in EXIT_MEANINGS.items():
        yield from _entry(str(int(code)), meaning)
    yield ".SH ENVIRONMENT"
    for name, meaning in VARIABLES.items():
        yield from _entry(name, meaning)
    yield ".SH EXAMPLES"
    for command, meaning in EXAMPLES:
        yield from (".PP", *_prose(meaning), ".PP", ".RS 4", ".nf", roff(command), ".fi", ".RE")
    yield from (".SH SEE ALSO", ".BR beet (1),", ".BR ffmpeg (1)", ".PP")
    yield roff("https://github.com/earmark-music/earmark")


def _commands(group: Any, context: Any) -> Iterator[str]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command.hidden:
            continue
        own = type(command).context_class(command, info_name=name, parent=context)
        yield f'.SS "{roff(own.command_path)}"'
        yield from _usage(command, own)
        yield ".PP"
        yield from _prose(command.help)
        yield from _parameters(command, own)
        if hasattr(command, "list_commands"):
            yield from _commands(command, own)


def _usage(command: Any, context: Any) -> Iterator[str]:
    pieces = " ".join(command.collect_usage_pieces(context))
    yield f"\\fB{roff(context.command_path)}\\fR {roff(_placeholders(pieces))}"


def _parameters(command: Any, context: Any) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            is_argument = parameter.param_type_name == "argument"
            term = record[0].partition(" <")[0] if is_argument else record[0]
            yield from _entry(_placeholders(term), record[1])


def _placeholders(usage: str) -> str:
    """What stands for a value: a word, and no type of Python."""
    return re.sub(
        r"<(?:list\[)?([\w ]+)\]?>", lambda kind: PLACEHOLDERS.get(kind[1], kind[1].upper()), usage
    )


def _entry(term: str, words: str) -> Iterator[str]:
    yield from (".TP", f"\\fB{roff(term)}\\fR", *_prose(words))


def _prose(text: str) -> Iterator[str]:
    """Paragraphs of help; what stands in backquotes is bold."""
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        yield re.sub(r"`([^`]+)`", r"\\fB\1\\fR", roff(" ".join(paragraph.split())))


def roff(text: str) -> str:
    """Text as roff shows it: hyphens that can be copied, no line that begins as a request."""
    text = text.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    for name, text in files().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
