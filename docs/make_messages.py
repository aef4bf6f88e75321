"""Writes docs/reference/messages.md: the kinds of errors and warnings, and what to do about each.

python docs/make_messages.py [FILE]
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark import errors
from earmark.web import errors as web_errors

PAGE = Path(__file__).resolve().parent / "reference" / "messages.md"
HEAD = """# Messages
This page is made from the code (`make docs`). A message says what was given, what is wrong and what
to do next; its words may become better. The kind is for programs, and stays.

An error that ends a command is one line on stderr, `error: ...`, and exit code 1. An error of one
file or song stands in its own line, and the others go on; the exit code is then 3. In JSON it is
`{"path": ..., "error": {"kind": ..., "message": ...}}`. From Python it is an exception of
`earmark.errors`, whose `kind` is the word below. All exit codes: [exit-codes.md](exit-codes.md).
"""
ENDS, ONE_FILE = "1", "3: only this file fails"
# (what to do next, exit code) for each class that is raised
NEXT = {
    "BadValue": ("Correct the option, the setting or the array that the message names.", ENDS),
    "BadExpression": ("Correct the expression where the mark stands.", ENDS),
    "MissingExtra": ("Run the line that the message ends with.", ENDS),
    "UnreadableAudio": ("Play the file, fetch it again, or leave it out.", ONE_FILE),
    "WorkerDied": ("Try the file alone. Where many die, memory is short: use fewer `--workers`.",
                   f"{ONE_FILE}; {ENDS} where none can start"),
    "OutOfMemory": ("Play the file, or leave it out; a real one is heard with `--no-limits`.",
                    ONE_FILE),
    "Unexpected": ("Report it with the line, and with the file if you may.", ONE_FILE),
    "DownloadFailed": ("Check the network and try again, or fetch the file as the message says.",
                       ENDS),
    "ModelNotFound": ("`earmark models list` shows the names; `earmark models pull NAME` fetches.",
                      ENDS),
    "BadModel": ("Fetch or export the model again; for a newer version, update earmark.", ENDS),
    "FeatureMismatch": ("Make the spectrograms with the features that the message names.", ENDS),
    "LibraryError": ("Check the disk's space and the permissions of the library's folder.", ENDS),
    "BadLibrary": ("`earmark library scan DIR` makes a library; name another with `--library`.",
                   ENDS),
    "NotScanned": ("`earmark library scan DIR`, with the folder that holds the song.", ENDS),
    "UnwritableTags": ("Nothing was changed. Mend the file or its permissions, and write again.",
                       ONE_FILE),
    "DataError": ("What is finished is safe. Do what the message says, and run it again.", ENDS),
    "BadCatalog": ("Correct the line that the message names, or make the catalog again.", ENDS),
    "BadLedger": ("Move the ledger away and run `earmark data previews` again: it takes over the "
                  "previews.", ENDS),
    "NoAudio": ("Fetch the song or put it into the audio folder, then run with `--retry`.",
                ONE_FILE),
    "BadStore": ("`earmark data verify STORE` names the damage; `earmark data shards ... --repair` "
                 "mends it.", ENDS),
    "BadRecipe": ("Correct the key that the message names: [recipe.md](recipe.md).", ENDS),
    "FolderInUse": ("Wait for the other run, or end it; the message has its process.", ENDS),
}  # fmt: skip
BASES = {"EarmarkError", "ModelError"}  # are never raised themselves
# kind -> (what it means, what to do next), of the `warnings` of a track
WARNINGS = {
    "silent": ("It is silence; its tags mean nothing.", "Check that the file is the right one."),
    "steady": ("It is noise or hum throughout.", "Tags mean little; leave it out."),
    "speech": ("It is speech, not music.", "Tags mean little; leave it out."),
    "applause": ("It is applause.", "Tags mean little; leave it out."),
    "tone": ("It is one steady tone.", "Tags mean little; leave it out."),
    "cut_short": ("The file ends before it says that it does.",
                  "Tags are those of the part that is there. Fetch the file again."),
    "scale": ("The samples reach far beyond full scale.",
              "Divide integers by theirs, such as 32768 for 16 bits."),
}  # fmt: skip
SERVER_NEXT = {
    "NotAuthorised": "Send the token in the header `Authorization: Bearer TOKEN`.",
    "UnknownSong": "Give the id or the path of a song that was scanned.",
    "CannotConvert": "Scan again, or export the song again.",
    "WrongOrigin": "Use the server's own page, or a program.",
    "TooSlow": "Send it again over a faster line.",
    "TooLarge": "Send a smaller file; `--upload-mb` sets the limit.",
    "WrongHost": "Start the server with `--allow-host NAME`.",
    "TooLong": "Send a part, or ask for the beginning with `max_seconds`; `--minutes` sets the "
    "limit.",
    "TooCostly": "Convert the file first; `--decode-seconds` and `--decode-mb` set the limits.",
    "Busy": "Send it again after the seconds in the header `Retry-After`.",
}


def page() -> str:
    """The whole page."""
    return "\n".join(_parts())


def _parts() -> Iterator[str]:
    yield HEAD
    yield "## Errors\n| kind | what it means | what to do next | exit code |\n|---|---|---|---|"
    for error in classes(errors):
        if error.__name__ not in BASES:
            step, code = NEXT[error.__name__]
            yield f"| `{kind_of(error)}` | {meaning(error)} | {step} | {code} |"
    yield "\n## Errors of the server\nThe same JSON, with an HTTP status.\n"
    yield "| kind | status | what it means | what to do next |\n|---|---|---|---|"
    for error in classes(web_errors):
        if error is not web_errors.HttpError:
            step = SERVER_NEXT[error.__name__]
            yield f"| `{kind_of(error)}` | {error.status} | {meaning(error)} | {step} |"
    yield "\n## Warnings\nThe track is tagged; `warnings` in its line, `warning: ...` on stderr.\n"
    yield "| kind | what it means | what to do next |\n|---|---|---|"
    for kind, (what, step) in WARNINGS.items():
        yield f"| `{kind}` | {what} | {step} |"
    yield ""


def classes(module: object) -> list[type[Any]]:
    """The error classes that a module defines, in its order."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, errors.EarmarkError)
        and value.__module__ == getattr(module, "__name__", "")
    ]


def kind_of(error: Any) -> str:
    """The word that stands in JSON."""
    kind: str = error.__new__(error).kind
    return kind


def meaning(error: type) -> str:
    """The first line of its docstring, as a sentence."""
    return f"{(inspect.getdoc(error) or '').partition(chr(10))[0].rstrip('.')}."


def main() -> None:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    target.write_text(page(), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
