"""`earmark tag`: files in, tags out."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.terminal import Exit, print_json, progress, read_list, say
from earmark.errors import BadValue, UnreadableAudio

if TYPE_CHECKING:
    from earmark.ranking import Ranking
    from earmark.tagger import Tagger, Tags


class Rank(StrEnum):
    """What the tags are sorted by (earmark.ranking)."""

    score = "score"
    lift = "lift"
    evidence = "evidence"


def add_commands(app: typer.Typer) -> None:
    """Mount `tag`."""
    app.command("tag")(tag)


def tag(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, or - for a list on stdin."),
    ],
    model: Annotated[
        str | None, typer.Option(help="A name of `earmark models list`, or a model file.")
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="How many tags to show.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    center: Annotated[
        bool, typer.Option("--center", help="Hear only the middle of a track, as the papers do.")
    ] = False,
    rank: Annotated[
        Rank | None,
        typer.Option(
            help="Sort by score, by lift (score / prior) or by evidence (log-odds, less a share of "
            "the prior's). By score, unless said otherwise."
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes; as many as cores by default.")
    ] = None,
    taggram: Annotated[
        Path | None, typer.Option(help="Folder for a PNG and a CSV of each file's tags over time.")
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Stop listening after that much of a track.")
    ] = None,
) -> None:
    """Say what is heard in each file, and in each audio file below each folder."""
    from earmark.audio import AUDIO_SUFFIXES
    from earmark.audio.find import audio_files
    from earmark.inference import Options
    from earmark.ranking import DEFAULT_RANKING
    from earmark.tagger import Failure, Tagger

    tagger = Tagger.load(model)
    files = list(audio_files(read_list(paths), suffixes=AUDIO_SUFFIXES))
    if not files:
        raise BadValue(
            f"no audio files in {', '.join(paths) or 'the empty list'}. A folder is searched for "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}; name a file to try it whatever it is called."
        )
    if taggram is not None:
        taggram.mkdir(parents=True, exist_ok=True)  # before the work, in case it cannot be
    options = Options(
        rank=rank.value if rank else DEFAULT_RANKING, center=center, max_seconds=max_seconds
    )
    tagged: list[Path] = []
    with progress("tagging", total=len(files)) as advance:
        for result in tagger.tag_files(files, workers=workers, options=options):
            advance(1)
            if isinstance(result, Failure):
                if json:
                    print_json(result.as_json())
                else:
                    say(f"error: {result.error}")
                continue
            tagged.append(result.path or Path())
            if json:
                print_json(result.as_json(top=top))
            else:
                print_table(result, top, rank=options.rank)
    if taggram is not None:
        tagged = _write_taggrams(tagger, tagged, folder=taggram, max_seconds=max_seconds)
    n_failed = len(files) - len(tagged)
    if n_failed:
        if len(files) > 1:  # of one, its error has said it
            say(f"{n_failed} of {len(files)} files could not be tagged")
        raise typer.Exit(Exit.SOME_FAILED)


def print_table(result: Tags, top: int, *, rank: Ranking) -> None:
    """The first tags of one track, for a person."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from earmark.tags import place_of_group

    minutes, seconds = divmod(round(result.seconds), 60)
    table = Table(
        title=Text(f"{result.path}  {minutes}:{seconds:02d}"), title_justify="left", box=None
    )
    table.add_column("tag", min_width=20)
    table.add_column("score", justify="right")
    table.add_column("", min_width=20)
    table.add_column("lift", justify="right")
    if rank == "evidence":
        table.add_column("evidence", justify="right")
    measured = any(tag.reliability is not None for tag in result.tags)
    if measured:  # ROC-AUC of the tag on artists that were not learned from
        table.add_column("reliability", justify="right")
    table.add_column("group", style="dim")
    by_group = sorted(result.tags[:top], key=lambda tag: place_of_group(tag.group))
    for number, tag in enumerate(by_group):
        if number and tag.group != by_group[number - 1].group:
            table.add_row()
        bar = "\N{FULL BLOCK}" * round(20 * tag.score)
        evidence = [f"{tag.evidence:+.1f}"] if rank == "evidence" else []
        trust = ["-" if tag.reliability is None else f"{tag.reliability:.2f}"] if measured else []
        lift = "-" if tag.lift is None else f"{tag.lift:.1f}x"
        cells = [tag.tag, f"{tag.score:.2f}", bar, lift, *evidence, *trust, tag.group]
        # below its prior: likelier than the tags that are not shown, but in this song less than in
        # any other
        table.add_row(*cells, style="dim" if tag.lift is not None and tag.lift < 1 else None)
    console = Console(highlight=False, soft_wrap=True)
    console.print(table)
    if result.damaged_packets:
        say(f"{result.path}: {result.damaged_packets} damaged packets were left out")
    for doubt in result.warnings:
        say(f"warning: {result.path}: {doubt.message}")


def _write_taggrams(
    tagger: Tagger, files: list[Path], *, folder: Path, max_seconds: float | None
) -> list[Path]:
    """The files whose taggrams were written."""
    from earmark import taggram

    written = []
    with progress("taggrams", total=len(files)) as advance:
        for path, name in zip(files, taggram.names(files), strict=True):
            try:
                gram = taggram.taggram(tagger, path, max_seconds=max_seconds)
                taggram.write_csv(folder / f"{name}.csv", gram)
                taggram.write_png(folder / f"{name}.png", gram, tagger=tagger)
                written.append(path)
            except UnreadableAudio as error:  # it was readable a moment ago
                say(f"error: {error}")
            advance(1)
    say(f"taggrams are in {folder}")
    return written
