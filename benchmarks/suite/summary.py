"""From rows to the numbers of the page: rates, ratios within a round, the distance to the limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from benchmarks.suite.context import LIKE_FOR_LIKE, PEERS, Context
from benchmarks.suite.records import Records, Row, Spread
from earmark import zoo

# What the project set out to reach on two cores. Clips of 30 s, times as fast as the original way,
# by way and format:
GOALS = {
    zoo.SHIPPED: {"m4a": 14.0, "mp3": 11.0, "flac": 14.0},
    f"{zoo.SHIPPED}, every second": {"m4a": 10.0, "mp3": 8.5, "flac": 9.0},
    LIKE_FOR_LIKE: {"m4a": 8.0, "mp3": 6.0},
}
LIMIT_GOALS = {"clips": 1.2, "songs": 1.05}  # times the machine's limit
SHARD_GOAL = 1.4  # the same: there the limit is decoding alone
TRAINING_GOAL = 140.0  # ms a clip
STARTUP_GOALS = {
    "tag": ("`earmark tag` of one clip, s", 0.5),
    "help": ("`earmark --help`, s", 0.08),
    "import": ("`import earmark`, s", 0.05),
}
LIBRARY_GOALS = {
    "whole": ("`earmark library scan`, s a song", 0.18),
    "quick": ("the same with `--quick`, s a song", 0.08),
    "peak_mb": ("its memory, MB", 450.0),
    "first_answer": ("its first answer among many known songs, s", 2.0),
}


@dataclass(frozen=True)
class Line:
    """One way in one table.

    rate : clips a second
    times : as fast as another way, by that way's name, round by round
    of_limit : its time over the machine's limit in the same round
    peak_mb : the most of all rounds; n : clips in each
    """

    way: str
    rate: Spread
    times: dict[str, Spread]
    of_limit: Spread | None
    peak_mb: float | None
    n: int


class Summary:
    """The numbers of all that was measured."""

    def __init__(self, records: Records, context: Context) -> None:
        self.records, self.context = records, context

    def materials(self, stage: str) -> list[str]:
        return list(dict.fromkeys(row["material"] for row in self.records.of(stage)))

    def missing(self, stage: str, material: str) -> dict[str, str]:
        """Ways that did not run, and why."""
        rows = self.records.of(stage, material)
        return {row["way"]: row["missing"] for row in rows if "missing" in row}

    def lines(self, stage: str, material: str) -> list[Line]:
        """One for each way, the original's first, the limit's decode left out."""
        rows = [row for row in self.records.of(stage, material) if "rate" in row]
        by_way: dict[str, dict[int, Row]] = {}
        for row in rows:
            by_way.setdefault(row["way"], {})[row["round"]] = row
        return [
            Line(
                way=way,
                rate=Spread(row["rate"] for row in found.values()),
                times={
                    other: spread
                    for other in PEERS
                    if other != way and (spread := _ratios(found, by_way.get(other, {})))
                },
                of_limit=self._of_limit(stage, material, way, found),
                peak_mb=max((row["peak_mb"] or 0 for row in found.values()), default=0) or None,
                n=next(iter(found.values()))["n"],
            )
            for way, found in sorted(by_way.items(), key=lambda item: _ORDER(item[0]))
            if way != "ffmpeg"
        ]

    def peaks(self) -> dict[str, Spread]:
        """FLOP a second of matrix products."""
        rows = [row["flop_per_second"] for row in self.records.of("machine")]
        return {name: Spread(row[name] for row in rows) for name in rows[0]}

    def limit(self, stage: str, material: str, way: str, number: int, *, peak: str) -> float | None:
        """Seconds a clip in one round; None for a way whose network is not counted."""
        seconds = 0.0
        if stage != "scores":
            decodes = self.records.of(stage, material)
            rates = [row["rate"] for row in decodes if _is(row, way="ffmpeg", round=number)]
            if not rates:
                return None
            seconds += 1 / rates[0]
        if stage != "shards":
            model = self.context.models.get(way.split(",")[0])
            peaks = [row for row in self.records.of("machine") if row["round"] == number]
            if model is None or not peaks:
                return None
            windows = model.windows_of(self.seconds(material)) if "," in way else 1
            seconds += windows * model.flop / peaks[0]["flop_per_second"][peak]
        elif way != "earmark":
            return None
        return seconds

    def seconds(self, material: str) -> float:
        """Of a clip or a song."""
        return float(self.context.sizes.song_seconds) if "songs" in material else 30.0

    def parts(self) -> dict[str, list[dict[str, float]]]:
        """Milliseconds of each part of a clip, by material: one for each round."""
        found: dict[str, list[dict[str, float]]] = {}
        for row in self.records.of("parts"):
            found.setdefault(row["material"], []).append(row["milliseconds"])
        return found

    def least(self, parts: dict[str, float]) -> dict[str, float]:
        """Times the limit, of parts of a clip together; to a shard, times decoding."""
        decode, soxr, network = parts["decode"], parts["soxr"], parts["network"]
        limit = decode + parts["arithmetic"]
        to_shard = decode + parts["mono"] + parts["soxr of the store"]
        return {
            "libraries": (decode + soxr + parts["FFT"] + network) / limit,
            "parts": (decode + parts["mono"] + soxr + parts["log-mel"] + network) / limit,
            "parts of the store": (to_shard + parts["log-mel of the store"]) / decode,
        }

    def startup(self) -> dict[str, Spread]:
        rows = self.records.of("startup")
        ways = dict.fromkeys(row["way"] for row in rows)
        return {way: Spread(r["seconds"] for r in rows if r["way"] == way) for way in ways}

    def training(self) -> dict[str, Spread]:
        """Clips a second of each way."""
        [row] = self.records.of("training") or [{"rates": {}}]
        return {way: Spread(rates) for way, rates in row["rates"].items()}

    def training_times(self) -> Spread:
        [row] = self.records.of("training")
        pairs = zip(row["rates"]["ours"], row["rates"]["plain"], strict=True)
        return Spread(ours / plain for ours, plain in pairs)

    def library(self) -> Row | None:
        return next(iter(self.records.of("library")), None)

    def goals(self) -> list[tuple[str, str, str, bool]]:
        """(what, goal, measured, whether it is met)."""
        found = []
        for material in self.materials("tags"):
            kind, what, *_ = material.split()
            for line in self.lines("tags", material):
                least = GOALS.get(line.way, {}).get(kind) if what == "clips" else None
                if least is not None and "original" in line.times:
                    about = f"{kind} clips, times the original way ({line.way})"
                    found.append(_at_least(about, least, line.times["original"]))
        for stage, name in (("tags", zoo.SHIPPED), ("shards", "earmark")):
            for material in self.materials(stage):
                most = LIMIT_GOALS[material.split()[1]] if stage == "tags" else SHARD_GOAL
                over = "the machine's limit" if stage == "tags" else "decoding, to shard"
                found += [
                    _at_most(f"{material}, times {over} ({name})", most, line.of_limit)
                    for line in self.lines(stage, material)
                    if line.of_limit and line.way == name
                ]
        if self.training():
            ms = Spread(1000 / rate for rate in self.training()["ours"].values)
            found.append(_at_most("a training step, ms a clip", TRAINING_GOAL, ms))
        started = self.startup()
        for way, (about, most) in STARTUP_GOALS.items():
            if way in started:
                found.append(_at_most(about, most, started[way]))
        library = self.library()
        if library is not None:
            for name, (about, most) in LIBRARY_GOALS.items():
                found.append(_at_most(about, most, Spread([library[name]])))
        return found

    def _of_limit(
        self, stage: str, material: str, way: str, found: dict[int, Row]
    ) -> Spread | None:
        limits = {number: self.limit(stage, material, way, number, peak="f32") for number in found}
        ratios = [1 / found[n]["rate"] / limit for n, limit in limits.items() if limit]
        return Spread(ratios) if ratios else None


def _at_least(what: str, least: float, measured: Spread) -> tuple[str, str, str, bool]:
    return what, f"≥ {least:g}", str(measured), measured.median >= least


def _at_most(what: str, most: float, measured: Spread) -> tuple[str, str, str, bool]:
    return what, f"≤ {most:g}", str(measured), measured.median <= most


def _ratios(ours: dict[int, Row], theirs: dict[int, Row]) -> Spread | None:
    both = ours.keys() & theirs.keys()
    return Spread(ours[n]["rate"] / theirs[n]["rate"] for n in both) if both else None


def _is(row: Row, **key: object) -> bool:
    return key.items() <= row.items()


def _order(names: Iterable[str]) -> Callable[[str], tuple[int, str]]:
    places = {name: place for place, name in enumerate(names)}
    return lambda way: (places.get(way, len(places)), way)


_ORDER = _order((*PEERS, LIKE_FOR_LIKE, zoo.SHIPPED))
