"""What a page is made of: numbered figures and tables, sentences, numbers that lead to their source.

Everything is an element of a tree, never text that is read again: what a table or a title holds stays text.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from lxml import html
from lxml.html import builder as E

from ess_analysis import french
from ess_analysis.reports import drawing

ALT_LENGTH = 80
LONG = 40  # rows of a table past which its numbers are told where they are asked, not one by one in the annex
TONES = ("strong", "medium", "weak", "solid", "partial", "bare")  # verdicts that a colour repeats
_UNSHOWN = re.compile(  # controls, surrogates, private and direction-changing characters
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufdd0-\ufdef\ufffe\uffff]"
)


@dataclass
class Page:
    """A page being made: its blocks, numbered figures and tables, headings, cited numbers."""

    blocks: list[html.HtmlElement] = field(default_factory=list)
    headings: list[tuple[int, str, str]] = field(default_factory=list)  # level, text, id
    cover: Mapping[str, Any] | None = None
    keypoints: list[Any] = field(default_factory=list)
    glossary: dict[str, str] = field(default_factory=dict)
    traces: dict[str, tuple[int, str, Mapping[str, Any]]] = field(default_factory=dict)  # number, as shown
    long: bool = False  # whether what is being made is a long table
    only_in_long_tables: set[int] = field(default_factory=set)  # numbers cited there and nowhere else
    ids: set[str] = field(default_factory=set)
    figures: int = 0
    tables: int = 0
    texts: int = 0

    def unique(self, text: str) -> str:
        """An id made of the text, never given twice."""
        base = french.slug(text)[:50]
        name, number = base, 2
        while name in self.ids:
            name, number = f"{base}-{number}", number + 1
        self.ids.add(name)
        return name

    @property
    def section(self) -> str:
        """The heading under which the page stands now."""
        return self.headings[-1][1] if self.headings else ""


def characters(text: str) -> str:
    """The text without the characters that no page may hold, or that would change how others are read."""
    return _UNSHOWN.sub("", text)


def prose(text: str) -> str:
    """Text of ours: its characters, in French typography."""
    return french.typographic(characters(text))


def note(text: str) -> html.HtmlElement:
    """A remark under something, or in its place."""
    return E.P(prose(text), E.CLASS("note"))


def alert(title: str, text: str) -> html.HtmlElement:
    """Something that went wrong, told where it did."""
    return E.DIV(E.P(E.STRONG(prose(title))), E.P(characters(text)[:2000]), E.CLASS("alert"))


# --- Numbers and sentences -----------------------------------------------------------------------


def rich(made: Page, parts: Sequence[Any]) -> list[Any]:
    """Strings and traced numbers as nodes; a number with a trace leads to its source in the annex."""
    nodes: list[Any] = []
    for part in parts:
        if isinstance(part, str):
            nodes.append(prose(part))
        elif part.get("trace"):
            number, first = _cited(made, part["trace"], characters(part["number"]))
            link = _link(number, characters(part["number"]))
            if first:
                link.set("id", f"n{number}")
            nodes.append(link)
        else:
            css = f"tone {part['tone']}" if part.get("tone") in TONES else "v"
            nodes.append(E.SPAN(characters(part["number"]), E.CLASS(css)))
    return nodes


def plain(part: Any) -> str:
    """The text of a string or of a number."""
    return part if isinstance(part, str) else str(part["number"])


def _link(number: int, text: str) -> html.HtmlElement:
    """A number that leads to its entry of the annex, whose place is printed beside it on paper."""
    return E.A(text, {"href": f"#src-{number}", "data-n": str(number)})


def _cited(made: Page, trace: Mapping[str, Any], text: str) -> tuple[int, bool]:
    """The place of a trace in the annex, the same for the same trace; whether it is new there."""
    key = _key(trace)
    first = key not in made.traces
    if first:
        made.traces[key] = (len(made.traces) + 1, text, trace)
        made.ids.add(f"n{len(made.traces)}")
    number = made.traces[key][0]
    if not made.long:
        made.only_in_long_tables.discard(number)
    elif first:
        made.only_in_long_tables.add(number)
    return number, first


def _key(trace: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(trace, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# --- Tables --------------------------------------------------------------------------------------


def shown_table(made: Page, shown: Mapping[str, Any]) -> Iterator[html.HtmlElement]:
    """A table of the library, numbered, in a region that scrolls by itself; without rows, a sentence."""
    if not shown["rows"]:
        yield note("".join(map(plain, shown["caption"])) + " : aucune ligne.")
        return
    made.tables += 1
    caption = E.CAPTION(E.SPAN(f"Tableau {made.tables}. ", E.CLASS("num")), *rich(made, shown["caption"]))
    yield scrolling(made, grid(made, shown, caption), f"tableau-{made.tables}")
    if shown.get("note"):
        yield note(shown["note"])


def scrolling(made: Page, table: html.HtmlElement, name: str) -> html.HtmlElement:
    """The table in a region that scrolls by itself, named by its caption."""
    anchor = made.unique(name)
    table.find("caption").set("id", anchor)
    return E.SECTION(table, {"class": "scroll", "tabindex": "0", "aria-labelledby": anchor})


def grid(made: Page, shown: Mapping[str, Any], caption: html.HtmlElement) -> html.HtmlElement:
    """The table element: every header with its scope, the total apart."""
    numeric = [place > 0 and column["numeric"] for place, column in enumerate(shown["columns"])]
    head = [
        E.TH(prose(column["label"]) or f"colonne {place + 1}", scope="col", **_numeric(numeric[place]))
        for place, column in enumerate(shown["columns"])
    ]
    made.long = len(shown["rows"]) > LONG
    body = E.TBODY(*[_line(made, row, numeric) for row in shown["rows"]])
    table = E.TABLE(caption, E.THEAD(E.TR(*head)), body, *[E.CLASS("long")] * made.long)
    made.long = False
    if shown.get("total"):
        table.append(E.TFOOT(_line(made, shown["total"], numeric)))
    return table


def _numeric(numeric: bool) -> dict[str, str]:
    return {"class": "num"} if numeric else {}


def _line(made: Page, row: Sequence[Sequence[Any]], numeric: Sequence[bool]) -> html.HtmlElement:
    first, *others = row
    name = rich(made, first) or [french.NOTHING]
    line = E.TR(E.TH(*name, scope="row") if others else E.TD(*name))  # one column has nothing to name
    for cell, number in zip(others, numeric[1:], strict=True):
        line.append(E.TD(*rich(made, cell), _numeric(number)))
    return line


# --- Figures -------------------------------------------------------------------------------------


def shown_figure(
    made: Page, shown: Mapping[str, Any], picture: html.HtmlElement | None = None
) -> html.HtmlElement:
    """A figure, numbered: caption, drawing, how to read it, source, its data to unfold and to download.

    `picture` stands for the drawing where it is not the SVG of `shown`.
    """
    made.figures += 1
    number = made.figures
    title = prose("".join(map(plain, shown["caption"])))
    caption = E.FIGCAPTION(E.SPAN(f"Figure {number}. ", E.CLASS("num")), *rich(made, shown["caption"]))
    figure = E.FIGURE(caption, {"role": "figure", "aria-label": f"Figure {number}. {title}"})
    alt = alternative(shown.get("alt", ""), title)
    if picture is None:
        picture = drawing.picture(shown["svg"], alt)
    else:
        picture.set("alt", alt)
    figure.append(E.DIV(picture, E.CLASS("drawing")))
    if shown.get("reading"):
        figure.append(E.P(E.STRONG("Lecture. "), *rich(made, shown["reading"]), E.CLASS("reading")))
    if shown.get("source"):
        figure.append(E.P(E.STRONG("Source. "), prose(shown["source"]), E.CLASS("source")))
    data = shown.get("data")
    if data and data.get("rows"):
        figure.append(_data_of(made, data, number))
    return figure


def alternative(alt: str, title: str) -> str:
    """The text read in place of a figure: 80 characters at most, never the caption again."""
    text = prose(alt).strip() or "Graphique ; ses valeurs sont dans le tableau qui suit"
    if text == title:
        text = f"Graphique{french.SOLID}: {text}"
    return text if len(text) <= ALT_LENGTH else text[: ALT_LENGTH - 1].rstrip() + "…"


def _data_of(made: Page, data: Mapping[str, Any], number: int) -> html.HtmlElement:
    """The figure's data: folded on screen, open on paper, with a CSV that works offline."""
    caption = E.CAPTION(f"Données de la figure {number}. ", *rich(made, data["caption"]))
    table = scrolling(made, grid(made, data, caption), f"donnees-figure-{number}")
    link = E.A(
        f"Télécharger les données de la figure {number} (CSV)",
        href="data:text/csv;charset=utf-8,%EF%BB%BF" + quote(_csv(data), safe=";,/!*'()=:@$+"),
        download=f"figure-{number}.csv",
    )
    block = E.DETAILS(E.SUMMARY(f"Données de la figure {number}"), table)
    if data.get("note"):
        block.append(note(data["note"]))
    block.append(E.P(link))
    return block


def _csv(data: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\r\n")
    rows = data["rows"]
    if data.get("folded"):  # what the page says in one row
        at = data["folded_at"]
        rows = [*rows[:at], *([[cell] for cell in row] for row in data["folded"]), *rows[at + 1 :]]
    rows = [*rows, *([data["total"]] if data.get("total") else [])]
    columns = zip(*([_neutral("".join(map(plain, cell))) for cell in row] for row in rows), strict=True)
    labels = [_neutral(column["label"]) for column in data["columns"]]
    named = zip(data["columns"], labels, columns, strict=True)
    writer.writerows(
        zip(
            *(
                _bare(label, texts) if column["numeric"] else (label, *texts)
                for column, label, texts in named
            ),
            strict=True,
        )
    )
    return text.getvalue()


def _bare(label: str, texts: Sequence[str]) -> Iterator[str]:
    """A column of numbers as a spreadsheet takes them, « 17508,90 », their unit in its label."""
    found = [_NUMBER.fullmatch(text) for text in texts]
    units = {number[2] for number in found if number} - {None, "%"}
    if len(units) > 1:
        yield from (label, *texts)
        return
    yield f"{label} ({units.pop()})" if units else label
    for text, number in zip(texts, found, strict=True):
        yield number[1].replace(" ", "") + (" %" if number[2] == "%" else "") if number else text


def _neutral(text: str) -> str:
    """Text that a spreadsheet would run as a formula gets an apostrophe; French spaces become plain."""
    bare = characters(text).replace(french.THIN, " ").replace(french.SOLID, " ").replace(french.MINUS, "-")
    trimmed = bare.lstrip()
    risky = trimmed.startswith(("=", "+", "@", "\t", "\r")) or (
        trimmed.startswith("-") and not _NUMBER.fullmatch(trimmed)  # « -2+3 » runs, « -2 300 € » does not
    )
    return "'" + bare if risky else bare


_NUMBER = re.compile(r"(-?\d[\d ]*(?:,\d+)?)(?: ([€£$%]|[A-Z]{3}))?")


# --- The annex -----------------------------------------------------------------------------------

_TOLD = 24  # cells whose text is told in one entry; beyond, the machine-readable trace has them all
_RECOMPUTED = {"sum", "difference", "share", "product", "largest", "count"}  # their value is in their parts


def annex(made: Page) -> html.HtmlElement | None:
    """The list of the numbers cited: the formula in words, the cells with their text, the trace for programs.

    What is computed from numbers that have entries of their own leads to them, without their cells again.
    For programs, each entry carries `data-trace`, in JSON: `op`, `cells` (place → addresses, « C7#2 » is the
    second amount of C7, « C7:C9 » three cells), `of` (parts: a trace, or the number of its entry), `weights`,
    `value` where the parts do not give it. A place is a number too: its rank in the list's `data-places` (« file!sheet »).
    """
    if not made.traces:
        return None
    places: dict[str, int] = {}
    entries = [_entry(made, number, trace, places) for number, _, trace in made.traces.values()]
    for entry in entries[:-1]:
        entry.tail = "\n"
    for number in made.only_in_long_tables:
        entries[number - 1].set("class", "asked")
    for number in range(1, len(entries) + 1) if made.only_in_long_tables else ():
        entries[number - 1].set("value", str(number))  # some are not shown
    return E.OL(*entries, {"data-places": _json(list(places))})


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _entry(made: Page, number: int, trace: Mapping[str, Any], places: dict[str, int]) -> html.HtmlElement:
    entry = E.LI(E.P(characters(str(trace.get("words", "")))), id=f"src-{number}")
    known, cells = [], list(trace.get("cells", []))
    for part in trace.get("of", []):
        if of := made.traces.get(_key(part)):
            known.append(of[:2])
        else:
            cells += _cells_of(part)
    if cells:
        entry.append(E.P(*_places(cells)))
    if known:
        parts = E.P()
        for place, (own, text) in enumerate(known, 1):
            parts.append(_link(own, text))
            parts[-1].tail = f" (nº{french.SOLID}{own}){',' if place < len(known) else '.'} "
        entry.append(parts)
    entry.append(E.A(href=f"#n{number}", **{"aria-label": "Fermer"}))
    entry.set("data-trace", _json(_compact(made, trace, places)))
    return entry


def _cells_of(trace: Mapping[str, Any]) -> Iterator[Sequence[Any]]:
    yield from trace.get("cells", [])
    for part in trace.get("of", []):
        yield from _cells_of(part)


def _places(cells: Sequence[Sequence[Any]]) -> list[Any]:
    """« fichier, feuille : G5 « 10 000,00 € », G6… », each cell once."""
    nodes: list[Any] = []
    by_sheet: dict[tuple[str, str], dict[str, str]] = {}
    for file, sheet, cell, text, *_ in cells:
        by_sheet.setdefault((str(file), str(sheet)), {})[str(cell)] = str(text)
    for (file, sheet), found in by_sheet.items():
        told = ", ".join(
            f"{cell} «{french.THIN}{text}{french.THIN}»" for cell, text in list(found.items())[:_TOLD]
        )
        rest = len(found) - _TOLD
        more = f" et {french.counted(rest, 'autre cellule', feminine=True)}" if rest > 0 else ""
        where = f"{file}, {sheet}" if sheet else file
        nodes.append(characters(f"{where}{french.SOLID}: {told}{more}. "))
    return nodes


def _runs(names: Sequence[str]) -> list[str]:
    """The addresses in their order, three or more that follow one another down a column as « C7:C9 »."""
    runs: list[list[str]] = []
    below = ""
    for name in names:
        if below and name == below:
            runs[-1].append(name)
        else:
            runs.append([name])
        column, row = name.rstrip("0123456789"), name.lstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        below = f"{column}{int(row) + 1}" if row.isdecimal() else ""
    return [one for run in runs for one in ([f"{run[0]}:{run[-1]}"] if len(run) > 2 else run)]


def _compact(made: Page, trace: Mapping[str, Any], places: dict[str, int]) -> dict[str, Any]:
    """The trace without its words and texts: what a program needs to compute it again from the cells."""
    kept: dict[str, Any] = {"op": trace["op"]}
    if trace["op"] not in _RECOMPUTED:
        kept["value"] = trace.get("value")
    if trace.get("cells"):
        sheets: dict[str, list[str]] = {}
        for file, sheet, cell, _, *part in trace["cells"]:
            name = f"{cell}#{part[0]}" if part and part[0] else str(cell)
            place = places.setdefault(f"{file}!{sheet}", len(places))
            sheets.setdefault(str(place), []).append(name)
        kept["cells"] = {number: " ".join(_runs(names)) for number, names in sheets.items()}
    if trace.get("of"):
        known = [made.traces.get(_key(part)) for part in trace["of"]]
        kept["of"] = [
            entry[0] if entry else _compact(made, part, places)
            for entry, part in zip(known, trace["of"], strict=True)
        ]
    for name in ("weights", "model"):
        if trace.get(name):
            kept[name] = trace[name]
    return kept
