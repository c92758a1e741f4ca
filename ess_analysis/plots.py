"""A figure of the reports → the same figure in matplotlib, to restyle in JupyterLab or to put in a document.

Reports draw their own SVG (real text, fluid width, a few kilobytes, no font of this machine); a slide or a
Word document asks for an image: `plotted(figure).savefig("axes.png", dpi=200)`.
"""

from __future__ import annotations

import math
import textwrap
from typing import TYPE_CHECKING, Any

from ess_analysis.display import Figure, Group
from ess_analysis.errors import DataError
from ess_analysis.figures import COLOURS, INK, MISSING, MUTED, PAPER, QUIET, REST, Drawn, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Plot

_HATCHES = {1: "///", 2: "...", 3: "xxx", MISSING: "///"}
_ROW, _TEXT = 0.55, 9.0  # inches for one bar, points


def plotted(figure: Figure | Group, *, width: float = 7.0) -> Plot:
    """The matplotlib figure that shows what `figure` (or the first figure of an answer) shows.

    `width` in inches; the height follows the number of bars. It has one axes, `.axes[0]`, to be changed.
    """
    import matplotlib.pyplot as plt

    shown = _first(figure)
    drawn: Drawn = shown.drawn
    title = textwrap.wrap(str(shown.title), round(width * 9.5))
    source = textwrap.wrap(f"Source : {shown.source}", round(width * 16)) if shown.source else []
    marks = [*drawn.legend.items()]
    above = 0.25 * len(title) + 0.25 * math.ceil((len(marks) + bool(drawn.mark_label)) / 2) + 0.1
    below = 0.16 * len(source) + 0.1
    body = _ROW * len(drawn.bars) if drawn.bars else width * 0.8
    height = above + body + below
    plot = plt.figure(figsize=(width, height))
    plt.close(plot)  # shown once, by the cell that returns it
    ends = (0.03, below / height, 0.94, body / height)
    axes = plot.add_axes(ends)
    axes.set_axis_off()
    plot.text(0.03, 1 - 0.06 / height, "\n".join(title), va="top", weight="bold", color=INK, fontsize=11)
    plot.text(0.03, 0.05 / height, "\n".join(source), va="bottom", color=QUIET, fontsize=7)
    if drawn.bars:
        _draw_bars(axes, drawn)
    else:
        _draw_map(axes, drawn.points)
    _legend(plot, drawn, 1 - (0.25 * len(title) + 0.08) / height)
    return plot


def _first(figure: Figure | Group) -> Figure:
    items = figure.items if isinstance(figure, Group) else (figure,)
    found = [item for item in items if isinstance(item, Figure) and item.drawn is not None]
    if not found:
        raise DataError(
            "Cette réponse n'a pas de figure à dessiner.",
            seen=[type(item).__name__ for item in items],
            todo="passez une figure, ou une réponse qui en montre une.",
        )
    return found[0]


def _look(series: int | str) -> dict[str, Any]:
    """How a series is filled: its colour, its hatching, its outline."""
    if series == MISSING:
        return {"facecolor": PAPER, "edgecolor": QUIET, "hatch": _HATCHES[MISSING], "linestyle": "--"}
    ground = MUTED if series == REST else COLOURS[int(series)]
    return {"facecolor": ground, "edgecolor": PAPER, "hatch": _HATCHES.get(series)}


def _draw_bars(axes: Axes, drawn: Drawn) -> None:
    """One bar below the other, its name and value above it, on one scale from zero."""
    for row, bar in enumerate(drawn.bars):
        ends = {1: 0.0, -1: 0.0}
        for amount, series in bar.parts:
            if amount and not math.isnan(amount):
                way = 1 if amount > 0 else -1
                axes.barh(row, amount, left=ends[way], height=0.36, **_look(series))
                ends[way] += amount
        if bar.mark is not None:
            axes.plot([bar.mark, bar.mark], [row - 0.24, row + 0.24], color=INK, linewidth=2)
    low, high = axes.get_xlim()
    low, high = min(low, 0.0), max(high, 0.0)
    for row, bar in enumerate(drawn.bars):
        name = textwrap.shorten(bar.label, 70, placeholder="…")
        axes.text(low, row - 0.26, name, va="bottom", color=INK, fontsize=_TEXT)
        axes.text(
            high, row - 0.26, bar.value, va="bottom", ha="right", weight="bold", color=INK, fontsize=_TEXT
        )
    axes.set_xlim(low, high)
    axes.set_ylim(len(drawn.bars) - 0.7, -0.75)


def _draw_map(axes: Axes, points: tuple[Point, ...]) -> None:
    """Every place at its centre, those reached filled, their area after their weight, and named."""
    taken: list[tuple[float, float]] = []
    for point in sorted(points, key=lambda one: -one.longitude):
        size = 90 * point.weight / max(one.weight for one in points) if point.weight else 12
        fill = COLOURS[0] if point.weight else PAPER
        axes.scatter(point.longitude, point.latitude, s=size, color=fill, edgecolor=MUTED, linewidth=0.8)
        if point.weight:
            at = (point.longitude, point.latitude)
            near = any(0 <= x - at[0] < 0.09 and abs(y - at[1]) < 0.009 for x, y in taken)
            shift, side = ((-5, 2), "right") if near else ((5, 2), "left")
            named: Any = {"textcoords": "offset points", "fontsize": 7, "color": INK, "ha": side}
            axes.annotate(point.label, at, shift, **named)
            taken.append(at)
    middle = math.radians(sum(point.latitude for point in points) / max(len(points), 1))
    axes.set_aspect(1 / math.cos(middle))


def _legend(plot: Plot, drawn: Drawn, top: float) -> None:
    """The names of the series, where the labels do not say them."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [Patch(label=name, **_look(series)) for series, name in drawn.legend.items()]
    if drawn.mark_label:
        handles.append(Line2D([], [], color=INK, linewidth=2, label=drawn.mark_label))
    if handles:
        plot.legend(
            handles=handles, loc="upper left", bbox_to_anchor=(0.02, top), ncols=2, frameon=False, fontsize=8
        )
