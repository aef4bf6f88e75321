"""docs/performance.md: the words stand here, every number comes from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks import ways
from benchmarks.figures import Figures, Line
from benchmarks.records import Row, short
from benchmarks.setting import LIKE_FOR_LIKE
from earmark import zoo

INTRO = """# How fast
<!-- written by `python -m benchmarks`: change the words in benchmarks/page.py, never here -->
Everything was measured side by side in one run. The ways take turns, round by round, so that what else the machine does falls on all of them; a ratio compares two ways within one round. Each number is the median of the rounds with the least and the most behind it. Read the ratios; clips a second are this machine's.
"""

WAYS = """- **original**: librosa.load, librosa's mel spectrogram, the paper's CRNN in plain PyTorch, one clip at a time: the loop of the paper's own scripts. The network is at full size, 6.46 GFLOP a window, its weights random, which costs the same time.
- **researcher**: what a good researcher writes today. Two DataLoader workers decode (libsndfile; FFmpeg for m4a), soxr resamples, librosa makes the mels; the same CRNN runs in batches of eight, without gradients.
- **essentia**: Essentia's streaming MonoLoader and MelBands, in a process for each core. It has no such network, so it is in "audio to shard" only. It is no part of earmark and AGPL.
- **choi2016** is the same network as in the first two rows, with the published weights, in earmark: like for like. **earmark** is the shipped model, whose network is another one ({flop}). Both hear the middle of the track, as the first two do. **every second** is `earmark tag` as it comes, which hears the whole track: {windows}.

The clock runs from the first few clips to the last: start-up, which is measured below, is left out for all. The slow ways get fewer clips. Peak memory is that of all processes of a way together.

**The machine's limit** is FFmpeg's own decode of the same files on all cores, and after it the network's multiplications and additions at the rate of the fastest matrix product here ({peaks}). Resampling and spectrograms are taken to be free. Convolutions are counted as the graph has them; an engine that computes them by Winograd's algorithm does with fewer.
"""


def page(figures: Figures, *, command: str, load: str, names: Sequence[str]) -> str:
    """The whole page.

    names : of the plot and of the JSON file, relative to the page
    """
    plot, results = names
    header = figures.records.header
    parts = [INTRO, _machine(header, command, load), ""]
    goals = [
        (what, goal, found, "yes" if met else "**no**")
        for what, goal, found, met in figures.goals()
    ]
    if goals:
        parts += ["## Goals", *_table(("", "goal", "measured", "met"), goals), ""]
    parts += [f"![Clips a second of each way, and the machine's limit]({plot})", ""]
    parts += ["## Who is compared", _ways(figures), ""]
    for stage, title in (("tags", "Audio to tags"), ("shards", "Audio to shard")):
        for material in figures.materials(stage):
            parts += [f"## {title}: {material}", *_rates(figures, stage, material), ""]
    if figures.materials("scores"):
        parts += ["## Shard to scores", *_rates(figures, "scores", ""), ""]
    parts += [*_training(figures), *_startup(figures), *_growth(figures)]
    parts.append(f"All rows, each round: [{results}]({results}).")
    return "\n".join(parts) + "\n"


def _machine(header: Row, command: str, load: str) -> str:
    machine, settings = header["machine"], header["setting"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    models = ", ".join(f"{name} {of['sha256'][:12]}" for name, of in settings["models"].items())
    lines = [
        f"- Machine: {machine['processor']}, {machine['cores']} cores; {machine['system']}; {load}",
        f"- Versions: {versions}",
        f"- Commit {machine['commit'] or 'unknown'}; model files (sha256): {models}",
        f"- Music: {settings['music']}, transcoded to AAC 256 kbit/s, MP3 192 kbit/s and FLAC, "
        "44.1 kHz stereo",
        f"- Command: `{command}`",
    ]
    return "\n".join(lines)


def _ways(figures: Figures) -> str:
    models = figures.setting.models
    shipped = models[zoo.SHIPPED]
    song = figures.setting.sizes.song_seconds
    peaks = figures.peaks()
    bf16 = f", bf16 {peaks['bf16'].median / 1e9:,.1f}"
    if peaks["bf16"].median < peaks["f32"].median:
        bf16 += ", which this processor has to imitate"
    words = WAYS.format(
        flop=f"{shipped.flop / 1e9:.2f} GFLOP a window",
        windows=f"{shipped.windows_of(30)} windows in 30 s, {shipped.windows_of(song)} in {song} s",
        peaks=f"f32 {peaks['f32'].median / 1e9:,.0f} GFLOP/s{bf16}",
    )
    if LIKE_FOR_LIKE not in models:
        words += (
            f"\n{LIKE_FOR_LIKE} was not measured: its weights are not here. "
            f"`earmark models pull {LIKE_FOR_LIKE}` brings them.\n"
        )
    return words


def _rates(figures: Figures, stage: str, material: str) -> list[str]:
    lines = figures.lines(stage, material)
    peers = [name for name in ("original", "researcher", "essentia") if _has(lines, name)]
    what = "songs" if "songs" in material else "clips"
    head = ("way", f"{what} a second", *(f"× {name}" for name in peers), "× limit", "peak MB", what)
    rows = [
        (
            line.way,
            str(line.rate),
            *(str(line.times.get(name, "1" if name == line.way else "")) for name in peers),
            "" if line.of_limit is None else str(line.of_limit),
            "" if line.peak_mb is None else short(line.peak_mb),
            str(line.n),
        )
        for line in lines
    ]
    table = _table(head, rows)
    limits = _limits(figures, stage, material, lines)
    missing = [f"{way}: {why}." for way, why in figures.missing(stage, material).items()]
    return [*table, *([""] if limits or missing else []), " ".join([*limits, *missing])]


def _limits(figures: Figures, stage: str, material: str, lines: list[Line]) -> list[str]:
    """The limit itself in words, by both number types where the processor has the second."""
    peaks = figures.peaks()
    kinds = ["f32"]
    if stage != "shards" and peaks["bf16"].median > peaks["f32"].median:
        kinds.append("bf16")
    found = []
    for line in lines:
        told = []
        for kind in kinds:
            limit = figures.limit(stage, material, line.way, 0, peak=kind)
            if limit:
                told.append(f"{short(1000 * limit)} ms" + (f" ({kind})" if stage != "shards" else ""))
        if told:
            found.append(f"{line.way} {', '.join(told)}")
    return [f"The limit a piece, in the first round: {'; '.join(found)}."] if found else []


def _has(lines: list[Line], name: str) -> bool:
    return any(line.way == name for line in lines)


def _training(figures: Figures) -> list[str]:
    rates = figures.training()
    if not rates:
        return []
    names = {"plain": "the paper in plain PyTorch", "ours": "earmark"}
    rows = [(names.get(way, way), str(rate)) for way, rate in rates.items()]
    batch = figures.setting.sizes.batch
    return [
        "## One training step",
        f"The paper's CRNN, a batch of {batch}, forward, backward and Adam. earmark takes "
        f"{figures.training_times()} times as many clips a second as the plain transcription; "
        '"plain, memory kept" is that one with earmark\'s allocator setting alone.',
        "",
        *_table(("way", "clips a second"), rows),
        "",
    ]


def _startup(figures: Figures) -> list[str]:
    names = {
        "python": "Python alone",
        "help": "`earmark --help`",
        "tag": "`earmark tag` of one 30 s clip, shipped model",
        "original": "the original way, the same clip",
    }
    rows = [(names[way], str(seconds)) for way, seconds in figures.startup().items()]
    return ["## Start-up", *_table(("whole command", "seconds"), rows), ""] if rows else []


def _growth(figures: Figures) -> list[str]:
    parts = []
    if rows := figures.records.of("growth"):
        parts += [
            "## More clips, longer songs",
            "`earmark tag -` on so many clips (links to the same files), start-up included:",
            "",
            *_growing(rows, ("clips", "clips a second", "CPU ms a clip"), 1000),
            "",
        ]
    if rows := figures.records.of("long"):
        parts += [
            "`earmark tag` on one song, start-up included; the song is MP3 of 32 kbit/s, mono:",
            "",
            *_growing(rows, ("seconds", "times as fast as playing", "CPU ms a minute"), 60_000),
            "",
        ]
    for row in figures.records.of("ray"):
        if "missing" in row:
            parts += [f"Ray was not measured: {row['missing']}.", ""]
            continue
        here, there = (1000 * row["seconds_a_unit"][name] for name in ("processes", "ray"))
        parts += [
            "On a Ray cluster of two local nodes with a CPU each, a unit of work that does nothing "
            f"takes {short(there)} ms; in two processes of this machine {short(here)} ms. A song "
            "takes a hundred times as long.",
            "",
        ]
    return parts


def _growing(rows: list[Row], head: Sequence[str], scale: float) -> list[str]:
    cells = [
        (
            f"{row['n']:,}",
            short(row["rate"]),
            short(scale * row["cpu_seconds"] / row["n"]),
            "" if row["peak_mb"] is None else short(row["peak_mb"]),
            short(row["seconds"]),
        )
        for row in rows
    ]
    return _table((*head, "peak MB", "whole, s"), cells)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    line = "|".join("---" if place == 0 else "---:" for place in range(len(head)))
    return [f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)]


assert ways.BATCH == 8  # the words above say eight
