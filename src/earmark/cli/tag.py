"""`earmark tag`: files in, tags out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from earmark.cli.options import (
    DeviceName,
    Exclude,
    JsonLines,
    Longest,
    ModelName,
    NoLimits,
    Rank,
    VocabularyName,
    Workers,
    choice_of,
)
from earmark.cli.terminal import (
    Exit,
    as_shown,
    print_json,
    progress,
    read_list,
    say,
    show_table,
)
from earmark.counted import clock, counted
from earmark.errors import BadValue, UnreadableAudio

if TYPE_CHECKING:
    from earmark.inference import Options
    from earmark.ranking import Ranking
    from earmark.remote import Place
    from earmark.results import Tags
    from earmark.tagger import Tagger


def add_commands(app: typer.Typer) -> None:
    """Mount `tag`."""
    app.command("tag")(tag)


def tag(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, folders, URLs, or - for a list on stdin."),
    ],
    model: ModelName = None,
    top: Annotated[int, typer.Option(min=1, help="How many tags to show.")] = 10,
    json: JsonLines = False,
    center: Annotated[
        bool, typer.Option("--center", help="Hear only the middle of a track, as the papers do.")
    ] = False,
    rank: Annotated[
        Rank | None,
        typer.Option(
            help="Sort by score, by lift (score / prior), or by evidence (log-odds of the score "
            "minus a share of the prior's), which is the default where the model has priors."
        ),
    ] = None,
    vocabulary: Annotated[
        VocabularyName,
        typer.Option(help="all, or msd50: the fifty tags of the Million Song Dataset."),
    ] = "all",
    workers: Workers = None,
    device: Annotated[
        DeviceName,
        typer.Option(help="What runs the network: cpu, or cuda for an NVIDIA GPU (extra gpu)."),
    ] = "cpu",
    taggram: Annotated[
        Path | None, typer.Option(help="Folder for a PNG and a CSV of each file's tags over time.")
    ] = None,
    chapters: Annotated[
        Path | None,
        typer.Option(help="Folder for a cue sheet and a list of the chapters of each long file."),
    ] = None,
    max_seconds: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds to hear, from the start of a track.")
    ] = None,
    exclude: Exclude = None,
    longest: Longest = None,
    no_limits: NoLimits = False,
) -> None:
    """Say what is heard in each file, and in each audio file below each folder."""
    from earmark.audio import AUDIO_SUFFIXES
    from earmark.audio.find import Skipped, audio_files
    from earmark.inference import Options
    from earmark.results import Failure
    from earmark.tagger import Tagger

    tagger = Tagger.load(model, device=device)
    skipped = Skipped()
    files = list(
        audio_files(
            read_list(paths),
            suffixes=AUDIO_SUFFIXES,
            choice=choice_of(exclude, longest),
            skipped=skipped,
        )
    )
    for line in skipped.lines():
        say(line)
    if not files:
        raise BadValue(
            f"no audio files in {', '.join(paths) or 'the empty list'}. A folder is searched for "
            f"{' '.join(sorted(AUDIO_SUFFIXES))}, and for films and files without a suffix that "
            "hold nothing but audio; to tag another file, give its own path."
        )
    for folder in filter(None, (taggram, chapters)):
        folder.mkdir(parents=True, exist_ok=True)  # first of all, in case this fails
    options = Options(
        rank=rank,
        vocabulary=vocabulary,
        center=center,
        max_seconds=max_seconds,
        limits=not no_limits,
    )
    tagged: list[Place] = []
    with progress("tagging", total=len(files)) as advance:
        for result in tagger.tag_files(files, workers=workers, options=options):
            advance(1)
            if isinstance(result, Failure):
                if json:
                    print_json(result.as_json())
                else:
                    say(f"error: {result}")
                continue
            assert result.path is not None
            tagged.append(result.path)
            if json:
                print_json(result.as_json(top=top))
            else:
                print_table(result, top, rank=options.rank)
    if taggram or chapters:
        tagged = _write_taggrams(tagger, tagged, folder=taggram, chapters=chapters, options=options)
    n_failed = len(files) - len(tagged)
    if n_failed:
        if len(files) > 1:  # for one file its error is enough
            say(f"{n_failed} of {len(files)} files could not be tagged")
        raise typer.Exit(Exit.SOME_FAILED)


def print_table(result: Tags, top: int, *, rank: Ranking | None) -> None:
    """Print a table of the first tags of one track."""
    from rich.table import Table

    from earmark.tags import place_of_group

    headline = f"  {result.headline}" if result.headline else ""
    table = Table(
        title=as_shown(f"{result.path}  {clock(result.seconds)}{headline}"),
        title_justify="left",
        title_style="",
        caption_style="",
        box=None,
    )
    table.add_column("tag", min_width=20)
    table.add_column("score", justify="right")
    table.add_column("", min_width=20)
    table.add_column("lift", justify="right")
    if rank == "evidence":
        table.add_column("evidence", justify="right")
    measured = any(tag.reliability is not None for tag in result.tags)
    if measured:  # ROC-AUC of the tag on artists outside the training data
        table.add_column("reliability", justify="right")
    table.add_column("group", style="dim")
    shown, first = list(result.tags[:top]), result.first_genre
    if first is not None and first not in shown:
        shown[-1] = first
    elif first is None and result.kind == "music" and any(t.group == "genre" for t in result):
        table.caption, table.caption_justify = "not sure of the genre", "left"
    elif first is not None and not first.calibrated and any(tag.calibrated for tag in result):
        caption = f"{first.name}: its score is not calibrated, so it may be too high or too low"
        table.caption, table.caption_justify = as_shown(caption), "left"
    # groups in their order; in each the order of the rank, but the first genre leads
    by_group = sorted(shown, key=lambda tag: (place_of_group(tag.group), tag is not first))
    for number, tag in enumerate(by_group):
        if number and tag.group != by_group[number - 1].group:
            table.add_row()
        bar = "\N{FULL BLOCK}" * round(20 * tag.score)
        evidence = [f"{tag.evidence:+.1f}"] if rank == "evidence" else []
        trust = ["-" if tag.reliability is None else f"{tag.reliability:.2f}"] if measured else []
        lift = "-" if tag.lift is None else f"{tag.lift:.1f}x"
        cells = [tag.tag, f"{tag.score:.2f}", bar, lift, *evidence, *trust, tag.group]
        # a score below the prior: this song is less likely to have the tag than an average song
        is_dim = result.headline is not None or (tag.lift is not None and tag.lift < 1)
        table.add_row(*map(as_shown, cells), style="dim" if is_dim else None)
    show_table(table)
    if result.damaged_packets:
        left_out = counted(result.damaged_packets, "damaged packet was", "damaged packets were")
        say(f"{result.path}: {left_out} left out")
    for doubt in result.warnings or ():
        say(f"warning: {result.path}: {doubt.message}")


def _write_taggrams(
    tagger: Tagger,
    files: list[Place],
    *,
    folder: Path | None,
    chapters: Path | None,
    options: Options,
) -> list[Place]:
    """The files whose taggrams and chapters were written, to the folders that are given."""
    from earmark import chapters as chapters_
    from earmark import taggrams

    written = []
    with progress("tags over time", total=len(files)) as advance:
        for path, name in zip(files, taggrams.names(files), strict=True):
            try:
                gram = taggrams.taggram(
                    tagger, path, max_seconds=options.max_seconds, limits=options.limits
                )
                if folder:
                    taggrams.write_csv(folder / f"{name}.csv", gram)
                    taggrams.write_png(folder / f"{name}.png", gram, tagger=tagger)
                if chapters:
                    parts = chapters_.chapters(gram, tagger.card)
                    chapters_.write(chapters, name, parts, source=path.name)
                written.append(path)
            except UnreadableAudio as error:  # it was readable before
                say(f"error: {error}")
            except OSError as error:
                say(
                    f"error: the tags over time of {path} cannot be written "
                    f"({error.strerror or error}). Check the disk and your permissions"
                )
            advance(1)
    for what, where in (("taggrams", folder), ("chapters", chapters)):
        if where:
            say(f"{what} are in {where}")
    return written
