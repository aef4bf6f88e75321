"""The plot of the page: clips a second of each way, its spread, and the machine's limit."""

from __future__ import annotations

from pathlib import Path

from benchmarks.suite.summary import Summary
from earmark.privacy import keep_private

COLOURS = (
    "#9aa5b1", "#5b7aa5", "#d9a441", "#c08a5b", "#8c6bb1", "#2f9e74", "#187a54", "#7cc4a4",
)  # fmt: skip


def write_plot(summary: Summary, path: Path) -> None:
    """An SVG with a panel for each kind of music of "audio to tags", as far as it was measured."""
    keep_private()
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot

    mpl.rcParams["svg.hashsalt"] = "earmark"  # the same numbers, the same file
    panels = [("tags", name) for name in summary.materials("tags")]
    panels += [("shards", name) for name in summary.materials("shards")]
    height = 0.9 + 1.5 * max(1, len(panels))
    figure, axes = pyplot.subplots(
        max(1, len(panels)), 1, figsize=(8, height), squeeze=False, layout="constrained"
    )
    for axis, (stage, material) in zip(axes[:, 0], panels, strict=False):
        lines = summary.lines(stage, material)[::-1]
        for place, line in enumerate(lines):
            low, high = line.rate.values[0], line.rate.values[-1]
            error = [[line.rate.median - low], [high - line.rate.median]]
            colour = COLOURS[(len(lines) - 1 - place) % len(COLOURS)]
            axis.barh(place, line.rate.median, xerr=error, color=colour, ecolor="#333", capsize=2)
            limit = summary.limit(stage, material, line.way, 0, peak="f32")
            if limit:
                axis.plot([1 / limit] * 2, [place - 0.4, place + 0.4], color="#c0392b", lw=2)
        axis.set_yticks(range(len(lines)), [line.way for line in lines], fontsize=8)
        axis.set_title(f"audio to {stage}, {material}, a second", fontsize=9, loc="left")
        axis.tick_params(axis="x", labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("red: the machine's limit (decode and arithmetic in f32)", fontsize=8)
    figure.savefig(path, metadata={"Date": None})
    pyplot.close(figure)
