"""What is measured: each stage as a list of tasks, one for each way, material and round."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.suite import growth, ways
from benchmarks.suite.context import ESSENTIA_MUSICNN, MUSICNN, Context
from benchmarks.suite.material import CLIPS, Material, is_real
from benchmarks.suite.records import Row
from benchmarks.suite.watching import Watched, watched
from earmark import zoo
from earmark.data.store.index import INDEX

STAGES = (
    "tags", "shards", "scores", "parts", "training", "startup", "growth", "long", "library", "ray",
)  # fmt: skip
PLAIN = ("original", "researcher")  # ways
MACHINE = "machine"  # the arithmetic that the limits are made of: with every stage


@dataclass(frozen=True)
class Task:
    """One measurement. Its row holds stage, material, way and round beside what `run` returns."""

    stage: str
    material: str
    way: str
    round: int
    run: Callable[[], Row]

    @property
    def key(self) -> Row:
        return {name: getattr(self, name) for name in ("stage", "material", "way", "round")}


@dataclass(frozen=True)
class Way:
    """One way to do a stage's work.

    n : clips; warm : of these, the ones before the clock starts
    command : words after `python -m`, for the paths
    is_told : it says with a line of its own when its libraries are there, and the clock starts then
    """

    name: str
    n: int
    warm: int
    words: tuple[str, ...]
    missing: str | None = None
    is_told: bool = False


def tasks(context: Context, stages: tuple[str, ...]) -> Iterator[Task]:
    """All tasks, round by round, so that what else the machine does falls on all ways."""
    for task in _tasks(context, stages):
        if task.way not in PLAIN or task.stage in context.sizes.plain_in:
            yield task


def _tasks(context: Context, stages: tuple[str, ...]) -> Iterator[Task]:
    for number in range(context.sizes.rounds):
        yield Task(MACHINE, "", "gemm", number, lambda: _gemm(context))
        if "tags" in stages:
            for kind in context.sizes.formats:
                yield from _tags(context, context.clips(kind), kind, number, context.sizes.clips)
            for kind in context.sizes.song_formats:
                # with half as many, how two workers begin and end moves the rate by a quarter
                n = max(2, context.sizes.clips // 2)
                yield from _tags(context, context.songs(kind), kind, number, n)
        if "shards" in stages:
            for kind in context.sizes.formats:
                yield from _shards(context, context.clips(kind), kind, number)
        if "scores" in stages:
            yield from _scores(context, number)
        if "parts" in stages:
            for kind in context.sizes.formats:
                music = context.clips(kind)
                yield Task("parts", music.name, "earmark", number, partial(_parts, context, music))
        if "startup" in stages:
            yield from _startup(context, number)
    if "training" in stages:
        yield from _training(context)
    if "growth" in stages:
        for n in context.sizes.growth:
            yield Task("growth", f"{n} clips", "earmark", 0, partial(growth.clips, context, n))
    if "long" in stages:
        for n in context.sizes.long:
            yield Task("long", f"{n} s", "earmark", 0, partial(growth.song, context, n))
    if "library" in stages:
        yield Task("library", "", "earmark", 0, lambda: _library(context))
    if "ray" in stages:
        yield Task("ray", "", "engine", 0, lambda: growth.ray(context))


def _tags(context: Context, music: Material, kind: str, number: int, n: int) -> Iterator[Task]:
    few, some = _fewer(n)
    found = [
        Way(
            "original",
            *few,
            ("benchmarks.suite.ways", "original_tags"),
            context.missing("original", kind),
        ),
        Way("researcher", some, 0, ("benchmarks.suite.ways", "researcher_tags"), is_told=True),
        Way("ffmpeg", *_warmed(n), ("benchmarks.suite.ways", "ffmpeg")),
    ]
    for model in context.models.values():
        words = ("earmark", "tag", "-", "--json", "--model", str(model.path))
        found.append(Way(model.name, *_warmed(n), (*words, "--center")))
        if model.name == zoo.SHIPPED:
            found.append(Way(f"{model.name}, every second", *_warmed(n), words))
    found += _musicnn(context, n)
    yield from _in_turn(context, "tags", music, found, number)


def _musicnn(context: Context, n: int) -> Iterator[Way]:
    """musicnn behind Essentia's front end; and a row that says why where it cannot run."""
    missing = context.missing(MUSICNN)
    if missing:
        yield Way(MUSICNN, n, 0, (), missing)
    path = "" if missing else str(context.models[MUSICNN].path)
    yield Way(
        ESSENTIA_MUSICNN,
        *_warmed(max(2, n // 4)),
        ("benchmarks.suite.ways", "essentia_tags", path),
        context.missing(ESSENTIA_MUSICNN),
    )


def _shards(context: Context, music: Material, kind: str, number: int) -> Iterator[Task]:
    few, some = _fewer(context.sizes.clips)
    many = _warmed(context.sizes.clips)
    target = str(context.work / "shards")
    found = [
        Way(
            "original",
            *few,
            ("benchmarks.suite.ways", "original_shard", target),
            context.missing("original", kind),
        ),
        Way(
            "researcher",
            some,
            0,
            ("benchmarks.suite.ways", "researcher_shard", target),
            is_told=True,
        ),
        Way(
            "essentia",
            *_warmed(some),
            ("benchmarks.suite.ways", "essentia_shard", target),
            context.missing("essentia"),
        ),
        Way("ffmpeg", *many, ("benchmarks.suite.ways", "ffmpeg")),
        Way("earmark", *many, ("benchmarks.suite.ways", "earmark_shard", target)),
    ]
    yield from _in_turn(context, "shards", music, found, number)


def _scores(context: Context, number: int) -> Iterator[Task]:
    """From stores on disk; the plain ways stop early, by having a store of fewer clips."""
    n = context.sizes.clips
    for way, n_clips in (("original", n // 4), ("researcher", n // 2)):
        yield Task(
            "scores",
            "",
            way,
            number,
            partial(_of_store, context, f"{way}_scores", max(2, n_clips)),
        )
    for model in context.models.values():
        yield Task(
            "scores",
            "",
            model.name,
            number,
            partial(
                _of_store,
                context,
                "earmark_scores",
                max(2, n),
                str(model.path),
                features=model.features,
            ),
        )


def _parts(context: Context, music: Material) -> Row:
    paths = "\n".join(map(str, music.files))
    [line] = context.watched("benchmarks.suite.parts", stdin=paths, answers=1).lines
    return {"milliseconds": json.loads(line)}


def _of_store(
    context: Context, way: str, n: int, *words: str, features: str = ways.PAPER_FEATURES
) -> Row:
    store = context.work / f"store-{features}-{n}"
    if not (store / INDEX).exists():
        paths = context.clips(context.sizes.formats[-1]).paths(n, context.work)
        script = ("benchmarks.suite.ways", "earmark_shard", str(store), features)
        context.watched(*script, stdin="\n".join(map(str, paths)))
    warm = min(ways.BATCH, n // 2) if way.startswith("original") or n > ways.BATCH else 0
    return _row(context.watched("benchmarks.suite.ways", way, str(store), *words, answers=n), warm)


def _seconds(context: Context, command: list[str], clip: str) -> Row:
    return {"seconds": watched(command, stdin=clip, environment=context.environment).seconds}


def _startup(context: Context, number: int) -> Iterator[Task]:
    """Whole commands on one clip, from nothing to the end."""
    clip = str(context.clips("mp3" if "mp3" in context.sizes.formats else "m4a").files[0])
    commands = {
        "python": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import earmark"],
        "help": context.command("earmark", "--help"),
        "tag": context.command("earmark", "tag", clip),
        "original": context.command("benchmarks.suite.ways", "original_tags"),
    }
    for way, command in commands.items():
        yield Task(
            "startup",
            "",
            way,
            number,
            partial(_seconds, context, command, clip),
        )


def _training(context: Context) -> Iterator[Task]:
    """Steps in turns within one task: see benchmarks.training_step."""
    from benchmarks import training_step

    def run() -> Row:
        batch = context.sizes.batch
        seconds = training_step.in_turns(batch, max(1, 2 * context.sizes.rounds))
        return {"rates": {way: [batch / taken for taken in of] for way, of in seconds.items()}}

    yield Task("training", "", "all", 0, run)


def _library(context: Context) -> Row:
    """Scans as a user runs them: whole and quick; and the first answer among many known songs."""
    from benchmarks import library_scan, library_size

    n = context.sizes.library_songs
    row: Row = {"n": n, "known": context.sizes.library_files, "peak_mb": 0.0}
    with tempfile.TemporaryDirectory(dir=context.work) as folder:
        music = Path(folder) / "songs"
        music.mkdir()
        library_scan.make_songs(music, n, clips=CLIPS if is_real() else None)
        for name, extra in (("whole", []), ("quick", ["--quick"])):
            words = [str(music), "--library", f"{folder}/{name}.sqlite", *extra]
            seconds, *peaks, _ = library_scan.run([*words, "--model", zoo.SHIPPED])
            row[name] = seconds / n
            row["peak_mb"] = max(row["peak_mb"], *peaks)
        new = context.clips(context.sizes.formats[0]).files
        row["first_answer"] = library_size.first_answer(
            Path(folder), known=context.sizes.library_files, new=new
        )
    return row


def _gemm(context: Context) -> Row:
    [line] = context.watched("benchmarks.suite.limit", answers=1).lines
    return {"flop_per_second": json.loads(line)}


def _in_turn(
    context: Context, stage: str, music: Material, found: list[Way], number: int
) -> Iterator[Task]:
    """The ways in another order each round: none always follows the one that heats the machine."""
    for place in range(len(found)):
        way = found[(place + number) % len(found)]
        yield Task(stage, music.name, way.name, number, _runner(context, music, way))


def _runner(context: Context, music: Material, way: Way) -> Callable[[], Row]:
    def run() -> Row:
        if way.missing:
            return {"missing": way.missing}
        shutil.rmtree(context.work / "shards", ignore_errors=True)
        stdin = "\n".join(map(str, music.paths(way.n, context.work)))
        seen = context.watched(*way.words, stdin=stdin, answers=way.n + way.is_told)
        return {**_row(seen, way.warm + way.is_told), "n": way.n, "warm": way.warm}

    return run


def _row(seen: Watched, warm: int) -> Row:
    return {
        "rate": seen.rate(warm),
        "n": len(seen.came),
        "warm": warm,
        "seconds": seen.seconds,
        "cpu_seconds": seen.cpu_seconds,
        "peak_mb": seen.peak_mb,
    }


def _warmed(n: int) -> tuple[int, int]:
    """(clips, of these to warm up)."""
    return n, min(8, n // 4)


def _fewer(n: int) -> tuple[tuple[int, int], int]:
    """(clips, of these to warm up) of a way that takes one at a time; clips of one with batches."""
    batches = max(2, round(3 * n / 8 / ways.BATCH))
    few = max(2, n // 8)
    return (few, 1 if few < 8 else 2), min(n, ways.BATCH * batches)
