"""`earmark serve`: the page and the API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import typer

from earmark.cli.options import ModelName
from earmark.cli.terminal import say
from earmark.web import require_libraries
from earmark.web.limits import Limits

Host = Annotated[str, typer.Option(help="The address to listen at; this machine only by default.")]
Port = Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 chooses a free one.")]
Token = Annotated[
    str | None,
    typer.Option(
        envvar="EARMARK_TOKEN",
        help="A secret that API requests must carry. Set it in the environment variable: other "
        "users of the machine can see a command line.",
    ),
]
Everyone = Annotated[
    bool,
    typer.Option("--everyone", help="Allow access from other machines without a token."),
]
AllowHost = Annotated[
    list[str] | None,
    typer.Option(metavar="HOST", help="Another accepted host name, such as that of a proxy."),
]
_OWN = ""  # --library without a file
LibraryFile = Annotated[
    str | None,
    typer.Option(
        metavar="[FILE]",
        help="Show a scanned library too, by default your own: search it, play it, correct it.",
    ),
]
RootPath = Annotated[
    str,
    typer.Option(metavar="/PATH", help="Where a proxy shows the server, such as /earmark."),
]
UploadMb = Annotated[float, typer.Option(min=0.001, help="Largest upload, in MB.")]
UploadSeconds = Annotated[float, typer.Option(min=0.1, help="Seconds for an upload to arrive.")]
Minutes = Annotated[float, typer.Option(min=0.01, help="Longest song, in minutes.")]
DecodeSeconds = Annotated[float, typer.Option(min=0.01, help="Seconds to decode one file.")]
DecodeMb = Annotated[
    float, typer.Option(min=1, help="Memory to decode one file, in MB (enforced on Linux).")
]
Waiting = Annotated[
    int, typer.Option(min=1, help="Requests under way at once; more are answered with 503.")
]
Decoders = Annotated[
    int, typer.Option(min=0, help="Processes that decode; 0 is one for each core.")
]

_DEFAULT = Limits()


class _Serve(typer.core.TyperCommand):
    """A command whose option --library needs no value, which Typer's own options always do."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Give --library the value _OWN where no file follows it."""
        given: list[str] = []
        for word, following in pairwise([*args, "-"]):
            given.append(word)
            if word == "--library" and following.startswith("-"):
                given.append(_OWN)
        return super().parse_args(ctx, given)


def add_commands(app: typer.Typer) -> None:
    """Mount `serve`."""
    app.command("serve", cls=_Serve)(serve)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8000,
    model: ModelName = None,
    token: Token = None,
    everyone: Everyone = False,
    allow_host: AllowHost = None,
    library: LibraryFile = None,
    root_path: RootPath = "",
    upload_mb: UploadMb = _DEFAULT.upload_mb,
    upload_seconds: UploadSeconds = _DEFAULT.upload_seconds,
    minutes: Minutes = _DEFAULT.minutes,
    decode_seconds: DecodeSeconds = _DEFAULT.decode_seconds,
    decode_mb: DecodeMb = _DEFAULT.decode_mb,
    waiting: Waiting = _DEFAULT.waiting,
    decoders: Decoders = _DEFAULT.decoders,
) -> None:
    """Serve a page where you drop songs and see what is heard in them, and a JSON API."""
    require_libraries()
    from earmark.web import server
    from earmark.web.service import Service
    from earmark.web.shelf import Shelf

    limits = Limits(
        upload_mb=upload_mb,
        upload_seconds=upload_seconds,
        minutes=minutes,
        decode_seconds=decode_seconds,
        decode_mb=decode_mb,
        waiting=waiting,
        decoders=decoders,
    )
    root_path = server.checked_root_path(root_path)
    access = server.access_for(host, token=token, allow_hosts=allow_host or [], everyone=everyone)
    with ExitStack() as opened:
        listener = opened.enter_context(server.listening(host, port))
        shelf = similar = None
        if library is not None:
            shelf = opened.enter_context(Shelf(_file(library)))
            similar = _similar(shelf.path, model)
        service = opened.enter_context(Service(model, limits=limits, similar=similar))
        address = server.address(listener, root_path=root_path)
        say(f"earmark listens at {address} (Ctrl-C ends it)")
        server.serve(service, listener, access=access, root_path=root_path, shelf=shelf)


def _file(library: str) -> Path:
    from earmark.library.database import library_path

    return library_path() if library == _OWN else Path(library)


def _similar(library: Path, model: str | None) -> Callable[..., list[dict[str, Any]]]:
    from earmark import zoo
    from earmark.cli.library.options import opened
    from earmark.library.playlists.similar import similar_finder

    with opened(library, None) as (library_, scan_model):
        return similar_finder(library_, scan_model, served=zoo.resolve(model))
