"""A table → a figure: horizontal bars or a map, as SVG with real text, and its data table.

Bars are drawn in per cent of the width with text in pixels, so that a label keeps its size from a phone to a
projector and nothing is measured with a font the reader may not have. Each figure reads without its colours:
series differ by hatching, values are written, and what is missing is drawn empty with a dashed outline.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import pandas as pd

from ess_analysis import french, schema, sentences
from ess_analysis.display import Column, DisplayTable, Figure, Number, Text
from ess_analysis.tables import display_table
from ess_analysis.traces import total_trace

COLOURS = ("#12436D", "#28A197", "#801650", "#F46A25")
INK, QUIET, MUTED, PAPER = "#1d1d1d", "#595959", "#75869b", "#ffffff"
MISSING, REST = "missing", "rest"  # two series that are never one of the colours

PHONE = 288  # pixels left for a figure on a 320-pixel screen: texts are cut for it
NAMED = 24  # places named on a map
LONG = 40  # rows of a data table past which it holds amounts only
LISTED = 400  # rows of a data table; past them, the others are one row, and stay listed in its CSV file
FOLD = 12  # bars drawn; the others are one bar, and stay listed in the data table

_ROUND = [  # where a name is tried: to the right, to the left, above, below, then slanting, then further away
    (distance, math.radians(angle))
    for distance in range(4, 120, 8)
    for angle in (0, 180, 270, 90, 330, 30, 210, 150, 300, 60, 240, 120, 345, 15, 315, 45, 195, 165)
]
_LABEL, _LINE, _BAR, _GAP = 15, 20, 20, 14
_ON = {0: PAPER, 1: INK, 2: PAPER, 3: INK, MISSING: INK, REST: INK}  # text over each series, at 4.5:1 or more


@dataclass(frozen=True)
class Bar:
    """One bar: its name, its value in words, its parts as (amount, series), the mark it is held against."""

    label: str
    value: str
    parts: tuple[tuple[float, int | str], ...]
    inside: tuple[str, ...] = ()  # what to write in each part where there is room
    mark: float | None = None


@dataclass(frozen=True)
class Point:
    """One place on the map: its name, degrees, and what it weighs (0: drawn as a ring)."""

    label: str
    longitude: float
    latitude: float
    weight: float = 0


@dataclass(frozen=True)
class Drawn:
    """What a figure draws, apart from how: bars or places, the names of the series and of the marks."""

    bars: tuple[Bar, ...] = ()
    points: tuple[Point, ...] = ()
    legend: Mapping[int | str, str] = field(default_factory=dict)
    mark_label: str = ""


@dataclass(frozen=True)
class _Drawing:
    """SVG elements being piled up, with the pattern names of this figure alone."""

    key: str
    elements: list[str] = field(default_factory=list)

    def add(self, name: str, text: str | None = None, **attributes: object) -> None:
        given = "".join(
            f" {attribute.replace('_', '-')}={quoteattr(_plain(value))}"
            for attribute, value in attributes.items()
            if value is not None
        )
        self.elements.append(f"<{name}{given}/>" if text is None else f"<{name}{given}>{text}</{name}>")

    def fill(self, series: int | str) -> str:
        return f"url(#{self.key}-{series})"


_MISSING_LABELS = {*schema.MISSING_LABELS.values(), schema.MISSING_LABEL}


def nameless(label: object) -> bool:
    """Whether the label stands for something missing: « non ventilé », « non détaillé »…"""
    return label in _MISSING_LABELS or schema.NOT_ITEMISED in str(label)


def stacked_bars(
    frame: pd.DataFrame,
    rows: str,
    series: str,
    *,
    title: Text,
    alt: str,
    order: Sequence[str] = (),
    in_order: bool = False,
    added: bool = True,
    **around: Any,
) -> Figure:
    """One bar for each value of `rows`, cut by `series`: what each funder brings to each axis.

    `frame`: the two columns, amount_eur, trace; one row for one pair. Four series at most have their own
    look (three, then « autres »), in `order` so that a name keeps its colour from one figure to the next;
    « non ventilé », « non détaillé » are hatched. Rows go by weight, or by name when `in_order`; the data
    table has a total where rows may be `added`. `around`: reading, source.
    """
    whole = _crossed(frame, rows, series)
    if in_order:
        whole = whole.sort_index(key=lambda names: names.astype(str))
    first = [name for name in order if name in whole]
    whole = whole[[*first, *(name for name in whole if name not in first)]]
    drawn = _folded(_folded(whole, FOLD, FOLD - 1).T, 4, 3).T
    named = [name for name in drawn.columns if not nameless(name)]
    style = _looks(named, order)
    bars = [
        Bar(
            row,
            _rounded(_sum(amounts)),
            tuple((amounts[of], MISSING if nameless(row) else style.get(str(of), MISSING)) for of in drawn),
            tuple(_rounded(amounts[of]) if (amounts != 0).sum() > 1 else "" for of in drawn),
        )
        for row, amounts in _rows(drawn)
    ]
    legend: dict[int | str, str] = {look: name for name, look in style.items()}
    missing = [_kind(name) for name in (*drawn.index, *drawn.columns) if nameless(name)]
    if missing:
        legend[MISSING] = french.listing(dict.fromkeys(missing), "ou")
    data = _crossed_table(frame, whole, rows, series, title, added)
    drawing = Drawn(_to_scale(bars), legend=legend if len(legend) > 1 else {})
    return _figure(title, alt, data, drawing, around)


def ranked_bars(
    frame: pd.DataFrame,
    name: str,
    *,
    title: Text,
    alt: str,
    written: str = "amount_eur",
    aside: tuple[str, str] | None = None,
    leader: bool = True,
    accent: str | None = None,
    labels: Mapping[str, str] | None = None,
    **around: Any,
) -> Figure:
    """One bar for each name, the greatest first; the `accent` (by default the `leader`) alone in colour.

    `frame`: `name`, amount_eur and any columns for the data table. `written` is the column whose value
    is written beside the bar. `aside` is a second column of amounts and its meaning (« non daté »), hatched.
    """
    second, meaning = aside or ("", "")
    amounts = frame[["amount_eur", *([second] if second else [])]].fillna(0.0)
    ordered = frame.loc[_order(frame[name], amounts.sum(axis=1))]
    drawn = _folded(amounts.loc[ordered.index].set_axis(ordered[name].astype(str)), FOLD, FOLD - 1)
    values = dict(zip(frame[name].astype(str), frame[written].fillna(0.0), strict=True))
    rest = ordered[~ordered[name].astype(str).isin(drawn.index)]
    fine = int(max((abs(values.get(str(label), 0)) for label in drawn.index), default=1) < 0.1)
    bars = []
    for place, (label, row) in enumerate(_rows(drawn)):
        first = place == 0 if accent is None else label == accent
        look: int | str = MISSING if nameless(label) else 0 if first or not leader else REST
        value = values.get(label, _sum(rest[written]))
        value += row[second] if second and written == "amount_eur" else 0
        text = str(sentences.share(value, decimals=fine)) if written == "share" else _rounded(value)
        parts = [(row["amount_eur"], look), *([(row[second], MISSING)] if second else [])]
        bars.append(Bar(label, text, tuple(parts)))
    legend: dict[int | str, str] = {MISSING: meaning} if second and drawn[second].any() else {}
    if len(ordered) > LONG:  # each share would carry the trace of the whole: amounts say it all
        ordered = ordered.drop(columns=["share", "share_trace"], errors="ignore")
    data = _listed(ordered, name, title, labels)
    return _figure(title, alt, data, Drawn(_to_scale(bars), legend=legend), around)


def _to_scale(bars: Sequence[Bar]) -> tuple[Bar, ...]:
    """The bars; « n autres » has none where it would dwarf those of the names: its value stays written."""
    long = [sum(amount for amount, _ in bar.parts) for bar in bars]
    named = [length for bar, length in zip(bars, long, strict=True) if not bar.label.endswith(_OTHERS)]
    return tuple(
        replace(bar, label=f"{bar.label}, ensemble (hors échelle)", parts=(), inside=())
        if bar.label.endswith(_OTHERS) and named and length > max(named)
        else bar
        for bar, length in zip(bars, long, strict=True)
    )


def _listed(
    frame: pd.DataFrame, name: str, title: Text, labels: Mapping[str, str] | None = None
) -> DisplayTable:
    """The data of a figure, the greatest first: rows past LISTED are one row, what has no name after it."""
    nameless_rows = frame[name].map(nameless)
    named = frame[~nameless_rows]
    if len(named) <= LISTED:
        return display_table(frame, title, labels=labels)
    rest = named.iloc[LISTED:]
    others: dict[Any, Any] = dict.fromkeys(frame)
    others[name] = f"{french.number(len(rest))}{_OTHERS} (liste dans le fichier CSV)"
    for amount, trace in (("amount_eur", "trace"), *_SECOND_AMOUNTS):
        if amount in frame:
            others[trace] = total_trace(rest[trace].dropna())
            others[amount] = others[trace]["value"]
    parts = [named.iloc[:LISTED], pd.DataFrame([others]).astype(object), frame[nameless_rows]]
    shown = pd.concat([part.astype(object) for part in parts if len(part)], ignore_index=True)
    shown = shown.astype({column: frame[column].dtype for column in frame if frame[column].dtype != "Int64"})
    rows = display_table(rest, title, labels=labels).rows
    listed = tuple(tuple(str(cell) for cell in row) for row in rows)
    return replace(display_table(shown, title, labels=labels), folded=listed, folded_at=LISTED)


_SECOND_AMOUNTS = (("undated_eur", "undated_eur_trace"), ("gap_eur", "gap_eur_trace"))


def envelope_bars(frame: pd.DataFrame, *, title: Text, alt: str, **around: Any) -> Figure:
    """One bar for each reading of an envelope, held against it: what is within, what goes beyond.

    `frame`: reading, amount_eur (used), envelope_eur, share (used of the envelope) and their traces.
    """
    lines: list[Any] = frame.to_dict(orient="records")
    bars = [
        Bar(
            str(row["reading"]),
            str(sentences.share(row["share"])),
            (
                (min(row["amount_eur"], row["envelope_eur"]), 0),
                (max(row["amount_eur"] - row["envelope_eur"], 0), 3),
            ),
            mark=row["envelope_eur"],
        )
        for row in lines
    ]
    beyond = frame["amount_eur"].gt(frame["envelope_eur"]).any()
    legend: dict[int | str, str] = {0: "dans l'enveloppe", **({3: "au-delà"} if beyond else {})}
    labels = {"reading": "Lecture", "amount_eur": "Accordé", "envelope_eur": "Enveloppe", "share": "Part"}
    drawn = Drawn(tuple(bars), legend=legend, mark_label="enveloppe disponible")
    return _figure(title, alt, display_table(frame, title, labels=labels), drawn, around)


def _figure(title: Text, alt: str, data: DisplayTable, drawn: Drawn, around: Mapping[str, Any]) -> Figure:
    """The figure of these bars."""
    svg = bars_svg(drawn.bars, alt=alt, legend=drawn.legend, mark_label=drawn.mark_label)
    colours = " ; ses couleurs le partagent" if len(drawn.legend) > 1 else ""
    read = f"La longueur d'une barre suit son montant{colours}."
    return Figure(title, svg, alt, data, drawn=drawn, **_read(around, read))


def _read(around: Mapping[str, Any], reading: str) -> dict[str, Any]:
    """What stands around a figure, with how it is read where its answer does not say it."""
    return {**around, "reading": around.get("reading") or sentences.said(reading)}


def places_map(frame: pd.DataFrame, *, title: Text, alt: str, **around: Any) -> Figure:
    """Every commune of the reference at its centre, those reached filled and named.

    `frame`: commune, insee_code, longitude, latitude, count (records that name it; 0 elsewhere), its trace.
    The data table lists those reached.
    """
    lines: list[Any] = frame.to_dict(orient="records")
    points = [
        Point(str(row["commune"]), row["longitude"], row["latitude"], float(row["count"])) for row in lines
    ]
    reached = frame[frame["count"] > 0].sort_values(["count", "commune"], ascending=[False, True])
    labels = {"count": "Actions et projets"}
    data = display_table(reached.drop(columns=["longitude", "latitude"]), title, labels=labels)
    legend = ("nommée (surface : actions et projets)", "autre commune")
    svg = map_svg(points, alt=alt, legend=legend)
    read = _read(
        around, "Plus un cercle est grand, plus il y a d'actions et de projets qui nomment la commune."
    )
    return Figure(title, svg, alt, data, drawn=Drawn(points=tuple(points)), **read)


# --- From a long table to what is drawn -------------------------------------------------------------

_OTHERS = " autres"


def _rows(wide: pd.DataFrame) -> Iterator[tuple[str, Any]]:
    """The name of each row, and its amounts by column."""
    return ((str(name), amounts) for name, amounts in wide.iterrows())


def _looks(named: Sequence[str], order: Sequence[str]) -> dict[str, int | str]:
    """The look of each series: its place in `order` where the four looks are enough, else its place here."""
    places = [order.index(name) if name in order else len(COLOURS) for name in named]
    if max(places, default=0) >= len(COLOURS):
        places = list(range(len(named)))
    return {
        name: REST if name.endswith(_OTHERS) else place for name, place in zip(named, places, strict=True)
    }


def _kind(label: object) -> str:
    """What is missing, without what of: « Ville de Lille, non détaillé » is « non détaillé »."""
    return schema.NOT_ITEMISED if schema.NOT_ITEMISED in str(label) else str(label)


def _rounded(value: float) -> str:
    """The amount beside a bar: without its cents from ten thousand euros on; the data table has them."""
    return french.money(value, 0) if abs(value) >= 10_000 else french.money(value)


def _sum(amounts: pd.Series) -> float:
    return round(math.fsum(amounts.dropna()), 2)


def _order(names: pd.Series, amounts: pd.Series) -> list[Any]:
    """The index of the names, the greatest amount first, those that are not names last."""
    keys = zip(names.map(nameless), -amounts, names.astype(str), names.index, strict=True)
    return [key[-1] for key in sorted(keys)]


def _crossed(frame: pd.DataFrame, rows: str, series: str) -> pd.DataFrame:
    """Amounts by row and column, each in the order it is drawn, zero where there is none."""
    wide = frame.pivot_table(
        index=rows,
        columns=series,
        values="amount_eur",
        aggfunc=_sum,
        fill_value=0.0,
        observed=True,
        dropna=False,
    )
    across, down = wide.sum(axis=1), wide.sum(axis=0)
    return wide.loc[
        _order(pd.Series(wide.index, wide.index), across), _order(pd.Series(wide.columns, wide.columns), down)
    ]


def _folded(wide: pd.DataFrame, most: int, keep: int) -> pd.DataFrame:
    """The rows, those past `keep` as one « n autres » when there are more than `most`; nameless rows last."""
    last = wide.index.map(nameless).to_numpy(dtype=bool)
    named = wide.index[~last]
    if len(named) <= most:
        return wide
    rest = wide.loc[named[keep:]]
    others = pd.DataFrame([rest.sum()], index=[french.number(len(rest)) + _OTHERS], columns=wide.columns)
    return pd.concat([wide.loc[named[:keep]], others, wide[last]])


def _crossed_table(
    frame: pd.DataFrame, whole: pd.DataFrame, rows: str, series: str, title: Text, added: bool
) -> DisplayTable:
    """The data of stacked bars: one column a series and a total; past six series, one row a pair."""
    if len(whole.columns) > 6 or len(whole) > LISTED:
        ordered = frame.sort_values([rows, "amount_eur"], ascending=[True, False])
        return _listed(ordered, rows, title)
    traces = {(row[rows], row[series]): row.get("trace") for row in frame.to_dict(orient="records")}
    body, totals = [], []
    for name in whole.index:
        cells = [_number(float(whole[of][name]), [traces.get((name, of))]) for of in whole]
        body.append(
            (str(name), *cells, _number(_sum(whole.loc[name]), [traces.get((name, of)) for of in whole]))
        )
    for of in whole:
        totals.append(_number(_sum(whole[of]), [traces.get((name, of)) for name in whole.index]))
    totals.append(_number(_sum(whole.sum()), list(traces.values())))
    head = (Column(schema.labels([rows]).get(rows, rows)), *(Column(str(of), True) for of in whole))
    return DisplayTable(
        title, (*head, Column("Total", True)), tuple(body), ("Total", *totals) if added else ()
    )


def _number(value: float, traces: Sequence[object]) -> str | Number:
    """The amount with its trace, or with that of the sum of several; « – » where no line says anything."""
    known = [trace for trace in traces if isinstance(trace, Mapping)]
    if not value and not known:
        return french.NOTHING
    if len(known) < 2:
        return sentences.amount(value, known[0] if known else None)
    return sentences.amount(value, total_trace(known))


def bars_svg(
    bars: Sequence[Bar], *, alt: str, legend: Mapping[int | str, str] | None = None, mark_label: str = ""
) -> str:
    """Horizontal bars as SVG: label and value above each, parts side by side, on one common scale from zero.

    `legend` names the series where the labels do not. `alt` is the text read in place of the figure.
    """
    legend = legend or {}
    used = {series for bar in bars for _, series in bar.parts} | set(legend)
    drawing = _Drawing(_key(alt, bars))
    _patterns(drawing, used)
    low, high = _scale(bars)
    high *= 1.01 if mark_label else 1  # a mark at the very end stays whole
    y = _legend(drawing, legend, mark_label)
    for bar in bars:
        y = _bar(drawing, bar, y, low, high)
    return _svg(drawing, alt, height=y)


def _bar(drawing: _Drawing, bar: Bar, y: float, low: float, high: float) -> float:
    """The height reached once the bar is drawn below `y`."""

    def percent(amount: float) -> float:
        return (amount - low) / (high - low) * 100

    room = PHONE - (text_width(bar.value, _LABEL) + 14 if bar.value else 0)
    for place, line in enumerate(_lines(bar.label, _LABEL, room)):
        title = f"<title>{_text(bar.label)}</title>" if line.endswith("…") else ""
        drawing.add("text", _text(line) + title, x=0, y=y + 14, font_size=_LABEL, fill=INK)
        if place == 0 and bar.value:
            value = {"text_anchor": "end", "font_weight": 700, "font_size": _LABEL, "fill": INK}
            drawing.add("text", _text(bar.value), x="100%", y=y + 14, **value)
        y += _LINE
    ends = {1: 0.0, -1: 0.0}
    for place, (amount, series) in enumerate(bar.parts):
        if not amount or math.isnan(amount):
            continue
        way = 1 if amount > 0 else -1
        start, ends[way] = ends[way], ends[way] + amount
        left, width = percent(min(start, ends[way])), abs(percent(amount) - percent(0))
        _part(drawing, series, left, width, y, bar.inside[place] if bar.inside else "")
    if bar.mark is not None:
        at = f"{percent(bar.mark):.2f}%"
        drawing.add("line", x1=at, x2=at, y1=y - 3, y2=y + _BAR + 3, stroke=PAPER, stroke_width=5)
        drawing.add("line", x1=at, x2=at, y1=y - 3, y2=y + _BAR + 3, stroke=INK, stroke_width=3)
    return y + (_BAR if bar.parts else 0) + _GAP


def _part(drawing: _Drawing, series: int | str, left: float, width: float, y: float, inside: str) -> None:
    missing = series == MISSING
    drawing.add(
        "rect",
        x=f"{left:.2f}%",
        y=y,
        width=f"{width:.2f}%",
        height=_BAR,
        fill=drawing.fill(series) if series != 0 else COLOURS[0],
        stroke=QUIET if missing else PAPER,
        stroke_width=1,
        stroke_dasharray="4 3" if missing else None,
    )
    if inside and width / 100 * PHONE > text_width(inside, 13) + 10:
        drawing.add(
            "text",
            _text(inside),
            x=f"{left:.2f}%",
            dx=6,
            y=y + 15,
            font_size=13,
            fill=_ON[series],
            stroke=_ground(series) if series != 0 else None,
            stroke_width=7 if series != 0 else None,
            stroke_linejoin="round",
            paint_order="stroke" if series != 0 else None,
        )


def _legend(drawing: _Drawing, legend: Mapping[int | str, str], mark_label: str) -> float:
    """The height taken by the series' names, two to a line where they are short."""
    y: float = 0
    column = 0
    short = all(text_width(name, 14) < PHONE / 2 - 32 for name in legend.values())
    for series, name in legend.items():
        x = f"{column * 50}%"
        drawing.add(
            "rect",
            x=x,
            y=y + 2,
            width=16,
            height=16,
            fill=drawing.fill(series) if series != 0 else COLOURS[0],
            stroke=QUIET,
            stroke_dasharray="4 3" if series == MISSING else None,
        )
        drawing.add("text", _text(_cut(name, 14, PHONE - 26)), x=x, dx=23, y=y + 15, font_size=14, fill=INK)
        column = (column + 1) % 2 if short else 0
        y += 0 if column else 24
    y += 24 if column else 0
    if mark_label:
        drawing.add("line", x1=8, x2=8, y1=y + 1, y2=y + 20, stroke=INK, stroke_width=3)
        drawing.add("text", _text(mark_label), x=0, dx=23, y=y + 15, font_size=14, fill=INK)
        y += 24
    return y + 8 if y else 0


def _patterns(drawing: _Drawing, used: set[int | str]) -> None:
    """The hatching of each series used: plain, slanted, dotted, crossed; grey and empty for the last two."""
    marks = {
        1: f'<path d="M0 8L8 0" stroke="{PAPER}" stroke-width="1.5"/>',
        2: f'<circle cx="4" cy="4" r="1.3" fill="{PAPER}"/>',
        3: f'<path d="M0 0L8 8M0 8L8 0" stroke="{PAPER}" stroke-width="1.2"/>',
        MISSING: f'<path d="M0 8L8 0" stroke="{QUIET}" stroke-width="1.2"/>',
        REST: "",
    }
    for series in sorted(used - {0}, key=str):
        ground = _ground(series)
        drawing.elements.append(
            f'<pattern id="{drawing.key}-{series}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<rect width="8" height="8" fill="{ground}"/>{marks[series]}</pattern>'
        )
    if drawing.elements:
        drawing.elements[:] = [f"<defs>{''.join(drawing.elements)}</defs>"]


def _ground(series: int | str) -> str:
    return {MISSING: PAPER, REST: MUTED}[series] if isinstance(series, str) else COLOURS[series]


def _scale(bars: Sequence[Bar]) -> tuple[float, float]:
    """The least and greatest amount drawn; zero is always between them."""
    ends = [0.0]
    for bar in bars:
        amounts = [amount for amount, _ in bar.parts if not math.isnan(amount)]
        ends += [
            sum(a for a in amounts if a > 0),
            sum(a for a in amounts if a < 0),
            bar.mark or 0,
        ]
    return min(ends), (max(ends) if max(ends) > min(ends) else min(ends) + 1)


def map_svg(points: Sequence[Point], *, alt: str, legend: tuple[str, str] | None = None) -> str:
    """Every place as a circle at its true position, as SVG: filled and named where reached, hollow elsewhere.

    A degree of longitude is drawn shorter than one of latitude, as it is there; areas follow the weight.
    `legend` names the filled circles, then the hollow ones.
    """
    if not points:
        return _svg(_Drawing("f"), alt, height=1, width=1)
    drawing = _Drawing(_key(alt, points))
    top = _map_legend(drawing, legend) if legend else 0
    rooms = (90, 120)  # for names, at the right of the map
    laid = [_laid(points, top, right, turn) for right in rooms for turn in range(len(_TURNS))]
    best = min(laid, key=lambda one: one.cost)
    for point, x, y, radius in sorted(best.circles, key=lambda circle: bool(circle[0].weight)):
        drawing.add(
            "circle",
            f"<title>{_text(point.label)}</title>",
            cx=x,
            cy=y,
            r=radius,
            fill=COLOURS[0] if point.weight else PAPER,
            stroke=PAPER if point.weight else MUTED,
            stroke_width=1.5,
        )
    _write_names(drawing, best.names)
    return _svg(drawing, alt, height=round(best.height), width=_WIDE)


_Circle = tuple[Point, float, float, float]  # the place, its centre, its radius
_Box = tuple[float, float, float, float]  # left, top, right, bottom
_WIDE = 400.0  # the width of a map, close to that of a phone: names keep their size


@dataclass(frozen=True)
class _Laid:
    """A map laid out: its height, its circles, where its names stand, what is lost for the eye."""

    height: float
    circles: list[_Circle]
    names: list[tuple[_Circle, _Spot]]
    cost: float


_TURNS: tuple[Callable[[_Circle], float], ...] = (  # which name is placed first: west, east, north, south
    lambda circle: circle[1],
    lambda circle: -circle[1],
    lambda circle: circle[2],
    lambda circle: -circle[2],
)


def _laid(points: Sequence[Point], top: float, right: float, turn: int) -> _Laid:
    """The map with this much room at its right for names, placed in one of _TURNS."""
    margin = 14.0
    middle = math.radians(sum(p.latitude for p in points) / len(points))
    west, east = _span([p.longitude for p in points])
    south, north = _span([p.latitude for p in points])
    scale = (_WIDE - margin - right) / ((east - west) * math.cos(middle))
    height = top + (north - south) * scale + 2 * margin
    heaviest = max(p.weight for p in points)
    circles: list[_Circle] = []
    for point in sorted(points, key=lambda p: (-p.weight, p.label)):
        x = margin + (point.longitude - west) * scale * math.cos(middle)
        y = top + margin + (north - point.latitude) * scale
        radius = 3.0 if not point.weight else 10 * math.sqrt(point.weight / heaviest)
        circles.append((point, round(x, 1), round(y, 1), round(radius, 1)))
    named = sorted([one for one in circles if one[0].weight][:NAMED], key=_TURNS[turn])
    names = _named(circles, named, height, top)
    reached = min(NAMED, sum(bool(point.weight) for point in points))
    far = sum(math.hypot(spot.x - circle[1], spot.y - circle[2]) for circle, spot in names)
    crossed = sum(not spot.clear for _, spot in names)
    return _Laid(height, circles, names, 1000.0 * (reached - len(names)) + 200 * crossed + far + right / 2)


def _map_legend(drawing: _Drawing, legend: tuple[str, str]) -> float:
    """The height taken by what a filled and a hollow circle stand for."""
    looks = ((6.0, COLOURS[0], PAPER), (3.0, PAPER, MUTED))
    for place, (name, (radius, fill, stroke)) in enumerate(zip(legend, looks, strict=True)):
        y = 12 + 18 * place
        drawing.add("circle", cx=8, cy=y, r=radius, fill=fill, stroke=stroke, stroke_width=1.5)
        drawing.add("text", _text(name), x=22, y=y + 4.5, font_size=13, fill=INK)
    return 18.0 * len(legend) + 6


def _named(
    circles: Sequence[_Circle], named: Sequence[_Circle], height: float, top: float
) -> list[tuple[_Circle, _Spot]]:
    """Where the names stand, in their turn, each as near as it can without hiding another.

    A name put further away is tied to its circle by a line, which crosses another name or a filled circle
    only where nothing else is left. Past NAMED, the data table names them.
    """
    taken = [(x - r, y - r, x + r, y + r) for point, x, y, r in circles if point.weight]
    found = []
    for circle in named:
        spot = _first_spot(circle, taken, height, top)
        if spot is not None:
            taken += [spot.box, *spot.tie]
            found.append((circle, spot))
    return found


def _first_spot(circle: _Circle, taken: Sequence[_Box], height: float, top: float) -> _Spot | None:
    point, x, y, radius = circle
    long = text_width(point.label, 13)
    others = np.array(taken).reshape(-1, 4)
    away, angles = np.array(_ROUND).T
    cosines, sines = np.cos(angles), np.sin(angles)
    left = x + (radius + away) * cosines - long * (1 - cosines) / 2
    middle = y + (radius + away) * sines
    boxes = np.stack([left, middle - 8, left + long, middle + 8], axis=1)
    inside = (boxes[:, 0] >= 0) & (boxes[:, 2] <= _WIDE) & (boxes[:, 1] >= top) & (boxes[:, 3] <= height)
    fallback = None
    for place in np.flatnonzero(inside & ~_overlap(boxes, others)):
        spot = _spot(x, y, radius + _ROUND[place][0], _ROUND[place][1], long, tied=_ROUND[place][0] > 8)
        if not _overlap(np.array(spot.tie).reshape(-1, 4), others).any():
            return replace(spot, clear=True)
        fallback = fallback or spot
    return fallback


def _write_names(drawing: _Drawing, names: Sequence[tuple[_Circle, _Spot]]) -> None:
    for (point, x, y, _), spot in names:
        if spot.tie:
            ends: dict[str, Any] = {"x1": round(x, 1), "y1": round(y, 1)}
            ends |= {"x2": round(spot.x, 1), "y2": round(spot.y, 1)}
            drawing.add("line", **ends, stroke=INK, stroke_width=0.8)
        halo: dict[str, Any] = {"stroke": PAPER, "stroke_width": 3, "paint_order": "stroke"}
        at: dict[str, Any] = {"x": round(spot.box[0], 1), "y": round(spot.y + 4.5, 1)}
        drawing.add("text", _text(point.label), **at, font_size=13, fill=INK, **halo)


@dataclass(frozen=True)
class _Spot:
    """Where a name may stand: the end of its line, its box, the steps of the line outside the circle."""

    x: float
    y: float
    box: _Box
    tie: tuple[_Box, ...]
    clear: bool = False  # whether the line crosses nothing


def _spot(x: float, y: float, reach: float, angle: float, long: float, tied: bool) -> _Spot:
    at_x, at_y = x + reach * math.cos(angle), y + reach * math.sin(angle)
    left = at_x - long * (1 - math.cos(angle)) / 2
    way = [(x + (at_x - x) * t / 8, y + (at_y - y) * t / 8) for t in range(3, 9)] if tied else []
    tie = tuple((a - 1, b - 1, a + 1, b + 1) for a, b in way)
    return _Spot(at_x, at_y, (left, at_y - 8, left + long, at_y + 8), tie)


def _overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of the boxes (rows: left, top, right, bottom) hide a part of any of the others."""
    a, b = boxes[:, None, :], others[None, :, :]
    across = (a[..., 0] < b[..., 2]) & (b[..., 0] < a[..., 2])
    return np.any(across & (a[..., 1] < b[..., 3]) & (b[..., 1] < a[..., 3]), axis=1)


def _span(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.05, high + 0.05)


# --- Text ------------------------------------------------------------------------------------------


def text_width(text: str, size: float) -> float:
    """About how wide the text is, in pixels, in the sans-serif fonts people have."""
    narrow = "iljtfrI.,;:'’| \u202f\u00a0-()"
    return size * sum(0.36 if c in narrow else 0.72 if c.isupper() else 0.62 for c in text)


def _lines(text: str, size: float, room: float) -> list[str]:
    """The text in one line, or in _TALLEST: `room` for the first, a phone for the others; « … » past them."""
    text = " ".join(text.split())
    lines: list[str] = []
    while text:
        at_word = len(lines) < _TALLEST - 1
        lines.append(_cut(text, size, PHONE if lines else room, at_word))
        text = "" if lines[-1].endswith("…") else text[len(lines[-1]) :].strip()
    return lines


_TALLEST = 3  # lines of a label


def _cut(text: str, size: float, room: float, at_word: bool = False) -> str:
    """The text as far as the room goes: at a word or a hyphen where there is one, else with « … »."""
    if text_width(text, size) <= room:
        return text
    end = len(text)
    while end > 1 and text_width(text[:end], size) > room - size:
        end -= 1
    if at_word and (broken := re.match(r".*(?: |-(?=\w))", text[: end + 1])):
        return broken[0].rstrip()
    return text[:end].rstrip() + "…"


def _text(text: str) -> str:
    return escape("".join(c if c.isprintable() or c in "\u202f\u00a0" else " " for c in text))


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _key(*parts: object) -> str:
    """A name for the figure's patterns: the same for the same figure, on every machine."""
    return "f" + hashlib.sha256(repr(parts).encode()).hexdigest()[:8]


def _svg(drawing: _Drawing, alt: str, *, height: float, width: float | None = None) -> str:
    size = f'width="100%" height="{height:g}"' if width is None else f'viewBox="0 0 {width:g} {height:g}"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="{"fluid" if width is None else "scaled"}" {size} '
        f'role="img" aria-label={quoteattr(_text(alt))} font-family="system-ui, sans-serif">'
        f"{''.join(drawing.elements)}</svg>"
    )
