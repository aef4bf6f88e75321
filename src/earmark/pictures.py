"""Pictures: a figure of matplotlib to draw on, or how to install it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from earmark.errors import MissingExtra
from earmark.privacy import keep_private

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 120  # pixels an inch


def new_figure(width: float, height: float) -> Figure:
    """A figure of this size, in inches, to be saved; no window is opened.

    Raises MissingExtra, with the command that installs matplotlib.
    """
    keep_private()
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtra("matplotlib", "pictures") from error
    figure = Figure(figsize=(width, height), layout="constrained", dpi=_DPI)
    FigureCanvasAgg(figure)
    return figure
