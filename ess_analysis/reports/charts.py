"""Matplotlib figures of a kernel, told to the page: SVG with real text, a description, the data drawn.

An IPython extension, loaded by itself when `ess_analysis` is imported in a kernel (and in every kernel of the
environment through `etc/ipython`): a notebook has no line to add. JupyterLab goes on showing its image.
What is said of a figure that nobody described is read from the figure: its titles, its axes, its values.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ess_analysis import french
from ess_analysis.display import MIME

HEAVIEST_SVG = 400_000  # characters; a heavier drawing stays the image that JupyterLab shows
MOST_ROWS = 1000

Cell = str | float


@dataclass
class Series:
    """The values that one drawn thing stands for: pairs of a place on an axis and a value."""

    kind: str  # « Barres », « Courbe »…
    label: str
    points: list[tuple[Cell, float]]
    along: str = "x"  # the axis of the places


@dataclass
class Panel:
    """One pair of axes: its words and what is drawn in it."""

    title: str
    across: str
    up: str
    filled: bool  # whether anything at all is drawn
    series: list[Series] = field(default_factory=list)


def load_ipython_extension(shell: Any) -> None:
    """What IPython calls: figures of this kernel are told from now on. matplotlib is not imported."""
    shell.display_formatter.mimebundle_formatter.for_type_by_name("matplotlib.figure", "Figure", bundle)


def unload_ipython_extension(shell: Any) -> None:
    """Figures are told no more."""
    formatter = shell.display_formatter.mimebundle_formatter
    formatter.deferred_printers.pop(("matplotlib.figure", "Figure"), None)
    for known in [one for one in formatter.type_printers if one.__module__ == "matplotlib.figure"]:
        formatter.type_printers.pop(known)


def bundle(figure: Any) -> dict[str, Any]:
    """What is added to the output of a figure; nothing where it cannot be read: its image still shows."""
    try:
        return {MIME: described(figure)}
    except Exception:
        return {}


def described(figure: Any) -> dict[str, Any]:
    """The figure as the page reads it: caption, alternative text, reading, data, drawing."""
    with _for_the_page(figure):
        svg = _svg(figure)
    panels = [panel for axes in figure.axes if (panel := _panel(axes)) is not None]
    caption, reading = _caption(figure, panels), _reading(panels)
    return {
        "kind": "figure",
        "caption": [caption] if caption else [],
        "alt": _alternative(panels),
        "svg": svg if len(svg) <= HEAVIEST_SVG else "",
        "reading": [reading] if reading else [],
        "source": "Calculs de ce notebook.",
        "data": _table(panels),
    }


# --- The drawing ---------------------------------------------------------------------------------


def _svg(figure: Any) -> str:
    import matplotlib

    text = io.StringIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": "ess", "svg.image_inline": True}
    with matplotlib.rc_context(settings):
        figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None})
    return text.getvalue()


@contextmanager
def _for_the_page(figure: Any) -> Iterator[None]:
    """The figure without the title that its caption says, its axes numbered in French; then as it was."""
    from matplotlib.ticker import FuncFormatter, ScalarFormatter

    titles = [figure.texts[0]] if getattr(figure, "_suptitle", None) in figure.texts[:1] else []
    if len(figure.axes) == 1:
        titles.append(figure.axes[0].title)  # the caption says it
    titles = [title for title in titles if title.get_visible()]
    for title in titles:
        title.set_visible(False)
    changed: list[tuple[Any, Any, bool]] = []
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if type(formatter) is ScalarFormatter and axis.get_scale() == "linear":
                changed.append((axis, formatter, axis.isDefault_majfmt))
                axis.set_major_formatter(FuncFormatter(_written_on(axis)))
    try:
        yield
    finally:
        for title in titles:
            title.set_visible(True)
        for axis, formatter, by_default in changed:
            axis.set_major_formatter(formatter)
            axis.isDefault_majfmt = by_default


def _written_on(axis: Any) -> Any:
    """How the numbers of an axis are written: as many decimals as its steps ask for, years as years."""

    def written(value: float, _: int | None = None) -> str:
        places = sorted(set(axis.get_majorticklocs()))
        low, high = sorted(axis.get_view_interval())
        step = min((b - a for a, b in pairwise(places)), default=1.0)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step > 0 else 0
        if step > 0 and decimals < 8 and abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6:
            decimals += 1  # a step of 0.25, of 2.5
        inside = [place for place in places if low <= place <= high]
        dates = bool(inside) and all(1800 <= place <= 2100 for place in inside) and len(inside) > 1
        if dates and abs(value - round(value)) < 1e-9:
            return str(round(value))
        return french.number(value, min(decimals, 8)).replace(french.THIN if dates else "\0", "")

    return written


def _is_year(value: Cell) -> bool:
    return not isinstance(value, str) and 1800 <= value <= 2100 and abs(value - round(value)) < 1e-9


# --- The data ------------------------------------------------------------------------------------


def _panel(axes: Any) -> Panel | None:
    """What one pair of axes shows; none for a colour bar."""
    if axes.get_label() == "<colorbar>" or not axes.get_visible():
        return None
    title = next(filter(None, (_words(axes.get_title(loc)) for loc in ("center", "left", "right"))), "")
    panel = Panel(title, _words(axes.get_xlabel()), _words(axes.get_ylabel()), axes.has_data())
    names = {"x": _names(axes.xaxis, axes), "y": _names(axes.yaxis, axes)}
    held = set()
    for container in axes.containers:
        if type(container).__name__ == "BarContainer":
            held |= {id(patch) for patch in container.patches}
            panel.series.append(_bars(container, names))
    for line in axes.lines:
        if line.get_transform() == axes.transData and line.get_visible():
            xs, ys = line.get_data(orig=False)
            points = [(names["x"](x), float(y)) for x, y in zip(xs, ys, strict=False)]
            dots = line.get_linestyle() in {"None", "", " "}
            panel.series.append(Series("Points" if dots else "Courbe", _label(line), points))
    for collection in axes.collections:
        if type(collection).__name__ == "PathCollection":
            offsets = collection.get_offsets()
            points = [(names["x"](x), float(y)) for x, y in offsets.tolist() if y is not None]
            panel.series.append(Series("Nuage de points", _label(collection), points))
    for image in axes.images:
        pixels = image.get_array()
        if pixels is not None and pixels.ndim == 2 and pixels.size <= MOST_ROWS:
            panel.series += [
                Series(
                    "Image",
                    f"ligne {row + 1}",
                    [(f"{column + 1}", float(v)) for column, v in enumerate(line)],
                )
                for row, line in enumerate(pixels.tolist())
            ]
    wedges = [patch for patch in axes.patches if type(patch).__name__ == "Wedge" and id(patch) not in held]
    if wedges:
        shares: list[tuple[Cell, float]] = [
            (_words(wedge.get_label()), (wedge.theta2 - wedge.theta1) / 360) for wedge in wedges
        ]
        panel.series.append(Series("Secteurs", "", shares))
    panel.series = [one for one in panel.series if one.points]
    return panel


def _bars(container: Any, names: Mapping[str, Any]) -> Series:
    """The bars of one series: where each stands, how long it is; touching bars are intervals."""
    flat = container.orientation == "horizontal"
    along = "y" if flat else "x"
    ends = [(p.get_y(), p.get_height(), p.get_width()) if flat else (p.get_x(), p.get_width(), p.get_height())
            for p in container.patches]  # fmt: skip
    touching = len(ends) > 1 and all(
        math.isclose(a + width, b, abs_tol=abs(width) * 1e-6) for (a, width, _), (b, _, _) in pairwise(ends)
    )
    said = _writer([edge for start, width, _ in ends for edge in (start, start + width)])
    points: list[tuple[Cell, float]] = []
    for start, width, length in ends:
        place = names[along](start + width / 2)
        if touching and not isinstance(place, str):
            place = f"{said(start)} à {said(start + width)}"
        points.append((place, float(length)))
    return Series("Barres", _label(container), points, along)


def _names(axis: Any, axes: Any) -> Any:
    """What a place on an axis is called: its tick label where it has one in words, a day, or its number."""
    from matplotlib.dates import AutoDateFormatter, DateFormatter, num2date
    from matplotlib.ticker import ScalarFormatter

    formatter = axis.get_major_formatter()
    dated = isinstance(formatter, (AutoDateFormatter, DateFormatter)) or "Date" in type(formatter).__name__
    frequency = getattr(axes, "freq", None) if axis is axes.xaxis else None
    known: dict[float, str] = {}
    locator = type(axis.get_major_locator()).__name__
    if locator in {"FixedLocator", "StrCategoryLocator"} and type(formatter) is not ScalarFormatter:
        ticks = axis.get_majorticklocs()
        labels = formatter.format_ticks(ticks)
        known = {round(float(at), 6): _words(text) for at, text in zip(ticks, labels, strict=False)}

    def name(place: Any) -> Cell:
        value = float(place)
        if near := known.get(round(value, 6)):
            return near
        if frequency is not None and dated:
            import pandas as pd

            return french.month(str(pd.Period(ordinal=round(value), freq=frequency)))
        if dated and not math.isnan(value):
            day = num2date(value)
            return f"{day:%d/%m/%Y}" if not (day.hour or day.minute) else f"{day:%d/%m/%Y %H:%M}"
        return value

    return name


def _label(artist: Any) -> str:
    label = str(artist.get_label() or "")
    return "" if label.startswith("_") else _words(label)


def _words(text: Any) -> str:
    """The text of a title or a label, in one line, without the marks of formulas."""
    return " ".join(re.sub(r"\$([^$]*)\$", r"\1", str(text)).split())


# --- The words -----------------------------------------------------------------------------------


def _drawn(panels: Sequence[Panel]) -> list[Series]:
    return [one for panel in panels for one in panel.series]


def _values(panels: Sequence[Panel]) -> list[tuple[str, Cell, float]]:
    """All the values drawn: series, place, value; those that are missing left out."""
    drawn = _drawn(panels)
    named = len(drawn) > 1
    return [
        (one.label if named else "", place, value)
        for one in drawn
        for place, value in one.points
        if math.isfinite(value)
    ]


def _writers(panels: Sequence[Panel]) -> tuple[Callable[[Cell], str], Callable[[Cell], str]]:
    """How the places and the values of a figure are written."""
    drawn = _drawn(panels)
    values = _writer([value for one in drawn for _, value in one.points])
    if drawn and all(one.kind == "Secteurs" for one in drawn):
        values = _percent
    return _writer([place for one in drawn for place, _ in one.points]), values


def _percent(value: Cell) -> str:
    return value if isinstance(value, str) else french.percent(value, 1)


def _writer(cells: Sequence[Cell]) -> Callable[[Cell], str]:
    """How some numbers are written: years as years, the decimals they all need, three figures at least."""
    numbers = [cell for cell in cells if not isinstance(cell, str) and math.isfinite(cell)]
    years = bool(numbers) and all(map(_is_year, numbers))
    exact = [d for d in range(5) if all(math.isclose(n, round(n, d), rel_tol=1e-9) for n in numbers)]
    least = min((abs(number) for number in numbers if number), default=1.0)
    decimals = exact[0] if exact else min(max(2, 2 - math.floor(math.log10(least))), 12)

    def written(cell: Cell) -> str:
        if isinstance(cell, str):
            return cell
        if not math.isfinite(cell):
            return french.NOTHING
        return str(round(cell)) if years else french.number(cell, decimals)

    return written


def _caption(figure: Any, panels: Sequence[Panel]) -> str:
    """The figure's title, those of its panels, or what is drawn against what."""
    main = _words(figure.get_suptitle()) if hasattr(figure, "get_suptitle") else ""
    titles = list(dict.fromkeys(panel.title for panel in panels if panel.title))
    if main or titles:
        return main or french.listing(titles)
    for panel in panels:
        labels = list(dict.fromkeys(one.label for one in panel.series if one.label and one.kind != "Image"))
        what = panel.up or (french.listing(labels) if len(labels) < 4 else "")
        if what and panel.across:
            return french.sentence_case(f"{what} selon {panel.across}")
        if what or panel.across:
            return french.sentence_case(what or panel.across)
    return ""


def _alternative(panels: Sequence[Panel]) -> str:
    """« Barres : 3 valeurs, de 1 000,50 (2011) à 30 000 (2013) », in 80 characters at most."""
    values = _values(panels)
    if not values:
        empty = not any(panel.filled for panel in panels)
        return _NOTHING_DRAWN if empty else "Graphique dont les valeurs ne se lisent pas dans la figure"
    place, value = _writers(panels)
    drawn = _drawn(panels)
    kinds = list(dict.fromkeys(one.kind for one in drawn))
    what = french.listing(kinds)
    if len(kinds) == 1 and len(drawn) > 1 and kinds != ["Image"]:
        what = f"{len(drawn)} courbes" if kinds == ["Courbe"] else f"{what}, {len(drawn)} séries"
    low, high = min(values, key=lambda one: one[2]), max(values, key=lambda one: one[2])
    size = french.counted(len(values), "valeur", feminine=True)
    longest_first = [
        f"{what} : {size}, de {value(low[2])} ({place(low[1])}) à {value(high[2])} ({place(high[1])})",
        f"{what} : {size}, de {value(low[2])} à {value(high[2])}",
    ]
    return next((text for text in longest_first if len(text) <= 80), f"{what[:50]} : {size}")


_NOTHING_DRAWN = "Graphique vide : aucune donnée n'y est dessinée"


def _reading(panels: Sequence[Panel]) -> str:
    """« La valeur la plus haute est 30 000 (2013), la plus basse 1 000,50 (2011). »"""
    values = _values(panels)
    if not values:
        return "" if any(panel.filled for panel in panels) else "Ce graphique ne contient aucune donnée."
    place, value = _writers(panels)

    def told(one: tuple[str, Cell, float]) -> str:
        where = ", ".join(filter(None, (one[0], place(one[1]))))
        return f"{value(one[2])} ({where})" if where else value(one[2])

    low, high = min(values, key=lambda one: one[2]), max(values, key=lambda one: one[2])
    if len(values) == 1:
        return f"La valeur est {told(high)}."
    if low[2] == high[2]:
        return f"Toutes les valeurs sont de {value(high[2])}."
    return f"La valeur la plus haute est {told(high)}, la plus basse {told(low)}."


def _table(panels: Sequence[Panel]) -> dict[str, Any] | None:
    """The values drawn: one column a series where they share their places, else one row a value."""
    drawn = _drawn(panels)
    if not drawn:
        return None
    place, value = _writers(panels)
    first, panel = drawn[0], next(panel for panel in panels if panel.series)
    places = [at for at, _ in first.points]
    named, valued = (panel.across, panel.up) if first.along == "x" else (panel.up, panel.across)
    named = named or ("Catégorie" if any(isinstance(at, str) for at in places) else "Abscisse")
    valued = valued or ("Part" if first.kind == "Secteurs" else "Valeur")
    several = sum(1 for one in panels if one.series) > 1
    if not several and all([at for at, _ in one.points] == places for one in drawn):
        labels = [one.label or f"Série {rank}" for rank, one in enumerate(drawn, 1)]
        if len(drawn) == 1:
            labels = [first.label if first.label and valued == "Valeur" else valued]
        heads = [named, *labels]
        rows = [[place(at), *(value(one.points[rank][1]) for one in drawn)] for rank, at in enumerate(places)]
    else:
        labels = ["Graphique", "Série", named, valued]
        heads = labels if several else labels[1:]
        whole = [
            [of.title or f"nº {rank}", one.label or one.kind, place(at), value(number)]
            for rank, of in enumerate(panels, 1)
            for one in of.series
            for at, number in one.points
        ]
        rows = whole if several else [row[1:] for row in whole]
    numbers = len(drawn) if len(heads) == len(drawn) + 1 else 1
    left = len(rows) - MOST_ROWS
    return {
        "caption": ["Valeurs dessinées"],
        "columns": [{"label": h, "numeric": n >= len(heads) - numbers} for n, h in enumerate(heads)],
        "rows": [[[text] for text in row] for row in rows[:MOST_ROWS]],
        "total": [],
        "note": f"Et {french.counted(left, 'autre ligne', feminine=True)}." if left > 0 else "",
    }
