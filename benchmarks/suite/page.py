"""docs/reference/performance.md: words from performance.in.md, numbers from the rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.suite.context import LIKE_FOR_LIKE, PEERS, TINY
from benchmarks.suite.records import Row, Spread, short
from benchmarks.suite.summary import Line, Summary
from earmark import zoo

TEMPLATE = Path(__file__).with_name("performance.in.md")
NOT_MEASURED = "Not measured in this run."


def page(summary: Summary, *, command: str, load: str, plot: str, results: str) -> str:
    """The whole page.

    load : of the machine before the run; plot, results : the files beside the page
    """
    shipped = summary.context.models[zoo.SHIPPED]
    sizes = summary.context.sizes
    heard = [f"{shipped.windows_of(s)} windows in {s:g} s" for s in (30, sizes.song_seconds)]
    without = "" if LIKE_FOR_LIKE in summary.context.models else " (its weights are not here)"
    return TEMPLATE.read_text(encoding="utf-8").format(
        machine=_machine(summary.records.header, command, load),
        goals=_goals(summary),
        plot=plot,
        results=results,
        like_for_like=without,
        shipped_gflop=f"{shipped.flop / 1e9:.2f}",
        windows=", ".join(heard),
        peaks=_peaks(summary),
        rates=_all_rates(summary),
        parts=_parts(summary),
        batch=sizes.batch,
        training=_training(summary),
        startup=_startup(summary),
        growth=_growing(summary, "growth", ("clips", "clips a second", "CPU ms a clip"), 1000),
        long=_growing(
            summary, "long", ("seconds", "times as fast as playing", "CPU ms a minute"), 60_000
        ),
        library=_library(summary),
        ray=_ray(summary),
    )


def _machine(header: Row, command: str, load: str) -> str:
    machine, settings = header["machine"], header["setting"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    models = ", ".join(f"{name} {of['sha256'][:12]}" for name, of in settings["models"].items())
    lines = [
        f"- Machine: {machine['processor']}, {machine['cores']} cores, {machine['system']}; {load}",
        f"- Versions: {versions}",
        f"- Commit {machine['commit'] or 'unknown'}; model files (sha256): {models}",
        f"- Music: {settings['music']}, transcoded to AAC 256 kbit/s, MP3 192 kbit/s and FLAC, "
        "44.1 kHz stereo",
        f"- Command: `{command}`",
    ]
    tiny = settings["sizes"]["clips"] == TINY.clips
    warning = [
        "",
        "**This was a tiny run. It shows that all runs; its numbers mean nothing.**",
    ] * tiny
    return "\n".join([*lines, *warning])


def _goals(summary: Summary) -> str:
    goals = summary.goals()
    if not goals:
        return "None of what has a goal was measured in this run."
    cells = [(what, goal, found, "yes" if met else "**no**") for what, goal, found, met in goals]
    return _table(("goal on two cores", "", "measured", "met"), cells)


def _peaks(summary: Summary) -> str:
    """The rates of matrix products in words."""
    f32, bf16 = (summary.peaks()[name].median / 1e9 for name in ("f32", "bf16"))
    imitated = ", which this processor has to imitate" if bf16 < f32 else ""
    return f"f32 {f32:,.0f} GFLOP/s; bf16 {short(bf16)} GFLOP/s{imitated}"


def _all_rates(summary: Summary) -> str:
    parts = []
    titles = {"tags": "Audio to tags", "shards": "Audio to shard", "scores": "Shard to scores"}
    for stage, title in titles.items():
        for material in summary.materials(stage):
            about = f"{title}: {material}" if material else title
            parts.append(f"## {about}\n{_rates(summary, stage, material)}")
    return "\n\n".join(parts) or NOT_MEASURED


def _rates(summary: Summary, stage: str, material: str) -> str:
    """A table of ways, and below it the limit itself and who is missing."""
    lines = summary.lines(stage, material)
    ways = [line.way for line in lines]
    peers = [name for name in PEERS if name in ways]
    what = "songs" if "songs" in material else "clips"
    times = [f"times {name}" for name in peers]
    head = ("way", f"{what} a second", *times, "time / limit", "peak MB", f"{what} a round")
    cells = [
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
    missing = [f"{way}: {why}." for way, why in summary.missing(stage, material).items()]
    notes = " ".join([*_limits(summary, stage, material, lines), *missing])
    return "\n\n".join(filter(None, (_table(head, cells), notes)))


def _limits(summary: Summary, stage: str, material: str, lines: list[Line]) -> list[str]:
    """The limit of each way, by both number types where the processor is faster with the second."""
    kinds = ["f32"]
    peaks = summary.peaks()
    if stage != "shards" and peaks["bf16"].median > peaks["f32"].median:
        kinds.append("bf16")
    found = []
    for line in lines:
        limits = [summary.limit(stage, material, line.way, 0, peak=kind) for kind in kinds]
        told = [
            f"{short(1000 * limit)} ms" + (f" in {kind}" if stage != "shards" else "")
            for kind, limit in zip(kinds, limits, strict=True)
            if limit is not None
        ]
        if told:
            found.append(f"{line.way} {', '.join(told)}")
    what = "song" if "songs" in material else "clip"
    return [f"The limit for one {what}, in the first round: {'; '.join(found)}."] if found else []


def _parts(summary: Summary) -> str:
    """Two tables: what each part of a clip takes, and what of it cannot be left out."""
    by_material = summary.parts()
    if not by_material:
        return NOT_MEASURED
    kinds = [material.split()[0] for material in by_material]
    measured = {
        "decode": "FFmpeg's decode",
        "decode, mono": "the same, mixed to mono",
        "mono": "the mixing alone, of frames that are at hand",
        "soxr": "soxr, to the shipped model's 22,050 Hz",
        "log-mel": "its spectrogram",
        "FFT": "of that, the Fourier transforms alone",
        "network": "its network",
        "arithmetic": "of that, its multiplications and additions at the rate of a matrix product",
        "whole": "all, as `earmark tag --center`",
        "soxr of the store": "soxr, to the paper's 12,000 Hz",
        "log-mel of the store": "its spectrogram",
        "FFT of the store": "of that, the Fourier transforms alone",
    }
    bounds = {
        "libraries": "to tags: FFmpeg, soxr, the Fourier transforms and ONNX Runtime, and no more",
        "parts": "to tags: decode, mixing, soxr, spectrogram and network",
        "parts of the store": "to a shard: decode, mixing, soxr and spectrogram; times decoding",
    }
    rounds = by_material.values()
    cells = [
        (words, *(str(Spread(of[name] for of in each)) for each in rounds))
        for name, words in measured.items()
    ]
    least = [
        (words, *(str(Spread(summary.least(of)[name] for of in each)) for each in rounds))
        for name, words in bounds.items()
    ]
    return "\n\n".join(
        [
            _table(("ms of CPU a clip", *kinds), cells),
            "These together, each as fast as by itself, beside the limit:",
            _table(("times the limit", *kinds), least),
        ]
    )


def _training(summary: Summary) -> str:
    rates = summary.training()
    if not rates:
        return NOT_MEASURED
    names = {"plain": "the paper in plain PyTorch", "ours": "earmark"}
    words = (
        f"earmark takes {summary.training_times()} times as many clips a second as the plain "
        'transcription; "plain, memory kept" is that one with earmark\'s allocator context alone.'
    )
    cells = [(names.get(way, way), str(rate)) for way, rate in rates.items()]
    return f"{words}\n\n{_table(('way', 'clips a second'), cells)}"


def _startup(summary: Summary) -> str:
    names = {
        "python": "Python alone",
        "import": "`import earmark`, Python's own start included",
        "help": "`earmark --help`",
        "tag": "`earmark tag` of one 30 s clip, shipped model",
        "original": "the original way, the same clip",
    }
    cells = [(names[way], str(seconds)) for way, seconds in summary.startup().items()]
    return _table(("command", "seconds"), cells) if cells else NOT_MEASURED


def _growing(summary: Summary, stage: str, head: Sequence[str], scale: float) -> str:
    cells = [
        (
            f"{row['n']:,}",
            short(row["rate"]),
            short(scale * row["cpu_seconds"] / row["n"]),
            "" if row["peak_mb"] is None else short(row["peak_mb"]),
            short(row["seconds"]),
        )
        for row in sorted(summary.records.of(stage), key=lambda row: row["n"])
    ]
    return _table((*head, "peak MB", "whole, s"), cells) if cells else NOT_MEASURED


def _library(summary: Summary) -> str:
    row = summary.library()
    if row is None:
        return NOT_MEASURED
    cells = [
        (f"whole, s a song ({row['n']} songs of 3 to 4 minutes)", short(row["whole"])),
        ("`--quick`, s a song", short(row["quick"])),
        ("memory of all its processes at the most, MB", short(row["peak_mb"])),
        (f"first answer where {row['known']:,} songs are known, s", short(row["first_answer"])),
    ]
    return _table(("`earmark library scan`", ""), cells)


def _ray(summary: Summary) -> str:
    found = summary.records.of("ray")
    if not found:
        return NOT_MEASURED
    [row] = found
    if "missing" in row:
        return f"Not measured: {row['missing']}."
    here, there = (1000 * row["seconds_a_unit"][name] for name in ("processes", "ray"))
    return (
        "Two local nodes with a CPU each: a unit of work that does nothing takes "
        f"{short(there)} ms. In two processes of this machine it takes {short(here)} ms."
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    line = "|".join("---" if place == 0 else "---:" for place in range(len(head)))
    lines = [f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)
